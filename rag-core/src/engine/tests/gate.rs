//! The weight of the ranker while searches run.

use std::sync::atomic::{AtomicBool, Ordering};

use rag_fusion::{CanaryStatus, Guardrail, Margin, Metric, RampPlan};

use super::ranking::{ask, filled, linear};
use super::*;
use crate::gate::{Action, Change, Experiment, Unit, Variant};

fn engine(folder: &Path) -> Engine {
    let engine = filled(folder);
    engine.set_ranker(Some(linear(&[("number.stars", 1.0)])), 0.5).unwrap();
    engine
}

fn act(engine: &Engine, action: Action) {
    engine.gate().change(action, Change::new("ann", "because"), None).unwrap();
}

fn search(engine: &Engine, user: &str) -> Answer {
    engine.search(&Scope::default(), &ask("snow bread").with_user(user)).unwrap()
}

/// The weight that the explanation of each hit tells.
fn weights(answer: &Answer) -> Vec<Option<f32>> {
    let of_hit = |hit: &Hit| hit.explanation.as_ref().unwrap().ltr.as_ref().map(|ltr| ltr.weight);
    answer.hits.iter().map(of_hit).collect()
}

fn ids(answer: &Answer) -> Vec<&str> {
    answer.hits.iter().map(|hit| hit.id.as_str()).collect()
}

#[test]
fn the_weight_of_the_ranker_holds_until_the_gate_says_another() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path());
    let own = search(&engine, "ann");
    assert_eq!((own.gate.epoch, own.gate.weight, own.gate.reason), (0, Some(0.5), "baseline"));
    act(&engine, Action::SetWeight { weight: 1.0 });
    let learned = search(&engine, "ann");
    assert_eq!((learned.gate.epoch, learned.gate.weight), (1, Some(1.0)));
    assert!(weights(&learned).iter().all(|&weight| weight == Some(1.0)));
    assert_ne!(ids(&learned), ids(&own));
    act(&engine, Action::Kill);
    let killed = search(&engine, "ann");
    assert_eq!((killed.gate.weight, killed.gate.reason), (Some(0.0), "killed"));
    assert!(weights(&killed).iter().all(Option::is_none) && killed.degraded.is_empty());
    assert!(killed.stages.iter().all(|(stage, _)| *stage != "features"), "what has no weight is not computed");
    engine.set_ranker(None, 1.0).unwrap();
    let without = search(&engine, "ann");
    assert_eq!((ids(&without), without.gate.weight), (ids(&killed), None));
    drop(engine);
    assert!(self::engine(folder.path()).gate().state().killed, "it stays killed");
}

#[test]
fn each_answer_is_of_one_epoch_while_the_weight_changes() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path());
    // The weight of an epoch is a function of it.
    let weight_of = |epoch: u64| if epoch == 0 { 0.5 } else { (epoch % 97 + 1) as f32 / 100.0 };
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for user in 0..4 {
            let (engine, done) = (&engine, &done);
            scope.spawn(move || {
                let mut last = 0;
                while !done.load(Ordering::Relaxed) {
                    let answer = search(engine, &format!("user-{user}"));
                    let expected = Some(weight_of(answer.gate.epoch));
                    assert_eq!(answer.gate.weight, expected);
                    assert!(weights(&answer).iter().all(|&weight| weight == expected), "epoch {}", answer.gate.epoch);
                    assert!(answer.gate.epoch >= last);
                    last = answer.gate.epoch;
                }
            });
        }
        for epoch in 1..=500 {
            act(&engine, Action::SetWeight { weight: weight_of(epoch) });
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(engine.gate().records().unwrap().len(), 500);
}

