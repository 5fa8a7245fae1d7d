//! How long single questions take, one after the other: the measure that the bindings are held against
//! (bindings/parity/overhead.py).
//!
//! ```sh
//! cargo run --release -p rag-examples --example latency -- DATA QUESTIONS [ROUNDS]
//! ```
//!
//! `DATA` is a data folder, `QUESTIONS` a file with a question a line. Without arguments it makes a small folder of its own.

#![allow(clippy::print_stdout)]

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use rag_core::engine::SearchRequest;
use rag_core::{Document, Engine, Scope};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let temporary = tempfile::tempdir()?;
    let (data, questions) = match arguments.as_slice() {
        [] => (temporary.path().join("data"), "bread\nsnow\n".to_owned()),
        [data, questions, ..] => (PathBuf::from(data), std::fs::read_to_string(questions)?),
        [_] => anyhow::bail!("give a data folder and a file of questions"),
    };
    let rounds: usize = arguments.get(2).map_or(Ok(5), |rounds| rounds.parse())?;
    let (engine, scope) = (Engine::open(data)?, Scope::default());
    if arguments.is_empty() {
        let texts = ["Rye bread keeps for a week.", "Snow closes the pass."];
        let documents = texts.iter().enumerate().map(|(i, text)| Document::new(i.to_string(), *text));
        engine.upsert(&scope, documents.collect())?;
        engine.commit()?;
    }
    let mut times = Vec::new();
    for round in 0..=rounds {
        for question in questions.lines() {
            let begun = Instant::now();
            engine.search(&scope, &SearchRequest::new(question, 10))?;
            if round > 0 {
                times.push(begun.elapsed().as_secs_f64() * 1e6); // the first round fills the caches
            }
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).context("there are no questions");
    println!("{{\"median_us\": {:.1}, \"p95_us\": {:.1}}}", at(0.5)?, at(0.95)?);
    Ok(())
}
