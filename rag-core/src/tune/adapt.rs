//! A weight for each query, by what its runs say of it.

use rag_fusion::Run;
use rag_fusion::tune::{AdaptiveOptions, Curves, fit_adaptive, query_features};
use rag_ltr::model::Model;
use rag_ltr::significance::Resampling;
use rag_ltr::train::{Dataset, Linear, linear};
use rag_ltr::{Ranker, Rows};

use super::choose::{Table, mean};
use super::report::{AdaptiveReport, Comparison};
use super::{DENSE, FusionChoice, LEXICAL};
use crate::error::{Error, Result};

/// Hits of a run that count as its top.
const TOP: usize = 10;

/// Every so many weights are looked at: the model has a row for each.
const STRIDE: usize = 2;

/// Half the squared length of the model's weights counts this much a row.
const L2_PER_ROW: f64 = 0.01;

/// Parts that the queries outside of a fold are cut into; below 2 there are too few.
pub(super) fn inner_folds(queries: usize, folds: usize) -> usize {
    AdaptiveOptions::default().inner_folds.min(queries - queries.div_ceil(folds))
}

/// Fits a weight for each query beside the one weight of the chosen formula, and measures it by nested cross-validation. The
/// model is a ridge regression of the gain on the features of the runs.
pub(super) fn adapt(
    table: &Table<'_>,
    chosen: &FusionChoice,
    in_use_weight: f64,
    held_out: &[f64],
    resampling: Resampling,
) -> Result<AdaptiveReport> {
    let at: Vec<usize> = (0..table.weights.len()).step_by(STRIDE).collect();
    let weights: Vec<f64> = at.iter().map(|&at| table.weights[at]).collect();
    let pick = |values: &Vec<f64>| at.iter().map(|&at| values[at]).collect();
    let values: Vec<Vec<f64>> = table.curves(&chosen.formula).iter().map(pick).collect();
    let none = Run::new("none", std::iter::empty()).map_err(|error| Error::internal(error.to_string()))?;
    let features: Vec<Vec<f64>> = table
        .pools
        .iter()
        .map(|pool| {
            let run = |name| pool.runs.iter().find(|(run, _)| *run == name).map_or(&none, |(_, run)| run);
            query_features(&[run(DENSE), run(LEXICAL)], TOP)
        })
        .collect();
    let options = AdaptiveOptions {
        folds: table.options.folds,
        inner_folds: inner_folds(table.pools.len(), table.options.folds),
        seed: table.options.seed,
        few_queries: table.options.few_queries,
        prior: in_use_weight,
    };
    let is_stopped = || table.options.cancel.check().is_err();
    let curves = Curves { weights: &weights, values: &values, features: &features };
    let fitted = fit_adaptive(&curves, ridge, &options, &is_stopped).map_err(|error| {
        let stopped = table.options.cancel.check().err();
        stopped.unwrap_or_else(|| Error::invalid(format!("adaptive weights: {error}")).with_source(error))
    })?;
    let adapted: Vec<f64> = fitted.held_out.iter().map(|one| one.value).collect();
    let global: Vec<f64> = fitted.held_out.iter().map(|one| one.global_value).collect();
    Ok(AdaptiveReport {
        formula: chosen.formula.clone(),
        held_out: mean(&adapted),
        moved: fitted.held_out.iter().filter(|one| one.chosen.weight != one.global).count(),
        margin: fitted.rule.margin,
        global: Comparison::of("one weight", &global, &adapted, resampling)?,
        tuned: Comparison::of("tuned", held_out, &adapted, resampling)?,
    })
}

type Learned = Box<dyn Fn(&[f64]) -> f64>;
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn ridge(rows: &[Vec<f64>], targets: &[f64]) -> std::result::Result<Learned, Failure> {
    let columns = rows.first().map_or(0, Vec::len);
    let values: Vec<f32> = rows.iter().flatten().map(|&value| value as f32).collect();
    let labels: Vec<f32> = targets.iter().map(|&target| target as f32).collect();
    let data = Dataset::new(Rows::new(&values, columns)?, &labels, &[]);
    let parameters = Linear { l2: L2_PER_ROW * rows.len() as f64, ..Linear::default() };
    let ranker = Ranker::new(Model::Linear(linear(&data, &parameters, &|| false)?))?;
    Ok(Box::new(move |row: &[f64]| {
        let row: Vec<f32> = row.iter().map(|&value| value as f32).collect();
        let margins = Rows::new(&row, columns).and_then(|rows| ranker.margins(rows));
        margins.ok().and_then(|margins| margins.first().copied()).unwrap_or(f64::NAN)
    }))
}
