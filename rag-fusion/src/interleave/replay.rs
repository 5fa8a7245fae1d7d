//! What a ranker that was never shown would earn, from a log of others.

use serde::{Deserialize, Serialize};

use crate::interleave::error::{InterleaveError, Result};

/// The normal quantile of a 95 % interval.
const Z: f64 = 1.959_963_984_540_054;

/// Below this a weight says nothing, and its square would overflow in the end.
const LEAST_PROPENSITY: f64 = 1e-12;

/// One place of a logged list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct LoggedSlot<D = u64> {
    /// The document that was shown.
    pub document: D,
    /// The chance that the logging ranker showed this document at this place, from 1e-12 to 1. Of a list of `n` in random order: `1/n`.
    pub propensity: f64,
    /// Whether it was clicked.
    pub clicked: bool,
}

/// A list that was shown with a known chance: a line of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Logged<D = u64> {
    /// What tells it from the others.
    pub id: String,
    /// The list, best first.
    pub shown: Vec<LoggedSlot<D>>,
}

/// What the log says about a ranker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Replayed {
    /// Logged lists.
    pub impressions: usize,
    /// For each position the lists that agree with the ranker there.
    pub matched: Vec<usize>,
    /// For each position as how many equally weighted lists these count: `(Σ w)² / Σ w²` (Kish 1965). Where one is below
    /// some tens, the estimate is a guess.
    pub effective: Vec<f64>,
    /// Clicks that the ranker would get for a list.
    pub clicks: f64,
    /// Standard error of `clicks`.
    pub standard_error: f64,
    /// 95 % interval of `clicks`.
    pub interval: (f64, f64),
}

/// Estimates the clicks on the first `depth` documents of a ranker, from logged lists and the ranker's answers to the same
/// queries, by replay (Li, Chu, Langford & Wang 2011).
///
/// Where the ranker would have shown the document that was shown at a position, the click or its absence there counts, with
/// the weight `w = 1 / propensity`; all else is rejected. The estimate is the sum over the positions of
/// `Σ w·click / Σ w` (the self-normalised estimator: Swaminathan & Joachims 2015). With one position and a uniform log it
/// is the replay of the paper: the mean over the lists that agree.
///
/// It takes a click to depend on the document and its position, not on the rest of the list, which was the logging
/// ranker's (the item-position model: Li, Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay & Wen 2018). The log must have
/// shown what the ranker shows with a chance above 0; logs without exploration do not.
/// Where the lists as wholes have a propensity, take the list for the document, with one slot: `Logged<Vec<Id>>`, depth 1.
///
/// The standard error is that of a sum of ratios, linearised, between lists; it is never below that of independent
/// clicks with two clicks and two misses added for each position (Agresti & Coull 1998), so that a few lists without a click
/// do not look certain.
///
/// # Errors
/// [`InterleaveError::NoImpressions`], [`InterleaveError::Setting`], [`InterleaveError::Depth`],
/// [`InterleaveError::Propensity`], [`InterleaveError::NoMatch`].
pub fn replay<'a, D: Eq + 'a>(
    log: impl IntoIterator<Item = (&'a Logged<D>, &'a [D])>,
    depth: usize,
) -> Result<Replayed> {
    if depth == 0 {
        return Err(InterleaveError::Setting { name: "depth", value: 0.0, allowed: "evaluate at least 1 position" });
    }
    // For each list and position the weight, 0 where the list does not agree, and the click.
    let mut lists: Vec<Vec<(f64, f64)>> = Vec::new();
    for (logged, ranking) in log {
        check(logged, ranking, depth)?;
        let weigh = |(slot, document): (&LoggedSlot<D>, &D)| {
            let weight = if slot.document == *document { 1.0 / slot.propensity } else { 0.0 };
            (weight, f64::from(u8::from(slot.clicked)))
        };
        lists.push(logged.shown.iter().zip(ranking).take(depth).map(weigh).collect());
    }
    if lists.is_empty() {
        return Err(InterleaveError::NoImpressions);
    }
    let mut answer = Replayed {
        impressions: lists.len(),
        matched: Vec::new(),
        effective: Vec::new(),
        clicks: 0.0,
        standard_error: 0.0,
        interval: (0.0, 0.0),
    };
    // What each list adds to the error of the sum.
    let mut residuals = vec![0.0; lists.len()];
    let mut least_variance = 0.0;
    for position in 0..depth {
        let at = || lists.iter().map(|list| list[position]);
        let matched = at().filter(|(weight, _)| *weight > 0.0).count();
        if matched == 0 {
            return Err(InterleaveError::NoMatch { position });
        }
        let weight: f64 = at().map(|(weight, _)| weight).sum();
        let rate = at().map(|(weight, click)| weight * click).sum::<f64>() / weight;
        let effective = weight * weight / at().map(|(weight, _)| weight * weight).sum::<f64>();
        for (residual, (own, click)) in residuals.iter_mut().zip(at()) {
            *residual += own * (click - rate) / weight;
        }
        let cautious = (rate * effective + 2.0) / (effective + 4.0);
        least_variance += cautious * (1.0 - cautious) / (effective + 4.0);
        answer.clicks += rate;
        answer.matched.push(matched);
        answer.effective.push(effective);
    }
    let variance: f64 = residuals.iter().map(|residual| residual * residual).sum();
    answer.standard_error = variance.max(least_variance).sqrt();
    let (low, high) = (answer.clicks - Z * answer.standard_error, answer.clicks + Z * answer.standard_error);
    answer.interval = (low.max(0.0), high.min(depth as f64));
    Ok(answer)
}

fn check<D>(logged: &Logged<D>, ranking: &[D], depth: usize) -> Result<()> {
    for (field, found) in [("shown", logged.shown.len()), ("ranking", ranking.len())] {
        if found < depth {
            return Err(InterleaveError::Depth { id: logged.id.clone(), field, found, depth });
        }
    }
    let wrong = |slot: &LoggedSlot<D>| !(LEAST_PROPENSITY..=1.0).contains(&slot.propensity);
    match logged.shown.iter().position(wrong) {
        Some(position) => {
            let value = logged.shown[position].propensity;
            Err(InterleaveError::Propensity { id: logged.id.clone(), position, value })
        }
        None => Ok(()),
    }
}
