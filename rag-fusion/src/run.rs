//! A run: the ranked answer of one retriever.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::hash::Hash;

use crate::error::{Error, Result};

/// One hit of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunHit<Id = u64> {
    /// The document.
    pub id: Id,
    /// Higher is better; finite.
    pub score: f32,
}

/// A named ranking, best first; equal scores by ascending id. Every id once.
#[derive(Debug, Clone, PartialEq)]
pub struct Run<Id = u64> {
    name: String,
    hits: Vec<RunHit<Id>>,
}

impl<Id: Clone + Eq + Hash + Ord> Run<Id> {
    /// Sorts the hits of a retriever into a run.
    ///
    /// # Errors
    /// [`Error::NotFinite`] and [`Error::Duplicate`].
    pub fn new(name: impl Into<String>, hits: impl IntoIterator<Item = (Id, f32)>) -> Result<Self> {
        let name = name.into();
        let mut seen = HashSet::new();
        let mut sorted = Vec::new();
        for (position, (id, score)) in hits.into_iter().enumerate() {
            if !score.is_finite() {
                return Err(Error::NotFinite { run: name, position });
            }
            if !seen.insert(id.clone()) {
                return Err(Error::Duplicate { run: name, position });
            }
            sorted.push(RunHit { id, score });
        }
        sorted.sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal).then_with(|| a.id.cmp(&b.id)));
        Ok(Run { name, hits: sorted })
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

    /// Number of hits.
    pub fn len(&self) -> usize {
        self.hits.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.hits.is_empty()
    }
}
