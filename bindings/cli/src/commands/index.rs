//! `rag index`.

use std::path::Path;

use anyhow::Result;
use rag_core::engine::UpsertReport;
use rag_core::{Document, Engine, Scope};
use serde_json::json;

use crate::Data;
use crate::readers::{self, ReadOptions, ReadReport};
use crate::ui::{Output, exit, progress::Progress};

/// Documents of one upsert, and bytes at which it is full earlier.
const BATCH_DOCUMENTS: usize = 512;
const BATCH_BYTES: usize = 16 << 20;

pub(crate) fn run(
    output: Output,
    path: &Path,
    data: &Data,
    text_field: Option<String>,
    follow_links: bool,
) -> Result<u8> {
    let scope = data.scope()?;
    let options = ReadOptions { text_field, follow_links, ..ReadOptions::default() };
    let reader = readers::read(path, options)?; // a wrong path is told before a data folder is made
    let engine = data.setup.builder()?.open(&data.data)?;
    let (report, read, refused) = fill(output, &engine, &scope, reader)?;
    for skipped in read.failures() {
        output.note(format!("skipped {skipped}"));
    }
    for problem in &refused {
        output.note(format!("skipped {problem}"));
    }
    let failed = read.failed as usize + refused.len();
    let answer = json!({
        "read": read.read, "empty": read.empty, "ignored": read.ignored, "failed": failed,
        "added": report.added, "updated": report.updated, "unchanged": report.unchanged,
        "repeated": report.repeated, "chunks": report.chunks, "embedded": report.embedded, "truncated": report.truncated,
    });
    output.answer(&answer, |_| {
        let repeated = match report.repeated {
            0 => String::new(),
            count => format!(" ({count} replaced by a later one with the same id)"),
        };
        format!(
            "{} added, {} updated, {} unchanged{repeated}; {} chunks, {} embedded; {} ignored, {} empty, {failed} failed",
            report.added, report.updated, report.unchanged, report.chunks, report.embedded, read.ignored, read.empty
        )
    })?;
    Ok(if failed > 0 { exit::SOME_SKIPPED } else { exit::OK })
}

/// Reads everything, stages it in batches and commits once; as [`stage`].
pub(crate) fn fill(
    output: Output,
    engine: &Engine,
    scope: &Scope,
    reader: readers::Reader,
) -> Result<(UpsertReport, ReadReport, Vec<String>)> {
    let done = stage(output, engine, scope, reader)?;
    engine.commit()?;
    Ok(done)
}

/// Reads everything and stages it in batches. A document that the engine refuses is told by name and left out.
pub(crate) fn stage(
    output: Output,
    engine: &Engine,
    scope: &Scope,
    mut reader: readers::Reader,
) -> Result<(UpsertReport, ReadReport, Vec<String>)> {
    let progress = Progress::new(output, "documents", None);
    let (mut report, mut refused) = (UpsertReport::default(), Vec::new());
    let (mut batch, mut bytes) = (Vec::new(), 0);
    loop {
        let next = reader.next();
        let is_last = next.is_none();
        if let Some(document) = next {
            if let Some(path) = reader.current_path() {
                progress.tell(path.display().to_string());
            }
            bytes += document.text.len();
            batch.push(document);
        }
        if is_last || batch.len() >= BATCH_DOCUMENTS || bytes >= BATCH_BYTES {
            progress.advance(batch.len() as u64);
            report += upsert(engine, scope, std::mem::take(&mut batch), &mut refused)?;
            bytes = 0;
        }
        if is_last {
            break;
        }
    }
    Ok((report, reader.into_report(), refused))
}

/// The batch as a whole; if one document of it is refused, one by one.
fn upsert(
    engine: &Engine,
    scope: &Scope,
    batch: Vec<Document>,
    refused: &mut Vec<String>,
) -> rag_core::Result<UpsertReport> {
    match engine.upsert(scope, batch.clone()) {
        Err(error) if error.kind() == rag_core::ErrorKind::InvalidArgument => {}
        done => return done,
    }
    let mut report = UpsertReport::default();
    for document in batch {
        match engine.upsert(scope, vec![document]) {
            Ok(one) => report += one,
            Err(error) if error.kind() == rag_core::ErrorKind::InvalidArgument => refused.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    Ok(report)
}
