//! Equal to XGBoost: the margin of every row to the last bit of 32, and its prediction where the exponential function of the
//! machine is the one that XGBoost was linked with, which is so on Linux. What would be scored otherwise is refused.

use proptest::prelude::*;
use rag_ltr::Rows;
use rag_ltr::model::{Child, Condition, Link, Model, Ranker, xgboost};
use serde_json::{Value as Json, json};

use crate::cases::{Case, Fixture, from_hex};

#[test]
fn every_model_answers_as_xgboost_does() {
    let fixture = Fixture::read();
    assert!(fixture.cases.len() >= 60);
    fixture.cases.iter().for_each(Case::check);
}

#[test]
fn what_would_be_scored_otherwise_is_refused() {
    let fixture = Fixture::read();
    assert!(fixture.refused.len() >= 8);
    for refused in fixture.refused {
        let error = xgboost::read(&from_hex(&refused.ubjson)).unwrap_err().to_string();
        assert!(error.contains(&refused.says) && error.contains("not supported"), "{}: {error}", refused.name);
    }
}

#[test]
fn names_links_and_statistics_are_kept() {
    let fixture = Fixture::read();
    let model = |name: &str| fixture.case(name).models().remove(0);
    let names = Ranker::new(model("names")).unwrap();
    assert_eq!(names.names(), ["größe", "said \"so\"", "back\\slash", "tab\there", "bm25"]);
    let Model::Linear(linear) = model("linear_logistic") else { panic!("gblinear is linear") };
    assert_eq!((linear.link, linear.columns.len()), (Link::Sigmoid { steepness: 1.0 }, 5));
    let Model::Trees(trees) = model("rank_ndcg") else { panic!("gbtree has trees") };
    let parts = trees.parts();
    assert_eq!((parts.link, parts.columns, parts.trees.len()), (Link::Identity, 5, 4));
    for tree in &parts.trees {
        for split in &tree.splits {
            let of = |child: Child| match child {
                Child::Split(position) => tree.splits[position as usize].cover,
                Child::Leaf(position) => tree.leaves[position as usize].cover,
            };
            let children = of(split.left) + of(split.right);
            assert!(split.gain > 0.0 && (split.cover - children).abs() <= 1e-5 * split.cover);
        }
    }
}

#[test]
fn every_kind_of_question_is_in_the_cases() {
    let fixture = Fixture::read();
    let conditions = |name: &str| {
        let Model::Trees(trees) = fixture.case(name).models().remove(0) else { panic!("gbtree has trees") };
        let splits = trees.parts().trees.iter().flat_map(|tree| tree.splits.clone());
        splits.map(|split| split.condition).collect::<Vec<_>>()
    };
    let words = |name: &str| {
        let of = |condition| if let Condition::OneOfFromZero(words) = condition { Some(words) } else { None };
        conditions(name).into_iter().filter_map(of).collect::<Vec<_>>()
    };
    let members = |words: &Vec<u32>| words.iter().map(|word| word.count_ones()).sum::<u32>();
    assert!(words("categories_onehot_many").iter().all(|words| members(words) == 1));
    assert!(words("categories_partition").iter().any(|words| words.len() == 3 && members(words) > 10));
    assert!(conditions("around_zero").iter().any(|condition| {
        matches!(condition, Condition::AtMost(threshold) if threshold.abs() < f64::from(f32::MIN_POSITIVE))
    }));
    let leaves = |name: &str| conditions(name).len();
    assert!(leaves("one_leaf") == 0 && leaves("many_leaves") > 128);
}

