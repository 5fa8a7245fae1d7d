//! Laws of fusion, each beside a naive computation.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)]

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rag_fusion::learned::{Judged, bayes_fuse, map_fuse, pos_fuse, prob_fuse, seg_fuse, slide_fuse};
use rag_fusion::{Calibration, Error, Fused, Method, Normalization, Parameters, Run, Weighted, fuse, normalize};

fn run(name: &str, hits: &[(u64, f64)]) -> Run {
    Run::new(name, hits.iter().copied()).unwrap()
}

fn fused(runs: &[(&Run, f64)], method: &Method, normalization: &Normalization) -> Fused {
    let weighted: Vec<Weighted<'_>> = runs.iter().map(|(run, weight)| Weighted::new(run, *weight)).collect();
    fuse(&weighted, method, normalization, usize::MAX).unwrap()
}

fn scores(fused: &Fused) -> Vec<(u64, f64)> {
    fused.hits().iter().map(|hit| (hit.id, hit.score)).collect()
}

#[test]
fn rrf_by_hand() {
    let (a, b) = (run("a", &[(1, 9.0), (2, 8.0)]), run("b", &[(2, 0.3), (3, 0.2)]));
    let fused = fused(&[(&a, 1.0), (&b, 1.0)], &Method::rrf(), &Normalization::None);
    assert_eq!(scores(&fused), [(2, 1.0 / 62.0 + 1.0 / 61.0), (1, 1.0 / 61.0), (3, 1.0 / 62.0)]);
    let ranks = |at: usize| fused.contributions(&fused.hits()[at]).map(|part| part.rank).collect::<Vec<_>>();
    assert_eq!([ranks(0), ranks(1), ranks(2)], [[Some(2), Some(1)], [Some(1), None], [None, Some(2)]]);
    assert_eq!(fused.hits().iter().map(|hit| fused.first_run(hit)).collect::<Vec<_>>(), [0, 0, 1]);
}

#[test]
fn a_weighted_sum_by_hand() {
    let (a, b) = (run("a", &[(1, 9.0), (2, 8.0), (3, 7.0)]), run("b", &[(2, 0.4)]));
    let fused = fused(&[(&a, 0.8), (&b, 0.2)], &Method::Sum, &Normalization::MinMax);
    assert_eq!(scores(&fused)[..2], [(1, 0.8), (2, 0.8 * 0.5 + 0.2)]);
    let part = fused.contributions(&fused.hits()[1]).next().unwrap();
    assert_eq!((part.rank, part.score, part.normalized, part.weight, part.value), (Some(2), 8.0, 0.5, 0.8, 0.4));
}

#[test]
fn condorcet_by_hand() {
    let runs = [run("a", &[(1, 3.0), (2, 2.0), (3, 1.0)]), run("b", &[(2, 3.0), (3, 2.0)]), run("c", &[(3, 9.0)])];
    let of = |weights: [f64; 3]| {
        let runs: Vec<(&Run, f64)> = runs.iter().zip(weights).collect();
        scores(&fused(&runs, &Method::Condorcet, &Normalization::None))
    };
    // 3 beats 1 by two to one; 2 beats 1 in b and loses in a; 2 beats 3 by two to one.
    assert_eq!(of([1.0, 1.0, 1.0]), [(2, 2.5), (3, 2.0), (1, 1.5)]);
    assert_eq!(of([3.0, 1.0, 1.0]), [(1, 3.0), (2, 2.0), (3, 1.0)]);
}

