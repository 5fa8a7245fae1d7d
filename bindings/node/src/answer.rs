//! Answers and reports as JavaScript sees them.

use std::collections::BTreeMap;

use napi::bindgen_prelude::*;
use napi_derive::napi;
use rag_core::{Document, Metadata, Value, engine};

use crate::convert::LARGEST_WHOLE;

/// Hits that are converted at once, so that the event loop does not wait for thousands; and features of hits that are explained.
const SLICE: usize = 100;
const FEATURES: usize = 500;

type Single = Either4<bool, f64, BigInt, String>;
type Field = Either<Single, Vec<Single>>;
/// An object, or a list where a name would not become a field of an object: setting `__proto__` sets the prototype.
type Fields = Either<BTreeMap<String, Field>, Vec<NamedField>>;

/// A field of metadata.
#[napi(object, object_from_js = false)]
pub struct NamedField {
    pub name: String,
    #[napi(ts_type = "boolean | number | bigint | string | Array<boolean | number | bigint | string>")]
    pub value: Field,
}

/// The place of a passage in its document.
#[napi(object, object_from_js = false)]
pub struct Chunk {
    /// Which chunk of the document, 0-based.
    pub ordinal: i64,
    /// Where it starts in the UTF-8 bytes of the document's text.
    pub start: i64,
    /// Where it ends, exclusive.
    pub end: i64,
}

/// What one retriever thought of a document.
#[napi(object, object_from_js = false)]
pub struct RunExplanation {
    /// "dense" or "lexical".
    pub run: &'static str,
    /// 1-based rank of the document in the run; absent when it is not among its candidates.
    pub rank: Option<i64>,
    /// Score of its best chunk there.
    pub score: Option<f64>,
    /// The score after normalisation, or 1 / (60 + rank).
    pub normalized: Option<f64>,
    /// Weight of the run.
    pub weight: f64,
    /// What the run adds to the final score.
    pub contribution: f64,
}

/// One feature of a document.
#[napi(object, object_from_js = false)]
pub struct FeatureExplanation {
    /// Its name.
    pub name: String,
    /// Its value; absent: missing.
    pub value: Option<f64>,
    /// Its SHAP value, what it adds to the score; absent where the model does not say enough of its training.
    pub contribution: Option<f64>,
}

/// What a ranker thought of a document: the score is (1 − weight) · fusedNormalized + weight · normalized.
#[napi(object, object_from_js = false)]
pub struct LtrExplanation {
    /// The fused score, which the contributions of the runs add up to.
    pub fused: f64,
    /// Its place between the least and the greatest of the candidates that the model ranked.
    pub fused_normalized: f64,
    /// The model's score.
    pub score: f64,
    /// Its place between the least and the greatest.
    pub normalized: f64,
    /// Weight of the model's score.
    pub weight: f64,
    /// What the model answers when no feature is known; the contributions of the features and it add up to its score. Absent
    /// where the model does not say.
    pub expected: Option<f64>,
    /// What the model read, in its order.
    pub features: Vec<FeatureExplanation>,
}

/// How a score came about. The contributions of the runs add up to the fused score, which is the score without a ranker.
#[napi(object, object_from_js = false)]
pub struct Explanation {
    /// The score that is explained.
    pub score: f64,
    /// How the runs were combined, such as "convex(min_max)" or "rrf(60)"; the name of the only run.
    pub fusion: String,
    /// One for each run that was asked, in run order.
    pub runs: Vec<RunExplanation>,
    /// What the ranker said; absent without one, and where it was left out.
    pub ltr: Option<LtrExplanation>,
    /// The value of maximal marginal relevance when the document was picked; absent where the search asks for no diversity.
    pub diversity: Option<f64>,
}

/// One found document.
#[napi(object, object_from_js = false)]
pub struct Hit {
    /// 1-based.
    pub rank: i64,
    /// Id of the document.
    pub id: String,
    /// Fused score, or cosine or BM25 with one retriever; higher is better.
    pub score: f64,
    /// Title of the document.
    pub title: String,
    /// The passage that matched best.
    pub text: String,
    /// Its place in the document.
    pub chunk: Chunk,
    /// Metadata of the document.
    #[napi(ts_type = "Record<string, NamedField['value']> | Array<NamedField>")]
    pub metadata: Fields,
    /// How many further candidates have the same value of the field that the search collapses by.
    pub hidden: i64,
    /// How the hit came about, if asked for.
    pub explain: Option<Explanation>,
}

/// The answer to a question.
#[napi(object, object_from_js = false)]
pub struct Found {
    /// Best first; equal scores by the order of the runs, then by document id. The first of them.
    pub hits: Vec<Hit>,
    /// The others, if there are more.
    pub rest: Option<Hits>,
    /// The commit that the answer was made from.
    pub commit_seq: i64,
    /// Documents that the tenant and the filter let through.
    pub visible: i64,
    /// What was left out, and why; empty for a full answer.
    pub degraded: Vec<String>,
    /// How the dense run was found: "exact scan", "graph", …; absent when it was not asked for.
    pub plan: Option<&'static str>,
    /// Which weight the ranker had, and why.
    pub gate: Served,
}

