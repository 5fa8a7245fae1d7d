//! Canaries of simulated traffic: how often they end right, and how many requests that takes.
//!
//! A world has 2,000 queries whose popularity is Zipf's; each has its own quality (chance of a click) and the cache knows
//! the popular ones. Latencies are log-normal. The canary is looked at after every 100 requests.
//!
//! Either each request is somebody else's, or they come from users of whom some ask far more than others: a user stays in
//! one arm (but for those that a step moves to the candidate), has habits of their own, and counts once a step, as the live
//! gate of rag-core counts.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::collections::HashSet;

use rag_fusion::{Arm, Canary, CanaryStatus, Observation, RampPlan};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const QUERIES: usize = 2000;
const REQUESTS_A_SECOND: u64 = 2;
const USERS: usize = 300_000;
/// A canary that is neither paused nor over by then would be an error of the test.
const MOST_REQUESTS: u64 = 5_000_000;

/// How the candidate differs from the control.
#[derive(Clone, Copy)]
struct Change {
    name: &'static str,
    quality_times: f64,
    latency_times: f64,
    errors_more: f64,
}

const NULL: Change = Change { name: "no change", quality_times: 1.0, latency_times: 1.0, errors_more: 0.0 };
const WORSE_QUALITY: Change = Change { name: "quality -5 %", quality_times: 0.95, ..NULL };
const SLOWER: Change = Change { name: "p95 doubled", latency_times: 2.0, ..NULL };
const MORE_ERRORS: Change = Change { name: "errors +1 pp", errors_more: 0.01, ..NULL };

struct World {
    /// Cumulated popularity of the queries, the most popular first.
    popularity: Vec<f64>,
    quality: Vec<f64>,
    /// Cumulated activity of the users, the most active first; empty where each request is somebody else's.
    activity: Vec<f64>,
    /// Those who were counted in this step.
    counted: HashSet<usize>,
    seed: u64,
}

/// Cumulated shares that fall with the rank to this power.
fn zipf(count: usize, power: f64) -> Vec<f64> {
    let mut sum = 0.0;
    let mut cumulated: Vec<f64> = (1..=count)
        .map(|rank| {
            sum += (rank as f64).powf(-power);
            sum
        })
        .collect();
    for share in &mut cumulated {
        *share /= sum;
    }
    cumulated
}

/// A number from 0 to 1 that is always the same for a user and a purpose.
fn fixed(seed: u64, user: usize, purpose: u64) -> f64 {
    SmallRng::seed_from_u64(seed.wrapping_mul(31).wrapping_add(purpose) ^ ((user as u64) << 20)).random()
}

impl World {
    fn new(rng: &mut SmallRng, activity: Vec<f64>, seed: u64) -> World {
        // Of mean 0.6.
        let quality = (0..QUERIES).map(|_| rng.random::<f64>().powf(2.0 / 3.0)).collect();
        World { popularity: zipf(QUERIES, 1.0), quality, activity, counted: HashSet::new(), seed }
    }

