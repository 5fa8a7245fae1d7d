//! What requests tell the canary and the shadows, and what follows from it, off the path of the searches.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};

use rag_fusion::gate::{Action, CanaryToken, Change, GateState, RankingDifference, ShadowSummary};
use rag_fusion::{Canary, DecisionKind, Observation};
use serde::{Deserialize, Serialize};

use super::{LiveGate, SEEN, files, lock};
use crate::error::{Error, Result};
use crate::format::disk::Disk;
use crate::format::{FileKind, payload};

/// How often what was seen is saved.
const SAVE_EVERY: Duration = Duration::from_secs(10);

/// Most that waits for the next tick; more is not counted.
const MOST_PENDING: usize = 100_000;

/// What requests have left.
#[derive(Debug, Default)]
pub(super) struct Pending {
    observations: Vec<(CanaryToken, Observation)>,
    qualities: Vec<(CanaryToken, f64)>,
    shadows: Vec<(String, RankingDifference)>,
}

impl Pending {
    fn has_room(&self) -> bool {
        self.observations.len() + self.qualities.len() + self.shadows.len() < MOST_PENDING
    }
}

/// What was seen so far.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Watch {
    /// The epoch that the canary stands in.
    epoch: u64,
    canary: Option<Canary>,
    pub(super) shadows: BTreeMap<String, ShadowSummary>,
    /// Units whose request, and whose quality, was counted in this step. Not saved: who comes again after a restart counts
    /// once more.
    #[serde(skip)]
    counted: HashSet<u64>,
    #[serde(skip)]
    judged: HashSet<u64>,
    #[serde(skip)]
    saved: Option<Instant>,
    /// Whether there is something to save.
    #[serde(skip)]
    is_new: bool,
    /// The message of what went wrong last, so that it is told once.
    #[serde(skip)]
    trouble: String,
}

impl Watch {
    /// What was saved; nothing where nothing can be read.
    pub(super) fn load(path: &Path) -> Watch {
        let Ok(bytes) = std::fs::read(path) else { return Watch::default() };
        let read = payload(&bytes, FileKind::GateSeen, true).and_then(|body| {
            serde_json::from_slice(body).map_err(|error| Error::corruption(error.to_string()).with_source(error))
        });
        read.unwrap_or_else(|error| {
            tracing::warn!(%error, file = SEEN, "a canary goes on from its last decision");
            Watch::default()
        })
    }

    fn save(&mut self, path: &Path, disk: &Disk) -> Result<()> {
        let body = serde_json::to_vec(self)
            .map_err(|error| Error::internal("what the gate has seen cannot be encoded").with_source(error))?;
        disk.write_atomic(path, FileKind::GateSeen, |out| out.write_all(&body))?;
        self.saved = Some(Instant::now());
        self.is_new = false;
        Ok(())
    }

    /// The canary of a state, with all that was seen since its last decision.
    pub(super) fn canary_of<'a>(&'a self, state: &'a GateState) -> Option<&'a Canary> {
        self.canary.as_ref().filter(|_| self.epoch == state.canary_epoch).or(state.canary.as_ref())
    }

    /// Goes where the state's canary is.
    fn follow(&mut self, state: &GateState) {
        if self.epoch != state.canary_epoch {
            self.epoch = state.canary_epoch;
            self.canary.clone_from(&state.canary);
            self.counted.clear();
            self.judged.clear();
        }
        self.shadows.retain(|name, _| state.experiments.iter().any(|running| running.experiment.name == *name));
    }

    /// Counts what requests have left. Of a canary only what belongs to the step it stands in, and each unit once a step,
    /// since its statistics take what they count for independent.
    fn count(&mut self, pending: Pending) {
        let Pending { observations, qualities, shadows } = pending;
        self.is_new |= !observations.is_empty() || !qualities.is_empty() || !shadows.is_empty();
        for (name, difference) in shadows {
            self.shadows.entry(name).or_default().add(&difference);
        }
        let Some(canary) = &mut self.canary else { return };
        for (token, seen) in observations {
            if token.epoch == self.epoch && self.counted.insert(token.unit) {
                // Checked before it was left here.
                let _ = canary.observe(&seen);
            }
        }
        for (token, quality) in qualities {
            if token.epoch == self.epoch && self.judged.insert(token.unit) {
                let _ = canary.observe_quality(token.arm, quality);
            }
        }
    }
}

impl LiveGate {
    /// Tells the canary what became of a request that was in one of its arms.
    ///
    /// # Errors
    /// `InvalidArgument` for values out of range.
    pub fn observe(&self, token: CanaryToken, seen: &Observation) -> Result<()> {
        for (field, value) in [("cache_hit", seen.cache_hit), ("quality", seen.quality)] {
            check_share(field, value)?;
        }
        let seen = Observation { arm: token.arm, ..*seen };
        self.leave(|pending| pending.observations.push((token, seen)));
        Ok(())
    }

