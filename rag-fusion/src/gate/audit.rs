//! Who changed what, why, and who must hear of it first.

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::action::Action;
use super::error::{GateError, check};
use super::state::GateState;

/// Most bytes of each text.
const MOST: usize = 1024;

/// Who changes a gate, why and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// A person or a program.
    pub author: String,
    /// In a sentence.
    pub reason: String,
    /// Where it is discussed: a link, or a number of an issue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue: Option<String>,
    /// The version of the file that told it; none: nobody but the author did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When, in microseconds since 1970.
    pub at_us: u64,
}

impl Change {
    /// A change of now.
    pub fn new(author: impl Into<String>, reason: impl Into<String>) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at_us = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        Change { author: author.into(), reason: reason.into(), issue: None, source: None, at_us }
    }

    /// Says where it is discussed.
    #[must_use]
    pub fn with_issue(mut self, issue: impl Into<String>) -> Self {
        self.issue = Some(issue.into());
        self
    }

    pub(super) fn validate(&self) -> Result<(), GateError> {
        let texts = [("author", Some(&self.author)), ("reason", Some(&self.reason)), ("issue", self.issue.as_ref())];
        let texts = texts.into_iter().chain([("source", self.source.as_ref())]);
        for (field, text) in texts {
            let Some(text) = text else { continue };
            check(!text.trim().is_empty(), field, &"empty", "say it in a few words")?;
            check(text.len() <= MOST, field, &format!("{} bytes long", text.len()), "give at most 1024 bytes")?;
            let is_line = !text.chars().any(char::is_control);
            check(is_line, field, &format!("{text:?}"), "give one line without control characters")?;
        }
        Ok(())
    }
}

/// One change of a gate, whole: what was done, and what holds from then on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateRecord {
    /// What was done.
    pub action: Action,
    /// The weight of the gate before; none: that of the ranker.
    pub weight_before: Option<f32>,
    /// Fingerprint of the key of the buckets.
    pub key: String,
    /// What holds from then on; `state.changed` says who did it and why, `state.epoch` is the number of the record.
    pub state: GateState,
}

/// Where changes are written down before they take effect. A sink that waits holds up every other change of the gate, and one
/// that changes the same gate waits for itself.
pub trait AuditSink: Send + Sync {
    /// Keeps the record; once this returns it must survive whatever the sink promises to survive.
    ///
    /// # Errors
    /// Any; the change is not made then.
    fn record(&self, record: &GateRecord) -> Result<(), Box<dyn Error + Send + Sync>>;
}

/// Keeps nothing and refuses nothing: for tests, and where something else keeps the records.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAudit;

impl AuditSink for NoAudit {
    fn record(&self, _: &GateRecord) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}
