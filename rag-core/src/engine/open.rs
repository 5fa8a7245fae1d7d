//! Opening a folder, and bringing the derived indexes to the state of the store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::snapshot::Snapshot;
use super::stages::Stages;
use super::vectors::Vectors;
use super::words::Words;
use crate::config::EngineConfig;
use crate::embed::Embedder;
use crate::error::{Error, ErrorKind, Result};
use crate::format::disk::{Disk, folder_of, sync_folder};
use crate::format::manifest::Manifest;
use crate::store::{self, Live, Record, Replaced, Store, StoreCheck, StoreView, StoreWrite};
use crate::telemetry::Stage;
use crate::types::DocNum;

/// Where everything lies in a data folder.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) folder: PathBuf,
    pub(super) store: PathBuf,
    pub(super) lexical: PathBuf,
    pub(super) vectors: PathBuf,
}

impl Layout {
    pub(super) fn create(folder: &Path) -> Result<Layout> {
        let layout = Layout {
            folder: folder.to_owned(),
            store: folder.join("store.redb"),
            lexical: folder.join("lexical"),
            vectors: folder.join("vectors"),
        };
        refuse_foreign(folder)?;
        let is_new = !folder.exists();
        for path in [folder, &layout.lexical, &layout.vectors] {
            std::fs::create_dir_all(path).map_err(|error| Error::io("create the folder", path, error))?;
        }
        if is_new {
            // Best effort: in some parents one may make folders, but not read.
            let _ = sync_folder(folder_of(folder));
        }
        Ok(layout)
    }
}

/// Everything that changes; one thread at a time has it.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) store: Arc<Store>,
    pub(super) lexical: Words,
    pub(super) vectors: Vectors,
    pub(super) layout: Layout,
    pub(super) disk: Disk,
    pub(super) model: rag_governance::ModelIdentity,
    /// What the lexical index does to words.
    pub(super) analyser: String,
    /// The MANIFEST as it is on disk, where that is known.
    pub(super) manifest: Option<Manifest>,
    pending: Option<StoreWrite>,
    /// What the last commit holds; known once the store was read.
    live: Live,
    /// Revisions that the pending transaction gave and those of the last commit that it took away, each with its tenant
    /// and number of chunks; and the next number, never given.
    added: BTreeMap<DocNum, (String, u32)>,
    removed: BTreeMap<DocNum, (String, u32)>,
    next: DocNum,
    /// Why nothing can be written any more until the folder is opened again.
    poisoned: Option<Error>,
    /// Whether the derived indexes may lack something that the store has.
    stale: bool,
}

/// What open found wrong and made again.
pub(super) type Repairs = Vec<String>;

impl Writer {
    /// Opens every piece; derived pieces that are missing, foreign or damaged start empty and are filled by `sync`.
    pub(super) fn open(
        layout: Layout,
        config: &EngineConfig,
        embedder: &dyn Embedder,
        disk: Disk,
        check: StoreCheck,
    ) -> Result<(Writer, Repairs)> {
        let mut repairs = Repairs::new();
        let mut manifest = Manifest::read(&layout.folder).unwrap_or_else(|error| {
            repairs.push(format!("MANIFEST: {error}"));
            None
        });
        refuse_lost_store(&layout, manifest.as_ref())?;
        let store = Arc::new(Store::open(&layout.store, &disk, check)?);
        let view = store.view()?;
        refuse_other_model(&view, embedder)?;
        let verify = config.runtime.verify_on_open;
        let (mut lexical, problem) = Words::open(&layout.lexical, &config.lexical, &disk, verify)?;
        repairs.extend(problem.map(|problem| format!("lexical index: {problem}")));
        if is_of_another_store(&view, manifest.as_ref(), lexical.index()?.committed_seq()?)? {
            repairs.push("the indexes are of a later or another state of the store: made again from it".to_owned());
            lexical.clear()?;
            manifest = None;
        }
        let analyser = lexical.index()?.analyser().describe().to_owned();
        let (vectors, problems) = Vectors::open(
            &layout.vectors,
            &config.vectors,
            embedder.dimension(),
            manifest.as_ref().map_or(&[], |manifest| &manifest.segments),
            verify,
        )?;
        repairs.extend(problems.into_iter().map(|problem| format!("vectors: {problem}")));
        let writer = Writer {
            store,
            lexical,
            vectors,
            layout,
            disk,
            model: embedder.identity().clone(),
            analyser,
            manifest,
            pending: None,
            live: Live::default(),
            added: BTreeMap::new(),
            removed: BTreeMap::new(),
            next: 0,
            poisoned: None,
            stale: true,
        };
        Ok((writer, repairs))
    }

