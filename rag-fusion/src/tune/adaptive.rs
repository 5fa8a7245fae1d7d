//! A weight for each query, predicted from its features by a model that the caller fits.

use std::error::Error;

use serde::{Deserialize, Serialize};

use crate::tune::error::{Result, TuneError};
use crate::tune::search::{Candidate, ROUNDING, best_of, mean_and_error, one_standard_error};
use crate::tune::space::Point;
use crate::tune::{Part, split};

/// What is known of the judged queries.
#[derive(Debug, Clone, Copy)]
pub struct Curves<'a> {
    /// The weights that a query may be given, ascending, at least two.
    pub weights: &'a [f64],
    /// For each query the objective at each weight.
    pub values: &'a [Vec<f64>],
    /// For each query its features, such as [`query_features`](crate::tune::query_features). Finite.
    pub features: &'a [Vec<f64>],
}

/// How to fit a weight for each query.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields, default)]
pub struct AdaptiveOptions {
    /// Parts of the queries, each held out once to measure the whole procedure.
    pub folds: usize,
    /// Parts of the remaining queries, each held out once to choose the margin.
    pub inner_folds: usize,
    /// What the folds follow from.
    pub seed: u64,
    /// With fewer judged queries than this the global weight is chosen by the one-standard-error rule, as in
    /// [`tune`](crate::tune::tune).
    pub few_queries: usize,
    /// The weight that is kept where the judgments do not speak against it.
    pub prior: f64,
}

impl Default for AdaptiveOptions {
    /// Five folds of five, few queries are those below 30, prior .5.
    fn default() -> Self {
        AdaptiveOptions { folds: 5, inner_folds: 5, seed: 0, few_queries: 30, prior: 0.5 }
    }
}

/// When a query leaves the global weight, and for which one. Together with the model this is the whole configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct Adaptive {
    /// The weights a query may be given, ascending.
    pub weights: Vec<f64>,
    /// The weight that is best for all queries together.
    pub global: f64,
    /// The least predicted gain for which a query leaves the global weight; `None`: none does, the features do not say
    /// enough.
    pub margin: Option<f64>,
}

/// The weight of one query.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Chosen {
    /// The weight.
    pub weight: f64,
    /// What the model promises over the global weight, also where that is less than the margin.
    pub predicted_gain: f64,
}

/// One query under a rule that was fitted without it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// What it was given.
    pub chosen: Chosen,
    /// The objective there.
    pub value: f64,
    /// The global weight of the same queries.
    pub global: f64,
    /// The objective there: what `value` is to be compared with by a paired test.
    pub global_value: f64,
}

/// A rule, its model, and how the procedure does for queries it has not seen.
#[derive(Debug)]
pub struct FittedAdaptive<M> {
    /// Fitted with all queries.
    pub rule: Adaptive,
    /// Fitted with all queries.
    pub model: M,
    /// One for each query.
    pub held_out: Vec<HeldOut>,
}

/// What the model sees of a query with features `f` at a weight `δ` above the global one:
/// `δ, δ², f₁ … fₙ, δ·f₁ … δ·fₙ`.
///
/// Its target is the gain over the global weight. The products let a model that is linear in the row choose a weight that
/// depends on the query: a gain of the form `δ·(a + b·f) − c·δ²` has its peak where the features say.
pub fn row(features: &[f64], weight: f64, global: f64) -> Vec<f64> {
    let difference = weight - global;
    let products = features.iter().map(|feature| difference * feature);
    [difference, difference * difference].into_iter().chain(features.iter().copied()).chain(products).collect()
}

impl Adaptive {
    /// The weight for a query of these features: that of the highest prediction, if it promises the margin over the global
    /// weight, else the global one. Of equal predictions the nearest to the global weight counts, then the lower weight. A
    /// prediction that is not a number counts as no gain.
    pub fn choose(&self, features: &[f64], predict: impl Fn(&[f64]) -> f64) -> Chosen {
        let best = self.promising(features, predict);
        let is_enough = self.margin.is_some_and(|margin| best.predicted_gain >= margin);
        if is_enough { best } else { Chosen { weight: self.global, ..best } }
    }

