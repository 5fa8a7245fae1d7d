//! One suite for every backend of [`VectorIndex`], and the fuzz body of the segment reader.
//!
//! For tests only: a failure is a panic that says what was wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

use std::collections::BTreeMap;
use std::sync::Arc;

use super::segment::FlatSegment;
use super::{FlatIndex, VectorHit, VectorHits, VectorIndex, VectorIndexMut, VectorQuery};
use crate::distance::{dot_f32, normalize};
use crate::error::ErrorKind;
use crate::types::{Cancel, ChunkId, DocNum, IdSet};

/// Makes an empty index of one backend for vectors of the given dimension.
pub type Make<'a> = &'a dyn Fn(usize) -> Box<dyn VectorIndexMut>;

/// Runs every check on one backend. Backends that are not exact must find at least 90 % of the true neighbours.
pub fn run(make: Make<'_>) {
    empty_index(make);
    arguments(make);
    lifecycle(make);
    ties_and_zeros(make);
    cancellation(make);
    filters(make);
    for seed in 0..4 {
        random_operations(make, seed);
    }
}

/// Must not panic, whatever `bytes` are: reads them as a segment and searches it.
pub fn fuzz_segment(bytes: &[u8]) {
    let Ok(segment) = FlatSegment::from_payload(Arc::new(bytes.to_vec())) else { return };
    let dimension = segment.dimension();
    let mut index = FlatIndex::open(dimension, vec![("fuzz".to_owned(), segment)]).expect("the dimension is its own");
    let first = index.documents().iter().next();
    let vector: Vec<f32> = (0..dimension).map(|i| (i as f32 + 1.0) / dimension as f32).collect();
    let _ = search(index.publish().expect("a view").as_ref(), &vector, 3, None);
    if let Some(doc) = first {
        assert!(index.remove(doc));
    }
    let merged = index.merged(true);
    let _ = search(index.publish().expect("a view").as_ref(), &vector, 3, Some(&IdSet::from_iter([1, 2])));
    if let Some(merged) = merged {
        let mut out = Vec::new();
        merged.segment().write_payload(&mut out).expect("memory");
        let back = FlatSegment::from_payload(Arc::new(out));
        assert!(back.is_ok(), "what was merged can be read");
    }
}

fn search(view: &dyn VectorIndex, vector: &[f32], k: usize, allow: Option<&IdSet>) -> VectorHits {
    view.search(&VectorQuery { vector, k, ef: None, allow, cancel: &Cancel::never() }).expect("search")
}

fn ids(hits: &VectorHits) -> Vec<(DocNum, u32)> {
    hits.hits.iter().map(|hit| (hit.chunk.doc(), hit.chunk.ordinal())).collect()
}

/// Repeatable random numbers (SplitMix64, Steele et al. 2014).
#[derive(Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// Equal seeds give equal numbers.
    pub fn new(seed: u64) -> Self {
        Numbers(seed)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    /// A vector of length 1 with values around 0.
    pub fn unit_vector(&mut self, dimension: usize) -> Vec<f32> {
        loop {
            let mut vector: Vec<f32> = (0..dimension).map(|_| self.below(2001) as f32 / 1000.0 - 1.0).collect();
            if normalize(&mut vector) > 0.1 {
                return vector;
            }
        }
    }
}

/// What an index should hold, searched without any cleverness.
#[derive(Clone, Default)]
struct Model(BTreeMap<DocNum, Vec<f32>>);

impl Model {
    fn search(&self, vector: &[f32], k: usize, allow: Option<&IdSet>) -> Vec<VectorHit> {
        let mut hits = Vec::new();
        for (&doc, rows) in self.0.iter().filter(|&(&doc, _)| allow.is_none_or(|allow| allow.contains(doc))) {
            for (row, ordinal) in rows.chunks_exact(vector.len()).zip(0..) {
                hits.push(VectorHit { chunk: ChunkId::new(doc, ordinal), score: dot_f32(row, vector) + 0.0 });
            }
        }
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk.cmp(&b.chunk)));
        hits.truncate(k);
        hits
    }

    fn documents(&self) -> IdSet {
        self.0.keys().copied().collect()
    }

    /// Compares one search; returns how many of the wanted hits were found, and how many were wanted.
    fn compare(&self, view: &dyn VectorIndex, vector: &[f32], k: usize, allow: Option<&IdSet>) -> (usize, usize) {
        let wanted = self.search(vector, k, allow);
        let found = search(view, vector, k, allow).hits;
        if view.capabilities().exact {
            assert_eq!(found, wanted, "k = {k}");
        }
        assert_eq!(found.len(), wanted.len(), "an index finds k chunks when there are so many");
        for pair in found.windows(2) {
            let sorted =
                pair[0].score > pair[1].score || (pair[0].score == pair[1].score && pair[0].chunk < pair[1].chunk);
            assert!(sorted, "best first, ties by id, no chunk twice: {pair:?}");
        }
        for hit in &found {
            assert!(allow.is_none_or(|allow| allow.contains(hit.chunk.doc())), "{hit:?} is not allowed");
            let rows = self.0.get(&hit.chunk.doc()).expect("a document that is held");
            let row = &rows[hit.chunk.ordinal() as usize * vector.len()..][..vector.len()];
            assert_eq!(hit.score, dot_f32(row, vector) + 0.0, "scores are in full precision");
        }
        (wanted.iter().filter(|hit| found.contains(hit)).count(), wanted.len())
    }
}

