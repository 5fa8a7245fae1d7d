//! The gate as its callers see it: changes, who gets what, what is refused.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rag_fusion::gate::{
    Action, AuditSink, BUCKETS, BucketKey, CanaryToken, Change, Experiment, Gate, GateError, GateRecord, GateState,
    NoAudit, RankingDifference, ShadowSummary, Unit, Variant,
};
use rag_fusion::{Arm, Canary, DecisionKind, Observation, RampPlan};

fn gate() -> Gate {
    Gate::new(GateState::default(), BucketKey::new(b"sixteen bytes or more").unwrap()).unwrap()
}

fn why() -> Change {
    Change::new("ann", "because")
}

fn change(gate: &Gate, action: Action) -> Result<GateRecord, GateError> {
    gate.change(action, why(), None, &NoAudit)
}

fn variant(name: &str, weight: f32) -> Variant {
    Variant { name: name.to_owned(), weight, part: 1 }
}

fn experiment(name: &str, share: f64) -> Experiment {
    Experiment {
        name: name.to_owned(),
        unit: Unit::User,
        group: None,
        share,
        variants: vec![variant("control", 0.2), variant("more", 0.8)],
        shadow: false,
    }
}

fn users(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("user-{number}"))
}

/// Who of so many users gets what.
fn shares(gate: &Gate, count: usize) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for user in users(count) {
        let assigned = gate.assign(Some(&user), "q");
        *counts.entry(assigned.variant().unwrap_or(assigned.reason()).to_owned()).or_default() += 1;
    }
    counts
}

#[test]
fn the_weight_is_the_rankers_until_it_is_set_and_zero_while_killed() {
    let gate = gate();
    assert_eq!(gate.assign(None, "q").weight(0.7), 0.7);
    let record = change(&gate, Action::SetWeight { weight: 0.25 }).unwrap();
    assert_eq!((record.weight_before, record.state.weight, record.state.epoch), (None, Some(0.25), 1));
    assert_eq!(gate.assign(None, "q").weight(0.7), 0.25);
    change(&gate, Action::StartExperiment(experiment("e", 1.0))).unwrap();
    change(&gate, Action::Kill).unwrap();
    let killed = gate.assign(Some("ann"), "q");
    assert_eq!((killed.weight(0.7), killed.reason(), killed.variant()), (0.0, "killed", None));
    change(&gate, Action::Revive).unwrap();
    assert_eq!(gate.assign(Some("ann"), "q").experiment(), Some("e"), "all is as it was");
    assert_eq!(gate.assign(None, "q").weight(0.7), 0.25);
    assert!(matches!(change(&gate, Action::Revive), Err(GateError::NotKilled)));
    assert_eq!(gate.state().changed.as_ref().unwrap().author, "ann");
}

#[test]
fn what_the_audit_refuses_does_not_happen() {
    struct Sink(AtomicBool, Mutex<Vec<GateRecord>>);
    impl AuditSink for Sink {
        fn record(&self, record: &GateRecord) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            if self.0.load(Ordering::SeqCst) {
                return Err("no paper left".into());
            }
            self.1.lock().unwrap().push(record.clone());
            Ok(())
        }
    }
    let (gate, sink) = (gate(), Sink(false.into(), Mutex::default()));
    gate.change(Action::SetWeight { weight: 0.5 }, why(), Some(0), &sink).unwrap();
    sink.0.store(true, Ordering::SeqCst);
    let before = gate.state();
    for action in [Action::SetWeight { weight: 0.9 }, Action::Kill, Action::StartCanary(RampPlan::new(0.9))] {
        let error = gate.change(action, why(), None, &sink).unwrap_err();
        assert!(error.to_string().ends_with("so nothing has changed: no paper left"), "{error}");
        assert_eq!(gate.state(), before);
    }
    sink.0.store(false, Ordering::SeqCst);
    gate.change(Action::Kill, why(), Some(1), &sink).unwrap();
    let error = gate.change(Action::Revive, why(), Some(1), &sink).unwrap_err();
    assert!(matches!(error, GateError::Epoch { expected: 1, found: 2 }), "{error}");
    let records = sink.1.into_inner().unwrap();
    assert_eq!(records.iter().map(|record| record.state.epoch).collect::<Vec<_>>(), [1, 2]);
    let again: Vec<GateRecord> =
        records.iter().map(|r| serde_json::from_str(&serde_json::to_string(r).unwrap()).unwrap()).collect();
    assert_eq!(again, records);
    let of_the_key = "sixteen bytes or more";
    assert!(
        !serde_json::to_string(&records).unwrap().contains(of_the_key) && !format!("{gate:?}").contains(of_the_key)
    );
}