#[test]
fn ties_break_by_run_then_id() {
    let (a, b) = (run("a", &[(9, 1.0)]), run("b", &[(1, 1.0), (0, 0.5)]));
    let fused = fused(&[(&a, 1.0), (&b, 1.0)], &Method::Max, &Normalization::Rank);
    assert_eq!(scores(&fused), [(9, 1.0), (1, 1.0), (0, 0.5)]);
    // The same three ranks in another order: equal, though sums of floats would not all be.
    let runs = [[1u64, 2, 3], [2, 3, 1], [3, 1, 2]];
    let runs: Vec<Run> = runs.iter().map(|ids| run("r", &[(ids[0], 3.0), (ids[1], 2.0), (ids[2], 1.0)])).collect();
    let weighted: Vec<(&Run, f64)> = runs.iter().map(|run| (run, 0.1)).collect();
    let fused = self::fused(&weighted, &Method::Rrf { k: 0.7 }, &Normalization::None);
    assert_eq!(fused.hits().iter().map(|hit| hit.id).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(fused.hits().iter().all(|hit| hit.score == fused.hits()[0].score));
}

#[test]
fn runs_without_a_scale_have_a_stated_one() {
    let flat = run("flat", &[(1, 5.0), (2, 5.0)]);
    let stated = [
        ("none", 5.0, 5.0),
        ("min_max", 1.0, 1.0),
        ("max", 1.0, 1.0),
        ("sum", 0.5, 0.5),
        ("z_score", 0.0, 0.0),
        ("rank", 1.0, 0.5),
        ("borda", 1.0, 0.5),
        ("dbsf", 0.5, 0.5),
        ("l2", 0.5f64.sqrt(), 0.5f64.sqrt()),
        ("sigmoid", 0.5, 0.5),
    ];
    assert_eq!(stated.map(|(name, ..)| name), Normalization::NAMES);
    for (name, first, second) in stated {
        let normalization = Normalization::from_name(name).unwrap();
        let found = normalize(&flat, &normalization);
        assert!((found[0] - first).abs() < 1e-15 && (found[1] - second).abs() < 1e-15, "{name}: {found:?}");
        assert!(normalize(&run("none", &[]), &normalization).is_empty());
    }
}

#[test]
fn infinite_scores_rank_outside_and_count_as_the_ends() {
    let (most, least) = (f64::INFINITY, f64::NEG_INFINITY);
    let infinite = run("a", &[(1, 2.0), (2, most), (3, least), (4, 1.0)]);
    assert_eq!(infinite.hits().iter().map(|hit| hit.id).collect::<Vec<_>>(), [2, 1, 4, 3]);
    assert_eq!(normalize(&infinite, &Normalization::None), [2.0, 2.0, 1.0, 1.0]);
    assert_eq!(normalize(&run("a", &[(1, most), (2, least)]), &Normalization::None), [1.0, 0.0]);
    let huge = run("huge", &[(1, f64::MAX), (2, 0.0), (3, f64::MIN)]);
    assert_eq!(normalize(&huge, &Normalization::MinMax), [1.0, 0.5, 0.0]);
    let tiny = run("tiny", &[(1, f64::MIN_POSITIVE), (2, 0.0)]);
    assert_eq!(normalize(&tiny, &Normalization::ZScore), [1.0, -1.0]);
    let twice = fused(&[(&huge, 1e300), (&huge, 1.0)], &Method::Mnz, &Normalization::None);
    assert_eq!(scores(&twice), [(1, f64::MAX), (2, 0.0), (3, f64::MIN)]);
}

#[test]
fn wrong_input_is_named() {
    assert!(matches!(Run::new("a", [(1u64, f64::NAN)]), Err(Error::NotANumber { position: 0, .. })));
    assert!(matches!(Run::new("a", [(1u64, 1.0), (1, 2.0)]), Err(Error::Duplicate { position: 1, .. })));
    assert!(matches!(Run::ranked("a", [(1u64, 1.0), (2, 2.0)]), Err(Error::Order { position: 1, .. })));
    assert_eq!(Run::ranked("a", [(2u64, 1.0), (1, 1.0)]).unwrap().hits()[0].id, 2);
    let a = run("a", &[(1, 1.0)]);
    let error = |weights: &[f64], method: &Method, normalization: &Normalization| {
        let runs: Vec<Weighted<'_>> = weights.iter().map(|&weight| Weighted::new(&a, weight)).collect();
        fuse(&runs, method, normalization, 1).unwrap_err().to_string()
    };
    let none = Normalization::None;
    assert!(error(&[-1.0], &Method::rrf(), &none).contains("weight of run `a` is -1"));
    assert!(error(&[0.0], &Method::rrf(), &none).contains("all weights are 0"));
    assert!(error(&[1.0], &Method::Rrf { k: -1.0 }, &none).contains("`k` of rrf"));
    assert!(error(&[1.0], &Method::Rbc { phi: 1.0 }, &none).contains("`phi` of rbc"));
    assert!(error(&[1.0], &Method::MapFuse { map_scores: vec![0.1, 0.2] }, &none).contains("learnt for 2 runs"));
    assert!(error(&[1.0], &Method::Sum, &Normalization::Calibrated(vec![])).contains("learnt for 0 runs"));
    assert!(error(&[1.0], &Method::PosFuse { probs: vec![vec![f64::NAN]] }, &none).contains("`probs` of pos_fuse"));
    assert!(fuse::<u64>(&[], &Method::rrf(), &none, 1).unwrap().hits().is_empty());
    for name in Method::NAMES {
        let parameters = Parameters {
            gamma: (name == "gmnz").then_some(0.5),
            phi: (name == "rbc").then_some(0.5),
            ..Parameters::default()
        };
        assert_eq!(Method::from_name(name, parameters).unwrap().name(), name);
    }
    let wrong = |name, given| Method::from_name(name, given).unwrap_err().to_string();
    assert!(wrong("median", Parameters::default()).contains("`method` is \"median\"; give one of rrf, "));
    assert!(wrong("gmnz", Parameters::default()).contains("`gamma` is missing"));
    assert!(wrong("isr", Parameters { k: Some(1.0), ..Parameters::default() }).contains("`k` is no parameter of isr"));
    assert!(wrong("rrf", Parameters { k: Some(f64::NAN), ..Parameters::default() }).contains("`k` of rrf"));
}

#[test]
fn a_run_without_weight_brings_no_document_and_breaks_no_tie() {
    let (ignored, counted) = (run("ignored", &[(7, 9.0), (3, 8.0)]), run("counted", &[(1, 2.0), (2, 1.0), (3, 1.0)]));
    for method in methods(2) {
        let fused = fused(&[(&ignored, 0.0), (&counted, 1.0)], &method, &Normalization::MinMax);
        let mut ids: Vec<u64> = fused.hits().iter().map(|hit| hit.id).collect();
        ids.sort_unstable();
        assert_eq!(ids, [1, 2, 3], "{method:?}");
        let third = fused.hits().iter().find(|hit| hit.id == 3).unwrap();
        assert_eq!(fused.contributions(third).next().unwrap().rank, Some(2), "it is still explained");
    }
}

#[test]
fn methods_survive_json() {
    for method in methods(3) {
        let text = serde_json::to_string(&method).unwrap();
        assert_eq!(serde_json::from_str::<Method>(&text).unwrap(), method, "{text}");
    }
}

#[test]
fn calibrations_rise_and_find_the_truth() {
    let judged: Vec<(f64, bool)> = (0..400).map(|at| (f64::from(at) * 1e3, (at * 7919) % 400 < at)).collect();
    for calibration in [Calibration::platt(&judged).unwrap(), Calibration::isotonic(&judged).unwrap()] {
        let found: Vec<f64> = (0..400).map(|at| calibration.probability(f64::from(at) * 1e3)).collect();
        assert!(found.windows(2).all(|pair| pair[0] <= pair[1] + 1e-12));
        assert!(found.iter().all(|p| (0.0..=1.0).contains(p)));
        for at in [60, 200, 340] {
            assert!((found[at] - at as f64 / 400.0).abs() < 0.12, "{calibration:?} at {at}: {}", found[at]);
        }
    }
    // What scikit-learn 1.7 gives: IsotonicRegression on these, at the training points.
    let steps = Calibration::isotonic(&[(1.0, false), (2.0, true), (3.0, false), (4.0, true)]).unwrap();
    assert_eq!([1.0, 2.5, 4.0, 9.0, 0.0].map(|score| steps.probability(score)), [0.0, 0.5, 1.0, 1.0, 0.0]);
    assert!(Calibration::platt(&[(1.0, true)]).is_err() && Calibration::isotonic(&[(f64::NAN, true)]).is_err());
    // Perfectly separable: the targets keep it finite.
    let Calibration::Platt { a, b } = Calibration::platt(&[(-1.0, false), (1.0, true)]).unwrap() else { panic!() };
    assert!(a < 0.0 && a.is_finite() && b.abs() < 1e-6, "{a} {b}");
}

/// Every method, with something learnt for so many runs.
fn methods(runs: usize) -> Vec<Method> {
    let answer = |run: usize, query: usize| Judged {
        hits: (0..20).map(|rank| (rank * 7 + query * 3 + run).is_multiple_of(5) && rank != 19).collect(),
        relevant: 9,
    };
    let judged: Vec<Vec<Judged>> = (0..runs).map(|run| (0..4).map(|query| answer(run, query)).collect()).collect();
    let plain = Method::NAMES.iter().map(|name| {
        let gamma = (*name == "gmnz").then_some(0.3);
        let phi = (*name == "rbc").then_some(0.8);
        Method::from_name(name, Parameters { gamma, phi, ..Parameters::default() }).unwrap()
    });
    let learned = [
        bayes_fuse(&judged),
        map_fuse(&judged),
        pos_fuse(&judged),
        prob_fuse(&judged, 4),
        seg_fuse(&judged),
        slide_fuse(&judged, 2),
    ];
    plain.chain(learned.into_iter().map(Result::unwrap)).collect()
}

fn normalizations() -> Vec<Normalization> {
    Normalization::NAMES.iter().map(|name| Normalization::from_name(name).unwrap()).collect()
}

/// Number of the run, rank there (0: not there, but it gives something), normalised score and weight.
type Found = (usize, usize, f64, f64);

/// The score of a document as the formulas have it, written down once more.
fn by_formula(method: &Method, found: &[Found], lengths: &[usize], all: usize) -> f64 {
    let there: Vec<&Found> = found.iter().collect();
    let m = there.len() as f64;
    let sum = |of: &dyn Fn(&Found) -> f64| there.iter().map(|hit| of(hit)).sum::<f64>();
    let ranked: Vec<_> = found.iter().filter(|hit| hit.1 > 0).collect();
    let of_ranks = |of: &dyn Fn(&Found) -> f64| ranked.iter().map(|hit| of(hit)).sum::<f64>();
    let isr = of_ranks(&|hit| hit.3 / (hit.1 * hit.1) as f64);
    let mut weighted: Vec<f64> = there.iter().map(|hit| hit.3 * hit.2).collect();
    weighted.sort_by(f64::total_cmp);
    let n = ranked.len() as f64;
    match method {
        Method::Rrf { k } => of_ranks(&|hit| hit.3 / (k + hit.1 as f64)),
        Method::Isr => n * isr,
        Method::LogIsr => n.ln() * isr,
        Method::LognIsr { sigma } => (n + sigma).ln() * isr,
        Method::Sum => weighted.iter().sum(),
        Method::Mnz => m * weighted.iter().sum::<f64>(),
        Method::Anz => weighted.iter().sum::<f64>() / m,
        Method::Max => *weighted.last().unwrap(),
        Method::Min => weighted[0],
        Method::Med => f64::midpoint(weighted[(weighted.len() - 1) / 2], weighted[weighted.len() / 2]),
        Method::Gmnz { gamma } => m.powf(*gamma) * weighted.iter().sum::<f64>(),
        Method::Wmnz => sum(&|hit| hit.2) * sum(&|hit| hit.3),
        Method::Mixed => m.sqrt() * weighted.iter().sum::<f64>(),
        Method::Borda => {
            let absent = |run: &usize| ranked.iter().all(|hit| hit.0 != *run);
            let left: f64 = (0..lengths.len()).filter(absent).map(|run| (all - lengths[run] + 1) as f64 / 2.0).sum();
            of_ranks(&|hit| hit.3 * (all - hit.1 + 1) as f64) + left
        }
        Method::Rbc { phi } => of_ranks(&|hit| hit.3 * (1.0 - phi) * phi.powf(hit.1 as f64 - 1.0)),
        Method::MapFuse { map_scores } => of_ranks(&|hit| hit.3 * map_scores[hit.0] / hit.1 as f64),
        Method::PosFuse { probs } => of_ranks(&|hit| hit.3 * probs[hit.0].get(hit.1 - 1).unwrap_or(&0.0)),
        other => panic!("{other:?} has no formula here"),
    }
}

fn any_run() -> impl Strategy<Value = Vec<(u64, f64)>> {
    let score = prop_oneof![-1e3f64..1e3, (0..5i32).prop_map(f64::from)];
    prop::collection::btree_map(0u64..40, score, 0..30).prop_map(|hits| hits.into_iter().collect())
}

fn three_runs() -> impl Strategy<Value = Vec<Run>> {
    prop::collection::vec(any_run(), 3).prop_map(|runs| runs.iter().map(|hits| run("run", hits)).collect())
}

fn close(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-12 * one.abs().max(other.abs()).max(1e-6)
}

proptest! {
    #[test]
    fn scores_are_those_of_the_formulas(runs in three_runs(), method in 0usize..17, normalization in 0usize..10) {
        let method = methods(3).into_iter().filter(|method| {
            !matches!(method, Method::Condorcet | Method::BayesFuse { .. } | Method::ProbFuse { .. } | Method::SegFuse { .. } | Method::SlideFuse { .. })
        }).nth(method).unwrap();
        let normalization = &normalizations()[normalization];
        // Weights only where absent runs do not answer as well.
        let weights = if matches!(method, Method::Borda) { [1.0; 3] } else { [0.2, 0.5, 1.3] };
        let all: BTreeSet<u64> = runs.iter().flat_map(Run::hits).map(|hit| hit.id).collect();
        let weighted: Vec<(&Run, f64)> = runs.iter().zip(weights).collect();
        let fused = fused(&weighted, &method, normalization);
        prop_assert_eq!(fused.hits().len(), all.len());
        let lengths: Vec<usize> = runs.iter().map(Run::len).collect();
        for hit in fused.hits() {
            let mut found = Vec::new();
            for (number, (run, weight)) in runs.iter().zip(weights).enumerate() {
                let borda = |n: usize| 0.5 - (n as f64 - 1.0) / (2.0 * all.len() as f64);
                match run.hits().iter().position(|of_run| of_run.id == hit.id) {
                    Some(at) if *normalization == Normalization::Borda => {
                        found.push((number, at + 1, 1.0 - at as f64 / all.len() as f64, weight));
                    }
                    Some(at) => found.push((number, at + 1, normalize(run, normalization)[at], weight)),
                    None if *normalization == Normalization::Borda && method.reads_scores() => {
                        found.push((number, 0, borda(run.len()), weight));
                    }
                    None => {}
                }
            }
            let expected = by_formula(&method, &found, &lengths, all.len());
            prop_assert!(close(hit.score, expected), "{:?} {:?}: {} {}", method, normalization, hit.score, expected);
        }
        for pair in fused.hits().windows(2) {
            let place = |hit: &rag_fusion::FusedHit| (fused.first_run(hit), hit.id);
            prop_assert!(pair[0].score > pair[1].score || pair[0].score == pair[1].score && place(&pair[0]) < place(&pair[1]));
        }
    }

    #[test]
    fn majorities_are_counted(runs in three_runs(), weights in prop::collection::vec(0.1f64..2.0, 3)) {
        let weighted: Vec<(&Run, f64)> = runs.iter().zip(weights.iter().copied()).collect();
        let fused = fused(&weighted, &Method::Condorcet, &Normalization::None);
        let rank = |run: &Run, id: u64| run.hits().iter().position(|hit| hit.id == id).unwrap_or(usize::MAX);
        for one in fused.hits() {
            let points = |other: &rag_fusion::FusedHit| {
                let votes: f64 = weighted.iter().map(|(run, weight)| {
                    match rank(run, one.id).cmp(&rank(run, other.id)) {
                        Ordering::Less => *weight,
                        Ordering::Equal => 0.0,
                        Ordering::Greater => -weight,
                    }
                }).sum();
                if votes > 0.0 { 1.0 } else if votes < 0.0 { 0.0 } else { 0.5 }
            };
            let expected = 1.0 + fused.hits().iter().filter(|other| other.id != one.id).map(points).sum::<f64>();
            prop_assert_eq!(one.score, expected);
        }
    }

    #[test]
    fn the_order_of_the_runs_changes_no_score(runs in three_runs(), method in 0usize..16, normalization in 0usize..10) {
        let (method, normalization) = (&methods(3)[method], &normalizations()[normalization]);
        let by_id = |order: [usize; 3]| -> BTreeMap<u64, u64> {
            let weighted: Vec<(&Run, f64)> = order.iter().map(|&at| (&runs[at], [0.2, 0.5, 1.3][at])).collect();
            let fused = fused(&weighted, method, normalization);
            fused.hits().iter().map(|hit| (hit.id, hit.score.to_bits())).collect()
        };
        prop_assert_eq!(by_id([0, 1, 2]), by_id([2, 0, 1]));
    }

    #[test]
    fn the_order_of_the_hits_does_not_matter(hits in any_run(), method in 0usize..22) {
        let backward = Run::new("run", hits.iter().rev().copied()).unwrap();
        prop_assert_eq!(&run("run", &hits), &backward);
        let other = run("b", &[(1, 1.0), (2, 0.5)]);
        let of = |a: &Run| fused(&[(a, 0.7), (&other, 0.3)], &methods(2)[method], &Normalization::MinMax);
        prop_assert_eq!(of(&run("run", &hits)), of(&backward));
    }

    #[test]
    fn sums_are_the_sums_of_their_parts(runs in three_runs(), normalization in 0usize..10) {
        let weighted: Vec<(&Run, f64)> = runs.iter().zip([0.2, 0.5, 1.3]).collect();
        for method in [Method::rrf(), Method::Sum, Method::Borda, Method::Rbc { phi: 0.9 }] {
            let fused = fused(&weighted, &method, &normalizations()[normalization]);
            for hit in fused.hits() {
                let sum: f64 = fused.contributions(hit).map(|part| part.value).sum();
                prop_assert!(close(hit.score, sum));
            }
        }
    }

    #[test]
    fn a_better_place_never_lowers_a_score(runs in three_runs(), at in 1usize..30) {
        // The hit at a position changes places with the one before it.
        prop_assume!(runs[0].len() > at);
        let mut ids: Vec<u64> = runs[0].hits().iter().map(|hit| hit.id).collect();
        let scores: Vec<f64> = (0..ids.len()).rev().map(|score| score as f64).collect();
        let before = Run::ranked("run", ids.iter().copied().zip(scores.iter().copied())).unwrap();
        let raised = ids[at];
        ids.swap(at - 1, at);
        let after = Run::ranked("run", ids.into_iter().zip(scores)).unwrap();
        for method in methods(3).into_iter().take(16).filter(|method| *method != Method::Min || runs[1].is_empty()) {
            let of = |first: &Run| {
                let fused = fused(&[(first, 0.2), (&runs[1], 0.5), (&runs[2], 1.3)], &method, &Normalization::MinMax);
                fused.hits().iter().find(|hit| hit.id == raised).unwrap().score
            };
            prop_assert!(of(&after) >= of(&before), "{:?}", method);
        }
    }

    #[test]
    fn scale_and_shift_of_scores_do_not_matter_where_that_is_promised(
        hits in any_run(), factor in 0.01f64..100.0, shift in -1e3f64..1e3,
    ) {
        let before = run("run", &hits);
        let changed = |factor: f64, shift: f64| {
            Run::ranked("run", before.hits().iter().map(|hit| (hit.id, hit.score * factor + shift))).unwrap()
        };
        for name in ["min_max", "sum", "z_score", "rank", "borda", "dbsf", "sigmoid"] {
            let normalization = Normalization::from_name(name).unwrap();
            let pairs = normalize(&before, &normalization).into_iter().zip(normalize(&changed(factor, shift), &normalization));
            for (one, other) in pairs {
                prop_assert!((one - other).abs() < 1e-6, "{name}: {one} {other}");
            }
        }
        let pairs = normalize(&before, &Normalization::L2).into_iter();
        for (one, other) in pairs.zip(normalize(&changed(factor, 0.0), &Normalization::L2)) {
            prop_assert!((one - other).abs() < 1e-9);
        }
    }
}

#[test]
fn the_order_of_the_runs_changes_no_weighted_vote() {
    let run = |id: u64| Run::new("run", [(id, 1.0)]).unwrap();
    let (one, other) = (run(1), run(2));
    // In sum, .1 + .3 are .4; of doubles they are that in some orders only.
    let fused = |runs: [(&Run, f64); 3]| {
        let weighted = runs.map(|(run, weight)| Weighted::new(run, weight));
        let mut hits = fuse(&weighted, &Method::Condorcet, &Normalization::None, 10).unwrap().into_hits();
        hits.sort_by_key(|hit| hit.id);
        hits.iter().map(|hit| hit.score).collect::<Vec<_>>()
    };
    let all = [(&one, 0.1), (&one, 0.3), (&other, 0.4)];
    for [a, b, c] in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
        assert_eq!(fused([all[a], all[b], all[c]]), fused(all));
    }
    let wmnz = |order: [f64; 3]| {
        let weighted = order.map(|weight| Weighted::new(&one, weight));
        fuse(&weighted, &Method::Wmnz, &Normalization::MinMax, 10).unwrap().hits()[0].score
    };
    assert_eq!(wmnz([0.1, 0.2, 0.3]), wmnz([0.3, 0.2, 0.1]));
}

#[test]
fn what_is_asked_of_a_ranking_does_not_make_it_another() {
    let run = Run::new("run", [(1u64, 1.0), (2, 0.5)]).unwrap();
    let fused = fuse(&[Weighted::new(&run, 1.0)], &Method::rrf(), &Normalization::None, 10).unwrap();
    let asked = fused.clone();
    assert_eq!(asked.contributions(&asked.hits()[0]).len(), 1);
    assert_eq!(fused, asked);
}

#[test]
fn a_segment_that_is_worth_nothing_gives_nothing() {
    let (a, b) = (Run::new("a", [(1u64, 2.0), (2, 1.0)]).unwrap(), Run::new("b", [(3u64, 1.0)]).unwrap());
    let method = Method::SegFuse { probs: vec![vec![0.0], vec![1.0]] };
    let weighted = [Weighted::new(&a, 1.0), Weighted::new(&b, 0.01)];
    let fused = fuse(&weighted, &method, &Normalization::Borda, 10).unwrap();
    assert_eq!(fused.hits()[0].id, 3);
    assert!((fused.hits()[0].score - 0.02).abs() < 1e-12, "{:?}", fused.hits());
}
