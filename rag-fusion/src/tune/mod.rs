//! Weights and parameters fitted on judgments.
//!
//! What is good is the caller's business: [`tune`] is given a function that says how good a point is for a query, such as the
//! nDCG@10 of the fused ranking, and never sees a run or a judgment.
//!
//! ```
//! use rag_fusion::tune::{Options, Parameter, Space, Watch, tune};
//! let space = Space::new([("w", Parameter::Linear { low: 0.0, high: 1.0, step: 0.1 })])?;
//! // Each of 40 queries is best at a weight near 0.7.
//! let objective = |point: &_, query: usize| {
//!     let w = rag_fusion::tune::Point::number(point, "w").unwrap_or(0.0);
//!     1.0 - (w - 0.7 - 0.001 * query as f64).powi(2)
//! };
//! let tuned = tune(&space, 40, &objective, &Options::default(), &Watch::default())?;
//! assert_eq!(tuned.best.number("w"), Some(0.7));
//! // What to compare with the prior by a paired test: no query's value comes from a point chosen with that query.
//! assert_eq!((tuned.held_out.len(), tuned.prior_values.len()), (40, 40));
//! # Ok::<(), rag_fusion::tune::TuneError>(())
//! ```

mod adaptive;
mod error;
mod features;
mod parameter;
mod search;
mod space;

pub use adaptive::{Adaptive, AdaptiveOptions, Chosen, Curves, FittedAdaptive, HeldOut, fit_adaptive, row};
pub use error::{Result, TuneError};
pub use features::{query_feature_names, query_features};
pub use parameter::{Parameter, Value};
pub use space::{Point, Space};

use serde::{Deserialize, Serialize};

use crate::random::SplitMix64;
use search::{Candidate, Table, best_of, mean_of, one_standard_error};

/// How to tune.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields, default)]
pub struct Options {
    /// Parts of the queries, each held out once; from 2 to the number of queries.
    pub folds: usize,
    /// What the folds and the drawn points follow from.
    pub seed: u64,
    /// Most points that one search looks at, beside the prior; at least 1. A grid of no more points is looked at whole.
    pub budget: usize,
    /// With fewer judged queries than this the point is chosen by the one-standard-error rule instead of the highest mean;
    /// 0 switches the rule off.
    pub few_queries: usize,
    /// What is kept where the judgments do not speak against it, such as the configuration in use. `None`: the centre of the
    /// space. It is a candidate even beside the grid.
    pub prior: Option<Point>,
    /// Threads that work; 0: one for each processor, 1: the thread of the caller and no other.
    pub threads: usize,
}

impl Default for Options {
    /// Five folds, 1,000 points, few queries are those below 30.
    fn default() -> Self {
        Options { folds: 5, seed: 0, budget: 1000, few_queries: 30, prior: None, threads: 0 }
    }
}

/// How far a tuning is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Values of the objective that are there.
    pub evaluations: usize,
    /// As many as there can be at most.
    pub limit: usize,
}

/// What the caller hears and says in between, on its own thread. The default hears nothing and never stops.
pub struct Watch<'a> {
    /// Asked between points; `true` ends the tuning with [`TuneError::Stopped`].
    pub is_stopped: &'a dyn Fn() -> bool,
    /// Called after each block of points.
    pub progress: &'a dyn Fn(Progress),
}

impl Default for Watch<'_> {
    fn default() -> Self {
        Watch { is_stopped: &|| false, progress: &|_| () }
    }
}

/// By which rule the points were chosen.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The highest mean; of equal ones the nearest to the prior, then the first evaluated.
    Best,
    /// Of the points not worse than the best by more than one standard error of their paired differences, nor worse than
    /// the prior, the nearest to it; of equally near ones the better (after Breiman, Friedman, Olshen & Stone 1984, section 3.4.3).
    OneStandardError,
}

/// A point and what it gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// The point.
    pub point: Point,
    /// Mean of the objective over all queries.
    pub mean: f64,
    /// Sample deviation of its means over the queries of each fold.
    pub fold_deviation: f64,
}

/// One part of the queries held out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fold {
    /// The queries held out, ascending.
    pub queries: Vec<usize>,
    /// The point that all others chose.
    pub chosen: Point,
    /// Its mean over those others.
    pub train_mean: f64,
    /// Its mean over the queries held out.
    pub held_out_mean: f64,
}

/// What a tuning found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tuned {
    /// The point chosen with all queries: the one to use.
    pub best: Point,
    /// Its mean over all queries. It was chosen with these, so it promises too much: report the mean of `held_out`.
    pub best_mean: f64,
    /// The point that was there before.
    pub prior: Point,
    /// By which rule `best` and the points of the folds were chosen.
    pub rule: Rule,
    /// Whether the whole grid was looked at.
    pub exhaustive: bool,
    /// Every point that was looked at: the prior, then in the order of the search (of the grid, if it is exhaustive).
    pub curve: Vec<CurvePoint>,
    /// The cross-validation.
    pub folds: Vec<Fold>,
    /// For each query the objective at the point that was chosen without it.
    pub held_out: Vec<f64>,
    /// For each query the objective at `best`.
    pub best_values: Vec<f64>,
    /// For each query the objective at the prior: what `held_out` is to be compared with.
    pub prior_values: Vec<f64>,
    /// How often the objective was called.
    pub evaluations: usize,
}

