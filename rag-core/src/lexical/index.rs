//! The writer of the index.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tantivy::directory::Directory;
use tantivy::index::{SegmentId, SegmentMeta};
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy, MergePolicy, NoMergePolicy};
use tantivy::{FutureResult, Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, TantivyError, Term};

use super::analyser::Analyser;
use super::schema::{CHUNK, DOC, Fields};
use super::view::LexicalView;
use super::{error_of, guarded};
use crate::config::LexicalConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::format::disk::Disk;
use crate::types::{DocNum, Metadata, metadata_bytes};

/// Share of deleted chunks from which on a segment is merged anew.
const MAX_DELETED_SHARE: f32 = 0.25;

/// What [`LexicalIndex::open`] finds.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "made once per open and taken apart at once")]
pub(crate) enum Opened {
    /// An index that answers; it may still be behind the store, see [`LexicalIndex::committed_seq`].
    Ready(LexicalIndex),
    /// What is there cannot be used, for this reason. Empty the directory, open again and index every document.
    NeedsRebuild(String),
}

/// What [`LexicalIndex::commit`] did.
#[derive(Debug, Default)]
pub(crate) struct Commit {
    /// Why a merge in the background failed since the last commit. Nothing is lost: the segments stay as they were, and
    /// the merge is tried again after a later commit.
    pub(crate) merge_failure: Option<Error>,
}

/// The index and its only writer. Additions and deletions are seen by views that are taken after the commit.
pub(crate) struct LexicalIndex {
    index: Index,
    reader: IndexReader,
    fields: Arc<Fields>,
    analyser: Arc<Analyser>,
    options: IndexWriterOptions,
    /// `None` after a failed write, until [`LexicalIndex::rollback`].
    writer: Option<IndexWriter>,
    /// Where the files are written.
    disk: Disk,
    /// Whether there is anything that the last commit lacks.
    changed: bool,
    merges: Vec<(Vec<SegmentId>, FutureResult<Option<SegmentMeta>>)>,
    /// Bytes handed to the writer since it last was idle.
    queued: usize,
    /// How many of them may wait: tantivy bounds its queue by entries, however long these are.
    most_queued: usize,
}

impl std::fmt::Debug for LexicalIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LexicalIndex").field("analyser", &self.analyser).finish_non_exhaustive()
    }
}

impl LexicalIndex {
    /// Opens the index of a folder, or makes it there; the folder must exist.
    ///
    /// # Errors
    /// As [`LexicalIndex::open`].
    pub(crate) fn open_folder(folder: &Path, config: &LexicalConfig, disk: &Disk) -> Result<Opened> {
        let mut opened = LexicalIndex::open(super::directory::open(folder, disk)?, config)?;
        if let Opened::Ready(index) = &mut opened {
            index.disk = disk.clone();
        }
        Ok(opened)
    }

    /// Opens the index in `directory`, or makes an empty one where there is none. An index of another format, schema or
    /// analyser and one with damaged files is no error but [`Opened::NeedsRebuild`]. Contents of files are not read
    /// through here; see [`LexicalIndex::verify`].
    ///
    /// # Errors
    /// `InvalidArgument` for an unknown language, `Conflict` while another writer has it, and what the system says.
    pub(crate) fn open(directory: Box<dyn Directory>, config: &LexicalConfig) -> Result<Opened> {
        let analyser = Arc::new(Analyser::new(&config.language)?);
        let fields = Arc::new(Fields::new(analyser.describe()));
        // tantivy takes below 4 GiB.
        let memory = (config.writer_memory_mib << 20).min(4_000_000_000);
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(memory)
            .build();
        let opened = guarded("open the lexical index", || open_or_create(directory, &fields, &analyser));
        let index = match opened {
            Ok(index) => index,
            Err(error) if error.kind() == ErrorKind::Corruption => return Ok(Opened::NeedsRebuild(error.to_string())),
            Err(error) => return Err(error),
        };
        let reader = guarded("read the lexical index", || {
            let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
            probe(&reader, &fields)?;
            Ok(reader)
        });
        let reader = match reader {
            Ok(reader) => reader,
            // Internal: tantivy calls some damage an I/O error that no system has.
            Err(error) if matches!(error.kind(), ErrorKind::Corruption | ErrorKind::Internal) => {
                return Ok(Opened::NeedsRebuild(error.to_string()));
            }
            Err(error) => return Err(error),
        };
        let mut opened = LexicalIndex {
            index,
            reader,
            fields,
            analyser,
            options,
            writer: None,
            disk: Disk::default(),
            changed: false,
            merges: Vec::new(),
            queued: 0,
            most_queued: 2 * memory,
        };
        if opened.payload()?.is_some_and(|payload| payload.parse::<u64>().is_err()) {
            return Ok(Opened::NeedsRebuild("the lexical index does not say which commit it has".to_owned()));
        }
        opened.start_writer()?;
        Ok(Opened::Ready(opened))
    }

    /// What the MANIFEST records of the analyser.
    pub(crate) fn analyser(&self) -> &Analyser {
        &self.analyser
    }

