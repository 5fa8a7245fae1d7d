//! Several runs to one ranking.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::Hash;

use crate::error::{Error, Result};
use crate::normalize::{Normalization, normalize};
use crate::run::Run;

/// The constant of reciprocal rank fusion that its authors chose.
pub const RRF_K: f32 = 60.0;

/// The formula. `w` is the weight of a run, as given: weights are not scaled to sum to 1.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// `Σ w / (k + rank)`, rank 1-based (Cormack, Clarke & Buettcher 2009). A run that lacks a document adds nothing.
    Rrf {
        /// Larger values flatten the difference between the ranks; the paper has 60.
        k: f32,
    },
    /// `Σ w · normalised score` (Bruch, Gai & Ingber 2023 study it). A run that lacks a document adds nothing, as if its
    /// normalised score were 0.
    Convex(Normalization),
}

impl Default for Method {
    /// Min-max scaled convex combination.
    fn default() -> Self {
        Method::Convex(Normalization::MinMax)
    }
}

impl Method {
    /// Reciprocal rank fusion with the constant of its paper.
    pub fn rrf() -> Self {
        Method::Rrf { k: RRF_K }
    }
}

/// A run and how much it counts.
#[derive(Debug)]
pub struct Weighted<'a, Id = u64> {
    /// The run.
    pub run: &'a Run<Id>,
    /// Finite, at least 0.
    pub weight: f32,
}

impl<'a, Id> Weighted<'a, Id> {
    /// `run`, counted `weight` times.
    pub fn new(run: &'a Run<Id>, weight: f32) -> Self {
        Weighted { run, weight }
    }
}

/// What one run adds to a fused score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contribution {
    /// 1-based rank of the document in the run; `None`: it is not there, and every other field but `weight`
    /// is 0.
    pub rank: Option<usize>,
    /// Its score there.
    pub score: f32,
    /// The score on the common scale: normalised, or `1 / (k + rank)`.
    pub normalized: f32,
    /// The weight of the run, also where the document is absent.
    pub weight: f32,
    /// `weight · normalized`.
    pub value: f32,
}

/// A document of the fused ranking.
#[derive(Debug, Clone, PartialEq)]
pub struct FusedHit<Id = u64> {
    /// The document.
    pub id: Id,
    /// The sum of the contributions. It is added up in 64 bits, so that it does not depend on the order of the runs (as long
    /// as their weights are within a factor of a million), and kept within the finite numbers of 32 bits.
    pub score: f32,
    /// One for each run, in run order.
    pub contributions: Vec<Contribution>,
}

impl<Id> FusedHit<Id> {
    /// Position of the first run that counts and has the document.
    pub fn first_run(&self) -> usize {
        let has_it = |part: &Contribution| part.rank.is_some() && part.weight > 0.0;
        self.contributions.iter().position(has_it).unwrap_or(self.contributions.len())
    }
}

/// Fuses runs and keeps the best `depth` documents.
///
/// Equal scores rank by the first run that has the document, in the order given, then by ascending id. So the scores of a
/// fusion do not depend on the order of the runs, but the ranks of equal ones do: put the run you trust most first.
/// No score of the answer is infinite or NaN. A run of weight 0 is explained, but brings no document of its own.
///
/// # Errors
/// [`Error::Weight`], [`Error::NoWeight`], [`Error::RrfK`].
pub fn fuse<Id: Clone + Eq + Hash + Ord>(
    runs: &[Weighted<'_, Id>],
    method: Method,
    depth: usize,
) -> Result<Vec<FusedHit<Id>>> {
    check(runs, method)?;
    let absent: Vec<Contribution> = runs
        .iter()
        .map(|run| Contribution { rank: None, score: 0.0, normalized: 0.0, weight: run.weight, value: 0.0 })
        .collect();
    let counted = runs.iter().filter(|run| run.weight > 0.0).flat_map(|run| run.run.hits());
    let mut pool: HashMap<&Id, Vec<Contribution>> = counted.map(|hit| (&hit.id, absent.clone())).collect();
    for (order, Weighted { run, weight }) in runs.iter().enumerate() {
        let normalized = match method {
            Method::Rrf { k } => (1..=run.len()).map(|rank| 1.0 / (k + rank as f32)).collect(),
            Method::Convex(normalization) => normalize(run, normalization),
        };
        for (position, (hit, normalized)) in run.hits().iter().zip(normalized).enumerate() {
            if let Some(part) = pool.get_mut(&hit.id).and_then(|parts| parts.get_mut(order)) {
                part.rank = Some(position + 1);
                part.score = hit.score;
                part.normalized = normalized;
                part.value = finite(f64::from(*weight) * f64::from(normalized));
            }
        }
    }
    let mut fused: Vec<FusedHit<Id>> = pool
        .into_iter()
        .map(|(id, contributions)| {
            let score = finite(contributions.iter().map(|part| f64::from(part.value)).sum());
            FusedHit { id: id.clone(), score, contributions }
        })
        .collect();
    fused.sort_by(|a, b| {
        let by_score = b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal);
        by_score.then_with(|| a.first_run().cmp(&b.first_run())).then_with(|| a.id.cmp(&b.id))
    });
    fused.truncate(depth);
    Ok(fused)
}

/// To 32 bits; what is too large becomes the largest finite number, so that no sum of two can be NaN.
fn finite(value: f64) -> f32 {
    value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

fn check<Id>(runs: &[Weighted<'_, Id>], method: Method) -> Result<()> {
    if let Method::Rrf { k } = method
        && !(k.is_finite() && k >= 0.0)
    {
        return Err(Error::RrfK(k));
    }
    for Weighted { run, weight } in runs {
        if !weight.is_finite() || *weight < 0.0 {
            return Err(Error::Weight { run: run.name().to_owned(), weight: *weight });
        }
    }
    if !runs.is_empty() && runs.iter().all(|run| run.weight == 0.0) {
        return Err(Error::NoWeight);
    }
    Ok(())
}
