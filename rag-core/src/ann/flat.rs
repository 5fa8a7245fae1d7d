//! The default backend: an exact scan over immutable segments.
//!
//! New vectors go into blocks in memory, which are merged as they grow, so that there are always few and a commit costs
//! what it adds. From time to time the engine seals them: [`FlatIndex::merged`] gives one segment, the engine writes it to
//! a file and maps it, and [`FlatIndex::install_sealed`] puts it in the place of the blocks it was made of. Removing a
//! document only marks it; its rows disappear when their segment is merged.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::quantise::MAX_LENGTH;
use super::scan::{self, Slot};
use super::segment::{FlatSegment, MAX_DOC};
use super::{
    Capabilities, MAX_DIMENSION, VectorHits, VectorIndex, VectorIndexMut, VectorQuery, check_query, check_vectors,
};
use crate::distance::norm_f32;
use crate::error::{Error, ErrorKind, Result};
use crate::types::{ChunkId, DocNum, IdSet, MAX_CHUNKS};

/// Most blocks in memory.
const MAX_BLOCKS: usize = 8;
/// A block is merged into the one before it unless that one has this many times its rows.
const GROWTH: usize = 4;
/// Fewer unsealed rows than this are never worth a file: building them again at open takes milliseconds.
const MIN_SEAL_ROWS: usize = 4096;

/// Sealing is due when one in this many rows is dead, and then takes the segments of which that holds: there is one.
const MAX_DEAD: usize = 3;

/// An immutable view of a [`FlatIndex`].
#[derive(Debug, Clone)]
pub(super) struct FlatView {
    dimension: usize,
    rows: usize,
    live_rows: usize,
    documents: Arc<IdSet>,
    slots: Arc<[Slot]>,
}

impl FlatView {
    /// Number of vectors of the documents held.
    #[cfg_attr(not(feature = "hnsw"), allow(dead_code))]
    pub(super) fn live_rows(&self) -> usize {
        self.live_rows
    }
}

impl VectorIndex for FlatView {
    fn capabilities(&self) -> Capabilities {
        Capabilities { backend: "flat", exact: true, persistent: true }
    }

    fn dimension(&self) -> usize {
        self.dimension
    }

    fn len(&self) -> usize {
        self.rows
    }

    fn documents(&self) -> &IdSet {
        &self.documents
    }

    fn vectors_of(&self, doc: DocNum) -> &[f32] {
        self.slots.iter().find_map(|slot| slot.vectors_of(doc)).unwrap_or_default()
    }

    fn search(&self, query: &VectorQuery<'_>) -> Result<VectorHits> {
        check_query(query, self.dimension)?;
        check_length("vector", query.vector, self.dimension)?;
        scan::search(&self.slots, query)
    }
}

/// The exact index, writing side.
///
/// ```
/// use rag_core::ann::{FlatIndex, VectorIndexMut, VectorQuery};
/// let mut index = FlatIndex::new(2)?;
/// index.insert(7, &[1.0, 0.0, 0.6, 0.8])?;
/// index.insert(8, &[0.0, 1.0])?;
/// let view = index.publish()?;
/// let cancel = rag_core::Cancel::never();
/// let found = view.search(&VectorQuery { vector: &[0.0, 1.0], k: 2, ef: None, allow: None, cancel: &cancel })?;
/// let ids: Vec<_> = found.hits.iter().map(|hit| (hit.chunk.doc(), hit.chunk.ordinal())).collect();
/// assert_eq!(ids, [(8, 0), (7, 1)]);
/// # Ok::<(), rag_core::Error>(())
/// ```
#[derive(Debug)]
pub struct FlatIndex {
    dimension: usize,
    documents: Arc<IdSet>,
    sealed: Vec<(String, Slot)>,
    blocks: Vec<Slot>,
    pending: BTreeMap<DocNum, Vec<f32>>,
}

/// What [`FlatIndex::merged`] made, to be handed to [`FlatIndex::install_sealed`].
#[derive(Debug)]
pub struct Merged {
    segment: Arc<FlatSegment>,
    replaced: Vec<Arc<FlatSegment>>,
}

impl Merged {
    /// The segment to write.
    pub fn segment(&self) -> &FlatSegment {
        &self.segment
    }
}

impl FlatIndex {
    /// An empty index for vectors with `dimension` values.
    ///
    /// # Errors
    /// `InvalidArgument` unless `dimension` is 1 to [`MAX_DIMENSION`].
    pub fn new(dimension: usize) -> Result<Self> {
        if !(1..=MAX_DIMENSION).contains(&dimension) {
            return Err(Error::invalid(format!("`dimension` is {dimension}; give 1 to {MAX_DIMENSION}")));
        }
        Ok(FlatIndex {
            dimension,
            documents: Arc::default(),
            sealed: Vec::new(),
            blocks: Vec::new(),
            pending: BTreeMap::new(),
        })
    }

