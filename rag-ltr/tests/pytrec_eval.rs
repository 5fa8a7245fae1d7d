//! Equal to pytrec_eval within 1e-6, query by query, on runs full of ties, documents without a judgment, and queries that
//! only the judgments or only the run has. `fixtures/make_pytrec_eval.py` makes what is compared with.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rag_ltr::metrics::{Metric, MissingQueries, Qrels, TrecRun, evaluate};
use rag_ltr::trec::{read_beir_qrels, read_qrels, read_run};
use serde_json::Value as Json;

const TOLERANCE: f64 = 1e-6;

const COLLECTIONS: [&str; 7] = ["adi", "cacm", "cisi", "cranfield", "medline", "npl", "scifact"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pytrec_eval").join(name)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What pytrec_eval says: metrics, their means, and query → values.
struct Expected {
    metrics: Vec<Metric>,
    means: Vec<f64>,
    queries: BTreeMap<String, Vec<f64>>,
}

fn expected(name: &str) -> Expected {
    let json: Json = serde_json::from_str(&read(&fixture(&format!("{name}.json")))).unwrap();
    let numbers = |json: &Json| json.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
    Expected {
        metrics: json["metrics"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap().parse().unwrap())
            .collect(),
        means: numbers(&json["means"]),
        queries: json["queries"].as_object().unwrap().iter().map(|(id, row)| (id.clone(), numbers(row))).collect(),
    }
}

fn assert_equal(name: &str, qrels: &Qrels, run: &TrecRun) {
    let expected = expected(name);
    let evaluation = evaluate(qrels, run, &expected.metrics, MissingQueries::Skip);
    let evaluated: Vec<&str> = evaluation.iter().map(|(query, _)| query).collect();
    assert_eq!(evaluated, expected.queries.keys().map(String::as_str).collect::<Vec<_>>(), "{name}: queries");
    for (query, values) in evaluation.iter() {
        for ((metric, &value), &theirs) in expected.metrics.iter().zip(values).zip(&expected.queries[query]) {
            assert!((value - theirs).abs() <= TOLERANCE, "{name}, query {query}: {metric} is {value}, not {theirs}");
        }
    }
    for (&metric, &theirs) in expected.metrics.iter().zip(&expected.means) {
        let mean = evaluation.mean(metric).unwrap();
        assert!((mean - theirs).abs() <= TOLERANCE, "{name}: mean {metric} is {mean}, not {theirs}");
    }
    assert!(!evaluation.missing().is_empty() && !evaluation.unjudged().is_empty(), "{name} has both kinds of query");
}

#[test]
fn judgments_and_a_run_of_our_own() {
    let qrels = read_qrels(&read(&fixture("small.qrels"))).unwrap();
    let run = read_run(&read(&fixture("small.run"))).unwrap();
    assert_equal("small", &qrels, &run);
}

#[test]
fn every_collection_of_the_shared_data() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/ir");
    for name in COLLECTIONS {
        let path = root.join(name).join("qrels/test.tsv");
        if !path.is_file() {
            eprintln!("skipped: {} is absent", path.display());
            continue;
        }
        let qrels = read_beir_qrels(&read(&path)).unwrap();
        assert_equal(name, &qrels, &collection_run(&qrels));
    }
}

/// The run of `collection_run` in the script, to the last score.
fn collection_run(qrels: &Qrels) -> TrecRun {
    let judged: BTreeSet<&str> = qrels.iter().flat_map(|(_, documents)| documents.keys().map(String::as_str)).collect();
    let mut pool: Vec<String> = judged.into_iter().map(str::to_owned).collect();
    pool.extend((0..40).map(|number| format!("unjudged-{number}")));
    let mut run = TrecRun::new();
    run.insert_query("without-judgments", pool.iter().take(5).map(|document| (document, 1.0))).unwrap();
    for (query, grades) in qrels.iter().filter(|(query, _)| !hash64(&["missing", query]).is_multiple_of(8)) {
        let hits = pool.iter().filter_map(|document| {
            let bits = hash64(&["retrieved", query, document]);
            let grade = grades.get(document);
            let share = if grade.is_none() { 12 } else { 80 };
            (bits % 100 < share).then(|| (document, coarse_score(bits >> 16, grade.copied().unwrap_or(0))))
        });
        run.insert_query(query, hits).unwrap();
    }
    run
}

/// Sixteen steps of a quarter, two more for each grade, and often a part that 32 bits do not see.
fn coarse_score(bits: u64, grade: i32) -> f64 {
    ((bits % 16) as f64 + f64::from(2 * grade.max(0))) / 4.0 + ((bits >> 8) % 3) as f64 * 1e-9
}

/// FNV-1a over the parts, each ended by a zero byte, with the last step of SplitMix64 so that every bit counts.
fn hash64(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    let mut value =
        bytes.fold(0xCBF2_9CE4_8422_2325u64, |value, byte| (value ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}
