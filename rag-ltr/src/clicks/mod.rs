//! Clicks as labels.

mod bias;
mod em;
mod jsonl;
mod log;
mod propensity;

pub use bias::{BiasEstimate, Estimation, RankEvidence, Spread, estimate_by_em, estimate_by_harvesting};
pub use jsonl::{MAX_LINE_BYTES, read_log, write_log};
pub use log::{ClickLog, Impression, MAX_ID_BYTES, MAX_RANK, MAX_SHOWN, Shown};
pub use propensity::Propensities;
