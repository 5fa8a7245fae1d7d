//! Rankers.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use napi::bindgen_prelude::*;
use napi::threadsafe_function::UnknownReturnValue;
use napi_derive::napi;
use rag_core::Result as RagResult;
use rag_core::ltr::train::Dataset;
use rag_core::ltr::{self, Rows};
use rag_core::rankers::{self, RankerFormat};
use rag_runtime::ltr as training;

use crate::call::{Cancel, Pooled, apart, pooled, token};
use crate::callback::{Callback, Reply};
use crate::convert::count;
use crate::errors::raise;
use crate::features::FeatureSchema;
use crate::floats::Floats;

/// A model that ranks.
#[napi]
pub struct Ranker {
    pub(crate) inner: Arc<ltr::Ranker>,
}

/// Rows to learn from.
#[napi(object, object_to_js = false)]
pub struct TrainingRows<'a> {
    pub x: ClassInstance<'a, Floats>,
    pub columns: f64,
    pub y: ClassInstance<'a, Floats>,
    pub group: Uint32ArraySlice<'a>,
    pub weights: Option<ClassInstance<'a, Floats>>,
    pub inverse_propensities: Option<ClassInstance<'a, Floats>>,
}

/// What a training is given beside its rows.
#[napi(object, object_to_js = false)]
pub struct TrainingArguments<'a> {
    /// A JSON object.
    pub parameters: String,
    pub names: Option<Vec<String>>,
    pub schema: Option<ClassInstance<'a, FeatureSchema>>,
}

/// How far a training is. It goes on once it has a reply.
#[napi]
pub struct TrainingStep {
    step: training::Step,
    reply: Reply<bool>,
}

/// A metric and its value.
#[napi(object, object_from_js = false)]
pub struct Metric {
    pub name: String,
    pub value: f64,
}

#[napi]
impl TrainingStep {
    #[napi(getter)]
    pub fn iteration(&self) -> i64 {
        self.step.iteration as i64
    }

    #[napi(getter)]
    pub fn num_trees(&self) -> i64 {
        self.step.num_trees as i64
    }

    #[napi(getter)]
    pub fn metrics(&self) -> Vec<Metric> {
        self.step.metrics.iter().map(|(name, &value)| Metric { name: name.clone(), value }).collect()
    }

    /// Whether the training goes on. The first reply counts.
    #[napi]
    pub fn reply(&mut self, goes_on: bool) {
        self.reply.give(goes_on);
    }
}

/// What each feature adds to the margins.
#[napi(object, object_from_js = false)]
pub struct Explained {
    /// Row after row, a value for each feature.
    pub contributions: Float64Array,
    /// What the model answers when no feature is known.
    pub expected: f64,
}

