//! Reading the text format: lines of `name=value`, an empty line after each tree, `end of trees` after the last.

use super::fields::Fields;
use super::head;
use super::nodes::{CATEGORICAL, DEFAULT_LEFT, MAX_WORDS, child_of, finite, missing_of, snapped};
use crate::error::{Error, Result};
use crate::model::{Condition, Ensemble, Leaf, LinearLeaf, Missing, Split, Tree};

const KNOWN: [&str; 22] = [
    "num_leaves",
    "num_cat",
    "split_feature",
    "split_gain",
    "threshold",
    "decision_type",
    "left_child",
    "right_child",
    "leaf_value",
    "leaf_weight",
    "leaf_count",
    "internal_value",
    "internal_weight",
    "internal_count",
    "cat_boundaries",
    "cat_threshold",
    "is_linear",
    "leaf_const",
    "num_features",
    "leaf_features",
    "leaf_coeff",
    "shrinkage",
];

pub(super) fn read(text: &str) -> Result<Ensemble> {
    let mut lines = text.lines().skip_while(|line| line.is_empty());
    if lines.next() != Some("tree") {
        return Err(Error::model("the first line", "it is not `tree`"));
    }
    let mut head = Fields::new(None);
    let mut trees = Vec::new();
    loop {
        let line = lines.next().ok_or_else(|| Error::model("the end", "there is no `end of trees`"))?;
        if line == "end of trees" {
            break;
        }
        if let Some(number) = line.strip_prefix("Tree=") {
            if number.parse() != Ok(trees.len()) {
                let number: String = number.chars().take(40).collect();
                return Err(Error::model(format!("tree {}", trees.len()), format!("its number is `{number}`")));
            }
            trees.push(tree(&mut lines, trees.len())?);
        } else if !line.is_empty() {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            head.insert(name, value, &head::KNOWN)?;
        }
    }
    let sizes = head.text("tree_sizes").map(|sizes| sizes.split_ascii_whitespace().count());
    if let Some(sizes) = sizes.filter(|sizes| *sizes != trees.len()) {
        return Err(head.wrong("tree_sizes", &format!("it has {sizes} numbers, the file {} trees", trees.len())));
    }
    let names = head.required("feature_names")?.split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    head::ensemble(&head, head.text("average_output").is_some(), names, trees)
}

fn tree<'a>(lines: &mut impl Iterator<Item = &'a str>, number: usize) -> Result<Tree> {
    let mut fields = Fields::new(Some(number));
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        fields.insert(name, value, &KNOWN)?;
    }
    let leaves = leaves(&fields)?;
    let splits = splits(&fields, leaves.len() - 1)?;
    Ok(Tree { splits, leaves })
}

/// At least one.
fn leaves(fields: &Fields<'_>) -> Result<Vec<Leaf>> {
    let count = fields.number("num_leaves")?;
    if count == 0 {
        return Err(fields.wrong("num_leaves", "a tree has at least one leaf"));
    }
    // From here on the text has as many numbers as are kept.
    let values: Vec<f64> = fields.required_line("leaf_value", count)?;
    let weights: Vec<f64> = fields.line("leaf_weight", count)?.unwrap_or_else(|| vec![0.0; count]);
    let covers: Vec<u32> = fields.line("leaf_count", count)?.unwrap_or_else(|| vec![0; count]);
    let mut leaves: Vec<Leaf> = (values.iter().zip(weights).zip(covers))
        .map(|((&value, weight), cover)| Leaf { value, weight: finite(weight), cover: cover.into(), linear: None })
        .collect();
    match fields.text("is_linear").unwrap_or("0") {
        "0" => {}
        "1" => linear(fields, &mut leaves)?,
        _ => return Err(fields.wrong("is_linear", "it is neither 0 nor 1")),
    }
    Ok(leaves)
}

