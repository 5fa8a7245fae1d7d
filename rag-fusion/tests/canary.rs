//! The canary as its callers see it: rule, state, messages.
#![allow(clippy::unwrap_used, missing_docs)]

use proptest::prelude::*;
use rag_fusion::{
    Arm, Canary, CanaryError, CanaryStatus, DecisionKind, Guardrail, Margin, Metric, Observation, RampPlan, Verdict,
};

const SECOND: u64 = 1_000_000;

/// One guardrail, so that a test says all that is observed.
fn plan(metric: Metric, margin: f64) -> RampPlan {
    RampPlan {
        guardrails: vec![Guardrail { metric, margin: Margin::Absolute(margin) }],
        min_samples: 200,
        max_samples: 20_000,
        min_seconds: 10,
        max_seconds: 1000,
        ..RampPlan::new(0.4)
    }
}

/// `count` requests of each arm; the first `failed` of an arm fail.
fn feed(canary: &mut Canary, count: u64, control_failed: u64, candidate_failed: u64) {
    for request in 0..count {
        for (arm, failed) in [(Arm::Control, control_failed), (Arm::Candidate, candidate_failed)] {
            canary.observe(&Observation { error: request < failed, ..Observation::new(arm) }).unwrap();
        }
    }
}

fn json(canary: &Canary) -> String {
    serde_json::to_string(canary).unwrap()
}

#[test]
fn a_harmless_candidate_is_promoted_step_by_step() {
    let mut canary = Canary::new(plan(Metric::ErrorRate, 0.05), 0).unwrap();
    assert_eq!((canary.status(), canary.share()), (CanaryStatus::Running, 0.1));
    feed(&mut canary, 2000, 10, 10);
    let early = canary.decide(9 * SECOND);
    assert_eq!((early.kind, early.share), (DecisionKind::Continue, 0.1), "the least time has not passed: {early}");
    assert_eq!(early.because[0].verdict, Verdict::Tolerable);
    let first = canary.decide(10 * SECOND);
    assert_eq!((first.kind, first.step, first.share), (DecisionKind::Promote, 2, 0.25));
    let few = canary.decide(30 * SECOND);
    assert_eq!((few.kind, few.samples), (DecisionKind::Continue, 0), "a step has samples of its own");
    feed(&mut canary, 200, 1, 1);
    assert_eq!(canary.decide(30 * SECOND).share, 0.5);
    feed(&mut canary, 200, 1, 1);
    let last = canary.decide(50 * SECOND);
    assert_eq!((last.kind, last.step, last.share), (DecisionKind::Complete, 4, 1.0));
    assert_eq!((last.because[0].candidate.n, canary.status()), (2400, CanaryStatus::Complete));
    let before = json(&canary);
    feed(&mut canary, 200, 0, 200);
    canary.abort();
    assert_eq!(canary.decide(60 * SECOND).kind, DecisionKind::Complete);
    assert_eq!(json(&canary), before, "nothing counts after the end");
}

#[test]
fn certain_harm_is_rolled_back_also_where_a_person_is_waited_for() {
    let mut canary = Canary::new(plan(Metric::ErrorRate, 0.01), 0).unwrap();
    feed(&mut canary, 99, 0, 99);
    let burn_in = canary.decide(SECOND);
    assert_eq!((burn_in.kind, burn_in.because[0].verdict), (DecisionKind::Continue, Verdict::TooFew));
    let mut paused = canary.clone();
    feed(&mut canary, 1, 0, 1);
    let decision = canary.decide(SECOND);
    assert_eq!((decision.kind, decision.share), (DecisionKind::RollBack, 0.0));
    assert!(decision.because[0].lower.unwrap() > 0.5, "{decision}");
    assert_eq!(canary.decide(2 * SECOND).kind, DecisionKind::RollBack);

    assert_eq!(paused.decide(1000 * SECOND).kind, DecisionKind::Pause);
    assert_eq!(paused.share(), 0.1, "a paused canary keeps its share");
    feed(&mut paused, 1, 0, 1);
    assert_eq!(paused.decide(1001 * SECOND).kind, DecisionKind::RollBack);
}

