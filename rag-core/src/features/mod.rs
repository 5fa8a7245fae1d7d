//! What a ranker learns from: features of a question and each of its candidates.
//!
//! A [`FeaturesConfig`] declares them; a schema of named columns follows from it. One extractor serves searches and writes
//! logs ([`Engine::log_features`](crate::Engine::log_features)), so a model is trained on what it will see. Formulas,
//! ranges and what is missing when: `docs/features.md`.

#[cfg(feature = "engine")]
mod cached;
#[cfg(feature = "engine")]
mod clicks;
mod config;
#[cfg(feature = "engine")]
mod document;
#[cfg(feature = "engine")]
mod extract;
#[cfg(feature = "engine")]
mod feedback;
#[cfg(feature = "engine")]
mod functions;
#[cfg(feature = "engine")]
mod log;
#[cfg(feature = "engine")]
mod plan;
#[cfg(feature = "engine")]
mod stored;
#[cfg(feature = "engine")]
mod text;

#[cfg(feature = "engine")]
pub use clicks::ClickCounts;
pub use config::{CategoryConfig, ClicksConfig, FeatureGroup, FeaturesConfig, FreshnessConfig, TextField};
#[cfg(feature = "engine")]
pub(crate) use extract::{Candidates, Extractor, FeatureRows, Question, Sources};
#[cfg(feature = "engine")]
pub use functions::{FeatureDocument, FeatureFunction, FeatureQuery};
#[cfg(feature = "engine")]
pub(crate) use log::blend;
#[cfg(feature = "engine")]
pub use log::{FeatureLog, LoggedQuery};
