//! The kernels in plain Rust: what every other one must equal.

// Compiled once more with the instructions of `arch`, which works only where it is inlined.
#![allow(clippy::inline_always)]

use std::ops::Range;

use super::walk::{COLUMN, DISTANCE, MISSING_RIGHT, Node, Walk};
use super::words::{GROUPS, LEAVES, Word, Words};
use super::{LANES, Sum};

/// The bits that are left in a word, for each row of a group, when its questions about numbers have been asked.
#[inline(always)]
pub(super) fn bits(words: &Words, word: &Word, block: &[f32], groups: usize, group: usize) -> [u32; LANES] {
    let mut bits = [word.leaves; LANES];
    let lanes = |slot: u32| &block[(slot as usize * groups + group) * LANES..][..LANES];
    for question in &words.questions[word.missing_left.clone()] {
        for (bits, &value) in bits.iter_mut().zip(lanes(question.slot)) {
            let is_above = u32::from(value > question.threshold).wrapping_neg();
            *bits &= !(is_above & question.left);
        }
    }
    for question in &words.questions[word.missing_right.clone()] {
        for (bits, &value) in bits.iter_mut().zip(lanes(question.slot)) {
            let is_below = u32::from(value <= question.threshold).wrapping_neg();
            *bits &= is_below | !question.left;
        }
    }
    bits
}

#[inline(always)]
pub(super) fn add_up<S: Sum>(words: &Words, range: Range<usize>, block: &[f32], groups: usize, sums: &mut [S]) {
    let mut is_found = [[false; LANES]; GROUPS];
    for position in range {
        let word = &words.all[position];
        let values = &S::values(words)[position * LEAVES..][..LEAVES];
        for (group, (is_found, sums)) in is_found.iter_mut().zip(sums.chunks_exact_mut(LANES)).enumerate() {
            let bits = bits(words, word, block, groups, group);
            for ((&bits, is_found), sum) in bits.iter().zip(is_found).zip(sums) {
                if bits != 0 && !*is_found {
                    *sum += values[bits.leading_zeros() as usize];
                }
                *is_found = word.continues && (*is_found || bits != 0);
            }
        }
    }
}

/// Walks 16 trees at a time down.
pub(super) fn walk(walk: &Walk, row: &[f32], leaves: &mut [[u32; LANES]]) {
    for (&roots, leaves) in walk.roots.iter().zip(leaves) {
        let mut at = roots;
        let mut moves = u32::MAX;
        while moves != 0 {
            moves = 0;
            for at in &mut at {
                let Node { below, threshold } = walk.nodes[*at as usize];
                let value = row[(below >> COLUMN) as usize];
                let is_missing_right = u32::from(value.is_nan()) & u32::from(below & MISSING_RIGHT != 0);
                let goes_right = u32::from(value > f32::from_bits(threshold)) | is_missing_right;
                *at += (below & DISTANCE) + goes_right;
                moves |= below & DISTANCE;
            }
        }
        *leaves = at.map(|at| walk.nodes[at as usize].threshold);
    }
}
