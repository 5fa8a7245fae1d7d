//! Scores of different retrievers on one scale.

use serde::{Deserialize, Serialize};

use crate::calibrate::Calibration;
use crate::error::{Error, Result};
use crate::run::Run;

/// How scores are scaled within their run. `s` is a score, `n` the number of hits, `r` a 1-based rank, `μ` the mean of the
/// scores of the run.
///
/// A run whose scores are all equal, as those of a single hit are, has no scale; each variant says what it gives then. Where
/// scores are added up, a document that a run lacks adds nothing, which is as if it had 0: the worst score of that run by
/// `MinMax`, an average one by `ZScore`, one of three deviations below the average by `Dbsf`. By `Borda` it has a score.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalization {
    /// `s`, as it is.
    None,
    /// `(s − min) / (max − min)`, in `[0, 1]` (Fox & Shaw 1994; Lee 1997). All equal: 1, since every hit is the best of its
    /// run (ranx gives 0, Qdrant 0.5).
    #[default]
    MinMax,
    /// `s / max` (Lee 1997), for scores of at least 0. A maximum of 0 or less counts as 10⁻⁹, as ranx has it.
    Max,
    /// `(s − min) / Σ (s − min)` (Montague & Aslam 2001). All equal: `1 / n` (ranx gives 0).
    Sum,
    /// `(s − μ) / σ`, `σ` the population deviation (Montague & Aslam 2001, as ZMUV). All equal: 0.
    ZScore,
    /// `1 − (r − 1) / n` (Renda & Straccia 2003).
    Rank,
    /// `1 − (r − 1) / c` where `c` is the number of documents of all runs together, and `½ − (n − 1) / 2c` for those that the
    /// run lacks (Renda & Straccia 2003): they have a score and count as found, as in ranx.
    Borda,
    /// Distribution-based: min-max with the bounds `μ ± 3σ`, `σ` the sample deviation (Mazzeschi 2023; as Qdrant has it).
    /// Near `[0, 1]`: an outlier beyond the bounds keeps its lead and is not cut. All equal: 0.5.
    Dbsf,
    /// `s / √(Σ s²)`: the scores of a run as a vector of length 1. All zero: 0.
    L2,
    /// `1 / (1 + e^−z)`, `z` the score of `ZScore`: in `(0, 1)`, and outliers are squeezed. All equal: 0.5.
    Sigmoid,
    /// The probability of being relevant, learnt from judgments; one for each run, in their order.
    Calibrated(Vec<Calibration>),
}

impl Normalization {
    /// Whether what was learnt can have been learnt.
    ///
    /// # Errors
    /// [`Error::Uncalibrated`].
    pub fn check(&self) -> Result<()> {
        let Normalization::Calibrated(calibrations) = self else { return Ok(()) };
        match calibrations.iter().position(|calibration| !calibration.is_sound()) {
            Some(run) => Err(Error::Uncalibrated { run }),
            None => Ok(()),
        }
    }

    /// Names of those that need nothing learnt.
    pub const NAMES: [&'static str; 10] =
        ["none", "min_max", "max", "sum", "z_score", "rank", "borda", "dbsf", "l2", "sigmoid"];

    /// One of [`Normalization::NAMES`]; `-` counts as `_`, and `zmuv` is another name for `z_score`.
    pub fn from_name(name: &str) -> Option<Normalization> {
        Some(match name.replace('-', "_").as_str() {
            "none" => Normalization::None,
            "min_max" => Normalization::MinMax,
            "max" => Normalization::Max,
            "sum" => Normalization::Sum,
            "z_score" | "zmuv" => Normalization::ZScore,
            "rank" => Normalization::Rank,
            "borda" => Normalization::Borda,
            "dbsf" => Normalization::Dbsf,
            "l2" => Normalization::L2,
            "sigmoid" => Normalization::Sigmoid,
            _ => return None,
        })
    }
}

/// The scores of a run on the common scale.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scaled {
    /// Best first; finite.
    pub(crate) scores: Vec<f64>,
    /// What a document has that the run lacks; `None`: it is not there.
    pub(crate) absent: Option<f64>,
}