    /// An index over sealed segments, oldest first, as [`FlatIndex::sealed`] gave them. Where two hold the same document,
    /// the later one counts.
    ///
    /// Segments do not know of removals that came after them, nor of documents without vectors: the caller compares
    /// [`VectorIndexMut::documents`] with its store and removes and inserts what differs.
    ///
    /// # Errors
    /// `InvalidArgument` for a dimension out of range, `Corruption` when a segment has another dimension.
    pub fn open(dimension: usize, segments: Vec<(String, FlatSegment)>) -> Result<Self> {
        let mut index = FlatIndex::new(dimension)?;
        for (name, segment) in segments {
            if segment.dimension() != dimension {
                return Err(Error::corruption(format!(
                    "vector segment {name} has dimension {}; the index has {dimension}",
                    segment.dimension()
                )));
            }
            let earlier = index.documents.difference(segment.documents());
            for (_, slot) in &mut index.sealed {
                if slot.live().intersection_len(segment.documents()) > 0 {
                    slot.restrict(&earlier);
                }
            }
            index.documents = Arc::new(index.documents.union(segment.documents()));
            index.sealed.push((name, Slot::new(Arc::new(segment))));
        }
        Ok(index)
    }

    /// The sealed segments by name, oldest first: what the next [`FlatIndex::open`] needs.
    pub fn sealed(&self) -> impl Iterator<Item = (&str, &FlatSegment)> {
        self.sealed.iter().map(|(name, slot)| (name.as_str(), slot.segment.as_ref()))
    }

    /// Number of vectors that are in no sealed segment.
    pub fn unsealed_len(&self) -> usize {
        let pending: usize = self.pending.values().map(Vec::len).sum();
        pending / self.dimension + self.blocks.iter().map(Slot::live_rows).sum::<usize>()
    }

    /// Number of vectors of removed documents that still take room.
    pub fn dead_len(&self) -> usize {
        self.slots().map(Slot::dead_rows).sum()
    }

    /// Number of vectors of the documents held.
    pub fn live_len(&self) -> usize {
        self.unsealed_len() + self.sealed.iter().map(|(_, slot)| slot.live_rows()).sum::<usize>()
    }

    /// Whether sealing is worth it now: at least a fifth of the vectors are unsealed, or a third of the rows are dead.
    pub fn seal_wanted(&self) -> bool {
        let (unsealed, dead, live) = (self.unsealed_len(), self.dead_len(), self.live_len());
        unsealed >= MIN_SEAL_ROWS.max(live / 5) || dead >= MIN_SEAL_ROWS.max((live + dead) / MAX_DEAD)
    }

    /// One segment to seal, or `None` when there is nothing to gain. The index is as before until
    /// [`FlatIndex::install_sealed`].
    ///
    /// With `everything`, it holds every vector (compaction); else the blocks in memory, the sealed segments that are not
    /// much larger than these, and those of which a third is dead, so that each vector is written a logarithmic number of times.
    pub fn merged(&mut self, everything: bool) -> Option<Merged> {
        self.flush();
        let mut chosen: Vec<&Slot> = self.blocks.iter().collect();
        let mut rows: usize = chosen.iter().map(|slot| slot.live_rows()).sum();
        let mut sealed: Vec<&Slot> = self.sealed.iter().map(|(_, slot)| slot).collect();
        sealed.sort_by_key(|slot| slot.live_rows());
        for slot in sealed {
            let is_due = slot.dead_rows() * MAX_DEAD >= slot.segment.len();
            if everything || is_due || slot.live_rows() <= 2 * rows {
                rows += slot.live_rows();
                chosen.push(slot);
            }
        }
        let one_clean_file = self.blocks.is_empty() && chosen.len() == 1 && chosen[0].dead_rows() == 0;
        if chosen.is_empty() || one_clean_file {
            return None;
        }
        Some(Merged {
            segment: Arc::new(merge(self.dimension, &chosen)),
            replaced: chosen.iter().map(|slot| Arc::clone(&slot.segment)).collect(),
        })
    }

