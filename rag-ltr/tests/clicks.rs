//! What is estimated from simulated clicks is what the simulation was made with.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use rag_ltr::Error;
use rag_ltr::clicks::simulate::{Simulation, simulate};
use rag_ltr::clicks::{
    BiasEstimate, ClickLog, Counterfactual, CounterfactualEvaluation, Estimate, Estimation, Impression, Labelling,
    Propensities, Reward, Shown, Warning, click_lists, estimate_by_em, estimate_by_harvesting, evaluate, history,
    read_log, to_training, write_log,
};
use rag_ltr::metrics::{Qrels, ScorePrecision, TrecRun, discount};
use rag_ltr::random::SplitMix64;
use rag_ltr::significance::Resampling;

const DOCUMENTS: usize = 8;

/// Queries with eight documents of grades 0 to 4.
fn judgments(queries: usize, seed: u64) -> Qrels {
    let (mut random, mut qrels) = (SplitMix64::new(seed), Qrels::new());
    for query in 0..queries {
        for document in 0..DOCUMENTS {
            qrels.insert(&format!("q{query}"), &format!("d{document}"), random.below(5) as i32).unwrap();
        }
    }
    qrels
}

/// Ranks by the grade and as much chance.
fn ranker(qrels: &Qrels, chance: f64, seed: u64) -> TrecRun {
    let (mut random, mut run) = (SplitMix64::new(seed), TrecRun::new());
    for (query, documents) in qrels.iter() {
        let scored =
            documents.iter().map(|(document, &grade)| (document, f64::from(grade) + chance * random.fraction()));
        run.insert_query(query, scored.collect::<Vec<_>>()).unwrap();
    }
    run
}

fn assert_recovers(estimate: &BiasEstimate, truth: &Propensities, within: f64) {
    assert!(estimate.converged);
    for (rank, &value) in (1..).zip(truth.values()) {
        let found = estimate.propensities.at(rank);
        assert!((found - value).abs() < within, "rank {rank}: {found} instead of {value}; {estimate:?}");
    }
}

#[test]
fn both_ways_find_the_propensities_of_the_simulation() {
    let qrels = judgments(60, 1);
    let (one, two, three) = (ranker(&qrels, 3.0, 1), ranker(&qrels, 5.0, 2), ranker(&qrels, 9.0, 3));
    let truth = Propensities::power_law(0.8, DOCUMENTS as u32).unwrap();
    let users = Simulation::new(truth.clone(), 40_000);
    let log = simulate(&qrels, &[("one", &one), ("two", &two), ("three", &three)], &users).unwrap();
    let settings = Estimation::default().with_resampling(Resampling::default().with_samples(60));
    for estimate in [estimate_by_em(&log, &settings).unwrap(), estimate_by_harvesting(&log, &settings).unwrap()] {
        assert_recovers(&estimate, &truth, 0.03);
        assert!(estimate.log_likelihood < 0.0 && estimate.pairs_used > 300 && estimate.pairs == 480);
        let covered = estimate.ranks.iter().filter_map(|rank| {
            let spread = rank.spread?;
            assert!(spread.standard_error > 0.0 && spread.standard_error < 0.03);
            let truth = truth.at(rank.rank);
            Some(spread.low <= truth && truth <= spread.high)
        });
        assert!(covered.filter(|&covered| covered).count() >= 5, "of seven intervals of 95 %: {estimate:?}");
    }
    // The rate of clicks at each rank is no estimate: good documents stand at the top.
    let rates: Vec<f64> = (1..=2)
        .map(|rank| {
            log.iter().flat_map(|it| &it.shown).filter(|shown| shown.rank == rank && shown.clicked).count() as f64
        })
        .collect();
    assert!(rates[1] / rates[0] < truth.at(2) - 0.08, "{rates:?}");
}

