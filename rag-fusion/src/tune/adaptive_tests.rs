#![allow(clippy::unwrap_used)]

use std::error::Error;

use proptest::prelude::*;

use super::adaptive::margin;
use super::*;

type Model = Box<dyn Fn(&[f64]) -> f64>;

/// Ridge regression by elimination: the simplest learner to which the rows speak.
#[allow(clippy::unnecessary_wraps)] // a learner may fail
fn ridge(rows: &[Vec<f64>], targets: &[f64]) -> std::result::Result<Model, Box<dyn Error + Send + Sync>> {
    let n = rows[0].len();
    let mut system = vec![vec![0.0; n + 1]; n];
    for i in 0..n {
        for j in 0..n {
            system[i][j] = rows.iter().map(|row| row[i] * row[j]).sum::<f64>() + if i == j { 0.01 } else { 0.0 };
        }
        system[i][n] = rows.iter().zip(targets).map(|(row, target)| row[i] * target).sum();
    }
    for pivot in 0..n {
        for other in (0..n).filter(|&other| other != pivot) {
            let factor = system[other][pivot] / system[pivot][pivot];
            let base = system[pivot].clone();
            system[other].iter_mut().zip(base).for_each(|(cell, base)| *cell -= factor * base);
        }
    }
    let weights: Vec<f64> = (0..n).map(|i| system[i][n] / system[i][i]).collect();
    Ok(Box::new(move |row| row.iter().zip(&weights).map(|(a, b)| a * b).sum()))
}

fn uniform(random: &mut SplitMix64) -> f64 {
    random.below(1 << 20) as f64 / f64::from(1 << 20)
}

/// Each query is best at a weight; with `signal` one of its two features tells which.
fn simulate(queries: usize, signal: f64, seed: u64) -> (Vec<f64>, Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let weights: Vec<f64> = (0..=10).map(|at| f64::from(at) / 10.0).collect();
    let mut random = SplitMix64::new(seed);
    let (mut values, mut features) = (Vec::new(), Vec::new());
    for _ in 0..queries {
        let (x, noise) = (uniform(&mut random), uniform(&mut random));
        let best = signal * x + (1.0 - signal) * uniform(&mut random);
        values.push(weights.iter().map(|w| 0.8 - (w - best).powi(2) + 0.05 * uniform(&mut random)).collect());
        features.push(vec![x, noise]);
    }
    (weights, values, features)
}

fn gain(queries: usize, signal: f64, seed: u64) -> (f64, usize) {
    let (weights, values, features) = simulate(queries, signal, seed);
    let curves = Curves { weights: &weights, values: &values, features: &features };
    let fitted = fit_adaptive(&curves, ridge, &AdaptiveOptions::default(), &|| false).unwrap();
    let gains: Vec<f64> = fitted.held_out.iter().map(|query| query.value - query.global_value).collect();
    let left = fitted.held_out.iter().filter(|query| query.chosen.weight != query.global).count();
    (gains.iter().sum::<f64>() / queries as f64, left)
}

#[test]
fn features_that_tell_the_weight_gain_and_others_do_no_harm() {
    let with: Vec<(f64, usize)> = (0..10).map(|seed| gain(100, 0.9, seed)).collect();
    // The best that can be had is near the variance of the best weight, .07.
    assert!(with.iter().all(|&(gain, left)| gain > 0.04 && left > 50), "{with:?}");
    let without: Vec<(f64, usize)> = (0..10).map(|seed| gain(100, 0.0, seed)).collect();
    let mean = without.iter().map(|(gain, _)| gain).sum::<f64>() / 10.0;
    assert!(mean > -0.003, "{without:?}");
    let few: Vec<(f64, usize)> = (0..20).map(|seed| gain(12, 0.0, seed)).collect();
    let mean = few.iter().map(|(gain, _)| gain).sum::<f64>() / 20.0;
    assert!(mean > -0.02, "{few:?}");
}

#[test]
fn models_have_not_seen_the_query_they_choose_for() {
    // A model that knows by heart: the first feature names the query. It promises gains only for queries it has seen.
    let (weights, values, mut features) = simulate(20, 0.0, 3);
    features.iter_mut().enumerate().for_each(|(query, row)| row[0] = query as f64);
    let by_heart = |rows: &[Vec<f64>], targets: &[f64]| {
        let seen: Vec<(Vec<f64>, f64)> = rows.iter().cloned().zip(targets.iter().copied()).collect();
        Ok(move |row: &[f64]| seen.iter().find(|(other, _)| other == row).map_or(0.0, |(_, target)| *target))
    };
    let curves = Curves { weights: &weights, values: &values, features: &features };
    let fitted = fit_adaptive(&curves, by_heart, &AdaptiveOptions::default(), &|| false).unwrap();
    assert_eq!(fitted.rule.margin, None);
    assert!(
        fitted.held_out.iter().all(|query| query.chosen.predicted_gain == 0.0 && query.chosen.weight == query.global)
    );
    let seen = fitted.rule.choose(&features[0], &fitted.model);
    assert!(seen.weight == fitted.rule.global && seen.predicted_gain > 0.0);
}

