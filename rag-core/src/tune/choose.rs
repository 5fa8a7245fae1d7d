//! The comparison, on candidates that are there.

use std::collections::HashMap;

use rag_fusion::tune::{CurvePoint as Tried, Options, Parameter, Point, Space, Tuned, Value, Watch, tune};
use rag_ltr::significance::{Resampling, bootstrap, randomization_test};
use rayon::prelude::*;

use super::adapt::{adapt, inner_folds};
use super::report::{Comparison, CurvePoint, FormulaReport, Named, TuneReport};
use super::{DENSE, Formula, FusionChoice, LEXICAL, NOT_THERE, Pool, TuneOptions};
use crate::config::FusionConfig;
use crate::error::{Error, ErrorKind, Result};

const FORMULA: &str = "formula";
const WEIGHT: &str = "dense_weight";

/// Compares the formulas of the options, and that in use, on the candidates of judged queries.
pub(crate) fn choose(
    pools: &[Pool],
    in_use: &FusionConfig,
    in_use_weight: f64,
    options: &TuneOptions,
) -> Result<TuneReport> {
    let current = Formula::of(in_use)?;
    let mut formulas = options.formulas()?;
    if !formulas.iter().any(|formula| formula.name == current.name) {
        formulas.push(current.clone());
    }
    let table = Table::new(pools, &formulas, options.weights()?, options)?;
    let prior = point(&current.name, in_use_weight);
    let names = || formulas.iter().map(|formula| formula.name.clone()).collect::<Vec<_>>();
    let tuned = table.tune(names(), Some(prior))?;
    let chosen = table.choice(&tuned.best)?;

    let of_formula = |formula: &Formula| {
        let prior = (formula.name == current.name).then(|| point(&formula.name, in_use_weight));
        let tuned = table.tune(vec![formula.name.clone()], prior)?;
        Ok(FormulaReport { choice: table.choice(&tuned.best)?, held_out: mean(&tuned.held_out), best: tuned.best_mean })
    };
    let mut of_formulas = formulas.iter().map(of_formula).collect::<Result<Vec<_>>>()?;
    of_formulas.sort_by(|one, other| other.held_out.total_cmp(&one.held_out));

    let baselines = [
        ("lexical", table.of_run(LEXICAL)),
        ("dense", table.of_run(DENSE)),
        ("rrf", table.values(&point("rrf(60)", 0.5))?),
        ("in use", tuned.prior_values.clone()),
    ];
    let resampling = Resampling::default().with_seed(options.seed);
    let compared = baselines.iter().map(|(name, values)| Comparison::of(name, values, &tuned.held_out, resampling));
    let comparisons = compared.collect::<Result<Vec<_>>>()?;
    let adapted = || adapt(&table, &chosen, in_use_weight, &tuned.held_out, resampling);
    let is_enough = inner_folds(pools.len(), options.folds) >= 2;
    let adaptive = (options.adaptive && is_enough).then(adapted).transpose()?;
    let relevant = || pools.iter().flat_map(|pool| &pool.grades).filter(|(_, grade)| **grade > 0);
    Ok(TuneReport {
        metric: options.metric.to_string(),
        queries: pools.len(),
        relevant: relevant().count(),
        missing: relevant().filter(|(document, _)| **document >= NOT_THERE).count(),
        folds: options.folds,
        seed: options.seed,
        few_queries: pools.len() < options.few_queries,
        held_out: Named { name: "tuned".to_owned(), mean: mean(&tuned.held_out) },
        chosen_mean: tuned.best_mean,
        baselines: baselines
            .iter()
            .map(|(name, values)| Named { name: (*name).to_owned(), mean: mean(values) })
            .collect(),
        comparisons,
        of_folds: tuned.folds.iter().map(|fold| table.choice(&fold.chosen)).collect::<Result<_>>()?,
        curve: curve(&tuned, &chosen.formula),
        formulas: of_formulas,
        adaptive,
        in_use: FusionChoice::new(&current, in_use_weight),
        chosen,
    })
}

/// The means of the weights of one formula.
fn curve(tuned: &Tuned, formula: &str) -> Vec<CurvePoint> {
    let of_formula = |tried: &&Tried| tried.point.choice(FORMULA) == Some(formula);
    let point = |tried: &Tried| {
        let dense_weight = tried.point.number(WEIGHT).unwrap_or_default();
        CurvePoint { dense_weight, mean: tried.mean }
    };
    let mut curve: Vec<CurvePoint> = tuned.curve.iter().filter(of_formula).map(point).collect();
    curve.sort_by(|one, other| one.dense_weight.total_cmp(&other.dense_weight));
    curve.dedup();
    curve
}