#[test]
fn harvesting_needs_few_impressions_of_a_query() {
    // 3,000 queries with three impressions each: every attraction rests on almost nothing.
    let qrels = judgments(3000, 7);
    let (one, two) = (ranker(&qrels, 4.0, 1), ranker(&qrels, 8.0, 2));
    let truth = Propensities::power_law(1.0, DOCUMENTS as u32).unwrap();
    let users = Simulation::new(truth.clone(), 9000);
    let log = simulate(&qrels, &[("one", &one), ("two", &two)], &users).unwrap();
    let settings = Estimation::default().with_resampling(None);
    let estimate = estimate_by_harvesting(&log, &settings).unwrap();
    assert_recovers(&estimate, &truth, 0.06);
    assert!(estimate.ranks.iter().all(|rank| rank.spread.is_none()));
    let monotone = estimate_by_harvesting(&log, &settings.with_monotone(true).with_least(0.2)).unwrap();
    assert!(monotone.propensities.values().is_sorted_by(|above, below| above >= below));
    assert_eq!(monotone.propensities.at(8), 0.2);
}

#[test]
fn a_log_that_cannot_tell_says_what_it_lacks() {
    let log = |impressions: &[&[(&str, u32, bool)]]| {
        let mut log = ClickLog::new();
        for shown in impressions {
            let shown = shown.iter().map(|&(document, rank, clicked)| Shown::new(document, rank, clicked)).collect();
            log.push(Impression::new("q", shown)).unwrap();
        }
        log
    };
    let fixed = log(&[&[("a", 1, true), ("b", 2, true)], &[("a", 1, true), ("b", 2, false)]]);
    let silent = log(&[&[("a", 1, false), ("b", 2, false)], &[("b", 1, false), ("a", 2, false)]]);
    let apart = log(&[&[("a", 1, true), ("b", 2, true)], &[("a", 1, true), ("b", 3, true)]]);
    let no_click_on_top = log(&[&[("a", 1, false), ("b", 2, true)], &[("b", 1, false), ("a", 2, false)]]);
    let settings = Estimation::default();
    for estimate in [estimate_by_em, estimate_by_harvesting] {
        for log in [&ClickLog::new(), &fixed, &silent, &apart, &no_click_on_top] {
            let error = estimate(log, &settings).unwrap_err();
            assert!(matches!(error, Error::Clicks(_)), "{error}");
            assert!(error.to_string().starts_with("the click log cannot tell: position bias: no document that"));
        }
        for wrong in [settings.with_ranks(1), settings.with_steps(0), settings.with_least(-0.1)] {
            assert!(matches!(estimate(&fixed, &wrong), Err(Error::Setting { .. })));
        }
        // Ranks 3 and 4 are compared with each other alone: a guess, said to be one.
        let island = log(&[
            &[("a", 1, true), ("b", 2, true), ("c", 3, true), ("d", 4, false)],
            &[("b", 1, true), ("a", 2, false), ("d", 3, true), ("c", 4, true)],
        ]);
        let estimate = estimate(&island, &settings).unwrap();
        let guessed: Vec<bool> = estimate.ranks.iter().map(|rank| rank.guessed).collect();
        assert_eq!(guessed, [false, false, true, true]);
        assert_eq!(estimate.propensities.at(4), estimate.propensities.at(2));
    }
    assert!(matches!(
        to_training(&silent, &Propensities::new(&[1.0]).unwrap(), &Labelling::default()),
        Err(Error::Clicks(_))
    ));
}

