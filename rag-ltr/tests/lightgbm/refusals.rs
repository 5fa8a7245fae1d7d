//! What is refused, and where the error points.

use rag_ltr::Error;
use rag_ltr::model::Ensemble;

use crate::cases::Case;
use crate::parity::fixture;

fn case(name: &str) -> Case {
    fixture("v4").into_iter().find(|case| case.name == name).unwrap()
}

/// The error of a file in which the first `from` is `to`.
fn error(file: &str, from: &str, to: &str) -> Error {
    assert!(file.contains(from), "{from}");
    let changed = file.replacen(from, to, 1);
    Ensemble::from_lightgbm(changed.as_bytes()).map(|_| ()).expect_err(&format!("{from} -> {to}"))
}

/// The line of a text that begins so.
fn line<'a>(text: &'a str, start: &str) -> &'a str {
    text.lines().find(|line| line.starts_with(start)).unwrap()
}

fn assert_damaged(error: &Error, place: &str) {
    assert!(matches!(error, Error::Model { at, .. } if at == place), "{error} is not at {place}");
}

fn assert_unsupported(error: &Error, what: &str) {
    assert!(matches!(error, Error::Unsupported(found) if found.contains(what)), "{error} is not about {what}");
}

#[test]
fn what_would_be_scored_otherwise_is_refused() {
    let text = case("missing").text;
    for (from, to, what) in [
        ("version=v4", "version=v5", "format v5"),
        ("num_class=1", "num_class=3", "3 classes"),
        ("num_tree_per_iteration=1", "num_tree_per_iteration=2", "2 trees an iteration"),
        ("objective=regression", "objective=multiclass num_class:3", "multiclass"),
        ("objective=regression", "objective=regression cube", "regression cube"),
        ("label_index=0", "label_index=0\nbias=1", "`bias`"),
        ("shrinkage=", "leaf_scale=2\nshrinkage=", "tree 0, `leaf_scale`"),
    ] {
        assert_unsupported(&error(&text, from, to), what);
    }
    let json = case("missing").json.unwrap();
    for (from, to, what) in [
        (r#""version": "v4""#, r#""version": "v5""#, "format v5"),
        (r#""num_class": 1"#, r#""num_class": 3"#, "3 classes"),
        (r#""label_index": 0"#, r#""label_index": 0, "bias": 1"#, "`bias`"),
        (r#""num_cat": 0"#, r#""num_cat": 0, "leaf_scale": 2"#, "tree 0, `leaf_scale`"),
        (r#""split_feature""#, r#""slope": 2, "split_feature""#, "tree 0, `slope`"),
    ] {
        assert_unsupported(&error(&json, from, to), what);
    }
}

#[test]
fn damage_in_a_text_is_named() {
    let text = case("missing").text;
    for (from, to, place) in [
        ("tree\n", "\u{feff}tree\n", "the beginning"),
        ("tree\n", "trees\n", "the first line"),
        ("version=v4\n", "", "`version`"),
        ("max_feature_idx=5", "max_feature_idx=6", "`feature_names`"),
        ("max_feature_idx=5", "max_feature_idx=18446744073709551615", "`max_feature_idx`"),
        ("tree_sizes=", "tree_sizes=7 ", "`tree_sizes`"),
        ("Tree=1", "Tree=2", "tree 1"),
        ("num_leaves=8", "num_leaves=0", "tree 0, `num_leaves`"),
        ("num_leaves=8", "num_leaves=2000000000", "tree 0, `leaf_value`"),
        ("num_cat=0", "num_cat=18446744073709551615", "tree 0, `cat_boundaries`"),
        ("num_cat=0", "num_cat=0\nnum_cat=0", "tree 0, `num_cat`"),
        ("threshold=", "threshold=x", "tree 0, `threshold`"),
        ("decision_type=", "decision_type=1", "tree 0, `decision_type`"),
        ("left_child=", "left_child=77777777777777 ", "tree 0, `left_child`"),
        ("left_child=", "left_child=77777 ", "tree 0, `left_child`"),
        ("is_linear=0", "is_linear=1", "tree 0, `leaf_const`"),
        ("is_linear=0", "is_linear=2", "tree 0, `is_linear`"),
    ] {
        assert_damaged(&error(&text, from, to), place);
    }
    // Each loss of an end is seen.
    let ends = text.find("end of trees").unwrap();
    for length in (0..ends).filter(|length| text.is_char_boundary(*length)) {
        assert!(Ensemble::from_lightgbm(&text.as_bytes()[..length]).is_err(), "{length} bytes");
    }
    assert_damaged(&Ensemble::from_lightgbm(b"tree\n\xff").unwrap_err(), "byte 5");
}

#[test]
fn a_tree_that_is_none_is_refused() {
    let text = case("missing").text;
    let children = line(&text, "left_child=");
    let in_a_circle = children.split_once(' ').map(|(_, rest)| format!("left_child=0 {rest}")).unwrap();
    let Error::Model { at, problem } = error(&text, children, &in_a_circle) else { panic!() };
    assert_eq!((at.as_str(), problem.as_str()), ("tree 0", "Split(0) is reached twice"));
    let features = line(&text, "split_feature=");
    let too_far = features.split_once(' ').map(|(_, rest)| format!("split_feature=6 {rest}")).unwrap();
    assert_damaged(&error(&text, features, &too_far), "tree 0");
    let values = line(&text, "leaf_value=");
    let infinite = values.split_once(' ').map(|(_, rest)| format!("leaf_value=inf {rest}")).unwrap();
    assert_damaged(&error(&text, values, &infinite), "tree 0");
}

#[test]
fn sets_of_categories_belong_to_one_split_each() {
    let text = case("categories").text;
    let has_two = |tree: &&str| tree.contains("num_cat=") && line(tree, "num_cat=") > "num_cat=1";
    let tree = text.split("\n\n").find(has_two).unwrap();
    let number = line(tree.trim_start(), "Tree=").replace("Tree=", "tree ");
    let (decisions, thresholds) = (line(tree, "decision_type="), line(tree, "threshold="));
    let words = |line: &str| -> Vec<String> { line.split(['=', ' ']).skip(1).map(str::to_owned).collect() };
    let sets: Vec<usize> = words(decisions)
        .iter()
        .enumerate()
        .filter(|(_, word)| word.parse::<u8>().unwrap() % 2 == 1)
        .map(|(at, _)| at)
        .collect();
    for other in ["0", "1.5", "-1", "99", "nan", "1e300"] {
        let mut changed = words(thresholds);
        changed[sets[1]] = other.to_owned();
        let changed = tree.replace(thresholds, &format!("threshold={}", changed.join(" ")));
        assert_damaged(&error(&text, tree, &changed), &format!("{number}, `threshold`"));
    }
    let boundaries = line(tree, "cat_boundaries=");
    let changed = tree.replace(boundaries, &boundaries.replacen('0', "1", 1));
    assert_damaged(&error(&text, tree, &changed), &format!("{number}, `cat_boundaries`"));
}

#[test]
fn damage_in_json_is_named() {
    let json = case("missing").json.unwrap();
    for (from, to, place) in [
        (r#""average_output": false, "#, "", "`average_output`"),
        (r#""average_output": false"#, r#""average_output": 0"#, "`average_output`"),
        (r#""feature_names": ["#, r#""feature_names": [7, "#, "`feature_names`"),
        (r#""version""#, r#""num_class": 1, "version""#, "`num_class`"),
        (r#""num_leaves": 8"#, r#""num_leaves": 9"#, "tree 0, `num_leaves`"),
        (r#""split_index": 0"#, r#""split_index": 4000000000"#, "tree 0, `split_index`"),
        (r#""split_index": 0"#, r#""split_index": 1"#, "tree 0, `split_index`"),
        (r#""threshold": "#, r#""threshold": "1","threshold": "#, "tree 0, `threshold`"),
        (r#""missing_type": "NaN""#, r#""missing_type": "Na""#, "tree 0, `missing_type`"),
        (r#""decision_type": "<=""#, r#""decision_type": "<""#, "tree 0, `decision_type`"),
        (r#""default_left": "#, r#""default_left": un"#, "tree 0, `default_left`"),
    ] {
        assert_damaged(&error(&json, from, to), place);
    }
    for length in 0..json.trim_end().len() {
        assert!(Ensemble::from_lightgbm(&json.as_bytes()[..length]).is_err(), "{length} bytes");
    }
    assert!(Ensemble::from_lightgbm(format!("{json} x").as_bytes()).is_err());
}

/// A category costs a bit of every category below it; a few bytes must not ask for gigabytes.
#[test]
fn a_huge_category_in_json_is_refused() {
    let json = case("categories").json.unwrap();
    let (start, rest) = json.split_once(r#""threshold": ""#).unwrap();
    let changed = format!(r#"{start}"threshold": "4294967295||{rest}"#);
    assert_unsupported(
        &Ensemble::from_lightgbm(changed.as_bytes()).unwrap_err(),
        "categories up to 4294967295 in JSON",
    );
}

/// Nothing calls itself for each level of a file.
#[test]
fn nesting_without_end_is_refused_and_deep_trees_are_read() {
    for piece in ["[", "{\"a\":", r#"{"tree_info":[{"tree_structure":{"left_child":"#, r#"{"left_child":"#] {
        let start = r#"{"tree_info":[{"tree_structure":"#;
        for start in ["", start] {
            assert!(Ensemble::from_lightgbm(format!("{start}{}", piece.repeat(200_000)).as_bytes()).is_err());
        }
    }
    let depth = 10_000;
    let split = |place: usize| {
        format!(
            r#"{{"split_index":{place},"split_feature":0,"threshold":{place},"decision_type":"<=","default_left":true,
            "missing_type":"None","right_child":{{"leaf_index":{place},"leaf_value":{place}}},"left_child":"#
        )
    };
    let nodes: String = (0..depth).map(split).collect();
    let json = format!(
        r#"{{"version":"v4","num_class":1,"max_feature_idx":0,"average_output":false,"feature_names":["a"],
        "tree_info":[{{"num_leaves":{},"tree_structure":{nodes}{{"leaf_index":{depth},"leaf_value":-1}}{}}}]}}"#,
        depth + 1,
        "}".repeat(depth)
    );
    let ensemble = Ensemble::from_lightgbm(json.as_bytes()).unwrap();
    let rows = rag_ltr::Rows::new(&[f32::NEG_INFINITY, 77.5], 1).unwrap();
    assert_eq!(ensemble.margins_plainly(rows).unwrap(), [-1.0, 0.0]);
}
