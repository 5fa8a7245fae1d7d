#![allow(clippy::unwrap_used)]

use super::*;
use crate::ann::conformance::{self, Numbers};

const DIMENSION: usize = 24;

fn params() -> HnswParams {
    HnswParams::new(16, 100, 80).unwrap().with_exact_below(0)
}

fn filled(rows: u64) -> (HnswIndex, Vec<Vec<f32>>) {
    let mut numbers = Numbers::new(21);
    let mut index = HnswIndex::new(DIMENSION, params()).unwrap();
    let vectors: Vec<Vec<f32>> = (0..rows).map(|_| numbers.unit_vector(DIMENSION)).collect();
    for (vector, doc) in vectors.iter().zip(0..) {
        index.insert(doc, vector).unwrap();
    }
    (index, vectors)
}

fn search(view: &dyn VectorIndex, vector: &[f32], k: usize, allow: Option<&IdSet>) -> VectorHits {
    view.search(&VectorQuery { vector, k, ef: None, allow, cancel: &Cancel::never() }).unwrap()
}

/// Recall at 10 of a view against the exact scan of the same index.
fn recall(index: &mut HnswIndex, allow: Option<&IdSet>, plan: &str) -> f64 {
    let mut numbers = Numbers::new(22);
    let (view, exact) = (index.publish().unwrap(), index.flat().publish().unwrap());
    let mut found = 0;
    for _ in 0..50 {
        let vector = numbers.unit_vector(DIMENSION);
        let hits = search(view.as_ref(), &vector, 10, allow);
        assert_eq!(hits.plan, plan);
        let wanted = search(exact.as_ref(), &vector, 10, allow);
        found += wanted.hits.iter().filter(|hit| hits.hits.contains(hit)).count();
    }
    found as f64 / 500.0
}

#[test]
fn conforms() {
    conformance::run(&|dimension| Box::new(HnswIndex::new(dimension, params()).unwrap()));
}

#[test]
fn conforms_while_the_exact_scan_answers() {
    conformance::run(&|dimension| Box::new(HnswIndex::new(dimension, HnswParams::new(4, 8, 8).unwrap()).unwrap()));
}

#[test]
fn conforms_on_many_threads() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    pool.install(|| conformance::run(&|dimension| Box::new(HnswIndex::new(dimension, params()).unwrap())));
}

#[test]
fn the_graph_finds_what_the_scan_finds() {
    let (mut index, _) = filled(2000);
    assert!(recall(&mut index, None, "graph") > 0.95);
    let half: IdSet = (0..2000).step_by(2).collect();
    assert!(recall(&mut index, Some(&half), "graph with a filter") > 0.95);
    let few: IdSet = (0..2000).step_by(40).collect();
    assert_eq!(recall(&mut index, Some(&few), "exact scan of the filtered set"), 1.0);
}

#[test]
fn a_large_load_is_scanned_until_its_graph_is_installed() {
    let (mut index, vectors) = filled(4500);
    assert_eq!(recall(&mut index, None, "exact scan"), 1.0);
    assert!(index.build_wanted());
    let build = index.start_build();
    assert!(!index.build_wanted(), "one at a time");
    // Meanwhile: one document goes, one comes, and one comes back with another vector.
    assert!(index.remove(1) && index.remove(2));
    index.insert(2, &vectors[1]).unwrap();
    index.insert(9999, &vectors[2]).unwrap();
    index.publish().unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let graph = pool.install(|| build.run(&Cancel::never())).unwrap();
    assert!(graph.unreachable_len() < 45, "{}", graph.unreachable_len());
    index.install(Some(graph));
    assert!(!index.build_wanted());
    assert!(recall(&mut index, None, "graph") > 0.95);
    let view = index.publish().unwrap();
    assert_eq!(search(view.as_ref(), &vectors[1], 1, None).hits[0].chunk.doc(), 2);
    assert_eq!(search(view.as_ref(), &vectors[2], 1, None).hits[0].chunk.doc(), 9999);
}