#[test]
fn attractions_are_freed_from_position_bias() {
    let qrels = judgments(10, 3);
    let users = Simulation::new(Propensities::power_law(1.0, 8).unwrap(), 40_000);
    let log = simulate(&qrels, &[("one", &ranker(&qrels, 5.0, 1)), ("two", &ranker(&qrels, 5.0, 2))], &users).unwrap();
    let history = history(&log, &users.propensities, 10.0).unwrap();
    let (mut corrected, mut plain) = (0.0f64, 0.0f64);
    for (query, document, features) in history.pairs() {
        let truth = users.attraction(qrels.grade(query, document).unwrap());
        corrected = corrected.max((features.attraction - truth).abs());
        plain = plain.max((features.click_rate - truth).abs());
        assert_eq!(history.pair(query, document), features);
    }
    assert!(corrected < 0.1 && plain > 0.5, "{corrected} {plain}");
    let impressions: usize = history.documents().map(|(_, features)| features.impressions).sum();
    assert_eq!(impressions, 40_000 * DOCUMENTS);
    let labels = to_training(&log, &users.propensities, &Labelling::default()).unwrap();
    assert!(labels.is_sorted_by_key(|label| (label.query.clone(), label.document.clone())));
    for label in labels {
        let truth = users.attraction(qrels.grade(&label.query, &label.document).unwrap());
        let weighted = label.counts.weighted_clicks / label.counts.impressions as f64;
        assert!((label.relevance - truth).abs() < 0.1 && (weighted - truth).abs() < 0.12);
    }
}

#[test]
fn what_the_log_states_of_a_place_goes_before_the_estimate() {
    let text = r#"{"query":"q","shown":[{"doc":"a","rank":1},{"doc":"b","rank":2,"clicked":true,"propensity":0.25}]}"#;
    let log = read_log(&format!("{text}\n{text}\n")).unwrap();
    let propensities = Propensities::new(&[1.0, 0.5]).unwrap();
    let labels = to_training(&log, &propensities, &Labelling::default()).unwrap();
    assert_eq!((labels[1].counts.exposure, labels[1].counts.weighted_clicks), (0.5, 8.0));
    let mut new = TrecRun::new();
    new.insert_query("q", [("b", 1.0)]).unwrap();
    assert_eq!(evaluate(&log, &propensities, &new, &Counterfactual::default()).unwrap().ips.value, 4.0);
}

#[test]
fn click_lists_are_the_impressions_with_a_click() {
    let log = exact_log(&[("a", 1, 2), ("b", 3, 1)], 3);
    let propensities = Propensities::new(&[1.0, 0.5, 0.02]).unwrap();
    let rows = click_lists(&log, &propensities, &Labelling::default().with_clip(20.0)).unwrap();
    let rows: Vec<_> =
        rows.iter().map(|row| (row.impression, row.document, row.clicked, row.inverse_propensity)).collect();
    assert_eq!(rows, [(0, "a", true, 1.0), (0, "b", true, 20.0), (1, "a", true, 1.0), (1, "b", false, 20.0)]);
    for wrong in [Labelling::default().with_clip(0.5), Labelling::default().with_strength(-1.0)] {
        assert!(matches!(click_lists(&log, &propensities, &wrong), Err(Error::Setting { .. })));
    }
}

#[test]
fn a_simulation_shows_what_the_rankers_rank() {
    let qrels = judgments(5, 2);
    let (old, mut short) = (ranker(&qrels, 5.0, 1), TrecRun::new());
    short.insert_query("q3", [("d1", 1.0), ("unjudged", 0.5)]).unwrap();
    let users = Simulation::new(Propensities::new(&[1.0]).unwrap(), 200).with_cutoff(3).with_noise(0.0);
    let log = simulate(&qrels, &[("old", &old), ("short", &short)], &users).unwrap();
    assert!(log.iter().all(|it| it.query == "q3" && it.shown.len() <= 3), "only what all of them answer");
    let shown: Vec<&Shown> =
        log.iter().filter(|it| it.ranker.as_deref() == Some("short")).flat_map(|it| &it.shown).collect();
    assert!(shown.iter().any(|shown| shown.document == "unjudged" && shown.rank == 2 && !shown.clicked));
    assert_eq!((users.attraction(0), users.attraction(4), users.attraction(99)), (0.0, 1.0, 1.0));
    for wrong in [users.clone().with_cutoff(0), users.clone().with_noise(1.5), users.clone().with_top_grade(0)] {
        assert!(matches!(simulate(&qrels, &[("old", &old)], &wrong), Err(Error::Setting { .. })));
    }
    for rankers in [vec![], vec![("none", &TrecRun::new())]] {
        assert!(matches!(simulate(&qrels, &rankers, &users), Err(Error::Clicks(_))));
    }
}

