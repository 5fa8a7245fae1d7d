//! The exact scan: approximate scores with certain error bounds first, full precision for what the bounds leave over.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::iter;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use rayon::prelude::*;

use super::quantise::QuantisedQuery;
use super::segment::{FlatSegment, runs_of};
use super::{VectorHit, VectorHits, VectorQuery};
use crate::distance::{dot_f32, dot_i8_rows};
use crate::error::Result;
use crate::types::{ChunkId, DocNum, IdSet};

/// Up to this many rows, reading them in full precision at once costs less than the two passes.
const DIRECT_ROWS: usize = 1024;
/// A segment of which at least one document in so many is visible is scanned as a whole.
const DENSE: u64 = 16;
/// Rows between two checks of the caller's [`crate::Cancel`], and the unit of work of a thread.
const BLOCK_ROWS: usize = 4096;
/// Rows whose integer products are computed by one call of the kernel.
const CHUNK_ROWS: usize = 256;
/// Fewer rows than this are not worth waking other threads for.
const PARALLEL_ROWS: usize = 20_000;

/// A segment and which of its documents are still alive.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) segment: Arc<FlatSegment>,
    live: Arc<IdSet>,
    live_rows: usize,
}

impl Slot {
    pub(super) fn new(segment: Arc<FlatSegment>) -> Self {
        let (live, live_rows) = (segment.shared_documents(), segment.len());
        Slot { segment, live, live_rows }
    }

    /// Only the documents of `live` are alive.
    pub(super) fn restrict(&mut self, live: &IdSet) {
        self.live = Arc::new(self.live.intersection(live));
        self.live_rows = runs_of(self.segment.columns().keys, &self.live).iter().map(Range::len).sum();
    }

    /// Marks a document as dead; whether it was alive here.
    pub(super) fn remove(&mut self, doc: DocNum) -> bool {
        if !self.live.contains(doc) {
            return false;
        }
        Arc::make_mut(&mut self.live).remove(doc);
        self.live_rows -= self.segment.rows_of(doc).len();
        true
    }

    pub(super) fn live(&self) -> &IdSet {
        &self.live
    }

    pub(super) fn live_rows(&self) -> usize {
        self.live_rows
    }

    pub(super) fn dead_rows(&self) -> usize {
        self.segment.len() - self.live_rows
    }

    /// The documents that a search with this restriction may see.
    fn visible(&self, allow: Option<&IdSet>) -> Cow<'_, IdSet> {
        match allow {
            None => Cow::Borrowed(&self.live),
            Some(allow) => Cow::Owned(self.live.intersection(allow)),
        }
    }

    /// The vectors of one document, row-major, if it is alive here.
    #[cfg_attr(not(feature = "hnsw"), allow(dead_code))]
    pub(super) fn vectors_of(&self, doc: DocNum) -> Option<&[f32]> {
        let width = self.segment.dimension();
        let rows = self.live.contains(doc).then(|| self.segment.rows_of(doc))?;
        self.segment.columns().vectors.get(rows.start * width..rows.end * width)
    }
}

/// Neighbouring rows of one slot.
struct Work<'a> {
    slot: &'a Slot,
    rows: Range<usize>,
    /// Only rows of these documents count; `None`: all of them.
    only: Option<&'a IdSet>,
}

impl Work<'_> {
    fn counts(&self, key: u64) -> bool {
        self.only.is_none_or(|only| only.contains(ChunkId::from_u64(key).doc()))
    }
}

/// Blocks that cover every row of the `visible` documents of `slot`.
///
/// Many documents with gaps between them are scanned as a whole and told apart when a row turns out to be a candidate,
/// which few do; few documents are looked up.
fn blocks_of<'a>(slot: &'a Slot, visible: &'a IdSet, work: &mut Vec<Work<'a>>) {
    let (rows, documents) = (slot.segment.len(), slot.segment.documents().len());
    let every = visible.len() == documents;
    let most = rows > DIRECT_ROWS && visible.len() * DENSE >= documents;
    let (runs, only) = if every || most {
        (iter::once(0..rows).collect(), (!every).then_some(visible))
    } else {
        (runs_of(slot.segment.columns().keys, visible), None)
    };
    for run in runs {
        let starts = run.clone().step_by(BLOCK_ROWS);
        work.extend(starts.map(|start| Work { slot, rows: start..run.end.min(start + BLOCK_ROWS), only }));
    }
}

