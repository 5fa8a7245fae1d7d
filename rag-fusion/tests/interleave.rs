//! Interleaving: fair to equal rankers, sure of better ones; replay beside the truth.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::HashSet;

use proptest::prelude::*;
use rag_fusion::interleave::{
    Impression, InterleaveError, Logged, LoggedSlot, Shown, compare, impression_seed, impressions_needed, power,
    replay, team_draft,
};
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

fn draft(rankings: &[Vec<u64>], length: usize, seed: u64) -> Vec<Shown> {
    team_draft(&rankings.iter().map(Vec::as_slice).collect::<Vec<_>>(), length, seed).unwrap()
}

fn names(teams: usize) -> Vec<String> {
    (0..teams).map(|team| format!("team-{team}")).collect()
}

fn impression(id: usize, teams: usize, shown: Vec<Shown>, clicked: Vec<u64>) -> Impression {
    Impression { id: id.to_string(), teams: names(teams), shown, clicked }
}

fn rankings() -> impl Strategy<Value = Vec<Vec<u64>>> {
    let ranking = (0usize..9).prop_flat_map(|len| {
        Just((0..10u64).collect::<Vec<_>>()).prop_shuffle().prop_map(move |ids| ids[..len].to_vec())
    });
    prop::collection::vec(ranking, 2..5)
}

proptest! {
    #[test]
    fn a_draft_is_fair_and_complete(rankings in rankings(), length in 0usize..14, seed in any::<u64>()) {
        let shown = draft(&rankings, length, seed);
        prop_assert_eq!(&shown, &draft(&rankings, length, seed));
        // Every document once, and as many as there are room and documents for.
        let all: HashSet<u64> = rankings.concat().into_iter().collect();
        let distinct: HashSet<u64> = shown.iter().map(|it| it.document).collect();
        prop_assert!(distinct.is_subset(&all));
        prop_assert_eq!((shown.len(), distinct.len()), (length.min(all.len()), length.min(all.len())));
        // Equal places up to one.
        let places = |team: usize| shown.iter().filter(|it| it.team == Some(team)).count();
        let counts: Vec<usize> = (0..rankings.len()).map(places).collect();
        prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
        // What all begin with is of no team, and stays where it was.
        let shortest = rankings.iter().map(Vec::len).min().unwrap();
        let same = (0..shortest).take_while(|&at| rankings.iter().all(|it| it[at] == rankings[0][at])).count();
        for (at, document) in rankings[0][..same.min(length)].iter().enumerate() {
            prop_assert_eq!(&shown[at], &Shown { document: *document, team: None });
        }
        // A team's pick is its best document that was not there yet.
        for (at, it) in shown.iter().enumerate() {
            if let Some(team) = it.team {
                let before: HashSet<u64> = shown[..at].iter().map(|it| it.document).collect();
                prop_assert_eq!(rankings[team].iter().find(|id| !before.contains(id)), Some(&it.document));
            }
        }
    }
}

/// How often each permutation of the rankings gives each list with its teams named by the rankings.
#[test]
fn no_ranking_is_favoured_by_its_number() {
    let rankings = [vec![1, 2, 3, 4, 5], vec![3, 6, 1, 7, 8], vec![9, 2, 3, 1, 6]];
    let swapped = [rankings[2].clone(), rankings[0].clone(), rankings[1].clone()];
    let original = [2, 0, 1];
    let mut counts = std::collections::HashMap::<Vec<(u64, usize)>, [f64; 2]>::new();
    for seed in 0..40_000 {
        for (which, rankings) in [&rankings, &swapped].into_iter().enumerate() {
            let name = |it: Shown| {
                let team = it.team.unwrap();
                (it.document, if which == 0 { team } else { original[team] })
            };
            let list = draft(rankings, 4, seed).into_iter().map(name).collect();
            counts.entry(list).or_default()[which] += 1.0;
        }
    }
    // Two samples of the same distribution.
    let chi: f64 = counts.values().map(|[a, b]| (a - b).powi(2) / (a + b)).sum();
    let degrees = counts.len() as f64 - 1.0;
    assert!(chi < degrees + 4.0 * (2.0 * degrees).sqrt(), "{chi} of {degrees}");
}

