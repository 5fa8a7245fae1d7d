//! Our own model file: read back to the last bit, opened in every version that was ever written, refused when damaged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use proptest::prelude::*;
use rag_ltr::model::{
    Arithmetic, Child, Condition, Ensemble, EnsembleParts, Leaf, LinearColumn, LinearLeaf, LinearModel, Link, Missing,
    Model, Split, Training, Tree, xgboost,
};
use rag_ltr::{Error, Ranker};
use serde_json::{Value, json};

/// Sound models of both libraries.
const SEEDS: [&str; 14] = [
    "lightgbm/categories",
    "lightgbm/categories_json",
    "lightgbm/forest",
    "lightgbm/linear",
    "lightgbm/linear_json",
    "lightgbm/one_leaf",
    "xgboost/categories",
    "xgboost/categories_json",
    "xgboost/dart",
    "xgboost/dart_json",
    "xgboost/linear",
    "xgboost/linear_json",
    "xgboost/trees",
    "xgboost/trees_json",
];

fn tree() -> Tree {
    let split = |feature, condition, missing, left, right, cover| {
        let (gain, value, weight) = (12.5, -0.1, 7.25);
        Split { feature, condition, missing, missing_left: feature == 0, left, right, gain, value, weight, cover }
    };
    let leaf = |value, cover| Leaf { value, weight: 0.1, cover, linear: None };
    let linear = LinearLeaf { constant: -1.0 / 3.0, terms: vec![(0, 0.7), (1, -1e-300)] };
    Tree {
        splits: vec![
            split(0, Condition::AtMost(0.1 + 0.2), Missing::Zero, Child::Split(1), Child::Leaf(2), 30.0),
            split(1, Condition::OneOf(vec![0b1010, 1 << 31]), Missing::Nan, Child::Leaf(0), Child::Leaf(1), 20.0),
        ],
        leaves: vec![leaf(1e-3, 5.0), Leaf { linear: Some(linear), ..leaf(-0.0, 15.0) }, leaf(f64::MIN_POSITIVE, 10.0)],
    }
}

fn parts() -> EnsembleParts {
    EnsembleParts {
        columns: 2,
        names: vec!["bm25 \"title\"".to_owned(), "language".to_owned()],
        trees: vec![tree(), Tree::constant(0.25)],
        base: 0.1,
        arithmetic: Arithmetic::F32,
        average: true,
        link: Link::Sigmoid { steepness: 0.7 },
    }
}

fn trees() -> Ranker {
    let Value::Object(parameters) = json!({"num_trees": 2, "learning_rate": 0.1, "seed": u64::MAX, "eval_at": [5, 10]})
    else {
        panic!("an object")
    };
    let training = Training {
        library: "rag-ltr 0.1.0".to_owned(),
        parameters,
        curves: [("valid ndcg@10".to_owned(), vec![0.5, 2.0 / 3.0])].into(),
        metrics: [("test ndcg@10".to_owned(), 0.3)].into(),
        ..Training::default()
    };
    let model = Model::Trees(Ensemble::checked(parts()).unwrap());
    Ranker::new(model).unwrap().with_schema("v3:ab12cd34ef56".parse().unwrap()).with_training(training)
}

fn linear() -> Ranker {
    let column = |weight| LinearColumn { weight, center: 1.0 / 3.0, scale: 2e-5, fill: 0.0 };
    let columns = vec![column(0.1), column(-4.0)];
    let (arithmetic, link) = (Arithmetic::F64, Link::Identity);
    let linear = LinearModel { names: Vec::new(), bias: -7.0, columns, arithmetic, link };
    Ranker::new(Model::Linear(linear)).unwrap()
}

fn golden(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/model").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn as_json(ranker: &Ranker) -> Value {
    serde_json::from_slice(&ranker.to_bytes().unwrap()).unwrap()
}

fn read(file: &Value) -> Result<Ranker, Error> {
    Ranker::from_bytes(file.to_string().as_bytes())
}