    /// Adds one document revision: its chunks by ordinal, and its metadata. A document without chunks is found by its
    /// title, as chunk 0. A number must not be added twice.
    ///
    /// # Errors
    /// After a failure the writer takes nothing more until [`LexicalIndex::rollback`].
    pub(crate) fn add(
        &mut self,
        doc: DocNum,
        tenant: &str,
        title: &str,
        chunks: &[(u32, &str)],
        metadata: &Metadata,
    ) -> Result<()> {
        let entries = self.fields.entries(doc, tenant, title, chunks, metadata);
        let bytes = chunks.iter().map(|(_, text)| title.len() + text.len()).sum::<usize>() + metadata_bytes(metadata);
        self.queued += 2 * bytes;
        let wait = self.queued > self.most_queued;
        self.changed = true;
        self.write("add to the lexical index", |writer| {
            entries.into_iter().try_for_each(|entry| writer.add_document(entry).map(drop))?;
            if wait {
                // Returns when everything is indexed; a commit that is only prepared changes nothing else.
                drop(writer.prepare_commit()?);
            }
            Ok(())
        })?;
        self.queued = if wait { 0 } else { self.queued };
        Ok(())
    }

    /// Takes a document out. A number that is not there is no error.
    ///
    /// # Errors
    /// As [`LexicalIndex::add`].
    pub(crate) fn delete(&mut self, doc: DocNum) -> Result<()> {
        let term = Term::from_field_u64(self.fields.doc, doc);
        self.changed = true;
        self.write("delete from the lexical index", |writer| {
            writer.delete_term(term);
            Ok(())
        })
    }

    /// Makes everything since the last commit durable and visible, and notes `seq` with it. Merges that this makes
    /// worthwhile run in the background. When the last commit has all this already, nothing is written.
    ///
    /// # Errors
    /// As [`LexicalIndex::add`]; the index then still has the commit before.
    pub(crate) fn commit(&mut self, seq: u64) -> Result<Commit> {
        let merge_failure = self.finished_merges();
        if !self.changed && self.payload()? == Some(seq.to_string()) {
            return Ok(Commit { merge_failure });
        }
        self.write("commit the lexical index", |writer| {
            let mut commit = writer.prepare_commit()?;
            commit.set_payload(&seq.to_string());
            commit.commit().map(drop)
        })?;
        self.queued = 0;
        self.changed = false;
        self.reload()?;
        self.start_merges()?;
        Ok(Commit { merge_failure })
    }

    /// The number noted by the last commit; `None` before the first.
    ///
    /// # Errors
    /// `Corruption` if the index cannot say.
    pub(crate) fn committed_seq(&self) -> Result<Option<u64>> {
        self.payload()?
            .map(|payload| payload.parse().map_err(|_| Error::corruption(format!("`{payload}` is no commit number"))))
            .transpose()
    }

    /// Forgets everything since the last commit. After a failed write this is how to go on.
    ///
    /// # Errors
    /// What the system says; it may be called again.
    pub(crate) fn rollback(&mut self) -> Result<()> {
        self.wait_for_merges();
        // Dropping it stops its threads and gives its lock back.
        self.writer = None;
        self.start_writer()?;
        self.changed = false;
        self.reload()
    }

    /// The last commit, to search in.
    pub(crate) fn view(&self) -> LexicalView {
        LexicalView::new(self.reader.searcher(), Arc::clone(&self.fields), Arc::clone(&self.analyser))
    }

    /// Merges everything committed into one segment without deleted chunks, and removes files that nothing uses.
    ///
    /// # Errors
    /// As [`LexicalIndex::add`]; the segments then stay as they were.
    pub(crate) fn compact(&mut self) -> Result<()> {
        self.wait_for_merges();
        let segments = guarded("list the lexical index", || self.index.searchable_segment_metas())?;
        let worthwhile = segments.len() > 1 || segments.iter().any(SegmentMeta::has_deletes);
        self.write("merge the lexical index", |writer| {
            if worthwhile {
                let segments: Vec<SegmentId> = segments.iter().map(SegmentMeta::id).collect();
                writer.merge(&segments).wait()?;
            }
            drop(segments);
            writer.garbage_collect_files().wait().map(drop)
        })?;
        self.reload()
    }

    /// Reads every file of the last commit through and compares its checksum.
    ///
    /// # Errors
    /// `Corruption`, naming the damaged files.
    pub(crate) fn verify(&self) -> Result<()> {
        let mut damaged: Vec<String> = guarded("verify the lexical index", || self.index.validate_checksum())?
            .into_iter()
            .map(|path| path.display().to_string())
            .collect();
        damaged.sort();
        match damaged.as_slice() {
            [] => Ok(()),
            files => Err(Error::corruption(format!("lexical index: the checksum of {} differs", files.join(", ")))),
        }
    }

    fn payload(&self) -> Result<Option<String>> {
        guarded("read the lexical index", || Ok(self.index.load_metas()?.payload))
    }

