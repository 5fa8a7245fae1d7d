//! What the engine tells about its work: ids, counts and durations; never the text of a query or a document.

use std::fmt;
use std::time::Duration;

use crate::error::ErrorKind;
use crate::gate::Assignment;

/// One step of a query or a write, as named in traces, metrics and answers.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Scope and filter to the set of documents that may be seen.
    Authorise,
    /// Text to vectors.
    Embed,
    /// Nearest vectors.
    Dense,
    /// BM25.
    Lexical,
    /// Runs to one ranking.
    Fuse,
    /// Candidates to rows of features.
    Features,
    /// Rows of features to the model's order.
    Ltr,
    /// The best candidates once more, by a reranker.
    Rerank,
    /// Variety beside relevance.
    Diversify,
    /// Document numbers to documents.
    Hydrate,
    /// Documents to chunks.
    Chunk,
    /// One transaction of the store.
    Store,
    /// Derived indexes to the state of the store.
    Index,
}

impl Stage {
    /// Stable snake_case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Authorise => "authorise",
            Stage::Embed => "embed",
            Stage::Dense => "dense",
            Stage::Lexical => "lexical",
            Stage::Fuse => "fuse",
            Stage::Features => "features",
            Stage::Ltr => "ltr",
            Stage::Rerank => "rerank",
            Stage::Diversify => "diversify",
            Stage::Hydrate => "hydrate",
            Stage::Chunk => "chunk",
            Stage::Store => "store",
            Stage::Index => "index",
        }
    }
}

/// One finished stage.
#[non_exhaustive]
#[derive(Debug, Clone, Copy)]
pub struct StageRecord {
    /// Which one.
    pub stage: Stage,
    /// Wall time.
    pub duration: Duration,
    /// `None`: it succeeded.
    pub error: Option<ErrorKind>,
}

/// What a cache had for one search.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheRecord {
    /// Which cache: `features`.
    pub cache: &'static str,
    /// Values that were there.
    pub hits: usize,
    /// Values that had to be computed.
    pub misses: usize,
}

/// The weight that the ranker has for one search, and why: the attributes of OpenTelemetry's event
/// `feature_flag.evaluation`.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EvaluationRecord<'a> {
    /// The experiment, `canary`, or `baseline`: `feature_flag.set.id`.
    pub set: &'a str,
    /// The variant, else why there is none: `feature_flag.result.variant`.
    pub variant: &'a str,
    /// The weight: `feature_flag.result.value`.
    pub value: f32,
    /// `static`, `default`, `split` or `disabled`: `feature_flag.result.reason`.
    pub reason: &'static str,
    /// The epoch of the gate: `feature_flag.version`.
    pub version: u64,
}

impl<'a> EvaluationRecord<'a> {
    /// `feature_flag.key`.
    pub const KEY: &'static str = "rag.ltr.weight";

    /// `own`: the weight of the ranker before the gate says another one.
    pub fn new(assigned: &'a Assignment, own: f32) -> Self {
        EvaluationRecord {
            set: assigned.experiment().unwrap_or("baseline"),
            variant: assigned.variant().unwrap_or(assigned.reason()),
            value: assigned.weight(own),
            reason: assigned.flag_reason(),
            version: assigned.epoch(),
        }
    }
}

/// Receiver of stage records; called on the thread that did the work, so it must be quick.
pub trait Telemetry: Send + Sync + fmt::Debug {
    /// One stage ended.
    fn record(&self, record: &StageRecord);

    /// A cache was asked.
    fn cached(&self, _record: &CacheRecord) {}

    /// The gate was asked for the weight of the ranker.
    fn evaluated(&self, _record: &EvaluationRecord<'_>) {}
}

/// Drops everything; the default.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTelemetry;

impl Telemetry for NoTelemetry {
    fn record(&self, _: &StageRecord) {}
}