/// Users who look at positions, not at documents.
fn click_blindly(shown: &[Shown], random: &mut SmallRng) -> Vec<u64> {
    let click = |(at, it): (usize, &Shown)| random.random_bool(0.6 / (1.0 + at as f64)).then_some(it.document);
    shown.iter().enumerate().filter_map(click).collect()
}

#[test]
fn blind_clicks_prefer_nobody() {
    let mut random = SmallRng::seed_from_u64(1);
    // Unequal lengths, a shared beginning, many rankings: what could favour one.
    let cases: [(Vec<Vec<u64>>, usize); 4] = [
        (vec![vec![1, 2, 3, 4, 5, 6], vec![4, 1, 7, 8, 9, 2]], 5),
        (vec![vec![1, 2], vec![2, 1, 3, 4, 5, 6, 7]], 7),
        (vec![vec![1, 2, 3, 4], vec![1, 2, 4, 3]], 4),
        (vec![vec![1, 2, 3, 4, 5, 6], vec![3, 2, 1, 4, 5, 6, 9, 10], vec![7, 1, 8, 9], vec![2, 4, 6, 8, 1]], 8),
    ];
    for (rankings, length) in cases {
        let (rounds, per_round) = (20, 1000);
        let mut chi = [0.0; 6];
        for round in 0..rounds {
            let log = (0..per_round).map(|at| {
                let shown = draft(&rankings, length, impression_seed("blind", &format!("{round} {at}")));
                let clicked = click_blindly(&shown, &mut random);
                impression(at, rankings.len(), shown, clicked)
            });
            let answer = compare(&log.collect::<Vec<_>>(), 0.95).unwrap();
            for (chi, pair) in chi.iter_mut().zip(&answer.preferences) {
                assert!(pair.wins + pair.losses > 100, "{pair:?}");
                *chi += (pair.wins as f64 - pair.losses as f64).powi(2) / (pair.wins + pair.losses) as f64;
            }
        }
        // 20 degrees of freedom: .9999 quantile, since there are nine pairs.
        assert!(chi.iter().all(|&chi| chi < 52.4), "{rankings:?}: {chi:?}");
    }
}

/// The chance that a user clicks a document: what the better ranker knows.
fn appeal(document: u64) -> f64 {
    0.35 / (1.0 + document as f64 / 3.0)
}

fn better_and_worse(random: &mut SmallRng) -> [Vec<u64>; 2] {
    let mut order = |noise: f64| {
        let mut scored: Vec<(f64, u64)> = (0..20).map(|it| (appeal(it) + noise * random.random::<f64>(), it)).collect();
        scored.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap());
        scored.into_iter().map(|(_, document)| document).collect::<Vec<_>>()
    };
    [order(0.15), order(0.30)]
}

fn simulate(impressions: usize, random: &mut SmallRng) -> Vec<Impression> {
    let one = |at: usize| {
        let rankings = better_and_worse(random);
        let shown = draft(&rankings, 6, random.random());
        let clicked = shown.iter().map(|it| it.document).filter(|&it| random.random_bool(appeal(it))).collect();
        impression(at, 2, shown, clicked)
    };
    (0..impressions).map(one).collect()
}

#[test]
fn a_better_ranker_wins_as_often_as_was_estimated() {
    let mut random = SmallRng::seed_from_u64(2);
    let long = compare(&simulate(60_000, &mut random), 0.95).unwrap();
    let truth = &long.preferences[0];
    let decided = (truth.wins + truth.losses) as f64 / long.impressions as f64;
    assert!(truth.win_share > 0.53 && truth.p < 1e-6, "{truth:?}");
    let needed = impressions_needed(truth.win_share, 0.05, 0.8, decided).unwrap();
    let (rounds, mut seen, mut covered) = (400, 0, 0);
    for _ in 0..rounds {
        let answer = compare(&simulate(needed as usize, &mut random), 0.95).unwrap();
        let Some(preference) = answer.preferences.first() else { unreachable!() };
        seen += u32::from(preference.p <= 0.05 && preference.win_share > 0.5);
        covered += u32::from(preference.interval.0 <= truth.win_share && truth.win_share <= preference.interval.1);
    }
    // 400 rounds have a standard error of .02, and the win share was measured.
    let (seen, covered) = (f64::from(seen) / f64::from(rounds), f64::from(covered) / f64::from(rounds));
    assert!((0.72..0.88).contains(&seen), "{seen} with {needed}");
    assert!(covered > 0.92, "{covered}");
}