#[test]
fn an_undecided_step_pauses_and_a_person_resumes_or_aborts() {
    let mut canary = Canary::new(plan(Metric::ErrorRate, 0.004), 0).unwrap();
    assert_eq!(canary.resume(0), Err(CanaryError::NotPaused(CanaryStatus::Running)));
    feed(&mut canary, 20_000, 100, 140);
    let paused = canary.decide(SECOND);
    assert_eq!((paused.kind, paused.because[0].verdict), (DecisionKind::Pause, Verdict::Undecided), "{paused}");
    let mut aborted = canary.clone();
    aborted.abort();
    assert_eq!((aborted.status(), aborted.share()), (CanaryStatus::Aborted, 0.0));
    assert_eq!(aborted.decide(2 * SECOND).kind, DecisionKind::Abort);
    canary.resume(2 * SECOND).unwrap();
    let resumed = canary.decide(3 * SECOND);
    assert_eq!((resumed.kind, resumed.samples, resumed.seconds), (DecisionKind::Continue, 0, 1));
    assert_eq!(resumed.because, paused.because, "the evidence stays");
    feed(&mut canary, 19_000, 95, 95);
    assert_eq!(canary.decide(20 * SECOND).kind, DecisionKind::Promote);
}

#[test]
fn a_guardrail_that_nobody_observes_is_not_promoted() {
    let mut canary = Canary::new(plan(Metric::Quality, 0.05), 0).unwrap();
    feed(&mut canary, 5000, 0, 0);
    let decision = canary.decide(1000 * SECOND);
    assert_eq!(decision.kind, DecisionKind::Pause);
    assert!(
        decision.to_string().ends_with(
            "quality: 0.0000 of 0 against 0.0000 of 0, tolerated below 0.0500: too few to say \
        (observe it, or take the guardrail out of the plan)"
        ),
        "{decision}"
    );
}

#[test]
fn less_quality_and_fewer_cache_hits_are_harm_more_are_none() {
    for metric in [Metric::Quality, Metric::CacheHitRate] {
        for (candidate, kind) in [(0.3, DecisionKind::RollBack), (0.7, DecisionKind::Promote)] {
            let mut canary = Canary::new(plan(metric, 0.05), 0).unwrap();
            for _ in 0..1000 {
                for (arm, value) in [(Arm::Control, 0.5), (Arm::Candidate, candidate)] {
                    let cache_hit = (metric == Metric::CacheHitRate).then_some(value);
                    canary.observe(&Observation { cache_hit, ..Observation::new(arm) }).unwrap();
                    if metric == Metric::Quality {
                        canary.observe_quality(arm, value).unwrap();
                    }
                }
            }
            let decision = canary.decide(10 * SECOND);
            assert_eq!(decision.kind, kind, "{decision}");
            assert!((decision.because[0].difference.unwrap() - (0.5 - candidate)).abs() < 1e-12);
        }
    }
}

#[test]
fn a_relative_margin_is_a_share_of_the_control() {
    let guardrails = vec![Guardrail { metric: Metric::Quality, margin: Margin::Relative(0.1) }];
    let mut canary = Canary::new(RampPlan { guardrails, ..RampPlan::new(0.4) }, 0).unwrap();
    assert_eq!(canary.readings()[0].margin, None);
    for _ in 0..100 {
        canary.observe_quality(Arm::Control, 0.0).unwrap();
        canary.observe_quality(Arm::Candidate, 0.0).unwrap();
    }
    assert_eq!(canary.readings()[0].verdict, Verdict::TooFew, "a tenth of nothing is no margin");
    for _ in 0..100 {
        canary.observe_quality(Arm::Control, 1.0).unwrap();
    }
    assert!((canary.readings()[0].margin.unwrap() - 0.05).abs() < 1e-12);
}