impl Comparison {
    pub(super) fn of(name: &str, baseline: &[f64], values: &[f64], resampling: Resampling) -> Result<Comparison> {
        let interval = bootstrap(baseline, values, resampling)?;
        Ok(Comparison {
            against: name.to_owned(),
            difference: interval.mean_difference,
            low: interval.low,
            high: interval.high,
            p: randomization_test(baseline, values, resampling)?,
        })
    }
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn point(formula: &str, dense_weight: f64) -> Point {
    Point::new([(FORMULA, Value::Choice(formula.to_owned())), (WEIGHT, Value::Number(dense_weight))])
}

/// What each formula is worth at each weight for each query.
pub(super) struct Table<'a> {
    pub(super) pools: &'a [Pool],
    pub(super) options: &'a TuneOptions,
    pub(super) weights: Vec<f64>,
    formulas: HashMap<&'a str, &'a Formula>,
    /// By formula: for each query the value at each weight.
    values: HashMap<&'a str, Vec<Vec<f64>>>,
}

impl<'a> Table<'a> {
    fn new(pools: &'a [Pool], formulas: &'a [Formula], weights: Vec<f64>, options: &'a TuneOptions) -> Result<Self> {
        let of_formula = |formula: &'a Formula| {
            let of_pool = |pool: &Pool| {
                options.cancel.check()?;
                weights.iter().map(|&weight| pool.value(formula, weight, options.metric)).collect::<Result<Vec<f64>>>()
            };
            Ok((formula.name.as_str(), pools.par_iter().map(of_pool).collect::<Result<_>>()?))
        };
        let values = formulas.iter().map(of_formula).collect::<Result<_>>()?;
        let formulas = formulas.iter().map(|formula| (formula.name.as_str(), formula)).collect();
        Ok(Table { pools, options, weights, formulas, values })
    }

    /// Nested cross-validation over some formulas and all weights.
    fn tune(&self, formulas: Vec<String>, prior: Option<Point>) -> Result<Tuned> {
        let space = Space::new([
            (FORMULA, Parameter::Choice { values: formulas }),
            (WEIGHT, Parameter::Linear { low: 0.0, high: 1.0, step: self.options.step }),
        ]);
        let space = space.map_err(|error| Error::internal(error.to_string()).with_source(error))?;
        let options = Options {
            folds: self.options.folds,
            seed: self.options.seed,
            budget: space.size() as usize,
            few_queries: self.options.few_queries,
            prior,
            threads: 1, // it only looks up
        };
        let is_stopped = || self.options.cancel.check().is_err();
        let watch = Watch { is_stopped: &is_stopped, ..Watch::default() };
        let value = |point: &Point, query: usize| self.value(point, query).unwrap_or(f64::NAN);
        tune(&space, self.pools.len(), &value, &options, &watch).map_err(|error| match self.options.cancel.check() {
            Err(stopped) => stopped,
            Ok(()) => Error::new(ErrorKind::InvalidArgument, error.to_string()).with_source(error),
        })
    }

    fn value(&self, point: &Point, query: usize) -> Result<f64> {
        let (name, weight) = (point.choice(FORMULA).unwrap_or_default(), point.number(WEIGHT).unwrap_or_default());
        let at = self.weights.iter().position(|&other| (other - weight).abs() < 1e-9);
        match (at, self.values.get(name)) {
            (Some(at), Some(values)) => Ok(values[query][at]),
            _ => self.pools[query].value(&self.formula(name)?, weight, self.options.metric),
        }
    }

    fn formula(&self, name: &str) -> Result<Formula> {
        match self.formulas.get(name) {
            Some(&formula) => Ok(formula.clone()),
            None if name == "rrf(60)" => {
                Formula::of(&FusionConfig { method: "rrf".to_owned(), ..FusionConfig::default() })
            }
            None => Err(Error::internal(format!("there is no formula {name}"))),
        }
    }

    fn choice(&self, point: &Point) -> Result<FusionChoice> {
        let formula = self.formula(point.choice(FORMULA).unwrap_or_default())?;
        Ok(FusionChoice::new(&formula, point.number(WEIGHT).unwrap_or_default()))
    }

    fn values(&self, point: &Point) -> Result<Vec<f64>> {
        (0..self.pools.len()).map(|query| self.value(point, query)).collect()
    }

    fn of_run(&self, name: &str) -> Vec<f64> {
        self.pools.iter().map(|pool| pool.value_of(name, self.options.metric)).collect()
    }

    /// For each query the value at each weight.
    pub(super) fn curves(&self, formula: &str) -> &[Vec<f64>] {
        self.values.get(formula).map_or(&[], Vec::as_slice)
    }
}