#[test]
fn buckets_are_the_same_everywhere_and_for_ever() {
    // Python: int.from_bytes(hmac.digest(b"sixteen bytes or more", b"space\0uann", "sha256")[:8], "big") % 1000000
    let key = BucketKey::new(b"sixteen bytes or more").unwrap();
    let buckets = [
        ("space", Unit::User, "ann"),
        ("space", Unit::Query, "ann"),
        ("other", Unit::User, "ann"),
        ("", Unit::User, ""),
    ]
    .map(|(space, unit, name)| key.bucket(space, unit, name));
    assert_eq!(buckets, GOLDEN);
    assert!(matches!(BucketKey::new(b"short"), Err(GateError::Key { bytes: 5 })));
}

const GOLDEN: [u32; 4] = [786_705, 462_139, 945_210, 592_130];

#[test]
fn variants_have_their_parts_and_keep_their_users() {
    let gate = gate();
    let mut half = experiment("half", 0.5);
    half.variants[0].part = 3;
    change(&gate, Action::StartExperiment(half)).unwrap();
    let counts = shares(&gate, 40_000);
    for (name, expected) in [("baseline", 20_000.0), ("control", 15_000.0), ("more", 5_000.0)] {
        // Five standard deviations.
        assert!((counts[name] as f64 - expected).abs() < 5.0 * 100.0, "{counts:?}");
    }
    let before: Vec<_> = users(500).map(|user| gate.assign(Some(&user), "q").variant().map(str::to_owned)).collect();
    change(&gate, Action::StartExperiment(experiment("another", 1.0))).unwrap();
    change(&gate, Action::SetWeight { weight: 0.1 }).unwrap();
    let restored = Gate::new((*gate.state()).clone(), gate.key().clone()).unwrap();
    for (user, before) in users(500).zip(before) {
        let after = restored.assign(Some(&user), "another question");
        assert!(before.is_none() || after.variant() == before.as_deref());
        assert_eq!(after.experiment() == Some("half"), before.is_some(), "the first one keeps its users");
    }
    assert_eq!(gate.assign(None, "q").reason(), "baseline", "nobody knows who asks");
}

#[test]
fn experiments_of_a_group_share_its_traffic() {
    let gate = gate();
    let of_group = |name: &str, share| Experiment { group: Some("g".to_owned()), ..experiment(name, share) };
    for (name, share) in [("a", 0.3), ("b", 0.3), ("c", 0.4)] {
        change(&gate, Action::StartExperiment(of_group(name, share))).unwrap();
    }
    assert!(users(2000).all(|user| gate.assign(Some(&user), "q").experiment().is_some()), "the group is full");
    let error = change(&gate, Action::StartExperiment(of_group("d", 0.1))).unwrap_err();
    assert!(error.to_string().starts_with("group \"g\" has 0.0000 of its traffic free, not 0.1000"), "{error}");
    change(&gate, Action::EndExperiment { name: "b".to_owned() }).unwrap();
    assert!(change(&gate, Action::StartExperiment(of_group("d", 0.31))).is_err());
    change(&gate, Action::StartExperiment(of_group("d", 0.3))).unwrap();
    assert_eq!(gate.state().experiments.last().unwrap().first, 300_000, "where b was");
    let error = change(&gate, Action::EndExperiment { name: "b".to_owned() }).unwrap_err();
    assert_eq!(error.to_string(), "there is no experiment \"b\"; there are \"a\", \"c\", \"d\"");
}