    /// The open transaction, begun if need be.
    pub(super) fn pending(&mut self) -> Result<&StoreWrite> {
        if let Some(error) = &self.poisoned {
            return Err(Error::new(ErrorKind::Unavailable, "a write to the disk failed; open the folder again")
                .with_source(error.clone()));
        }
        if self.pending.is_none() {
            self.pending = Some(self.store.begin(self.next)?);
        }
        self.pending.as_ref().ok_or_else(|| Error::internal("no transaction is open"))
    }

    /// Stages a group of changes; when one fails, everything since the last commit is dropped, so that nothing half-done
    /// is ever committed.
    pub(super) fn stage(&mut self, changes: impl FnOnce(&mut Writer) -> Result<()>) -> Result<()> {
        changes(self).map_err(|error| {
            let dropped = self.rollback();
            if store::is_shut(&error) {
                self.poisoned = Some(error.clone());
                return error.with("staged changes", "dropped; open the folder again");
            }
            error.with("staged changes", if dropped.is_ok() { "dropped" } else { "dropped; open the folder again" })
        })
    }

    /// Tells the derived indexes of a new revision; seen by nobody before the commit.
    pub(super) fn announce(&mut self, doc: DocNum, record: &Record, vectors: &[f32]) -> Result<()> {
        self.next = self.next.max(doc + 1);
        self.added.insert(doc, (record.tenant.clone(), record.chunks.len() as u32));
        self.vectors.as_mut().insert(doc, vectors)?;
        let chunks: Vec<(u32, &str)> = record.chunk_texts().enumerate().map(|(i, text)| (i as u32, text)).collect();
        self.lexical.index()?.add(doc, &record.tenant, &record.title, &chunks, &record.metadata)
    }

    /// Tells the derived indexes that a revision goes.
    pub(super) fn withdraw(&mut self, old: Replaced, tenant: &str) -> Result<()> {
        let Replaced { doc, chunks } = old;
        if self.added.remove(&doc).is_some() {
            self.vectors.as_mut().remove(doc);
        } else {
            self.removed.insert(doc, (tenant.to_owned(), chunks)); // its vectors go once the commit is durable
        }
        self.lexical.index()?.delete(doc)
    }

    /// From here on the derived indexes may lack something, until a [`Writer::sync`] succeeds; whether that was so already.
    pub(super) fn mark_stale(&mut self) -> bool {
        std::mem::replace(&mut self.stale, true)
    }

    /// What was marked turned out to be whole.
    pub(super) fn mark_whole(&mut self) {
        self.stale = false;
    }

    /// Whether there is anything to commit.
    pub(super) fn has_changes(&self) -> bool {
        !self.added.is_empty() || !self.removed.is_empty()
    }

    /// Drops everything staged.
    pub(super) fn rollback(&mut self) -> Result<()> {
        self.pending = None;
        for doc in std::mem::take(&mut self.added).into_keys() {
            self.vectors.as_mut().remove(doc);
        }
        self.removed = BTreeMap::new();
        let result = self.lexical.index().and_then(crate::lexical::LexicalIndex::rollback);
        self.stale |= result.is_err();
        result
    }

