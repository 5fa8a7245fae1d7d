//! Fusing and measuring runs. They come and go query by query, so that the event loop waits for one query at most.

use std::collections::HashMap;

use napi::bindgen_prelude::*;
use napi_derive::napi;
use rag_core::fusion::Parameters;
use rag_runtime::learned;
use rag_runtime::maps::{self, Asked, ByQuery, Scores};

use crate::call::apart;
use crate::convert::count;
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
        let documents = documents.into_iter().zip(scores).collect();
        let run = self.inner.last_mut().ok_or_else(|| invalid(env, "no run was begun"))?;
        run.push((query, documents));
        Ok(())
    }

    /// Fuses the runs, which are gone afterwards.
    #[napi(ts_return_type = "Promise<Fused>")]
    pub fn fuse<'env>(&mut self, env: &'env Env, how: HowToFuse) -> Result<Object<'env>> {
        let mut runs = std::mem::take(&mut self.inner);
        let HowToFuse { method, k, sigma, gamma, phi, weights, normalization, learned } = how;
        let how = Asked { method, parameters: Parameters { k, sigma, gamma, phi }, weights, normalization, learned };
        apart(env, move || {
            let runs = std::mem::take(&mut runs);
            Ok(Fused { inner: maps::fuse(runs, &how)?.into_iter() })
        })
    }

    /// A fusion that is learnt from the runs, which are gone afterwards, and judgments: an object in JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn learn<'env>(&mut self, env: &'env Env, judgments: &mut Evaluation, how: HowToLearn) -> Result<Object<'env>> {
        let (runs, qrels) = (std::mem::take(&mut self.inner), judgments.take_judgments());
        let HowToLearn { method, gamma, segments, width, weights, normalization } = how;
        let count = |name, value: Option<f64>| value.map(|value| count(env, name, value)).transpose();
        let (segments, width) = (count("segments", segments)?, count("width", width)?);
        let parameters = Parameters { gamma, ..Parameters::default() };
        let asked = learned::Asked { method, parameters, segments, width, normalization, weights };
        apart(env, move || learned::learn(&runs, &qrels, &asked))
    }
}

/// How runs are fused.
#[napi(object, object_to_js = false)]
pub struct HowToFuse {
    pub method: Option<String>,
    pub k: Option<f64>,
    pub sigma: Option<f64>,
    pub gamma: Option<f64>,
    pub phi: Option<f64>,
    pub weights: Option<Vec<f64>>,
    pub normalization: Option<String>,
    /// JSON.
    pub learned: Option<String>,
}

/// How a fusion is learnt.
#[napi(object, object_to_js = false)]
pub struct HowToLearn {
    pub method: String,
    pub gamma: Option<f64>,
    pub segments: Option<f64>,
    pub width: Option<f64>,
    pub weights: Option<Vec<f64>>,
    pub normalization: Option<String>,
}

/// A fused run, while it goes.
#[napi]
pub struct Fused {
    inner: std::vec::IntoIter<(String, Vec<(String, f64)>)>,
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
        let (documents, scores) = hits.into_iter().unzip();
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
