//! Equal to ranx 0.3.21, whose answers are in fixtures/ranx.json (made by fixtures/ranx_fixtures.py).
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)]

use std::collections::BTreeMap;

use rag_fusion::learned::{Judged, bayes_fuse, map_fuse, pos_fuse, prob_fuse, seg_fuse, slide_fuse};
use rag_fusion::{Method, Normalization, Parameters, Run, Weighted, fuse};
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
struct Fixtures {
    sets: Vec<Set>,
}

#[derive(Deserialize)]
struct Set {
    name: String,
    queries: Vec<Query>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Query {
    /// In the order that ranx gave the hits.
    runs: Vec<Vec<(String, f64)>>,
    documents: Vec<String>,
    relevant: Vec<String>,
}

#[derive(Deserialize)]
struct Case {
    norm: Option<String>,
    method: String,
    params: Map<String, Value>,
    /// Of each query, in the order of its documents.
    scores: Vec<Vec<f64>>,
}

/// The method of a case, learnt from the judgments where it is learnt; and what ranx learnt.
fn method_of(case: &Case, judged: &[Vec<Judged>]) -> (Method, Option<Vec<f64>>) {
    let numbers = |value: &Value| -> Vec<f64> {
        fn flat(value: &Value, all: &mut Vec<f64>) {
            match value {
                Value::Array(items) => items.iter().for_each(|item| flat(item, all)),
                number => all.push(number.as_f64().unwrap()),
            }
        }
        let mut all = Vec::new();
        flat(value, &mut all);
        all
    };
    let (method, learnt) = match &*case.method {
        "bayesfuse" => (bayes_fuse(judged), "log_odds"),
        "mapfuse" => (map_fuse(judged), "map_scores"),
        "posfuse" => (pos_fuse(judged), "probs"),
        "probfuse" => (prob_fuse(judged, 4), "probs"),
        "segfuse" => (seg_fuse(judged), "probs"),
        "slidefuse" => (slide_fuse(judged, 2), "probs"),
        name => {
            let of = |name: &str| case.params.get(name).and_then(Value::as_f64);
            let parameters = Parameters { k: of("k"), sigma: of("sigma"), gamma: of("gamma"), phi: of("phi") };
            (Method::from_name(name, parameters), "")
        }
    };
    (method.unwrap(), case.params.get(learnt).map(numbers))
}

fn learnt_here(method: &Method) -> Vec<f64> {
    match method {
        Method::BayesFuse { log_odds: all }
        | Method::PosFuse { probs: all }
        | Method::ProbFuse { probs: all }
        | Method::SegFuse { probs: all }
        | Method::SlideFuse { probs: all, .. } => all.concat(),
        Method::MapFuse { map_scores } => map_scores.clone(),
        _ => Vec::new(),
    }
}

#[test]
fn every_score_is_that_of_ranx() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/ranx.json")).unwrap();
    let fixtures: Fixtures = serde_json::from_str(&text).unwrap();
    let mut furthest: BTreeMap<String, (usize, f64)> = BTreeMap::new();
    for set in &fixtures.sets {
        let runs = set.queries[0].runs.len();
        let judged: Vec<Vec<Judged>> = (0..runs)
            .map(|run| {
                let of = |query: &Query| Judged {
                    hits: query.runs[run].iter().map(|(id, _)| query.relevant.contains(id)).collect(),
                    relevant: query.relevant.len(),
                };
                set.queries.iter().map(of).collect()
            })
            .collect();
        for case in &set.cases {
            let (method, learnt) = method_of(case, &judged);
            for (here, there) in learnt_here(&method).iter().zip(learnt.unwrap_or_default()) {
                assert!((here - there).abs() < 1e-12, "{} learns {here}, ranx {there}", case.method);
            }
            let norm = case.norm.as_deref().unwrap_or("none");
            // Lower is better: the opposite of the scores, in the opposite order.
            let is_inverted = norm == "min-max-inverted";
            let normalization = Normalization::from_name(if is_inverted { "min-max" } else { norm }).unwrap();
            let weights: Option<Vec<f64>> =
                case.params.get("weights").map(|weights| serde_json::from_value(weights.clone()).unwrap());
            for (query, expected) in set.queries.iter().zip(&case.scores) {
                let runs: Vec<Run<&str>> = query
                    .runs
                    .iter()
                    .map(|hits| {
                        let signed = |sign: f64| hits.iter().map(move |(id, score)| (&**id, sign * score));
                        let run =
                            if is_inverted { Run::new("run", signed(-1.0)) } else { Run::ranked("run", signed(1.0)) };
                        run.unwrap()
                    })
                    .collect();
                let weight = |run: usize| weights.as_ref().map_or(1.0, |weights| weights[run]);
                let weighted: Vec<Weighted<'_, &str>> =
                    runs.iter().enumerate().map(|(number, run)| Weighted::new(run, weight(number))).collect();
                let fused = fuse(&weighted, &method, &normalization, usize::MAX).unwrap();
                assert_eq!(fused.hits().len(), query.documents.len());
                for hit in fused.hits() {
                    let at = query.documents.iter().position(|id| id == hit.id).unwrap();
                    let difference = (hit.score - expected[at]).abs() / expected[at].abs().max(1.0);
                    let what =
                        format!("{}, {norm}, {}, {}: {} {}", set.name, case.method, hit.id, hit.score, expected[at]);
                    assert!(difference < 1e-9, "{what}");
                    let entry = furthest.entry(case.method.clone()).or_default();
                    *entry = (entry.0 + 1, entry.1.max(difference));
                }
            }
        }
    }
    println!("scores compared and the largest difference, by method: {furthest:#?}");
    assert!(furthest.len() >= 24, "{furthest:?}");
}