/// Which weight the ranker had for an answer, and why; docs/gate.md.
#[napi(object, object_from_js = false)]
pub struct Served {
    /// Number of the change of the gate that held.
    pub epoch: i64,
    /// Weight of the ranker; absent without a ranker.
    pub weight: Option<f64>,
    /// "baseline", "experiment", "canary" or "killed".
    pub reason: &'static str,
    /// The experiment that served, or "canary".
    pub experiment: Option<String>,
    /// The variant of it: of a canary "control" or "candidate".
    pub variant: Option<String>,
    /// For what becomes known later of an answer in a canary: `Gate.observeQuality`.
    pub token: Option<String>,
}

/// Hits, while they go.
#[napi]
pub struct Hits {
    inner: std::vec::IntoIter<engine::Hit>,
}

#[napi]
impl Hits {
    /// The next ones; none after the last.
    #[napi]
    pub fn next(&mut self) -> Vec<Hit> {
        let first = self.inner.as_slice().first().and_then(|hit| hit.explanation.as_ref()?.ltr.as_ref());
        let slice = first.map_or(SLICE, |ltr| (FEATURES / ltr.features.len().max(1)).clamp(1, SLICE));
        self.inner.by_ref().take(slice).map(Hit::from).collect()
    }
}

/// The answers to several questions, while they go: the event loop waits for one at most.
#[napi]
pub struct Answers {
    inner: std::vec::IntoIter<engine::Answer>,
}

#[napi]
impl Answers {
    /// The next answer; nothing after the last.
    #[napi]
    pub fn next(&mut self) -> Option<Found> {
        self.inner.next().map(Found::from)
    }
}

impl From<Vec<engine::Answer>> for Answers {
    fn from(answers: Vec<engine::Answer>) -> Self {
        Answers { inner: answers.into_iter() }
    }
}

/// A document as it is stored.
#[napi(object, object_from_js = false)]
pub struct StoredDocument {
    /// Its id.
    pub id: String,
    /// Its title; may be empty.
    pub title: String,
    /// Its text.
    pub text: String,
    /// Its metadata; what was nested has dotted names.
    #[napi(ts_type = "Record<string, NamedField['value']> | Array<NamedField>")]
    pub metadata: Fields,
}

/// What an upsert did; staged until the next commit.
#[napi(object, object_from_js = false)]
pub struct UpsertReport {
    /// Documents that were not there.
    pub added: i64,
    /// Documents that were there and differ.
    pub updated: i64,
    /// Documents that were there just so; nothing was done.
    pub unchanged: i64,
    /// Documents that a later one of the same batch with the same id replaced.
    pub repeated: i64,
    /// Chunks of the added and updated documents.
    pub chunks: i64,
    /// Chunks that the model embedded; the others kept their vectors.
    pub embedded: i64,
    /// Chunks of which the model saw only the beginning.
    pub truncated: i64,
}

/// What `verify` found.
#[napi(object, object_from_js = false)]
pub struct VerifyReport {
    /// Documents whose rows were read and agree.
    pub documents: i64,
    /// Derived pieces that were wrong and have been made again from the store.
    pub repaired: Vec<String>,
}

/// Numbers about an engine.
#[napi(object, object_from_js = false)]
pub struct Stats {
    /// Documents of the tenant.
    pub documents: i64,
    /// Documents of all tenants.
    pub documents_total: i64,
    /// Chunks of all tenants.
    pub chunks_total: i64,
    /// The last commit.
    pub commit_seq: i64,
    /// The model that made the vectors.
    pub model: String,
    /// Values of a vector.
    pub dimension: i64,
    /// Backend of the dense retriever.
    pub vector_backend: &'static str,
    /// Vectors in the dense index, those of replaced documents included until compaction.
    pub vectors: i64,
    /// What the lexical index does to words.
    pub analyser: String,
    /// Bytes on disk: the store.
    pub bytes_store: i64,
    /// Bytes on disk: the lexical index.
    pub bytes_lexical: i64,
    /// Bytes on disk: sealed vectors.
    pub bytes_vectors: i64,
}

impl From<engine::Answer> for Found {
    fn from(answer: engine::Answer) -> Self {
        let mut hits = Hits { inner: answer.hits.into_iter() };
        Found {
            hits: hits.next(),
            rest: (hits.inner.len() > 0).then_some(hits),
            commit_seq: answer.commit_seq as i64,
            visible: answer.visible as i64,
            degraded: answer.degraded,
            plan: answer.plan,
            gate: Served::from(answer.gate),
        }
    }
}

