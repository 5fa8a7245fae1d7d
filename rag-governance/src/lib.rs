//! Governance of a retrieval engine: which model made the data, and whether it may be used with it.
//!
//! This crate never ranks and never touches files or the network; what it needs it takes as values.

pub mod audit;
pub mod registry;

pub use registry::{ModelIdentity, Pooling, Prompts, Quantization};