#[test]
fn power_is_that_of_the_test() {
    let mut random = SmallRng::seed_from_u64(3);
    for (preference, decided) in [(0.6, 100), (0.55, 400), (0.5, 300), (0.3, 40)] {
        let rounds = 4000;
        let rejects = |random: &mut SmallRng| {
            let wins = (0..decided).filter(|_| random.random_bool(preference)).count();
            let log = (0..decided).map(|at| {
                let shown = vec![Shown { document: 1, team: Some(usize::from(at >= wins)) }];
                impression(at, 2, shown, vec![1])
            });
            compare(&log.collect::<Vec<_>>(), 0.95).unwrap().preferences[0].p <= 0.05
        };
        let seen = (0..rounds).filter(|_| rejects(&mut random)).count() as f64 / f64::from(rounds);
        let expected = power(preference, decided as u64, 0.05).unwrap();
        assert!((seen - expected).abs() < 0.025, "{preference} {decided}: {seen} {expected}");
    }
    let needed = impressions_needed(0.55, 0.05, 0.8, 1.0).unwrap();
    // The normal approximation gives ((1.96 / 2 + .8416 · √(.55 · .45)) / .05)² = 783.
    assert!((770..=810).contains(&needed), "{needed}");
    assert!(power(0.55, needed, 0.05).unwrap() >= 0.8 && power(0.55, needed - 1, 0.05).unwrap() < 0.8);
    assert_eq!(impressions_needed(0.45, 0.05, 0.8, 1.0).unwrap(), needed);
    assert_eq!(impressions_needed(0.55, 0.05, 0.8, 0.5).unwrap(), 2 * needed);
    assert_eq!(power(0.9, 0, 0.05).unwrap(), 0.0);
    assert!(power(0.5, 1000, 0.05).unwrap() <= 0.05);
    for (preference, alpha, wanted, share) in
        [(0.5, 0.05, 0.8, 1.0), (0.6, 0.0, 0.8, 1.0), (0.6, 0.05, 1.0, 1.0), (0.6, 0.05, 0.8, 0.0)]
    {
        assert!(matches!(impressions_needed(preference, alpha, wanted, share), Err(InterleaveError::Setting { .. })));
    }
}

#[test]
fn many_rankers_are_ordered() {
    let mut random = SmallRng::seed_from_u64(4);
    // Each ranker shows the appealing documents later than the one before.
    let rankings: Vec<Vec<u64>> = (0..4).map(|team| (0..20).map(|at| (at + 3 * team) % 20).collect()).collect();
    let one = |at: usize| {
        let shown = draft(&rankings, 8, at as u64);
        let clicked = shown.iter().map(|it| it.document).filter(|&it| random.random_bool(appeal(it))).collect();
        impression(at, 4, shown, clicked)
    };
    let answer = compare(&(0..3000).map(one).collect::<Vec<_>>(), 0.95).unwrap();
    let pairs: Vec<(usize, usize)> = answer.preferences.iter().map(|it| (it.first, it.second)).collect();
    assert_eq!(pairs, [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]);
    for preference in &answer.preferences {
        assert_eq!(preference.wins + preference.losses + preference.ties, 3000);
        assert!(preference.p <= preference.adjusted_p && preference.anytime_p <= preference.adjusted_anytime_p);
        assert!(preference.first != 0 || (preference.delta > 0.0 && preference.adjusted_p < 0.01), "{preference:?}");
    }
}

#[test]
fn credit_by_hand() {
    let shown = vec![
        Shown { document: 5, team: None },
        Shown { document: 6, team: Some(1) },
        Shown { document: 7, team: Some(0) },
        Shown { document: 8, team: Some(1) },
    ];
    let credit = |clicked: &[u64]| impression(0, 2, shown.clone(), clicked.to_vec()).credit();
    assert_eq!(credit(&[]), Ok(vec![0, 0]));
    assert_eq!(credit(&[5, 8, 6, 8, 8]), Ok(vec![0, 2]));
    assert_eq!(credit(&[7]), Ok(vec![1, 0]));
    assert_eq!(credit(&[7, 9]), Err(InterleaveError::UnknownClick { id: "0".into(), click: 1 }));
    let log = [impression(0, 2, shown.clone(), vec![7]), impression(1, 2, shown.clone(), vec![5])];
    let answer = compare(&log, 0.95).unwrap();
    let it = &answer.preferences[0];
    assert_eq!((it.wins, it.losses, it.ties, it.delta, it.win_share, it.p), (1, 0, 1, 0.25, 1.0, 1.0));
    let none = compare(&log[1..], 0.95).unwrap();
    assert_eq!((none.preferences[0].win_share, none.preferences[0].interval), (0.5, (0.0, 1.0)));
}

