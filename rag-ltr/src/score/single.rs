//! One row through many trees: 16 words of leaves lie in the lanes of a vector, and a slot asks one question of each.
//!
//! The order of the questions of a word is free, so those of a slot are chosen to ask for columns of the same 32: their
//! values come out of two registers instead of out of memory. The order of the words is free as well: words that ask
//! about as much of the same columns stand together, so that few lanes have nothing to ask.

use std::ops::Range;

use super::words::{LEAVES, Question, Stretch, Words};
use super::{LANES, Sum};
use crate::matrix::Rows;
use crate::model::Tree;

/// Columns that a slot may ask for.
pub(super) const COLUMNS: usize = 32;

/// One question to each of 16 words.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    /// Whoever is above goes right.
    pub thresholds: [f32; LANES],
    /// The leaves that are kept for who goes right.
    pub keeps: [u32; LANES],
    /// Which of the segment's columns is asked for.
    pub columns: [u8; LANES],
    /// A bit for each question that a missing value answers by going left.
    pub missing_left: u16,
}

/// Slots that ask for the same columns.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    /// The columns, counted in [`COLUMNS`].
    pub columns: usize,
    pub slots: Range<usize>,
}

/// All words, 16 by 16.
#[derive(Debug, Default)]
pub(super) struct Bundles {
    /// For each 16 words the segments, and the leaves that there are.
    pub all: Vec<(Range<usize>, [u32; LANES])>,
    /// Where the bits of each of [`Words::all`] are found.
    places: Vec<u32>,
    pub segments: Vec<Segment>,
    pub slots: Vec<Slot>,
}

/// Asks the questions about one row's values (slot of [`Words`] after slot, filled up to whole [`COLUMNS`]); the bits
/// that are left go to one number a word. The flag says whether any value is missing.
pub(super) type Kernel = fn(&Bundles, &[f32], bool, &mut [u32]);

impl Bundles {
    pub(super) fn new(words: &Words) -> Bundles {
        let mut bundles = Bundles { places: vec![0; words.all.len()], ..Bundles::default() };
        let segment_of = |(question, _): &(Question, bool)| question.slot as usize / COLUMNS;
        let of_word = |word| {
            let mut questions: Vec<_> = words.questions(word).collect();
            questions.sort_by_key(segment_of);
            questions
        };
        let mut by_size: Vec<(usize, Vec<_>)> = words.all.iter().map(of_word).enumerate().collect();
        by_size.sort_by_cached_key(|(_, questions)| {
            let of_segment = |segment| questions.iter().filter(|question| segment_of(question) == segment).count();
            (0..words.width().div_ceil(COLUMNS)).map(of_segment).collect::<Vec<_>>()
        });
        for chunk in by_size.chunks(LANES) {
            let first = bundles.segments.len();
            let questions: Vec<&Vec<_>> = chunk.iter().map(|(_, questions)| questions).collect();
            let mut segments: Vec<usize> = questions.iter().copied().flatten().map(segment_of).collect();
            segments.sort_unstable();
            segments.dedup();
            for columns in segments {
                let of_segment = |all: &'_ Vec<(Question, bool)>| {
                    let begin = all.partition_point(|question| segment_of(question) < columns);
                    begin..all.partition_point(|question| segment_of(question) <= columns)
                };
                let questions: Vec<&[_]> = questions.iter().map(|all| &all[of_segment(all)]).collect();
                let most = questions.iter().map(|questions| questions.len()).max().unwrap_or(0);
                let begin = bundles.slots.len();
                bundles.slots.extend((0..most).map(|position| slot(&questions, position)));
                bundles.segments.push(Segment { columns, slots: begin..bundles.slots.len() });
            }
            let mut leaves = [0; LANES];
            for (lane, (word, _)) in chunk.iter().enumerate() {
                leaves[lane] = words.all[*word].leaves;
                bundles.places[*word] = (bundles.all.len() * LANES + lane) as u32;
            }
            bundles.all.push((first..bundles.segments.len(), leaves));
        }
        bundles
    }
}

/// Adds to the sums of rows, one after the other, what all trees answer.
pub(super) fn add_up<S: Sum>(
    (words, bundles): (&Words, &Bundles),
    (rows, trees): (Rows<'_>, &[Tree]),
    sums: &mut [S],
    kernel: Kernel,
) {
    let (mut values, mut bits) = (vec![0.0; words.width().next_multiple_of(COLUMNS)], vec![0; words.all.len()]);
    for (position, sum) in sums.iter_mut().enumerate() {
        words.transpose(rows.slice(position..position + 1), &mut values, 1);
        let has_missing = values.iter().any(|value| value.is_nan());
        kernel(bundles, &values, has_missing, &mut bits);
        let mut total = *sum; // in a register: each addition waits for the one before
        for stretch in words.steps.iter().flat_map(|step| &step.stretches) {
            match stretch {
                Stretch::Plain(range) => add_values(words, range.clone(), (&bits, &bundles.places), &mut total),
                Stretch::Special(tree, _) | Stretch::Walked(tree) => {
                    total += S::of(trees[*tree].output(rows.row(position)));
                }
            }
        }
        *sum = total;
    }
}

/// Adds the values of the leaves whose bits are left. A tree of several words has its leaf in the first that has any.
#[inline]
fn add_values<S: Sum>(words: &Words, range: Range<usize>, (bits, places): (&[u32], &[u32]), sum: &mut S) {
    let values = S::values(words);
    let (mut leaf, mut is_found) = (0, false);
    for (position, word) in range.clone().zip(&words.all[range]) {
        let bits = bits[places[position] as usize];
        leaf = if is_found { leaf } else { position * LEAVES + (bits.leading_zeros() as usize & (LEAVES - 1)) };
        is_found |= bits != 0;
        if !word.continues {
            *sum += values[leaf];
            is_found = false;
        }
    }
}

/// The questions at a position; who has none there is asked what rules nothing out.
fn slot(questions: &[&[(Question, bool)]], position: usize) -> Slot {
    let mut slot =
        Slot { thresholds: [f32::INFINITY; LANES], keeps: [u32::MAX; LANES], columns: [0; LANES], missing_left: 0 };
    for (lane, questions) in questions.iter().enumerate() {
        let Some(&(question, missing_left)) = questions.get(position) else { continue };
        slot.thresholds[lane] = question.threshold;
        slot.keeps[lane] = !question.left;
        slot.columns[lane] = (question.slot as usize % COLUMNS) as u8;
        slot.missing_left |= u16::from(missing_left) << lane;
    }
    slot
}
