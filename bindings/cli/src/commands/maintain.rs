//! `rag stats`, `rag verify`, `rag compact` and `rag models`.

use anyhow::Result;
use rag_core::embed::{Embedder, StaticModel};
use rag_core::engine::EngineBuilder;
use serde_json::{Value as Json, json};

use crate::ui::{Output, exit, plain, progress::Progress, table};
use crate::{Data, Setup};

pub(crate) fn stats(output: Output, data: &Data) -> Result<u8> {
    let stats = data.open()?.stats(&data.scope()?)?;
    let answer = json!({
        "documents": stats.documents, "documents_total": stats.documents_total, "chunks_total": stats.chunks_total,
        "commit_seq": stats.commit_seq, "model": stats.model, "vector_backend": stats.vector_backend,
        "vectors": stats.vectors, "analyser": stats.analyser,
        "bytes": {"store": stats.bytes.store, "lexical": stats.bytes.lexical, "vectors": stats.bytes.vectors},
    });
    output.answer(&answer, |_| {
        let row = |name: &str, value: String| vec![name.to_owned(), value];
        table::render(
            &["what", "value"],
            &[
                row("documents", format!("{} of {}", stats.documents, stats.documents_total)),
                row("chunks", stats.chunks_total.to_string()),
                row("commit", stats.commit_seq.to_string()),
                row("model", stats.model.to_string()),
                row("vectors", format!("{} ({})", stats.vectors, stats.vector_backend)),
                row("analyser", stats.analyser.clone()),
                row(
                    "bytes",
                    format!(
                        "store {}, lexical {}, vectors {}",
                        stats.bytes.store,
                        stats.bytes.lexical,
                        match stats.bytes.vectors {
                            0 => "in memory".to_owned(),
                            bytes => bytes.to_string(),
                        }
                    ),
                ),
            ],
        )
    })?;
    Ok(exit::OK)
}

pub(crate) fn verify(output: Output, data: &Data) -> Result<u8> {
    let engine = data.open_with(EngineBuilder::check_store)?;
    let progress = Progress::new(output, "documents", Some(engine.stats(&data.scope()?)?.documents_total));
    let report = engine.verify(|| progress.advance(1))?;
    drop(progress);
    output.answer(&json!({"documents": report.documents, "repaired": report.repaired}), |_| {
        let mut lines = vec![format!("{} documents are whole", report.documents)];
        lines.extend(report.repaired.iter().map(|piece| format!("made again: {}", plain::line(piece))));
        lines.join("\n")
    })?;
    Ok(exit::OK)
}

pub(crate) fn compact(output: Output, data: &Data) -> Result<u8> {
    let scope = data.scope()?;
    let before = data.open()?.stats(&scope)?.bytes;
    let engine = data.open_with(EngineBuilder::compact_store)?;
    engine.compact()?;
    let after = engine.stats(&scope)?.bytes;
    let total = |bytes: rag_core::engine::DiskBytes| bytes.store + bytes.lexical + bytes.vectors;
    let (before, after) = (total(before), total(after));
    output.answer(&json!({"bytes_before": before, "bytes_after": after}), |_| format!("{before} → {after} bytes"))?;
    Ok(exit::OK)
}

pub(crate) fn models(output: Output, setup: &Setup) -> Result<u8> {
    let bundled = StaticModel::bundled()?;
    let mut models = vec![describe(&bundled, true)];
    let settings = setup.settings()?;
    if settings.model.path.is_some() {
        models.push(describe(&*settings.embedder()?, false));
    }
    output.answer(&json!({"models": models}), |_| {
        let rows: Vec<Vec<String>> = models.iter().map(row).collect();
        table::render(&["model", "numbers", "dimensions", "pooling", "dense weight", "sha256", "bundled"], &rows)
    })?;
    Ok(exit::OK)
}

fn describe(model: &dyn Embedder, bundled: bool) -> Json {
    json!({"identity": model.identity(), "dense_weight": model.dense_weight(), "max_tokens": model.max_tokens(),
        "bundled": bundled})
}

fn row(model: &Json) -> Vec<String> {
    let identity = &model["identity"];
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let hash: String = text(&identity["source_hash"]).chars().take(12).collect();
    let dense_weight = model["dense_weight"].as_f64().unwrap_or_default();
    vec![
        text(&identity["name"]),
        text(&identity["quantization"]),
        text(&identity["dimension"]),
        text(&identity["pooling"]),
        format!("{dense_weight:.2}"),
        hash,
        if model["bundled"] == true { "yes" } else { "no" }.to_owned(),
    ]
}
