//! LightGBM's words for a node, in the terms of [`Tree`](crate::model::Tree).

use crate::model::{Child, Missing, ZERO};

/// Bit of `decision_type`: the threshold is a set of categories.
pub(super) const CATEGORICAL: u8 = 1;
/// Bit of `decision_type`: missing values go left.
pub(super) const DEFAULT_LEFT: u8 = 2;
/// From this bit of `decision_type` on stands the kind of missing value.
pub(super) const MISSING_SHIFT: u8 = 2;

/// Words of the largest set: LightGBM casts a category to a signed 32-bit number.
pub(super) const MAX_WORDS: usize = 1 << 26;

/// A child: from 0 on a split, below 0 the complement of a leaf.
pub(super) fn child_of(number: i32) -> Child {
    if number < 0 { Child::Leaf((!number).unsigned_abs()) } else { Child::Split(number.unsigned_abs()) }
}

/// The kind of missing value of a `decision_type`.
pub(super) fn missing_of(decision_type: u8) -> Option<Missing> {
    match decision_type >> MISSING_SHIFT {
        0 => Some(Missing::None),
        1 => Some(Missing::Zero),
        2 => Some(Missing::Nan),
        _ => None,
    }
}

/// The threshold that does to a value what LightGBM's threshold does to 0 for every value within [`ZERO`] of 0: LightGBM
/// reads those as 0 when it predicts.
pub(super) fn snapped(threshold: f64) -> f64 {
    let zero = f64::from(ZERO);
    if (0.0..zero).contains(&threshold) {
        zero
    } else if (-zero..0.0).contains(&threshold) {
        (-zero).next_down()
    } else {
        threshold
    }
}

/// The number, or 0 where it says nothing: of gains, weights and values of inner nodes, on which no score depends.
pub(super) fn finite(number: f64) -> f64 {
    if number.is_finite() { number } else { 0.0 }
}