#[test]
fn the_golden_files_of_version_1_are_opened_and_would_be_written_again() {
    for (name, ranker) in [("v1_trees.json", trees()), ("v1_linear.json", linear())] {
        let file = golden(name);
        let opened = Ranker::from_bytes(&file).unwrap();
        assert_eq!(opened, ranker, "{name}");
        assert_eq!(opened.to_bytes().unwrap(), ranker.to_bytes().unwrap(), "{name}: −0 is −0");
        let mut written = as_json(&ranker);
        let golden: Value = serde_json::from_slice(&file).unwrap();
        written["writer"] = golden["writer"].clone();
        assert_eq!(written, golden, "{name}");
    }
    assert_eq!(trees().schema().unwrap().to_string(), "v3:ab12cd34ef56");
    assert_eq!(trees().training().unwrap().curves["valid ndcg@10"], [0.5, 2.0 / 3.0]);
}

#[test]
fn a_later_version_is_refused_with_what_wrote_it() {
    let file = json!({"format": "rag-ltr", "version": 2, "writer": "rag-ltr 9.9.9", "forest": {"deep": [[[]]]}});
    let refused = read(&file).unwrap_err();
    assert_eq!(refused, Error::Version { found: 2, writer: "rag-ltr 9.9.9".to_owned(), readable: 1 });
    assert!(refused.to_string().contains("written by rag-ltr 9.9.9"), "{refused}");
}

#[test]
fn what_is_no_model_is_refused_and_where_it_is_wrong_is_said() {
    for file in [&b""[..], b"{", b"null", b"[]", b"{}", b"\xff\xfe", b"{\"format\":\"other\"}", b"<xml>", &[b'['; 9999]]
    {
        let refused = Ranker::from_bytes(file);
        assert!(matches!(&refused, Err(Error::Model { at, .. }) if at == "the beginning"), "{refused:?}");
    }
    let sound = as_json(&trees());
    let change = |pointer: &str, value: Value| {
        let mut file = sound.clone();
        *file.pointer_mut(pointer).unwrap() = value;
        read(&file).unwrap_err().to_string()
    };
    let cases = [
        ("/model/trees/trees/0/splits/0/feature", json!(2), "split 0 asks for column 2"),
        ("/model/trees/trees/0/splits/0/left", json!({"split": 0}), "reached twice"),
        ("/model/trees/columns", json!(1u64 << 40), "1099511627776"),
        ("/model/trees/link", json!({"sigmoid": {"steepness": null}}), "invalid type: null"),
        ("/model/trees/base", json!("0.1"), "expected f64"),
        ("/model/trees/trees/1/leaves", json!([]), "one leaf more"),
        ("/model/trees/trees/1/leaves/0", json!({"value": 1, "weight": 0, "cover": 0, "extra": 1}), "`extra`"),
        ("/model", json!({"net": {}}), "unknown variant `net`"),
        ("/schema", json!("v3"), "names no feature schema"),
        ("/training", json!({"library": "x", "author": "y"}), "`author`"),
    ];
    for (pointer, value, wanted) in cases {
        let message = change(pointer, value);
        assert!(message.contains(wanted), "{pointer}: {message}");
    }
    let mut file = sound.clone();
    file["colour"] = json!("red");
    assert!(read(&file).unwrap_err().to_string().contains("`colour`"));
    let mut file = as_json(&linear());
    file["model"]["linear"]["columns"][0]["scale"] = json!(0.0);
    assert!(read(&file).unwrap_err().to_string().contains("column 0"));
}

#[test]
fn the_files_of_others_are_told_apart_by_what_only_they_have() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
    let seed = |name: &str| std::fs::read(seeds.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    for name in SEEDS {
        let file = seed(name);
        let ranker = Ranker::from_bytes(&file).unwrap();
        let direct = if name.starts_with("lightgbm") {
            Model::Trees(Ensemble::from_lightgbm(&file).unwrap())
        } else {
            xgboost::read(&file).unwrap()
        };
        assert_eq!(ranker.model(), &direct, "{name}");
        assert_eq!(Ranker::from_bytes(&ranker.to_bytes().unwrap()).unwrap(), ranker, "{name} as a file of our own");
    }
    // Broken after the beginning: what refuses them is not that they are unknown. The keys may stand in any order.
    let files = [
        &b"tree\nversion=v4\nnum_class=many\n"[..],
        b"{\"name\":\"tree\",\"version\":\"v4\",\"tree_info\":7}",
        b" {\"version\":\"v4\", \"tree_info\": 7}",
        b"{\"learner\":7,\"version\":[3,2,0]}",
        b"{\"version\":[3,2,0],\"learner\":7}",
        b"{L\0\0\0\0\0\0\0\x07learner",
        b"{i\x07learner",
    ];
    for file in files {
        let refused = Ranker::from_bytes(file).unwrap_err().to_string();
        assert!(!refused.contains("no model file of"), "{refused}");
    }
}

