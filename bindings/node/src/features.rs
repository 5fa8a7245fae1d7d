//! Features: functions of JavaScript that compute some, schemas, and logs of them.

use std::sync::Arc;

use napi::bindgen_prelude::*;
use napi::threadsafe_function::UnknownReturnValue;
use napi_derive::napi;
use rag_core::features::{self, ClickCounts, FeatureDocument, FeatureQuery};
use rag_core::ltr::schema;
use rag_core::{Document, Error as RagError, Result as RagResult};
use rag_runtime::{logs, ltr};

use crate::answer::StoredDocument;
use crate::call::{Pooled, apart, pooled};
use crate::callback::{Callback, Reply};
use crate::convert::count;
use crate::errors::raise;
use crate::runs::Evaluation;
use crate::texts::Texts;

/// Documents that are converted at once.
const SLICE: usize = 100;

/// What a feature function is asked: a question and its candidates. The first answer counts.
#[napi]
pub struct FeatureCall {
    text: String,
    tenant: String,
    vector: Option<Vec<f32>>,
    documents: std::vec::IntoIter<Document>,
    reply: Reply<std::result::Result<Vec<f32>, String>>,
}

#[napi]
impl FeatureCall {
    /// The words of the question.
    #[napi(getter)]
    pub fn text(&self) -> String {
        self.text.clone()
    }

    /// The tenant of the call.
    #[napi(getter)]
    pub fn tenant(&self) -> String {
        self.tenant.clone()
    }

    /// The vector of the question, where there is one.
    #[napi]
    pub fn vector(&mut self) -> Option<Float32Array> {
        self.vector.take().map(Float32Array::new)
    }

    /// The next candidates; none after the last.
    #[napi]
    pub fn next(&mut self) -> Vec<StoredDocument> {
        self.documents.by_ref().take(SLICE).map(StoredDocument::from).collect()
    }

    /// Answers with a value for each candidate; NaN for a missing one.
    #[napi]
    pub fn done(&mut self, values: Float32ArraySlice<'_>) {
        self.reply.give(Ok(values.to_vec()));
    }

    /// Answers that the function threw something.
    #[napi]
    pub fn threw(&mut self, what: String) {
        self.reply.give(Err(what));
    }
}

/// A function of JavaScript, as it is handed in.
pub(crate) type FeatureFunction<'a> = Function<'a, FeatureCall, UnknownReturnValue>;

/// A feature that a function of JavaScript computes.
pub(crate) fn function(name: String, function: &FeatureFunction<'_>) -> Result<Arc<dyn features::FeatureFunction>> {
    let (callback, named) = (Callback::new(function)?, name.clone());
    let compute = move |query: FeatureQuery<'_>, documents: &[FeatureDocument<'_>]| {
        let question = |reply| FeatureCall {
            text: query.text.to_owned(),
            tenant: query.tenant.to_owned(),
            vector: query.vector.map(<[f32]>::to_vec),
            documents: documents.iter().map(owned).collect::<Vec<_>>().into_iter(),
            reply,
        };
        let threw = |reason| RagError::invalid(format!("the feature function {named:?} threw {reason}"));
        callback.ask(question, query.cancel)?.map_err(threw)
    };
    Ok(logs::feature_function(name, compute))
}

fn owned(document: &FeatureDocument<'_>) -> Document {
    let mut owned = Document::new(document.id, document.text);
    document.title.clone_into(&mut owned.title);
    owned.metadata = document.metadata.clone();
    owned
}

/// What the columns of rows are.
#[napi]
pub struct FeatureSchema {
    pub(crate) inner: schema::FeatureSchema,
}

#[napi]
impl FeatureSchema {
    #[napi(constructor)]
    pub fn new(
        env: &Env,
        names: Vec<String>,
        kinds: Option<Vec<String>>,
        meanings: Option<Vec<Option<String>>>,
        version: f64,
    ) -> Result<Self> {
        let version = count(env, "version", version)?;
        let schema = u32::try_from(version)
            .map_err(|_| RagError::invalid(format!("`version` is {version}; give 0 to {}", u32::MAX)))
            .and_then(|version| ltr::schema(names, kinds, meanings, version));
        Ok(FeatureSchema { inner: schema.map_err(|error| raise(env, &error))? })
    }

