//! What a search asks the live gate, and what it tells it.

use std::sync::Arc;
use std::time::Duration;

use rag_fusion::Observation;

use super::Inner;
use super::api::{Answer, SearchRequest};
use crate::error::{ErrorKind, Result};
use crate::gate::Assignment;
use crate::telemetry::EvaluationRecord;

impl Inner {
    /// What holds for a request.
    pub(super) fn assign(&self, request: &SearchRequest) -> Assignment {
        let (assigned, is_due) = self.gate.assign_at(request.user.as_deref(), &request.text);
        if is_due && self.gate.has_work() {
            let gate = Arc::clone(&self.gate);
            self.searching.spawn(move || {
                let _inside = crate::fork::enter();
                gate.tick_quietly();
            });
        }
        if let Some(ranking) = &*self.ranking.load() {
            let own = ranking.weight;
            tracing::debug!(
                "feature_flag.key" = EvaluationRecord::KEY,
                "feature_flag.set.id" = assigned.experiment().unwrap_or("baseline"),
                "feature_flag.result.variant" = assigned.variant().unwrap_or(assigned.reason()),
                "feature_flag.result.value" = assigned.weight(own),
                "feature_flag.result.reason" = assigned.flag_reason(),
                "feature_flag.version" = assigned.epoch(),
                "feature_flag.evaluation"
            );
            self.telemetry.evaluated(&EvaluationRecord::new(&assigned, own));
        }
        assigned
    }

    /// Tells the canary what became of a request. What the caller got wrong or ended is nobody's failure.
    pub(super) fn observe(&self, assigned: &Assignment, took: Duration, answer: &Result<Answer>) {
        let Some(token) = assigned.canary() else { return };
        let mut seen = Observation::new(token.arm);
        match answer {
            Ok(answer) => {
                seen.latency_us = u64::try_from(took.as_micros()).ok();
                seen.empty = answer.hits.is_empty();
                seen.cache_hit = answer.feature_cache_hits;
            }
            Err(error) => match error.kind() {
                ErrorKind::InvalidArgument | ErrorKind::Cancelled => return,
                _ => seen.error = true,
            },
        }
        if let Err(error) = self.gate.observe(token, &seen) {
            tracing::error!(%error, "a request is not counted");
        }
    }
}
