#![allow(clippy::unwrap_used)]

use std::cell::{Cell, RefCell};
use std::sync::Mutex;

use proptest::prelude::*;

use super::*;

/// A number in `[0, 1)` that depends on its arguments alone.
fn noise(seed: u64, query: usize, of: &str) -> f64 {
    let bytes = of.bytes().fold(seed, |hash, byte| SplitMix64::new(hash ^ u64::from(byte)).next());
    SplitMix64::new(bytes ^ (query as u64) << 20).below(1 << 30) as f64 / f64::from(1 << 30)
}

fn runs(names: &[&str], step: f64) -> Parameter {
    Parameter::Weights { runs: names.iter().map(|&name| name.to_owned()).collect(), step }
}

fn small() -> Space {
    let n = Parameter::Choice { values: vec!["min_max".into(), "z_score".into()] };
    Space::new([("w", runs(&["a", "b", "c"], 0.2)), ("n", n)]).unwrap()
}

fn random_objective(seed: u64) -> impl Fn(&Point, usize) -> f64 + Sync {
    move |point, query| (noise(seed, query, &point.to_string()) * 4.0).floor()
}

/// The whole procedure by definition: every mean anew, no table, no memory.
fn naive(space: &Space, queries: &[usize], objective: &dyn Fn(&Point, usize) -> f64, few: bool) -> Point {
    let prior = space.centre();
    let mut points = vec![prior.clone()];
    points.extend(space.grid().iter().map(|place| space.point(place)).filter(|point| *point != prior));
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    let mean_at = |point: &Point| mean(queries.iter().map(|&query| objective(point, query)).collect());
    let mut best = points[0].clone();
    for point in &points {
        let (new, old) = (mean_at(point), mean_at(&best));
        if new > old || (new == old && space.distance(point, &prior) < space.distance(&best, &prior)) {
            best = point.clone();
        }
    }
    if !few {
        return best;
    }
    let within = |point: &&Point| {
        let losses: Vec<f64> = queries.iter().map(|&q| objective(&best, q) - objective(point, q)).collect();
        let n = losses.len() as f64;
        let loss = mean(losses.clone());
        let variance = losses.iter().map(|it| (it - loss).powi(2)).sum::<f64>() / (n - 1.0);
        (n < 2.0 || loss <= (variance / n).sqrt() + 1e-9) && mean_at(point) >= mean_at(&prior)
    };
    let mut nearest: Option<Point> = None;
    for point in points.iter().filter(within) {
        let is_nearer = nearest.as_ref().is_none_or(|old| {
            let (new_distance, old_distance) = (space.distance(point, &prior), space.distance(old, &prior));
            new_distance < old_distance || (new_distance == old_distance && mean_at(point) > mean_at(old))
        });
        if is_nearer {
            nearest = Some(point.clone());
        }
    }
    nearest.unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_small_grid_is_tuned_as_by_definition(seed in any::<u64>(), queries in 2usize..9, few in any::<bool>()) {
        let (space, objective) = (small(), random_objective(seed));
        let options = Options { folds: 2, seed, few_queries: if few { 30 } else { 0 }, threads: 1, ..Options::default() };
        let tuned = tune(&space, queries, &objective, &options, &Watch::default()).unwrap();
        let all: Vec<usize> = (0..queries).collect();
        prop_assert!(tuned.exhaustive);
        prop_assert_eq!(&tuned.best, &naive(&space, &all, &objective, few));
        // 21 places on the simplex for two names, and equal thirds beside the grid.
        prop_assert_eq!((tuned.curve.len(), tuned.evaluations), (43, 43 * queries));
        for fold in &tuned.folds {
            let train: Vec<usize> = all.iter().copied().filter(|query| !fold.queries.contains(query)).collect();
            prop_assert_eq!(&fold.chosen, &naive(&space, &train, &objective, few));
            for &query in &fold.queries {
                prop_assert_eq!(tuned.held_out[query], objective(&fold.chosen, query));
            }
        }
        for query in all {
            prop_assert_eq!(tuned.prior_values[query], objective(&tuned.prior, query));
            prop_assert_eq!(tuned.best_values[query], objective(&tuned.best, query));
        }
        for at in &tuned.curve {
            let mean = (0..queries).map(|query| objective(&at.point, query)).sum::<f64>() / queries as f64;
            prop_assert_eq!(at.mean, mean);
        }
    }

    #[test]
    fn a_large_grid_is_searched_within_the_budget(seed in any::<u64>(), budget in 1usize..120, folds in 2usize..4) {
        let space = Space::new([
            ("w", runs(&["a", "b", "c", "d"], 0.02)),
            ("k", Parameter::Logarithmic { low: 1.0, high: 1000.0, count: 50 }),
        ]).unwrap();
        let objective = random_objective(seed);
        let options = Options { folds, budget, seed, threads: 1, ..Options::default() };
        let tuned = tune(&space, 6, &objective, &options, &Watch::default()).unwrap();
        prop_assert!(!tuned.exhaustive);
        prop_assert!(tuned.evaluations <= (budget * (folds + 1) + 1) * 6);
        let parallel = tune(&space, 6, &objective, &Options { threads: 3, ..options.clone() }, &Watch::default()).unwrap();
        prop_assert_eq!(&parallel, &tuned);
    }

    /// A candidate far away may be clearly better than the prior, and one in between only not clearly worse than that.
    #[test]
    fn few_queries_choose_nothing_worse_than_the_prior(seed in any::<u64>(), queries in 2usize..30, at in 0usize..11) {
        let space = Space::new([("w", Parameter::Linear { low: 0.0, high: 1.0, step: 0.1 })]).unwrap();
        let prior = Some(Point::new([("w", Value::Number(at as f64 / 10.0))]));
        let options = Options { folds: 2, seed, few_queries: 100, prior, threads: 1, ..Options::default() };
        let tuned = tune(&space, queries, &random_objective(seed), &options, &Watch::default()).unwrap();
        prop_assert_eq!(tuned.rule, Rule::OneStandardError);
        let of_prior = tuned.prior_values.iter().sum::<f64>() / queries as f64;
        prop_assert!(tuned.best_mean >= of_prior, "{} {of_prior}", tuned.best_mean);
    }
}