    /// The weight of the highest predicted gain; the global weight with 0 where none is above 0.
    fn promising(&self, features: &[f64], predict: impl Fn(&[f64]) -> f64) -> Chosen {
        let predicted = |weight: f64| predict(&row(features, weight, self.global));
        let base = predicted(self.global);
        let mut best = Chosen { weight: self.global, predicted_gain: 0.0 };
        for &weight in self.weights.iter().filter(|&&weight| weight != self.global) {
            let gain = predicted(weight) - base;
            let nearer = (weight - self.global).abs() < (best.weight - self.global).abs();
            if gain > best.predicted_gain || (gain == best.predicted_gain && gain > 0.0 && nearer) {
                best = Chosen { weight, predicted_gain: gain };
            }
        }
        best
    }
}

/// Fits a rule that gives each query its own weight, and measures it by nested cross-validation over queries.
///
/// `fit(rows, targets)` is the learner: it is given one [`row`] and one target for each query and weight and answers a model
/// that predicts the target of a row. The rows of a query stand together, in the order of the weights. It is called
/// `(folds + 1) · (inner_folds + 1)` times.
///
/// With some queries a rule is fitted so:
/// 1. The global weight is the one of the highest mean objective.
/// 2. Inner folds: a model fitted without a query predicts its best weight and the gain over the global one. (The global
///    weight is that of all of them; only the choice of the margin sees that.)
/// 3. The margin is the predicted gain from which on the queries gained most in sum. If that sum is not one standard error
///    above 0, the margin is `None`: every query keeps the global weight.
/// 4. The model is fitted with all of them.
///
/// `held_out` has for each query what a rule fitted without it gives, beside the global weight of the same fit.
///
/// # Errors
/// [`TuneError::Setting`], [`TuneError::Shape`], [`TuneError::Cell`], [`TuneError::TooFewQueries`],
/// [`TuneError::Model`], [`TuneError::Stopped`].
pub fn fit_adaptive<M: Fn(&[f64]) -> f64>(
    curves: &Curves<'_>,
    fit: impl Fn(&[Vec<f64>], &[f64]) -> std::result::Result<M, Box<dyn Error + Send + Sync>>,
    options: &AdaptiveOptions,
    is_stopped: &dyn Fn() -> bool,
) -> Result<FittedAdaptive<M>> {
    check(curves, options.prior)?;
    let queries = curves.values.len();
    let fitting = Fitting { curves, fit, options, is_stopped, candidates: candidates(curves, options.prior) };
    let mut held_out = vec![None; queries];
    for Part { train, test } in split(queries, options.folds, options.seed)? {
        let (rule, model) = fitting.rule(&train)?;
        for query in test {
            let chosen = rule.choose(&curves.features[query], &model);
            let (value, global_value) = (fitting.value(query, chosen.weight), fitting.value(query, rule.global));
            held_out[query] = Some(HeldOut { chosen, value, global: rule.global, global_value });
        }
    }
    let (rule, model) = fitting.rule(&(0..queries).collect::<Vec<_>>())?;
    Ok(FittedAdaptive { rule, model, held_out: held_out.into_iter().flatten().collect() })
}

struct Fitting<'a, L> {
    curves: &'a Curves<'a>,
    fit: L,
    options: &'a AdaptiveOptions,
    is_stopped: &'a dyn Fn() -> bool,
    /// The weights as points of a tuning.
    candidates: Vec<Candidate>,
}

