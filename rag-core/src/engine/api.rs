//! What callers hand to the engine and get back.

use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::gate::{Assignment, CanaryToken};
use crate::types::{Cancel, MAX_ID_BYTES, Metadata};

/// Most hits that one search may ask for.
pub const MAX_K: usize = 10_000;

/// Which retrievers answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Dense and lexical, fused. The default.
    #[default]
    Hybrid,
    /// Nearest vectors alone; the score is the cosine.
    Dense,
    /// BM25 alone.
    Lexical,
}

impl Mode {
    /// The mode in which the retrievers of these names answer: `dense`, `lexical` or both.
    ///
    /// # Errors
    /// `InvalidArgument` for another name, and for none.
    pub fn of(retrievers: &[impl AsRef<str>]) -> Result<Mode> {
        let (mut dense, mut lexical) = (false, false);
        for name in retrievers {
            match name.as_ref() {
                "dense" => dense = true,
                "lexical" => lexical = true,
                other => {
                    let message = format!("`retrievers` has {other:?}; there are \"dense\" and \"lexical\"");
                    return Err(Error::invalid(message));
                }
            }
        }
        match (dense, lexical) {
            (true, true) => Ok(Mode::Hybrid),
            (true, false) => Ok(Mode::Dense),
            (false, true) => Ok(Mode::Lexical),
            (false, false) => Err(Error::invalid("`retrievers` is empty; give \"dense\", \"lexical\" or both")),
        }
    }
}

/// One question.
///
/// ```
/// use rag_core::{Filter, engine::SearchRequest};
/// let request = SearchRequest::new("winter passes", 5).with_filter(Filter::eq("lang", "en"));
/// assert_eq!(request.k, 5);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// The words of the question.
    pub text: String,
    /// Hits wanted, 1 to [`MAX_K`].
    pub k: usize,
    /// Narrows the scope of the call.
    pub filter: Option<Filter>,
    /// Which retrievers answer.
    pub mode: Mode,
    /// Read `text` as query syntax (`title:word`, `"a phrase"`, `+must`, `-not`) instead of plain words. What `+` and
    /// `-` say holds for both retrievers; everything else is for the lexical one to rank by.
    pub syntax: bool,
    /// The vector of the question, when the caller has it already; else the model makes it.
    pub vector: Option<Vec<f32>>,
    /// One document for each value of this metadata field, the best one; documents without it all stay.
    pub collapse: Option<String>,
    /// How much relevance counts against variety, in `[0, 1]`: the λ of maximal marginal relevance (Carbonell & Goldstein
    /// 1998). `None`, and nearly 1: relevance alone.
    pub diversity: Option<f32>,
    /// Whether each hit tells how it came about.
    pub explain: bool,
    /// Who asks, for experiments and canaries to keep to: any text that is always the same for the same user, best one that
    /// names nobody. It is not stored. `None`: canaries and experiments on queries keep to the query.
    pub user: Option<String>,
    /// When the question was asked, for features that count ages; `None`: now.
    pub now: Option<SystemTime>,
    /// The caller's way to stop, and the deadline.
    pub cancel: Cancel,
}

impl SearchRequest {
    /// Asks for the `k` best documents for `text`.
    pub fn new(text: impl Into<String>, k: usize) -> Self {
        SearchRequest {
            text: text.into(),
            k,
            filter: None,
            mode: Mode::Hybrid,
            syntax: false,
            vector: None,
            collapse: None,
            diversity: None,
            explain: false,
            user: None,
            now: None,
            cancel: Cancel::never(),
        }
    }

    /// Only documents that match.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Chooses the retrievers.
    #[must_use]
    pub fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Reads the text as query syntax for the lexical retriever.
    #[must_use]
    pub fn with_syntax(mut self) -> Self {
        self.syntax = true;
        self
    }

    /// Brings the vector of the question along.
    #[must_use]
    pub fn with_vector(mut self, vector: Vec<f32>) -> Self {
        self.vector = Some(vector);
        self
    }

    /// One document for each value of a metadata field.
    #[must_use]
    pub fn with_collapse(mut self, field: impl Into<String>) -> Self {
        self.collapse = Some(field.into());
        self
    }

    /// Puts variety beside relevance: 1 is relevance alone, 0 variety alone.
    #[must_use]
    pub fn with_diversity(mut self, lambda: f32) -> Self {
        self.diversity = Some(lambda);
        self
    }

    /// Lets each hit tell how it came about.
    #[must_use]
    pub fn with_explanations(mut self) -> Self {
        self.explain = true;
        self
    }

