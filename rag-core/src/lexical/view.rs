//! One commit of the index, to search in.

use std::sync::{Arc, OnceLock};

use tantivy::columnar::Column;
use tantivy::{DocId, Searcher, SegmentReader};
#[cfg(test)]
use tantivy::{Term, schema::IndexRecordOption};

use super::analyser::Analyser;
use super::guarded;
use super::schema::{DOC, Fields};
use crate::error::Result;
use crate::types::IdSet;

/// An immutable view of one commit; cheap to clone, and valid however long it is kept.
#[derive(Clone)]
pub(crate) struct LexicalView {
    pub(super) searcher: Searcher,
    pub(super) fields: Arc<Fields>,
    pub(super) analyser: Arc<Analyser>,
    live: Arc<OnceLock<IdSet>>,
}

impl std::fmt::Debug for LexicalView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LexicalView").field("chunks", &self.chunks()).finish_non_exhaustive()
    }
}

impl LexicalView {
    pub(super) fn new(searcher: Searcher, fields: Arc<Fields>, analyser: Arc<Analyser>) -> Self {
        LexicalView { searcher, fields, analyser, live: Arc::default() }
    }

    /// Number of chunks that are there; a document without chunks counts as one.
    pub(crate) fn chunks(&self) -> u64 {
        self.searcher.num_docs()
    }

    /// Number of segments, for statistics.
    #[cfg(test)]
    pub(crate) fn segments(&self) -> usize {
        self.searcher.segment_readers().len()
    }

    /// Every document that is there. The difference to the documents of the store is what must be replayed.
    ///
    /// # Errors
    /// `Corruption` if the index is damaged.
    pub(crate) fn live_documents(&self) -> Result<&IdSet> {
        if let Some(live) = self.live.get() {
            return Ok(live);
        }
        let live = guarded("read the lexical index", || self.all_documents())?;
        Ok(self.live.get_or_init(|| live))
    }

    pub(super) fn all_documents(&self) -> tantivy::Result<IdSet> {
        let mut docs = Vec::new();
        for segment in self.searcher.segment_readers() {
            let column = segment.fast_fields().u64(DOC)?;
            docs.extend(segment.doc_ids_alive().filter_map(|entry| column.first(entry)));
        }
        Ok(to_set(docs))
    }

    /// Documents of one tenant.
    ///
    /// # Errors
    /// `Corruption` if the index is damaged.
    #[cfg(test)]
    pub(crate) fn tenant_documents(&self, tenant: &str) -> Result<IdSet> {
        let term = Term::from_field_bytes(self.fields.tenant, tenant.as_bytes());
        guarded("read the lexical index", || {
            let mut docs = Vec::new();
            for segment in self.searcher.segment_readers() {
                let numbers = Numbers::of(segment)?;
                let index = segment.inverted_index(self.fields.tenant)?;
                if let Some(mut postings) = index.read_block_postings(&term, IndexRecordOption::Basic)? {
                    while !postings.docs().is_empty() {
                        numbers.of_live(postings.docs(), &mut docs);
                        postings.advance();
                    }
                }
            }
            Ok(to_set(docs))
        })
    }
}

/// Document numbers of the entries of a segment.
pub(super) struct Numbers<'a> {
    segment: &'a SegmentReader,
    column: Column<u64>,
}

impl<'a> Numbers<'a> {
    pub(super) fn of(segment: &'a SegmentReader) -> tantivy::Result<Self> {
        Ok(Numbers { segment, column: segment.fast_fields().u64(DOC)? })
    }

    /// Appends the document numbers of those `entries` that are not deleted.
    pub(super) fn of_live(&self, entries: &[DocId], docs: &mut Vec<u64>) {
        let alive = self.segment.alive_bitset();
        let live = entries.iter().filter(|entry| alive.is_none_or(|alive| alive.is_alive(**entry)));
        docs.extend(live.filter_map(|entry| self.column.first(*entry)));
    }
}

pub(super) fn to_set(mut docs: Vec<u64>) -> IdSet {
    docs.sort_unstable();
    docs.into_iter().collect()
}