#[test]
fn infinite_thresholds_are_read_back() {
    for (threshold, word) in [(f64::INFINITY, "inf"), (f64::NEG_INFINITY, "-inf")] {
        let mut parts = parts();
        parts.trees[0].splits[1].condition = Condition::AtMost(threshold);
        let ranker = Ranker::new(Model::Trees(Ensemble::checked(parts).unwrap())).unwrap();
        let mut file = as_json(&ranker);
        assert_eq!(file["model"]["trees"]["trees"][0]["splits"][1]["condition"], json!({ "at_most": word }));
        assert_eq!(read(&file).unwrap(), ranker);
        file["model"]["trees"]["trees"][0]["splits"][1]["condition"] = json!({"at_most": "NaN"});
        assert!(matches!(read(&file), Err(Error::Model { problem, .. }) if problem.contains("a threshold")));
    }
    // LightGBM's own spelling, by way of its text.
    let lightgbm = b"tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=0\n\
        objective=lambdarank\nfeature_names=a\nfeature_infos=[0:1]\n\nTree=0\nnum_leaves=2\nnum_cat=0\nsplit_feature=0\n\
        split_gain=1\nthreshold=inf\ndecision_type=8\nleft_child=-1\nright_child=-2\nleaf_value=0.5 -0.5\n\
        leaf_weight=1 1\nleaf_count=1 1\ninternal_value=0\ninternal_weight=2\ninternal_count=2\nis_linear=0\n\
        shrinkage=1\n\n\nend of trees\n";
    let ranker = Ranker::from_bytes(lightgbm).unwrap();
    let opened = Ranker::from_bytes(&ranker.to_bytes().unwrap()).unwrap();
    assert_eq!(opened, ranker);
    assert_eq!(opened.score(rag_ltr::Rows::new(&[3.0, f32::NAN], 1).unwrap()).unwrap(), [0.5, -0.5]);
}

#[test]
fn numbers_that_json_has_no_word_for_are_refused_by_name() {
    let refused = |parts: EnsembleParts| {
        let ranker = Ranker::new(Model::Trees(Ensemble::checked(parts).unwrap())).unwrap();
        ranker.to_bytes().unwrap_err().to_string()
    };
    let mut odd = parts();
    odd.trees[0].splits[1].gain = f64::INFINITY;
    assert!(refused(odd).contains("split 1 of tree 0"));
    let mut odd = parts();
    odd.trees[1].leaves[0].cover = f64::NAN;
    assert!(refused(odd).contains("leaf 0 of tree 1"));
    assert!(refused(EnsembleParts { link: Link::Sigmoid { steepness: f64::NAN }, ..parts() }).contains("steepness"));
    let training = Training { metrics: [("map".to_owned(), f64::NAN)].into(), ..Training::default() };
    let refused = linear().with_training(training).to_bytes().unwrap_err();
    assert!(refused.to_string().contains("`map`"), "{refused}");
}

proptest! {
    #[test]
    fn every_number_is_read_back_to_the_bit(number in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL) {
        let mut parts = parts();
        parts.trees[0].leaves[0].value = number;
        parts.trees[0].splits[0].condition = Condition::AtMost(-number);
        let ranker = Ranker::new(Model::Trees(Ensemble::checked(parts).unwrap())).unwrap();
        prop_assert_eq!(Ranker::from_bytes(&ranker.to_bytes().unwrap()).unwrap(), ranker);
    }

    #[test]
    fn damaged_files_are_models_or_typed_errors(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut file = trees().to_bytes().unwrap();
        let at = at.index(file.len());
        if cut {
            file.truncate(at);
        } else {
            file[at] = byte;
        }
        if let Ok(ranker) = Ranker::from_bytes(&file) {
            prop_assert!(!cut && ranker.columns() == 2);
        }
    }
}
