//! The live gate: which weight the ranker's score has, for whom, and since when.
//!
//! `final = (1 − w) · fused + w · model`. `w` is read at the beginning of each query without a lock, and changed while
//! queries run. Every change has a number (the epoch), an author and a reason, and is given to an [`AuditSink`] before it
//! takes effect; a sink that refuses, refuses the change.
//!
//! Who gets what, in this order:
//! 1. a killed gate gives everyone the weight 0;
//! 2. users or queries in an [`Experiment`] get the weight of their variant;
//! 3. of the others a [`Canary`](crate::Canary) gives a share the weight that it tries;
//! 4. the rest get the weight of the gate, or where none was ever set, that of the ranker.
//!
//! Experiments come before the canary, so that they are the same for both of its arms.

mod action;
mod audit;
mod bucket;
mod error;
mod experiment;
mod shadow;
mod state;
mod token;

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

pub use action::Action;
pub use audit::{AuditSink, Change, GateRecord, NoAudit};
pub use bucket::{BUCKETS, BucketKey};
pub use error::GateError;
pub use experiment::{Experiment, Running, Unit, Variant};
pub use shadow::{RankingDifference, ShadowSummary};
pub use state::GateState;
pub use token::CanaryToken;

use crate::canary::Arm;

/// The weight of the ranker, live.
///
/// ```
/// use rag_fusion::gate::{Action, BucketKey, Change, Gate, GateState, NoAudit};
/// let gate = Gate::new(GateState::default(), BucketKey::new(b"a key of at least 16 bytes")?)?;
/// assert_eq!(gate.assign(Some("ann"), "snow").weight(1.0), 1.0, "nobody has said anything yet");
/// let change = Change::new("ben", "half of it for a start").with_issue("RANK-12");
/// gate.change(Action::SetWeight { weight: 0.5 }, change, None, &NoAudit)?;
/// let assigned = gate.assign(Some("ann"), "snow");
/// assert_eq!((assigned.weight(1.0), assigned.epoch()), (0.5, 1));
/// # Ok::<(), rag_fusion::gate::GateError>(())
/// ```
#[derive(Debug)]
pub struct Gate {
    state: ArcSwap<GateState>,
    key: BucketKey,
    /// One change at a time.
    changing: Mutex<()>,
}

impl Gate {
    /// A gate in a state: `GateState::default()`, or the one that was last recorded.
    ///
    /// # Errors
    /// [`GateError::State`] for a state that no gate can be in.
    pub fn new(state: GateState, key: BucketKey) -> Result<Gate, GateError> {
        state.validate()?;
        Ok(Gate { state: ArcSwap::from_pointee(state), key, changing: Mutex::new(()) })
    }

    /// The state as it is now.
    pub fn state(&self) -> Arc<GateState> {
        self.state.load_full()
    }

    /// What the buckets follow from.
    pub fn key(&self) -> &BucketKey {
        &self.key
    }

    /// Changes the state, once `audit` has the record of it; gives that record. `expected`: refuse if the epoch is not this
    /// one any more, for callers who decided on what they saw.
    ///
    /// # Errors
    /// [`GateError`]; nothing has changed then.
    pub fn change(
        &self,
        action: Action,
        change: Change,
        expected: Option<u64>,
        audit: &dyn AuditSink,
    ) -> Result<GateRecord, GateError> {
        change.validate()?;
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.state.load_full();
        if let Some(expected) = expected.filter(|&expected| expected != before.epoch) {
            return Err(GateError::Epoch { expected, found: before.epoch });
        }
        let mut after = before.after(&action, change.at_us)?;
        after.obeyed = change.source.clone().or(after.obeyed);
        after.changed = Some(change);
        let record = GateRecord { action, weight_before: before.weight, key: self.key.fingerprint(), state: after };
        audit.record(&record).map_err(GateError::Refused)?;
        self.state.store(Arc::new(record.state.clone()));
        Ok(record)
    }