    /// Makes everything staged durable in the store, then visible. When a derived index fails after that, the commit
    /// stands, and the next commit or open brings the index up to it.
    pub(super) fn commit(&mut self, stages: &Stages<'_>) -> Result<Option<Snapshot>> {
        self.pending()?;
        if self.has_changes() {
            let Some(pending) = self.pending.take() else { return Ok(None) };
            let now = jiff::Timestamp::now().to_string();
            if let Err(error) = stages.run(Stage::Store, || pending.commit(&self.model, &now)) {
                // Whether the disk has the commit is unknown until it is read again.
                let _ = self.rollback();
                self.poisoned = Some(error.clone());
                return Err(error.with("commit", "may or may not be kept; open the folder again to see"));
            }
            for (doc, (tenant, chunks)) in std::mem::take(&mut self.added) {
                self.live.add(doc, &tenant, chunks);
            }
            for (doc, (tenant, chunks)) in std::mem::take(&mut self.removed) {
                self.live.remove(doc, &tenant, chunks);
                self.vectors.as_mut().remove(doc);
            }
        } else {
            self.pending = None;
            if !self.stale {
                return Ok(None);
            }
        }
        let snapshot = stages.run(Stage::Index, || self.sync(false)).map_err(|error| {
            error.with("commit", "is durable, but not yet visible; commit again or open the folder again")
        })?;
        Ok(Some(snapshot))
    }

    /// Brings the derived indexes to the state of the store and takes a snapshot. `compare`: they may lack something,
    /// as after a failure of this.
    pub(super) fn sync(&mut self, compare: bool) -> Result<Snapshot> {
        let compare = self.mark_stale() || compare;
        self.sync_marked(compare).inspect(|_| self.stale = false).inspect_err(|_| {
            // What the writer of the lexical index took is in the store, from where the next attempt takes it.
            let _ = self.lexical.index().and_then(crate::lexical::LexicalIndex::rollback);
        })
    }

    fn sync_marked(&mut self, compare: bool) -> Result<Snapshot> {
        let store = self.store.view()?;
        let seq = store.seq()?;
        if compare {
            self.live = store.live()?;
            self.replay(&store)?;
        }
        self.next = self.next.max(self.live.all.max().map_or(0, |doc| doc + 1));
        let done = self.lexical.index()?.commit(seq)?;
        if let Some(failure) = done.merge_failure {
            tracing::warn!(%failure, "a merge of the lexical index failed and will be tried again");
        }
        let lexical = self.lexical.index()?.view();
        let sealed = self.vectors.seal_if_due(&self.layout.vectors, &self.disk)?;
        let vectors = self.vectors.as_mut().publish()?;
        let snapshot = Snapshot { seq, store, live: self.live.clone(), lexical, vectors };
        self.write_manifest(&snapshot)?;
        Vectors::remove_files(&self.layout.vectors, &self.disk, &sealed);
        Ok(snapshot)
    }

    /// The state of a derived index is a set of document numbers: what the store has more is added, what it has no
    /// longer is taken out. Numbers are never given twice, so nothing else can differ.
    fn replay(&mut self, store: &StoreView) -> Result<()> {
        let live = self.live.all.clone();
        let words = self.lexical.index()?;
        words.rollback()?; // an earlier failure may have left something staged
        let in_lexical = words.view().live_documents()?.clone();
        for doc in in_lexical.difference(&live).iter() {
            self.lexical.index()?.delete(doc)?;
        }
        let in_vectors = self.vectors.as_mut().documents().clone();
        for doc in in_vectors.difference(&live).iter() {
            self.vectors.as_mut().remove(doc);
        }
        let lacking = Error::corruption("the store lists a document that it does not hold");
        let missing_words = live.difference(&in_lexical);
        let missing_vectors = live.difference(&in_vectors);
        for doc in missing_words.union(&missing_vectors).iter() {
            if missing_vectors.contains(doc) {
                let vectors = store.vectors(doc)?.ok_or_else(|| lacking.clone())?;
                self.vectors.as_mut().insert(doc, &vectors)?;
            }
            if missing_words.contains(doc) {
                let record = store.record(doc)?.ok_or_else(|| lacking.clone())?;
                let chunks: Vec<(u32, &str)> = record.chunk_texts().enumerate().map(|(i, t)| (i as u32, t)).collect();
                self.lexical.index()?.add(doc, &record.tenant, &record.title, &chunks, &record.metadata)?;
            }
        }
        Ok(())
    }

