//! Scores of different retrievers on one scale.

use serde::{Deserialize, Serialize};

use crate::run::Run;

/// How scores are scaled within their run. `s` is a score, `μ` the mean and `σ` the population standard deviation of the
/// scores of the run.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalization {
    /// `s`, as it is.
    None,
    /// `(s − min) / (max − min)`, in `[0, 1]` (Fox & Shaw 1994; Lee 1997). A run whose scores are all equal gives 1.
    #[default]
    MinMax,
    /// `(s − μ) / σ` (Renda & Straccia 2003). A run whose scores are all equal gives 0.
    ZScore,
    /// Distribution-based: min-max with the bounds `μ ± 3σ`, cut to `[0, 1]` (Mazzeschi 2023). A run whose scores are all
    /// equal gives 0.5.
    Dbsf,
}

/// The scores of `run`, scaled, in the order of its hits. Always finite.
pub fn normalize<Id>(run: &Run<Id>, normalization: Normalization) -> Vec<f32> {
    let scores: Vec<f64> = run.hits().iter().map(|hit| f64::from(hit.score)).collect();
    let scale = |low: f64, high: f64, flat: f64| -> Vec<f32> {
        let width = high - low;
        scores.iter().map(|s| if width > 0.0 { (s - low) / width } else { flat } as f32).collect()
    };
    match (normalization, scores.first(), scores.last()) {
        (_, None, _) | (_, _, None) => Vec::new(),
        (Normalization::None, ..) => run.hits().iter().map(|hit| hit.score).collect(),
        (Normalization::MinMax, Some(&max), Some(&min)) => scale(min, max, 1.0),
        (Normalization::ZScore, ..) => {
            let (mean, deviation) = moments(&scores);
            scale(mean, mean + deviation, 0.0)
        }
        (Normalization::Dbsf, ..) => {
            let (mean, deviation) = moments(&scores);
            let scaled = scale(mean - 3.0 * deviation, mean + 3.0 * deviation, 0.5);
            scaled.into_iter().map(|s| s.clamp(0.0, 1.0)).collect()
        }
    }
}

/// Mean and population standard deviation; the latter is exactly 0 when all scores are equal.
fn moments(scores: &[f64]) -> (f64, f64) {
    if scores.first() == scores.last() {
        return (scores.first().copied().unwrap_or(0.0), 0.0); // sorted, so all are equal
    }
    let count = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / count;
    let variance = scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}
