//! What the live gate costs: `cargo bench -p rag-benches --bench gate`
//!
//! First the time of an assignment. Then eight threads of searches, in rounds by turns: while the weight of their engine is
//! changed ten thousand times a round, and, for comparison, while that of another folder is changed as often, so that both
//! have the same writes to the disk and the same thread beside them. What differs is the gate alone. A paired t-test over the
//! rounds says whether the 99th percentiles do; every answer is checked to be of one epoch.

#![allow(clippy::print_stderr, reason = "the report")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group};
use rag_core::config::GateConfig;
use rag_core::engine::SearchRequest;
use rag_core::gate::{Action, Change, Experiment, LiveGate, Unit, Variant};
use rag_core::ltr::Ranker;
use rag_core::ltr::model::{Arithmetic, LinearColumn, LinearModel, Link, Model};
use rag_core::ltr::significance::t_test;
use rag_core::{Document, Engine, Result, Scope};

const DOCUMENTS: usize = 2000;
const THREADS: usize = 8;
const ROUNDS: usize = 5;
const CHANGES: u64 = 10_000;
const WORDS: [&str; 12] =
    ["snow", "road", "bread", "bakery", "winter", "pass", "oven", "flour", "harbour", "lamp", "storm", "barley"];

fn assign(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap_or_else(|error| unreachable!("a folder: {error}"));
    let gate = LiveGate::open(folder.path(), &GateConfig::default()).unwrap_or_else(|error| unreachable!("{error}"));
    let mut group = c.benchmark_group("gate");
    group.bench_function("assign: a weight for all", |b| b.iter(|| black_box(gate.assign(Some("ann"), "bread"))));
    let variants = [0.2, 0.8].map(|weight| Variant { name: format!("w{}", weight * 10.0), weight, part: 1 }).into();
    let experiment =
        Experiment { name: "half".to_owned(), unit: Unit::User, group: None, share: 1.0, variants, shadow: false };
    let started = gate.change(Action::StartExperiment(experiment), Change::new("bench", "an experiment"), None);
    assert!(started.is_ok());
    group.bench_function("assign: an experiment", |b| b.iter(|| black_box(gate.assign(Some("ann"), "bread"))));
    group.finish();
}

criterion_group!(benches, assign);

fn main() -> Result<()> {
    benches();
    let (own, other) = (folder(), folder());
    let engine = open(own.path())?;
    let another = open(other.path())?;
    round(&engine, &engine, 500)?; // warm
    let mut rounds: [Vec<[f64; 2]>; 2] = Default::default();
    for number in 0..ROUNDS {
        let mut pair = [(0, &engine), (1, &another)];
        if number % 2 == 1 {
            pair.reverse();
        }
        for (kind, changed) in pair {
            rounds[kind].push(round(&engine, changed, CHANGES)?);
        }
    }
    report(&rounds);
    Ok(())
}

/// The median and the 99th percentile of the searches, in microseconds, while the weight of an engine changes.
fn round(engine: &Engine, changed: &Engine, changes: u64) -> Result<[f64; 2]> {
    let done = AtomicBool::new(false);
    let mut times: Vec<Duration> = std::thread::scope(|scope| {
        let search = |thread: usize| {
            let (engine, done) = (&engine, &done);
            scope.spawn(move || searches(engine, thread, done))
        };
        let threads: Vec<_> = (0..THREADS).map(search).collect();
        let gate = changed.gate();
        for change in 0..changes {
            let weight = (change % 97 + 1) as f32 / 100.0;
            gate.change(Action::SetWeight { weight }, Change::new("bench", "another weight"), None)?;
        }
        done.store(true, Ordering::Relaxed);
        let times = threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default());
        Ok::<_, rag_core::Error>(times.collect())
    })?;
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
    Ok([at(0.5), at(0.99)])
}

fn searches(engine: &Engine, thread: usize, done: &AtomicBool) -> Vec<Duration> {
    let (scope, mut times) = (Scope::default(), Vec::new());
    for number in thread.. {
        if done.load(Ordering::Relaxed) {
            break;
        }
        let text = format!("{} {}", WORDS[number % 12], WORDS[(number * 7 + 3) % 12]);
        let begun = Instant::now();
        let answer = engine.search(&scope, &SearchRequest::new(text, 10).with_explanations().with_user("ann"));
        times.push(begun.elapsed());
        let answer = answer.unwrap_or_else(|error| unreachable!("{error}"));
        let weights = answer.hits.iter().filter_map(|hit| Some(hit.explanation.as_ref()?.ltr.as_ref()?.weight));
        assert!(weights.eq(answer.hits.iter().filter_map(|_| answer.gate.weight)), "an answer of two epochs");
    }
    times
}

fn report(rounds: &[Vec<[f64; 2]>; 2]) {
    let line = |values: &[[f64; 2]], at: usize| {
        let values = values.iter().map(|value| format!("{:>8.0}", value[at]));
        values.collect::<Vec<_>>().join(" ")
    };
    for (name, values) in ["own weight changes", "another's changes"].iter().zip(rounds) {
        eprintln!("{name:>20}: p50 us {}   p99 us {}", line(values, 0), line(values, 1));
    }
    for (name, at) in [("p50", 0), ("p99", 1)] {
        let [own, other] =
            [0, 1].map(|kind: usize| rounds[kind].iter().map(|value| value[at].ln()).collect::<Vec<_>>());
        let test = t_test(&other, &own).unwrap_or_else(|error| unreachable!("{error}"));
        eprintln!("{name}: own / another's = {:.3}, paired t-test p {:.3}", test.mean_difference.exp(), test.p);
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap_or_else(|error| unreachable!("a folder for the data: {error}"))
}

fn open(folder: &Path) -> Result<Engine> {
    let engine = Engine::open(folder)?;
    let text = |i: usize| (0..8).map(|at| WORDS[(i * 5 + at * (i % 7 + 1)) % 12]).collect::<Vec<_>>().join(" ");
    let documents = (0..DOCUMENTS).map(|i| Document::new(format!("d{i}"), format!("{} {i}", text(i))));
    engine.upsert(&Scope::default(), documents.collect())?;
    engine.commit()?;
    let column = LinearColumn { weight: 1.0, center: 0.0, scale: 1.0, fill: 0.0 };
    let model = LinearModel {
        names: engine.feature_schema().features().iter().map(|feature| feature.name.clone()).collect(),
        bias: 0.0,
        columns: vec![column; engine.feature_schema().features().len()],
        arithmetic: Arithmetic::F64,
        link: Link::Identity,
    };
    let ranker = Ranker::new(Model::Linear(model)).map_err(rag_core::Error::from)?;
    engine.set_ranker(Some(Arc::new(ranker)), 0.5)?;
    Ok(engine)
}
