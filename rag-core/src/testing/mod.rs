//! Tools for tests of this crate and of what is built on it.

mod embedder;

pub use embedder::WordEmbedder;

#[cfg(feature = "engine")]
pub use crate::format::disk::FaultPlan;
