//! Tuning against the naive way: every formula at every weight through the engine itself.

use std::collections::BTreeMap;

use rag_ltr::metrics::{GradedRanking, Metric};

use super::ranking::with;
use super::*;
use crate::tune::{FusionChoice, JudgedQuery, TuneOptions};

const WORDS: [&str; 8] = ["snow", "road", "bread", "bakery", "winter", "pass", "oven", "flour"];

fn documents() -> Vec<Document> {
    let words = |i: usize| {
        let words = (0..4).map(|at| WORDS[(i * 7 + at * (i % 3 + 1)) % WORDS.len()]);
        words.collect::<Vec<_>>().join(" ")
    };
    (0..40).map(|i| Document::new(format!("d{i:02}"), format!("{} {i}", words(i)))).collect()
}

fn queries() -> Vec<JudgedQuery> {
    let grades = |i: usize| BTreeMap::from([(format!("d{:02}", i * 3 % 40), 2), (format!("d{:02}", i * 5 % 40), 1)]);
    let text = |i: usize| format!("{} {}", WORDS[i % 8], WORDS[(i * 3 + 1) % 8]);
    (0..12).map(|i| JudgedQuery::new(text(i), grades(i))).collect()
}

fn filled(folder: &Path, change: impl FnOnce(&mut EngineConfig)) -> Engine {
    let engine = with(folder, change);
    engine.upsert(&Scope::default(), documents()).unwrap();
    engine.commit().unwrap();
    engine
}

fn options() -> TuneOptions {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let (methods, normalizations) = (names(&["convex", "rrf", "mnz"]), names(&["min_max", "z_score"]));
    TuneOptions { methods, normalizations, step: 0.25, folds: 3, few_queries: 0, ..TuneOptions::default() }
}

/// The mean of an engine that is opened with a choice.
fn measured(choice: &FusionChoice) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let engine = filled(folder.path(), |config| {
        let fusion = &mut config.fusion;
        (fusion.method, fusion.normalization) = (choice.method.clone(), choice.normalization.clone());
        (fusion.k, fusion.dense_weight) = (choice.k, Some(choice.dense_weight as f32));
    });
    let values = queries().into_iter().map(|query| {
        let answer = engine.search(&Scope::default(), &SearchRequest::new(&query.text, 40)).unwrap();
        let ids: Vec<String> = answer.hits.into_iter().map(|hit| hit.id).collect();
        GradedRanking::of(&ids, &query.grades).value(Metric::ndcg_at(10), 1)
    });
    values.sum::<f64>() / 12.0
}

#[test]
fn what_is_chosen_is_what_the_engine_would_rank_best_with() {
    let folder = tempfile::tempdir().unwrap();
    let engine = filled(folder.path(), |_| {});
    let report = engine.tune(&Scope::default(), &queries(), &options()).unwrap();
    assert_eq!(report.formulas.len(), 2 + 4 + 2, "convex and mnz on two scales, rrf with four constants");
    let mut best = f64::MIN;
    for formula in &report.formulas {
        let found = measured(&formula.choice);
        assert!((found - formula.best).abs() < 1e-9, "{formula:?}: {found}");
        best = best.max(found);
    }
    assert!((report.chosen_mean - best).abs() < 1e-9 && (measured(&report.chosen) - best).abs() < 1e-9);
    assert!((measured(&report.in_use) - report.baselines[3].mean).abs() < 1e-9, "{:?}", report.in_use);
    for point in &report.curve {
        let choice = FusionChoice { dense_weight: point.dense_weight, ..report.chosen.clone() };
        assert!((measured(&choice) - point.mean).abs() < 1e-9, "{point:?}");
    }
    assert!(report.held_out.mean <= report.chosen_mean + 1e-12);
    let difference = report.held_out.mean - report.baselines[0].mean;
    assert!((report.comparisons[0].difference - difference).abs() < 1e-12);
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<crate::tune::TuneReport>(&json).unwrap(), report);
}