    /// Writes the MANIFEST unless it says all this already: opening a folder to search in it writes nothing.
    fn write_manifest(&mut self, snapshot: &Snapshot) -> Result<()> {
        let created_at = snapshot.store.created_at()?.unwrap_or_else(|| jiff::Timestamp::now().to_string());
        let manifest = Manifest {
            commit_seq: snapshot.seq,
            segments: self.vectors.segments().to_vec(),
            model: self.model.clone(),
            feature_schema: 0,
            analyser: self.analyser.clone(),
            build: env!("CARGO_PKG_VERSION").to_owned(),
            created_at,
        };
        if self.manifest.as_ref() != Some(&manifest) {
            self.manifest = None;
            manifest.write(&self.layout.folder, &self.disk)?;
            self.manifest = Some(manifest);
        }
        Ok(())
    }
}

/// A folder that holds files of somebody else's and none of ours was hardly meant. Hidden files are let pass.
fn refuse_foreign(folder: &Path) -> Result<()> {
    if folder.exists() && !folder.is_dir() {
        return Err(Error::invalid(format!("{} is a file; give a folder for the data", folder.display())));
    }
    let names: Vec<_> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.file_name()).collect();
    let is_ours = ["LOCK", "MANIFEST", "store.redb", "store.unfinished", "gate.log"]
        .iter()
        .any(|ours| names.iter().any(|name| name == ours));
    match names.iter().find(|name| !name.as_encoded_bytes().starts_with(b".")) {
        Some(name) if !is_ours => Err(Error::invalid(format!(
            "{} holds other files ({}) and no data of this software; give a folder of its own",
            folder.display(),
            name.display()
        ))),
        _ => Ok(()),
    }
}

/// A MANIFEST that tells of commits without a store means that the store was lost, not that the folder is new.
fn refuse_lost_store(layout: &Layout, manifest: Option<&Manifest>) -> Result<()> {
    match manifest {
        Some(manifest) if manifest.commit_seq > 0 && !layout.store.exists() => Err(Error::corruption(format!(
            "{} is missing, though the MANIFEST tells of commit {}; bring it back from a backup, or remove the folder to start anew",
            layout.store.display(),
            manifest.commit_seq
        ))),
        _ => Ok(()),
    }
}

/// Whether the derived indexes know commits that the store does not have, as after an older store was put back. Their
/// document numbers may then be given again, to other documents.
fn is_of_another_store(store: &StoreView, manifest: Option<&Manifest>, lexical: Option<u64>) -> Result<bool> {
    let (seq, created_at) = (store.seq()?, store.created_at()?);
    let manifest = manifest.filter(|manifest| manifest.commit_seq > 0);
    let is_other = manifest.is_some_and(|manifest| {
        manifest.commit_seq > seq || created_at.as_ref().is_some_and(|created_at| *created_at != manifest.created_at)
    });
    Ok(is_other || lexical.is_some_and(|lexical| lexical > seq))
}

fn refuse_other_model(store: &StoreView, embedder: &dyn Embedder) -> Result<()> {
    let Some(stored) = store.model()? else { return Ok(()) };
    let given = embedder.identity();
    if stored.gives_vectors_of(given) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::ModelMismatch,
        format!(
            "the folder was embedded with {stored}, not with {given}; open it with that model or index into a new folder"
        ),
    )
    .with("differences", stored.differences(given).join("; ")))
}
