//! The engine for Python. Every function here converts its arguments, calls the engine with the interpreter released, and
//! converts the answer or the error; nothing is computed here.

#![allow(clippy::needless_pass_by_value, clippy::wrong_self_convention, reason = "arguments as PyO3 extracts them")]

mod answer;
mod arrays;
mod call;
mod clicks;
mod convert;
mod embedder;
mod engine;
mod errors;
mod evaluation;
mod explanation;
mod features;
mod fusion;
mod gate;
mod ranker;
mod reports;
mod value;
mod vectors;

use pyo3::pymodule;

/// Embeddable retrieval engine: embedding, retrieval, fusion, learning to rank and evaluation in your own process.
#[pymodule]
mod _rag_core {
    #[pymodule_export]
    use crate::answer::{Answer, Chunk, Hit, Served};
    #[pymodule_export]
    use crate::call::{after_fork, before_fork};
    #[pymodule_export]
    use crate::clicks::ClickLog;
    #[pymodule_export]
    use crate::embedder::Embedder;
    #[pymodule_export]
    use crate::engine::Engine;
    #[pymodule_export]
    use crate::errors::error_kinds;
    #[pymodule_export]
    use crate::evaluation::evaluate;
    #[pymodule_export]
    use crate::explanation::{Explanation, FeatureExplanation, LtrExplanation, RunExplanation};
    #[pymodule_export]
    use crate::features::{FeatureLog, FeatureSchema};
    #[pymodule_export]
    use crate::fusion::{fuse, learn_fusion};
    #[pymodule_export]
    use crate::gate::Gate;
    #[pymodule_export]
    use crate::ranker::Ranker;
    #[pymodule_export]
    use crate::reports::{Stats, UpsertReport, VerifyReport};
    #[pymodule_export]
    use crate::vectors::VectorIndex;
}