#[test]
fn a_shadow_serves_nothing() {
    let gate = gate();
    change(&gate, Action::StartExperiment(Experiment { shadow: true, ..experiment("s", 1.0) })).unwrap();
    let assigned = gate.assign(Some("ann"), "q");
    assert_eq!((assigned.reason(), assigned.weight(0.4)), ("baseline", 0.4));
    let (name, variant) = assigned.shadow().unwrap();
    assert!(name == "s" && [0.2, 0.8].contains(&variant.weight));
    let by_query = Experiment { unit: Unit::Query, ..experiment("q", 1.0) };
    change(&gate, Action::StartExperiment(by_query)).unwrap();
    let one = gate.assign(None, "  Winter PASSES ");
    assert_eq!(one.variant(), gate.assign(Some("ben"), "winter passes").variant());
    assert_eq!(one.experiment(), Some("q"));
}

#[test]
fn a_canary_gives_its_share_to_the_candidate_and_keeps_its_users() {
    let gate = gate();
    change(&gate, Action::SetWeight { weight: 0.3 }).unwrap();
    let plan = RampPlan { min_samples: 100, min_seconds: 0, ..RampPlan::new(0.9) };
    change(&gate, Action::StartCanary(plan)).unwrap();
    let candidates = |gate: &Gate| -> Vec<String> {
        users(5000).filter(|u| gate.assign(Some(u), "q").canary().unwrap().arm == Arm::Candidate).collect()
    };
    let first = candidates(&gate);
    assert!((400..600).contains(&first.len()), "{}", first.len());
    let assigned = gate.assign(Some(&first[0]), "q");
    assert_eq!(assigned.weight(1.0), 0.9);
    let token = assigned.canary().unwrap();
    assert_eq!((token.epoch, token.to_string().parse::<CanaryToken>().unwrap()), (2, token));
    for wrong in ["", "2.candidate", "2.other.0", "2.control.0.1", "x.control.0"] {
        assert!(wrong.parse::<CanaryToken>().is_err(), "{wrong}");
    }
    for action in [
        Action::SetWeight { weight: 0.4 },
        Action::StartExperiment(experiment("e", 0.1)),
        Action::StartCanary(RampPlan::new(0.1)),
    ] {
        let error = change(&gate, action).unwrap_err();
        assert!(error.to_string().starts_with("a canary is running; end it before "), "{error}");
    }
    let started = gate.state().canary_epoch;
    let mut canary = gate.state().canary.clone().unwrap();
    let mut shares = Vec::new();
    for step in 1..=3 {
        let decision = decided(&mut canary, step);
        let follow = Action::FollowCanary { canary: Box::new(canary.clone()), decision };
        change(&gate, follow).unwrap();
        shares.push(canary.share());
        if step < 3 {
            let now = candidates(&gate);
            assert!(first.iter().all(|user| now.contains(user)), "who was a candidate stays one");
        }
    }
    assert_eq!(shares, [0.25, 0.5, 1.0]);
    assert!(gate.state().canary_epoch > started);
    let state = gate.state();
    assert_eq!((state.weight, state.canary_under_way().is_none()), (Some(0.9), true));
    assert_eq!(gate.assign(Some("ann"), "q").reason(), "baseline");
    change(&gate, Action::StartCanary(RampPlan::new(0.1))).unwrap();
    assert_ne!(candidates(&gate), first, "another canary draws anew");
    change(&gate, Action::Kill).unwrap();
    change(&gate, Action::Revive).unwrap();
    assert!(matches!(change(&gate, Action::AbortCanary), Err(GateError::NoCanary)));
    assert_eq!(gate.assign(Some("ann"), "q").weight(1.0), 0.9);
}

/// Feeds it with requests that do no harm until the step is promoted.
fn decided(canary: &mut Canary, step: u64) -> rag_fusion::Decision {
    for look in 0..10 {
        let now = (step * 100 + look) * 1_000_000 + why().at_us;
        let decision = canary.decide(now);
        if matches!(decision.kind, DecisionKind::Promote | DecisionKind::Complete) {
            return decision;
        }
        for request in 0..4000 {
            for arm in [Arm::Control, Arm::Candidate] {
                let latency_us = Some(1000 + request % 100);
                let seen = Observation {
                    latency_us,
                    cache_hit: Some(0.8),
                    quality: Some((request % 2) as f64),
                    ..Observation::new(arm)
                };
                canary.observe(&seen).unwrap();
            }
        }
    }
    unreachable!("not promoted: {:#?}", canary.readings());
}

