//! Fusing and measuring runs. They come and go query by query, so that the event loop waits for one query at most.

use std::collections::HashMap;

use napi::bindgen_prelude::*;
use napi_derive::napi;
use rag_runtime::maps::{self, ByQuery, Scores};

use crate::call::apart;
use crate::errors::invalid;

/// Some runs, while they come.
#[napi]
pub struct Runs {
    inner: Vec<Scores>,
}

#[napi]
impl Runs {
    #[napi(constructor)]
    pub fn new() -> Self {
        Runs { inner: Vec::new() }
    }

    /// Begins another run.
    #[napi]
    pub fn begin(&mut self) {
        self.inner.push(Scores::new());
    }

    /// Puts a query to the run that was begun last.
    #[napi]
    pub fn put(&mut self, env: &Env, query: String, documents: Vec<String>, scores: Vec<f64>) -> Result<()> {
        let scores = scores.into_iter().map(|score| score as f32);
        let documents = documents.into_iter().zip(scores).collect();
        let run = self.inner.last_mut().ok_or_else(|| invalid(env, "no run was begun"))?;
        run.push((query, documents));
        Ok(())
    }

    /// Fuses the runs, which are gone afterwards.
    #[napi(ts_return_type = "Promise<Fused>")]
    pub fn fuse<'env>(
        &mut self,
        env: &'env Env,
        method: Option<String>,
        k: Option<f64>,
        weights: Option<Vec<f64>>,
        normalization: Option<String>,
    ) -> Result<Object<'env>> {
        let mut runs = std::mem::take(&mut self.inner);
        let weights = weights.map(|weights| weights.into_iter().map(|weight| weight as f32).collect::<Vec<_>>());
        apart(env, move || {
            let runs = std::mem::take(&mut runs);
            let (method, k) = (method.as_deref().unwrap_or(maps::METHOD), k.map(|k| k as f32));
            let fused = maps::fuse(runs, method, k, weights.clone(), normalization.as_deref())?;
            Ok(Fused { inner: fused.into_iter() })
        })
    }
}

/// A fused run, while it goes.
#[napi]
pub struct Fused {
    inner: std::vec::IntoIter<(String, Vec<(String, f32)>)>,
}

/// The documents of one query, best first.
#[napi(object, object_from_js = false)]
pub struct Ranking {
    pub query: String,
    pub documents: Vec<String>,
    pub scores: Vec<f64>,
}

#[napi]
impl Fused {
    /// The next query; nothing after the last.
    #[napi]
    pub fn next(&mut self) -> Option<Ranking> {
        let (query, hits) = self.inner.next()?;
        let (documents, scores) = hits.into_iter().map(|(document, score)| (document, f64::from(score))).unzip();
        Some(Ranking { query, documents, scores })
    }
}

/// Judgments and a run, while they come.
#[napi]
pub struct Evaluation {
    qrels: ByQuery<i32>,
    run: ByQuery<f64>,
}

/// The values of the metrics, in their order.
#[napi(object, object_from_js = false)]
pub struct Values {
    pub means: Vec<f64>,
    pub queries: Vec<QueryValues>,
}

/// The values of one query.
#[napi(object, object_from_js = false)]
pub struct QueryValues {
    pub query: String,
    pub values: Vec<f64>,
}

#[napi]
impl Evaluation {
    #[napi(constructor)]
    pub fn new() -> Self {
        Evaluation { qrels: ByQuery::new(), run: ByQuery::new() }
    }

    /// Puts the judgments of a query.
    #[napi]
    pub fn judge(&mut self, env: &Env, query: String, documents: Vec<String>, grades: Vec<f64>) -> Result<()> {
        let mut judged = HashMap::with_capacity(documents.len());
        for (document, grade) in documents.into_iter().zip(grades) {
            if f64::from(grade as i32) != grade {
                let message = format!("`qrels`, query {query:?}: {grade} is no grade; give whole numbers of 32 bits");
                return Err(invalid(env, message));
            }
            judged.insert(document, grade as i32);
        }
        self.qrels.insert(query, judged);
        Ok(())
    }

    /// The judgments; there are none afterwards.
    pub(crate) fn take_judgments(&mut self) -> ByQuery<i32> {
        std::mem::take(&mut self.qrels)
    }

    /// The run; there is none afterwards.
    pub(crate) fn take_run(&mut self) -> ByQuery<f64> {
        std::mem::take(&mut self.run)
    }

    /// Puts the answer to a query.
    #[napi]
    pub fn put(&mut self, query: String, documents: Vec<String>, scores: Vec<f64>) {
        self.run.insert(query, documents.into_iter().zip(scores).collect());
    }

    /// Measures the run.
    #[napi(ts_return_type = "Promise<Values>")]
    pub fn measure<'env>(
        &mut self,
        env: &'env Env,
        metrics: Vec<String>,
        per_query: bool,
        missing: Option<String>,
    ) -> Result<Object<'env>> {
        let (qrels, run) = (std::mem::take(&mut self.qrels), std::mem::take(&mut self.run));
        apart(env, move || {
            let missing = missing.as_deref().unwrap_or(maps::MISSING);
            let evaluated = maps::evaluate(&qrels, &run, metrics.clone(), missing)?;
            let queries = evaluated.queries().filter(|_| per_query).map(|(query, values)| QueryValues {
                query: query.to_owned(),
                values: values.map(|(_, value)| value).collect(),
            });
            Ok(Values { queries: queries.collect(), means: evaluated.means().map(|(_, mean)| mean).collect() })
        })
    }
}
