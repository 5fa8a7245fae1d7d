//! Embeddable retrieval engine: embedding, hybrid retrieval, fusion and learning to rank in your own process.

pub mod ann;
pub mod config;
pub mod embed;
mod error;
pub mod filter;
// The engine is its only user.
#[cfg(feature = "engine")]
#[allow(dead_code, unused_imports)]
pub(crate) mod lexical;
pub mod telemetry;
mod types;

pub use error::{Error, ErrorKind, Result};
pub use filter::Filter;
#[cfg(feature = "engine")]
pub use lexical::TextQuery;
pub use rag_fusion as fusion;
pub use rag_governance as governance;
pub use rag_ltr as ltr;
pub use types::{
    Cancel, ChunkId, DEFAULT_TENANT, DocNum, Document, IdSet, MAX_CHUNKS, MAX_ID_BYTES, Metadata, Scope, Value,
};