    #[napi(getter)]
    pub fn version(&self) -> u32 {
        self.inner.version()
    }

    #[napi(getter)]
    pub fn names(&self) -> Vec<String> {
        self.inner.features().iter().map(|feature| feature.name.clone()).collect()
    }

    #[napi(getter)]
    pub fn kinds(&self) -> Vec<&'static str> {
        self.inner.features().iter().map(|feature| ltr::kind_name(feature.kind)).collect()
    }

    #[napi(getter)]
    pub fn meanings(&self) -> Vec<Option<String>> {
        self.inner.features().iter().map(|feature| feature.meaning.clone()).collect()
    }

    #[napi(getter)]
    pub fn hash(&self) -> String {
        self.inner.hash().to_owned()
    }

    #[napi(getter)]
    pub fn id(&self) -> String {
        self.inner.id().to_string()
    }
}

/// Candidates of some questions with their features, for what is made of them here.
#[napi]
pub struct FeatureLog {
    pub(crate) inner: Arc<features::FeatureLog>,
}

/// The same, as JavaScript gets it.
#[napi(object, object_from_js = false)]
pub struct Logged {
    pub log: FeatureLog,
    pub schema: FeatureSchema,
    pub x: Float32Array,
    pub group: Uint32Array,
    pub query_ids: Texts,
    pub document_ids: Texts,
}

impl From<features::FeatureLog> for Logged {
    fn from(log: features::FeatureLog) -> Self {
        let documents: Vec<String> = log.iter().map(|(_, document, _)| document.to_owned()).collect();
        let queries: Vec<String> = log.queries.iter().map(|query| query.id.clone()).collect();
        Logged {
            schema: FeatureSchema { inner: log.schema.clone() },
            x: Float32Array::new(log.values.clone()),
            group: Uint32Array::new(log.groups().into_iter().map(|size| size as u32).collect()),
            query_ids: Texts::from(queries),
            document_ids: Texts::from(documents),
            log: FeatureLog { inner: Arc::new(log) },
        }
    }
}

#[napi]
impl FeatureLog {
    /// The grade of each row by the judgments.
    #[napi(ts_return_type = "Promise<Float32Array>")]
    pub fn labels(&self, judgments: &mut Evaluation) -> AsyncTask<Pooled<Float32Array>> {
        let (inner, qrels) = (self.inner.clone(), judgments.take_judgments());
        pooled(move || Ok(Float32Array::new(logs::labels(&inner, &qrels))))
    }

    /// Writes rows and grades as SVMlight's text.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn to_svmlight<'env>(&self, env: &'env Env, path: String, judgments: &mut Evaluation) -> Result<Object<'env>> {
        let (inner, qrels) = (self.inner.clone(), judgments.take_judgments());
        apart(env, move || logs::save_svmlight(&inner, &qrels, path.as_ref()))
    }
}

/// Rows of a click history.
///
/// # Errors
/// `InvalidArgument` for counts that are none.
pub(crate) fn click_counts(ids: &[String], impressions: &[f64], clicks: &[f64]) -> RagResult<Vec<ClickCounts>> {
    let whole = |name: &str, id: &str, value: f64| {
        if (0.0..=crate::convert::LARGEST_WHOLE).contains(&value) && value.fract() == 0.0 {
            return Ok(value as u64);
        }
        Err(RagError::invalid(format!("`{name}` of document {id:?} is {value}; give a whole number, at least 0")))
    };
    let rows = ids.iter().zip(impressions).zip(clicks).map(|((id, &impressions), &clicks)| {
        Ok(ClickCounts::new(id, whole("impressions", id, impressions)?, whole("clicks", id, clicks)?))
    });
    rows.collect()
}
