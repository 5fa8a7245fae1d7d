//! Laws of fusion, each beside a naive computation.
#![allow(clippy::unwrap_used, missing_docs)]

use proptest::prelude::*;
use rag_fusion::{Error, FusedHit, Method, Normalization, Run, Weighted, fuse, normalize};

fn run(name: &str, hits: &[(u64, f32)]) -> Run {
    Run::new(name, hits.iter().copied()).unwrap()
}

fn scores(fused: &[FusedHit]) -> Vec<(u64, f32)> {
    fused.iter().map(|hit| (hit.id, hit.score)).collect()
}

#[test]
fn rrf_by_hand() {
    let (a, b) = (run("a", &[(1, 9.0), (2, 8.0)]), run("b", &[(2, 0.3), (3, 0.2)]));
    let fused = fuse(&[Weighted::new(&a, 1.0), Weighted::new(&b, 1.0)], Method::rrf(), 10).unwrap();
    assert_eq!(scores(&fused), [(2, 1.0 / 62.0 + 1.0 / 61.0), (1, 1.0 / 61.0), (3, 1.0 / 62.0)]);
    assert_eq!(fused[0].contributions[0].rank, Some(2));
    assert_eq!(fused[2].contributions[0].rank, None);
}

#[test]
fn convex_by_hand() {
    let (a, b) = (run("a", &[(1, 9.0), (2, 8.0), (3, 7.0)]), run("b", &[(2, 0.4)]));
    let fused = fuse(&[Weighted::new(&a, 0.8), Weighted::new(&b, 0.2)], Method::default(), 2).unwrap();
    assert_eq!(scores(&fused), [(1, 0.8), (2, 0.8 * 0.5 + 0.2)]);
}

#[test]
fn ties_break_by_run_then_id() {
    let (a, b) = (run("a", &[(9, 1.0)]), run("b", &[(1, 1.0)]));
    let fused = fuse(&[Weighted::new(&a, 1.0), Weighted::new(&b, 1.0)], Method::rrf(), 10).unwrap();
    assert_eq!(fused.iter().map(|hit| hit.id).collect::<Vec<_>>(), [9, 1]);
}

#[test]
fn equal_scores_have_a_defined_scale() {
    let flat = run("flat", &[(1, 5.0), (2, 5.0)]);
    assert_eq!(normalize(&flat, Normalization::None), [5.0, 5.0]);
    assert_eq!(normalize(&flat, Normalization::MinMax), [1.0, 1.0]);
    assert_eq!(normalize(&flat, Normalization::ZScore), [0.0, 0.0]);
    assert_eq!(normalize(&flat, Normalization::Dbsf), [0.5, 0.5]);
    assert!(normalize(&run("none", &[]), Normalization::MinMax).is_empty());
}

#[test]
fn wrong_input_is_named() {
    assert!(matches!(Run::new("a", [(1u64, f32::NAN)]), Err(Error::NotFinite { position: 0, .. })));
    assert!(matches!(Run::new("a", [(1u64, 1.0), (1, 2.0)]), Err(Error::Duplicate { position: 1, .. })));
    let a = run("a", &[(1, 1.0)]);
    assert!(matches!(fuse(&[Weighted::new(&a, -1.0)], Method::rrf(), 1), Err(Error::Weight { .. })));
    assert_eq!(fuse(&[Weighted::new(&a, 0.0)], Method::rrf(), 1), Err(Error::NoWeight));
    assert!(matches!(fuse(&[Weighted::new(&a, 1.0)], Method::Rrf { k: -1.0 }, 1), Err(Error::RrfK(_))));
    assert!(fuse::<u64>(&[], Method::rrf(), 1).unwrap().is_empty());
}

#[test]
fn a_run_without_weight_brings_no_document_and_breaks_no_tie() {
    let (ignored, counted) = (run("ignored", &[(7, 9.0), (3, 8.0)]), run("counted", &[(1, 2.0), (2, 1.0), (3, 1.0)]));
    let runs = [Weighted::new(&ignored, 0.0), Weighted::new(&counted, 1.0)];
    let fused = fuse(&runs, Method::default(), 10).unwrap();
    assert_eq!(fused.iter().map(|hit| hit.id).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(fused[2].contributions[0].rank, Some(2), "it is still explained");
}

fn any_run() -> impl Strategy<Value = Vec<(u64, f32)>> {
    prop::collection::btree_map(0u64..40, -1e3f32..1e3, 0..30).prop_map(|hits| hits.into_iter().collect())
}

fn any_method() -> impl Strategy<Value = Method> {
    prop_oneof![
        (0f32..100.0).prop_map(|k| Method::Rrf { k }),
        Just(Method::Convex(Normalization::None)),
        Just(Method::Convex(Normalization::MinMax)),
        Just(Method::Convex(Normalization::ZScore)),
        Just(Method::Convex(Normalization::Dbsf)),
    ]
}

proptest! {
    #[test]
    fn order_of_the_input_does_not_matter(hits in any_run(), method in any_method()) {
        let forward = Run::new("a", hits.clone()).unwrap();
        let backward = Run::new("a", hits.into_iter().rev()).unwrap();
        let other = run("b", &[(1, 1.0), (2, 0.5)]);
        let fused = |a: &Run| fuse(&[Weighted::new(a, 0.7), Weighted::new(&other, 0.3)], method, 50).unwrap();
        prop_assert_eq!(fused(&forward), fused(&backward));
    }

    #[test]
    fn every_document_appears_once_with_the_sum_of_its_parts(a in any_run(), b in any_run(), method in any_method()) {
        let (a, b) = (Run::new("a", a).unwrap(), Run::new("b", b).unwrap());
        let fused = fuse(&[Weighted::new(&a, 0.4), Weighted::new(&b, 0.6)], method, usize::MAX).unwrap();
        let mut expected: Vec<u64> = a.hits().iter().chain(b.hits()).map(|hit| hit.id).collect();
        expected.sort_unstable();
        expected.dedup();
        let mut found: Vec<u64> = fused.iter().map(|hit| hit.id).collect();
        found.sort_unstable();
        prop_assert_eq!(found, expected);
        for hit in &fused {
            prop_assert!(hit.score.is_finite());
            let sum: f64 = hit.contributions.iter().map(|part| f64::from(part.value)).sum();
            prop_assert_eq!(hit.score, sum as f32);
        }
        prop_assert!(fused.windows(2).all(|pair| pair[0].score >= pair[1].score));
    }

    #[test]
    fn one_run_alone_keeps_its_order(hits in any_run(), method in any_method()) {
        let alone = Run::new("a", hits).unwrap();
        let fused = fuse(&[Weighted::new(&alone, 1.0)], method, usize::MAX).unwrap();
        let in_order = fused.windows(2).all(|pair| {
            let rank = |hit: &FusedHit| hit.contributions[0].rank.unwrap();
            rank(&pair[0]) < rank(&pair[1]) || pair[0].score == pair[1].score
        });
        prop_assert!(in_order);
    }

    #[test]
    fn scaling_the_scores_of_a_run_changes_no_min_max_fusion(hits in any_run(), factor in 0.5f32..4.0) {
        let (a, scaled) = (
            Run::new("a", hits.clone()).unwrap(),
            Run::new("a", hits.into_iter().map(|(id, score)| (id, score * factor))).unwrap(),
        );
        for (x, y) in normalize(&a, Normalization::MinMax).iter().zip(normalize(&scaled, Normalization::MinMax)) {
            prop_assert!((x - y).abs() < 1e-3);
        }
    }
}
