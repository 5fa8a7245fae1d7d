//! Filters against their definition.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::empty;
use crate::filter::{Filter, Range};
use crate::types::{IdSet, Metadata, Value};

const BIG: i64 = 1 << 53;

fn scalar() -> impl Strategy<Value = Value> {
    let whole = [0, 1, -1, 7, BIG, BIG + 1, BIG + 2, -BIG, -BIG - 1, i64::MAX, i64::MAX - 1, i64::MIN];
    let real = [0.0, -0.0, 1.0, 0.5, -1.0, 7.0, BIG as f64, -(BIG as f64), i64::MAX as f64, 1e300, -1e300, 5e-324];
    let text = [
        "",
        "a",
        "ab",
        "b",
        "\u{0}",
        "ü",
        "2024-05-01",
        "2024-05-01T00:00:00Z",
        "2024-05-01T02:00:00+02:00",
        "2024-05-01T00:00:00.000001Z",
        "1969-12-31",
        "2024-13-01",
        "2024-05-0",
        "zz",
    ];
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        prop::sample::select(whole.to_vec()).prop_map(Value::Int),
        prop::sample::select(real.to_vec()).prop_map(Value::Float),
        prop::sample::select(text.to_vec()).prop_map(Value::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => scalar(),
        2 => prop::collection::vec(scalar(), 0..4).prop_map(Value::List),
        1 => Just(Value::Float(f64::NAN)),
        1 => Just(Value::List(vec![Value::List(vec![Value::Int(1)])])),
    ]
}

fn field() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "ab", "b.c"]).prop_map(str::to_owned)
}

fn metadata() -> impl Strategy<Value = Metadata> {
    prop::collection::btree_map(field(), value(), 0..4)
}

fn range() -> impl Strategy<Value = Range> {
    let bound = || prop::option::of((scalar(), any::<bool>()));
    (bound(), bound()).prop_map(|(lower, upper)| Range { lower, upper })
}

fn filter() -> impl Strategy<Value = Filter> {
    let leaf = prop_oneof![
        1 => (field(), scalar()).prop_map(|(field, value)| Filter::Eq(field, value)),
        1 => (field(), prop::collection::vec(scalar(), 0..4)).prop_map(|(field, values)| Filter::In(field, values)),
        3 => (field(), range()).prop_map(|(field, range)| Filter::Range(field, range)),
        1 => field().prop_map(Filter::Exists),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::Or),
            inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
    .prop_filter("valid", |filter| filter.validate().is_ok())
}

#[derive(Debug, Clone)]
enum Step {
    Add(Metadata),
    Delete(usize),
    Commit,
    Compact,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => metadata().prop_map(Step::Add),
        2 => any::<usize>().prop_map(Step::Delete),
        2 => Just(Step::Commit),
        1 => Just(Step::Compact),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_filter_passes_exactly_what_it_is_defined_to(
        steps in prop::collection::vec(step(), 1..40),
        filters in prop::collection::vec(filter(), 24),
    ) {
        let mut index = empty("none");
        let mut documents: BTreeMap<u64, Metadata> = BTreeMap::new();
        let mut next = 0;
        for step in steps {
            match step {
                Step::Add(metadata) => {
                    // Several chunks: the filter must not count or miss any.
                    index.add(next, "t", "", &[(0, "x"), (1, "y")], &metadata).unwrap();
                    documents.insert(next, metadata);
                    next += 1;
                }
                Step::Delete(nth) => {
                    if let Some(doc) = documents.keys().nth(nth % documents.len().max(1)).copied() {
                        index.delete(doc).unwrap();
                        documents.remove(&doc);
                    }
                }
                Step::Commit => drop(index.commit(next).unwrap()),
                Step::Compact => index.compact().unwrap(),
            }
        }
        index.commit(next).unwrap();
        let view = index.view();
        prop_assert_eq!(view.live_documents().unwrap(), &documents.keys().copied().collect::<IdSet>());
        for filter in filters {
            let expected: IdSet =
                documents.iter().filter(|(_, metadata)| filter.matches(metadata)).map(|(doc, _)| *doc).collect();
            prop_assert_eq!(view.evaluate(&filter).unwrap(), expected, "{:?}", filter);
        }
    }
}

#[test]
fn long_texts_are_told_apart() {
    let long = |end: &str| format!("{}{end}", "x".repeat(40_000));
    let mut index = empty("none");
    for (doc, end) in ["a", "b"].iter().enumerate() {
        let metadata = Metadata::from([("f".to_owned(), Value::from(long(end)))]);
        index.add(doc as u64, "t", "", &[(0, "x")], &metadata).unwrap();
    }
    index.commit(1).unwrap();
    let view = index.view();
    let passing = |filter: &Filter| view.evaluate(filter).unwrap().iter().collect::<Vec<_>>();
    assert_eq!(passing(&Filter::eq("f", long("a"))), [0]);
    assert_eq!(passing(&Filter::eq("f", long("b"))), [1]);
    assert_eq!(passing(&Filter::eq("f", long("c"))), [0u64; 0]);
    assert_eq!(passing(&Filter::at_least("f", "w")), [0, 1]);
    assert_eq!(passing(&Filter::at_least("f", "y")), [0u64; 0]);
}

#[test]
fn a_wrong_filter_is_refused() {
    let view = empty("none").view();
    assert!(view.evaluate(&Filter::Range("a".to_owned(), Range::default())).is_err());
}

#[test]
#[ignore = "measures: run it alone and in release"]
fn a_range_over_many_distinct_numbers_is_quick() {
    let mut index = empty("none");
    let count = 200_000_i64;
    for doc in 0..count {
        let metadata =
            Metadata::from([("n".to_owned(), Value::Int(doc * 7919)), ("g".to_owned(), Value::Int(doc % 10))]);
        index.add(doc as u64, "t", "", &[(0, "x")], &metadata).unwrap();
    }
    index.commit(1).unwrap();
    let view = index.view();
    for (name, filter, expected) in [
        ("half the numbers", Filter::at_least("n", count / 2 * 7919), count / 2),
        ("all but none", Filter::at_least("n", 0.5), count - 1),
        ("one", Filter::eq("n", 7919i64 * 5), 1),
        ("a tenth", Filter::eq("g", 3i64), count / 10),
    ] {
        let start = std::time::Instant::now();
        let passing = view.evaluate(&filter).unwrap();
        eprintln!("{name}: {:?} over {} segments", start.elapsed(), view.segments());
        assert_eq!(passing.len(), expected as u64);
    }
}