    /// Tells the canary the quality, from 0 to 1, of an answer: a click (1) or none (0), or a judgment. Answers without a
    /// click must be told as well, or there is nothing to compare. Of each user, or query where no user is named, the first
    /// one of a step counts; what comes after the step has ended counts no more.
    ///
    /// # Errors
    /// `InvalidArgument` for a quality out of range.
    pub fn observe_quality(&self, token: CanaryToken, quality: f64) -> Result<()> {
        check_share("quality", Some(quality))?;
        self.leave(|pending| pending.qualities.push((token, quality)));
        Ok(())
    }

    pub(crate) fn observe_shadow(&self, experiment: &str, difference: RankingDifference) {
        self.leave(|pending| pending.shadows.push((experiment.to_owned(), difference)));
    }

    fn leave(&self, put: impl FnOnce(&mut Pending)) {
        let mut pending = lock(&self.pending);
        if pending.has_room() {
            put(&mut pending);
        }
    }

    /// Whether there may be something for [`LiveGate::tick`] to do; asked by whoever was told so by nobody else this second.
    pub(crate) fn has_work(&self) -> bool {
        self.watched.is_some() || !self.state().experiments.is_empty() || self.state().canary_under_way().is_some()
    }

    /// Does what is due: what the watched file says, what follows for the canary from what was seen, and saving it. An
    /// engine calls it about once a second while it answers; it is safe to call it at any time, from any thread.
    ///
    /// # Errors
    /// Failures of the disk, and refusals of the audit. What was seen is kept, and the next call tries again.
    pub fn tick(&self) -> Result<()> {
        let Ok(mut watch) = self.watch.try_lock() else { return Ok(()) };
        if !self.is_own() {
            return Ok(());
        }
        self.follow(false)?;
        let obeyed = self.obey();
        let state = self.state();
        watch.follow(&state);
        watch.count(std::mem::take(&mut *lock(&self.pending)));
        let decided = self.decide(&mut watch, &state);
        let is_due = watch.saved.is_none_or(|saved| saved.elapsed() >= SAVE_EVERY) || matches!(decided, Ok(true));
        if watch.is_new && is_due {
            watch.save(&self.folder.join(SEEN), &self.disk)?;
        }
        obeyed.and(decided.map(drop))
    }

    /// As [`LiveGate::tick`], for those who cannot do anything about an error: it is told once in the traces.
    pub(crate) fn tick_quietly(&self) {
        let Err(error) = self.tick() else { return };
        let message = error.to_string();
        let mut watch = lock(&self.watch);
        if watch.trouble != message {
            tracing::error!(%error, "the gate could not do what was due");
            watch.trouble = message;
        }
    }

    /// Does what the watched file says.
    fn obey(&self) -> Result<()> {
        let Some(path) = &self.watched else { return Ok(()) };
        match files::wanted(path, self.state().obeyed.as_deref())? {
            Some((action, change)) => self.change(action, change, None).map(drop),
            None => Ok(()),
        }
    }

    /// Lets the canary decide. What it decides holds once it is recorded; until then the canary stays where it is. Whether
    /// something changed.
    fn decide(&self, watch: &mut Watch, state: &GateState) -> Result<bool> {
        if state.canary_under_way().is_none() {
            return Ok(false);
        }
        let Some(before) = &watch.canary else { return Ok(false) };
        let change = Change::new("canary", "");
        let mut canary = before.clone();
        let decision = canary.decide(change.at_us);
        if decision.kind == DecisionKind::Continue
            || canary.status() == before.status() && canary.share() == before.share()
        {
            watch.canary = Some(canary);
            return Ok(false);
        }
        let change = Change { reason: decision.in_one_line(), ..change };
        let action = Action::FollowCanary { canary: Box::new(canary), decision };
        self.change(action, change, Some(state.epoch))?;
        watch.follow(&self.state());
        Ok(true)
    }
}

impl Drop for LiveGate {
    /// Keeps what was seen since it was last saved.
    fn drop(&mut self) {
        if !self.is_own() {
            return;
        }
        let pending = std::mem::take(&mut *lock(&self.pending));
        let state = self.state();
        let mut watch = lock(&self.watch);
        watch.follow(&state);
        watch.count(pending);
        if watch.is_new
            && let Err(error) = watch.save(&self.folder.join(SEEN), &self.disk)
        {
            tracing::warn!(%error, "what the gate has seen last is lost");
        }
    }
}

fn check_share(field: &str, value: Option<f64>) -> Result<()> {
    match value {
        Some(value) if !(0.0..=1.0).contains(&value) => {
            Err(Error::invalid(format!("`{field}` is {value}; give a number from 0 to 1")))
        }
        _ => Ok(()),
    }
}
