//! Clicks as labels.

mod bias;
mod counterfactual;
mod counts;
mod em;
mod history;
mod interval;
mod jsonl;
mod labels;
mod log;
mod propensity;
pub mod simulate;

pub use bias::{BiasEstimate, Estimation, RankEvidence, Spread, estimate_by_em, estimate_by_harvesting};
pub use counterfactual::{Counterfactual, CounterfactualEvaluation, Reward, Warning, evaluate};
pub use counts::{Counts, Prior};
pub use history::{ClickFeatures, History, history};
pub use interval::Estimate;
pub use jsonl::{MAX_LINE_BYTES, read_log, write_log};
pub use labels::{ClickRow, Label, Labelling, click_lists, grades, to_training};
pub use log::{ClickLog, Impression, MAX_ID_BYTES, MAX_RANK, MAX_SHOWN, Shown};
pub use propensity::Propensities;