fn naive_margin(gains: &[(f64, f64)]) -> Option<f64> {
    let mut margins: Vec<f64> = gains.iter().map(|gain| gain.0).filter(|&gain| gain > 0.0).collect();
    margins.sort_by(|a, b| b.total_cmp(a));
    let mut best = None;
    for margin in margins {
        let kept: Vec<f64> = gains.iter().map(|gain| if gain.0 >= margin { gain.1 } else { 0.0 }).collect();
        let n = kept.len() as f64;
        let mean = kept.iter().sum::<f64>() / n;
        let variance = kept.iter().map(|gain| (gain - mean).powi(2)).sum::<f64>() / (n - 1.0);
        if n > 1.0 && mean > (variance / n).sqrt() + 1e-9 && best.is_none_or(|(highest, _)| mean > highest + 1e-12) {
            best = Some((mean, margin));
        }
    }
    best.map(|(_, margin)| margin)
}

proptest! {
    #[test]
    fn margin_is_that_of_the_definition(gains in prop::collection::vec((-2i8..6, -3i8..5), 0..12)) {
        let gains: Vec<(f64, f64)> = gains.into_iter().map(|(a, b)| (f64::from(a), f64::from(b))).collect();
        prop_assert_eq!(margin(gains.clone()), naive_margin(&gains));
    }
}

#[test]
fn one_query_is_no_evidence() {
    for others in 1..50 {
        let mut gains = vec![(0.0, 0.0); others];
        gains.push((1.0, 3.0));
        assert_eq!(margin(gains.clone()), None, "{others}");
        gains.push((1.0, 3.0));
        assert_eq!(margin(gains), Some(1.0), "{others}");
    }
}

#[test]
fn a_query_leaves_for_the_margin_alone() {
    let rule = Adaptive { weights: vec![0.0, 0.5, 1.0], global: 0.5, margin: Some(0.2) };
    let gain = |slope: f64| rule.choose(&[1.0], |row| slope * row[0]);
    assert_eq!(gain(0.4), Chosen { weight: 1.0, predicted_gain: 0.2 });
    assert_eq!(gain(0.38), Chosen { weight: 0.5, predicted_gain: 0.19 });
    assert_eq!(gain(-1.0).weight, 0.0);
    // Of two equal promises the lower weight; none where the model is no number.
    assert_eq!(rule.choose(&[1.0], |row| row[1]).weight, 0.0);
    assert_eq!(rule.choose(&[1.0], |_| f64::NAN), Chosen { weight: 0.5, predicted_gain: 0.0 });
    assert_eq!(row(&[3.0, 4.0], 1.0, 0.5), [0.5, 0.25, 3.0, 4.0, 1.5, 2.0]);
    let text = serde_json::to_string(&rule).unwrap();
    assert_eq!(text, r#"{"weights":[0.0,0.5,1.0],"global":0.5,"margin":0.2}"#);
    assert_eq!(serde_json::from_str::<Adaptive>(&text).unwrap(), rule);
}

#[test]
fn wrong_tables_are_named() {
    let (weights, values, features) = simulate(10, 0.5, 0);
    let run = |weights: &[f64], values: &[Vec<f64>], features: &[Vec<f64>]| {
        let curves = Curves { weights, values, features };
        fit_adaptive(&curves, ridge, &AdaptiveOptions::default(), &|| false).map(|_| ()).unwrap_err()
    };
    assert!(matches!(run(&[0.5], &values, &features), TuneError::Setting { name: "weights", .. }));
    assert!(matches!(run(&[0.5, 0.5], &values, &features), TuneError::Setting { name: "weights", .. }));
    assert!(matches!(run(&weights, &values, &features[1..]), TuneError::Shape { field: "features", query: 9, .. }));
    assert!(matches!(run(&weights[1..], &values, &features), TuneError::Shape { field: "values", query: 0, .. }));
    let mut wrong = features.clone();
    wrong[3][1] = f64::NAN;
    assert!(matches!(run(&weights, &values, &wrong), TuneError::Cell { field: "features", query: 3, position: 1, .. }));
    assert!(matches!(run(&weights, &values[..3], &features[..3]), TuneError::TooFewQueries { queries: 3, folds: 5 }));
    let curves = Curves { weights: &weights, values: &values, features: &features };
    let options = AdaptiveOptions { prior: f64::NAN, ..AdaptiveOptions::default() };
    assert!(matches!(fit_adaptive(&curves, ridge, &options, &|| false), Err(TuneError::Setting { name: "prior", .. })));
    let options = AdaptiveOptions::default();
    assert!(matches!(fit_adaptive(&curves, ridge, &options, &|| true), Err(TuneError::Stopped)));
    let broken = |_: &[Vec<f64>], _: &[f64]| Err::<Model, _>("no".into());
    assert!(matches!(fit_adaptive(&curves, broken, &options, &|| false), Err(TuneError::Model(_))));
}