/// What a ranking earns in expectation, over queries that come equally often.
fn truth(qrels: &Qrels, run: &TrecRun, users: &Simulation, reward: Reward) -> f64 {
    let earned = qrels.iter().map(|(query, _)| {
        let ranked = run.ranked(query, ScorePrecision::Double).into_iter().zip(1..);
        let earned = ranked.map(|((document, _), rank)| {
            let at_rank = match reward {
                Reward::Clicks { k } if k.is_none_or(|k| rank <= k) => users.propensities.at(rank as u32),
                Reward::Dcg { k } if k.is_none_or(|k| rank <= k) => discount(rank),
                _ => 0.0,
            };
            at_rank * users.attraction(qrels.grade(query, document).unwrap())
        });
        earned.sum::<f64>()
    });
    earned.sum::<f64>() / qrels.len() as f64
}

type Pick = fn(&CounterfactualEvaluation) -> Estimate;

#[test]
fn estimators_are_unbiased_and_their_intervals_hold_what_they_promise() {
    const LOGS: u64 = 300;
    let qrels = judgments(12, 5);
    let (old, other, new) = (ranker(&qrels, 6.0, 1), ranker(&qrels, 6.0, 2), ranker(&qrels, 2.0, 3));
    let propensities = Propensities::power_law(1.0, 8).unwrap();
    let users = Simulation::new(propensities.clone(), 400);
    let rankers = [("old", &old), ("other", &other)];
    for reward in [Reward::Clicks { k: Some(4) }, Reward::Dcg { k: None }] {
        let settings = Counterfactual::default().with_reward(reward);
        let settings = settings.with_resampling(Resampling::default().with_samples(200));
        let expected = truth(&qrels, &new, &users, reward);
        let before = f64::midpoint(truth(&qrels, &old, &users, reward), truth(&qrels, &other, &users, reward));
        let estimators: [(&str, f64, Pick); 6] = [
            ("logged", before, |it| it.logged),
            ("ips", expected, |it| it.ips),
            ("clipped", expected, |it| it.clipped_ips),
            ("snips", expected, |it| it.snips),
            ("doubly robust", expected, |it| it.doubly_robust),
            ("gain", expected - before, |it| it.gain),
        ];
        let evaluations: Vec<CounterfactualEvaluation> = (0..LOGS)
            .map(|seed| {
                let log = simulate(&qrels, &rankers, &users.clone().with_seed(seed)).unwrap();
                evaluate(&log, &propensities, &new, &settings).unwrap()
            })
            .collect();
        for (name, expected, pick) in estimators {
            let found: Vec<Estimate> = evaluations.iter().map(pick).collect();
            let mean = found.iter().map(|it| it.value).sum::<f64>() / LOGS as f64;
            let variance = found.iter().map(|it| (it.value - mean).powi(2)).sum::<f64>() / (LOGS - 1) as f64;
            let error = (variance / LOGS as f64).sqrt();
            assert!((mean - expected).abs() < 3.5 * error, "{name}: {mean} instead of {expected}, error {error}");
            let stated = found.iter().map(|it| it.standard_error).sum::<f64>() / LOGS as f64;
            assert!((stated / variance.sqrt() - 1.0).abs() < 0.15, "{name}: {stated} instead of {}", variance.sqrt());
            let share = |ends: fn(&Estimate) -> (f64, f64)| {
                let holds = found.iter().filter(|it| ends(it).0 <= expected && expected <= ends(it).1).count();
                holds as f64 / LOGS as f64
            };
            // 300 logs at 95 %: two standard errors are 2.5 points; the bootstrap of 200 samples is a little short.
            let (normal, bootstrap) = (share(|it| it.normal), share(|it| it.bootstrap));
            assert!((0.91..=0.985).contains(&normal), "{name}: normal interval holds {normal}");
            assert!((0.9..=0.985).contains(&bootstrap), "{name}: bootstrap interval holds {bootstrap}");
        }
    }
}

