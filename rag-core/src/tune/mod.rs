//! Which fusion suits a collection: formulas and weights compared on judged queries.
//!
//! [`Engine::tune`](crate::Engine::tune) retrieves the candidates of each judged query once; everything else happens on
//! these. What is chosen is measured by nested cross-validation: the queries of each fold are ranked by the formula and the
//! weight that all others chose ([`rag_fusion::tune`]), so the figure that is reported is not that of the luckiest of
//! many candidates.
//!
//! ```
//! use std::collections::BTreeMap;
//! use rag_core::tune::{JudgedQuery, TuneOptions};
//! use rag_core::{Document, Engine, Scope};
//! let folder = tempfile::tempdir()?;
//! let (engine, scope) = (Engine::open(folder.path())?, Scope::default());
//! let text = |i: usize| format!("{} number {i}", ["fresh bread", "snow on the road", "the bakery"][i % 3]);
//! engine.upsert(&scope, (0..12).map(|i| Document::new(format!("d{i}"), text(i))).collect())?;
//! engine.commit()?;
//! let judged = |i: usize| JudgedQuery::new(text(i), BTreeMap::from([(format!("d{i}"), 1)]));
//! let report = engine.tune(&scope, &(0..12).map(judged).collect::<Vec<_>>(), &TuneOptions::default())?;
//! assert!(report.held_out.mean > 0.5);
//! assert!(report.to_toml("an example").contains("[engine.fusion]"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod adapt;
mod choose;
mod report;

use std::collections::BTreeMap;

use rag_fusion::{Fused, Method, Normalization, Parameters, Run, Weighted, fuse};
use rag_ltr::metrics::{GradedRanking, Metric};
use serde::{Deserialize, Serialize};

use crate::config::FusionConfig;
use crate::error::{Error, Result};
use crate::types::Cancel;
pub(crate) use choose::choose;
pub use report::{AdaptiveReport, Comparison, CurvePoint, FormulaReport, Named, TuneReport};

/// Most judged queries of one call.
const MAX_QUERIES: usize = 100_000;

/// A query and what is known of its documents.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedQuery {
    /// The words of the query.
    pub text: String,
    /// Documents by id: their grades, 1 and more for relevant ones. Ids that the folder lacks count as never found.
    pub grades: BTreeMap<String, i32>,
}

impl JudgedQuery {
    /// A query with its judgments.
    pub fn new(text: impl Into<String>, grades: BTreeMap<String, i32>) -> Self {
        JudgedQuery { text: text.into(), grades }
    }
}

/// What is compared, and how.
#[derive(Debug, Clone)]
pub struct TuneOptions {
    /// What is good: the mean of this over the queries. Default nDCG@10.
    pub metric: Metric,
    /// Formulas to compare, by the names of [`FusionConfig::method`]. Default `convex` and `rrf`, the latter with four values
    /// of its constant.
    pub methods: Vec<String>,
    /// Scales to compare, for formulas that look at scores, by the names of [`FusionConfig::normalization`]. Default all.
    pub normalizations: Vec<String>,
    /// Step of the weight of the dense run from 0 to 1; 1 divided by it is a whole number. Default 0.05.
    pub step: f64,
    /// Parts of the queries, each held out once. Default 5.
    pub folds: usize,
    /// What the parts and the resampling follow from. Default 0.
    pub seed: u64,
    /// With fewer queries than this the configuration in use is kept unless another one is better by more than one standard
    /// error; 0: the best mean is chosen. Default 1000.
    pub few_queries: usize,
    /// Whether to fit a weight for each query as well; not done with fewer than 2 queries outside of a fold. Default true.
    pub adaptive: bool,
    /// The caller's way to stop, and the deadline.
    pub cancel: Cancel,
}

impl Default for TuneOptions {
    fn default() -> Self {
        TuneOptions {
            metric: Metric::ndcg_at(10),
            methods: vec!["convex".to_owned(), "rrf".to_owned()],
            normalizations: Normalization::NAMES.iter().map(|&name| name.to_owned()).collect(),
            step: 0.05,
            folds: 5,
            seed: 0,
            few_queries: 1000,
            adaptive: true,
            cancel: Cancel::never(),
        }
    }
}