/// Finds the point of `space` with the highest mean of `objective(point, query)` over the queries `0..queries`.
///
/// A grid of at most `options.budget` points is evaluated whole, each point once. Of a larger one each search takes the prior
/// and points drawn evenly for half of the budget (Bergstra & Bengio 2012), then moves from the best of them to better
/// neighbours with a stride that starts at about a quarter of the longest parameter and halves where none is better (pattern
/// search: Hooke & Jeeves 1961; weights move between two runs), until the stride is below one step or the budget is
/// spent. There is one search for all queries and one for each fold, and they share what was evaluated: the objective is
/// called at most `(folds + 1) · budget · queries` times, and `queries` times for the prior.
///
/// The cross-validation is nested: the point of a fold is searched and chosen without the queries of the fold, so that
/// `held_out` is what the whole procedure gives for queries it has not seen. With fewer than `options.few_queries` queries
/// the rule is [`Rule::OneStandardError`], in each fold as for all: little evidence keeps the prior, instead of
/// following the luck of a few queries. That loses something where the prior is far off, though not against keeping it; who
/// has no prior to trust sets `few_queries` to 0.
///
/// The answer depends on the arguments alone, not on the threads.
///
/// # Errors
/// [`TuneError::TooFewQueries`], [`TuneError::Setting`], [`TuneError::Prior`], [`TuneError::NotFinite`],
/// [`TuneError::Threads`], [`TuneError::Stopped`].
pub fn tune<F: Fn(&Point, usize) -> f64 + Sync>(
    space: &Space,
    queries: usize,
    objective: &F,
    options: &Options,
    watch: &Watch<'_>,
) -> Result<Tuned> {
    let parts = split(queries, options.folds, options.seed)?;
    if options.budget == 0 {
        return Err(TuneError::Setting { name: "budget", value: 0.0, allowed: "give at least 1 point" });
    }
    let prior = options.prior.clone().unwrap_or_else(|| space.centre());
    space.check_prior(&prior)?;
    let exhaustive = space.size() <= options.budget as f64;
    let points = if exhaustive { space.size() as usize } else { options.budget.saturating_mul(options.folds + 1) };
    let limit = points.saturating_add(1).saturating_mul(queries);
    let mut table = Table::new(space, &prior, queries, objective, watch, options.threads, limit)?;
    let rule = if queries < options.few_queries { Rule::OneStandardError } else { Rule::Best };
    let choose = match rule {
        Rule::Best => best_of,
        Rule::OneStandardError => one_standard_error,
    };

    let whole: Vec<usize> = (0..queries).collect();
    let grid = if exhaustive { Some(table.exhaust()?) } else { None };
    let mut chosen_with = |train: &[usize]| {
        let seen = match &grid {
            Some(grid) => grid.clone(),
            None => table.search(train, options.budget, options.seed)?,
        };
        Ok(choose(&table.candidates, &seen, train))
    };
    let best = chosen_with(&whole)?;
    let of_folds = parts.iter().map(|part| chosen_with(&part.train)).collect::<Result<Vec<usize>>>()?;

    let candidates = &table.candidates;
    let mut held_out = vec![0.0; queries];
    let mut folds = Vec::new();
    for (part, chosen) in parts.iter().zip(of_folds) {
        let Candidate { point, values, .. } = &candidates[chosen];
        part.test.iter().for_each(|&query| held_out[query] = values[query]);
        folds.push(Fold {
            queries: part.test.clone(),
            chosen: point.clone(),
            train_mean: mean_of(values, &part.train),
            held_out_mean: mean_of(values, &part.test),
        });
    }
    Ok(Tuned {
        best: candidates[best].point.clone(),
        best_mean: mean_of(&candidates[best].values, &whole),
        rule,
        exhaustive,
        curve: candidates.iter().map(|candidate| curve_point(candidate, &whole, &parts)).collect(),
        folds,
        held_out,
        best_values: candidates[best].values.clone(),
        prior_values: candidates[0].values.clone(),
        evaluations: table.evaluations(),
        prior: prior.clone(),
    })
}

fn curve_point(candidate: &Candidate, whole: &[usize], parts: &[Part]) -> CurvePoint {
    let means: Vec<f64> = parts.iter().map(|part| mean_of(&candidate.values, &part.test)).collect();
    let (_, error) = search::mean_and_error(&means);
    CurvePoint {
        point: candidate.point.clone(),
        mean: mean_of(&candidate.values, whole),
        fold_deviation: error * (means.len() as f64).sqrt(),
    }
}

/// Queries to choose with and queries to measure with, both ascending.
struct Part {
    train: Vec<usize>,
    test: Vec<usize>,
}

/// Each query held out once, the sizes of the parts differing by at most one.
fn split(queries: usize, folds: usize, seed: u64) -> Result<Vec<Part>> {
    if folds < 2 || folds > queries {
        return Err(TuneError::TooFewQueries { queries, folds });
    }
    let mut order: Vec<usize> = (0..queries).collect();
    SplitMix64::new(seed).shuffle(&mut order);
    let mut fold_of = vec![0; queries];
    order.iter().enumerate().for_each(|(position, &query)| fold_of[query] = position % folds);
    let part = |fold| {
        let (test, train) = (0..queries).partition(|&query| fold_of[query] == fold);
        Part { train, test }
    };
    Ok((0..folds).map(part).collect())
}

#[cfg(test)]
mod adaptive_tests;
#[cfg(test)]
mod space_tests;
#[cfg(test)]
mod tests;