#[test]
fn what_was_not_shown_is_filled_in_but_by_ips() {
    let qrels = judgments(12, 5);
    let (old, other, new) = (ranker(&qrels, 6.0, 1), ranker(&qrels, 6.0, 2), ranker(&qrels, 2.0, 3));
    let users = Simulation::new(Propensities::power_law(1.0, 8).unwrap(), 20_000).with_cutoff(4);
    let log = simulate(&qrels, &[("old", &old), ("other", &other)], &users).unwrap();
    let reward = Reward::Dcg { k: Some(4) };
    let found = evaluate(&log, &users.propensities, &new, &Counterfactual::default().with_reward(reward)).unwrap();
    let truth = truth(&qrels, &new, &users, reward);
    let off = |estimate: Estimate| (estimate.value - truth).abs();
    assert!((0.5..0.9).contains(&found.coverage), "{found:?}");
    assert!(found.ips.normal.1 < truth && off(found.snips) < off(found.ips) / 2.0, "{truth}: {found:?}");
    assert!(off(found.doubly_robust) < off(found.ips) / 3.0 && off(found.direct) < off(found.ips) / 3.0);
}

/// Impressions of one list: each document with its rank, and in how many of them it is clicked.
fn exact_log(rows: &[(&str, u32, usize)], impressions: usize) -> ClickLog {
    let mut log = ClickLog::new();
    for at in 0..impressions {
        let shown = rows.iter().map(|&(document, rank, clicks)| Shown::new(document, rank, at < clicks)).collect();
        log.push(Impression::new("q", shown)).unwrap();
    }
    log
}

#[test]
fn self_normalisation_moves_with_a_shift_of_the_attractions() {
    let propensities = Propensities::new(&[1.0, 0.5, 0.25]).unwrap();
    let mut new = TrecRun::new();
    new.insert_query("q", [("c", 4.0), ("unseen", 3.0), ("a", 2.0)]).unwrap();
    // Of 80 looks; attractions .5, .2 and .4, and then .1 more of each.
    let before = exact_log(&[("a", 1, 40), ("b", 2, 8), ("c", 3, 8)], 80);
    let after = exact_log(&[("a", 1, 48), ("b", 2, 12), ("c", 3, 10)], 80);
    let settings = Counterfactual::default();
    let [before, after] = [before, after].map(|log| evaluate(&log, &propensities, &new, &settings).unwrap());
    let (reward, covered) = (1.0 + 0.5 + 0.25, 1.0 + 0.25);
    assert!((after.snips.value - before.snips.value - 0.1 * reward).abs() < 1e-12);
    assert!((after.ips.value - before.ips.value - 0.1 * covered).abs() < 1e-12);
    assert!((before.coverage - covered / reward).abs() < 1e-12);
    assert!(before.warnings.iter().any(|warning| matches!(warning, Warning::Uncovered { .. })), "{before:?}");

    // With all shown there is nothing to normalise.
    let mut shown = TrecRun::new();
    shown.insert_query("q", [("c", 4.0), ("b", 3.0), ("a", 2.0)]).unwrap();
    let log = exact_log(&[("a", 1, 48), ("b", 2, 12), ("c", 3, 10)], 80);
    let all = evaluate(&log, &propensities, &shown, &settings).unwrap();
    assert!((all.snips.value - all.ips.value).abs() < 1e-12 && all.coverage == 1.0);
    // Another scale of the clicks is another scale of every estimate.
    let mut doubled = ClickLog::new();
    log.iter().chain(&log).for_each(|impression| doubled.push(impression.clone()).unwrap());
    let twice = evaluate(&doubled, &propensities, &shown, &settings).unwrap();
    assert!((twice.ips.value - all.ips.value).abs() < 1e-12 && twice.ips.standard_error < all.ips.standard_error);
}

