#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::path::Path;

use super::*;
use crate::ann::conformance::{self, Numbers};
use crate::distance::dot_f32;
use crate::types::Cancel;

/// Writes a segment to memory and reads it back, as an engine does with a file.
fn reread(segment: &FlatSegment) -> FlatSegment {
    let mut bytes = Vec::new();
    segment.write_payload(&mut bytes).unwrap();
    FlatSegment::from_payload(Arc::new(bytes)).unwrap()
}

/// An index that seals itself at every fourth publication.
#[derive(Debug)]
struct Sealing(FlatIndex, usize);

impl VectorIndexMut for Sealing {
    fn documents(&self) -> &IdSet {
        self.0.documents()
    }
    fn insert(&mut self, doc: DocNum, vectors: &[f32]) -> Result<()> {
        self.0.insert(doc, vectors)
    }
    fn remove(&mut self, doc: DocNum) -> bool {
        self.0.remove(doc)
    }
    fn publish(&mut self) -> Result<Arc<dyn VectorIndex>> {
        self.1 += 1;
        if self.1.is_multiple_of(4)
            && let Some(merged) = self.0.merged(self.1.is_multiple_of(3))
        {
            let segment = reread(merged.segment());
            self.0.install_sealed(&format!("vec-{}.seg", self.1), segment, &merged)?;
        }
        self.0.publish()
    }
}

#[test]
fn conforms() {
    conformance::run(&|dimension| Box::new(FlatIndex::new(dimension).unwrap()));
}

#[test]
fn conforms_while_it_is_sealed() {
    conformance::run(&|dimension| Box::new(Sealing(FlatIndex::new(dimension).unwrap(), 0)));
}

#[test]
fn conforms_on_many_threads() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    pool.install(|| conformance::run(&|dimension| Box::new(FlatIndex::new(dimension).unwrap())));
}

fn brute_force(base: &[f32], vector: &[f32], k: usize) -> Vec<(u64, f32)> {
    let rows = base.chunks_exact(vector.len()).zip(0..);
    let mut all: Vec<_> = rows.map(|(row, doc)| (doc, dot_f32(row, vector) + 0.0)).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(k);
    all
}

fn index_of(base: &[f32], dimension: usize) -> FlatIndex {
    let mut index = FlatIndex::new(dimension).unwrap();
    for (row, doc) in base.chunks_exact(dimension).zip(0..) {
        index.insert(doc, row).unwrap();
    }
    index
}

fn assert_exact(view: &dyn VectorIndex, base: &[f32], queries: &[f32]) {
    let cancel = Cancel::never();
    for vector in queries.chunks_exact(view.dimension()) {
        for k in [1, 10, 100] {
            let found = view.search(&VectorQuery { vector, k, ef: None, allow: None, cancel: &cancel }).unwrap();
            let found: Vec<_> = found.hits.iter().map(|hit| (hit.chunk.doc(), hit.score)).collect();
            assert_eq!(found, brute_force(base, vector, k));
        }
    }
}

#[test]
fn large_scans_are_exact_on_one_thread_and_on_many() {
    let mut numbers = Numbers::new(5);
    let base: Vec<f32> = (0..25_000).flat_map(|_| numbers.unit_vector(24)).collect();
    let queries: Vec<f32> = (0..10).flat_map(|_| numbers.unit_vector(24)).collect();
    let view = index_of(&base, 24).publish().unwrap();
    assert_exact(view.as_ref(), &base, &queries);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    pool.install(|| assert_exact(view.as_ref(), &base, &queries));
}

#[test]
fn rows_of_very_different_lengths_are_exact() {
    let mut numbers = Numbers::new(6);
    let base: Vec<f32> = (0..3000)
        .flat_map(|_| {
            let scale = 10f32.powi(numbers.below(30) as i32 - 20);
            numbers.unit_vector(10).into_iter().map(move |value| value * scale).collect::<Vec<_>>()
        })
        .collect();
    let queries: Vec<f32> = (0..20).flat_map(|_| numbers.unit_vector(10)).collect();
    assert_exact(index_of(&base, 10).publish().unwrap().as_ref(), &base, &queries);
}

/// Reads the `.fvecs` format: for each vector an i32 length and that many f32.
fn read_fvecs(path: &Path) -> Option<(usize, Vec<f32>)> {
    let bytes = std::fs::read(path).ok()?;
    let words = bytes.as_chunks::<4>().0;
    let dimension = i32::from_le_bytes(words[0]) as usize;
    let values = words.chunks_exact(dimension + 1).flat_map(|row| &row[1..]).map(|&word| f32::from_le_bytes(word));
    Some((dimension, values.collect()))
}

#[test]
fn recall_on_sentence_embeddings_is_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/ann/scifact-minilm384");
    let (Some((dimension, base)), Some((_, queries))) =
        (read_fvecs(&folder.join("base.fvecs")), read_fvecs(&folder.join("query.fvecs")))
    else {
        eprintln!("skipped: ../shared/data/ann/scifact-minilm384 is absent");
        return;
    };
    let view = index_of(&base, dimension).publish().unwrap();
    assert_exact(view.as_ref(), &base, &queries[..dimension * 60]);
}

#[test]
fn small_commits_keep_the_blocks_few_and_cheap() {
    let mut numbers = Numbers::new(8);
    let mut index = FlatIndex::new(4).unwrap();
    for doc in 0..20_000 {
        index.insert(doc, &numbers.unit_vector(4)).unwrap();
    }
    index.publish().unwrap();
    let first = Arc::clone(&index.blocks[0].segment);
    for doc in 20_000..20_500 {
        index.insert(doc, &numbers.unit_vector(4)).unwrap();
        index.publish().unwrap();
        assert!(index.blocks.len() <= MAX_BLOCKS);
    }
    assert!(Arc::ptr_eq(&first, &index.blocks[0].segment), "a large block is not copied for each commit");
    assert_eq!((index.unsealed_len(), index.dead_len(), index.live_len()), (20_500, 0, 20_500));
}