    /// Takes over a state that was changed and recorded elsewhere, such as by another process; an older one than its own is
    /// left alone.
    ///
    /// # Errors
    /// [`GateError::State`].
    pub fn follow(&self, state: GateState) -> Result<(), GateError> {
        state.validate()?;
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if state.epoch > self.state.load().epoch {
            self.state.store(Arc::new(state));
        }
        Ok(())
    }

    /// What holds for a request: for its user (none: nobody knows) and its query, whose case and outer white space do not
    /// count. The same for the same key and state, everywhere and always. Reads no lock.
    pub fn assign(&self, user: Option<&str>, query: &str) -> Assignment {
        let state = self.state.load_full();
        let (reason, shadow) = state.place(&self.key, user, query);
        Assignment { state, reason, shadow }
    }
}

/// Why a request has its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Killed,
    Baseline,
    /// Positions of the experiment and of its variant.
    Experiment(usize, usize),
    /// The arm, and the unit as a number.
    Canary(Arm, u64),
}

/// What holds for one request; it is of one state, whatever changes meanwhile.
#[derive(Debug, Clone)]
pub struct Assignment {
    state: Arc<GateState>,
    reason: Reason,
    /// As in [`Reason::Experiment`].
    shadow: Option<(usize, usize)>,
}

impl Assignment {
    /// Number of the change that made the state.
    pub fn epoch(&self) -> u64 {
        self.state.epoch
    }

    /// The weight, where `own` is that of the ranker itself.
    pub fn weight(&self, own: f32) -> f32 {
        let set = match self.reason {
            Reason::Killed => Some(0.0),
            Reason::Experiment(experiment, variant) => Some(self.state.variant((experiment, variant)).weight),
            Reason::Canary(Arm::Candidate, _) => self.state.canary.as_ref().map(|canary| canary.plan().weight),
            Reason::Baseline | Reason::Canary(Arm::Control, _) => self.state.weight,
        };
        set.unwrap_or(own)
    }

    /// `killed`, `baseline`, `experiment` or `canary`.
    pub fn reason(&self) -> &'static str {
        match self.reason {
            Reason::Killed => "killed",
            Reason::Baseline => "baseline",
            Reason::Experiment(..) => "experiment",
            Reason::Canary(..) => "canary",
        }
    }

    /// The experiment that the request is in, if any: `canary` for the canary.
    pub fn experiment(&self) -> Option<&str> {
        match self.reason {
            Reason::Experiment(experiment, _) => Some(&self.state.experiments[experiment].experiment.name),
            Reason::Canary(..) => Some("canary"),
            Reason::Killed | Reason::Baseline => None,
        }
    }

    /// The variant of the experiment: for the canary `control` or `candidate`.
    pub fn variant(&self) -> Option<&str> {
        match self.reason {
            Reason::Experiment(experiment, variant) => Some(&self.state.variant((experiment, variant)).name),
            Reason::Canary(arm, _) => Some(arm.as_str()),
            Reason::Killed | Reason::Baseline => None,
        }
    }

    /// The arm of the canary that the request is in, if it is in one.
    pub fn canary(&self) -> Option<CanaryToken> {
        match self.reason {
            Reason::Canary(arm, unit) => Some(CanaryToken { epoch: self.state.canary_epoch, arm, unit }),
            _ => None,
        }
    }

    /// The experiment and variant to be computed beside what is served, and its weight.
    pub fn shadow(&self) -> Option<(&str, &Variant)> {
        let (experiment, variant) = self.shadow?;
        Some((&self.state.experiments[experiment].experiment.name, self.state.variant((experiment, variant))))
    }

    /// Why, in the words of OpenTelemetry's `feature_flag.result.reason`: `disabled` (killed), `split` (an experiment or a
    /// canary), `static` (the weight of the gate) or `default` (that of the ranker).
    pub fn flag_reason(&self) -> &'static str {
        match self.reason {
            Reason::Killed => "disabled",
            Reason::Baseline if self.state.weight.is_none() => "default",
            Reason::Baseline => "static",
            Reason::Experiment(..) | Reason::Canary(..) => "split",
        }
    }
}
