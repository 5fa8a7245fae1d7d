//! Diversification beside its definition.
#![allow(clippy::unwrap_used, missing_docs)]

use std::cell::Cell;

use proptest::prelude::*;
use rag_fusion::diversify::{DiversifyError, Mmr, Nearest, Picked, Relevance, collapse};

const NEVER: &dyn Fn() -> bool = &|| false;

fn positions(picked: &[Picked]) -> Vec<usize> {
    picked.iter().map(|picked| picked.position).collect()
}

/// Every maximum anew over all that was picked.
fn naive(relevance: &[f64], similarity: &[Vec<f64>], lambda: f64, k: usize) -> Vec<Picked> {
    let mut left: Vec<usize> = (0..relevance.len()).collect();
    left.sort_by(|&a, &b| relevance[b].partial_cmp(&relevance[a]).unwrap());
    let mut picked: Vec<Picked> = Vec::new();
    while picked.len() < k && !left.is_empty() {
        let value = |at: usize| {
            let similar = picked.iter().map(|other| similarity[at][other.position]).reduce(f64::max).unwrap_or(0.0);
            lambda * relevance[at] - (1.0 - lambda) * similar
        };
        let highest = left.iter().map(|&at| value(at)).reduce(f64::max).unwrap();
        let best = *left.iter().find(|&&at| value(at) == highest).unwrap();
        let similar = picked.iter().map(|other| similarity[best][other.position]).reduce(f64::max);
        let nearest = similar.map(|similarity_| Nearest {
            position: picked.iter().find(|other| similarity[best][other.position] == similarity_).unwrap().position,
            similarity: similarity_,
        });
        left.retain(|&at| at != best);
        picked.push(Picked { position: best, value: Some(highest), nearest });
    }
    picked
}

fn lists() -> impl Strategy<Value = (Vec<f64>, Vec<Vec<f64>>)> {
    (0usize..12).prop_flat_map(|n| {
        let relevance = prop::collection::vec((-4i8..5).prop_map(|it| f64::from(it) / 4.0), n);
        let row = prop::collection::vec((-4i8..5).prop_map(|it| f64::from(it) / 4.0), n);
        (relevance, prop::collection::vec(row, n))
    })
}

proptest! {
    #[test]
    fn mmr_is_that_of_the_definition((relevance, similarity) in lists(), lambda in 0u8..5, k in 0usize..14) {
        let lambda = f64::from(lambda) / 4.0;
        let given = Mmr { lambda, relevance: Relevance::AsGiven };
        let answer = given.pick(&relevance, |a, b| similarity[a][b], k, NEVER).unwrap();
        prop_assert!(!answer.stopped);
        prop_assert_eq!(answer.picked, naive(&relevance, &similarity, lambda, k));
    }

    #[test]
    fn relevance_alone_is_the_order_by_relevance((relevance, similarity) in lists(), k in 0usize..14) {
        let mut order: Vec<usize> = (0..relevance.len()).collect();
        order.sort_by(|&a, &b| relevance[b].partial_cmp(&relevance[a]).unwrap());
        order.truncate(k);
        let picked = Mmr::new(1.0).pick(&relevance, |a, b| similarity[a][b], k, NEVER).unwrap().picked;
        prop_assert_eq!(positions(&picked), order);
    }

    #[test]
    fn the_scale_of_the_relevance_is_the_lists_own((relevance, similarity) in lists(), lambda in 0.0..1.0f64) {
        // Powers of 2 and sums of quarters: no rounding.
        let other: Vec<f64> = relevance.iter().map(|value| value * 8.0 + 3.0).collect();
        let pick = |relevance: &[f64]| Mmr::new(lambda).pick(relevance, |a, b| similarity[a][b], 20, NEVER).unwrap();
        prop_assert_eq!(pick(&relevance), pick(&other));
    }

    #[test]
    fn a_stop_keeps_what_was_picked((relevance, similarity) in lists(), k in 0usize..14, after in 0usize..12) {
        let asked = Cell::new(0);
        let stop = || {
            asked.set(asked.get() + 1);
            asked.get() > after
        };
        let whole = Mmr::new(0.5).pick(&relevance, |a, b| similarity[a][b], k, NEVER).unwrap().picked;
        let answer = Mmr::new(0.5).pick(&relevance, |a, b| similarity[a][b], k, &stop).unwrap();
        prop_assert_eq!(answer.stopped, whole.len() > after + 1);
        prop_assert_eq!(answer.picked.len(), whole.len());
        let kept = whole.len().min(after + 1);
        prop_assert_eq!(&answer.picked[..kept], &whole[..kept]);
        let rest = &answer.picked[kept..];
        prop_assert!(rest.iter().all(|it| it.value.is_none() && it.nearest.is_none()));
        prop_assert!(rest.windows(2).all(|pair| relevance[pair[0].position] >= relevance[pair[1].position]));
        let mut all = positions(&answer.picked);
        all.sort_unstable();
        all.dedup();
        prop_assert_eq!(all.len(), whole.len());
    }

    #[test]
    fn collapse_is_that_of_the_definition(keys in prop::collection::vec(prop::option::of(0u8..4), 0..20), keep in 1usize..4) {
        let answer = collapse(keys.iter().copied(), keep).unwrap();
        let earlier = |at: usize| keys[..at].iter().filter(|key| **key == keys[at]).count();
        let kept: Vec<usize> = (0..keys.len()).filter(|&at| keys[at].is_none() || earlier(at) < keep).collect();
        prop_assert_eq!(&answer.kept, &kept);
        prop_assert!(answer.groups.windows(2).all(|pair| pair[0].kept[0] < pair[1].kept[0]));
        for group in &answer.groups {
            let members: Vec<usize> = (0..keys.len()).filter(|&at| keys[at] == Some(group.key)).collect();
            prop_assert_eq!(group.kept.len() + group.hidden, members.len());
            prop_assert_eq!(&group.kept[..], &members[..keep.min(members.len())]);
        }
        let hidden: usize = answer.groups.iter().map(|group| group.hidden).sum();
        prop_assert_eq!(kept.len() + hidden, keys.len());
    }
}

