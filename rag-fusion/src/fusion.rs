//! A fusion as a whole, to keep and to use again.

use std::hash::Hash;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::fuse::{Fused, Weighted, fuse};
use crate::method::Method;
use crate::normalize::Normalization;
use crate::run::Run;

/// How some runs, always in the same order, become one: what is kept once a fusion is learnt or chosen.
///
/// ```
/// use rag_fusion::learned::{Judged, map_fuse};
/// use rag_fusion::{Fusion, Normalization, Run};
/// let judged = |hit| vec![Judged { hits: vec![hit, true], relevant: 2 }];
/// let method = map_fuse(&[judged(true), judged(false)])?;
/// let fusion = Fusion { method, normalization: Normalization::MinMax, weights: vec![1.0, 1.0] };
/// let (good, poor) = (Run::new("good", [(1u64, 2.0)])?, Run::new("poor", [(2u64, 9.0)])?);
/// assert_eq!(fusion.fuse(&[&good, &poor], 10)?.hits()[0].id, 1);
/// # Ok::<(), rag_fusion::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fusion {
    /// The formula, with what was learnt for it.
    pub method: Method,
    /// How scores are scaled first, by methods that look at them.
    pub normalization: Normalization,
    /// For each run how much it counts.
    pub weights: Vec<f64>,
}

impl Fusion {
    /// Fuses the runs and keeps the best `depth` documents, as [`fuse`] does.
    ///
    /// # Errors
    /// As [`fuse`]; [`Error::Runs`] for another number of runs than of weights.
    pub fn fuse<Id: Clone + Eq + Hash + Ord>(&self, runs: &[&Run<Id>], depth: usize) -> Result<Fused<Id>> {
        if runs.len() != self.weights.len() {
            return Err(Error::Runs { what: "the fusion", learnt: self.weights.len(), given: runs.len() });
        }
        let weighted: Vec<Weighted<'_, Id>> =
            runs.iter().zip(&self.weights).map(|(run, &weight)| Weighted::new(run, weight)).collect();
        fuse(&weighted, &self.method, &self.normalization, depth)
    }

    /// Whether it can be used with as many runs as it has weights: weights that mean something, parameters in their ranges,
    /// and what was learnt, learnt for each run.
    ///
    /// # Errors
    /// [`Error::Weight`] naming the run by its number, [`Error::NoWeight`], [`Error::Parameter`], [`Error::Uncalibrated`],
    /// [`Error::Runs`].
    pub fn check(&self) -> Result<()> {
        let none = |number: usize| Run::<u64>::ranked(number.to_string(), []);
        let runs = (0..self.weights.len()).map(none).collect::<Result<Vec<_>>>()?;
        let weighted: Vec<_> = runs.iter().zip(&self.weights).map(|(run, &by)| Weighted::new(run, by)).collect();
        fuse(&weighted, &self.method, &self.normalization, 0).map(drop)
    }

    /// Whether something of it was learnt for each run.
    pub fn is_learned(&self) -> bool {
        self.method.learnt().is_some() || matches!(self.normalization, Normalization::Calibrated(_))
    }
}
