//! Tuning for languages: questions and judgments by id, and the report as JSON.

use std::collections::BTreeMap;

use rag_core::fusion::Method;
use rag_core::tune::{JudgedQuery, TuneOptions, TuneReport};
use rag_core::{Cancel, Engine, Error, Result, Scope};
use serde::{Deserialize, Serialize};

use crate::maps::ByQuery;

/// What is asked of a tuning; what is not given is as [`TuneOptions`] has it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    /// As in [`TuneOptions`].
    pub metric: Option<String>,
    /// As in [`TuneOptions`].
    pub methods: Option<Vec<String>>,
    /// As in [`TuneOptions`].
    pub normalizations: Option<Vec<String>>,
    /// As in [`TuneOptions`].
    pub step: Option<f64>,
    /// As in [`TuneOptions`].
    pub folds: Option<usize>,
    /// As in [`TuneOptions`].
    pub seed: Option<u64>,
    /// As in [`TuneOptions`].
    pub few_queries: Option<usize>,
    /// As in [`TuneOptions`].
    pub adaptive: Option<bool>,
}

impl Asked {
    /// From JSON.
    ///
    /// # Errors
    /// `InvalidArgument`, naming the field.
    pub fn parse(json: &str) -> Result<Asked> {
        serde_json::from_str(json).map_err(|error| Error::invalid(format!("tune: {error}")).with_source(error))
    }

    fn options(self, cancel: Cancel) -> Result<TuneOptions> {
        let mut options = TuneOptions { cancel, ..TuneOptions::default() };
        if let Some(metric) = self.metric {
            options.metric = metric.parse().map_err(|error: rag_core::ltr::Error| Error::from(error))?;
        }
        options.methods = methods(self.methods.unwrap_or(options.methods));
        options.normalizations = self.normalizations.unwrap_or(options.normalizations);
        options.step = self.step.unwrap_or(options.step);
        options.folds = self.folds.unwrap_or(options.folds);
        options.seed = self.seed.unwrap_or(options.seed);
        options.few_queries = self.few_queries.unwrap_or(options.few_queries);
        options.adaptive = self.adaptive.unwrap_or(options.adaptive);
        Ok(options)
    }
}

/// Names of formulas, `all` for each of them once.
pub fn methods(names: Vec<String>) -> Vec<String> {
    if names != ["all"] {
        return names;
    }
    let others = Method::NAMES.iter().filter(|&&name| name != "sum" && name != "mixed");
    std::iter::once("convex").chain(others.copied()).map(str::to_owned).collect()
}

#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    report: &'a TuneReport,
    toml: String,
}

/// Tunes on questions with their judgments, both by id; questions without a relevant document are left out. The report in
/// JSON, with the configuration as `toml`.
///
/// # Errors
/// As [`Engine::tune`].
pub fn tune(
    engine: &Engine,
    scope: &Scope,
    queries: Vec<(String, String)>,
    mut qrels: ByQuery<i32>,
    asked: Asked,
    cancel: Cancel,
) -> Result<String> {
    let judged = queries.into_iter().filter_map(|(id, text)| {
        let grades: BTreeMap<String, i32> = qrels.remove(&id)?.into_iter().collect();
        grades.values().any(|&grade| grade > 0).then(|| JudgedQuery::new(text, grades))
    });
    let judged: Vec<JudgedQuery> = judged.collect();
    if judged.is_empty() {
        return Err(Error::invalid("`qrels` has a relevant document for none of the `queries`"));
    }
    let report = engine.tune(scope, &judged, &asked.options(cancel)?)?;
    let toml = report.to_toml(&engine.embedder().identity().to_string());
    serde_json::to_string(&Told { report: &report, toml })
        .map_err(|error| Error::internal(error.to_string()).with_source(error))
}