#[test]
fn the_written_configuration_is_the_chosen_one_and_says_where_it_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let report = filled(folder.path(), |_| {}).tune(&Scope::default(), &queries(), &options()).unwrap();
    let toml = report.to_toml("twelve queries\nof a test");
    assert!(toml.starts_with("# Chosen by tuning on 12 judged queries: twelve queries of a test\n"), "{toml}");
    let settings: Vec<&str> = toml.lines().skip_while(|line| *line != "[engine.fusion]").collect();
    assert!(settings.contains(&&*format!("method = {:?}", report.chosen.method)), "{toml}");
    assert!(settings.contains(&&*format!("dense_weight = {:?}", report.chosen.dense_weight)), "{toml}");
    assert!(toml.lines().filter(|line| line.starts_with('#')).count() >= 6, "{toml}");
}

#[test]
fn threads_change_nothing_and_little_evidence_keeps_what_is_in_use() {
    let of = |threads: usize, few_queries: usize| {
        let folder = tempfile::tempdir().unwrap();
        let engine = filled(folder.path(), |config| config.runtime.threads = threads);
        engine.tune(&Scope::default(), &queries(), &TuneOptions { few_queries, ..options() }).unwrap()
    };
    assert_eq!(of(1, 0), of(4, 0));
    let careful = of(2, 30);
    assert!(careful.few_queries);
    let distance = |report: &crate::tune::TuneReport| (report.chosen.dense_weight - report.in_use.dense_weight).abs();
    assert!(distance(&careful) <= distance(&of(2, 0)), "{careful:?}");
}

#[test]
fn wrong_input_names_its_field() {
    type Spoil = fn(&mut TuneOptions);
    let folder = tempfile::tempdir().unwrap();
    let engine = filled(folder.path(), |_| {});
    let scope = Scope::default();
    let refused = |queries: &[JudgedQuery], change: fn(&mut TuneOptions)| {
        let mut options = options();
        change(&mut options);
        engine.tune(&scope, queries, &options).unwrap_err()
    };
    let cases: [(Spoil, &str); 6] = [
        (|o| o.folds = 1, "`folds` is 1 with 12 judged queries"),
        (|o| o.folds = 13, "`folds` is 13"),
        (|o| o.step = 0.3, "`step` is 0.3"),
        (|o| o.methods = vec!["mean".to_owned()], "`method` is \"mean\""),
        (|o| o.normalizations = vec!["mean".to_owned()], "`fusion.normalization` is \"mean\""),
        (|o| o.methods.clear(), "`methods` or `normalizations` is empty"),
    ];
    for (spoil, words) in cases {
        let error = refused(&queries(), spoil);
        assert!(error.kind() == ErrorKind::InvalidArgument && error.to_string().contains(words), "{error}");
    }
    assert!(refused(&[], |_| {}).to_string().contains("with 0 judged queries"));
    let mut unjudged = queries();
    unjudged[3].grades.clear();
    assert!(refused(&unjudged, |_| {}).to_string().contains("`queries[3].grades` has no relevant document"));
    let mut elsewhere = queries();
    for query in &mut elsewhere {
        query.grades = BTreeMap::from([("other".to_owned(), 1)]);
    }
    assert!(refused(&elsewhere, |_| {}).to_string().contains("is in the folder, such as \"other\""));
    let error = refused(&queries(), |o| {
        o.cancel = Cancel::never();
        o.cancel.cancel();
    });
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[test]
fn documents_that_are_not_there_count_as_never_found() {
    let folder = tempfile::tempdir().unwrap();
    let engine = filled(folder.path(), |_| {});
    let mut lost = queries();
    for query in &mut lost {
        query.grades.insert("gone".to_owned(), 3);
        query.grades.insert("lost".to_owned(), 3);
    }
    let [all, less] = [queries(), lost].map(|queries| engine.tune(&Scope::default(), &queries, &options()).unwrap());
    assert!(less.chosen_mean < all.chosen_mean * 0.8, "{} {}", less.chosen_mean, all.chosen_mean);
}