#[test]
fn experiments_come_before_the_canary() {
    let gate = gate();
    change(&gate, Action::StartExperiment(experiment("e", 0.5))).unwrap();
    change(&gate, Action::StartCanary(RampPlan::new(0.9))).unwrap();
    let mut seen = HashMap::new();
    for user in users(2000) {
        *seen.entry(gate.assign(Some(&user), "q").reason()).or_insert(0) += 1;
    }
    assert!((900..1100).contains(&seen["experiment"]) && seen.len() == 2, "{seen:?}");
    let error = change(&gate, Action::EndExperiment { name: "e".to_owned() }).unwrap_err();
    assert!(matches!(error, GateError::CanaryUnderWay(..)), "{error}");
    let shadow = Experiment { shadow: true, ..experiment("s", 0.5) };
    change(&gate, Action::StartExperiment(shadow)).unwrap();
}

#[test]
fn wrong_values_name_their_field() {
    type Spoil = fn(&mut Experiment);
    let cases: [(Spoil, &str); 9] = [
        (|e| e.name = String::new(), "name"),
        (|e| e.name = "canary".to_owned(), "name"),
        (|e| e.group = Some("a b".to_owned()), "group"),
        (|e| e.share = f64::NAN, "share"),
        (|e| e.share = 1e-9, "share"),
        (|e| e.variants.clear(), "variants"),
        (|e| e.variants[1].name = "control".to_owned(), "variants[1].name"),
        (|e| e.variants[0].weight = 1.5, "variants[0].weight"),
        (|e| e.variants[1].part = 0, "variants[1].part"),
    ];
    let gate = gate();
    for (spoil, name) in cases {
        let mut wrong = experiment("e", 0.5);
        spoil(&mut wrong);
        let error = change(&gate, Action::StartExperiment(wrong)).unwrap_err();
        assert!(matches!(&error, GateError::Field { field, .. } if field == name), "{error} instead of {name}");
    }
    let error = change(&gate, Action::SetWeight { weight: f32::NAN }).unwrap_err();
    assert_eq!(error.to_string(), "`weight` is NaN; give a number from 0 to 1");
    for (wrong, name) in [
        (Change::new("", "reason"), "author"),
        (Change::new("ann", "two\nlines"), "reason"),
        (Change::new("ann", "x".repeat(1025)), "reason"),
        (Change::new("ann", "reason").with_issue(" "), "issue"),
    ] {
        let error = gate.change(Action::Kill, wrong, None, &NoAudit).unwrap_err();
        assert!(matches!(&error, GateError::Field { field, .. } if field == name), "{error}");
    }
    assert_eq!(gate.state().epoch, 0);
}

#[test]
fn recorded_states_are_checked() {
    type Spoil = fn(&mut serde_json::Value);
    let gate = gate();
    change(&gate, Action::StartExperiment(experiment("e", 0.5))).unwrap();
    let good = serde_json::to_value(&*gate.state()).unwrap();
    let cases: [(Spoil, &str); 5] = [
        (|s| s["weight"] = 2.into(), "weight"),
        (|s| s["experiments"][0]["first"] = 900_000.into(), "experiments"),
        (|s| s["experiments"] = vec![s["experiments"][0].clone(); 2].into(), "experiments"),
        (|s| s["canary_epoch"] = 9.into(), "canary_epoch"),
        (|s| s["changed"]["author"] = "".into(), "author"),
    ];
    for (spoil, name) in cases {
        let mut wrong = good.clone();
        spoil(&mut wrong);
        let state: GateState = serde_json::from_value(wrong).unwrap();
        let error = gate.follow(state).unwrap_err().to_string();
        assert!(error.contains(&format!("`{name}`")), "{error}");
    }
    let mut later: GateState = serde_json::from_value(good).unwrap();
    later.epoch = 7;
    later.killed = true;
    gate.follow(later.clone()).unwrap();
    later.epoch = 6;
    later.killed = false;
    gate.follow(later).unwrap();
    assert!(gate.state().killed, "an older state is left alone");
}

