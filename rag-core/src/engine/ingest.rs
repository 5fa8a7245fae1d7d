//! The write line: documents → validate → chunk → [unchanged? keep] → embed → one store transaction → derived indexes.

use std::collections::{BTreeMap, HashMap};

use super::Inner;
use super::api::UpsertReport;
use super::chunk::Chunker;
use super::open::Writer;
use super::stages::Stages;
use crate::embed::{TextKind, check_embeddings};
use crate::error::{Error, Result};
use crate::fork;
use crate::store::Record;
use crate::telemetry::Stage;
use crate::types::{Cancel, DocNum, Document, MAX_ID_BYTES, MAX_TITLE_BYTES, Scope, Value, check_name};

/// Bytes of text that are handed to the model at once.
const EMBED_BYTES: usize = 16 << 20;

/// A new revision on its way: the record, and for each chunk the vector that it keeps or `None` for one to embed.
struct Draft {
    record: Record,
    vectors: Vec<Option<Vec<f32>>>,
    is_update: bool,
}

impl Inner {
    pub(super) fn upsert(&self, scope: &Scope, documents: Vec<Document>, cancel: &Cancel) -> Result<UpsertReport> {
        scope.validate()?;
        let stages = Stages::new(&*self.telemetry, cancel);
        let handed_in = documents.len();
        let documents = validate(scope, documents, self.config.runtime.max_document_bytes)?;
        let mut writer = self.writer()?;
        let (mut report, mut drafts) =
            stages.run(Stage::Chunk, || self.draft(&mut writer, scope, &documents, cancel))?;
        report.repeated = handed_in - documents.len();
        stages.run(Stage::Embed, || self.embed_missing(&mut drafts, cancel, &mut report))?;
        stages.run(Stage::Store, || writer.stage(|writer| drafts.iter().try_for_each(|draft| put(writer, draft))))?;
        Ok(report)
    }

    /// Whether an upsert would take the document.
    pub(super) fn check(&self, scope: &Scope, document: &Document) -> Result<()> {
        scope.validate()?;
        validate_one(scope, document, self.config.runtime.max_document_bytes)
            .map_err(|error| error.with("document", shown(&document.id)))
    }

    pub(super) fn delete(&self, scope: &Scope, ids: &[&str]) -> Result<usize> {
        scope.validate()?;
        let mut writer = self.writer()?;
        let mut deleted = 0;
        writer.stage(|writer| {
            for id in ids {
                let store = writer.pending()?;
                if let Some(filter) = scope.filter() {
                    let current = store.current(scope.tenant_name(), id)?;
                    if !current.is_some_and(|(_, record)| filter.matches(&record.metadata)) {
                        continue; // outside the scope: as if it were not there
                    }
                }
                if let Some(old) = store.delete(scope.tenant_name(), id)? {
                    writer.withdraw(old, scope.tenant_name())?;
                    deleted += 1;
                }
            }
            Ok(())
        })?;
        Ok(deleted)
    }

    /// Compares each document with what is stored, and cuts the new and the changed ones into chunks.
    fn draft(
        &self,
        writer: &mut Writer,
        scope: &Scope,
        documents: &[Document],
        cancel: &Cancel,
    ) -> Result<(UpsertReport, Vec<Draft>)> {
        let chunker = Chunker::new(&self.config.chunking, &*self.embedder);
        let chunking = chunker.fingerprint();
        let (mut report, mut drafts) = (UpsertReport::default(), Vec::new());
        for document in documents {
            cancel.check()?;
            let store = writer.pending()?;
            let old = store.current(scope.tenant_name(), &document.id)?;
            if let (Some(filter), Some((_, old))) = (scope.filter(), &old)
                && !filter.matches(&old.metadata)
            {
                return Err(outside(&document.id));
            }
            if old.as_ref().is_some_and(|(_, old)| is_unchanged(document, old, chunking)) {
                report.unchanged += 1;
                continue;
            }
            let chunks = chunker.chunk(document).map_err(|error| error.with("document", document.id.as_str()))?;
            let record = Record {
                tenant: scope.tenant_name().to_owned(),
                id: document.id.clone(),
                title: document.title.clone(),
                text: document.text.clone(),
                metadata: document.metadata.clone(),
                chunks,
                chunking,
            };
            let kept = match &old {
                Some((doc, old)) => kept_vectors(*doc, old, &record, store.vectors(*doc)?, self.embedder.dimension()),
                None => vec![None; record.chunks.len()],
            };
            report.chunks += record.chunks.len();
            report.added += usize::from(old.is_none());
            report.updated += usize::from(old.is_some());
            drafts.push(Draft { record, vectors: kept, is_update: old.is_some() });
        }
        Ok((report, drafts))
    }

