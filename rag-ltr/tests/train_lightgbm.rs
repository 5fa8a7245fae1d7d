//! The trees are those that LightGBM grows. `fixtures/make_train.py` made them and says how the data is changed.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rag_ltr::Rows;
use rag_ltr::model::{Child, Condition, Missing, Split, Tree};
use rag_ltr::svmlight::{ReadOptions, Svmlight, read, read_groups};
use rag_ltr::train::{Dataset, LambdaMart, lambdamart};
use serde::Deserialize;

const COLUMNS: usize = 301;

#[derive(Deserialize)]
struct Case {
    name: String,
    parameters: serde_json::Value,
    trees: Vec<Grown>,
}

/// A tree as LightGBM's text has it.
#[derive(Deserialize)]
struct Grown {
    features: Vec<u32>,
    thresholds: Vec<f64>,
    decisions: Vec<u32>,
    left: Vec<i32>,
    right: Vec<i32>,
    gains: Vec<f64>,
    values: Vec<f64>,
    counts: Vec<usize>,
    bounds: Vec<usize>,
    words: Vec<u32>,
}

fn folder() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/ltr/lightgbm_lambdarank");
    if !folder.is_dir() {
        eprintln!("skipped: there is no {}", folder.display());
        return None;
    }
    Some(folder)
}

fn data(folder: &Path) -> Svmlight {
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let options = ReadOptions { first_column: 0, columns: Some(COLUMNS), ..ReadOptions::default() };
    let mut data = read(&text("rank.train"), options).unwrap();
    data.groups = read_groups(&text("rank.train.query")).unwrap();
    data
}

fn changed(data: &Svmlight, case: &Case) -> Vec<f32> {
    let each = |(at, &value): (usize, &f32)| {
        let (row, column) = (at / COLUMNS, at % COLUMNS);
        match case.name.as_str() {
            "nan" | "no nan" | "zero is missing" if (row * 7 + column * 13) % 11 == 0 => f32::NAN,
            "negative numbers" if value != 0.0 => value - 0.5,
            "categories" | "few categories" if column % 2 == 0 => (value * 12.0).floor(),
            _ => value,
        }
    };
    data.values.iter().enumerate().map(each).collect()
}

#[test]
fn trees_are_those_of_lightgbm() {
    let Some(folder) = folder() else { return };
    let data = data(&folder);
    let cases: Vec<Case> = serde_json::from_str(include_str!("fixtures/train.json")).unwrap();
    let mut report = Vec::new();
    for case in &cases {
        let values = changed(&data, case);
        let mut parameters: LambdaMart = serde_json::from_value(case.parameters.clone()).unwrap();
        (parameters.num_leaves, parameters.num_trees, parameters.num_threads) = (12, 2, 1);
        let labels: Vec<f32> = match case.name.as_str() {
            "binary" => data.labels.iter().map(|&label| f32::from(u8::from(label > 0.0))).collect(),
            _ => data.labels.clone(),
        };
        let weights: Vec<f32> = (0..labels.len()).map(|row| 1.0 + (row % 3) as f32).collect();
        let mut dataset = Dataset::new(Rows::new(&values, COLUMNS).unwrap(), &labels, &data.groups);
        dataset.weights = (case.name == "shallow lambdas").then_some(&weights);
        let trained = lambdamart(&dataset, None, &parameters, &mut |_| ControlFlow::Continue(())).unwrap();
        let parts = trained.ensemble.parts();
        assert_eq!(parts.trees.len(), case.trees.len(), "{}", case.name);
        for (number, (tree, wanted)) in parts.trees.iter().zip(&case.trees).enumerate() {
            let base = if number == 0 { parts.base } else { 0.0 };
            if let Err(problem) = compare(tree, wanted, base) {
                report.push(format!("{}, tree {number}: {problem}", case.name));
            }
        }
    }
    assert!(report.is_empty(), "{report:#?}");
}

fn compare(tree: &Tree, wanted: &Grown, base: f64) -> Result<(), String> {
    let near = |found: f64, wanted: f64| (found - wanted).abs() <= 1e-4 * wanted.abs() + 1e-6;
    if tree.splits.len() != wanted.features.len() {
        return Err(format!("{} splits instead of {}", tree.splits.len(), wanted.features.len()));
    }
    for (number, split) in tree.splits.iter().enumerate() {
        let (gain, wanted_gain) = (split.gain, wanted.gains[number]);
        let problem = difference(split, wanted, number);
        if let Some(what) = problem.or((!near(gain, wanted_gain)).then_some("gain")) {
            return Err(format!("{what} of split {number}: {split:?}, gain {wanted_gain}"));
        }
    }
    for (number, leaf) in tree.leaves.iter().enumerate() {
        let (value, count) = (wanted.values[number] - base, wanted.counts[number]);
        if leaf.cover != count as f64 || !near(leaf.value, value) {
            return Err(format!("leaf {number}: {leaf:?} instead of {value} for {count} rows"));
        }
    }
    Ok(())
}

fn difference(split: &Split, wanted: &Grown, number: usize) -> Option<&'static str> {
    let decision = wanted.decisions[number];
    let child = |child: i32| if child < 0 { Child::Leaf(!child as u32) } else { Child::Split(child as u32) };
    let condition = if decision & 1 == 1 {
        let position = wanted.thresholds[number] as usize;
        Condition::OneOf(wanted.words[wanted.bounds[position]..wanted.bounds[position + 1]].to_vec())
    } else {
        Condition::AtMost(wanted.thresholds[number])
    };
    let missing = [Missing::None, Missing::Zero, Missing::Nan][(decision >> 2 & 3) as usize];
    let is_category = decision & 1 == 1;
    let same_threshold = match (&split.condition, &condition) {
        // LightGBM writes 1e300 where every number goes left.
        (Condition::AtMost(found), Condition::AtMost(wanted)) => {
            found == wanted || *found == f64::INFINITY && *wanted == 1e300
        }
        (found, wanted) => found == wanted,
    };
    let checks = [
        (split.feature == wanted.features[number], "feature"),
        (same_threshold, "condition"),
        // Categories: ours always say that NaN is missing, which no category is either.
        (is_category || split.missing == missing, "missing"),
        (is_category || missing == Missing::None || split.missing_left == (decision & 2 != 0), "missing_left"),
        (split.left == child(wanted.left[number]), "left"),
        (split.right == child(wanted.right[number]), "right"),
    ];
    checks.into_iter().find(|(is_same, _)| !is_same).map(|(_, what)| what)
}