/// The `k` nearest visible chunks of all slots; the caller has checked the query.
pub(super) fn search(slots: &[Slot], query: &VectorQuery<'_>) -> Result<VectorHits> {
    query.cancel.check()?;
    let visible: Vec<Cow<'_, IdSet>> = slots.iter().map(|slot| slot.visible(query.allow)).collect();
    let mut work = Vec::new();
    let mut narrowed = false;
    for (slot, visible) in slots.iter().zip(&visible) {
        narrowed |= visible.len() < slot.live().len();
        blocks_of(slot, visible, &mut work);
    }
    let scanned = work.iter().map(|block| block.rows.len()).sum();
    let mut best = TopK::new(query.k.min(scanned));
    if scanned <= DIRECT_ROWS || scanned / 4 <= query.k {
        for block in &work {
            query.cancel.check()?;
            score_all(block, query.vector, &mut best);
        }
    } else {
        let candidates = prune(&work, query, scanned)?;
        rescore(candidates, query, &mut best)?;
    }
    let plan = if narrowed { "exact scan of the filtered set" } else { "exact scan" };
    Ok(VectorHits { hits: best.into_hits(), plan, scanned })
}

fn score_all(work: &Work<'_>, vector: &[f32], best: &mut TopK) {
    let columns = work.slot.segment.columns();
    for row in work.rows.clone().filter(|&row| work.counts(columns.keys[row])) {
        let score = dot_f32(&columns.vectors[row * vector.len()..][..vector.len()], vector);
        best.offer(ChunkId::from_u64(columns.keys[row]), score);
    }
}

/// A row whose true score may be among the best: it is at most `upper`.
struct Candidate<'a> {
    upper: f32,
    slot: &'a Slot,
    row: usize,
}

/// Every row whose score can reach the k-th best one, best upper bound first.
fn prune<'a>(work: &'a [Work<'a>], query: &VectorQuery<'_>, rows: usize) -> Result<Vec<Candidate<'a>>> {
    let coded = QuantisedQuery::new(query.vector);
    // The highest floor that any thread has proven so far; it only rises, so reading an old one is merely slower.
    let shared = AtomicI32::new(sortable(f32::NEG_INFINITY));
    let scan = |part: &'a [Work<'a>]| -> Result<Pruner<'a>> {
        let mut pruner = Pruner::new(query.k);
        for block in part {
            query.cancel.check()?;
            pruner.scan(block, &coded, &shared);
        }
        Ok(pruner)
    };
    let threads = if rayon::current_thread_index().is_some() { rayon::current_num_threads() } else { 1 };
    let pruners = if threads > 1 && rows > PARALLEL_ROWS {
        work.par_chunks(work.len().div_ceil(2 * threads)).map(scan).collect::<Result<Vec<_>>>()?
    } else {
        vec![scan(work)?]
    };
    let mut lowers: Vec<i32> =
        pruners.iter().flat_map(|pruner| pruner.lowers.iter().map(|&Reverse(key)| key)).collect();
    let mut floor = shared.into_inner();
    if lowers.len() >= query.k {
        let (_, &mut kth, _) = lowers.select_nth_unstable_by_key(query.k - 1, |&key| Reverse(key));
        floor = floor.max(kth);
    }
    let mut candidates: Vec<_> =
        pruners.into_iter().flat_map(|pruner| pruner.candidates).filter(|c| sortable(c.upper) >= floor).collect();
    candidates.sort_unstable_by_key(|candidate| Reverse(sortable(candidate.upper)));
    Ok(candidates)
}

/// Scores candidates in full precision until the next upper bound is below the k-th best score.
fn rescore(candidates: Vec<Candidate<'_>>, query: &VectorQuery<'_>, best: &mut TopK) -> Result<()> {
    let width = query.vector.len();
    for (done, Candidate { upper, slot, row }) in candidates.into_iter().enumerate() {
        if done % BLOCK_ROWS == 0 {
            query.cancel.check()?;
        }
        if best.worst().is_some_and(|worst| upper < worst) {
            break;
        }
        let columns = slot.segment.columns();
        let score = dot_f32(&columns.vectors[row * width..][..width], query.vector);
        best.offer(ChunkId::from_u64(columns.keys[row]), score);
    }
    Ok(())
}

/// Collects candidates and the k best lower bounds; a row below the k-th of them cannot be an answer.
struct Pruner<'a> {
    k: usize,
    floor: f32,
    lowers: BinaryHeap<Reverse<i32>>,
    candidates: Vec<Candidate<'a>>,
    /// Number of candidates at which those that have fallen below the floor are thrown out.
    sweep_at: usize,
}