    /// `None` for a user who was counted already.
    fn request(&mut self, rng: &mut SmallRng, share: f64, change: &Change) -> Option<Observation> {
        let (mut drawn, mut eagerness) = (rng.random::<f64>(), 1.0);
        if !self.activity.is_empty() {
            let user = self.activity.partition_point(|&cumulated| cumulated < drawn).min(USERS - 1);
            // The most active click less, so that arms with others of them differ by themselves.
            eagerness = fixed(self.seed, user, 1) * if user < USERS / 100 { 1.2 } else { 1.6 };
            drawn = fixed(self.seed, user, 2);
            if !self.counted.insert(user) {
                return None;
            }
        }
        let arm = if drawn < share { Arm::Candidate } else { Arm::Control };
        let change = if arm == Arm::Candidate { change } else { &NULL };
        let drawn = rng.random::<f64>();
        let query = self.popularity.partition_point(|&cumulated| cumulated < drawn).min(QUERIES - 1);
        // Box and Muller; the median takes 20 ms.
        let normal =
            (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt() * (std::f64::consts::TAU * rng.random::<f64>()).cos();
        let clicked = rng.random::<f64>() < self.quality[query] * eagerness * change.quality_times;
        Some(Observation {
            latency_us: Some((20_000.0 * (0.6 * normal).exp() * change.latency_times) as u64),
            error: rng.random::<f64>() < 0.005 + change.errors_more,
            // The 350 most popular queries are 78 % of the traffic; an entry may have expired.
            cache_hit: Some(f64::from(query < 350 && rng.random::<f64>() < 0.96)),
            empty: rng.random::<f64>() < 0.02,
            quality: Some(f64::from(clicked)),
            ..Observation::new(arm)
        })
    }
}

/// How a canary ended, and after how many requests (of both arms, of the candidate).
#[derive(Debug, PartialEq)]
struct End {
    status: CanaryStatus,
    requests: u64,
    candidate: u64,
}

/// `after` sees the canary after each request, and may replace it.
fn run(plan: &RampPlan, change: &Change, users: &[f64], seed: u64, mut after: impl FnMut(&mut Canary)) -> End {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut world = World::new(&mut rng, users.to_vec(), seed);
    let mut canary = Canary::new(plan.clone(), 0).unwrap();
    let mut candidate = 0;
    for request in 1..=MOST_REQUESTS {
        after(&mut canary);
        if let Some(seen) = world.request(&mut rng, canary.share(), change) {
            candidate += u64::from(seen.arm == Arm::Candidate);
            canary.observe(&seen).unwrap();
        }
        if request % 100 == 0 {
            let before = canary.share();
            canary.decide(request * 1_000_000 / REQUESTS_A_SECOND);
            if canary.share() != before {
                world.counted.clear();
            }
            if canary.status() != CanaryStatus::Running {
                return End { status: canary.status(), requests: request, candidate };
            }
        }
    }
    unreachable!("a plan has a greatest time for each of its steps")
}

/// How often each end came, in percent.
struct Rates {
    complete: f64,
    rolled_back: f64,
    paused: f64,
}

fn simulate(plan: &RampPlan, change: &Change, users: &[f64], seeds: u64) -> Rates {
    let ends: Vec<End> = std::thread::scope(|scope| {
        let halves = [0, 1].map(|half| {
            scope.spawn(move || {
                (0..seeds)
                    .filter(|seed| seed % 2 == half)
                    .map(|seed| run(plan, change, users, seed, |_| {}))
                    .collect::<Vec<_>>()
            })
        });
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    let rate = |status| ends.iter().filter(|end| end.status == status).count() as f64 * 100.0 / seeds as f64;
    let quantile = |mut counts: Vec<u64>, share: f64| {
        counts.sort_unstable();
        counts[((counts.len() - 1) as f64 * share) as usize]
    };
    let requests = |share| quantile(ends.iter().map(|end| end.requests).collect(), share);
    let candidate = |share| quantile(ends.iter().map(|end| end.candidate).collect(), share);
    let rates = Rates {
        complete: rate(CanaryStatus::Complete),
        rolled_back: rate(CanaryStatus::RolledBack),
        paused: rate(CanaryStatus::Paused),
    };
    println!(
        "| {} | {seeds} | {:.1} % | {:.1} % | {:.1} % | {} / {} | {} / {} |",
        change.name,
        rates.complete,
        rates.rolled_back,
        rates.paused,
        requests(0.5),
        requests(0.95),
        candidate(0.5),
        candidate(0.95),
    );
    rates
}

fn table(plan: &RampPlan, users: &[f64], seeds: u64) {
    println!("| change | seeds | completed | rolled back | paused | requests: median / p95 | of the candidate |");
    println!("|---|---|---|---|---|---|---|");
    let null = simulate(plan, &NULL, users, seeds);
    assert!(null.rolled_back <= 5.0, "{} % rolled back", null.rolled_back);
    // Where all users have been counted before a step is decided, it pauses.
    assert!(null.complete >= if users.is_empty() { 95.0 } else { 85.0 }, "{} % complete", null.complete);
    for change in [WORSE_QUALITY, SLOWER, MORE_ERRORS] {
        let harm = simulate(plan, &change, users, seeds);
        assert!(harm.rolled_back > 95.0, "{}: {} % rolled back", change.name, harm.rolled_back);
        assert!(harm.complete + harm.rolled_back + harm.paused > 99.9);
    }
}

#[test]
fn harm_is_rolled_back_and_no_change_is_promoted() {
    table(&RampPlan::new(0.4), &[], 60);
}

#[test]
fn users_who_come_again_count_once_a_step() {
    table(&RampPlan::new(0.4), &zipf(USERS, 0.8), 20);
}

/// `cargo test --release -p rag-fusion --test canary_simulator -- --ignored --nocapture`
#[test]
#[ignore = "minutes"]
fn harm_is_rolled_back_and_no_change_is_promoted_over_a_thousand_seeds() {
    table(&RampPlan::new(0.4), &[], 1000);
}

#[test]
#[ignore = "minutes"]
fn users_who_come_again_count_once_a_step_over_a_thousand_seeds() {
    table(&RampPlan::new(0.4), &zipf(USERS, 0.8), 1000);
}

/// A harm of just the margin may be promoted in at most `alpha` of the runs.
#[test]
#[ignore = "minutes"]
fn harm_of_the_margin_is_hardly_ever_promoted() {
    let quality = Change { name: "quality -3 %", quality_times: 0.97, ..NULL };
    let errors = Change { name: "errors +0.5 pp", errors_more: 0.005, ..NULL };
    for change in [quality, errors] {
        let rates = simulate(&RampPlan::new(0.4), &change, &[], 1000);
        assert!(rates.complete <= 5.0, "{} % promoted", rates.complete);
    }
}

#[test]
fn a_process_that_is_killed_goes_on_where_it_was() {
    let plan = RampPlan { min_samples: 200, min_seconds: 0, ..RampPlan::new(0.4) };
    for (seed, change) in [(1, NULL), (2, WORSE_QUALITY), (3, SLOWER), (4, MORE_ERRORS)] {
        let mut states = Vec::new();
        let whole = run(&plan, &change, &[], seed, |canary| states.push(canary.share()));
        let mut kills = SmallRng::seed_from_u64(seed);
        let mut seen = Vec::new();
        let killed = run(&plan, &change, &[], seed, |canary| {
            if kills.random::<f64>() < 0.01 {
                let saved = serde_json::to_string(&canary).unwrap();
                let restored: Canary = serde_json::from_str(&saved).unwrap();
                assert_eq!(restored.readings(), canary.readings());
                *canary = restored;
            }
            seen.push(canary.share());
        });
        assert_eq!((killed, seen), (whole, states), "{}", change.name);
    }
}

/// How the least samples of a step and the margin of the quality were chosen.
#[test]
#[ignore = "minutes"]
fn sweep() {
    for min_samples in [200, 1000] {
        for margin in [0.02, 0.03, 0.04, 0.05] {
            let mut plan = RampPlan { min_samples, min_seconds: 0, ..RampPlan::new(0.4) };
            plan.guardrails.last_mut().unwrap().margin = rag_fusion::Margin::Relative(margin);
            println!("min_samples {min_samples}, margin of the quality {margin}");
            for change in [NULL, WORSE_QUALITY] {
                simulate(&plan, &change, &[], 300);
            }
        }
    }
}
