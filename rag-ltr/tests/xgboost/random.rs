//! Equal to XGBoost on models with random parameters, made by the real package while the test runs.
//!
//! `RAG_TEST_PYTHON` names a Python that has the packages of `fixtures/make_xgboost.py`, `RAG_TEST_ITERATIONS` the number of
//! models (100 without it) and `RAG_TEST_SEED` the first seed (1).

use std::path::Path;
use std::process::Command;

use crate::cases::Case;
use crate::setting;

#[test]
#[ignore = "trains with the real package; the extended lane runs it"]
fn random_models_answer_as_xgboost_does() {
    let Ok(python) = std::env::var("RAG_TEST_PYTHON") else {
        eprintln!("skipped: RAG_TEST_PYTHON names no Python with xgboost");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/make_xgboost.py");
    let first = setting("RAG_TEST_SEED", 1);
    let count = setting("RAG_TEST_ITERATIONS", 100);
    let seeds = format!("{first}:{}", first + count);
    let made = Command::new(python).arg(script).args(["--random", &seeds]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let made = String::from_utf8(made.stdout).unwrap();
    let cases: Vec<Case> = made.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(cases.len() as u64, count);
    cases.iter().for_each(Case::check);
    let rows: usize = cases.iter().map(|case| case.margins.len()).sum();
    eprintln!("{count} models and {rows} rows from seed {first} on");
}