#[test]
fn weights_that_say_little_are_told() {
    let propensities = Propensities::new(&[1.0, 0.5, 0.001]).unwrap();
    let log = exact_log(&[("a", 1, 40), ("b", 2, 8), ("c", 3, 1)], 60);
    let mut new = TrecRun::new();
    new.insert_query("q", [("c", 4.0), ("b", 3.0), ("a", 2.0)]).unwrap();
    let evaluation = evaluate(&log, &propensities, &new, &Counterfactual::default()).unwrap();
    assert_eq!((evaluation.largest_weight, evaluation.weighted_documents), (1000.0, 180));
    assert!(evaluation.effective_sample_size < 61.0);
    let told: Vec<String> = evaluation.warnings.iter().map(ToString::to_string).collect();
    assert!(told[0].contains("say as much as 60"), "{told:?}");
    assert!(told[1].contains("one document has 1.7 % of all weight"), "{told:?}");
    assert!(told[2].contains("clipping takes 8"), "{told:?}");
    let mut other = TrecRun::new();
    other.insert_query("q", [("z", 1.0)]).unwrap();
    for run in [TrecRun::new(), other] {
        assert!(matches!(evaluate(&log, &propensities, &run, &Counterfactual::default()), Err(Error::Clicks(_))));
    }
}

#[test]
fn a_session_is_drawn_as_one() {
    let propensities = Propensities::new(&[1.0, 0.5]).unwrap();
    let mut new = TrecRun::new();
    new.insert_query("q", [("b", 2.0), ("a", 1.0)]).unwrap();
    let (mut alone, mut together) = (ClickLog::new(), ClickLog::new());
    let mut random = SplitMix64::new(1);
    for session in 0..40 {
        let clicked = random.below(2) == 0;
        for _ in 0..10 {
            let impression = Impression::new("q", vec![Shown::new("a", 1, clicked), Shown::new("b", 2, clicked)]);
            alone.push(impression.clone()).unwrap();
            together.push(impression.with_session(session.to_string())).unwrap();
        }
    }
    let error = |log| evaluate(log, &propensities, &new, &Counterfactual::default()).unwrap().ips.standard_error;
    assert!((error(&together) / error(&alone) - 10f64.sqrt()).abs() < 0.1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_looser_clip_never_lowers_ips(seed in any::<u64>(), steepness in 0.0..3.0f64, clips in (1.0..200.0f64, 1.0..200.0f64)) {
        let qrels = judgments(3, seed);
        let (old, new) = (ranker(&qrels, 5.0, seed), ranker(&qrels, 5.0, seed ^ 1));
        let users = Simulation::new(Propensities::power_law(steepness, 8).unwrap(), 50).with_seed(seed);
        let log = simulate(&qrels, &[("old", &old)], &users).unwrap();
        let settings = Counterfactual::default().with_resampling(Resampling::default().with_samples(2));
        let clipped = |clip| evaluate(&log, &users.propensities, &new, &settings.with_clip(clip)).unwrap();
        let (low, high) = (clipped(clips.0.min(clips.1)), clipped(clips.0.max(clips.1)));
        prop_assert!(low.clipped_ips.value <= high.clipped_ips.value + 1e-12);
        prop_assert!(high.clipped_ips.value <= high.ips.value + 1e-12);
        prop_assert!((clipped(f64::INFINITY).clipped_ips.value - high.ips.value).abs() < 1e-12);
        prop_assert!(low.effective_sample_size <= low.weighted_documents as f64 + 1e-9);
    }

    #[test]
    fn a_simulated_log_survives_the_file(seed in any::<u64>(), steepness in 0.0..2.0f64) {
        let qrels = judgments(3, seed);
        let users = Simulation::new(Propensities::power_law(steepness, 8).unwrap(), 20).with_seed(seed);
        let log = simulate(&qrels, &[("one", &ranker(&qrels, 5.0, seed))], &users).unwrap();
        let mut text = String::new();
        write_log(&log, &mut text).unwrap();
        prop_assert_eq!(&read_log(&text).unwrap(), &log);
        prop_assert_eq!(simulate(&qrels, &[("one", &ranker(&qrels, 5.0, seed))], &users).unwrap(), log);
    }
}
