//! Writing the text format.

use std::borrow::Cow;
use std::fmt::{Display, Write};

use super::nodes::{CATEGORICAL, DEFAULT_LEFT, MAX_WORDS, MISSING_SHIFT, finite, snapped};
use super::objective::objective_of;
use crate::error::{Error, Result};
use crate::model::{Arithmetic, Child, Condition, EnsembleParts, Leaf, LinearLeaf, Missing, Split, Tree};

pub(super) fn write(parts: &EnsembleParts) -> Result<String> {
    if parts.arithmetic == Arithmetic::F32 {
        return unsupported("sums of 32 bits, which LightGBM makes in 64");
    }
    let trees = trees_with_base(parts)?;
    if parts.average && trees.is_empty() {
        return unsupported("an average of no trees");
    }
    let names = names(parts)?;
    let blocks = trees.iter().enumerate().map(|(number, tree)| block(number, tree)).collect::<Result<Vec<String>>>()?;

    let mut text = String::from("tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n");
    line(&mut text, "max_feature_idx", parts.columns - 1);
    line(&mut text, "objective", objective_of(parts.link)?);
    if parts.average {
        text.push_str("average_output\n");
    }
    line(&mut text, "feature_names", names.join(" "));
    line(&mut text, "feature_infos", joined(infos(parts.columns, &trees)));
    line(&mut text, "tree_sizes", joined(blocks.iter().map(String::len)));
    text.push('\n');
    text.extend(blocks);
    text.push_str("end of trees\n\nfeature_importances:\n");
    for (column, count) in importances(parts.columns, &trees) {
        line(&mut text, &names[column], count);
    }
    Ok(text)
}

/// The trees such that their sum starts with 0. `base + first + …` and `(base + first) + …` are the same sum.
fn trees_with_base(parts: &EnsembleParts) -> Result<Cow<'_, [Tree]>> {
    let base = parts.base;
    if base == 0.0 {
        return Ok(Cow::Borrowed(&parts.trees));
    }
    let mut trees = parts.trees.clone();
    match trees.first_mut() {
        Some(first) if first.leaves.iter().all(|leaf| leaf.linear.is_none()) => {
            first.leaves.iter_mut().for_each(|leaf| leaf.value += base);
            first.splits.iter_mut().for_each(|split| split.value += base);
            if first.leaves.iter().any(|leaf| !leaf.value.is_finite()) {
                return unsupported(format!("the base {base}, with which a leaf is no longer finite"));
            }
        }
        _ if parts.average => return unsupported(format!("the base {base} before an average of linear leaves")),
        _ => trees.insert(0, Tree::constant(base)),
    }
    Ok(Cow::Owned(trees))
}

/// One a column, as LightGBM takes them.
fn names(parts: &EnsembleParts) -> Result<Cow<'_, [String]>> {
    if parts.names.is_empty() {
        return Ok((0..parts.columns).map(|column| format!("Column_{column}")).collect());
    }
    let is_bad = |name: &&String| {
        let separates = |char: char| char.is_whitespace() || char.is_control();
        name.is_empty() || name.contains(separates) || name.starts_with('=') || name.ends_with('=')
    };
    match parts.names.iter().find(is_bad) {
        Some(name) => unsupported(format!(
            "the feature name {name:?}; LightGBM takes names that are not empty, have no white space and no `=` at an end"
        )),
        None => Ok(Cow::Borrowed(&parts.names)),
    }
}

