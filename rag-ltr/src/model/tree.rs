//! One regression tree, whoever grew it.

use serde::{Deserialize, Serialize};

/// Numbers as close to zero as this count as zero where [`Missing::Zero`] says so (LightGBM's `kZeroThreshold`).
pub const ZERO: f32 = 1e-35;

/// A regression tree: its root is the first split or, where there is none, the first leaf.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tree {
    /// The inner nodes.
    pub splits: Vec<Split>,
    /// The leaves: one more than there are splits.
    pub leaves: Vec<Leaf>,
}

/// Where one side of a split leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Child {
    /// To a position in [`Tree::splits`].
    Split(u32),
    /// To a position in [`Tree::leaves`].
    Leaf(u32),
}

/// An inner node: one question about one feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Column of the feature.
    pub feature: u32,
    /// Who goes left.
    pub condition: Condition,
    /// What counts as a missing value.
    pub missing: Missing,
    /// Whether a missing value goes left.
    pub missing_left: bool,
    /// Where a row goes that meets the condition.
    pub left: Child,
    /// Where a row goes that does not.
    pub right: Child,
    /// How much the split improved the objective of the training; 0 where the file does not say.
    pub gain: f64,
    /// What the node would answer as a leaf; 0 where the file does not say.
    pub value: f64,
    /// Sum of the second derivatives of the training rows that came here.
    pub weight: f64,
    /// How much of the training came here, in the unit that the library of the model explains with: rows for LightGBM,
    /// second derivatives for XGBoost.
    pub cover: f64,
}

/// The question of a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The value is this or less. Infinity parts all numbers from NaN; in a model file it is the string `"inf"`, and
    /// minus infinity `"-inf"`.
    AtMost(#[serde(with = "super::threshold")] f64),
    /// The whole part of the value is one of these categories, kept as the bits of 32-bit words, as LightGBM has them.
    /// The whole part of −0.5 is 0. Numbers up to −1, NaN and what the words have no bit for are none of them.
    OneOf(Vec<u32>),
    /// The same, as XGBoost has it: a negative number is none of them, nor is −0.5.
    OneOfFromZero(Vec<u32>),
}

/// What counts as a missing value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// Nothing: NaN reads as 0.
    None,
    /// NaN, and whatever is within [`ZERO`] of 0.
    Zero,
    /// NaN.
    Nan,
}

/// A leaf.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    /// What it adds to the score.
    pub value: f64,
    /// As [`Split::weight`].
    pub weight: f64,
    /// As [`Split::cover`].
    pub cover: f64,
    /// A linear model instead of the value, for rows that have all of its features.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linear: Option<LinearLeaf>,
}

/// The linear model of a leaf (Shi, Li & Li 2019, as LightGBM grows them). Values within [`ZERO`] of 0 count as 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearLeaf {
    /// Where the sum starts.
    pub constant: f64,
    /// Columns and their coefficients, added in order.
    pub terms: Vec<(u32, f64)>,
}

impl Condition {
    /// Whether a value that is not missing meets the condition.
    pub fn holds(&self, value: f32) -> bool {
        match self {
            Condition::AtMost(threshold) => f64::from(value) <= *threshold,
            Condition::OneOf(words) => value > -1.0 && is_member(value as u64, words),
            Condition::OneOfFromZero(words) => value >= 0.0 && is_member(value as u64, words),
        }
    }
}

fn is_member(category: u64, words: &[u32]) -> bool {
    let word = usize::try_from(category / 32).ok().and_then(|word| words.get(word));
    word.is_some_and(|word| word >> (category % 32) & 1 == 1)
}

impl Split {
    /// Whether a row with this value goes left.
    pub fn goes_left(&self, value: f32) -> bool {
        let is_missing = match self.missing {
            Missing::None => false,
            Missing::Zero => value.is_nan() || value.abs() <= ZERO,
            Missing::Nan => value.is_nan(),
        };
        if is_missing {
            return self.missing_left;
        }
        self.condition.holds(if value.is_nan() { 0.0 } else { value })
    }

    /// Where a row goes.
    pub fn next(&self, row: &[f32]) -> Child {
        if self.goes_left(row[self.feature as usize]) { self.left } else { self.right }
    }
}

impl Leaf {
    /// What the leaf adds for a row.
    pub fn output(&self, row: &[f32]) -> f64 {
        let Some(linear) = &self.linear else { return self.value };
        let mut sum = linear.constant;
        for &(column, coefficient) in &linear.terms {
            let value = row[column as usize];
            if value.is_nan() {
                return self.value;
            }
            let value = if value.abs() <= ZERO { 0.0 } else { f64::from(value) };
            sum += value * coefficient;
        }
        sum
    }
}

impl Tree {
    /// A tree that answers the same for every row.
    pub fn constant(value: f64) -> Tree {
        Tree { splits: Vec::new(), leaves: vec![Leaf { value, ..Leaf::default() }] }
    }

    /// Where every row starts.
    pub fn root(&self) -> Child {
        if self.splits.is_empty() { Child::Leaf(0) } else { Child::Split(0) }
    }

    /// The leaf that a row ends in.
    pub fn leaf_of(&self, row: &[f32]) -> usize {
        let mut at = self.root();
        loop {
            match at {
                Child::Split(split) => at = self.splits[split as usize].next(row),
                Child::Leaf(leaf) => return leaf as usize,
            }
        }
    }

    /// What the tree adds for a row.
    pub fn output(&self, row: &[f32]) -> f64 {
        self.leaves[self.leaf_of(row)].output(row)
    }
}
