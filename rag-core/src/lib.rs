//! Embeddable retrieval engine: embedding, hybrid retrieval, fusion and learning to rank in your own process.

pub mod ann;
pub mod config;
pub mod distance;
pub mod embed;
mod error;
pub mod filter;
pub mod telemetry;
mod types;

pub use error::{Error, ErrorKind, Result};
pub use filter::Filter;
pub use rag_fusion as fusion;
pub use rag_governance as governance;
pub use rag_ltr as ltr;
pub use types::{
    Cancel, ChunkId, DEFAULT_TENANT, DocNum, Document, IdSet, MAX_CHUNKS, MAX_ID_BYTES, Metadata, Scope, Value,
};