#[napi]
impl Ranker {
    #[napi(ts_return_type = "Promise<Ranker>")]
    pub fn load(env: &Env, path: String) -> Result<Object<'_>> {
        let path = PathBuf::from(path);
        apart(env, move || Ok(Ranker { inner: Arc::new(rankers::load(&path)?) }))
    }

    /// Grows trees; `progress` is asked after each.
    #[napi(ts_return_type = "Promise<Ranker>")]
    pub fn train<'env>(
        env: &'env Env,
        rows: TrainingRows<'_>,
        valid: Option<TrainingRows<'_>>,
        arguments: TrainingArguments<'_>,
        progress: Option<Function<'_, TrainingStep, UnknownReturnValue>>,
        cancel: Option<&Cancel>,
    ) -> Result<Object<'env>> {
        let (rows, valid) = (Learnt::of(env, rows)?, valid.map(|rows| Learnt::of(env, rows)).transpose()?);
        let (given, cancel) = (Given::of(arguments), token(cancel));
        let progress = progress.as_ref().map(Callback::new).transpose()?;
        apart(env, move || {
            let (dataset, valid) = (rows.dataset()?, valid.as_ref().map(Learnt::dataset).transpose()?);
            // What happens to the function ends the training; the cause is told in the place of its trees.
            let mut failed = None;
            let mut step = |step: training::Step| {
                let Some(progress) = &progress else { return ControlFlow::Continue(()) };
                match progress.ask(|reply| TrainingStep { step, reply }, &cancel) {
                    Ok(true) => ControlFlow::Continue(()),
                    Ok(false) => ControlFlow::Break(()),
                    Err(error) => {
                        failed = Some(error);
                        ControlFlow::Break(())
                    }
                }
            };
            let trained = training::train(&dataset, valid.as_ref(), &given.options(), &cancel, &mut step);
            match failed {
                Some(error) => Err(error),
                None => Ok(Ranker { inner: Arc::new(trained?) }),
            }
        })
    }

    /// Weighs the features.
    #[napi(ts_return_type = "Promise<Ranker>")]
    pub fn train_linear<'env>(
        env: &'env Env,
        rows: TrainingRows<'_>,
        arguments: TrainingArguments<'_>,
        cancel: Option<&Cancel>,
    ) -> Result<Object<'env>> {
        let (rows, given, cancel) = (Learnt::of(env, rows)?, Given::of(arguments), token(cancel));
        apart(env, move || {
            let trained = training::train_linear(&rows.dataset()?, &given.options(), &cancel)?;
            Ok(Ranker { inner: Arc::new(trained) })
        })
    }

    #[napi(ts_return_type = "Promise<Ranker>")]
    pub fn from_bytes<'env>(env: &'env Env, bytes: Uint8ArraySlice<'_>) -> Result<Object<'env>> {
        let bytes = bytes.to_vec(); // a worker thread that ends takes its arrays with it
        apart(env, move || Ok(Ranker { inner: Arc::new(ltr::Ranker::from_bytes(&bytes)?) }))
    }

    #[napi(ts_return_type = "Promise<Uint8Array>")]
    pub fn to_bytes<'env>(&self, env: &'env Env, format: Option<String>) -> Result<Object<'env>> {
        let (inner, format) = (self.inner.clone(), format_of(env, format.as_deref())?);
        apart(env, move || rankers::to_bytes(&inner, format).map(Uint8Array::new))
    }

    #[napi(ts_return_type = "Promise<void>")]
    pub fn save<'env>(&self, env: &'env Env, path: String, format: Option<String>) -> Result<Object<'env>> {
        let (inner, format) = (self.inner.clone(), format_of(env, format.as_deref())?);
        apart(env, move || rankers::save(&inner, path.as_ref(), format))
    }

    /// Scores or margins of a few rows.
    #[napi(ts_return_type = "Promise<Float64Array>")]
    pub fn score(
        &self,
        env: &Env,
        x: &mut Floats,
        columns: f64,
        margin: bool,
    ) -> Result<AsyncTask<Pooled<Float64Array>>> {
        let (inner, x, columns) = (self.inner.clone(), x.take(), count(env, "columns", columns)?);
        Ok(pooled(move || scored(&inner, &x, columns, margin)))
    }

    /// Scores or margins of many rows.
    #[napi(ts_return_type = "Promise<Float64Array>")]
    pub fn score_many<'env>(&self, env: &'env Env, x: &mut Floats, columns: f64, margin: bool) -> Result<Object<'env>> {
        let (inner, x, columns) = (self.inner.clone(), x.take(), count(env, "columns", columns)?);
        apart(env, move || scored(&inner, &x, columns, margin))
    }

    #[napi(ts_return_type = "Promise<Explained>")]
    pub fn explain<'env>(&self, env: &'env Env, x: &mut Floats, columns: f64) -> Result<Object<'env>> {
        let (inner, x, columns) = (self.inner.clone(), x.take(), count(env, "columns", columns)?);
        apart(env, move || {
            let explained = inner.explain(Rows::new(&x, columns)?)?;
            let expected = explained.expected();
            Ok(Explained { contributions: Float64Array::new(explained.into_contributions()), expected })
        })
    }

    #[napi(getter)]
    pub fn num_features(&self) -> i64 {
        self.inner.columns() as i64
    }

    #[napi(getter)]
    pub fn num_trees(&self) -> Option<i64> {
        training::num_trees(&self.inner).map(|trees| trees as i64)
    }

    #[napi(getter)]
    pub fn feature_names(&self) -> Vec<String> {
        self.inner.names().to_vec()
    }

    #[napi]
    pub fn feature_importance(&self, env: &Env, kind: Option<String>) -> Result<Float64Array> {
        let importance = training::importance(&self.inner, kind.as_deref());
        importance.map(Float64Array::new).map_err(|error| raise(env, &error))
    }

    /// How it came to be, as JSON.
    #[napi(getter)]
    pub fn training(&self) -> Option<String> {
        training::training(&self.inner).map(|training| training.to_string())
    }

    #[napi(getter)]
    pub fn schema(&self) -> Option<String> {
        self.inner.schema().map(|schema| schema.to_string())
    }
}

fn format_of(env: &Env, name: Option<&str>) -> Result<RankerFormat> {
    name.map_or(Ok(RankerFormat::default()), str::parse).map_err(|error| raise(env, &error))
}

fn scored(ranker: &ltr::Ranker, x: &[f32], columns: usize, margin: bool) -> RagResult<Float64Array> {
    let rows = Rows::new(x, columns)?;
    Ok(Float64Array::new(if margin { ranker.margins(rows) } else { ranker.score(rows) }?))
}

/// Rows while they are learnt from.
struct Learnt {
    values: Vec<f32>,
    columns: usize,
    labels: Vec<f32>,
    groups: Vec<usize>,
    weights: Option<Vec<f32>>,
    inverse_propensities: Option<Vec<f32>>,
}

impl Learnt {
    fn of(env: &Env, rows: TrainingRows<'_>) -> Result<Self> {
        let TrainingRows { mut x, columns, mut y, group, weights, inverse_propensities } = rows;
        let taken = |floats: Option<ClassInstance<'_, Floats>>| floats.map(|mut floats| floats.take());
        Ok(Learnt {
            values: x.take(),
            columns: count(env, "columns", columns)?,
            labels: y.take(),
            groups: group.iter().map(|&size| size as usize).collect(),
            weights: taken(weights),
            inverse_propensities: taken(inverse_propensities),
        })
    }

    fn dataset(&self) -> RagResult<Dataset<'_>> {
        let (weights, inverse_propensities) = (self.weights.as_deref(), self.inverse_propensities.as_deref());
        let rows = Rows::new(&self.values, self.columns)?;
        Ok(Dataset { weights, inverse_propensities, ..Dataset::new(rows, &self.labels, &self.groups) })
    }
}

/// The arguments of a training while it runs.
struct Given {
    parameters: String,
    names: Option<Vec<String>>,
    schema: Option<ltr::schema::FeatureSchema>,
}

impl Given {
    fn of(arguments: TrainingArguments<'_>) -> Self {
        let TrainingArguments { parameters, names, schema } = arguments;
        Given { parameters, names, schema: schema.map(|schema| schema.inner.clone()) }
    }

    fn options(&self) -> training::Options<'_> {
        let Given { parameters, names, schema } = self;
        training::Options { parameters, names: names.as_deref(), schema: schema.as_ref() }
    }
}
