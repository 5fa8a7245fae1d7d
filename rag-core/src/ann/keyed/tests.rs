#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;

fn query(k: usize, cancel: &Cancel) -> KeyedQuery<'_> {
    KeyedQuery { k, ef: 64, allow: None, threads: 0, cancel }
}

fn score(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    match metric {
        Metric::Cosine => dot(a, b) / (dot(a, a) * dot(b, b)).sqrt(),
        Metric::Dot => dot(a, b),
        Metric::L2 => -a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>(),
    }
}

fn random(rng: &mut SmallRng, values: usize) -> Vec<f32> {
    (0..values).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Steps against a map of ids to vectors, for each metric.
#[derive(Debug, Clone)]
enum Step {
    Add(u64, [f32; 3]),
    Remove(u64),
    Search([f32; 3], Option<Vec<u64>>),
    Reload,
}

fn step() -> impl Strategy<Value = Step> {
    let vector = || prop::array::uniform3(-4i8..4).prop_map(|row| row.map(|value| f32::from(value) + 0.25));
    let id = || prop_oneof![0u64..8, Just(u64::MAX)];
    prop_oneof![
        4 => (id(), vector()).prop_map(|(id, row)| Step::Add(id, row)),
        1 => id().prop_map(Step::Remove),
        2 => (vector(), prop::option::of(prop::collection::vec(id(), 0..4))).prop_map(|(v, a)| Step::Search(v, a)),
        1 => Just(Step::Reload),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn it_is_a_map_with_a_nearest_first_order(
        metric in prop_oneof![Just(Metric::Cosine), Just(Metric::Dot), Just(Metric::L2)],
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vectors.ragv");
        let (cancel, mut model) = (Cancel::never(), HashMap::<u64, [f32; 3]>::new());
        let mut index = KeyedIndex::new(KeyedOptions::new(3).with_metric(metric).with_threads(1)).unwrap();
        for step in steps {
            match step {
                Step::Add(id, row) => {
                    index.add(&[id], &row).unwrap();
                    model.insert(id, row);
                }
                Step::Remove(id) => prop_assert_eq!(index.remove(&[id]).unwrap(), usize::from(model.remove(&id).is_some())),
                Step::Search(vector, allow) => {
                    let wanted = KeyedQuery { allow: allow.as_deref(), ..query(20, &cancel) };
                    let found = index.search(&vector, &wanted).unwrap();
                    let visible = |id: &u64| allow.as_ref().is_none_or(|allow| allow.contains(id));
                    let mut expected: Vec<f64> =
                        model.iter().filter(|(id, _)| visible(id)).map(|(_, row)| score(metric, &vector, row)).collect();
                    expected.sort_by(|a, b| b.total_cmp(a));
                    prop_assert_eq!(found.len(), expected.len());
                    for ((id, given), expected) in found.iter().zip(expected) {
                        prop_assert!((f64::from(*given) - expected).abs() < 1e-4, "{} {}", given, expected);
                        prop_assert!((score(metric, &vector, &model[id]) - expected).abs() < 1e-4);
                    }
                }
                Step::Reload => {
                    index.save(&path).unwrap();
                    index = KeyedIndex::load(&path, 1, &cancel).unwrap();
                }
            }
            prop_assert_eq!(index.len(), model.len());
        }
    }

    #[test]
    fn arbitrary_payloads_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = KeyedIndex::from_payload(&bytes);
    }
}

#[test]
fn a_graph_finds_nearly_all_and_what_comes_after_it_too() {
    let mut rng = SmallRng::seed_from_u64(1);
    let (rows, width, cancel) = (8000, 16, Cancel::never());
    let base = random(&mut rng, rows * width);
    let ids: Vec<u64> = (0..rows as u64).map(|i| i * 1_000_003).collect();
    let exact = KeyedIndex::new(KeyedOptions::new(width)).unwrap();
    exact.add(&ids, &base).unwrap();
    let graph = KeyedIndex::new(KeyedOptions::new(width).with_threads(2)).unwrap();
    graph.add(&ids, &base).unwrap();
    graph.build(&cancel).unwrap();
    let late = random(&mut rng, 50 * width);
    let late_ids: Vec<u64> = (1..=50).collect();
    exact.add(&late_ids, &late).unwrap();
    graph.add(&late_ids, &late).unwrap();
    let queries: Vec<f32> = random(&mut rng, 100 * width).into_iter().chain(late.iter().copied()).collect();
    let true_ones = exact.search_many(&queries, &query(10, &cancel)).unwrap();
    let found = graph.search_many(&queries, &KeyedQuery { ef: 200, ..query(10, &cancel) }).unwrap();
    let hits =
        |(a, b): (&Neighbours, &Neighbours)| a.iter().filter(|hit| b.iter().any(|other| other.0 == hit.0)).count();
    let recall = true_ones.iter().zip(&found).map(hits).sum::<usize>() as f64 / (150.0 * 10.0);
    assert!(recall > 0.97, "{recall}");
    for (answer, id) in found[100..].iter().zip(&late_ids) {
        assert_eq!(answer[0].0, *id, "what was added after the graph is found by its own vector");
    }
    let single = graph.search(&queries[..width], &KeyedQuery { ef: 200, ..query(10, &cancel) }).unwrap();
    assert_eq!(single, found[0], "alone as among many");
}

#[test]
fn what_changes_while_a_graph_is_built_counts() {
    let (rows, width, cancel) = (6000, 8, Cancel::never());
    let base = random(&mut SmallRng::seed_from_u64(2), rows * width);
    let index = KeyedIndex::new(KeyedOptions::new(width).with_threads(1)).unwrap();
    index.add(&(0..rows as u64).collect::<Vec<_>>(), &base).unwrap();
    let row = |i: usize| &base[i * width..(i + 1) * width];
    std::thread::scope(|scope| {
        let build = scope.spawn(|| index.build(&cancel));
        for i in 0..50u64 {
            let (gone, new) = (2 * i, 10_000 + i);
            index.remove(&[gone]).unwrap();
            index.add(&[new], row(gone as usize)).unwrap();
            let allow = [gone, new, 1];
            let found =
                index.search(row(gone as usize), &KeyedQuery { allow: Some(&allow), ..query(1, &cancel) }).unwrap();
            assert_eq!(found[0].0, new);
        }
        build.join().unwrap().unwrap();
    });
    assert_eq!(index.len(), rows);
    for i in 0..50u64 {
        let found = index.search(row(2 * i as usize), &KeyedQuery { ef: 200, ..query(5, &cancel) }).unwrap();
        assert_eq!(found[0].0, 10_000 + i);
        assert!(found.iter().all(|(id, _)| *id != 2 * i));
    }
}

#[test]
fn wrong_input_is_named_and_changes_nothing() {
    let index = KeyedIndex::new(KeyedOptions::new(2)).unwrap();
    let message = |error: Error| {
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        error.to_string()
    };
    assert!(message(KeyedIndex::new(KeyedOptions::new(0)).unwrap_err()).contains("`dimension`"));
    assert!(message(KeyedIndex::new(KeyedOptions::new(2).with_graph(1, 200)).unwrap_err()).contains("`m`"));
    assert!(message(index.add(&[1, 2], &[1.0, 2.0]).unwrap_err()).contains("1 rows of 2 values; 2 are wanted"));
    assert!(message(index.add(&[1], &[1.0, f32::NAN]).unwrap_err()).contains("not finite"));
    assert!(message(index.add(&[1, 2], &[1.0, 0.0, 0.0, 0.0]).unwrap_err()).contains("zeros"));
    assert!(index.is_empty());
    let cancel = Cancel::never();
    assert!(message(index.search(&[1.0], &query(1, &cancel)).unwrap_err()).contains("`query`"));
    assert!(message(index.search(&[1.0, 0.0], &query(0, &cancel)).unwrap_err()).contains("`k`"));
    assert_eq!("euclid".parse::<Metric>().unwrap_err().kind(), ErrorKind::InvalidArgument);
    let unfit = KeyedIndex::new(KeyedOptions::new(2).with_metric(Metric::L2)).unwrap();
    assert_eq!(unfit.build(&cancel).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn a_damaged_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vectors.ragv");
    let index = KeyedIndex::new(KeyedOptions::new(2)).unwrap();
    index.add(&[1, 2], &[1.0, 0.0, 0.0, 1.0]).unwrap();
    index.save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let kind = KeyedIndex::load(&path, 1, &Cancel::never()).unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::Corruption | ErrorKind::Unsupported), "byte {at}: {kind}");
    }
    assert_eq!(
        KeyedIndex::load(&folder.path().join("none"), 1, &Cancel::never()).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn looking_an_id_up_does_not_wait_for_a_writer() {
    let index = KeyedIndex::new(KeyedOptions::new(2)).unwrap();
    index.add(&[7], &[1.0, 0.0]).unwrap();
    let _busy = index.writer().unwrap();
    assert_eq!((index.len(), index.contains(7), index.contains(8)), (1, true, false));
}