fn empty_index(make: Make<'_>) {
    let mut index = make(3);
    let view = index.publish().unwrap();
    assert!(view.is_empty() && view.documents().is_empty() && view.dimension() == 3);
    assert!(search(view.as_ref(), &[1.0, 0.0, 0.0], 5, None).hits.is_empty());
    assert!(search(view.as_ref(), &[1.0, 0.0, 0.0], 5, Some(&IdSet::from_iter([1]))).hits.is_empty());
    index.insert(4, &[]).unwrap();
    assert_eq!(index.publish().unwrap().documents(), &IdSet::from_iter([4]), "a document may have no vectors");
    assert!(index.remove(4) && !index.remove(4));
}

fn arguments(make: Make<'_>) {
    let mut index = make(2);
    index.insert(1, &[1.0, 0.0]).unwrap();
    let wrong: [&[f32]; 4] = [&[1.0], &[1.0, f32::NAN], &[f32::INFINITY, 0.0], &[1e30, 0.0]];
    for vectors in wrong {
        assert_eq!(index.insert(2, vectors).unwrap_err().kind(), ErrorKind::InvalidArgument, "{vectors:?}");
    }
    assert_eq!(index.insert(u64::MAX, &[1.0, 0.0]).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(index.insert(1, &[0.0, 1.0]).unwrap_err().kind(), ErrorKind::Conflict);
    let view = index.publish().unwrap();
    assert_eq!(index.insert(1, &[0.0, 1.0]).unwrap_err().kind(), ErrorKind::Conflict, "published or not");
    assert_eq!(view.documents(), &IdSet::from_iter([1]), "a refused document is not there");
    let cancel = Cancel::never();
    let wrong: [(&[f32], usize); 6] =
        [(&[1.0, 0.0], 0), (&[1.0], 1), (&[1.0, 0.0, 0.0, 0.0], 1), (&[f32::NAN, 0.0], 1), (&[], 1), (&[1e30, 0.0], 1)];
    for (vector, k) in wrong {
        let error = view.search(&VectorQuery { vector, k, ef: None, allow: None, cancel: &cancel }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{vector:?} {k}");
    }
    assert_eq!(search(view.as_ref(), &[1.0, 0.0], usize::MAX, None).hits.len(), 1, "k may exceed the index");
}

fn lifecycle(make: Make<'_>) {
    let mut index = make(2);
    index.insert(5, &[1.0, 0.0, 0.0, 1.0]).unwrap();
    index.insert(3, &[0.8, 0.6]).unwrap();
    assert_eq!(index.documents(), &IdSet::from_iter([3, 5]));
    let first = index.publish().unwrap();
    assert_eq!(ids(&search(first.as_ref(), &[1.0, 0.0], 9, None)), [(5, 0), (3, 0), (5, 1)]);

    assert!(index.remove(5) && !index.remove(5) && !index.remove(77));
    index.insert(6, &[1.0, 0.0]).unwrap();
    assert_eq!(ids(&search(first.as_ref(), &[1.0, 0.0], 9, None)).len(), 3, "nothing shows before it is published");
    let second = index.publish().unwrap();
    assert_eq!(ids(&search(second.as_ref(), &[1.0, 0.0], 9, None)), [(6, 0), (3, 0)]);
    assert_eq!(second.documents(), &IdSet::from_iter([3, 6]));

    index.insert(5, &[0.0, 1.0]).unwrap();
    let third = index.publish().unwrap();
    assert_eq!(
        ids(&search(third.as_ref(), &[0.0, 1.0], 9, None)),
        [(5, 0), (3, 0), (6, 0)],
        "removed and inserted anew"
    );
    assert_eq!(ids(&search(second.as_ref(), &[1.0, 0.0], 9, None)), [(6, 0), (3, 0)], "old views stay");
    assert_eq!(ids(&search(first.as_ref(), &[1.0, 0.0], 9, None)), [(5, 0), (3, 0), (5, 1)]);

    index.insert(8, &[0.6, 0.8]).unwrap();
    assert!(index.remove(8), "removed before it was published");
    assert!(!index.publish().unwrap().documents().contains(8));
}

fn ties_and_zeros(make: Make<'_>) {
    let mut index = make(4);
    let unit = [0.0, 1.0, 0.0, 0.0];
    for doc in [9, 2, 7, 4] {
        index.insert(doc, &[unit, unit].concat()).unwrap();
    }
    index.insert(1, &[0.0; 8]).unwrap();
    let view = index.publish().unwrap();
    let found = search(view.as_ref(), &unit, 10, None);
    let order = [(2, 0), (2, 1), (4, 0), (4, 1), (7, 0), (7, 1), (9, 0), (9, 1), (1, 0), (1, 1)];
    assert_eq!(ids(&found), order);
    assert_eq!(ids(&search(view.as_ref(), &unit, 3, None)), order[..3]);
    let zero = search(view.as_ref(), &[0.0; 4], 10, None);
    assert!(zero.hits.len() == 10 && zero.hits.iter().all(|hit| hit.score == 0.0));
    assert_eq!(zero.hits[0].chunk, ChunkId::new(1, 0), "all tie: ids decide");
    let away = search(view.as_ref(), &[0.0, -1.0, 0.0, 0.0], 2, None);
    assert_eq!(ids(&away), [(1, 0), (1, 1)], "zero beats negative");
}

fn cancellation(make: Make<'_>) {
    let mut index = make(2);
    index.insert(1, &[1.0, 0.0]).unwrap();
    let view = index.publish().unwrap();
    let cancel = Cancel::never();
    cancel.cancel();
    let query = VectorQuery { vector: &[1.0, 0.0], k: 1, ef: None, allow: None, cancel: &cancel };
    assert_eq!(view.search(&query).unwrap_err().kind(), ErrorKind::Cancelled);
    let cancel = Cancel::after(std::time::Duration::ZERO);
    let query = VectorQuery { cancel: &cancel, ..query };
    assert_eq!(view.search(&query).unwrap_err().kind(), ErrorKind::DeadlineExceeded);
}

fn filters(make: Make<'_>) {
    const DIMENSION: usize = 16;
    let mut numbers = Numbers::new(11);
    let (mut index, mut model) = (make(DIMENSION), Model::default());
    for doc in 0..1500 {
        let rows: Vec<f32> = (0..numbers.below(4)).flat_map(|_| numbers.unit_vector(DIMENSION)).collect();
        index.insert(doc, &rows).unwrap();
        model.0.insert(doc, rows);
    }
    let view = index.publish().unwrap();
    let (mut found, mut wanted) = (0, 0);
    for (step, offset) in [(1, 0), (2, 1), (3, 0), (10, 3), (400, 7), (5000, 1), (9999, 8000)] {
        let allow: IdSet = (0..3000).filter(|doc| doc % step == offset).collect();
        for k in [1, 10, 60] {
            let vector = numbers.unit_vector(DIMENSION);
            let (hits, all) = model.compare(view.as_ref(), &vector, k, Some(&allow));
            (found, wanted) = (found + hits, wanted + all);
        }
    }
    assert!(found * 10 >= wanted * 9, "recall under filters is {found} of {wanted}");
    assert!(search(view.as_ref(), &numbers.unit_vector(DIMENSION), 5, Some(&IdSet::new())).hits.is_empty());
}

/// Inserts, removes, publishes and searches at random, beside the model.
fn random_operations(make: Make<'_>, seed: u64) {
    const DIMENSION: usize = 12;
    let mut numbers = Numbers::new(seed);
    let (mut index, mut model) = (make(DIMENSION), Model::default());
    let mut views: Vec<(Arc<dyn VectorIndex>, Model)> = Vec::new();
    let (mut found, mut wanted) = (0, 0);
    for step in 0..120 {
        match numbers.below(5) {
            // One document, sometimes with vectors that tie, or a few hundred.
            0 | 1 => {
                let count = if numbers.below(6) == 0 { 300 + numbers.below(500) } else { 1 };
                for _ in 0..count {
                    let doc = numbers.below(4000);
                    let rows: Vec<f32> = match numbers.below(8) {
                        0 => [vec![1.0], vec![0.0; DIMENSION - 1]].concat(),
                        1 => vec![0.0; DIMENSION],
                        rows => (0..rows % 3).flat_map(|_| numbers.unit_vector(DIMENSION)).collect(),
                    };
                    let fresh = !model.0.contains_key(&doc);
                    assert_eq!(index.insert(doc, &rows).is_ok(), fresh);
                    if fresh {
                        model.0.insert(doc, rows);
                    }
                }
            }
            2 => {
                for _ in 0..=numbers.below(60) {
                    let doc = numbers.below(4000);
                    assert_eq!(index.remove(doc), model.0.remove(&doc).is_some());
                }
            }
            _ => {
                let view = index.publish().unwrap();
                assert_eq!(view.documents(), &model.documents(), "step {step}");
                views.push((view, model.clone()));
                if views.len() > 3 {
                    views.remove(0);
                }
            }
        }
        assert_eq!(index.documents(), &model.documents(), "step {step}");
        for (view, model) in &views {
            let k = [1, 3, 10, 100][numbers.below(4) as usize];
            let allow: IdSet = (0..4000).filter(|_| numbers.below(3) > 0).collect();
            let allow = [None, Some(&allow)][numbers.below(2) as usize];
            let (hits, all) = model.compare(view.as_ref(), &numbers.unit_vector(DIMENSION), k, allow);
            (found, wanted) = (found + hits, wanted + all);
        }
    }
    assert!(found * 10 >= wanted * 9, "recall is {found} of {wanted}");
}
