//! A run: the ranked answer of one retriever.

use std::cmp::Ordering;
use std::hash::Hash;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::table::{Table, hash};

/// One hit of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunHit<Id = u64> {
    /// The document.
    pub id: Id,
    /// Higher is better. `+∞` and `−∞` rank first and last; where scores are added up they count as the greatest and the
    /// least finite score of the run, or as 1 and 0 where there is none.
    pub score: f64,
}

/// A named ranking, best first. Every id once.
#[derive(Debug, Clone, PartialEq)]
pub struct Run<Id = u64> {
    name: String,
    /// Shared with the fused rankings that explain themselves by it.
    hits: Arc<Vec<RunHit<Id>>>,
    /// Of the ids, in the same order.
    hashes: Vec<u32>,
}

impl<Id: Eq + Hash + Ord> Run<Id> {
    /// Sorts the hits of a retriever into a run; equal scores by ascending id.
    ///
    /// # Errors
    /// [`Error::NotANumber`] and [`Error::Duplicate`].
    pub fn new(name: impl Into<String>, hits: impl IntoIterator<Item = (Id, f64)>) -> Result<Self> {
        let name = name.into();
        let (mut hits, mut hashes) = checked(&name, hits)?;
        let order = |a: &RunHit<Id>, b: &RunHit<Id>| descending(a.score, b.score).then_with(|| a.id.cmp(&b.id));
        if !hits.is_sorted_by(|a, b| order(a, b).is_le()) {
            hits.sort_unstable_by(order);
            hashes = hits.iter().map(|hit| hash(&hit.id)).collect();
        }
        Ok(Run { name, hits: Arc::new(hits), hashes })
    }
}

impl<Id: Eq + Hash> Run<Id> {
    /// The hits of a retriever that has sorted them itself, best first: equal scores keep their order.
    ///
    /// # Errors
    /// [`Error::Order`] for a score above the one before it; [`Error::NotANumber`] and [`Error::Duplicate`].
    pub fn ranked(name: impl Into<String>, hits: impl IntoIterator<Item = (Id, f64)>) -> Result<Self> {
        let name = name.into();
        let (hits, hashes) = checked(&name, hits)?;
        match hits.windows(2).position(|pair| pair[1].score > pair[0].score) {
            Some(position) => Err(Error::Order { run: name, position: position + 1 }),
            None => Ok(Run { name, hits: Arc::new(hits), hashes }),
        }
    }
}

/// The hits in the order given, with the hashes of their ids.
fn checked<Id: Eq + Hash>(run: &str, hits: impl IntoIterator<Item = (Id, f64)>) -> Result<(Vec<RunHit<Id>>, Vec<u32>)> {
    let hits: Vec<RunHit<Id>> = hits.into_iter().map(|(id, score)| RunHit { id, score }).collect();
    if let Some(position) = hits.iter().position(|hit| hit.score.is_nan()) {
        return Err(Error::NotANumber { run: run.to_owned(), position });
    }
    let hashes: Vec<u32> = hits.iter().map(|hit| hash(&hit.id)).collect();
    let numbers = Table::with_capacity(hits.len()).add(hits.iter().map(|hit| &hit.id), &hashes);
    match numbers.into_iter().zip(0..).position(|(number, position)| number != position) {
        Some(position) => Err(Error::Duplicate { run: run.to_owned(), position }),
        None => Ok((hits, hashes)),
    }
}

impl<Id> Run<Id> {
    /// Name of the retriever.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The hits, best first.
    pub fn hits(&self) -> &[RunHit<Id>] {
        &self.hits
    }

    /// The hits, to keep.
    pub(crate) fn shared_hits(&self) -> Arc<Vec<RunHit<Id>>> {
        Arc::clone(&self.hits)
    }

    /// The documents, best first.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = &Id> + Clone {
        self.hits.iter().map(|hit| &hit.id)
    }

    /// The hash of each id, as [`hash`] has it.
    pub(crate) fn hashes(&self) -> &[u32] {
        &self.hashes
    }

    /// Number of hits.
    pub fn len(&self) -> usize {
        self.hits.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.hits.is_empty()
    }

    /// The scores, best first, each finite: as [`RunHit::score`] says.
    pub(crate) fn finite_scores(&self) -> Vec<f64> {
        let mut scores: Vec<f64> = self.hits.iter().map(|hit| hit.score).collect();
        if scores.first().is_some_and(|first| first.is_infinite())
            || scores.last().is_some_and(|last| last.is_infinite())
        {
            let finite = || scores.iter().copied().filter(|score| score.is_finite());
            let (greatest, least) = (finite().next().unwrap_or(1.0), finite().next_back().unwrap_or(0.0));
            for score in scores.iter_mut().filter(|score| score.is_infinite()) {
                *score = if *score > 0.0 { greatest } else { least };
            }
        }
        scores
    }
}

/// Higher first; there is no NaN, and −0 equals 0.
pub(crate) fn descending(one: f64, other: f64) -> Ordering {
    other.partial_cmp(&one).unwrap_or(Ordering::Equal)
}