/// The scores of `run`, scaled, in the order of its hits; the run stands alone. Always finite.
pub fn normalize<Id>(run: &Run<Id>, normalization: &Normalization) -> Vec<f64> {
    scale(run, normalization, (0, run.len())).scores
}

/// The same beside others: its position among the runs, and the number of documents of all of them.
pub(crate) fn scale<Id>(run: &Run<Id>, normalization: &Normalization, (position, all): (usize, usize)) -> Scaled {
    let mut scores = run.finite_scores();
    let n = scores.len() as f64;
    let is_by_width = !matches!(normalization, Normalization::None | Normalization::Max | Normalization::Calibrated(_));
    if let Some(largest) = scores.iter().map(|score| score.abs()).reduce(f64::max).filter(|_| is_by_width) {
        within_reach(&mut scores, largest);
    }
    let (Some(&high), Some(&low)) = (scores.first(), scores.last()) else {
        let absent = (*normalization == Normalization::Borda).then(|| 0.5 + 1.0 / (2.0 * all.max(1) as f64));
        return Scaled { scores, absent };
    };
    let mut absent = None;
    match normalization {
        Normalization::None => {}
        Normalization::MinMax => linear(&mut scores, low, high - low, 1.0),
        Normalization::Max => {
            let most = high.max(1e-9);
            map(&mut scores, |score| score / most);
        }
        Normalization::Sum => {
            let sum = scores.iter().map(|score| score - low).sum::<f64>();
            linear(&mut scores, low, sum, 1.0 / n);
        }
        Normalization::ZScore => z_scores(&mut scores),
        Normalization::Rank => in_steps(&mut scores, n),
        Normalization::Borda => {
            let all = all as f64;
            in_steps(&mut scores, all);
            absent = Some(0.5 - (n - 1.0) / (2.0 * all));
        }
        Normalization::Dbsf => {
            let (mean, squares) = moments(&scores);
            let deviation = (squares / (n - 1.0)).sqrt();
            linear(&mut scores, mean - 3.0 * deviation, 6.0 * deviation, 0.5);
        }
        Normalization::L2 => {
            let length = scores.iter().map(|score| score.powi(2)).sum::<f64>().sqrt();
            if length > 0.0 {
                map(&mut scores, |score| score / length);
            }
        }
        Normalization::Sigmoid => {
            z_scores(&mut scores);
            map(&mut scores, |score| 1.0 / (1.0 + (-score).exp()));
        }
        Normalization::Calibrated(calibrations) => {
            if let Some(calibration) = calibrations.get(position) {
                map(&mut scores, |score| calibration.probability(score));
            }
        }
    }
    Scaled { scores, absent }
}

fn map(scores: &mut [f64], to: impl Fn(f64) -> f64) {
    for score in scores {
        *score = to(*score);
    }
}

/// `(s − zero) / width`; `flat` where all are equal.
fn linear(scores: &mut [f64], zero: f64, width: f64, flat: f64) {
    let is_flat = scores.first() == scores.last();
    for score in scores {
        *score = if is_flat { flat } else { (*score - zero) / width };
    }
}

fn z_scores(scores: &mut [f64]) {
    let (mean, squares) = moments(scores);
    let deviation = (squares / scores.len() as f64).sqrt();
    linear(scores, mean, deviation, 0.0);
}

/// `1 − (r − 1) / n`.
fn in_steps(scores: &mut [f64], n: f64) {
    scores.iter_mut().enumerate().for_each(|(position, score)| *score = 1.0 - position as f64 / n);
}

/// Mean, and the sum of the squared distances from it.
fn moments(scores: &[f64]) -> (f64, f64) {
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    (mean, scores.iter().map(|score| (score - mean).powi(2)).sum())
}

/// Very large and very small scores times a power of two, so that neither their differences nor their squares leave the
/// numbers that there are. No scale changes what any of the normalisations by width gives.
fn within_reach(scores: &mut [f64], largest: f64) {
    let factor = match largest {
        _ if largest > 2f64.powi(400) => 2f64.powi(-600),
        _ if largest > 0.0 && largest < 2f64.powi(-400) => 2f64.powi(600),
        _ => return,
    };
    map(scores, |score| score * factor);
}
