//! Every step of a query or a write passes through here: deadline, trace, measure. Nothing else times anything.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::telemetry::{Stage, StageRecord, Telemetry};
use crate::types::Cancel;

#[derive(Debug)]
pub(super) struct Stages<'a> {
    telemetry: &'a dyn Telemetry,
    cancel: &'a Cancel,
    durations: Mutex<Vec<(Stage, Duration)>>,
}

impl<'a> Stages<'a> {
    pub(super) fn new(telemetry: &'a dyn Telemetry, cancel: &'a Cancel) -> Self {
        Stages { telemetry, cancel, durations: Mutex::default() }
    }

    /// Runs one stage; an error says in which one it happened.
    pub(super) fn run<T>(&self, stage: Stage, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.run_until(self.cancel, stage, work)
    }

    /// As [`Stages::run`], for a stage with an earlier deadline than the call.
    pub(super) fn run_until<T>(&self, cancel: &Cancel, stage: Stage, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let name = stage.as_str();
        let span = tracing::debug_span!("rag.stage", stage = name).entered();
        let start = Instant::now();
        let result = cancel.check().and_then(|()| work());
        let duration = start.elapsed();
        drop(span);
        self.telemetry.record(&StageRecord { stage, duration, error: result.as_ref().err().map(crate::Error::kind) });
        if let Ok(mut durations) = self.durations.lock() {
            durations.push((stage, duration));
        }
        result.map_err(|error| error.with("stage", name))
    }

    /// What ran, in order of completion.
    pub(super) fn durations(self) -> Vec<(&'static str, Duration)> {
        let durations = self.durations.into_inner().unwrap_or_default();
        durations.into_iter().map(|(stage, duration)| (stage.as_str(), duration)).collect()
    }
}