impl TuneOptions {
    /// The weights of the dense run, ascending.
    ///
    /// # Errors
    /// `InvalidArgument`, naming the field.
    fn weights(&self) -> Result<Vec<f64>> {
        let parts = (1.0 / self.step).round();
        if !(1.0..=1000.0).contains(&parts) || (parts * self.step - 1.0).abs() > 1e-9 {
            let step = self.step;
            return Err(Error::invalid(format!(
                "`step` is {step}; give 1 divided by a whole number up to 1000, such as 0.05"
            )));
        }
        Ok((0..=parts as usize).map(|part| part as f64 / parts).collect())
    }

    /// The formulas, each once.
    ///
    /// # Errors
    /// `InvalidArgument`, naming the field.
    fn formulas(&self) -> Result<Vec<Formula>> {
        let mut formulas: Vec<Formula> = Vec::new();
        for method in &self.methods {
            for parameters in parameters_of(method) {
                let reads_scores = Method::from_name(method, parameters).is_ok_and(|method| method.reads_scores());
                let default = [FusionConfig::default().normalization];
                for scale in if reads_scores { &self.normalizations[..] } else { &default[..] } {
                    let formula = Formula::new(method, scale, parameters)?;
                    if !formulas.iter().any(|other| other.name == formula.name) {
                        formulas.push(formula);
                    }
                }
            }
        }
        if formulas.is_empty() {
            return Err(Error::invalid("`methods` or `normalizations` is empty; name at least one of each"));
        }
        Ok(formulas)
    }
}

/// The values of a formula's own parameter that are compared.
fn parameters_of(method: &str) -> Vec<Parameters> {
    let each = |values: &[f64], set: fn(&mut Parameters, f64)| {
        let of = |&value: &f64| {
            let mut parameters = Parameters::default();
            set(&mut parameters, value);
            parameters
        };
        values.iter().map(of).collect()
    };
    match method {
        "rrf" => each(&[10.0, 30.0, 60.0, 100.0], |parameters, k| parameters.k = Some(k)),
        "logn_isr" => each(&[0.001, 0.01, 0.1], |parameters, sigma| parameters.sigma = Some(sigma)),
        "gmnz" => each(&[0.25, 0.5, 2.0], |parameters, gamma| parameters.gamma = Some(gamma)),
        "rbc" => each(&[0.8, 0.9, 0.95], |parameters, phi| parameters.phi = Some(phi)),
        _ => vec![Parameters::default()],
    }
}

/// How runs become one, without their weights.
#[derive(Debug, Clone)]
pub(crate) struct Formula {
    /// As in explanations: `convex(min_max)`, `rrf(60)`.
    pub(crate) name: String,
    config: FusionConfig,
    method: Method,
    normalization: Normalization,
}

impl Formula {
    fn new(method: &str, normalization: &str, parameters: Parameters) -> Result<Formula> {
        let Parameters { k, sigma, gamma, phi } = parameters;
        let (method, normalization) = (method.to_owned(), normalization.to_owned());
        Formula::of(&FusionConfig { method, normalization, k, sigma, gamma, phi, ..FusionConfig::default() })
    }

    /// That of a configuration.
    ///
    /// # Errors
    /// `InvalidArgument`, naming the field.
    pub(crate) fn of(config: &FusionConfig) -> Result<Formula> {
        let (method, normalization) = config.formula()?;
        let (name, scale) = (&config.method, &config.normalization);
        let name = match &method {
            Method::Rrf { k: parameter } | Method::LognIsr { sigma: parameter } | Method::Rbc { phi: parameter } => {
                format!("{name}({parameter})")
            }
            Method::Gmnz { gamma } => format!("{name}({gamma}, {scale})"),
            method if method.reads_scores() => format!("{name}({scale})"),
            _ => name.clone(),
        };
        Ok(Formula { name, config: config.clone(), method, normalization })
    }

