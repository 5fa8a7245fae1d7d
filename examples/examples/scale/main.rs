//! How the engine grows: documents a second, time of a query on one thread, memory and disk, for any number of documents.
//!
//! ```sh
//! cargo run --release -p rag-examples --example scale -- --documents 10000
//! cargo run --release -p rag-examples --example scale -- --documents 100000 --text FOLDER --json
//! ```
//!
//! Each number of documents wants a process of its own, since the peak of the memory is that of the whole process. With
//! `--data FOLDER` what was indexed stays; `--search-only` then measures the queries alone, and the memory they need.

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod arguments;
mod corpus;
mod measure;
mod ranking;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use rag_core::config::EngineConfig;
use rag_core::engine::{Mode, SearchRequest};
use rag_core::{Engine, Scope};
use serde_json::json;

use arguments::Arguments;
use corpus::Corpus;
use measure::{Stopwatch, millis, peak_memory, percentile, processor_seconds, processor_time};

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let repository = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let roots = if arguments.text.is_empty() { vec![repository] } else { arguments.text.clone() };
    let corpus = Corpus::read(&roots)?;
    eprintln!("{} sentences of text", corpus.sentences());
    let temporary = tempfile::tempdir()?;
    let folder = arguments.data.clone().unwrap_or_else(|| temporary.path().to_owned());

    let mut report = json!({"documents": arguments.documents, "sentences": corpus.sentences()});
    if !arguments.search_only {
        report["index"] = index(&arguments, &corpus, &folder)?;
    }
    report["search"] = search(&arguments, &corpus, &folder)?;
    report["peak_bytes"] = peak_memory();
    if arguments.json {
        println!("{report:#}");
    } else {
        measure::print_flat("", &report);
    }
    Ok(())
}

/// Indexes everything; making the documents is not counted.
fn index(arguments: &Arguments, corpus: &Corpus, folder: &Path) -> Result<serde_json::Value> {
    let stopwatch = Arc::new(Stopwatch::default());
    let mut config = EngineConfig::default();
    config.runtime.threads = arguments.threads;
    let engine = Engine::builder().config(config).telemetry(stopwatch.clone()).open(folder)?;
    let scope = Scope::default();
    let (mut documents, mut staged, mut done) = (corpus.documents(), 0, 0);
    let (mut upserting, mut committing, mut making) = (0.0, Vec::new(), 0.0);
    let processor = processor_seconds();
    while done < arguments.documents {
        let start = processor_time();
        let batch: Vec<_> = documents.by_ref().take(arguments.batch.min(arguments.documents - done)).collect();
        making += processor_time().saturating_sub(start).as_secs_f64();
        done += batch.len();
        staged += batch.len();
        let start = Instant::now();
        engine.upsert(&scope, batch)?;
        upserting += start.elapsed().as_secs_f64();
        if staged >= arguments.commit_every || done == arguments.documents {
            let start = Instant::now();
            engine.commit()?;
            committing.push(start.elapsed().as_secs_f64());
            staged = 0;
        }
    }
    let stats = engine.stats(&scope)?;
    let commits: f64 = committing.iter().sum();
    Ok(json!({
        "documents_per_second": (done as f64 / (upserting + commits)).round(),
        "seconds": upserting + commits,
        "processor_seconds": processor_seconds() - processor - making,
        "upsert_seconds": upserting,
        "commit_seconds": commits,
        "commits": committing.len(),
        "last_commit_seconds": committing.last(),
        "stage_seconds": stopwatch.seconds(),
        "chunks": stats.chunks_total,
        "peak_bytes": peak_memory(),
    }))
}

/// Opens the folder again and searches it on one thread.
fn search(arguments: &Arguments, corpus: &Corpus, folder: &Path) -> Result<serde_json::Value> {
    let start = Instant::now();
    let mut config = EngineConfig::default();
    config.runtime.threads = 1;
    let engine = Engine::builder().config(config).open(folder)?;
    let open = start.elapsed();
    let scope = Scope::default();
    let questions = corpus.questions(arguments.queries);
    let stats = engine.stats(&scope)?;
    let mut report = json!({
        "open_ms": millis(open),
        "documents": stats.documents,
        "chunks": stats.chunks_total,
        "disk_bytes": {
            "store": stats.bytes.store, "lexical": stats.bytes.lexical, "vectors": stats.bytes.vectors,
            "all": stats.bytes.store + stats.bytes.lexical + stats.bytes.vectors,
        },
    });
    for (name, mode) in [("lexical", Mode::Lexical), ("dense", Mode::Dense), ("hybrid", Mode::Hybrid)] {
        let mut times = Vec::with_capacity(questions.len());
        let stopwatch = Stopwatch::default();
        // The first tenth is run once before, so that no query pays for the first look at a page.
        for question in &questions[..questions.len() / 10] {
            engine.search(&scope, &SearchRequest::new(question.as_str(), 10).with_mode(mode))?;
        }
        let processor = processor_time();
        for question in &questions {
            let request = SearchRequest::new(question.as_str(), 10).with_mode(mode);
            let start = Instant::now();
            let answer = engine.search(&scope, &request)?;
            times.push(start.elapsed());
            answer.stages.iter().for_each(|&(stage, took)| stopwatch.add(stage, took));
        }
        let processor = processor_time().saturating_sub(processor) / questions.len().max(1) as u32;
        times.sort_unstable();
        let at = |share: f64| millis(percentile(&times, share));
        report[name] = json!({
            "p50_ms": at(0.5), "p95_ms": at(0.95), "p99_ms": at(0.99), "max_ms": at(1.0),
            "processor_mean_ms": millis(processor),
            "stage_seconds": stopwatch.seconds(),
        });
    }
    drop(engine);
    report["ranking"] = ranking::ranking(folder, &questions)?;
    let engine = Engine::open(folder)?;
    report["change"] = change(&engine, corpus)?;
    Ok(report)
}

/// What one changed document costs from `upsert` to visible, each in a commit of its own.
fn change(engine: &Engine, corpus: &Corpus) -> Result<serde_json::Value> {
    let mut times = Vec::new();
    for mut document in corpus.documents().take(20) {
        // The number of the commit makes this a change in every run over the same folder.
        let commit = engine.stats(&Scope::default())?.commit_seq;
        document.text = format!("{} Changed after commit {commit}.", document.text);
        let start = Instant::now();
        engine.upsert(&Scope::default(), vec![document])?;
        engine.commit()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(json!({"p50_ms": millis(percentile(&times, 0.5)), "max_ms": millis(percentile(&times, 1.0))}))
}