#[test]
fn wrong_input_is_named() {
    assert_eq!(team_draft::<u64>(&[&[1]], 3, 0), Err(InterleaveError::TooFewRankings(1)));
    assert_eq!(team_draft(&[&[1u64], &[2, 3, 2]], 3, 0), Err(InterleaveError::Duplicate { ranking: 1, position: 2 }));
    assert_eq!(draft(&[vec![], vec![]], 3, 0), []);
    assert_eq!(compare::<u64>([], 0.95), Err(InterleaveError::NoImpressions));
    let one = impression(0, 2, vec![Shown { document: 1, team: Some(2) }], vec![]);
    assert!(matches!(compare([&one], 0.95), Err(InterleaveError::UnknownTeam { team: 2, teams: 2, .. })));
    assert!(matches!(compare([&one], 1.0), Err(InterleaveError::Setting { name: "confidence", .. })));
    let (two, three) = (impression(0, 2, vec![], vec![]), impression(1, 3, vec![], vec![]));
    assert_eq!(compare([&two, &three], 0.95), Err(InterleaveError::OtherTeams { id: "1".into() }));
    assert_eq!(compare([&impression(0, 1, vec![], vec![])], 0.95), Err(InterleaveError::TooFewRankings(1)));
}

/// The log of a service: a change of what is drawn or written would show here.
#[test]
fn impressions_are_drawn_and_written_as_ever() {
    let rankings: [Vec<String>; 2] =
        [["a", "b", "c", "d", "e"], ["a", "e", "c", "f", "b"]].map(|ids| ids.map(str::to_owned).to_vec());
    let mut lines = String::new();
    for id in ["first", "second", "third"] {
        let shown = team_draft(&[&rankings[0], &rankings[1]], 5, impression_seed("golden", id)).unwrap();
        let clicked = vec![shown[1].document.clone()];
        let one = Impression { id: id.into(), teams: vec!["dense".into(), "lexical".into()], shown, clicked };
        lines += &(serde_json::to_string(&one).unwrap() + "\n");
    }
    let golden = include_str!("fixtures/impressions.jsonl");
    assert_eq!(lines, golden);
    for (line, written) in golden.lines().zip(lines.lines()) {
        let read: Impression<String> = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), written);
        assert_eq!(read.credit().unwrap().iter().sum::<u32>(), 1);
    }
    let without_clicks = r#"{"id":"x","teams":["a","b"],"shown":[],"user":"ignored"}"#;
    assert_eq!(serde_json::from_str::<Impression>(without_clicks).unwrap().clicked, [0u64; 0]);
    assert_ne!(impression_seed("ab", "c"), impression_seed("a", "bc"));
}

/// A log of lists in random order, of documents with a click chance of their own at each position.
fn random_log(lists: usize, random: &mut SmallRng) -> Vec<Logged> {
    let one = |at: usize| {
        let mut documents: Vec<u64> = (0..5).collect();
        documents.shuffle(random);
        let slot = |(position, document): (usize, u64)| LoggedSlot {
            document,
            propensity: 0.2,
            clicked: random.random_bool(chance(document, position)),
        };
        Logged { id: at.to_string(), shown: documents.into_iter().enumerate().map(slot).collect() }
    };
    (0..lists).map(one).collect()
}

fn chance(document: u64, position: usize) -> f64 {
    0.5 / (1.0 + document as f64) / (1.0 + position as f64 / 2.0)
}