    /// Two runs, dense and lexical, with this weight of the dense one; one run alone has the weight 1.
    pub(crate) fn fuse(&self, runs: &[(&'static str, &Run)], dense_weight: f64) -> Result<Fused> {
        let weight = |name: &str| match runs.len() {
            2.. if name == DENSE => dense_weight,
            2.. => 1.0 - dense_weight,
            _ => 1.0,
        };
        let weighted: Vec<Weighted<'_>> = runs.iter().map(|(name, run)| Weighted::new(run, weight(name))).collect();
        fuse(&weighted, &self.method, &self.normalization, usize::MAX)
            .map_err(|error| Error::internal(format!("fusion: {error}")).with_source(error))
    }
}

/// Name of the run of nearest vectors.
pub(crate) const DENSE: &str = "dense";
/// Name of the run of BM25.
pub(crate) const LEXICAL: &str = "lexical";

/// Numbers from here on stand for judged documents that the folder lacks.
pub(crate) const NOT_THERE: u64 = 1 << 63;

/// The candidates of a judged query.
#[derive(Debug)]
pub(crate) struct Pool {
    /// Those of the retrievers that were asked and answered, dense first.
    pub(crate) runs: Vec<(&'static str, Run)>,
    /// By document number; documents that are not there have numbers that no document has.
    pub(crate) grades: BTreeMap<u64, i32>,
}

impl Pool {
    fn value(&self, formula: &Formula, dense_weight: f64, metric: Metric) -> Result<f64> {
        let runs: Vec<(&'static str, &Run)> = self.runs.iter().map(|(name, run)| (*name, run)).collect();
        let fused = formula.fuse(&runs, dense_weight)?;
        Ok(self.measured(fused.hits().iter().map(|hit| &hit.id), metric))
    }

    /// Whether a relevant document is in the folder.
    pub(crate) fn has_relevant(&self) -> bool {
        self.grades.range(..NOT_THERE).any(|(_, &grade)| grade > 0)
    }

    /// One retriever alone; 0 where it was not asked or did not answer.
    fn value_of(&self, name: &str, metric: Metric) -> f64 {
        let run = self.runs.iter().find(|(run, _)| *run == name);
        run.map_or(0.0, |(_, run)| self.measured(run.hits().iter().map(|hit| &hit.id), metric))
    }

    fn measured<'a>(&self, ranked: impl Iterator<Item = &'a u64>, metric: Metric) -> f64 {
        GradedRanking::of(ranked, &self.grades).value(metric, 1)
    }
}

/// A fusion that can be configured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FusionChoice {
    /// As explanations name it: `convex(min_max)`, `rrf(60)`.
    pub formula: String,
    /// The formula.
    pub method: String,
    /// How each run is scaled first.
    pub normalization: String,
    /// Constant of `rrf`.
    pub k: Option<f64>,
    /// Of `logn_isr`.
    pub sigma: Option<f64>,
    /// Of `gmnz`.
    pub gamma: Option<f64>,
    /// Of `rbc`.
    pub phi: Option<f64>,
    /// Weight of the dense run; the lexical run has the rest.
    pub dense_weight: f64,
}

impl FusionChoice {
    fn new(formula: &Formula, dense_weight: f64) -> Self {
        let FusionConfig { method, normalization, k, sigma, gamma, phi, .. } = formula.config.clone();
        FusionChoice { formula: formula.name.clone(), method, normalization, k, sigma, gamma, phi, dense_weight }
    }
}

/// Checks what can be checked before anything is retrieved.
///
/// # Errors
/// `InvalidArgument`, naming the field.
pub(crate) fn check(queries: &[JudgedQuery], options: &TuneOptions) -> Result<()> {
    if queries.len() > MAX_QUERIES {
        return Err(Error::invalid(format!("`queries` are {}; give at most {MAX_QUERIES}", queries.len())));
    }
    if options.folds < 2 || options.folds > queries.len() {
        let (folds, count) = (options.folds, queries.len());
        return Err(Error::invalid(format!(
            "`folds` is {folds} with {count} judged queries; give 2 to {count}, and more queries"
        )));
    }
    for (position, query) in queries.iter().enumerate() {
        if query.text.trim().is_empty() {
            return Err(Error::invalid(format!("`queries[{position}].text` is empty; give the words of the query")));
        }
        if !query.grades.values().any(|&grade| grade > 0) {
            let message = format!("`queries[{position}].grades` has no relevant document; leave the query out");
            return Err(Error::invalid(message));
        }
    }
    options.weights()?;
    options.formulas().map(drop)
}
