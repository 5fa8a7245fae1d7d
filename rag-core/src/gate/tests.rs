#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, Ordering as Order};

use rag_fusion::{Arm, CanaryStatus, Guardrail, Margin, Metric, Observation, RampPlan};

use super::*;
use crate::format::disk::FaultPlan;

fn open(folder: &Path) -> LiveGate {
    LiveGate::open(folder, &GateConfig::default()).unwrap()
}

fn why() -> Change {
    Change::new("ann", "because")
}

fn set(gate: &LiveGate, weight: f32) -> Result<GateRecord> {
    gate.change(Action::SetWeight { weight }, why(), None)
}

/// One guardrail, no waiting.
fn plan() -> RampPlan {
    let guardrails = vec![Guardrail { metric: Metric::ErrorRate, margin: Margin::Absolute(0.05) }];
    RampPlan { guardrails, min_samples: 50, min_seconds: 0, ..RampPlan::new(0.9) }
}

/// So many users ask; those of the candidate fail as told.
fn serve(gate: &LiveGate, users: std::ops::Range<usize>, candidate_fails: bool) {
    for user in users {
        let assigned = gate.assign(Some(&format!("user-{user}")), "q");
        let Some(token) = assigned.canary() else { return };
        let error = candidate_fails && token.arm == Arm::Candidate;
        gate.observe(token, &Observation { error, ..Observation::new(token.arm) }).unwrap();
    }
}