    /// Says who asks: see [`SearchRequest::user`].
    #[must_use]
    pub fn with_user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Asks as if it were another time: with logs of the past, or in tests.
    #[must_use]
    pub fn with_now(mut self, now: SystemTime) -> Self {
        self.now = Some(now);
        self
    }

    /// Sets the deadline and the way to stop.
    #[must_use]
    pub fn with_cancel(mut self, cancel: Cancel) -> Self {
        self.cancel = cancel;
        self
    }

    pub(super) fn validate(&self) -> Result<()> {
        if !(1..=MAX_K).contains(&self.k) {
            return Err(Error::invalid(format!("`k` is {}; ask for 1 to {MAX_K} hits", self.k)));
        }
        if self.text.trim().is_empty() && self.vector.is_none() {
            return Err(Error::invalid("`text` is empty; give words or a vector to search for"));
        }
        if self.mode == Mode::Lexical && self.text.trim().is_empty() {
            return Err(Error::invalid("`text` is empty; the lexical retriever needs words"));
        }
        if let Some(lambda) = self.diversity.filter(|lambda| !(0.0..=1.0).contains(lambda)) {
            return Err(Error::invalid(format!("`diversity` is {lambda}; give 0 (variety) to 1 (relevance)")));
        }
        if self.collapse.as_ref().is_some_and(String::is_empty) {
            return Err(Error::invalid("`collapse` is empty; give the name of a metadata field"));
        }
        if let Some(user) = self.user.as_ref().filter(|user| user.is_empty() || user.len() > MAX_ID_BYTES) {
            let length = user.len();
            return Err(Error::invalid(format!("`user` has {length} bytes; give 1 to {MAX_ID_BYTES}, or none")));
        }
        self.filter.as_ref().map_or(Ok(()), Filter::validate)
    }
}

/// The answer to a question.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct Answer {
    /// Best first; equal scores by the order of the runs, then by document id. A reranker and `diversity` change the order and
    /// not the scores.
    pub hits: Vec<Hit>,
    /// The commit that the answer was made from.
    pub commit_seq: u64,
    /// Documents that the scope and the filter let through.
    pub visible: u64,
    /// What was left out, and why; empty for a full answer.
    pub degraded: Vec<String>,
    /// How the dense run was found: `exact scan`, `graph`, …; `None` when it was not asked for.
    pub plan: Option<&'static str>,
    /// Which weight the ranker had, and why.
    pub gate: Served,
    /// Share of the features of the candidates that the cache had; `None` where no features were read.
    pub feature_cache_hits: Option<f64>,
    /// Wall time of each stage, in order.
    pub stages: Vec<(&'static str, Duration)>,
}

/// What the live gate said of a question (see [`crate::gate`]).
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub struct Served {
    /// Number of the change of the gate that held.
    pub epoch: u64,
    /// Weight of the ranker; `None` without a ranker.
    pub weight: Option<f32>,
    /// `baseline`, `experiment`, `canary` or `killed`.
    pub reason: &'static str,
    /// The experiment that served, or `canary`.
    pub experiment: Option<String>,
    /// The variant of it: of a canary `control` or `candidate`.
    pub variant: Option<String>,
    /// For what becomes known later of an answer in a canary: see [`crate::gate::LiveGate::observe_quality`].
    pub token: Option<CanaryToken>,
}

impl Served {
    /// `own`: the weight of the ranker, if there is one.
    pub(super) fn new(assigned: &Assignment, own: Option<f32>) -> Served {
        Served {
            epoch: assigned.epoch(),
            weight: own.map(|own| assigned.weight(own)),
            reason: assigned.reason(),
            experiment: assigned.experiment().map(str::to_owned),
            variant: assigned.variant().map(str::to_owned),
            token: assigned.canary(),
        }
    }
}

/// One found document.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct Hit {
    /// 1-based.
    pub rank: usize,
    /// Fused score in hybrid mode, cosine or BM25 in the others; with a ranker the blend of it and the model's score.
    /// Higher is better.
    pub score: f32,
    /// Id of the document.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its metadata.
    pub metadata: Metadata,
    /// The passage that matched best.
    pub passage: Passage,
    /// How many further candidates, of those that were looked at, have the same value of the field that the request
    /// collapses by.
    pub hidden: usize,
    /// How the hit came about, if asked for.
    pub explanation: Option<Explanation>,
}

/// A passage of a document.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Position among the chunks of the document, 0-based.
    pub ordinal: usize,
    /// Byte offsets in the document's text.
    pub start: usize,
    /// End of the passage (exclusive).
    pub end: usize,
    /// The text itself.
    pub text: String,
}

