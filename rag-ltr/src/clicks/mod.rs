//! Clicks as labels.

mod jsonl;
mod log;

pub use jsonl::{MAX_LINE_BYTES, read_log, write_log};
pub use log::{ClickLog, Impression, MAX_ID_BYTES, MAX_RANK, MAX_SHOWN, Shown};
