//! Click logs.

use std::path::PathBuf;
use std::sync::Arc;

use napi::bindgen_prelude::*;
use napi_derive::napi;
use rag_core::ltr::clicks;
use rag_runtime::clicks as asked;

use crate::call::{Pooled, apart, pooled};
use crate::convert::optional;
use crate::features::FeatureLog;
use crate::runs::Evaluation;
use crate::texts::Texts;

/// What users were shown and what they clicked.
#[napi]
pub struct ClickLog {
    inner: Arc<clicks::ClickLog>,
}

/// Numbers of the documents of one query.
#[napi(object, object_from_js = false)]
pub struct QueryNumbers {
    pub query: String,
    pub documents: Vec<String>,
    pub values: Vec<f64>,
}

/// Numbers by document, by query, while they go.
#[napi]
pub struct Relevance {
    inner: std::vec::IntoIter<(String, std::collections::HashMap<String, f64>)>,
}

#[napi]
impl Relevance {
    /// The next query; nothing after the last.
    #[napi]
    pub fn next(&mut self) -> Option<QueryNumbers> {
        let (query, numbers) = self.inner.next()?;
        let (documents, values) = numbers.into_iter().unzip();
        Some(QueryNumbers { query, documents, values })
    }
}

/// Rows of a training on clicks.
#[napi(object, object_from_js = false)]
pub struct ClickTraining {
    pub x: Float32Array,
    pub y: Float32Array,
    pub group: Uint32Array,
    pub inverse_propensities: Float32Array,
}

/// How often documents were shown and clicked.
#[napi(object, object_from_js = false)]
pub struct History {
    pub ids: Texts,
    pub impressions: Float64Array,
    pub clicks: Float64Array,
}

#[napi]
impl ClickLog {
    #[napi(ts_return_type = "Promise<ClickLog>")]
    pub fn load(env: &Env, path: String) -> Result<Object<'_>> {
        let path = PathBuf::from(path);
        apart(env, move || Ok(ClickLog { inner: Arc::new(asked::load(&path)?) }))
    }

    #[napi(getter)]
    pub fn size(&self) -> i64 {
        self.inner.len() as i64
    }

    #[napi(getter)]
    pub fn clicks(&self) -> i64 {
        self.inner.clicks() as i64
    }

    #[napi(ts_return_type = "Promise<Float64Array>")]
    pub fn propensities<'env>(
        &self,
        env: &'env Env,
        method: Option<String>,
        ranks: Option<f64>,
        monotone: Option<bool>,
    ) -> Result<Object<'env>> {
        let (inner, ranks) = (self.inner.clone(), optional(env, "ranks", ranks)?);
        let ranks = ranks.map(|ranks| u32::try_from(ranks).unwrap_or(u32::MAX));
        apart(env, move || {
            let method = method.as_deref().unwrap_or(asked::METHOD);
            asked::propensities(&inner, method, ranks, monotone).map(Float64Array::new)
        })
    }

    #[napi(ts_return_type = "Promise<Relevance>")]
    pub fn relevance<'env>(&self, env: &'env Env, propensities: Vec<f64>) -> Result<Object<'env>> {
        let inner = self.inner.clone();
        apart(env, move || {
            let found: Vec<_> = asked::relevance(&inner, &propensities)?.into_iter().collect();
            Ok(Relevance { inner: found.into_iter() })
        })
    }

    #[napi(ts_return_type = "Promise<ClickTraining>")]
    pub fn training<'env>(&self, env: &'env Env, log: &FeatureLog, propensities: Vec<f64>) -> Result<Object<'env>> {
        let (inner, features) = (self.inner.clone(), log.inner.clone());
        apart(env, move || {
            let made = asked::training(&inner, &features, &propensities)?;
            let columns = features.schema.features().len();
            let rows = made.rows.iter().flat_map(|&row| &features.values[row * columns..][..columns]);
            Ok(ClickTraining {
                x: Float32Array::new(rows.copied().collect()),
                y: Float32Array::new(made.labels),
                group: Uint32Array::new(made.groups.into_iter().map(|size| size as u32).collect()),
                inverse_propensities: Float32Array::new(made.inverse_propensities),
            })
        })
    }

    #[napi(ts_return_type = "Promise<History>")]
    pub fn history(&self) -> AsyncTask<Pooled<History>> {
        let inner = self.inner.clone();
        pooled(move || {
            let rows = asked::history(&inner)?;
            let numbers = |number: fn(&rag_core::features::ClickCounts) -> u64| {
                Float64Array::new(rows.iter().map(|row| number(row) as f64).collect())
            };
            Ok(History {
                impressions: numbers(|row| row.impressions),
                clicks: numbers(|row| row.clicks),
                ids: Texts::from(rows.into_iter().map(|row| row.id).collect::<Vec<_>>()),
            })
        })
    }

    /// The estimates as JSON, of the run that `evaluation` has.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn evaluate<'env>(
        &self,
        env: &'env Env,
        evaluation: &mut Evaluation,
        propensities: Vec<f64>,
        reward: Option<String>,
        k: Option<f64>,
        clip: Option<f64>,
    ) -> Result<Object<'env>> {
        let (inner, run, k) = (self.inner.clone(), evaluation.take_run(), optional(env, "k", k)?);
        apart(env, move || {
            let reward = reward.as_deref().unwrap_or(asked::REWARD);
            asked::evaluate(&inner, &run, &propensities, reward, k, clip).map(|found| found.to_string())
        })
    }
}