/// What LightGBM says about the values of each column in the training, as far as the trees know them.
fn infos(columns: usize, trees: &[Tree]) -> Vec<String> {
    let mut ranges: Vec<Option<(f64, f64)>> = vec![None; columns];
    let mut sets: Vec<Vec<u32>> = vec![Vec::new(); columns];
    for split in trees.iter().flat_map(|tree| &tree.splits) {
        let column = split.feature as usize;
        match &split.condition {
            Condition::AtMost(threshold) => {
                let threshold = threshold.clamp(f64::MIN, f64::MAX);
                let (low, high) = ranges[column].unwrap_or((threshold, threshold));
                ranges[column] = Some((low.min(threshold), high.max(threshold)));
            }
            Condition::OneOf(words) => {
                let set = &mut sets[column];
                set.resize(set.len().max(words.len()), 0);
                set.iter_mut().zip(words).for_each(|(union, word)| *union |= word);
            }
        }
    }
    let info = |(range, set): (&Option<(f64, f64)>, &Vec<u32>)| {
        let categories: Vec<String> = categories(set).map(|category| category.to_string()).collect();
        match range {
            Some((low, high)) => format!("[{low:?}:{high:?}]"),
            None if categories.is_empty() => "none".to_owned(),
            None => categories.join(":"),
        }
    };
    ranges.iter().zip(&sets).map(info).collect()
}

fn categories(words: &[u32]) -> impl Iterator<Item = usize> {
    let bits = |(place, word): (usize, &u32)| {
        let word = *word;
        (0..32).filter(move |bit| word >> bit & 1 == 1).map(move |bit| place * 32 + bit)
    };
    words.iter().enumerate().flat_map(bits)
}