#[test]
fn what_a_publication_leaves_out_is_scanned() {
    let (mut index, vectors) = filled(1000);
    index.publish().unwrap();
    let mut numbers = Numbers::new(23);
    for doc in 1000..6000 {
        index.insert(doc, &numbers.unit_vector(DIMENSION)).unwrap();
    }
    index.insert(7000, &vectors[5].iter().map(|value| -value).collect::<Vec<_>>()).unwrap();
    let view = index.publish().unwrap();
    let opposite: Vec<f32> = vectors[5].iter().map(|value| -value).collect();
    let found = search(view.as_ref(), &opposite, 3, None);
    assert_eq!((found.plan, found.hits[0].chunk.doc()), ("graph", 7000));
    assert!(found.scanned > 3000, "the rest is scanned");
    assert!(index.build_wanted());
}

#[test]
fn many_removals_ask_for_a_new_graph() {
    let (mut index, vectors) = filled(3000);
    let graph = index.start_build().run(&Cancel::never()).unwrap();
    index.install(Some(graph));
    assert!(recall(&mut index, None, "graph") > 0.95);
    for doc in 0..1400 {
        assert!(index.remove(doc));
    }
    assert!(!index.build_wanted());
    let view = index.publish().unwrap();
    let found = search(view.as_ref(), &vectors[3], 20, None);
    assert!(found.hits.len() == 20 && found.hits.iter().all(|hit| hit.chunk.doc() >= 1400));
    for doc in 1400..1600 {
        assert!(index.remove(doc));
    }
    assert!(index.build_wanted());
    index.publish().unwrap();
    assert!(!index.build_wanted(), "a small graph is made again at once");
    assert!(recall(&mut index, None, "graph") > 0.95);
}

#[test]
fn equal_vectors_are_all_found() {
    let mut numbers = Numbers::new(24);
    let mut index = HnswIndex::new(DIMENSION, params()).unwrap();
    let same = numbers.unit_vector(DIMENSION);
    for doc in 0..1500 {
        let vector = if doc % 5 == 0 { same.clone() } else { numbers.unit_vector(DIMENSION) };
        index.insert(doc, &vector).unwrap();
    }
    let view = index.publish().unwrap();
    let found: Vec<_> = search(view.as_ref(), &same, 100, None).hits.iter().map(|hit| hit.chunk.doc()).collect();
    assert_eq!(found, (0..1500).step_by(5).take(100).collect::<Vec<u64>>());
}

#[test]
fn readers_search_while_a_writer_adds() {
    let (mut index, vectors) = filled(1200);
    let view = index.publish().unwrap();
    std::thread::scope(|scope| {
        for part in 0..3 {
            let (view, vectors) = (Arc::clone(&view), &vectors);
            scope.spawn(move || {
                for vector in vectors.iter().skip(part).step_by(3) {
                    let found = search(view.as_ref(), vector, 5, None);
                    assert!(found.hits.len() == 5 && found.hits.iter().all(|hit| hit.chunk.doc() < 1200));
                }
            });
        }
        let mut numbers = Numbers::new(25);
        for doc in 1200..1800 {
            index.insert(doc, &numbers.unit_vector(DIMENSION)).unwrap();
            if doc % 20 == 0 {
                index.publish().unwrap();
            }
        }
    });
}

#[test]
fn building_can_be_cancelled_and_parameters_are_checked() {
    let (mut index, _) = filled(3000);
    let cancel = Cancel::never();
    cancel.cancel();
    assert_eq!(index.start_build().run(&cancel).unwrap_err().kind(), ErrorKind::Cancelled);
    index.install(None);
    assert!(index.build_wanted());
    for (m, ef_construction, ef_search) in [(1, 10, 10), (257, 300, 10), (16, 8, 10), (16, 16, 0), (16, 20_000, 10)] {
        assert_eq!(HnswParams::new(m, ef_construction, ef_search).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
    let mut widest = HnswIndex::new(2, HnswParams::new(256, 256, 10).unwrap().with_exact_below(0)).unwrap();
    for doc in 0..50 {
        let (y, x) = (doc as f32).sin_cos();
        widest.insert(doc, &[x, y]).unwrap();
    }
    let view = widest.publish().unwrap();
    assert_eq!(search(view.as_ref(), &[1.0, 0.0], 1, None).hits[0].chunk.doc(), 0);
}