impl<M, L> Fitting<'_, L>
where
    M: Fn(&[f64]) -> f64,
    L: Fn(&[Vec<f64>], &[f64]) -> std::result::Result<M, Box<dyn Error + Send + Sync>>,
{
    fn rule(&self, queries: &[usize]) -> Result<(Adaptive, M)> {
        let weights = self.curves.weights.to_vec();
        let all: Vec<usize> = (0..weights.len()).collect();
        let is_few = self.curves.values.len() < self.options.few_queries;
        let choose = if is_few { one_standard_error } else { best_of };
        let global = weights[choose(&self.candidates, &all, queries)];
        let mut rule = Adaptive { weights, global, margin: None };

        let mut gains = Vec::new();
        for part in split(queries.len(), self.options.inner_folds, self.options.seed)? {
            let train: Vec<usize> = part.train.iter().map(|&at| queries[at]).collect();
            let model = self.model(&train, global)?;
            for query in part.test.iter().map(|&at| queries[at]) {
                let chosen = rule.promising(&self.curves.features[query], &model);
                let gain = self.value(query, chosen.weight) - self.value(query, global);
                gains.push((chosen.predicted_gain, gain));
            }
        }
        rule.margin = margin(gains);
        Ok((rule, self.model(queries, global)?))
    }

    fn model(&self, queries: &[usize], global: f64) -> Result<M> {
        if (self.is_stopped)() {
            return Err(TuneError::Stopped);
        }
        let (mut rows, mut targets) = (Vec::new(), Vec::new());
        for &query in queries {
            for &weight in self.curves.weights {
                rows.push(row(&self.curves.features[query], weight, global));
                targets.push(self.value(query, weight) - self.value(query, global));
            }
        }
        (self.fit)(&rows, &targets).map_err(TuneError::Model)
    }

    /// The objective of a query at one of the weights.
    fn value(&self, query: usize, weight: f64) -> f64 {
        let at = self.curves.weights.iter().position(|&other| other == weight).unwrap_or(0);
        self.curves.values[query][at]
    }
}

/// From the predicted and the true gain of each query: the predicted gain from which on the true gains have the largest sum,
/// of equal sums the largest margin; `None` where no sum is above its standard error.
pub(super) fn margin(mut gains: Vec<(f64, f64)>) -> Option<f64> {
    gains.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut taken = vec![0.0; gains.len()];
    let mut best: Option<(f64, f64)> = None;
    for (at, &(predicted, gain)) in gains.iter().enumerate().take_while(|(_, (predicted, _))| *predicted > 0.0) {
        taken[at] = gain;
        // Queries of one predicted gain leave together or stay together.
        if gains.get(at + 1).is_some_and(|next| next.0 == predicted) {
            continue;
        }
        let (mean, error) = mean_and_error(&taken);
        // The gain of one query alone is exactly one standard error, and does not suffice.
        if mean > error * (1.0 + ROUNDING) && best.is_none_or(|(highest, _)| mean > highest) {
            best = Some((mean, predicted));
        }
    }
    best.map(|(_, margin)| margin)
}

fn candidates(curves: &Curves<'_>, prior: f64) -> Vec<Candidate> {
    let of = |(at, &weight): (usize, &f64)| Candidate {
        point: Point::default(),
        distance: (weight - prior).abs(),
        values: curves.values.iter().map(|values| values[at]).collect(),
    };
    curves.weights.iter().enumerate().map(of).collect()
}

fn check(curves: &Curves<'_>, prior: f64) -> Result<()> {
    let ascending = curves.weights.windows(2).all(|pair| pair[0] < pair[1]);
    let is_usable = ascending && curves.weights.len() > 1 && curves.weights.iter().all(|weight| weight.is_finite());
    if !is_usable {
        let allowed = "give at least two finite weights, ascending, each once";
        return Err(TuneError::Setting { name: "weights", value: curves.weights.len() as f64, allowed });
    }
    if !prior.is_finite() {
        return Err(TuneError::Setting { name: "prior", value: prior, allowed: "give a finite weight" });
    }
    let (queries, rows) = (curves.values.len(), curves.features.len());
    if queries != rows {
        let query = queries.min(rows);
        return Err(TuneError::Shape { field: "features", query, found: 0, expected: usize::from(rows < queries) });
    }
    let columns = curves.features.first().map_or(0, Vec::len);
    let tables = [("values", curves.values, curves.weights.len()), ("features", curves.features, columns)];
    for (field, table, expected) in tables {
        for (query, row) in table.iter().enumerate() {
            if row.len() != expected {
                return Err(TuneError::Shape { field, query, found: row.len(), expected });
            }
            if let Some((position, &value)) = row.iter().enumerate().find(|(_, value)| !value.is_finite()) {
                return Err(TuneError::Cell { field, query, position, value });
            }
        }
    }
    Ok(())
}