#[test]
fn experiments_keep_their_users_and_shadows_are_compared_and_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path());
    let variant = |name: &str, weight| Variant { name: name.to_owned(), weight, part: 1 };
    let mut experiment = Experiment {
        name: "more".to_owned(),
        unit: Unit::User,
        group: None,
        share: 1.0,
        variants: vec![variant("off", 0.0), variant("all", 1.0)],
        shadow: true,
    };
    act(&engine, Action::StartExperiment(experiment.clone()));
    let before = search(&engine, "user-1");
    assert_eq!((before.gate.weight, before.gate.reason), (Some(0.5), "baseline"));
    (0..30).for_each(|user| drop(search(&engine, &format!("user-{user}"))));
    engine.gate().tick().unwrap();
    let seen = engine.gate().status().unwrap().shadows["more"];
    assert!(seen.requests == 31 && seen.rbo < 1.0 && seen.rbo > 0.0, "{seen:?}");
    act(&engine, Action::EndExperiment { name: "more".to_owned() });
    experiment.shadow = false;
    act(&engine, Action::StartExperiment(experiment));
    let mut variants = std::collections::BTreeSet::new();
    for user in 0..30 {
        let name = format!("user-{user}");
        let (one, two) = (search(&engine, &name), search(&engine, &name));
        assert_eq!((&one.gate, ids(&one)), (&two.gate, ids(&two)));
        assert_eq!(one.gate.weight, Some(if one.gate.variant.as_deref() == Some("all") { 1.0 } else { 0.0 }));
        variants.extend(one.gate.variant);
    }
    assert_eq!(variants.len(), 2);
    let nobody = engine.search(&Scope::default(), &ask("snow bread")).unwrap();
    assert_eq!((nobody.gate.reason, nobody.gate.weight), ("baseline", Some(0.5)));
    let error = engine.search(&Scope::default(), &ask("snow").with_user("")).unwrap_err();
    assert!(error.to_string().starts_with("`user` has 0 bytes"), "{error}");
}

#[test]
fn a_canary_that_users_like_less_is_rolled_back_by_what_the_engine_sees() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path());
    let guardrails = vec![
        Guardrail { metric: Metric::Quality, margin: Margin::Absolute(0.1) },
        Guardrail { metric: Metric::EmptyRate, margin: Margin::Absolute(0.1) },
        Guardrail { metric: Metric::P95Latency, margin: Margin::Absolute(0.5) },
    ];
    let plan = RampPlan { guardrails, min_samples: 100, min_seconds: 0, ..RampPlan::new(1.0) };
    act(&engine, Action::StartCanary(plan));
    for user in 0.. {
        let answer = search(&engine, &format!("user-{user}"));
        let Some(token) = answer.gate.token else { break };
        let candidate = answer.gate.variant.as_deref() == Some("candidate");
        assert_eq!(answer.gate.weight, Some(if candidate { 1.0 } else { 0.5 }));
        engine.gate().observe_quality(token, f64::from(!candidate)).unwrap();
        if user % 100 == 0 {
            engine.gate().tick().unwrap();
        }
        assert!(user < 20_000, "{:?}", engine.gate().status());
    }
    let status = engine.gate().status().unwrap();
    assert_eq!(status.state.canary.unwrap().status(), CanaryStatus::RolledBack);
    let empty = &status.canary[1];
    assert!(empty.candidate.n >= 100 && empty.candidate.mean == 0.0, "the engine told it: {empty}");
    assert_eq!(search(&engine, "user-0").gate.weight, Some(0.5));
}

#[test]
fn an_explanation_has_the_weight_of_the_user_and_is_no_observation() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path());
    act(&engine, Action::StartCanary(RampPlan::new(1.0)));
    let scope = Scope::default();
    for user in 0..20 {
        let request = ask("snow bread").with_user(format!("user-{user}"));
        let answer = engine.search(&scope, &request).unwrap();
        let hit = engine.explain(&scope, &request, &answer.hits[3].id).unwrap().unwrap();
        assert_eq!((hit.rank, hit.score, &hit.explanation), (4, answer.hits[3].score, &answer.hits[3].explanation));
    }
    engine.gate().tick().unwrap();
    let status = engine.gate().status().unwrap();
    let errors = &status.canary[1];
    assert_eq!(errors.control.n + errors.candidate.n, 20);
}
