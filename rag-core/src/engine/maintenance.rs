//! Numbers, checks, repair and compaction.

use std::path::Path;
use std::sync::Arc;

use super::Inner;
use super::api::{DiskBytes, Stats, StoredDocument, VerifyReport};
use super::open::Writer;
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::types::{Document, Scope};

impl Inner {
    pub(super) fn get(&self, scope: &Scope, id: &str) -> Result<Option<StoredDocument>> {
        scope.validate()?;
        self.lock.may_read()?;
        let snapshot = self.snapshot.load();
        let Some(doc) = snapshot.store.number(scope.tenant_name(), id)? else { return Ok(None) };
        let Some(record) = snapshot.store.record(doc)? else {
            return Err(Error::corruption(format!("document {doc} is listed, but its record is missing")));
        };
        if scope.filter().is_some_and(|filter| !filter.matches(&record.metadata)) {
            return Ok(None);
        }
        let chunks = record.chunks.iter().map(|&(start, end)| (start as usize, end as usize)).collect();
        let mut document = Document::new(record.id, record.text).with_title(record.title).with_tenant(record.tenant);
        document.metadata = record.metadata;
        Ok(Some(StoredDocument { document, chunks }))
    }

    pub(super) fn ids(
        &self,
        scope: &Scope,
        filter: Option<&Filter>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>> {
        scope.validate()?;
        self.lock.may_read()?;
        let snapshot = self.snapshot.load();
        let visible = snapshot.visible(scope, filter)?;
        snapshot.store.ids(scope.tenant_name(), visible.set(), after, limit)
    }

    pub(super) fn stats(&self, scope: &Scope) -> Result<Stats> {
        let snapshot = self.snapshot.load();
        Ok(Stats {
            documents: snapshot.visible(scope, None)?.len(),
            documents_total: snapshot.live.all.len(),
            chunks_total: snapshot.live.chunks,
            commit_seq: snapshot.seq,
            model: self.embedder.identity().clone(),
            vector_backend: snapshot.vectors.capabilities().backend,
            vectors: snapshot.vectors.len(),
            analyser: self.analyser.clone(),
            bytes: DiskBytes {
                store: size(&self.layout.store),
                lexical: size(&self.layout.lexical),
                vectors: size(&self.layout.vectors),
            },
            feature_cache: self.features.cache_stats(),
        })
    }

    /// Reads everything; makes derived pieces that are wrong again.
    pub(super) fn verify(&self, progress: &mut dyn FnMut()) -> Result<VerifyReport> {
        let mut writer = self.writer()?;
        without_changes(&writer)?;
        let view = writer.store.view()?;
        let documents = view.check(self.embedder.dimension(), progress)?;
        let mut repaired = self.repairs.lock().map(|mut repairs| std::mem::take(&mut *repairs)).unwrap_or_default();
        let live = view.live()?;
        let damage = writer.lexical.index()?.verify().err();
        // Until the pieces that are taken away below are whole again, nothing may be built on the others.
        let was_stale = writer.mark_stale();
        if let Some(problem) = damage {
            repaired.push(format!("lexical index: {problem}"));
            writer.lexical.clear()?;
        }
        let problems = writer.vectors.verify(&self.layout.vectors, &self.config.vectors)?;
        repaired.extend(problems.into_iter().map(|problem| format!("vectors: {problem}")));
        if *writer.lexical.index()?.view().live_documents()? != live.all {
            repaired.push("lexical index: it has other documents than the store".to_owned());
        }
        if *writer.vectors.as_mut().documents() != live.all {
            repaired.push("vectors: the index has other documents than the store".to_owned());
        }
        match crate::format::manifest::Manifest::read(&self.layout.folder) {
            Err(problem) => repaired.push(format!("MANIFEST: {problem}")),
            Ok(found) if found != writer.manifest => repaired.push("MANIFEST: it is not what was written".to_owned()),
            Ok(_) => {}
        }
        if repaired.is_empty() && !was_stale {
            writer.mark_whole();
        } else {
            writer.manifest = None;
            let snapshot = writer.sync(true)?;
            writer.vectors.remove_strangers(&self.layout.vectors);
            self.snapshot.store(Arc::new(snapshot));
        }
        Ok(VerifyReport { documents, repaired })
    }

    /// Rewrites the derived indexes without what is dead.
    pub(super) fn compact(&self) -> Result<()> {
        without_changes(&*self.writer()?)?;
        #[cfg(feature = "hnsw")]
        self.build_graph_now()?;
        let mut writer = self.writer()?;
        without_changes(&writer)?;
        writer.mark_stale();
        writer.lexical.index()?.compact().inspect_err(|_| {
            let _ = writer.lexical.index().and_then(crate::lexical::LexicalIndex::rollback); // or nothing more is taken
        })?;
        let (folder, disk) = (self.layout.vectors.clone(), writer.disk.clone());
        let unused = writer.vectors.seal(&folder, &disk, true)?;
        let snapshot = writer.sync(true)?;
        self.snapshot.store(Arc::new(snapshot));
        super::vectors::Vectors::remove_files(&folder, &disk, &unused);
        Ok(())
    }
}

fn without_changes(writer: &Writer) -> Result<()> {
    if writer.has_changes() {
        return Err(Error::new(crate::ErrorKind::Conflict, "there are staged changes; commit or roll back first"));
    }
    Ok(())
}

/// Bytes of a file or of the files of a folder; what cannot be read counts nothing.
fn size(path: &Path) -> u64 {
    let Ok(metadata) = path.metadata() else { return 0 };
    if metadata.is_file() {
        return metadata.len();
    }
    let files = std::fs::read_dir(path).into_iter().flatten().flatten();
    files.map(|file| file.metadata().map_or(0, |metadata| metadata.len())).sum()
}