/// One split at `threshold`: rows below it are worth 1, others 2, missing ones 2 as well.
fn stump() -> Json {
    json!({"learner": {
        "feature_names": [],
        "feature_types": [],
        "attributes": {},
        "gradient_booster": {"name": "gbtree", "model": {
            "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": "1"},
            "tree_info": [0],
            "trees": [{
                "id": 0,
                "left_children": [1, -1, -1], "right_children": [2, -1, -1], "parents": [2_147_483_647, 0, 0],
                "split_indices": [0, 0, 0], "split_conditions": [123.25, 1.0, 2.0], "default_left": [0, 0, 0],
                "loss_changes": [1.5, 0.0, 0.0], "sum_hessian": [4.0, 3.0, 1.0], "base_weights": [0.0, 0.25, 0.75],
                "split_type": [0, 0, 0], "categories": [], "categories_nodes": [], "categories_segments": [],
                "categories_sizes": [],
                "tree_param": {"num_nodes": "3", "num_feature": "1", "num_deleted": "0", "size_leaf_vector": "1"}
            }]
        }},
        "learner_model_param": {"base_score": "[0E0]", "num_class": "0", "num_feature": "1", "num_target": "1"},
        "objective": {"name": "reg:squarederror", "reg_loss_param": {"scale_pos_weight": "1"}}
    }, "version": [3, 2, 0]})
}

fn margins(file: &[u8], values: &[f32]) -> Vec<f64> {
    Ranker::new(xgboost::read(file).unwrap()).unwrap().margins(Rows::new(values, 1).unwrap()).unwrap()
}

/// UBJSON with nothing typed; numbers with a fraction take 32 bits.
fn to_ubjson(json: &Json, out: &mut Vec<u8>) {
    let text = |text: &str, out: &mut Vec<u8>| {
        out.push(b'L');
        out.extend((text.len() as i64).to_be_bytes());
        out.extend(text.as_bytes());
    };
    match json {
        Json::Null => out.push(b'Z'),
        Json::Bool(value) => out.push(if *value { b'T' } else { b'F' }),
        Json::Number(number) if number.is_f64() => {
            out.push(b'd');
            out.extend((number.as_f64().unwrap() as f32).to_be_bytes());
        }
        Json::Number(number) => {
            out.push(b'L');
            out.extend(number.as_i64().unwrap().to_be_bytes());
        }
        Json::String(value) => {
            out.push(b'S');
            text(value, out);
        }
        Json::Array(items) => {
            out.push(b'[');
            for item in items {
                to_ubjson(item, out);
            }
            out.push(b']');
        }
        Json::Object(entries) => {
            out.push(b'{');
            for (key, value) in entries {
                text(key, out);
                to_ubjson(value, out);
            }
            out.push(b'}');
        }
    }
}

/// The stump as UBJSON, where a float may be any.
fn stump_with(number: f32, other: f32) -> Vec<u8> {
    let mut file = Vec::new();
    to_ubjson(&stump(), &mut file);
    let at = file.windows(4).position(|window| window == number.to_be_bytes()).unwrap();
    file[at..at + 4].copy_from_slice(&other.to_be_bytes());
    file
}

fn stump_at(threshold: f32) -> Vec<u8> {
    stump_with(123.25, threshold)
}

fn any_float() -> impl Strategy<Value = f32> {
    let corners =
        [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1e-45, -1e-45, 1.0, f32::MIN_POSITIVE];
    prop_oneof![any::<u32>().prop_map(f32::from_bits), proptest::sample::select(corners.to_vec())]
}

proptest! {
    #[test]
    fn a_threshold_divides_as_less_than_does(threshold in any_float(), value in any_float()) {
        prop_assume!(!threshold.is_nan());
        let neighbours = [value, threshold, threshold.next_down(), threshold.next_up()];
        let expected = neighbours.map(|value| if value < threshold { 1.0 } else { 2.0 });
        prop_assert_eq!(margins(&stump_at(threshold), &neighbours), expected);
    }
}

