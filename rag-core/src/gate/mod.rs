//! The live gate of a data folder: the weight of the ranker, changed and watched while searches run.
//!
//! `final = (1 − w) · fused + w · model`. What the gate is and whom it gives which weight: [`rag_fusion::gate`]. Here it is
//! bound to a folder:
//!
//! - `gate.log` has one record for each change, each with its checksum; it is the truth. A change is durable there before
//!   any search sees it, and a record that cannot be written refuses the change.
//! - Several processes may change the gate of a folder, whether or not an engine has it open. An engine looks at the log at
//!   the first search of each second.
//! - `gate.key` has the secret that the buckets follow from; `gate.seen` has what a canary and shadow experiments have seen
//!   of the requests, saved every ten seconds and at every decision. Without it a canary goes on from its last decision.
//!
//! ```
//! use rag_core::gate::{Action, Change, LiveGate};
//! let folder = tempfile::tempdir()?;
//! let gate = LiveGate::open(folder.path(), &Default::default())?;
//! let change = Change::new("ann", "the new ranker has earned half of the say").with_issue("RANK-12");
//! gate.change(Action::SetWeight { weight: 0.5 }, change, None)?;
//! assert_eq!(LiveGate::open(folder.path(), &Default::default())?.state().weight, Some(0.5));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod files;
mod observe;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rag_fusion::Reading;
pub use rag_fusion::gate::{
    Action, Assignment, AuditSink, CanaryToken, Change, Experiment, GateError, GateRecord, GateState,
    RankingDifference, Running, ShadowSummary, Unit, Variant,
};

use crate::config::GateConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::format::disk::Disk;
use crate::format::log::{Held, RecordLog};
use observe::{Pending, Watch};

const LOG: &str = "gate.log";
const KEY: &str = "gate.key";
const SEEN: &str = "gate.seen";

/// How often the log is looked at, in milliseconds.
const EVERY_MS: u64 = 1000;

/// The gate of a folder.
pub struct LiveGate {
    gate: rag_fusion::gate::Gate,
    folder: PathBuf,
    /// The file that says what to do.
    watched: Option<PathBuf>,
    disk: Disk,
    /// Who opened it: in a forked child it stays as it is.
    process: u32,
    /// One change at a time; none before there is a file.
    log: Mutex<Option<RecordLog>>,
    /// Who else must agree to changes.
    audit: Option<Arc<dyn AuditSink>>,
    since: Instant,
    /// Milliseconds after `since` at which the log is to be looked at again.
    next_look: AtomicU64,
    /// What requests leave for the next [`LiveGate::tick`].
    pending: Mutex<Pending>,
    watch: Mutex<Watch>,
}

impl fmt::Debug for LiveGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveGate").field("folder", &self.folder).field("gate", &self.gate).finish_non_exhaustive()
    }
}

/// What a gate is in, and what was seen of the requests.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct GateStatus {
    /// The state.
    pub state: GateState,
    /// Fingerprint of the key of the buckets.
    pub key: String,
    /// The guardrails of the canary that is under way, or of the last one, as far as they were saved.
    pub canary: Vec<Reading>,
    /// What was seen of each shadow experiment, as far as it was saved.
    pub shadows: BTreeMap<String, ShadowSummary>,
}

impl LiveGate {
    /// The gate of a data folder, which must exist. It may be open elsewhere.
    ///
    /// # Errors
    /// `NotFound` for the folder, `InvalidArgument` for a key that is too short, `Corruption` for a log that is damaged, I/O
    /// errors.
    pub fn open(folder: impl AsRef<Path>, config: &GateConfig) -> Result<LiveGate> {
        LiveGate::with(folder.as_ref(), config, Disk::default(), None)
    }

