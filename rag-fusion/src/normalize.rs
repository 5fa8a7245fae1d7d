//! Scores of different retrievers on one scale.

use serde::{Deserialize, Serialize};

use crate::run::Run;

/// How scores are scaled within their run. `s` is a score and `μ` the mean of the scores of the run.
///
/// A run whose scores are all equal, as those of a single hit are, has no scale; each variant says what it gives then. In
/// a convex combination a document that a run lacks counts 0: the worst score of that run by `MinMax`, an average one by
/// `ZScore`, and one of three deviations below the average by `Dbsf`.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalization {
    /// `s`, as it is.
    None,
    /// `(s − min) / (max − min)`, in `[0, 1]` (Fox & Shaw 1994; Lee 1997). All equal: 1, since
    /// every hit is the best of its run (ranx gives 0, Qdrant 0.5).
    #[default]
    MinMax,
    /// `(s − μ) / σ`, `σ` the population deviation (Renda & Straccia 2003; ranx calls it ZMUV). All equal: 0.
    ZScore,
    /// Distribution-based: min-max with the bounds `μ ± 3σ`, `σ` the sample deviation (Mazzeschi 2023; as Qdrant has it).
    /// Near `[0, 1]`: an outlier beyond the bounds keeps its lead and is not cut. All equal: 0.5.
    Dbsf,
}

/// The scores of `run`, scaled, in the order of its hits. Always finite.
pub fn normalize<Id>(run: &Run<Id>, normalization: Normalization) -> Vec<f32> {
    let scores: Vec<f64> = run.hits().iter().map(|hit| f64::from(hit.score)).collect();
    let (Some(&high), Some(&low)) = (scores.first(), scores.last()) else { return Vec::new() };
    // `zero` and `width`: where the scale is 0, and how far from there it is 1; `flat`: what it gives without a width.
    let (zero, width, flat) = match normalization {
        Normalization::None => return run.hits().iter().map(|hit| hit.score).collect(),
        Normalization::MinMax => (low, high - low, 1.0),
        Normalization::ZScore => {
            let (mean, squares) = moments(&scores);
            (mean, (squares / scores.len() as f64).sqrt(), 0.0)
        }
        Normalization::Dbsf => {
            let (mean, squares) = moments(&scores);
            let deviation = (squares / (scores.len() as f64 - 1.0)).sqrt();
            (mean - 3.0 * deviation, 6.0 * deviation, 0.5)
        }
    };
    let scaled = |score: f64| if high > low { (score - zero) / width } else { flat };
    scores.into_iter().map(|score| scaled(score) as f32).collect()
}

/// Mean, and the sum of the squared distances from it. 64 bits hold the square of any 32-bit float, the least and the
/// greatest, so two different scores have a sum above 0.
fn moments(scores: &[f64]) -> (f64, f64) {
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    (mean, scores.iter().map(|score| (score - mean).powi(2)).sum())
}