#[test]
fn both_forms_of_a_stump_are_one_model_and_a_nan_threshold_is_none() {
    let mut ubjson = Vec::new();
    to_ubjson(&stump(), &mut ubjson);
    let json = stump().to_string();
    assert_eq!(xgboost::read(&ubjson).unwrap(), xgboost::read(json.as_bytes()).unwrap());
    assert_eq!(margins(json.as_bytes(), &[123.0, 123.25, f32::NAN]), [1.0, 2.0, 2.0]);
    let error = xgboost::read(&stump_at(f32::NAN)).unwrap_err().to_string();
    assert!(error.contains("tree 0, node 0") && error.contains("`split_conditions` is NaN"), "{error}");
}

#[test]
fn a_gain_may_have_overflowed_where_a_leaf_and_a_weight_may_not() {
    let gain = |other: f32| {
        let Model::Trees(trees) = xgboost::read(&stump_with(1.5, other)).unwrap() else { panic!("gbtree has trees") };
        trees.parts().trees[0].splits[0].gain
    };
    assert_eq!([gain(2.5), gain(f32::INFINITY), gain(f32::NAN)], [2.5, f64::from(f32::MAX), 0.0]);
    for (number, field) in [(1.0, "split_conditions"), (3.0, "sum_hessian")] {
        let error = xgboost::read(&stump_with(number, f32::INFINITY)).unwrap_err().to_string();
        assert!(error.contains(field) && error.contains("is inf"), "{error}");
    }
}

#[test]
fn weights_of_trees_are_read_wherever_a_version_has_them() {
    let mut in_model = stump();
    in_model["learner"]["gradient_booster"]["model"]["weight_drop"] = json!([0.5]);
    let mut beside_model = stump();
    beside_model["learner"]["gradient_booster"]["weight_drop"] = json!([0.5]);
    let mut nested = stump();
    let inner = nested["learner"]["gradient_booster"].take();
    nested["learner"]["gradient_booster"] = json!({"name": "dart", "gbtree": inner, "weight_drop": [0.5]});
    for model in [in_model, beside_model, nested] {
        assert_eq!(margins(model.to_string().as_bytes(), &[0.0, 200.0]), [0.5, 1.0]);
    }
}