#[test]
fn sealing_counts_compacts_and_reopens() {
    let mut numbers = Numbers::new(9);
    let mut index = FlatIndex::new(4).unwrap();
    assert!(index.merged(true).is_none() && !index.seal_wanted());
    for doc in 0..5000 {
        index.insert(doc, &numbers.unit_vector(4)).unwrap();
    }
    assert!(index.seal_wanted());
    let merged = index.merged(false).unwrap();
    assert!(index.remove(17), "removed between merging and installing");
    let before = index.publish().unwrap();
    assert!(index.install_sealed("vec-1.seg", reread(merged.segment()), &merged).unwrap().is_empty());
    assert_eq!((index.unsealed_len(), index.dead_len(), index.live_len()), (0, 1, 4999));
    assert!(!index.seal_wanted() && index.merged(false).is_none());
    let after = index.publish().unwrap();
    let query = VectorQuery { vector: &[0.5; 4], k: 50, ef: None, allow: None, cancel: &Cancel::never() };
    assert_eq!(before.search(&query).unwrap().hits, after.search(&query).unwrap().hits);

    let compact = index.merged(true).unwrap();
    assert_eq!(index.install_sealed("vec-2.seg", reread(compact.segment()), &compact).unwrap(), ["vec-1.seg"]);
    assert_eq!((index.dead_len(), index.live_len()), (0, 4999));
    let segments = index.sealed().map(|(name, segment)| (name.to_owned(), reread(segment))).collect();
    let mut opened = FlatIndex::open(4, segments).unwrap();
    assert_eq!(opened.documents(), index.documents());
    assert_eq!(opened.publish().unwrap().search(&query).unwrap().hits, after.search(&query).unwrap().hits);
}

#[test]
fn sealing_for_the_sake_of_dead_rows_frees_them() {
    let mut index = FlatIndex::new(1).unwrap();
    for doc in 0..20_000 {
        index.insert(doc, &[doc as f32]).unwrap();
    }
    let merged = index.merged(false).unwrap();
    index.install_sealed("first", reread(merged.segment()), &merged).unwrap();
    for doc in 0..8_000 {
        index.remove(doc);
    }
    index.insert(20_000, &[1.0]).unwrap();
    assert!(index.seal_wanted());
    let merged = index.merged(false).unwrap();
    assert_eq!(index.install_sealed("second", reread(merged.segment()), &merged).unwrap(), ["first"]);
    assert_eq!((index.dead_len(), index.live_len()), (0, 12_001));
    assert!(!index.seal_wanted());
}

#[test]
fn a_stale_merge_is_refused() {
    let mut index = FlatIndex::new(1).unwrap();
    index.insert(1, &[1.0]).unwrap();
    let merged = index.merged(false).unwrap();
    index.insert(2, &[0.5]).unwrap();
    index.publish().unwrap();
    let error = index.install_sealed("a", reread(merged.segment()), &merged).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let other = FlatSegment::build(1, std::iter::empty());
    assert_eq!(index.install_sealed("a", other, &merged).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(index.live_len(), 2);
}

#[test]
fn the_later_of_two_segments_with_one_document_counts() {
    let segment = |value: f32| FlatSegment::build(1, [(ChunkId::new(3, 0), [value].as_slice())].into_iter());
    let segments = vec![("old".to_owned(), segment(0.25)), ("new".to_owned(), segment(0.75))];
    let mut index = FlatIndex::open(1, segments).unwrap();
    let query = VectorQuery { vector: &[1.0], k: 5, ef: None, allow: None, cancel: &Cancel::never() };
    let hits = index.publish().unwrap().search(&query).unwrap().hits;
    assert_eq!(hits.iter().map(|hit| hit.score).collect::<Vec<_>>(), [0.75]);
    assert_eq!(FlatIndex::open(2, vec![("x".to_owned(), segment(1.0))]).unwrap_err().kind(), ErrorKind::Corruption);
    assert_eq!(FlatIndex::new(0).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn plans_name_the_filter_only_when_it_excludes_something() {
    let mut index = index_of(&[1.0, 0.5], 1);
    let view = index.publish().unwrap();
    let plan = |allow: &[u64]| {
        let allow = allow.iter().copied().collect();
        let query = VectorQuery { vector: &[1.0], k: 1, ef: None, allow: Some(&allow), cancel: &Cancel::never() };
        let found = view.search(&query).unwrap();
        (found.plan, found.scanned)
    };
    assert_eq!(plan(&[0, 1, 2]), ("exact scan", 2));
    assert_eq!(plan(&[1]), ("exact scan of the filtered set", 1));
}

#[test]
fn arbitrary_bytes_do_not_panic() {
    let mut numbers = Numbers::new(3);
    let mut index = index_of(&(0..40).flat_map(|_| numbers.unit_vector(3)).collect::<Vec<_>>(), 3);
    let mut bytes = Vec::new();
    index.merged(true).unwrap().segment().write_payload(&mut bytes).unwrap();
    conformance::fuzz_segment(&bytes);
    for _ in 0..3000 {
        let mut changed = bytes.clone();
        for _ in 0..=numbers.below(4) {
            let reach = if numbers.below(2) == 0 { 32 } else { changed.len() as u64 };
            changed[numbers.below(reach) as usize] = numbers.below(256) as u8;
        }
        conformance::fuzz_segment(&changed);
    }
}
