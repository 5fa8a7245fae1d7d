//! The features of 100 candidates, computed and from the cache, on one thread: the time of the stage `features` of a whole
//! search over 20,000 documents. `cargo bench -p rag-benches --bench features`

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use rag_core::config::EngineConfig;
use rag_core::engine::SearchRequest;
use rag_core::ltr::Ranker;
use rag_core::ltr::model::{Arithmetic, LinearColumn, LinearModel, Link, Model};
use rag_core::{Document, Engine, Result, Scope};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const DOCUMENTS: usize = 20_000;
const WORDS: usize = 150;
const VOCABULARY: f64 = 30_000.0;

fn features(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap_or_else(|error| unreachable!("a folder for the data: {error}"));
    let mut group = c.benchmark_group("features of 100 candidates");
    group.sample_size(20);
    for (name, cache_mib) in [("computed", 0), ("cached", 64)] {
        let engine = open(folder.path(), cache_mib).unwrap_or_else(|error| unreachable!("an engine: {error}"));
        let mut rng = SmallRng::seed_from_u64(2);
        let questions: Vec<String> = (0..50).map(|_| words(&mut rng, 5)).collect();
        let ask = |question: &String| stage(&engine, question).unwrap_or_default();
        questions.iter().map(ask).for_each(drop);
        let mut next = questions.iter().cycle();
        group.bench_function(name, |b| {
            b.iter_custom(|searches| (0..searches).filter_map(|_| next.next().map(ask)).sum());
        });
    }
    group.finish();
}

/// Time of the features of a search.
fn stage(engine: &Engine, question: &str) -> Result<Duration> {
    let answer = engine.search(&Scope::default(), &SearchRequest::new(question, 10))?;
    Ok(answer.stages.iter().find(|(stage, _)| *stage == "features").map(|(_, took)| *took).unwrap_or_default())
}

fn open(folder: &std::path::Path, cache_mib: usize) -> Result<Engine> {
    let mut config = EngineConfig::default();
    config.runtime.threads = 1;
    config.features.cache_mib = cache_mib;
    let engine = Engine::builder().config(config).open(folder)?;
    let scope = Scope::default();
    if engine.stats(&scope)?.documents == 0 {
        let mut rng = SmallRng::seed_from_u64(1);
        let document = |i| Document::new(format!("d{i}"), words(&mut rng, WORDS)).with_title(words(&mut rng, 6));
        engine.upsert(&scope, (0..DOCUMENTS).map(document).collect())?;
        engine.commit()?;
    }
    let columns = vec![
        LinearColumn { weight: 1.0, center: 0.0, scale: 1.0, fill: 0.0 };
        engine.feature_schema().features().len()
    ];
    let (arithmetic, link) = (Arithmetic::F64, Link::Identity);
    let model = Model::Linear(LinearModel { names: Vec::new(), bias: 0.0, columns, arithmetic, link });
    engine.set_ranker(Some(Arc::new(Ranker::new(model)?)), 1.0)?;
    Ok(engine)
}

/// Words that are as frequent as those of a language: the r-th with about 1 / r.
fn words(rng: &mut SmallRng, count: usize) -> String {
    let word = |rng: &mut SmallRng| format!("w{}", VOCABULARY.powf(rng.random::<f64>()) as u32);
    (0..count).map(|_| word(rng)).collect::<Vec<_>>().join(" ")
}

criterion_group!(benches, features);
criterion_main!(benches);
