//! The cases of `bindings/parity` through Rust and through the command, held against each other and against what was
//! blessed; see the README there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod command;
#[path = "../common/mod.rs"]
mod common;
mod gate;
mod library;
mod ltr;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

/// What one step gave, by its name: `{"result": …}` or `{"error": {"kind": …, "message": …}}`.
type Outcome = (String, Json);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../parity")
}

fn read(name: &str) -> Json {
    let path = folder().join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// The steps that `who` runs, with `$documents` put in.
fn steps(cases: &Json, who: &str) -> Vec<Json> {
    let runs = |step: &&Json| step.get("only").is_none_or(|only| only.as_array().unwrap().contains(&json!(who)));
    let mut steps: Vec<Json> = cases["steps"].as_array().unwrap().iter().filter(runs).cloned().collect();
    for step in &mut steps {
        if step["with"]["documents"] == "$documents" {
            step["with"]["documents"] = cases["documents"].clone();
        }
    }
    steps
}

fn outcome(step: &Json, result: Result<Json, rag_core::Error>) -> Outcome {
    let told = match result {
        Ok(result) => json!({"result": result}),
        Err(error) => json!({"error": {"kind": error.kind().as_str(), "message": error.to_string()}}),
    };
    (step["name"].as_str().unwrap().to_owned(), told)
}

/// One outcome a line, so that a difference is found by the eye.
fn written(outcomes: &[Outcome]) -> String {
    let lines: Vec<String> = outcomes.iter().map(|(name, told)| format!(" {}: {told}", json!(name))).collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

/// Whether both are the same, numbers by `same`.
fn alike(a: &Json, b: &Json, same: fn(f64, f64) -> bool) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => same(a.as_f64().unwrap(), b.as_f64().unwrap()),
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b, same)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| alike(a, b, same)))
        }
        _ => a == b,
    }
}

#[test]
fn rust_gives_what_was_blessed_and_the_command_gives_the_same() {
    let cases = read("cases.json");
    let ours: Vec<Outcome> = library::run(&steps(&cases, "rust"));
    if let Some(path) = std::env::var_os("RAG_PARITY") {
        std::fs::write(path, written(&ours)).unwrap();
    }
    if std::env::var_os("RAG_PARITY_BLESS").is_some() {
        std::fs::write(folder().join("expected.json"), written(&ours)).unwrap();
    }
    let expected = read("expected.json");
    let names: Vec<&String> = ours.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), expected.as_object().unwrap().len(), "steps came or went: bless them");
    for (name, told) in &ours {
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-5 * a.abs().max(1.0);
        assert!(alike(told, &expected[name], near), "{name}: {told}\nwas: {}", expected[name]);
    }
    for (name, told) in command::run(&steps(&cases, "cli")) {
        let (_, wanted) = ours.iter().find(|(ours, _)| *ours == name).unwrap();
        // The command prints floats of 32 bits as such.
        assert!(alike(&told, wanted, |a, b| a as f32 == b as f32), "{name}: {told}\nin Rust: {wanted}");
    }
}

#[test]
fn every_method_of_the_engine_has_a_step() {
    let cases = read("cases.json");
    let steps = cases["steps"].as_array().unwrap().iter().map(|step| step["call"].as_str().unwrap());
    let exempt = cases["exempt"].as_object().unwrap().keys().map(String::as_str);
    let called: BTreeSet<&str> = steps.chain(exempt).collect();
    // Ways to make one, variants with a deadline, and what the settings and the model are.
    let others = ["builder", "upsert_with", "check", "search_then", "config", "embedder"];
    let source = include_str!("../../../../rag-core/src/engine/mod.rs");
    let methods: Vec<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("    pub fn "))
        .filter_map(|rest| rest.split(['(', '<']).next())
        .filter(|name| !others.contains(name))
        .collect();
    assert!(methods.len() > 10, "{methods:?}");
    for method in methods {
        assert!(
            called.contains(format!("Engine.{method}").as_str()),
            "no step calls Engine.{method}, nor is it exempt"
        );
    }
}
