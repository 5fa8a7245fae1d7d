//! Embeddable retrieval engine: embedding, hybrid retrieval, fusion and learning to rank in your own process.

pub mod ann;
pub mod cache;
pub mod config;
pub mod distance;
pub mod embed;
#[cfg(feature = "engine")]
pub mod engine;
mod error;
pub mod features;
pub mod filter;
pub mod fork;
#[cfg_attr(not(feature = "engine"), allow(dead_code))]
pub(crate) mod format;
#[cfg_attr(not(feature = "engine"), allow(dead_code))]
pub mod gate;
#[cfg(feature = "engine")]
pub(crate) mod lexical;
#[cfg_attr(not(feature = "engine"), allow(dead_code))]
pub(crate) mod pool;
pub mod rankers;
#[cfg(feature = "engine")]
pub mod rerank;
#[cfg(feature = "engine")]
pub(crate) mod store;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "engine")]
pub mod tune;
mod types;

#[cfg(feature = "engine")]
pub use engine::Engine;
pub use error::{Error, ErrorKind, Result};
pub use filter::Filter;
#[cfg(feature = "engine")]
pub use lexical::TextQuery;
pub use rag_fusion as fusion;
pub use rag_governance as governance;
pub use rag_ltr as ltr;
pub use types::{
    Cancel, ChunkId, DEFAULT_TENANT, DocNum, Document, IdSet, MAX_CHUNKS, MAX_ID_BYTES, MAX_TITLE_BYTES, Metadata,
    Scope, Value,
};
