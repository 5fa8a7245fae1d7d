//! The real LightGBM, asked on the spot. `RAG_TEST_PYTHON` is a Python that has it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rag_ltr::Rows;
use rag_ltr::model::Ensemble;
use rag_ltr::random::SplitMix64;
use serde_json::{Value as Json, json};

use crate::cases::{Case, doubles};
use crate::parity::fixture;
use crate::written::{assert_same, synthetic, values};

fn python() -> Option<Command> {
    let Some(python) = std::env::var_os("RAG_TEST_PYTHON") else {
        eprintln!("skipped: RAG_TEST_PYTHON names no Python that has lightgbm");
        return None;
    };
    let script: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/make_lightgbm.py");
    let mut command = Command::new(python);
    command.arg(script).stderr(Stdio::inherit());
    Some(command)
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// What LightGBM answers for each text and its rows.
fn check(mut python: Command, questions: &[Json]) -> Vec<Json> {
    let mut child = python.arg("--check").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let lines: String = questions.iter().map(|question| format!("{question}\n")).collect();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn question(name: &str, ensemble: &Ensemble, values: &[f32]) -> Json {
    let text = ensemble.to_lightgbm().unwrap_or_else(|error| panic!("{name}: {error}"));
    let rows: String = values.iter().flat_map(|value| value.to_le_bytes()).map(|byte| format!("{byte:02x}")).collect();
    json!({ "name": name, "columns": ensemble.parts().columns, "text": text, "rows": rows })
}

fn assert_loads_and_agrees(ensemble: &Ensemble, values: &[f32], answer: &Json) {
    let name = answer["name"].as_str().unwrap();
    let margins =
        answer["margins"].as_str().unwrap_or_else(|| panic!("{name}: {}\n{}", answer["error"], answer["text"]));
    let rows = Rows::new(values, ensemble.parts().columns).unwrap();
    assert_same(name, &ensemble.margins(rows).unwrap(), &doubles(margins));
}

/// `RAG_TEST_SEED` and `RAG_TEST_CASES` choose others.
#[test]
#[ignore = "trains in Python, for minutes; the extended lane runs it"]
fn random_models_of_lightgbm_score_to_the_bit() {
    let Some(mut python) = python() else { return };
    let (seed, count) = (setting("RAG_TEST_SEED", 1), setting("RAG_TEST_CASES", 150));
    let output = python.args(["--random", &seed.to_string(), &count.to_string()]).output().unwrap();
    assert!(output.status.success());
    let cases: Vec<Case> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(cases.len() as u64, count);
    cases.iter().for_each(Case::check);
}

#[test]
#[ignore = "asks LightGBM in Python; the extended lane runs it"]
fn lightgbm_loads_what_is_written_and_scores_the_same() {
    let Some(python) = python() else { return };
    let mut random = SplitMix64::new(setting("RAG_TEST_SEED", 1));
    let written =
        (0..setting("RAG_TEST_CASES", 150)).map(|round| (format!("synthetic {round}"), synthetic(&mut random)));
    let mut asked: Vec<(String, Ensemble)> = written.collect();
    asked.extend(fixture("v4").into_iter().chain(fixture("v3")).map(|case| (case.name.clone(), case.read())));
    let mut random = SplitMix64::new(2);
    let asked: Vec<(String, Ensemble, Vec<f32>)> = asked
        .into_iter()
        .map(|(name, ensemble)| {
            let values = values(&mut random, 50 * ensemble.parts().columns);
            (name, ensemble, values)
        })
        .collect();
    let questions: Vec<Json> = asked.iter().map(|(name, ensemble, values)| question(name, ensemble, values)).collect();
    let answers = check(python, &questions);
    assert_eq!(answers.len(), asked.len());
    for ((_, ensemble, values), answer) in asked.iter().zip(&answers) {
        assert_loads_and_agrees(ensemble, values, answer);
    }
}