/// Gives every leaf its linear model.
fn linear(fields: &Fields<'_>, leaves: &mut [Leaf]) -> Result<()> {
    let constants: Vec<f64> = fields.required_line("leaf_const", leaves.len())?;
    let lengths: Vec<usize> = fields.required_line("num_features", leaves.len())?;
    let total = lengths.iter().fold(0usize, |sum, length| sum.saturating_add(*length));
    let columns: Vec<u32> = fields.required_line("leaf_features", total)?;
    let coefficients: Vec<f64> = fields.required_line("leaf_coeff", total)?;
    let mut terms = columns.into_iter().zip(coefficients);
    for ((leaf, constant), length) in leaves.iter_mut().zip(constants).zip(lengths) {
        leaf.linear = Some(LinearLeaf { constant, terms: terms.by_ref().take(length).collect() });
    }
    Ok(())
}

fn splits(fields: &Fields<'_>, count: usize) -> Result<Vec<Split>> {
    let mut categories = categories(fields)?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let features: Vec<u32> = fields.required_line("split_feature", count)?;
    let thresholds: Vec<f64> = fields.required_line("threshold", count)?;
    let left: Vec<i32> = fields.required_line("left_child", count)?;
    let right: Vec<i32> = fields.required_line("right_child", count)?;
    let decisions: Vec<u8> = fields.line("decision_type", count)?.unwrap_or_else(|| vec![0; count]);
    let reals = |name| -> Result<Vec<f64>> { Ok(fields.line(name, count)?.unwrap_or_else(|| vec![0.0; count])) };
    let (gains, values, weights) = (reals("split_gain")?, reals("internal_value")?, reals("internal_weight")?);
    let covers: Vec<u32> = fields.line("internal_count", count)?.unwrap_or_else(|| vec![0; count]);
    let mut splits = Vec::with_capacity(count);
    for position in 0..count {
        let (decision, threshold) = (decisions[position], thresholds[position]);
        let missing = missing_of(decision).ok_or_else(|| {
            let problem = format!("split {position} has {decision}, whose kind of missing value is not known");
            fields.wrong("decision_type", &problem)
        })?;
        let is_categorical = decision & CATEGORICAL != 0;
        let condition = if is_categorical {
            let is_whole = threshold >= 0.0 && threshold.fract() == 0.0;
            let set = if is_whole { categories.get_mut(threshold as usize) } else { None };
            // Each set belongs to one split, so the sets of the tree are never more than the text has.
            Condition::OneOf(set.and_then(Option::take).ok_or_else(|| {
                fields.wrong("threshold", &format!("split {position} has {threshold}, which is no set of its own"))
            })?)
        } else {
            Condition::AtMost(snapped(threshold))
        };
        splits.push(Split {
            feature: features[position],
            condition,
            // NaN is in no set of categories, whatever the bits say.
            missing: if is_categorical { Missing::Nan } else { missing },
            missing_left: !is_categorical && decision & DEFAULT_LEFT != 0,
            left: child_of(left[position]),
            right: child_of(right[position]),
            gain: finite(gains[position]),
            value: finite(values[position]),
            weight: finite(weights[position]),
            cover: covers[position].into(),
        });
    }
    Ok(splits)
}

/// The sets of categories, to be taken by their splits.
fn categories(fields: &Fields<'_>) -> Result<Vec<Option<Vec<u32>>>> {
    let count: usize = fields.number("num_cat")?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let boundaries: Vec<usize> = fields.required_line("cat_boundaries", count.saturating_add(1))?;
    let words: Vec<u32> = fields.required_line("cat_threshold", boundaries.last().copied().unwrap_or_default())?;
    let bad = || fields.wrong("cat_boundaries", "they do not ascend from 0");
    if boundaries.first() != Some(&0) {
        return Err(bad());
    }
    let sets = boundaries.windows(2).map(|pair| {
        let set = words.get(pair[0]..pair[1]).ok_or_else(bad)?;
        if set.len() > MAX_WORDS {
            return Err(fields.wrong("cat_boundaries", "a set has more than 2147483648 categories"));
        }
        Ok(Some(set.to_vec()))
    });
    sets.collect()
}