/// Columns and the number of their splits, the most used first.
fn importances(columns: usize, trees: &[Tree]) -> Vec<(usize, usize)> {
    let mut counts = vec![0; columns];
    trees.iter().flat_map(|tree| &tree.splits).for_each(|split| counts[split.feature as usize] += 1);
    let mut counts: Vec<(usize, usize)> = counts.into_iter().enumerate().filter(|(_, count)| *count > 0).collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

/// The lines of a tree, the empty ones after it included.
fn block(number: usize, tree: &Tree) -> Result<String> {
    let Tree { splits, leaves } = tree;
    let conditions = conditions(number, splits)?;
    let mut text = String::new();
    line(&mut text, "Tree", number);
    line(&mut text, "num_leaves", leaves.len());
    line(&mut text, "num_cat", conditions.boundaries.len() - 1);
    line(&mut text, "split_feature", joined(splits.iter().map(|split| split.feature)));
    line(&mut text, "split_gain", exact(splits.iter().map(|split| finite(split.gain))));
    line(&mut text, "threshold", exact(conditions.thresholds));
    line(&mut text, "decision_type", joined(conditions.decisions));
    line(&mut text, "left_child", joined(splits.iter().map(|split| number_of(split.left))));
    line(&mut text, "right_child", joined(splits.iter().map(|split| number_of(split.right))));
    line(&mut text, "leaf_value", exact(leaves.iter().map(|leaf| leaf.value)));
    line(&mut text, "leaf_weight", exact(leaves.iter().map(|leaf| finite(leaf.weight))));
    line(&mut text, "leaf_count", joined(rows(leaves.iter().map(|leaf| leaf.cover))?));
    line(&mut text, "internal_value", exact(splits.iter().map(|split| finite(split.value))));
    line(&mut text, "internal_weight", exact(splits.iter().map(|split| finite(split.weight))));
    line(&mut text, "internal_count", joined(rows(splits.iter().map(|split| split.cover))?));
    if conditions.boundaries.len() > 1 {
        line(&mut text, "cat_boundaries", joined(conditions.boundaries));
        line(&mut text, "cat_threshold", joined(conditions.words));
    }
    let is_linear = leaves.iter().any(|leaf| leaf.linear.is_some());
    line(&mut text, "is_linear", u8::from(is_linear));
    if is_linear {
        write_linear(&mut text, tree)?;
    }
    text.push_str("shrinkage=1\n\n\n");
    Ok(text)
}

/// The linear models of the leaves: a leaf without one has a constant.
fn write_linear(text: &mut String, tree: &Tree) -> Result<()> {
    let constant = |leaf: &Leaf| LinearLeaf { constant: leaf.value, terms: Vec::new() };
    let of_leaf = |leaf: &Leaf| leaf.linear.clone().unwrap_or_else(|| constant(leaf));
    let models: Vec<LinearLeaf> = tree.leaves.iter().map(of_leaf).collect();
    let terms = || models.iter().flat_map(|model| model.terms.iter().copied());
    if models.iter().map(|model| model.constant).chain(terms().map(|(_, factor)| factor)).any(f64::is_subnormal) {
        return unsupported("a linear leaf with a number closer to 0 than 2.2e-308, which LightGBM does not read");
    }
    line(text, "leaf_const", exact(models.iter().map(|model| model.constant)));
    line(text, "num_features", joined(models.iter().map(|model| model.terms.len())));
    line(text, "leaf_features", joined(terms().map(|(column, _)| column)));
    line(text, "leaf_coeff", exact(terms().map(|(_, factor)| factor)));
    Ok(())
}

/// The questions of the splits of a tree, as LightGBM keeps them: the threshold of a set of categories is its number.
#[derive(Default)]
struct Conditions {
    thresholds: Vec<f64>,
    decisions: Vec<u8>,
    boundaries: Vec<usize>,
    words: Vec<u32>,
}

fn conditions(tree: usize, splits: &[Split]) -> Result<Conditions> {
    let mut all = Conditions { boundaries: vec![0], ..Conditions::default() };
    for (position, split) in splits.iter().enumerate() {
        let refused = |what: &str| unsupported(format!("at split {position} of tree {tree} {what}"));
        let missing = match split.missing {
            Missing::None => 0,
            Missing::Zero => 1 << MISSING_SHIFT,
            Missing::Nan => 2 << MISSING_SHIFT,
        };
        match &split.condition {
            Condition::AtMost(threshold) => {
                let threshold_of_lightgbm = snapped(*threshold);
                if threshold_of_lightgbm != *threshold && split.missing != Missing::Zero {
                    return refused(&format!(
                        "the threshold {threshold:?}; LightGBM reads values that close to 0 as 0"
                    ));
                }
                all.thresholds.push(threshold_of_lightgbm);
                all.decisions.push(missing | if split.missing_left { DEFAULT_LEFT } else { 0 });
            }
            Condition::OneOf(words) => {
                if split.goes_left(f32::NAN) || split.goes_left(0.0) != split.condition.holds(0.0) {
                    return refused("a missing value sent to a set of categories; LightGBM sends it to the right");
                }
                if words.len() > MAX_WORDS {
                    return refused("a category above 2147483647");
                }
                all.thresholds.push((all.boundaries.len() - 1) as f64);
                all.decisions.push(CATEGORICAL | 2 << MISSING_SHIFT);
                all.words.extend(words);
                all.boundaries.push(all.words.len());
            }
        }
    }
    Ok(all)
}

fn number_of(child: Child) -> i64 {
    match child {
        Child::Split(position) => position.into(),
        Child::Leaf(position) => !i64::from(position),
    }
}

/// Covers in whole rows; what has a cover has at least one row, since LightGBM divides by them.
fn rows(covers: impl Iterator<Item = f64>) -> Result<Vec<i32>> {
    let row_count = |cover: f64| {
        let count = if cover > 0.0 { cover.round().max(1.0) } else { 0.0 };
        if count > f64::from(i32::MAX) {
            return unsupported(format!("a node with a cover of {cover:?}, and LightGBM counts to {}", i32::MAX));
        }
        Ok(count as i32)
    };
    covers.map(row_count).collect()
}

/// Writing to a `String` does not fail.
fn line(text: &mut String, name: &str, value: impl Display) {
    let _ = writeln!(text, "{name}={value}");
}

fn joined<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let mut text = String::new();
    for item in items {
        let separator = if text.is_empty() { "" } else { " " };
        let _ = write!(text, "{separator}{item}");
    }
    text
}

/// The shortest decimals that read as the same numbers.
fn exact(numbers: impl IntoIterator<Item = f64>) -> String {
    joined(numbers.into_iter().map(|number| format!("{number:?}")))
}

fn unsupported<T>(what: impl Into<String>) -> Result<T> {
    Err(Error::Unsupported(what.into()))
}