#[test]
fn latency_is_compared_with_the_percentile_of_the_first_of_the_control() {
    let mut canary = Canary::new(plan(Metric::P95Latency, 0.02), 0).unwrap();
    let observe = |canary: &mut Canary, arm, latency_us| {
        canary.observe(&Observation { latency_us: Some(latency_us), ..Observation::new(arm) }).unwrap();
    };
    // 1000 to 1499: the 475th is 1474, in the bucket 1408 to 1535.
    (0..500).for_each(|more| observe(&mut canary, Arm::Control, 1000 + more));
    observe(&mut canary, Arm::Candidate, 9000);
    let calibrated = canary.decide(SECOND);
    assert_eq!((calibrated.because[0].control.n, calibrated.because[0].candidate.n), (0, 0), "those calibrate alone");
    assert!(json(&canary).contains(r#""latency":{"above":1535}"#), "{}", json(&canary));
    for request in 0..1000 {
        observe(&mut canary, Arm::Control, if request % 20 == 0 { 1536 } else { 1535 });
        observe(&mut canary, Arm::Candidate, if request % 5 == 0 { u64::MAX } else { 0 });
    }
    let decision = canary.decide(2 * SECOND);
    let (control, candidate) = (decision.because[0].control.mean, decision.because[0].candidate.mean);
    assert!((control - 0.05).abs() < 1e-12 && (candidate - 0.2).abs() < 1e-12, "{control} {candidate}");
    assert_eq!(decision.kind, DecisionKind::RollBack);
}

#[test]
fn a_level_that_changes_between_the_steps_is_not_taken_for_harm() {
    // Quality 0.9 in the first step and 0.3 in the second, for both arms: pooled, the candidate, which has more of the
    // second, looks much worse (0.47 against 0.7).
    let mut canary = Canary::new(plan(Metric::Quality, 0.05), 0).unwrap();
    for (control, candidate, quality, share) in
        [(9000, 1000, 0.9, 0.25), (3000, 1000, 0.3, 0.5), (1000, 1000, 0.2, 1.0)]
    {
        for (arm, count) in [(Arm::Control, control), (Arm::Candidate, candidate)] {
            for _ in 0..count {
                canary.observe(&Observation { quality: Some(quality), ..Observation::new(arm) }).unwrap();
            }
        }
        let decision = canary.decide(
            if share == 0.25 {
                10
            } else if share == 0.5 {
                20
            } else {
                30
            } * SECOND,
        );
        assert_eq!(decision.share, share, "{decision}");
        assert!(decision.because[0].difference.unwrap().abs() < 1e-12);
    }
}

#[test]
fn wrong_plans_name_their_field() {
    type Spoil = fn(&mut RampPlan);
    let cases: [(Spoil, &str); 14] = [
        (|plan| plan.weight = f32::NAN, "weight"),
        (|plan| plan.weight = 1.5, "weight"),
        (|plan| plan.steps = vec![1.0], "steps"),
        (|plan| plan.steps = vec![0.5, 0.5, 1.0], "steps[1]"),
        (|plan| plan.steps = vec![f64::NAN, 1.0], "steps[0]"),
        (|plan| plan.steps = vec![0.1, 0.9], "steps[1]"),
        (|plan| plan.min_samples = 0, "min_samples"),
        (|plan| plan.max_samples = plan.min_samples - 1, "max_samples"),
        (|plan| plan.max_seconds = plan.min_seconds, "max_seconds"),
        (|plan| plan.guardrails.clear(), "guardrails"),
        (|plan| plan.guardrails[1].metric = Metric::P95Latency, "guardrails[1].metric"),
        (|plan| plan.guardrails[2].margin = Margin::Absolute(0.0), "guardrails[2].margin"),
        (|plan| plan.guardrails[4].margin = Margin::Relative(f64::INFINITY), "guardrails[4].margin"),
        (|plan| plan.alpha = 0.5, "alpha"),
    ];
    for (spoil, name) in cases {
        let mut plan = RampPlan::new(0.4);
        spoil(&mut plan);
        let error = Canary::new(plan, 0).unwrap_err();
        assert!(matches!(&error, CanaryError::Plan { field, .. } if field == name), "{error} instead of {name}");
        assert!(error.to_string().starts_with(&format!("`{name}` of the ramp plan is ")), "{error}");
    }
}

#[test]
fn a_written_plan_has_defaults_and_no_unknown_fields() {
    let read = serde_json::from_str::<RampPlan>;
    assert_eq!(read(r#"{"weight": 0.4}"#).unwrap(), RampPlan::new(0.4));
    RampPlan::new(0.4).validate().unwrap();
    assert!(read("{}").unwrap_err().to_string().contains("weight"));
    assert!(read(r#"{"weight": 0.4, "step": []}"#).unwrap_err().to_string().contains("unknown field `step`"));
    let written = r#"{"weight": 0.4, "guardrails": [{"metric": "quality", "margin": {"relative": 0.05}}]}"#;
    let guardrail = Guardrail { metric: Metric::Quality, margin: Margin::Relative(0.05) };
    assert_eq!(read(written).unwrap().guardrails, [guardrail]);
}

#[test]
fn wrong_observations_are_named_and_not_counted() {
    let mut canary = Canary::new(RampPlan::new(0.4), 0).unwrap();
    let before = json(&canary);
    let wrong = [
        (Observation { cache_hit: Some(1.5), ..Observation::new(Arm::Control) }, "cache_hit"),
        (Observation { quality: Some(f64::NAN), ..Observation::new(Arm::Control) }, "quality"),
    ];
    for (seen, name) in wrong {
        let error = canary.observe(&seen).unwrap_err();
        assert!(matches!(error, CanaryError::Observation { field, .. } if field == name), "{error}");
    }
    assert!(canary.observe_quality(Arm::Candidate, -0.1).is_err());
    assert_eq!(json(&canary), before);
}

/// In its second step, with values of every kind.
fn in_the_middle() -> Canary {
    let mut canary =
        Canary::new(RampPlan { min_samples: 2000, min_seconds: 60, ..RampPlan::new(0.4) }, SECOND).unwrap();
    let feed = |canary: &mut Canary, requests: u64| {
        for request in 0..requests {
            for (arm, offset) in [(Arm::Control, 0), (Arm::Candidate, 7)] {
                let request = request * 31 + offset;
                let seen = Observation {
                    latency_us: Some(1000 + request % 997),
                    error: request % 211 == 0,
                    cache_hit: Some((request % 4) as f64 / 3.0),
                    empty: request % 53 == 0,
                    quality: (request % 2 == 0).then_some((request % 11) as f64 / 10.0),
                    ..Observation::new(arm)
                };
                canary.observe(&seen).unwrap();
            }
        }
    };
    feed(&mut canary, 600);
    assert_eq!(canary.decide(10 * SECOND).kind, DecisionKind::Continue);
    feed(&mut canary, 24_000);
    let decision = canary.decide(90 * SECOND);
    assert_eq!(decision.kind, DecisionKind::Promote, "{decision}");
    feed(&mut canary, 10);
    canary
}

#[test]
fn a_saved_state_is_read_by_later_versions() {
    let golden = include_str!("golden/canary_state.json");
    let canary = in_the_middle();
    assert_eq!(serde_json::to_string_pretty(&canary).unwrap() + "\n", golden);
    assert_eq!(serde_json::from_str::<Canary>(golden).unwrap(), canary);
}

#[test]
fn a_saved_state_that_cannot_be_is_refused() {
    let state: serde_json::Value = serde_json::to_value(in_the_middle()).unwrap();
    let cases = [
        ("/step", serde_json::json!(9), "`step`"),
        ("/step", serde_json::json!(3), "`step`"),
        ("/status", serde_json::json!("complete"), "`step`"),
        ("/control", serde_json::json!(u64::MAX), "`control`"),
        ("/evidence", serde_json::json!([]), "`evidence`"),
        ("/evidence/0/step/control/mean", serde_json::json!(7.0), "`evidence`"),
        ("/evidence/0/past/control/n", serde_json::json!(u64::MAX), "`evidence`"),
        ("/evidence/4/difference/variance", serde_json::json!(-1.0), "`evidence`"),
        ("/latency", serde_json::json!({"calibrating": {"496": 1}}), "`latency`"),
        ("/plan/alpha", serde_json::json!(0.7), "`alpha`"),
    ];
    for (path, value, name) in cases {
        let mut spoiled = state.clone();
        *spoiled.pointer_mut(path).unwrap() = value;
        let error = serde_json::from_value::<Canary>(spoiled).unwrap_err().to_string();
        assert!(error.contains(name), "{path}: {error}");
    }
}

#[test]
fn the_state_is_small() {
    let steps: Vec<f64> = (1..=20).map(|step| f64::from(step).sqrt() / 20f64.sqrt()).collect();
    let mut canary = Canary::new(RampPlan { steps, ..RampPlan::new(1.0 / 3.0) }, u64::MAX / 2).unwrap();
    // Latencies of every size, and never a decision that would freeze them.
    for request in 0..30_000u64 {
        let arm = if request % 3 == 0 { Arm::Candidate } else { Arm::Control };
        let share = Some((request % 1009) as f64 / 1009.0);
        let latency_us = Some((16 + request % 16) << (request % 60));
        let seen = Observation { latency_us, cache_hit: share, quality: share, ..Observation::new(arm) };
        canary.observe(&seen).unwrap();
    }
    assert!(json(&canary).len() < 10_000, "{}", json(&canary).len());
    let middle = json(&in_the_middle()).len();
    assert!(middle < 4000, "{middle}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_order_of_the_observations_between_decisions_does_not_matter(
        mut seen in prop::collection::vec((any::<bool>(), 0u64..5000, any::<bool>(), 0.0..=1.0), 1200..2400),
        turn in 0usize..2400,
    ) {
        let decide = |seen: &[(bool, u64, bool, f64)]| {
            let mut canary = Canary::new(RampPlan { min_seconds: 0, ..RampPlan::new(0.4) }, 0).unwrap();
            // The first half calibrates the latency.
            let (first, second) = seen.split_at(seen.len() / 2);
            [first, second].map(|part| {
                for &(is_candidate, latency_us, error, value) in part {
                    let arm = if is_candidate { Arm::Candidate } else { Arm::Control };
                    let seen = Observation {
                        latency_us: Some(latency_us),
                        error,
                        cache_hit: Some(value),
                        quality: Some(1.0 - value),
                        ..Observation::new(arm)
                    };
                    canary.observe(&seen).unwrap();
                }
                canary.decide(SECOND)
            })
        };
        let expected = decide(&seen);
        let half = seen.len() / 2;
        seen[..half].rotate_left(turn % half);
        seen[half..].reverse();
        for (one, other) in expected.iter().zip(decide(&seen)) {
            prop_assert_eq!((one.kind, one.samples), (other.kind, other.samples));
            for (one, other) in one.because.iter().zip(&other.because) {
                prop_assert_eq!((one.control.n, one.candidate.n, one.verdict), (other.control.n, other.candidate.n, other.verdict));
                let numbers = |it: &rag_fusion::Reading| [it.difference, it.lower, it.upper].map(|number| number.unwrap_or(-9.0));
                for (a, b) in numbers(one).iter().zip(numbers(other)) {
                    prop_assert!((a - b).abs() < 1e-12, "{} {}", a, b);
                }
            }
        }
    }
}