    fn start_writer(&mut self) -> Result<()> {
        self.writer = Some(guarded("write to the lexical index", || {
            let writer: IndexWriter = self.index.writer_with_options(self.options.clone())?;
            // Merges are started below, where their failures are seen.
            writer.set_merge_policy(Box::new(NoMergePolicy));
            Ok(writer)
        })?);
        Ok(())
    }

    /// Runs a write; one that failed leaves no writer behind, for tantivy's may wait for a dead thread forever.
    fn write<T>(&mut self, action: &str, write: impl FnOnce(&mut IndexWriter) -> tantivy::Result<T>) -> Result<T> {
        let Some(mut writer) = self.writer.take() else {
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!("cannot {action}: an earlier write failed; roll back first"),
            ));
        };
        let (done, writer) = match guarded(action, || Ok(write(&mut writer))) {
            Ok(Ok(done)) => (Ok(done), Some(writer)),
            Ok(Err(error)) => (Err(self.explained(error_of(action, cause_of(error, &mut writer)))), None),
            Err(panicked) => (Err(panicked), None),
        };
        self.writer = writer;
        done
    }

    /// tantivy makes a mere sentence of some errors of the system.
    fn explained(&self, error: Error) -> Error {
        if self.disk.was_full() && error.kind() == ErrorKind::Internal {
            return Error::new(ErrorKind::ResourceExhausted, error.message().to_owned()).with_source(error);
        }
        error
    }

    fn reload(&mut self) -> Result<()> {
        guarded("reload the lexical index", || self.reader.reload())
    }

    fn start_merges(&mut self) -> Result<()> {
        let Some(writer) = self.writer.as_mut() else { return Ok(()) };
        let mut segments = guarded("list the lexical index", || self.index.searchable_segment_metas())?;
        segments.retain(|segment| !self.merges.iter().any(|(merging, _)| merging.contains(&segment.id())));
        let mut policy = LogMergePolicy::default();
        policy.set_del_docs_ratio_before_merge(MAX_DELETED_SHARE);
        for candidate in policy.compute_merge_candidates(&segments) {
            let merge = writer.merge(&candidate.0);
            self.merges.push((candidate.0, merge));
        }
        Ok(())
    }

    /// Takes the finished merges off the list; the failure of the last one that failed.
    fn finished_merges(&mut self) -> Option<Error> {
        let mut failure = None;
        let mut context = Context::from_waker(Waker::noop());
        self.merges.retain_mut(|(_, merge)| match Pin::new(merge).poll(&mut context) {
            Poll::Pending => true,
            Poll::Ready(done) => {
                failure = failure_of(done).or(failure.take());
                false
            }
        });
        failure
    }

    /// Merges under way write files; nobody else may begin to until they are through.
    fn wait_for_merges(&mut self) {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        for (_, mut merge) in self.merges.drain(..) {
            // Its own way to wait does not work once it was polled.
            let done = loop {
                match Pin::new(&mut merge).poll(&mut context) {
                    Poll::Ready(done) => break done,
                    Poll::Pending => thread::park(),
                }
            };
            if let Some(error) = failure_of(done) {
                tracing::warn!(%error, "a merge of the lexical index failed");
            }
        }
    }
}

/// Where tantivy only says that a thread of its writer ended, what ended it: it is told to whoever joins the thread, which
/// preparing a commit does.
fn cause_of(error: TantivyError, writer: &mut IndexWriter) -> TantivyError {
    match error {
        TantivyError::ErrorInThread(_) => writer.prepare_commit().err().unwrap_or(error),
        error => error,
    }
}

/// The failure of a merge, unless it only came too late: a segment whose last chunk was deleted meanwhile is gone, and
/// tantivy then calls the merge an invalid argument.
fn failure_of(merge: tantivy::Result<Option<SegmentMeta>>) -> Option<Error> {
    match merge {
        Ok(_) | Err(TantivyError::InvalidArgument(_)) => None,
        Err(error) => Some(error_of("merge the lexical index", error)),
    }
}

/// Wakes a thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Drop for LexicalIndex {
    fn drop(&mut self) {
        self.wait_for_merges();
    }
}

fn open_or_create(directory: Box<dyn Directory>, fields: &Fields, analyser: &Analyser) -> tantivy::Result<Index> {
    // No field is stored, so a thread that compresses them would idle.
    let settings = IndexSettings { docstore_compress_dedicated_thread: false, ..IndexSettings::default() };
    let index = Index::builder().schema(fields.schema.clone()).settings(settings).open_or_create(directory)?;
    index.tokenizers().register(analyser.describe(), analyser.tokenizer());
    Ok(index)
}

/// Touches what every search needs, so that a damaged file shows now.
fn probe(reader: &IndexReader, fields: &Fields) -> tantivy::Result<()> {
    for segment in reader.searcher().segment_readers() {
        for field in [fields.body, fields.title, fields.text, fields.doc, fields.meta, fields.tenant] {
            segment.inverted_index(field)?;
        }
        segment.get_fieldnorms_reader(fields.body)?;
        segment.fast_fields().u64(CHUNK)?;
        segment.fast_fields().u64(DOC)?;
    }
    Ok(())
}