#[test]
fn the_search_finds_the_peak_of_a_smooth_objective() {
    let space = Space::new([
        ("w", runs(&["a", "b", "c"], 0.01)),
        ("k", Parameter::Linear { low: 0.0, high: 100.0, step: 1.0 }),
        ("n", Parameter::Choice { values: vec!["x".into(), "y".into(), "z".into()] }),
    ])
    .unwrap();
    assert!(space.size() > 1e6);
    let objective = |point: &Point, _: usize| {
        let (w, k) = (point.weights("w").unwrap(), point.number("k").unwrap());
        let off = [0.17, 0.62, 0.21].iter().zip(w).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        -off - ((k - 37.0) / 100.0).powi(2) - f64::from(u8::from(point.choice("n") != Some("y")))
    };
    for seed in 0..20 {
        let options = Options { budget: 400, seed, few_queries: 0, folds: 2, ..Options::default() };
        let tuned = tune(&space, 2, &objective, &options, &Watch::default()).unwrap();
        assert_eq!(tuned.best.to_string(), "k=37 n=y w=[0.17, 0.62, 0.21]", "seed {seed}");
    }
}

#[test]
fn ties_stay_at_the_prior() {
    let flat = |_: &Point, _: usize| 0.5;
    let space = small();
    for few_queries in [0, 30] {
        let options = Options { few_queries, ..Options::default() };
        assert_eq!(tune(&space, 10, &flat, &options, &Watch::default()).unwrap().best, space.centre());
        let prior = Point::new([("w", Value::Weights(vec![0.0, 1.0, 0.0])), ("n", Value::Choice("z_score".into()))]);
        let options = Options { prior: Some(prior.clone()), ..options };
        let tuned = tune(&space, 10, &flat, &options, &Watch::default()).unwrap();
        assert_eq!((&tuned.best, &tuned.prior, tuned.curve.len()), (&prior, &prior, 42));
    }
}

/// Queries whose best weights scatter around .5, where the prior is, or around .8; each value is noisy, as nDCG is. What is
/// lost against the best weight, for unseen queries in the mean.
fn loss_of(best: f64, queries: usize, few_queries: usize, seed: u64) -> f64 {
    let space = Space::new([("w", Parameter::Linear { low: 0.0, high: 1.0, step: 0.05 })]).unwrap();
    let objective = |point: &Point, query: usize| {
        let own = best + 0.6 * (noise(seed, query, "own") - 0.5);
        0.7 - (point.number("w").unwrap() - own).powi(2) + 0.3 * noise(seed, query, &point.to_string())
    };
    let options = Options { folds: 2, few_queries, seed, threads: 1, ..Options::default() };
    let tuned = tune(&space, queries, &objective, &options, &Watch::default()).unwrap();
    (tuned.best.number("w").unwrap() - best).powi(2)
}