/// How a score came about. Where the formula is a sum over the runs, their parts add up to the fused score, which without a
/// ranker is the score.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The score that is explained.
    pub score: f32,
    /// How the runs were combined: `convex(min_max)`, `rrf(60)`, or the name of the only run.
    pub fusion: String,
    /// One for each run that was asked, in run order.
    pub runs: Vec<RunExplanation>,
    /// What the ranker said; `None` without one, and where it was skipped.
    pub ltr: Option<LtrExplanation>,
    /// The score of the reranker, which ordered those that it has seen.
    pub rerank: Option<f32>,
    /// The value of maximal marginal relevance when the document was picked: λ · relevance − (1 − λ) · the greatest cosine to a
    /// document before it, relevance scaled to the candidates. The first has no document before it.
    pub diversity: Option<f64>,
}

/// What a ranker thought of a document: the score is `(1 − weight) · fused_normalized + weight · normalized`.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub struct LtrExplanation {
    /// The fused score, which the runs add up to.
    pub fused: f32,
    /// Its place between the least and the greatest of the candidates that the model ranked.
    pub fused_normalized: f32,
    /// The model's score.
    pub score: f64,
    /// Its place between the least and the greatest.
    pub normalized: f32,
    /// Weight of the model's score.
    pub weight: f32,
    /// What the model answers when no feature is known. With the contributions of all features it adds up to `score`; `None`
    /// where the model does not say.
    pub expected: Option<f64>,
    /// What the model read, in its order.
    pub features: Vec<FeatureExplanation>,
}

/// One feature of a document.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureExplanation {
    /// Its name.
    pub name: String,
    /// Its value; NaN: missing.
    pub value: f32,
    /// Its SHAP value: what it adds to the score. `None` where the model does not say enough of its training.
    pub contribution: Option<f64>,
}

/// What one retriever thought of a document.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub struct RunExplanation {
    /// `dense` or `lexical`.
    pub run: &'static str,
    /// 1-based rank of the document in the run; `None`: not among its candidates.
    pub rank: Option<usize>,
    /// Score of its best chunk there.
    pub score: Option<f32>,
    /// The score after normalisation, or 1 / (60 + rank).
    pub normalized: Option<f32>,
    /// Weight of the run.
    pub weight: f32,
    /// What the run adds to the final score.
    pub contribution: f32,
}

/// What an upsert did; staged until the next commit.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UpsertReport {
    /// Documents that were not there.
    pub added: usize,
    /// Documents that were there and differ.
    pub updated: usize,
    /// Documents that were there just so; nothing was done.
    pub unchanged: usize,
    /// Documents that a later one of the same call with the same id replaced; they count nowhere else.
    pub repeated: usize,
    /// Chunks of the added and updated documents.
    pub chunks: usize,
    /// Chunks that the model embedded; the others kept their vectors.
    pub embedded: usize,
    /// Chunks of which the model saw only the beginning.
    pub truncated: usize,
}

impl std::ops::AddAssign for UpsertReport {
    fn add_assign(&mut self, other: Self) {
        self.added += other.added;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.repeated += other.repeated;
        self.chunks += other.chunks;
        self.embedded += other.embedded;
        self.truncated += other.truncated;
    }
}

/// A stored document, whole.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub struct StoredDocument {
    /// As it was handed in; its tenant is named.
    pub document: crate::types::Document,
    /// Byte ranges of its chunks.
    pub chunks: Vec<(usize, usize)>,
}

/// Numbers about an engine.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct Stats {
    /// Documents of the scope's tenant.
    pub documents: u64,
    /// Documents of all tenants.
    pub documents_total: u64,
    /// Chunks of all tenants.
    pub chunks_total: u64,
    /// The last commit.
    pub commit_seq: u64,
    /// The model that made the vectors.
    pub model: rag_governance::ModelIdentity,
    /// Backend of the dense retriever.
    pub vector_backend: &'static str,
    /// Vectors in the dense index, those of replaced documents included until compaction.
    pub vectors: usize,
    /// What the lexical index does to words.
    pub analyser: String,
    /// Bytes on disk: the store, the lexical index, the sealed vectors.
    pub bytes: DiskBytes,
    /// The cache of features.
    pub feature_cache: crate::cache::CacheStats,
}

/// Bytes on disk.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskBytes {
    /// The store: documents, chunks and full-precision vectors.
    pub store: u64,
    /// The lexical index.
    pub lexical: u64,
    /// Sealed vector segments.
    pub vectors: u64,
}

/// What `verify` found.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Documents whose rows were read and agree.
    pub documents: u64,
    /// Derived pieces that were wrong and have been made again from the store.
    pub repaired: Vec<String>,
}