impl<'a> Pruner<'a> {
    fn new(k: usize) -> Self {
        let (lowers, candidates) = (BinaryHeap::new(), Vec::new());
        Pruner { k, floor: f32::NEG_INFINITY, lowers, candidates, sweep_at: 4 * BLOCK_ROWS }
    }

    fn scan(&mut self, work: &Work<'a>, query: &QuantisedQuery, shared: &AtomicI32) {
        self.floor = self.floor.max(unsortable(shared.load(Ordering::Relaxed)));
        let columns = work.slot.segment.columns();
        let width = query.codes.len();
        let slack = query.slack(work.slot.segment.longest());
        let (query_scale, query_length) = (query.quantised.scale, query.quantised.length);
        let mut dots = [0i32; CHUNK_ROWS];
        let mut uppers = [0f32; CHUNK_ROWS];
        for start in work.rows.clone().step_by(CHUNK_ROWS) {
            let count = CHUNK_ROWS.min(work.rows.end - start);
            let scales = &columns.scales[start..][..count];
            let errors = &columns.errors[start..][..count];
            dot_i8_rows(&query.codes, &columns.codes[start * width..][..count * width], &mut dots[..count]);
            for i in 0..count {
                let margin = errors[i] * query_length + slack;
                uppers[i] = dots[i] as f32 * (query_scale * scales[i]) + margin;
            }
            for (i, &upper) in uppers[..count].iter().enumerate() {
                if upper >= self.floor && work.counts(columns.keys[start + i]) {
                    let margin = errors[i] * query_length + slack;
                    let lower = dots[i] as f32 * (query_scale * scales[i]) - margin;
                    self.keep(Candidate { upper, slot: work.slot, row: start + i }, lower);
                }
            }
        }
        shared.fetch_max(sortable(self.floor), Ordering::Relaxed);
    }

    fn keep(&mut self, candidate: Candidate<'a>, lower: f32) {
        self.candidates.push(candidate);
        if self.lowers.len() < self.k {
            self.lowers.push(Reverse(sortable(lower)));
        } else if lower > self.floor
            && let Some(mut least) = self.lowers.peek_mut()
        {
            *least = Reverse(least.0.max(sortable(lower)));
        }
        if self.lowers.len() == self.k
            && let Some(&Reverse(least)) = self.lowers.peek()
        {
            self.floor = self.floor.max(unsortable(least));
        }
        if self.candidates.len() >= self.sweep_at {
            let floor = self.floor;
            self.candidates.retain(|candidate| candidate.upper >= floor);
            self.sweep_at = self.sweep_at.max(2 * self.candidates.len());
        }
    }
}

/// The k best hits so far: highest score first, equal scores by ascending chunk id.
pub(super) struct TopK {
    k: usize,
    /// The worst one on top.
    heap: BinaryHeap<Reverse<(i32, Reverse<u64>)>>,
}

impl TopK {
    pub(super) fn new(k: usize) -> Self {
        TopK { k, heap: BinaryHeap::new() }
    }

    pub(super) fn offer(&mut self, chunk: ChunkId, score: f32) {
        // Adding zero turns -0 into 0: the two are one score and must tie.
        let entry = Reverse((sortable(score + 0.0), Reverse(chunk.to_u64())));
        if self.heap.len() < self.k {
            self.heap.push(entry);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && entry < *worst
        {
            *worst = entry;
        }
    }

    /// The k-th best score; `None` while there are fewer than k.
    fn worst(&self) -> Option<f32> {
        self.heap.peek().filter(|_| self.heap.len() == self.k).map(|&Reverse((score, _))| unsortable(score))
    }

    pub(super) fn into_hits(self) -> Vec<VectorHit> {
        let sorted = self.heap.into_sorted_vec();
        sorted
            .into_iter()
            .map(|Reverse((score, Reverse(chunk)))| VectorHit {
                chunk: ChunkId::from_u64(chunk),
                score: unsortable(score),
            })
            .collect()
    }
}

/// An integer that sorts as [`f32::total_cmp`] does.
fn sortable(value: f32) -> i32 {
    let bits = value.to_bits().cast_signed();
    bits ^ (((bits >> 31).cast_unsigned()) >> 1).cast_signed()
}

/// The inverse of [`sortable`].
fn unsortable(key: i32) -> f32 {
    f32::from_bits((key ^ (((key >> 31).cast_unsigned()) >> 1).cast_signed()).cast_unsigned())
}
