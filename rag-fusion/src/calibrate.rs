//! Scores to probabilities of being relevant, learnt from judgments.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What the scores of one run mean.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Calibration {
    /// `1 / (1 + e^(a·s + b))` (Platt 1999).
    Platt {
        /// Below 0 where higher scores are better.
        a: f64,
        /// The log-odds against relevance at a score of 0.
        b: f64,
    },
    /// A rising line through these points (score, probability), flat beyond the first and the last: isotonic regression
    /// (Zadrozny & Elkan 2002).
    Isotonic(Vec<(f64, f64)>),
}

impl Calibration {
    /// Fits Platt's sigmoid by Newton's method with the targets of Platt 1999 `((n₊ + 1) / (n₊ + 2), 1 / (n₋ + 2))`, which
    /// keep few judgments from promising certainty, and the safeguards of Lin, Lin & Weng 2007.
    ///
    /// # Errors
    /// [`Error::Calibration`] for scores that are not finite, and without both relevant and other documents.
    pub fn platt(judged: &[(f64, bool)]) -> Result<Calibration> {
        let (relevant, others) = counts(judged)?;
        // The optimum is found on scores of a common size; large ones would be badly conditioned.
        let size = judged.iter().map(|(score, _)| score.abs()).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
        let target = |is_relevant: bool| {
            if is_relevant { (relevant + 1.0) / (relevant + 2.0) } else { 1.0 / (others + 2.0) }
        };
        let rows: Vec<(f64, f64)> = judged.iter().map(|&(score, relevant)| (score / size, target(relevant))).collect();
        let loss = |a: f64, b: f64| -> f64 {
            let of = |&(score, target): &(f64, f64)| {
                let z = a * score + b;
                if z >= 0.0 { target * z + (-z).exp().ln_1p() } else { (target - 1.0) * z + z.exp().ln_1p() }
            };
            rows.iter().map(of).sum()
        };
        let (mut a, mut b) = (0.0, ((others + 1.0) / (relevant + 1.0)).ln());
        let mut value = loss(a, b);
        for _ in 0..100 {
            let (mut h11, mut h22, mut h21, mut g1, mut g2) = (1e-12, 1e-12, 0.0, 0.0, 0.0);
            for &(score, target) in &rows {
                let p = 1.0 / (1.0 + (a * score + b).exp());
                let (curve, slope) = (p * (1.0 - p), target - p);
                h11 += score * score * curve;
                h22 += curve;
                h21 += score * curve;
                g1 += score * slope;
                g2 += slope;
            }
            if g1.abs() < 1e-10 && g2.abs() < 1e-10 {
                break;
            }
            let determinant = h11 * h22 - h21 * h21;
            let (da, db) = (-(h22 * g1 - h21 * g2) / determinant, -(h11 * g2 - h21 * g1) / determinant);
            let down = g1 * da + g2 * db;
            let mut step = 1.0;
            let next = loop {
                let next = loss(a + step * da, b + step * db);
                if next < value + 1e-4 * step * down || step < 1e-10 {
                    break next;
                }
                step /= 2.0;
            };
            if step < 1e-10 {
                break;
            }
            (a, b, value) = (a + step * da, b + step * db, next);
        }
        Ok(Calibration::Platt { a: a / size, b })
    }

    /// Fits the rising steps that are closest to the judgments, by pooling adjacent violators (Ayer et al. 1955); between the
    /// middles of neighbouring steps it is a line, so that different scores seldom become equal.
    ///
    /// # Errors
    /// As [`Calibration::platt`].
    pub fn isotonic(judged: &[(f64, bool)]) -> Result<Calibration> {
        counts(judged)?;
        let mut rows: Vec<(f64, f64)> = judged.iter().map(|&(score, relevant)| (score, f64::from(relevant))).collect();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        // Steps: lowest and highest score, sum, count. Equal scores are one step from the beginning.
        let mut steps: Vec<(f64, f64, f64, f64)> = Vec::new();
        for (score, value) in rows {
            match steps.last_mut() {
                Some(last) if last.1 == score => (last.2, last.3) = (last.2 + value, last.3 + 1.0),
                _ => steps.push((score, score, value, 1.0)),
            }
        }
        let mut pooled: Vec<(f64, f64, f64, f64)> = Vec::new();
        for mut step in steps {
            while let Some(before) = pooled.pop_if(|before| before.2 / before.3 >= step.2 / step.3) {
                step = (before.0, step.1, before.2 + step.2, before.3 + step.3);
            }
            pooled.push(step);
        }
        let knots = pooled.into_iter().map(|(low, high, sum, count)| (low / 2.0 + high / 2.0, sum / count));
        Ok(Calibration::Isotonic(knots.collect()))
    }

    /// Whether it is one that judgments can give: finite, and of a line the scores ascending and the probabilities from 0 to 1.
    pub(crate) fn is_sound(&self) -> bool {
        match self {
            Calibration::Platt { a, b } => a.is_finite() && b.is_finite(),
            Calibration::Isotonic(knots) => {
                let each = |&(score, probability): &(f64, f64)| score.is_finite() && (0.0..=1.0).contains(&probability);
                knots.iter().all(each) && knots.is_sorted_by(|one, other| one.0 < other.0 && one.1 <= other.1)
            }
        }
    }

    /// How likely a document of this score is relevant, in `[0, 1]`.
    pub fn probability(&self, score: f64) -> f64 {
        match self {
            Calibration::Platt { a, b } => {
                let z = a * score + b;
                if z.is_nan() { 0.5 } else { 1.0 / (1.0 + z.exp()) }
            }
            Calibration::Isotonic(knots) => {
                let after = knots.partition_point(|knot| knot.0 <= score);
                match (after.checked_sub(1).and_then(|before| knots.get(before)), knots.get(after)) {
                    (Some(&(low, below)), Some(&(high, above))) => {
                        below + (above - below) * ((score - low) / (high - low)).clamp(0.0, 1.0)
                    }
                    (Some(&(_, only)), None) | (None, Some(&(_, only))) => only,
                    (None, None) => 0.0,
                }
            }
        }
    }
}

/// Relevant ones and others.
fn counts(judged: &[(f64, bool)]) -> Result<(f64, f64)> {
    if judged.iter().any(|(score, _)| !score.is_finite()) {
        return Err(Error::Calibration("a score that is not finite"));
    }
    let relevant = judged.iter().filter(|(_, relevant)| *relevant).count();
    match (relevant, judged.len() - relevant) {
        (0, _) => Err(Error::Calibration("no relevant document")),
        (_, 0) => Err(Error::Calibration("no document that is not relevant")),
        (relevant, others) => Ok((relevant as f64, others as f64)),
    }
}