#[test]
fn similarity_is_asked_once_for_each_pair() {
    let calls = Cell::new(0);
    let similarity = |a: usize, b: usize| {
        calls.set(calls.get() + 1);
        assert_ne!(a, b);
        0.0
    };
    Mmr::new(0.5).pick(&[1.0; 10], similarity, 4, NEVER).unwrap();
    assert_eq!(calls.get(), 9 + 8 + 7);
}

#[test]
fn extremes_have_a_result() {
    let pick = |relevance: &[f64]| positions(&Mmr::new(0.5).pick(relevance, |_, _| 1.0, 9, NEVER).unwrap().picked);
    assert_eq!(pick(&[]), [0usize; 0]);
    assert_eq!(pick(&[7.0]), [0]);
    assert_eq!(pick(&[2.0, 2.0, 2.0]), [0, 1, 2]);
    assert_eq!(pick(&[f64::MIN, f64::MAX, 0.0]), [1, 2, 0]);
    assert_eq!(collapse::<u8>([], 1).unwrap().kept, [0usize; 0]);
    assert_eq!(collapse([Some(1), Some(1)], usize::MAX).unwrap().kept, [0, 1]);
}

#[test]
fn wrong_input_is_named() {
    let pick = |lambda: f64, relevance: &[f64], similarity: f64| {
        Mmr::new(lambda).pick(relevance, |_, _| similarity, 9, NEVER).unwrap_err()
    };
    for lambda in [-0.1, 1.1, f64::NAN] {
        assert!(matches!(pick(lambda, &[1.0], 0.0), DiversifyError::Lambda(_)));
    }
    assert!(matches!(pick(0.5, &[1.0, f64::INFINITY], 0.0), DiversifyError::Relevance { position: 1, .. }));
    let error = pick(0.5, &[2.0, 1.0], f64::NAN).to_string();
    assert_eq!(error, "the similarity of positions 1 and 0 is NaN; give finite numbers, such as a cosine");
    assert_eq!(collapse([Some(1)], 0), Err(DiversifyError::KeepNothing));
    assert_eq!(serde_json::from_str::<Mmr>(r#"{"lambda": 0.7}"#).unwrap(), Mmr::new(0.7));
    assert!(serde_json::from_str::<Mmr>(r#"{"lambda": 0.7, "k": 3}"#).is_err());
}
