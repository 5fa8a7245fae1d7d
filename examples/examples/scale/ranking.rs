//! What learning to rank costs: features of 100 candidates, computed and from the cache, and the model's scores.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use rag_core::config::EngineConfig;
use rag_core::engine::SearchRequest;
use rag_core::ltr::Ranker;
use rag_core::ltr::model::{Arithmetic, LinearColumn, LinearModel, Link, Model};
use rag_core::ltr::random::SplitMix64;
use rag_core::{Engine, Scope};
use serde_json::{Value, json};

use super::measure::{millis, percentile, processor_time};

/// Each question once, so that everything is computed; each once more, so that everything is cached; and with a fresh
/// cache three times as many questions as there are, of which the r-th is asked 1 / r times as often as the first (Zipf).
pub(crate) fn ranking(folder: &Path, questions: &[String]) -> Result<Value> {
    let engine = open(folder)?;
    let computed = ask(&engine, questions.iter())?;
    let cached = ask(&engine, questions.iter())?;
    let columns = engine.feature_schema().features().len();
    drop(engine);

    let engine = open(folder)?;
    let shares: Vec<f64> = (1..=questions.len()).map(|rank| 1.0 / rank as f64).collect();
    let all: f64 = shares.iter().sum();
    let mut random = SplitMix64::new(7);
    let draw = |_| {
        let mut left = random.fraction() * all;
        let drawn = shares.iter().position(|share| {
            left -= share;
            left < 0.0
        });
        &questions[drawn.unwrap_or(0)]
    };
    let mix: Vec<&String> = (0..3 * questions.len()).map(draw).collect();
    let zipf = ask(&engine, mix.into_iter())?;
    let cache = engine.stats(&Scope::default())?.feature_cache;
    Ok(json!({
        "columns": columns,
        "computed": computed,
        "cached": cached,
        "zipf": zipf,
        "zipf_hit_ratio": cache.hit_ratio(),
        "zipf_cache_bytes": cache.bytes,
    }))
}

/// An engine that ranks by the sum of all features.
fn open(folder: &Path) -> Result<Engine> {
    let mut config = EngineConfig::default();
    config.runtime.threads = 1;
    config.runtime.verify_on_open = false;
    let engine = Engine::builder().config(config).open(folder)?;
    let names: Vec<String> = engine.feature_schema().features().iter().map(|feature| feature.name.clone()).collect();
    let column = LinearColumn { weight: 1.0, center: 0.0, scale: 1.0, fill: 0.0 };
    let columns = vec![column; names.len()];
    let (arithmetic, link) = (Arithmetic::F64, Link::Identity);
    let model = Model::Linear(LinearModel { names, bias: 0.0, columns, arithmetic, link });
    engine.set_ranker(Some(Arc::new(Ranker::new(model)?)), 1.0)?;
    Ok(engine)
}

/// Times of the stages, and of the processor for a whole search.
fn ask<'q>(engine: &Engine, questions: impl Iterator<Item = &'q String>) -> Result<Value> {
    let (mut features, mut model, mut searches): (Vec<Duration>, Vec<Duration>, u32) = (Vec::new(), Vec::new(), 0);
    let processor = processor_time();
    for question in questions {
        let answer = engine.search(&Scope::default(), &SearchRequest::new(question.as_str(), 10))?;
        anyhow::ensure!(answer.degraded.is_empty(), "{:?}", answer.degraded);
        let took = |wanted: &str| answer.stages.iter().find(|(stage, _)| *stage == wanted).map(|(_, took)| *took);
        features.extend(took("features"));
        model.extend(took("ltr"));
        searches += 1;
    }
    let processor = processor_time().saturating_sub(processor) / searches.max(1);
    features.sort_unstable();
    model.sort_unstable();
    Ok(json!({
        "features_p50_ms": millis(percentile(&features, 0.5)),
        "features_p95_ms": millis(percentile(&features, 0.95)),
        "model_p50_ms": millis(percentile(&model, 0.5)),
        "search_processor_mean_ms": millis(processor),
    }))
}