    /// Puts `segment`, read back from where `merged` was written, in the place of what it was made of. Returns the names
    /// of the sealed segments that it replaces. Documents removed in between stay removed; views published before keep
    /// the old segments alive.
    ///
    /// # Errors
    /// `Conflict` when the index was published in between so that the blocks are others now; `InvalidArgument` when
    /// `segment` is not the one that was merged. The index is unchanged then.
    pub fn install_sealed(&mut self, name: &str, segment: FlatSegment, merged: &Merged) -> Result<Vec<String>> {
        if segment.dimension() != self.dimension || segment.columns().keys != merged.segment.columns().keys {
            return Err(Error::invalid(format!("`segment` {name} is not the one that was merged")));
        }
        let replaced = |slot: &Slot| merged.replaced.iter().any(|old| Arc::ptr_eq(old, &slot.segment));
        if self.slots().filter(|slot| replaced(slot)).count() != merged.replaced.len() {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the index changed while its segments were merged; merge again",
            ));
        }
        let live = self.slots().filter(|slot| replaced(slot)).fold(IdSet::new(), |live, slot| live.union(slot.live()));
        let mut slot = Slot::new(Arc::new(segment));
        slot.restrict(&live);
        let mut names = Vec::new();
        self.blocks.retain(|slot| !replaced(slot));
        self.sealed.retain(|(name, slot)| {
            let gone = replaced(slot);
            if gone {
                names.push(name.clone());
            }
            !gone
        });
        self.sealed.push((name.to_owned(), slot));
        Ok(names)
    }

    fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.sealed.iter().map(|(_, slot)| slot).chain(&self.blocks)
    }

    /// Makes a block of what was inserted since the last time, and merges blocks.
    fn flush(&mut self) {
        self.blocks.retain(|slot| slot.live_rows() > 0);
        if !self.pending.is_empty() {
            let pending = std::mem::take(&mut self.pending);
            let rows = pending.iter().flat_map(|(&doc, vectors)| {
                let rows = vectors.chunks_exact(self.dimension).zip(0u32..);
                rows.map(move |(row, ordinal)| (ChunkId::new(doc, ordinal), row))
            });
            self.blocks.push(Slot::new(Arc::new(FlatSegment::build(self.dimension, rows))));
        }
        self.merge_tail();
        while self.blocks.len() > MAX_BLOCKS {
            let pair = |at: &usize| self.blocks[*at].live_rows() + self.blocks[at + 1].live_rows();
            let Some(at) = (0..self.blocks.len() - 1).min_by_key(pair) else { break };
            self.merge_blocks(at..at + 2);
        }
    }

    /// Keeps the sizes of the blocks falling by at least [`GROWTH`], so that they are few and each row is copied a
    /// logarithmic number of times.
    fn merge_tail(&mut self) {
        let Some(mut start) = self.blocks.len().checked_sub(1) else { return };
        let mut rows = self.blocks[start].live_rows();
        while start > 0 && self.blocks[start - 1].live_rows() < GROWTH * rows {
            start -= 1;
            rows += self.blocks[start].live_rows();
        }
        if start + 1 < self.blocks.len() {
            self.merge_blocks(start..self.blocks.len());
        }
    }

    fn merge_blocks(&mut self, range: std::ops::Range<usize>) {
        let chosen: Vec<&Slot> = self.blocks[range.clone()].iter().collect();
        let merged = Slot::new(Arc::new(merge(self.dimension, &chosen)));
        self.blocks.splice(range, [merged]);
    }

    /// [`VectorIndexMut::publish`] with the type known.
    pub(super) fn view(&mut self) -> FlatView {
        self.flush();
        let slots: Arc<[Slot]> = self.slots().cloned().collect();
        let rows = slots.iter().map(|slot| slot.segment.len()).sum();
        let live_rows = slots.iter().map(Slot::live_rows).sum();
        FlatView { dimension: self.dimension, rows, live_rows, documents: Arc::clone(&self.documents), slots }
    }
}

fn merge(dimension: usize, slots: &[&Slot]) -> FlatSegment {
    let parts: Vec<_> = slots.iter().map(|slot| (slot.segment.as_ref(), slot.live())).collect();
    FlatSegment::merge(dimension, &parts)
}

/// Refuses rows whose inner products could overflow.
pub(super) fn check_length(field: &str, values: &[f32], dimension: usize) -> Result<()> {
    match values.chunks_exact(dimension).position(|row| norm_f32(row) > MAX_LENGTH) {
        Some(row) => Err(Error::invalid(format!("`{field}` row {row} is longer than {MAX_LENGTH:e}; normalise it"))),
        None => Ok(()),
    }
}

/// What every backend checks before it takes a document.
pub(super) fn check_insert(documents: &IdSet, doc: DocNum, vectors: &[f32], dimension: usize) -> Result<()> {
    check_vectors("vectors", vectors, dimension)?;
    check_length("vectors", vectors, dimension)?;
    if doc >= MAX_DOC {
        return Err(Error::invalid(format!("`doc` is {doc}; it must be below {MAX_DOC}")));
    }
    if vectors.len() / dimension > MAX_CHUNKS {
        return Err(Error::invalid(format!("`vectors` has more than {MAX_CHUNKS} rows; split the document")));
    }
    if documents.contains(doc) {
        return Err(Error::new(ErrorKind::Conflict, format!("document revision {doc} is in the index already")));
    }
    Ok(())
}

impl VectorIndexMut for FlatIndex {
    fn documents(&self) -> &IdSet {
        &self.documents
    }

    fn insert(&mut self, doc: DocNum, vectors: &[f32]) -> Result<()> {
        check_insert(&self.documents, doc, vectors, self.dimension)?;
        Arc::make_mut(&mut self.documents).insert(doc);
        if !vectors.is_empty() {
            self.pending.insert(doc, vectors.to_vec());
        }
        Ok(())
    }

    fn remove(&mut self, doc: DocNum) -> bool {
        if !self.documents.contains(doc) {
            return false;
        }
        Arc::make_mut(&mut self.documents).remove(doc);
        if self.pending.remove(&doc).is_none() {
            let mut slots = self.sealed.iter_mut().map(|(_, slot)| slot).chain(&mut self.blocks);
            slots.any(|slot| slot.remove(doc));
        }
        true
    }

    fn publish(&mut self) -> Result<Arc<dyn VectorIndex>> {
        Ok(Arc::new(self.view()))
    }
}

#[cfg(test)]
mod tests;