#[test]
fn replay_estimates_a_ranker_that_was_not_shown() {
    let mut random = SmallRng::seed_from_u64(5);
    let ranking = [2u64, 0, 1, 3, 4];
    let truth: f64 = ranking.iter().enumerate().take(3).map(|(at, &document)| chance(document, at)).sum();
    let (rounds, mut sum, mut covered) = (500, 0.0, 0);
    for _ in 0..rounds {
        let log = random_log(400, &mut random);
        let answer = replay(log.iter().map(|logged| (logged, &ranking[..])), 3).unwrap();
        // A fifth of the lists agrees at each position.
        assert!(
            answer
                .matched
                .iter()
                .zip(&answer.effective)
                .all(|(&n, e)| (40..=120).contains(&n) && (n as f64 - e).abs() < 1e-9)
        );
        sum += answer.clicks;
        covered += u32::from(answer.interval.0 <= truth && truth <= answer.interval.1);
    }
    let (mean, covered) = (sum / f64::from(rounds), f64::from(covered) / f64::from(rounds));
    assert!((mean - truth).abs() < 0.015, "{mean} {truth}");
    assert!((0.92..=0.99).contains(&covered), "{covered}");
}

#[test]
fn replay_weighs_by_propensity() {
    // A logging ranker that shows document 1 nine times of ten and is clicked more on it.
    let mut random = SmallRng::seed_from_u64(6);
    let shows_first = |at: usize, first: bool, random: &mut SmallRng| {
        let (document, propensity) = if first { (1u64, 0.9) } else { (2, 0.1) };
        let clicked = random.random_bool(if first { 0.6 } else { 0.3 });
        Logged { id: at.to_string(), shown: vec![LoggedSlot { document, propensity, clicked }] }
    };
    let log: Vec<Logged> = (0..20_000)
        .map(|at| {
            let first = random.random_bool(0.9);
            shows_first(at, first, &mut random)
        })
        .collect();
    // A new ranker that shows document 1 to every second user: its truth is the mean of both.
    let answers = [[1u64], [2]];
    let answer = replay(log.iter().enumerate().map(|(at, logged)| (logged, &answers[at % 2][..])), 1).unwrap();
    assert!((answer.clicks - 0.45).abs() < 3.5 * answer.standard_error, "{answer:?}");
    assert!(answer.standard_error < 0.015 && answer.effective[0] < answer.matched[0] as f64 / 2.0);
}

#[test]
fn replay_by_hand_and_its_errors() {
    let logged = |document: u64, propensity: f64, clicked: bool| Logged {
        id: "x".into(),
        shown: vec![LoggedSlot { document, propensity, clicked }],
    };
    let run = |log: &[Logged], ranking: &[u64], depth| replay(log.iter().map(|logged| (logged, ranking)), depth);
    let log = [logged(1, 0.5, true), logged(1, 0.25, false), logged(2, 0.5, true)];
    let answer = run(&log, &[1], 1).unwrap();
    // Weights 2 and 4, the lighter one clicked; the cautious error holds with so few.
    assert_eq!((answer.clicks, answer.matched, answer.effective), (2.0 / 6.0, vec![2], vec![36.0 / 20.0]));
    let none = run(&[logged(1, 0.5, false)], &[1], 1).unwrap();
    assert!(none.clicks == 0.0 && none.interval.1 > 0.3, "one miss is no proof: {none:?}");
    assert_eq!(run(&[], &[1], 1), Err(InterleaveError::NoImpressions));
    assert_eq!(run(&log, &[3], 1), Err(InterleaveError::NoMatch { position: 0 }));
    assert!(matches!(run(&log, &[1, 2], 2), Err(InterleaveError::Depth { field: "shown", found: 1, depth: 2, .. })));
    assert!(matches!(run(&log, &[], 1), Err(InterleaveError::Depth { field: "ranking", .. })));
    assert!(matches!(run(&log, &[1], 0), Err(InterleaveError::Setting { name: "depth", .. })));
    for propensity in [0.0, 1.1, f64::NAN, 1e-320] {
        assert!(matches!(
            run(&[logged(1, propensity, true)], &[1], 1),
            Err(InterleaveError::Propensity { position: 0, .. })
        ));
    }
    let line = r#"{"id":"x","shown":[{"document":1,"propensity":0.5,"clicked":true}]}"#;
    assert_eq!(serde_json::to_string(&log[0]).unwrap(), line);
    assert_eq!(serde_json::from_str::<Logged>(line).unwrap(), log[0]);
}
