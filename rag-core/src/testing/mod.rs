//! Tools for tests of this crate and of what is built on it.

#[cfg(feature = "engine")]
pub use crate::format::disk::FaultPlan;