    pub(crate) fn with(
        folder: &Path,
        config: &GateConfig,
        disk: Disk,
        audit: Option<Arc<dyn AuditSink>>,
    ) -> Result<LiveGate> {
        if !folder.is_dir() {
            let message = format!("{} is no data folder; index documents into it first", folder.display());
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        let key = files::key(config.key_file.as_deref(), &folder.join(KEY), &disk)?;
        let gate = rag_fusion::gate::Gate::new(GateState::default(), key).map_err(refused)?;
        let watch = Watch::load(&folder.join(SEEN));
        let live = LiveGate {
            gate,
            folder: folder.to_owned(),
            watched: config.watch.clone(),
            disk,
            process: std::process::id(),
            log: Mutex::new(None),
            audit,
            since: Instant::now(),
            next_look: AtomicU64::new(EVERY_MS),
            pending: Mutex::default(),
            watch: Mutex::new(watch),
        };
        live.follow(true)?;
        Ok(live)
    }

    /// The state as this process last saw it.
    pub fn state(&self) -> Arc<GateState> {
        self.gate.state()
    }

    /// The state and what was seen, as they are on disk.
    ///
    /// # Errors
    /// `Corruption`, I/O errors.
    pub fn status(&self) -> Result<GateStatus> {
        self.follow(true)?;
        let (state, mut seen) = (self.state(), Watch::load(&self.folder.join(SEEN)));
        seen.shadows.retain(|name, _| state.experiments.iter().any(|running| running.experiment.name == *name));
        let canary = seen.canary_of(&state).map(rag_fusion::Canary::readings).unwrap_or_default();
        let key = self.gate.key().fingerprint();
        Ok(GateStatus { state: (*state).clone(), key, canary, shadows: seen.shadows })
    }

    /// All changes, the first one first.
    ///
    /// # Errors
    /// `Corruption`, I/O errors.
    pub fn records(&self) -> Result<Vec<GateRecord>> {
        let path = self.folder.join(LOG);
        if !files::exists(&path)? {
            return Ok(Vec::new());
        }
        RecordLog::read(&path, self.disk.clone())?.iter().map(|record| parsed(&path, record)).collect()
    }

    /// Changes the gate, once the record of it is durable; gives that record. `expected`: refuse if the epoch is not this
    /// one any more.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field; `Conflict` for another epoch, for what a canary under way forbids, and for what
    /// is there already; `NotFound` for what is not there; whatever the audit refused with, and failures of the disk.
    /// Nothing has changed then.
    pub fn change(&self, action: Action, change: Change, expected: Option<u64>) -> Result<GateRecord> {
        if !self.is_own() {
            let message = format!(
                "this process was forked from process {}, which has the gate open: change it there",
                self.process
            );
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let mut log = lock(&self.log);
        let path = self.folder.join(LOG);
        if log.is_none() {
            *log = Some(RecordLog::open(&path, self.disk.clone())?);
        }
        let Some(log) = log.as_mut() else { return Err(Error::internal("the log of the gate is not open")) };
        let mut held = log.lock()?;
        held.take(|records| self.take_over(&path, records))?;
        let sink = Sink { also: self.audit.as_deref(), log: Mutex::new(held) };
        self.gate.change(action, change, expected, &sink).map_err(refused)
    }

    /// What holds for a request of a user, with a query. Once a second it looks whether another process has changed the
    /// gate.
    pub fn assign(&self, user: Option<&str>, query: &str) -> Assignment {
        self.assign_at(user, query).0
    }

    /// As [`LiveGate::assign`]; also whether it is this call's turn to see to [`LiveGate::tick`].
    pub(crate) fn assign_at(&self, user: Option<&str>, query: &str) -> (Assignment, bool) {
        let is_due = self.is_time();
        if is_due && let Err(error) = self.follow(false) {
            tracing::error!(%error, "the gate stays as it was: its log cannot be read");
        }
        (self.gate.assign(user, query), is_due)
    }

    fn is_own(&self) -> bool {
        std::process::id() == self.process
    }

    fn is_time(&self) -> bool {
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let next = self.next_look.load(Ordering::Relaxed);
        let later = now.saturating_add(EVERY_MS);
        now >= next && self.next_look.compare_exchange(next, later, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Takes over what other processes have done. A change of this process that is under way does that itself; for one of
    /// another process a search does not `wait`.
    fn follow(&self, wait: bool) -> Result<()> {
        if !self.is_own() {
            return Ok(());
        }
        let Ok(mut log) = self.log.try_lock() else { return Ok(()) };
        let path = self.folder.join(LOG);
        if log.is_none() {
            if !files::exists(&path)? {
                return Ok(());
            }
            *log = Some(RecordLog::open(&path, self.disk.clone())?);
        }
        match log.as_mut() {
            Some(log) if log.has_more() => log.take(wait, |records| self.take_over(&path, records)),
            _ => Ok(()),
        }
    }

    fn take_over(&self, path: &Path, records: &[String]) -> Result<()> {
        let Some(last) = records.last() else { return Ok(()) };
        let GateRecord { state, key, .. } = parsed(path, last)?;
        let own = self.gate.key().fingerprint();
        if key != own && (!state.experiments.is_empty() || state.canary_under_way().is_some()) {
            tracing::warn!(%key, %own, "experiments were drawn with another key than that of `gate.key_file`: users change sides");
        }
        self.gate.follow(state).map_err(refused)
    }
}

/// The caller's sink first: what it refuses is not written. The log makes the change hold.
struct Sink<'a> {
    also: Option<&'a dyn AuditSink>,
    log: Mutex<Held<'a>>,
}

impl AuditSink for Sink<'_> {
    fn record(&self, record: &GateRecord) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        if let Some(also) = self.also {
            also.record(record)?;
        }
        let line = serde_json::to_string(record)?;
        lock(&self.log).append(&line)?;
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn parsed(path: &Path, record: &str) -> Result<GateRecord> {
    serde_json::from_str(record).map_err(|error| {
        let message = format!("{} has a record that is not understood: {error}; use a newer version", path.display());
        Error::new(ErrorKind::Unsupported, message).with_source(error)
    })
}

/// The kind of a refusal.
fn refused(error: GateError) -> Error {
    let kind = match &error {
        GateError::Field { .. } | GateError::Full { .. } | GateError::Key { .. } | GateError::NotKilled => {
            ErrorKind::InvalidArgument
        }
        GateError::Canary(_) | GateError::TooMany(_) => ErrorKind::InvalidArgument,
        GateError::Unknown { .. } | GateError::NoCanary => ErrorKind::NotFound,
        GateError::State { .. } => ErrorKind::Corruption,
        GateError::Refused(cause) => cause.downcast_ref::<Error>().map_or(ErrorKind::Unavailable, Error::kind),
        _ => ErrorKind::Conflict,
    };
    Error::new(kind, error.to_string()).with_source(error)
}

#[cfg(test)]
mod tests;
