//! `rag index`.

use std::path::{Component, Path};

use anyhow::Result;
use rag_core::engine::UpsertReport;
use rag_core::{Document, Engine, Error, Scope};
use rag_runtime::Batch;
use serde_json::json;

use crate::Data;
use crate::readers::{self, MAX_KEPT, ReadOptions, ReadReport};
use crate::ui::{Output, exit, progress::Progress};

pub(crate) fn run(
    output: Output,
    path: &Path,
    data: &Data,
    text_field: Option<String>,
    follow_links: bool,
) -> Result<u8> {
    let scope = data.scope()?;
    let options = ReadOptions { text_field, follow_links, prefix: prefix_of(path), ..ReadOptions::default() };
    let reader = readers::read(path, options)?; // a wrong path is told before a data folder is made
    check_apart(path, &data.data)?;
    let engine = data.setup.builder()?.open(&data.data)?;
    let indexed = fill(output, &engine, &scope, reader.without(&data.data)?)?;
    indexed.tell_failures(output);
    let (report, read, failed) = (&indexed.report, &indexed.read, indexed.failed());
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

/// Ids are paths as they were named: files of the same name in two folders are two documents, and one that is indexed
/// through a folder or the folder above it is one.
fn prefix_of(root: &Path) -> String {
    let folder = if root.is_dir() { Some(root) } else { root.parent() };
    let parts = folder.into_iter().flat_map(Path::components).filter_map(|part| match part {
        Component::CurDir => None,
        Component::RootDir => Some(String::new()),
        other => Some(other.as_os_str().to_string_lossy().into_owned()),
    });
    parts.map(|part| part + "/").collect()
}

/// A folder of documents that is the data folder too would be read and left out at once.
fn check_apart(path: &Path, data: &Path) -> rag_core::Result<()> {
    match (path.canonicalize(), data.canonicalize()) {
        (Ok(path), Ok(data)) if path == data && data.is_dir() => {
            let message = "is to be indexed itself; give the data a folder of its own, which may lie in there";
            Err(Error::invalid(format!("`--data` is {}, which {message}", data.display())))
        }
        _ => Ok(()),
    }
}

/// What became of everything that was read.
#[derive(Debug)]
pub(crate) struct Indexed {
    /// Of the documents that the engine took.
    pub(crate) report: UpsertReport,
    /// Of the files.
    pub(crate) read: ReadReport,
    /// Of the documents that the engine refused.
    pub(crate) refused: Refused,
}

impl Indexed {
    /// Files, records and documents that should have been indexed and are not.
    pub(crate) fn failed(&self) -> u64 {
        self.read.failed + self.refused.count
    }

    /// Names them, as far as their particulars were kept.
    pub(crate) fn tell_failures(&self, output: Output) {
        let unread = self.read.failures().map(ToString::to_string);
        let mut told = 0;
        for problem in unread.chain(self.refused.kept.iter().cloned()) {
            output.note(format_args!("skipped {problem}"));
            told += 1;
        }
        if told < self.failed() {
            output.note(format_args!("skipped {} more", self.failed() - told));
        }
    }
}

/// Documents that the engine refused.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    /// How many.
    count: u64,
    /// Why, of the first [`MAX_KEPT`].
    kept: Vec<String>,
}

impl Refused {
    fn add(&mut self, error: &Error) {
        self.count += 1;
        if self.kept.len() < MAX_KEPT {
            self.kept.push(error.to_string());
        }
    }
}

/// Reads everything, stages it in batches and commits once; as [`stage`].
pub(crate) fn fill(output: Output, engine: &Engine, scope: &Scope, reader: readers::Reader) -> Result<Indexed> {
    let done = stage(output, engine, scope, reader)?;
    engine.commit()?;
    Ok(done)
}

/// Reads everything and stages it in batches. A document that the engine refuses is told by name and left out.
pub(crate) fn stage(output: Output, engine: &Engine, scope: &Scope, mut reader: readers::Reader) -> Result<Indexed> {
    let progress = Progress::new(output, "documents", None);
    let mut staging = Staging::new(engine, scope);
    while let Some(document) = reader.next() {
        if let Some(path) = reader.current_path() {
            progress.tell(&path.to_string_lossy());
        }
        staging.add(document)?;
        progress.advance(1);
    }
    staging.flush()?;
    Ok(Indexed { report: staging.report, read: reader.into_report(), refused: staging.refused })
}

/// Documents on their way to the engine.
struct Staging<'a> {
    engine: &'a Engine,
    scope: &'a Scope,
    batch: Batch,
    report: UpsertReport,
    refused: Refused,
}

impl<'a> Staging<'a> {
    fn new(engine: &'a Engine, scope: &'a Scope) -> Self {
        let (report, refused) = (UpsertReport::default(), Refused::default());
        Staging { engine, scope, batch: Batch::default(), report, refused }
    }

    fn add(&mut self, document: Document) -> rag_core::Result<()> {
        // One refused document would have the whole batch refused.
        if let Err(error) = self.engine.check(self.scope, &document) {
            self.refused.add(&error);
            return Ok(());
        }
        self.batch.push(document);
        if self.batch.is_full() { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> rag_core::Result<()> {
        self.report += self.engine.upsert(self.scope, self.batch.take())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_refused_document_does_not_take_its_batch_along() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, scope) = (Engine::open(folder.path()).unwrap(), Scope::default());
        let mut staging = Staging::new(&engine, &scope);
        let large = "word ".repeat(200_000);
        for (id, text) in
            [("a", "one"), ("b\n", "two"), ("c", &*large), ("d\n", &*large), ("a", "three"), ("a", "four")]
        {
            staging.add(Document::new(id, text)).unwrap();
        }
        assert_eq!(staging.batch.len(), 4, "nothing is handed over before the batch is full");
        staging.flush().unwrap();
        engine.commit().unwrap();
        assert_eq!((staging.report.added, staging.report.updated, staging.report.repeated), (2, 0, 2));
        assert_eq!((staging.refused.count, staging.refused.kept.len()), (2, 2));
        assert_eq!(engine.get(&scope, "a").unwrap().unwrap().document.text, "four");
    }

    #[test]
    fn refusals_beyond_a_thousand_are_only_counted() {
        let mut refused = Refused::default();
        for _ in 0..MAX_KEPT + 5 {
            refused.add(&rag_core::Error::invalid("`id` is empty"));
        }
        assert_eq!((refused.count, refused.kept.len()), (MAX_KEPT as u64 + 5, MAX_KEPT));
    }
}