#[test]
fn what_is_wrong_is_named() {
    let tree = "/learner/gradient_booster/model/trees/0";
    let in_tree = |field: &str| format!("{tree}/{field}");
    let parameter = |field: &str| format!("/learner/learner_model_param/{field}");
    let changes = [
        (in_tree("left_children/0"), json!(0), "tree 0: node 0 is reached twice"),
        (in_tree("left_children/0"), json!(7), "tree 0: node 7 does not exist"),
        (in_tree("right_children/0"), json!(-1), "tree 0: node -1 does not exist"),
        (in_tree("right_children/0"), json!(1), "tree 0: node 1 is reached twice"),
        (in_tree("left_children"), json!([]), "`right_children` has 3 entries for 0 nodes"),
        (in_tree("split_indices/0"), json!(1), "asks for column 1 of 1"),
        (in_tree("split_indices/0"), json!(-1), "tree 0, node 0: `split_indices` is -1"),
        (in_tree("split_type/0"), json!(2), "tree 0, node 0: `split_type` is 2"),
        (in_tree("split_type/0"), json!(1), "tree 0, node 0: `categories` is empty"),
        (in_tree("default_left"), json!([0]), "`default_left` has 1 entries for 3 nodes"),
        (in_tree("categories_nodes"), json!([0]), "differ in length"),
        (in_tree("id"), json!(3), "tree 0: its `id` is another"),
        (in_tree("tree_param/size_leaf_vector"), json!("3"), "leaves that are vectors of 3 values"),
        ("/learner/gradient_booster/model/tree_info".to_owned(), json!([]), "0 entries of `tree_info`"),
        ("/learner/gradient_booster/model/tree_info/0".to_owned(), json!(1), "a tree for output 1"),
        ("/learner/gradient_booster/name".to_owned(), json!("gbforest"), "booster `gbforest`"),
        ("/learner/gradient_booster/model".to_owned(), json!(null), "`model` is missing"),
        ("/learner/objective/name".to_owned(), json!("rank:new"), "the objective `rank:new`"),
        ("/learner/objective".to_owned(), json!({}), "missing field `name`"),
        ("/learner/feature_names".to_owned(), json!(["a", "b"]), "there are 2 for 1 columns"),
        (parameter("base_score"), json!("[1E0,2E0]"), "several base scores"),
        (parameter("base_score"), json!("nan"), "`base_score` is `nan`"),
        (parameter("num_feature"), json!("many"), "`num_feature` is `many`"),
        (parameter("num_feature"), json!("0"), "columns"),
        (parameter("num_feature"), json!("4000000000"), "columns"),
        (parameter("num_class"), json!("3"), "3 outputs (`num_class`)"),
        (parameter("num_target"), json!("2"), "2 outputs (`num_target`)"),
    ];
    for (pointer, value, says) in changes {
        let mut model = stump();
        *model.pointer_mut(&pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
        let mut ubjson = Vec::new();
        to_ubjson(&model, &mut ubjson);
        for file in [model.to_string().into_bytes(), ubjson] {
            let error = xgboost::read(&file).unwrap_err().to_string();
            assert!(error.contains(says), "{pointer}: {error}");
        }
    }
}

/// A stump whose split is categorical.
fn with_categories(categories: &[i64], size: i64) -> String {
    let mut model = stump();
    let tree = &mut model["learner"]["gradient_booster"]["model"]["trees"][0];
    tree["split_type"] = json!([1, 0, 0]);
    tree["categories"] = json!(categories);
    tree["categories_nodes"] = json!([0]);
    tree["categories_segments"] = json!([0]);
    tree["categories_sizes"] = json!([size]);
    model.to_string()
}

#[test]
fn members_of_a_set_go_right_and_negative_numbers_are_none() {
    let model = with_categories(&[0, 40], 2);
    let values = [0.0, -0.0, 0.9, 1.0, 40.5, 41.0, -1e-45, -0.5, -1.0, f32::NAN, f32::INFINITY, 1e30];
    let expected = [2.0, 2.0, 2.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 2.0, 1.0, 1.0];
    assert_eq!(margins(model.as_bytes(), &values), expected);
}

#[test]
fn categories_that_cannot_be_are_refused() {
    for (categories, size, says) in [
        (&[3i64][..], 2, "`categories` ends before those of node 0"),
        (&[3], -1, "`categories` ends before those of node 0"),
        (&[3], i64::MAX, "`categories` ends before those of node 0"),
        (&[-3], 1, "`categories` is -3"),
        (&[1 << 24], 1, "`categories` is 16777216"),
    ] {
        let error = xgboost::read(with_categories(categories, size).as_bytes()).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn categories_do_not_take_more_memory_than_is_allowed() {
    let mut model: Json = serde_json::from_str(&with_categories(&[(1 << 24) - 1], 1)).unwrap();
    let booster = &mut model["learner"]["gradient_booster"]["model"];
    let tree = booster["trees"][0].take();
    let numbered = |id: usize| {
        let mut tree = tree.clone();
        tree["id"] = json!(id);
        tree
    };
    booster["trees"] = (0..33).map(numbered).collect();
    booster["tree_info"] = json!(vec![0; 33]);
    let error = xgboost::read(model.to_string().as_bytes()).unwrap_err().to_string();
    assert!(error.contains("more than 64 MiB of categories"), "{error}");
}

#[test]
fn files_of_another_kind_are_refused_with_a_way_out() {
    for (file, says) in [
        (&b""[..], "opens neither JSON nor UBJSON"),
        (b"binf\0\0\0", "opens neither JSON nor UBJSON"),
        (b"{}", "missing field `learner`"),
        (b"{\"learner\": {\"gradient_booster\": {\"weight_drop\": [-Infinity]}}}", "need UBJSON"),
        (b"{L\0\0\0\0\0\0\0\x07learner", "byte 17"),
    ] {
        let error = xgboost::read(file).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