impl From<engine::Served> for Served {
    fn from(gate: engine::Served) -> Self {
        Served {
            epoch: gate.epoch as i64,
            weight: gate.weight.map(f64::from),
            reason: gate.reason,
            experiment: gate.experiment,
            variant: gate.variant,
            token: gate.token.map(|token| token.to_string()),
        }
    }
}

impl From<engine::Hit> for Hit {
    fn from(hit: engine::Hit) -> Self {
        let passage = hit.passage;
        Hit {
            rank: hit.rank as i64,
            id: hit.id,
            score: hit.score.into(),
            title: hit.title,
            text: passage.text,
            chunk: Chunk { ordinal: passage.ordinal as i64, start: passage.start as i64, end: passage.end as i64 },
            metadata: fields(hit.metadata),
            hidden: hit.hidden as i64,
            explain: hit.explanation.map(Explanation::from),
        }
    }
}

impl From<engine::Explanation> for Explanation {
    fn from(explained: engine::Explanation) -> Self {
        let runs = explained.runs.into_iter().map(|run| RunExplanation {
            run: run.run,
            rank: run.rank.map(|rank| rank as i64),
            score: run.score.map(f64::from),
            normalized: run.normalized.map(f64::from),
            weight: run.weight.into(),
            contribution: run.contribution.into(),
        });
        Explanation {
            score: explained.score.into(),
            fusion: explained.fusion,
            runs: runs.collect(),
            ltr: explained.ltr.map(LtrExplanation::from),
            diversity: explained.diversity,
        }
    }
}

impl From<engine::LtrExplanation> for LtrExplanation {
    fn from(explained: engine::LtrExplanation) -> Self {
        let features = explained.features.into_iter().map(|feature| FeatureExplanation {
            name: feature.name,
            value: Some(feature.value).filter(|value| !value.is_nan()).map(f64::from),
            contribution: feature.contribution,
        });
        LtrExplanation {
            fused: explained.fused.into(),
            fused_normalized: explained.fused_normalized.into(),
            score: explained.score,
            normalized: explained.normalized.into(),
            weight: explained.weight.into(),
            expected: explained.expected,
            features: features.collect(),
        }
    }
}

impl From<engine::StoredDocument> for StoredDocument {
    fn from(stored: engine::StoredDocument) -> Self {
        StoredDocument::from(stored.document)
    }
}

impl From<Document> for StoredDocument {
    fn from(document: Document) -> Self {
        StoredDocument {
            id: document.id,
            title: document.title,
            text: document.text,
            metadata: fields(document.metadata),
        }
    }
}

impl From<engine::UpsertReport> for UpsertReport {
    fn from(report: engine::UpsertReport) -> Self {
        UpsertReport {
            added: report.added as i64,
            updated: report.updated as i64,
            unchanged: report.unchanged as i64,
            repeated: report.repeated as i64,
            chunks: report.chunks as i64,
            embedded: report.embedded as i64,
            truncated: report.truncated as i64,
        }
    }
}

impl From<engine::VerifyReport> for VerifyReport {
    fn from(report: engine::VerifyReport) -> Self {
        VerifyReport { documents: report.documents as i64, repaired: report.repaired }
    }
}

impl From<engine::Stats> for Stats {
    fn from(stats: engine::Stats) -> Self {
        Stats {
            documents: stats.documents as i64,
            documents_total: stats.documents_total as i64,
            chunks_total: stats.chunks_total as i64,
            commit_seq: stats.commit_seq as i64,
            model: stats.model.name.clone(),
            dimension: stats.model.dimension as i64,
            vector_backend: stats.vector_backend,
            vectors: stats.vectors as i64,
            analyser: stats.analyser,
            bytes_store: stats.bytes.store as i64,
            bytes_lexical: stats.bytes.lexical as i64,
            bytes_vectors: stats.bytes.vectors as i64,
        }
    }
}

fn fields(metadata: Metadata) -> Fields {
    if metadata.contains_key("__proto__") {
        let named = metadata.into_iter().map(|(name, value)| NamedField { name, value: field(value) });
        return Either::B(named.collect());
    }
    Either::A(metadata.into_iter().map(|(name, value)| (name, field(value))).collect())
}

fn field(value: Value) -> Field {
    match value {
        Value::List(values) => Either::B(values.into_iter().map(single).collect()),
        value => Either::A(single(value)),
    }
}

fn single(value: Value) -> Single {
    match value {
        Value::Bool(flag) => Either4::A(flag),
        Value::Int(whole) if whole.unsigned_abs() <= LARGEST_WHOLE as u64 => Either4::B(whole as f64),
        Value::Int(whole) => Either4::C(BigInt::from(whole)),
        Value::Float(number) => Either4::B(number),
        Value::Text(text) => Either4::D(text),
        Value::List(_) => Either4::D(String::new()), // none: a list holds no list
    }
}