    /// Embeds all chunks that have no vector yet, [`EMBED_BYTES`] at a time.
    fn embed_missing(&self, drafts: &mut [Draft], cancel: &Cancel, report: &mut UpsertReport) -> Result<()> {
        let missing = drafts.iter().enumerate().flat_map(|(draft, Draft { vectors, .. })| {
            let without = vectors.iter().enumerate().filter(|(_, kept)| kept.is_none());
            without.map(move |(ordinal, _)| (draft, ordinal))
        });
        let missing: Vec<(usize, usize)> = missing.collect();
        let mut rest = missing.as_slice();
        while !rest.is_empty() {
            let (mut texts, mut bytes) = (Vec::new(), 0);
            for &(draft, ordinal) in rest {
                if bytes >= EMBED_BYTES {
                    break;
                }
                let record = &drafts[draft].record;
                let text = embedding_text(&record.title, record.chunk(ordinal).unwrap_or_default());
                bytes += text.len();
                texts.push(text);
            }
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let embed = || self.embedder.embed(&texts, TextKind::Passage, cancel);
            let embeddings = fork::aside(|| self.writing.run_apart(embed))?;
            check_embeddings(&embeddings, self.embedder.identity(), texts.len())?;
            report.embedded += texts.len();
            report.truncated += embeddings.truncated.iter().filter(|&&truncated| truncated).count();
            let (batch, later) = rest.split_at(texts.len());
            for (i, &(draft, ordinal)) in batch.iter().enumerate() {
                drafts[draft].vectors[ordinal] = embeddings.get(i).map(<[f32]>::to_vec);
            }
            rest = later;
        }
        Ok(())
    }
}

fn put(writer: &mut Writer, draft: &Draft) -> Result<()> {
    let vectors: Vec<f32> = draft.vectors.iter().flatten().flatten().copied().collect();
    let (doc, replaced) = writer.pending()?.put(&draft.record, &vectors)?;
    debug_assert!(draft.is_update || replaced.is_none());
    if let Some(old) = replaced {
        writer.withdraw(old, &draft.record.tenant)?;
    }
    writer.announce(doc, &draft.record, &vectors)
}

/// What the model reads for a chunk.
fn embedding_text(title: &str, chunk: &str) -> String {
    match (title.is_empty(), chunk.is_empty()) {
        (true, _) => chunk.to_owned(),
        (false, true) => title.to_owned(),
        (false, false) => format!("{title} {chunk}"),
    }
}

fn is_unchanged(new: &Document, old: &Record, chunking: u64) -> bool {
    old.chunking == chunking && old.text == new.text && old.title == new.title && old.metadata == new.metadata
}

/// The vectors of the old revision for the chunks whose text (and title) the new one still has.
fn kept_vectors(
    doc: DocNum,
    old: &Record,
    new: &Record,
    vectors: Option<Vec<f32>>,
    dimension: usize,
) -> Vec<Option<Vec<f32>>> {
    let vectors = vectors.unwrap_or_default();
    if old.title != new.title || vectors.len() != old.chunks.len() * dimension {
        tracing::trace!(doc, "no vector is kept");
        return vec![None; new.chunks.len()];
    }
    let by_text: HashMap<&str, &[f32]> = old.chunk_texts().zip(vectors.chunks_exact(dimension.max(1))).collect();
    new.chunk_texts().map(|text| by_text.get(text).map(|row| row.to_vec())).collect()
}

/// Checks every document before anything is staged. Of several with one id the last is kept, as if they had come one
/// after the other.
fn validate(scope: &Scope, documents: Vec<Document>, max_bytes: usize) -> Result<Vec<Document>> {
    let mut kept: BTreeMap<String, usize> = BTreeMap::new();
    for (position, document) in documents.iter().enumerate() {
        validate_one(scope, document, max_bytes)
            .map_err(|error| error.with("document", format!("{} at position {position}", shown(&document.id))))?;
        kept.insert(document.id.clone(), position);
    }
    let is_last = |position: &usize, id: &str| kept.get(id) == Some(position);
    Ok(documents.into_iter().enumerate().filter(|(i, d)| is_last(i, &d.id)).map(|(_, document)| document).collect())
}

/// An id as messages have it: short, and without control characters.
fn shown(id: &str) -> String {
    format!("{:?}", id.chars().take(MAX_ID_BYTES / 8).collect::<String>())
}

fn validate_one(scope: &Scope, document: &Document, max_bytes: usize) -> Result<()> {
    check_name("id", &document.id)?;
    if document.tenant.as_deref().is_some_and(|tenant| tenant != scope.tenant_name()) {
        return Err(Error::new(
            crate::ErrorKind::PermissionDenied,
            format!("`tenant` is not the tenant `{}` of the scope", scope.tenant_name()),
        ));
    }
    if document.title.len() > MAX_TITLE_BYTES {
        let bytes = document.title.len();
        return Err(Error::invalid(format!(
            "`title` has {bytes} bytes; at most {MAX_TITLE_BYTES} are allowed, since every chunk carries it: put more into `text`"
        )));
    }
    let bytes = document.bytes();
    if bytes > max_bytes {
        return Err(Error::invalid(format!(
            "`text`, `title` and `metadata` have {bytes} bytes; at most {max_bytes} are allowed (runtime.max_document_bytes)"
        )));
    }
    for (field, value) in &document.metadata {
        check_name("metadata field", field)?;
        check_value(field, value, 0)?;
    }
    match scope.filter() {
        Some(filter) if !filter.matches(&document.metadata) => Err(outside(&document.id)),
        _ => Ok(()),
    }
}

fn check_value(field: &str, value: &Value, depth: usize) -> Result<()> {
    match value {
        Value::Float(number) if !number.is_finite() => {
            Err(Error::invalid(format!("metadata `{field}` is not a finite number; leave it out")))
        }
        Value::List(_) if depth > 0 => {
            Err(Error::invalid(format!("metadata `{field}` is a list of lists; flatten it")))
        }
        Value::List(values) => values.iter().try_for_each(|value| check_value(field, value, depth + 1)),
        _ => Ok(()),
    }
}

fn outside(id: &str) -> Error {
    Error::new(crate::ErrorKind::PermissionDenied, "the document lies outside the filter of the scope").with("id", id)
}