#[test]
fn two_handles_see_each_others_changes_and_a_new_one_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (open(folder.path()), open(folder.path()));
    set(&one, 0.3).unwrap();
    set(&two, 0.6).unwrap();
    let error = one.change(Action::Kill, why(), Some(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(one.state().weight, Some(0.6), "what it learned while it tried, it knows");
    one.change(Action::Kill, why().with_issue("INC-1"), Some(2)).unwrap();
    assert_eq!(two.status().unwrap().state, *one.state());
    let records = open(folder.path()).records().unwrap();
    assert_eq!(records.iter().map(|record| record.state.epoch).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(records[2].state.changed.as_ref().unwrap().issue.as_deref(), Some("INC-1"));
    let users = |gate: &LiveGate| {
        gate.change(Action::Revive, why(), None).unwrap();
        gate.change(Action::StartCanary(plan()), why(), None).unwrap();
        let arms: Vec<_> = (0..100).map(|user| gate.assign(Some(&user.to_string()), "q").canary()).collect();
        gate.change(Action::Kill, why(), None).unwrap();
        arms.iter().map(|token| token.unwrap().unit).collect::<Vec<_>>()
    };
    assert_ne!(users(&one), users(&two), "each canary draws anew");
}

#[test]
fn an_open_gate_follows_within_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let (serving, other) = (open(folder.path()), open(folder.path()));
    set(&other, 0.3).unwrap();
    assert_eq!(serving.assign(None, "q").epoch(), 0, "not yet");
    serving.next_look.store(0, Ordering::SeqCst);
    assert_eq!((serving.assign(None, "q").epoch(), serving.assign(None, "q").weight(1.0)), (1, 0.3));
}

#[test]
fn a_record_that_cannot_be_written_refuses_the_change() {
    let folder = tempfile::tempdir().unwrap();
    let faults = FaultPlan::full_after(u64::MAX);
    let gate = LiveGate::with(folder.path(), &GateConfig::default(), Disk::failing(faults.clone()), None).unwrap();
    set(&gate, 0.3).unwrap();
    for writes in 0..2 {
        faults.break_after(writes);
        let error = gate.change(Action::Kill, why(), None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{error}");
        assert!(!gate.state().killed && open(folder.path()).state().epoch == 1);
    }
    faults.break_after(u64::MAX);
    gate.change(Action::Kill, why(), None).unwrap();
    assert!(open(folder.path()).state().killed);
}

#[test]
fn the_callers_audit_must_agree() {
    struct Sink(AtomicBool);
    impl AuditSink for Sink {
        fn record(&self, _: &GateRecord) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            if self.0.load(Order::SeqCst) { Ok(()) } else { Err("not today".into()) }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let sink = Arc::new(Sink(false.into()));
    let gate = LiveGate::with(folder.path(), &GateConfig::default(), Disk::default(), Some(sink.clone())).unwrap();
    let error = set(&gate, 0.3).unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.to_string().contains("not today"), "{error}");
    assert!(gate.records().unwrap().is_empty());
    sink.0.store(true, Order::SeqCst);
    assert_eq!(set(&gate, 0.3).unwrap().state.epoch, 1);
}

#[test]
fn a_canary_is_promoted_to_the_end_and_its_weight_stays() {
    let folder = tempfile::tempdir().unwrap();
    let gate = open(folder.path());
    gate.change(Action::StartCanary(plan()), why(), None).unwrap();
    let mut shares = Vec::new();
    for round in 0..20 {
        serve(&gate, round * 5000..(round + 1) * 5000, false);
        gate.tick().unwrap();
        shares.push(gate.state().canary.as_ref().unwrap().share());
    }
    shares.dedup();
    assert_eq!(shares, [0.25, 0.5, 1.0]);
    let state = open(folder.path()).state();
    assert_eq!((state.weight, state.canary.as_ref().unwrap().status()), (Some(0.9), CanaryStatus::Complete));
    let reason = &state.changed.as_ref().unwrap().reason;
    assert!(reason.starts_with("complete: step 4 of 4") && reason.contains("; error_rate: "), "{reason}");
}

#[test]
fn harm_is_rolled_back_and_a_decision_that_cannot_be_recorded_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let faults = FaultPlan::full_after(u64::MAX);
    let gate = LiveGate::with(folder.path(), &GateConfig::default(), Disk::failing(faults.clone()), None).unwrap();
    gate.change(Action::StartCanary(plan()), why(), None).unwrap();
    serve(&gate, 0..5000, true);
    faults.break_after(0);
    assert_eq!(gate.tick().unwrap_err().kind(), ErrorKind::ResourceExhausted);
    assert!(gate.state().canary_under_way().is_some(), "as it is on disk");
    faults.break_after(u64::MAX);
    gate.tick().unwrap();
    let status = open(folder.path()).status().unwrap();
    assert_eq!(status.state.canary.as_ref().unwrap().status(), CanaryStatus::RolledBack);
    assert!(status.canary[0].candidate.n > 400, "{:?}", status.canary);
    assert_eq!(gate.assign(Some("user-1"), "q").reason(), "baseline");
}

#[test]
fn what_was_seen_survives_and_each_user_counts_once_a_step() {
    let folder = tempfile::tempdir().unwrap();
    let gate = open(folder.path());
    let patient = RampPlan { min_samples: 100_000, ..plan() };
    gate.change(Action::StartCanary(patient), why(), None).unwrap();
    for _ in 0..3 {
        serve(&gate, 0..500, false);
        gate.tick().unwrap();
    }
    let stale = CanaryToken { epoch: 0, arm: Arm::Control, unit: 1 };
    gate.observe(stale, &Observation::new(Arm::Control)).unwrap();
    let refused = gate.observe_quality(stale, 1.5).unwrap_err();
    assert!(refused.to_string().starts_with("`quality` is 1.5"), "{refused}");
    drop(gate);
    let gate = open(folder.path());
    let seen = |gate: &LiveGate| {
        let reading = gate.status().unwrap().canary.remove(0);
        reading.control.n + reading.candidate.n
    };
    assert_eq!(seen(&gate), 500);
    serve(&gate, 500..600, false);
    drop(gate);
    let gate = open(folder.path());
    assert_eq!(seen(&gate), 600, "it goes on where it was");
    std::fs::write(folder.path().join(SEEN), b"damaged").unwrap();
    assert_eq!(seen(&gate), 0, "it goes on from its last decision");
}

#[test]
fn a_watched_file_is_obeyed_once_and_a_later_change_wins() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wanted.json");
    let config = GateConfig { watch: Some(path.clone()), ..GateConfig::default() };
    let gate = LiveGate::open(folder.path(), &config).unwrap();
    gate.tick().unwrap();
    std::fs::write(&path, r#"{"action": {"set_weight": {"weight": 0.4}}, "author": "ops", "reason": "less"}"#).unwrap();
    gate.tick().unwrap();
    gate.tick().unwrap();
    assert_eq!((gate.state().weight, gate.state().epoch), (Some(0.4), 1));
    set(&gate, 0.7).unwrap();
    LiveGate::open(folder.path(), &config).unwrap().tick().unwrap();
    assert_eq!(gate.status().unwrap().state.weight, Some(0.7));
    std::fs::write(&path, r#"{"action": {"set_weight": {"weight": 4}}, "author": "ops", "reason": "more"}"#).unwrap();
    assert!(gate.tick().unwrap_err().to_string().contains("`weight` is 4"));
    std::fs::write(&path, "kill").unwrap();
    let error = gate.tick().unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidArgument && error.to_string().contains("`gate.watch`"), "{error}");
}

#[test]
fn a_watched_file_is_obeyed_whatever_its_time_and_who_else_changed_the_gate() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wanted.json");
    let config = GateConfig { watch: Some(path.clone()), ..GateConfig::default() };
    let gate = LiveGate::open(folder.path(), &config).unwrap();
    let say = |action: &str, at: std::time::SystemTime| {
        std::fs::write(&path, format!(r#"{{"action": {action}, "author": "ops", "reason": "now"}}"#)).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
    };
    let now = std::time::SystemTime::now();
    let hour = std::time::Duration::from_secs(3600);
    say(r#""kill""#, now);
    set(&gate, 0.7).unwrap(); // somebody was faster
    gate.tick().unwrap();
    assert!(gate.state().killed);
    say(r#""revive""#, now + hour); // a clock that goes ahead
    (0..5).for_each(|_| gate.tick().unwrap());
    assert_eq!((gate.state().killed, gate.state().epoch), (false, 3));
    say(r#""kill""#, now - hour);
    gate.tick().unwrap();
    assert!(gate.state().killed);
}

#[test]
fn what_is_not_understood_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let gate = open(folder.path());
    set(&gate, 0.5).unwrap();
    let record = set(&open(folder.path()), 0.2).unwrap();
    // As a newer version would write it.
    let line = serde_json::to_string(&record).unwrap().replacen('{', "{\"novelty\":1,", 1);
    let path = folder.path().join(LOG);
    let text = std::fs::read_to_string(&path).unwrap();
    let first = text.lines().next().unwrap();
    let sum = xxhash_rust::xxh3::xxh3_64(line.as_bytes());
    std::fs::write(&path, format!("{first}\n{sum:016x} {line}\n")).unwrap();
    let before = std::fs::read(&path).unwrap();
    for _ in 0..3 {
        assert!(set(&gate, 0.9).is_err());
        gate.assign(None, "q");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(gate.state().weight, Some(0.5));
}

#[test]
fn nobody_follows_what_is_being_written() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (open(folder.path()), open(folder.path()));
    set(&one, 0.5).unwrap();
    two.tick().unwrap();
    let path = folder.path().join(LOG);
    let length = std::fs::metadata(&path).unwrap().len();
    // Another process has the lock and has written a record that is not durable yet; then its disk fails.
    let writer = std::fs::File::options().read(true).append(true).open(&path).unwrap();
    writer.lock().unwrap();
    let record = GateRecord {
        state: GateState { epoch: 2, killed: true, ..(*one.state()).clone() },
        ..one.records().unwrap().remove(0)
    };
    let line = serde_json::to_string(&record).unwrap();
    std::io::Write::write_all(
        &mut &writer,
        format!("{:016x} {line}\n", xxhash_rust::xxh3::xxh3_64(line.as_bytes())).as_bytes(),
    )
    .unwrap();
    two.tick().unwrap();
    assert!(!two.state().killed);
    writer.set_len(length).unwrap();
    writer.unlock().unwrap();
    set(&one, 0.6).unwrap();
    two.tick().unwrap();
    assert_eq!((two.state().weight, two.state().epoch), (Some(0.6), 2));
}

#[test]
fn wrong_folders_keys_and_logs_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = LiveGate::open(folder.path().join("none"), &GateConfig::default()).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    let key = folder.path().join("key");
    std::fs::write(&key, "short\n").unwrap();
    let config = GateConfig { key_file: Some(key.clone()), ..GateConfig::default() };
    let error = LiveGate::open(folder.path(), &config).unwrap_err();
    assert!(error.to_string().contains("has 5 bytes; give at least 16"), "{error}");
    std::fs::write(&key, "sixteen bytes or more\n").unwrap();
    let gate = LiveGate::open(folder.path(), &config).unwrap();
    assert!(!folder.path().join(KEY).exists(), "the caller has one");
    set(&gate, 0.5).unwrap();
    let log = std::fs::read_to_string(folder.path().join(LOG)).unwrap();
    assert!(!log.contains("sixteen"), "{log}");
    let before = open(folder.path()).gate.key().fingerprint();
    assert_eq!(open(folder.path()).gate.key().fingerprint(), before, "the folder's own key stays");
    let own = std::fs::read(folder.path().join(KEY)).unwrap();
    for at in 0..own.len() {
        let mut damaged = own.clone();
        damaged[at] ^= 1;
        std::fs::write(folder.path().join(KEY), damaged).unwrap();
        let error = LiveGate::open(folder.path(), &GateConfig::default()).unwrap_err();
        assert!([ErrorKind::Corruption, ErrorKind::Unsupported].contains(&error.kind()), "byte {at}: {error}");
    }
    std::fs::write(folder.path().join(KEY), own).unwrap();
    std::fs::write(folder.path().join(LOG), log.replace("0.5", "0.6")).unwrap();
    let error = LiveGate::open(folder.path(), &config).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corruption, "{error}");
}
