//! What the runs of a query say about it, without judgments: features for a weight that depends on the query.

use std::hash::Hash;

use crate::overlap::overlap;
use crate::run::Run;

/// A feature of a run, from its scores, best first, and the number of them that count as its top.
type OfRun = fn(&[f64], usize) -> f64;

/// The features of one run.
const OF_RUN: [(&str, OfRun); 5] = [("hits", hits), ("gap", gap), ("entropy", entropy), ("nqc", nqc), ("wig", wig)];

/// The features of two runs, from their documents, best first.
const OF_PAIR: [&str; 3] = ["overlap", "rbo", "common"];

/// The names of [`query_features`] for runs of these names: `dense.gap`, …, `dense.lexical.rbo`, ….
pub fn query_feature_names(runs: &[&str]) -> Vec<String> {
    let of_runs = runs.iter().flat_map(|run| OF_RUN.iter().map(move |(feature, _)| format!("{run}.{feature}")));
    let of_pairs = pairs(runs).flat_map(|(a, b)| OF_PAIR.iter().map(move |feature| format!("{a}.{b}.{feature}")));
    of_runs.chain(of_pairs).collect()
}

/// Numbers that say how sure of themselves the runs of a query are and how far they agree, always finite.
///
/// For each run, with `s` its scores and the first `top` of them its top:
/// - `hits`: `ln(1 + hits)`
/// - `gap`: `(s₁ − s₂) / (s₁ − s_top)`: how far the first is ahead; 1 for a single hit
/// - `entropy`: Shannon entropy of the top, min-max scaled and in sum 1, divided by the logarithm of its size: 1 where no
///   hit stands out
/// - `nqc`: deviation of the top over the absolute mean of the run: normalised query commitment (Shtok, Kurland, Carmel,
///   Raiber & Markovits 2012); the mean of the run stands in for the score of the collection, which a run does not have
/// - `wig`: `(mean of the top − mean of the run) / deviation of the run`: weighted information gain (Zhou & Croft 2007),
///   with the same stand-in, and the deviation instead of the length of the query for a scale
///
/// For each pair of runs, in their order:
/// - `overlap`: documents that both have in their top, over the size of the longer top
/// - `rbo`: rank-biased overlap of their tops with p = .9, extrapolated from the depth of the longer top (Webber, Moffat &
///   Zobel 2010): 1 for equal tops
/// - `common`: documents that both have, over those that either has (Jaccard)
///
/// What is not defined (of an empty run, of equal scores) is 0; equal scores have `entropy` 1.
pub fn query_features<Id: Eq + Hash>(runs: &[&Run<Id>], top: usize) -> Vec<f64> {
    let finite = |value: f64| if value.is_finite() { value } else { 0.0 };
    let mut features = Vec::new();
    for run in runs {
        let scores: Vec<f64> = run.hits().iter().map(|hit| hit.score).collect();
        features.extend(OF_RUN.iter().map(|(_, feature)| finite(feature(&scores, top.min(scores.len())))));
    }
    for (a, b) in pairs(runs) {
        features.extend(agreement(a, b, top));
    }
    features
}

fn pairs<T>(items: &[T]) -> impl Iterator<Item = (&T, &T)> {
    items.iter().enumerate().flat_map(|(at, a)| items[at + 1..].iter().map(move |b| (a, b)))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

fn hits(scores: &[f64], _: usize) -> f64 {
    (scores.len() as f64).ln_1p()
}

fn gap(scores: &[f64], top: usize) -> f64 {
    match scores[..top] {
        [] => 0.0,
        [_] => 1.0,
        [first, second, ..] => (first - second) / (first - scores[top - 1]),
    }
}

fn entropy(scores: &[f64], top: usize) -> f64 {
    let (Some(&high), Some(&low)) = (scores.first(), scores[..top].last()) else { return 0.0 };
    if top < 2 {
        return 0.0;
    }
    if high == low {
        return 1.0;
    }
    let sum: f64 = scores[..top].iter().map(|score| score - low).sum();
    let shares = scores[..top].iter().map(|score| (score - low) / sum).filter(|&share| share > 0.0);
    -shares.map(|share| share * share.ln()).sum::<f64>() / (top as f64).ln()
}

fn nqc(scores: &[f64], top: usize) -> f64 {
    deviation(&scores[..top]) / mean(scores).abs()
}

fn wig(scores: &[f64], top: usize) -> f64 {
    (mean(&scores[..top]) - mean(scores)) / deviation(scores)
}

fn agreement<Id: Eq + Hash>(a: &Run<Id>, b: &Run<Id>, top: usize) -> [f64; 3] {
    let longer = a.len().max(b.len());
    if longer == 0 || top == 0 {
        return [0.0; 3];
    }
    let depth = top.min(longer);
    let within = overlap(a.ids(), b.ids(), depth);
    let all = overlap(a.ids(), b.ids(), longer).common;
    [within.common as f64 / depth as f64, within.rbo, all as f64 / (a.len() + b.len() - all) as f64]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn run(ids: &[u64]) -> Run {
        Run::new("r", ids.iter().enumerate().map(|(rank, &id)| (id, -(rank as f64)))).unwrap()
    }

    proptest! {
        #[test]
        fn features_are_finite_and_do_not_depend_on_the_scale(
            scores in prop::collection::vec(-100i16..100, 0..12), top in 0usize..14, scale in 1i32..100,
        ) {
            let of = |factor: f64| {
                let hits = scores.iter().enumerate().map(|(id, &score)| (id as u64, f64::from(score) * factor));
                query_features(&[&Run::new("r", hits).unwrap()], top)
            };
            let (one, scaled) = (of(1.0), of(f64::from(scale)));
            prop_assert!(one.iter().all(|value| value.is_finite()));
            prop_assert!(one.iter().zip(scaled).all(|(a, b)| (a - b).abs() < 1e-6 * (1.0 + a.abs())), "{:?}", one);
        }
    }

    #[test]
    fn features_by_hand() {
        let run = Run::new("a", [(1u64, 4.0f64), (2, 2.0), (3, 0.0), (4, -2.0)]).unwrap();
        let features = query_features(&[&run], 3);
        let of = |name: &str| features[query_feature_names(&["a"]).iter().position(|it| it == name).unwrap()];
        assert_eq!(of("a.hits"), 4f64.ln_1p());
        assert_eq!(of("a.gap"), 0.5);
        let (x, y) = (2.0f64 / 3.0, 1.0f64 / 3.0);
        assert!((of("a.entropy") + (x * x.ln() + y * y.ln()) / 3f64.ln()).abs() < 1e-15);
        assert!((of("a.nqc") - (8.0f64 / 3.0).sqrt()).abs() < 1e-15);
        assert!((of("a.wig") - 1.0 / 5f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn undefined_features_are_zero() {
        let (none, one) = (run(&[]), run(&[1]));
        let flat = Run::new("flat", [(1u64, 2.0), (2, 2.0)]).unwrap();
        assert_eq!(query_features(&[&none], 10), [0.0; 5]);
        assert_eq!(query_features(&[&one], 10), [1f64.ln_1p(), 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(query_features(&[&flat], 10), [2f64.ln_1p(), 0.0, 1.0, 0.0, 0.0]);
        assert_eq!(query_features(&[&none, &none], 10)[10..], [0.0; 3]);
        let names = query_feature_names(&["a", "b", "c"]);
        assert_eq!(names.len(), query_features(&[&one, &flat, &none], 10).len());
        assert_eq!(
            (names[0].as_str(), names[15].as_str(), names[23].as_str()),
            ("a.hits", "a.b.overlap", "b.c.common")
        );
    }
}