#[test]
fn readers_see_one_state_each_while_it_changes() {
    let gate = gate();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut last = 0;
                while !done.load(Ordering::Relaxed) {
                    let assigned = gate.assign(Some("ann"), "q");
                    let epoch = assigned.epoch();
                    // The weight of an epoch is a function of it.
                    assert_eq!(assigned.weight(0.0), (epoch % 100) as f32 / 100.0);
                    assert!(epoch >= last, "epochs do not go back");
                    last = epoch;
                }
            });
        }
        for epoch in 1..=10_000_u64 {
            change(&gate, Action::SetWeight { weight: (epoch % 100) as f32 / 100.0 }).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(gate.state().epoch, 10_000);
}

#[test]
fn differences_of_rankings_are_as_the_paper_defines_them() {
    let same = RankingDifference::between(&[1, 2, 3], &[1, 2, 3]);
    assert!((same.rbo - 1.0).abs() < 1e-12 && same.overlap == 1.0 && !same.first_differs);
    let other = RankingDifference::between(&[1, 2, 3], &[4, 5, 6]);
    assert_eq!((other.rbo, other.overlap, other.first_differs), (0.0, 0.0, true));
    // Agreements 0, 1, 2/3: .1/.9 · (0·.9 + 1·.81 + 2/3·.729) + 2/3 · .729.
    let swapped = RankingDifference::between(&[1, 2, 3], &[2, 1, 4, 3]);
    assert!((swapped.rbo - ((0.81 + 0.486) / 9.0 + 0.486)).abs() < 1e-12, "{}", swapped.rbo);
    assert_eq!(RankingDifference::between::<u8>(&[], &[1]).rbo, 1.0);
    let mut summary = ShadowSummary::default();
    for seen in [same, other] {
        summary.add(&seen);
    }
    assert_eq!((summary.requests, summary.first_differs), (2, 0.5));
    assert!((summary.rbo - 0.5).abs() < 1e-12);
}

/// Chi-square of counts against parts; with one degree of freedom less than there are parts.
fn chi_square(counts: &[u64], parts: &[f64]) -> f64 {
    let total = counts.iter().sum::<u64>() as f64;
    counts.iter().zip(parts).map(|(&n, part)| (n as f64 - total * part).powi(2) / (total * part)).sum()
}

fn plan_is_kept(users: usize, keys: u64) {
    let parts = [0.1, 0.15, 0.25, 0.5];
    for key in 0..keys {
        let key = BucketKey::new(format!("key number {key:016}").as_bytes()).unwrap();
        let gate = Gate::new(GateState::default(), key).unwrap();
        let mut experiment = experiment("e", 0.5);
        experiment.variants =
            [("a", 2), ("b", 3), ("c", 5)].map(|(name, part)| Variant { part, ..variant(name, 0.5) }).into();
        change(&gate, Action::StartExperiment(experiment)).unwrap();
        let mut counts = [0_u64; 4];
        for number in 0..users {
            let assigned = gate.assign(Some(&format!("u{number}")), "q");
            let at = assigned.variant().map_or(3, |name| ["a", "b", "c"].iter().position(|n| *n == name).unwrap());
            counts[at] += 1;
        }
        // 16.27 is the 99.9 % point at 3 degrees of freedom.
        let statistic = chi_square(&counts, &parts);
        assert!(statistic < 16.27, "{counts:?}: {statistic}");
    }
}

#[test]
fn users_are_bucketed_as_the_plan_says() {
    plan_is_kept(20_000, 5);
}

#[test]
#[ignore = "a minute"]
fn a_million_users_are_bucketed_as_the_plan_says_for_twenty_keys() {
    plan_is_kept(1_000_000, 20);
}

#[test]
fn there_are_a_million_buckets() {
    assert_eq!(BUCKETS, 1_000_000);
}