#[test]
fn few_labels_do_no_harm() {
    let mean_loss = |best: f64, queries: usize, few_queries: usize| {
        (0..300).map(|seed| loss_of(best, queries, few_queries, seed)).sum::<f64>() / 300.0
    };
    for queries in [3, 5, 10] {
        let (shrunk, naive) = (mean_loss(0.5, queries, 30), mean_loss(0.5, queries, 0));
        assert!(shrunk < 0.5 * naive, "{queries} queries, prior right: {shrunk} against {naive}");
    }
    // Where the prior is wrong, tuning still beats keeping it (which loses .09).
    let shrunk = mean_loss(0.8, 10, 30);
    assert!(shrunk < 0.06, "prior wrong: {shrunk}");
    // With many queries the rule is off and the best weight is found.
    assert!(mean_loss(0.8, 60, 30) < 0.01);
}

#[test]
fn the_held_out_mean_does_not_promise_what_luck_gave() {
    let space = Space::new([("w", Parameter::Linear { low: 0.0, high: 1.0, step: 0.02 })]).unwrap();
    let (mut best, mut held_out) = (0.0, 0.0);
    for seed in 0..100 {
        let objective = |point: &Point, query: usize| noise(seed, query, &point.to_string());
        let options = Options { few_queries: 0, seed, threads: 1, ..Options::default() };
        let tuned = tune(&space, 20, &objective, &options, &Watch::default()).unwrap();
        best += tuned.best_mean / 100.0;
        held_out += tuned.held_out.iter().sum::<f64>() / 2000.0;
    }
    // Pure noise of mean .5: the mean over 100 · 20 values has a standard error of .0065.
    assert!(best > 0.6 && (held_out - 0.5f64).abs() < 0.02, "{best} {held_out}");
}

#[test]
fn wrong_objectives_and_settings_are_named() {
    let space = small();
    let run = |queries, options: &Options| {
        tune(&space, queries, &|_: &Point, _| 0.0, options, &Watch::default()).unwrap_err()
    };
    let default = Options::default();
    assert!(matches!(run(4, &default), TuneError::TooFewQueries { queries: 4, folds: 5 }));
    assert!(matches!(run(0, &default), TuneError::TooFewQueries { .. }));
    assert!(matches!(run(9, &Options { folds: 1, ..default.clone() }), TuneError::TooFewQueries { .. }));
    assert!(matches!(run(9, &Options { budget: 0, ..default.clone() }), TuneError::Setting { name: "budget", .. }));
    let prior = Some(Point::new([("w", Value::Number(1.0))]));
    assert!(matches!(run(9, &Options { prior, ..default.clone() }), TuneError::Prior { .. }));
    let objective = |point: &Point, query: usize| {
        if query == 3 && point.weights("w") == Some(&[0.2, 0.2, 0.6]) { f64::NAN } else { 1.0 }
    };
    let error = tune(&space, 9, &objective, &default, &Watch::default()).unwrap_err();
    let named =
        "the objective is NaN for query 3 at n=min_max w=[0.2, 0.2, 0.6]; it must give a finite number for every point";
    assert_eq!(error.to_string(), named);
    assert!(serde_json::from_str::<Options>(r#"{"fold": 3}"#).is_err());
    let read: Options = serde_json::from_str(r#"{"folds": 3, "prior": {"w": 0.5}}"#).unwrap();
    assert_eq!((read.folds, read.budget, read.prior.unwrap().number("w")), (3, 1000, Some(0.5)));
}

#[test]
fn the_caller_may_stop_and_is_told() {
    let space = small();
    let calls = Mutex::new(0);
    let objective = |_: &Point, _: usize| {
        *calls.lock().unwrap() += 1;
        1.0
    };
    let (told, asked) = (RefCell::new(Vec::new()), Cell::new(0));
    let options = Options { threads: 2, ..Options::default() };
    let watch = Watch { is_stopped: &|| false, progress: &|at| told.borrow_mut().push((at.evaluations, at.limit)) };
    let tuned = tune(&space, 10, &objective, &options, &watch).unwrap();
    assert_eq!(tuned.evaluations, *calls.lock().unwrap());
    assert!(told.borrow().windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert_eq!(told.borrow().last(), Some(&(430, 430)));
    let stop = || {
        asked.set(asked.get() + 1);
        asked.get() > 2
    };
    *calls.lock().unwrap() = 0;
    let stopped = tune(&space, 10, &objective, &options, &Watch { is_stopped: &stop, progress: &|_| () });
    assert!(matches!(stopped, Err(TuneError::Stopped)));
    assert_eq!(*calls.lock().unwrap(), (1 + 8) * 10);
}
