//! Trees as words of leaves: 32 leaves, from left to right, in the bits of a word, the leftmost in the highest.
//!
//! A row that does not go left at a split cannot end in the leaves under the split's left side: the split clears their
//! bits. When all splits have been asked, the highest bit that is left is the row's leaf. Every split has the same to
//! do, so their order does not matter, and the rows of a block are asked together.

use std::cmp::Reverse;
use std::ops::Range;

use super::portable;
use super::{LANES, Sum, arch};
use crate::matrix::Rows;
use crate::model::{Arithmetic, Child, Condition, EnsembleParts, Missing, Split, Tree, ZERO};

/// Leaves of a word.
pub(super) const LEAVES: usize = 32;

/// Most groups of [`LANES`] rows that go through the trees together: what a question costs to read is shared by them.
pub(super) const GROUPS: usize = 4;

/// Most leaves of a tree that is kept as words: a row asks all questions of a tree, and a split may stand in every word.
pub(super) const MOST_LEAVES: usize = 1024;

/// In how many parts the trees are asked where rows may leave early.
const STEPS: usize = 8;

/// Most floats of a block, so that it stays in the nearest cache.
const BLOCK: usize = 6 << 10;

/// A question about a number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    /// Slot of the column among the used ones, of which those asked for most often come first.
    pub slot: u32,
    /// Whoever is above goes right.
    pub threshold: f32,
    /// The leaves of this word that are on the left.
    pub left: u32,
}

/// Up to 32 neighbouring leaves of a tree, and the splits that have some of them on their left.
#[derive(Debug, Clone)]
pub(super) struct Word {
    /// Questions in [`Words::questions`] that a missing value answers by going left.
    pub missing_left: Range<usize>,
    /// And by going right.
    pub missing_right: Range<usize>,
    /// Splits on categories: positions in [`Words::categories`].
    categories: Range<usize>,
    /// A bit for each leaf.
    pub leaves: u32,
    /// Whether the next word has more leaves of the same tree.
    pub continues: bool,
}

/// Trees that are scored in the same way.
#[derive(Debug, Clone)]
pub(super) enum Stretch {
    /// Numbers alone are asked for, and each leaf is a number: words in [`Words::all`].
    Plain(Range<usize>),
    /// A tree with categories or linear leaves, and its words.
    Special(usize, Range<usize>),
    /// A tree that each row walks down: one that is very large, or that reads zero as a missing value in a column in which
    /// another tree does not.
    Walked(usize),
}

/// Some of the trees, in order, and what those after them can add at least and at most.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub stretches: Vec<Stretch>,
    pub least: f64,
    pub most: f64,
    /// The largest that a sum of some of those can be, whatever its sign.
    pub reach: f64,
}

/// A column that some split asks for.
#[derive(Debug, Clone, Copy)]
struct Column {
    number: usize,
    zero_is_missing: bool,
}

/// All trees of an ensemble as words.
#[derive(Debug)]
pub(super) struct Words {
    arithmetic: Arithmetic,
    columns: Vec<Column>,
    pub steps: Vec<Step>,
    pub all: Vec<Word>,
    /// The trees of all [`Stretch::Plain`], each with its first word.
    pub plain: Vec<(usize, usize)>,
    pub questions: Vec<Question>,
    /// Splits of trees, and the leaves of the word on their left.
    categories: Vec<(usize, u32)>,
    /// Positions of the leaves in their trees; [`LEAVES`] for each word.
    leaves: Vec<u32>,
    /// Values of the leaves; [`LEAVES`] for each word. One of the two is empty.
    values_f64: Vec<f64>,
    values_f32: Vec<f32>,
}

/// Adds what the trees of some words answer: the words, those of the trees, the block (slot after slot, each
/// `LANES · groups` floats), the number of groups, and the sums, one a row.
pub(super) type Kernel<S> = fn(&Words, Range<usize>, &[f32], usize, &mut [S]);

impl Sum for f64 {
    const EPSILON: f64 = f64::EPSILON;

    fn of(value: f64) -> f64 {
        value
    }
    fn to_f64(self) -> f64 {
        self
    }
    fn values(words: &Words) -> &[f64] {
        &words.values_f64
    }
    fn kernel() -> Kernel<f64> {
        arch::kernels().map_or(portable::add_up::<f64>, |kernels| kernels.f64)
    }
}

impl Sum for f32 {
    const EPSILON: f64 = f32::EPSILON as f64;

    fn of(value: f64) -> f32 {
        value as f32
    }
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    fn values(words: &Words) -> &[f32] {
        &words.values_f32
    }
    fn kernel() -> Kernel<f32> {
        arch::kernels().map_or(portable::add_up::<f32>, |kernels| kernels.f32)
    }
}

/// The largest `f32` that is not above: `value <= threshold` is the same question for every `f32` value.
pub(super) fn at_most(threshold: f64) -> f32 {
    let near = threshold as f32;
    if f64::from(near) > threshold { near.next_down() } else { near }
}

/// Whether a missing value goes left. NaN that does not count as missing is 0.
pub(super) fn missing_goes_left(split: &Split) -> bool {
    split.goes_left(f32::NAN)
}

/// Columns that splits on numbers ask for, each with whether zero counts as missing in it; and the trees that disagree.
pub(super) fn zero_is_missing(parts: &EnsembleParts) -> (Vec<Option<bool>>, Vec<bool>) {
    let mut columns = vec![None; parts.columns];
    let mut is_odd = vec![false; parts.trees.len()];
    for (tree, is_odd) in parts.trees.iter().zip(&mut is_odd) {
        for split in tree.splits.iter().filter(|split| matches!(split.condition, Condition::AtMost(_))) {
            let zero = split.missing == Missing::Zero;
            *is_odd |= *columns[split.feature as usize].get_or_insert(zero) != zero;
        }
    }
    (columns, is_odd)
}

impl Words {
    pub(super) fn new(parts: &EnsembleParts) -> Words {
        let (zero, is_odd) = zero_is_missing(parts);
        let mut slots = vec![u32::MAX; parts.columns];
        let mut columns = Vec::new();
        let mut uses = vec![0usize; parts.columns];
        for split in parts.trees.iter().flat_map(|tree| &tree.splits) {
            uses[split.feature as usize] += 1;
        }
        let mut numbers: Vec<usize> = (0..parts.columns).collect();
        numbers.sort_by_key(|&number| Reverse(uses[number]));
        for number in numbers {
            if let Some(zero_is_missing) = zero[number] {
                slots[number] = columns.len() as u32;
                columns.push(Column { number, zero_is_missing });
            }
        }
        let mut words = Words {
            arithmetic: parts.arithmetic,
            columns,
            steps: Vec::new(),
            all: Vec::new(),
            plain: Vec::new(),
            questions: Vec::new(),
            categories: Vec::new(),
            leaves: Vec::new(),
            values_f64: Vec::new(),
            values_f32: Vec::new(),
        };
        let per_step = parts.trees.len().div_ceil(STEPS).max(1);
        for (step, trees) in parts.trees.chunks(per_step).enumerate() {
            let mut stretches = Vec::new();
            for (position, tree) in (step * per_step..).zip(trees) {
                if is_odd[position] || tree.leaves.len() > MOST_LEAVES {
                    stretches.push(Stretch::Walked(position));
                    continue;
                }
                let is_special = tree.leaves.iter().any(|leaf| leaf.linear.is_some())
                    || tree.splits.iter().any(|split| !matches!(split.condition, Condition::AtMost(_)));
                let added = words.add(tree, &slots);
                if !is_special {
                    words.plain.push((position, added.start));
                }
                match stretches.last_mut() {
                    _ if is_special => stretches.push(Stretch::Special(position, added)),
                    Some(Stretch::Plain(range)) => range.end = added.end,
                    _ => stretches.push(Stretch::Plain(added)),
                }
            }
            words.steps.push(Step { stretches, least: 0.0, most: 0.0, reach: 0.0 });
        }
        let (mut least, mut most, mut reach) = (0.0, 0.0, 0.0);
        for (step, trees) in words.steps.iter_mut().zip(parts.trees.chunks(per_step)).rev() {
            (step.least, step.most, step.reach) = (least, most, reach);
            for (low, high) in trees.iter().map(range_of) {
                (least, most) = (least + low, most + high);
                reach += f64::max(high, -low);
            }
        }
        words
    }

    /// Columns that are asked for.
    pub(super) fn width(&self) -> usize {
        self.columns.len()
    }

    /// The questions of a word, each with whether a missing value goes left.
    pub(super) fn questions(&self, word: &Word) -> impl Iterator<Item = (Question, bool)> {
        let of = |range: &Range<usize>| self.questions[range.clone()].iter().copied();
        let (left, right) = (of(&word.missing_left), of(&word.missing_right));
        left.map(|question| (question, true)).chain(right.map(|question| (question, false)))
    }

    /// The leaves of a tree from left to right, given its first word.
    pub(super) fn order(&self, word: usize, tree: &Tree) -> &[u32] {
        &self.leaves[word * LEAVES..][..tree.leaves.len()]
    }

    pub(super) fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
    }

    /// Adds the words of a tree.
    fn add(&mut self, tree: &Tree, slots: &[u32]) -> Range<usize> {
        let first = self.all.len();
        let (order, lefts) = from_left_to_right(tree);
        for start in (0..order.len()).step_by(LEAVES) {
            let leaves = &order[start..order.len().min(start + LEAVES)];
            let of_word = |split: usize| bits(&lefts[split], start);
            let concerned = || (0..tree.splits.len()).filter(|&split| of_word(split) != 0);
            let mut questions = |wanted: bool| {
                let begin = self.questions.len();
                for split in concerned() {
                    let Split { feature, condition, .. } = &tree.splits[split];
                    let Condition::AtMost(threshold) = condition else { continue };
                    if missing_goes_left(&tree.splits[split]) == wanted {
                        let slot = slots[*feature as usize];
                        let threshold = at_most(*threshold);
                        self.questions.push(Question { slot, threshold, left: of_word(split) });
                    }
                }
                begin..self.questions.len()
            };
            let (missing_left, missing_right) = (questions(true), questions(false));
            let begin = self.categories.len();
            let is_categorical = |split: &usize| !matches!(tree.splits[*split].condition, Condition::AtMost(_));
            self.categories.extend(concerned().filter(is_categorical).map(|split| (split, of_word(split))));
            self.all.push(Word {
                missing_left,
                missing_right,
                categories: begin..self.categories.len(),
                leaves: u32::MAX << (LEAVES - leaves.len()),
                continues: start + LEAVES < order.len(),
            });
            let padding = LEAVES - leaves.len();
            self.leaves.extend(leaves.iter().copied().chain(std::iter::repeat_n(0, padding)));
            let values = leaves.iter().map(|&leaf| tree.leaves[leaf as usize].value);
            let values = values.chain(std::iter::repeat_n(0.0, padding));
            match self.arithmetic {
                Arithmetic::F64 => self.values_f64.extend(values),
                Arithmetic::F32 => self.values_f32.extend(values.map(|value| value as f32)),
            }
        }
        first..self.all.len()
    }

    /// Adds to the sums of rows what the trees of some steps answer.
    pub(super) fn add_up<S: Sum>(
        &self,
        rows: Rows<'_>,
        trees: &[Tree],
        steps: &[Step],
        sums: &mut [S],
        kernel: Kernel<S>,
    ) {
        let groups = (BLOCK / (self.columns.len().max(1) * LANES)).clamp(1, GROUPS);
        let mut block = vec![0.0; self.columns.len() * LANES * groups];
        let mut lanes = [S::default(); LANES * GROUPS];
        let blocks = (0..rows.len()).step_by(LANES * groups);
        for (start, sums) in blocks.zip(sums.chunks_mut(LANES * groups)) {
            let rows = rows.slice(start..start + sums.len());
            let groups = rows.len().div_ceil(LANES);
            let (block, lanes) = (&mut block[..self.columns.len() * LANES * groups], &mut lanes[..LANES * groups]);
            self.transpose(rows, block, LANES * groups);
            lanes[..sums.len()].copy_from_slice(sums);
            for stretch in steps.iter().flat_map(|step| &step.stretches) {
                match stretch {
                    Stretch::Plain(words) => kernel(self, words.clone(), block, groups, lanes),
                    Stretch::Special(tree, words) => {
                        self.add_special(rows, &trees[*tree], words.clone(), block, groups, lanes);
                    }
                    Stretch::Walked(tree) => {
                        for (row, sum) in rows.iter().zip(lanes.iter_mut()) {
                            *sum += S::of(trees[*tree].output(row));
                        }
                    }
                }
            }
            sums.copy_from_slice(&lanes[..sums.len()]);
        }
    }

    /// Rows to slots: slot after slot, `lanes` floats each.
    pub(super) fn transpose(&self, rows: Rows<'_>, block: &mut [f32], lanes: usize) {
        if self.columns.is_empty() {
            return;
        }
        for (lane, row) in rows.iter().enumerate() {
            for (column, value) in self.columns.iter().zip(block[lane..].iter_mut().step_by(lanes)) {
                *value = row[column.number];
            }
        }
        for (slot, column) in block.chunks_exact_mut(lanes).zip(&self.columns) {
            if column.zero_is_missing {
                for value in slot.iter_mut().filter(|value| value.abs() <= ZERO) {
                    *value = f32::NAN;
                }
            }
        }
    }

    fn add_special<S: Sum>(
        &self,
        rows: Rows<'_>,
        tree: &Tree,
        words: Range<usize>,
        block: &[f32],
        groups: usize,
        sums: &mut [S],
    ) {
        let mut is_found = [false; LANES * GROUPS];
        for position in words {
            let word = &self.all[position];
            for group in 0..groups {
                let mut bits = portable::bits(self, word, block, groups, group);
                let rows = rows.slice((group * LANES).min(rows.len())..((group + 1) * LANES).min(rows.len()));
                for (lane, row) in rows.iter().enumerate() {
                    for &(split, left) in &self.categories[word.categories.clone()] {
                        let split = &tree.splits[split];
                        if !split.goes_left(row[split.feature as usize]) {
                            bits[lane] &= !left;
                        }
                    }
                    let row_of_block = group * LANES + lane;
                    if bits[lane] != 0 && !std::mem::replace(&mut is_found[row_of_block], true) {
                        let leaf = self.leaves[position * LEAVES + bits[lane].leading_zeros() as usize];
                        sums[row_of_block] += S::of(tree.leaves[leaf as usize].output(row));
                    }
                }
            }
        }
    }
}

/// The least and the most that a tree answers.
fn range_of(tree: &Tree) -> (f64, f64) {
    if tree.leaves.iter().any(|leaf| leaf.linear.is_some()) {
        return (f64::NEG_INFINITY, f64::INFINITY);
    }
    let values = || tree.leaves.iter().map(|leaf| leaf.value);
    (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max))
}

/// The bits of leaves `left` in the word that starts at leaf `start`.
fn bits(left: &Range<usize>, start: usize) -> u32 {
    let begin = left.start.clamp(start, start + LEAVES) - start;
    let end = left.end.clamp(start, start + LEAVES) - start;
    let from = |leaf: usize| (((1u64 << LEAVES) - 1) >> leaf) as u32;
    from(begin) & !from(end)
}

/// The leaves from left to right, and for each split which of them, in that order, are on its left.
fn from_left_to_right(tree: &Tree) -> (Vec<u32>, Vec<Range<usize>>) {
    enum Step {
        Into(Child),
        RightOf(usize),
    }
    let mut order = Vec::with_capacity(tree.leaves.len());
    let mut lefts = vec![0..0; tree.splits.len()];
    let mut steps = vec![Step::Into(tree.root())];
    while let Some(step) = steps.pop() {
        match step {
            Step::Into(Child::Leaf(leaf)) => order.push(leaf),
            Step::Into(Child::Split(split)) => {
                lefts[split as usize].start = order.len();
                steps.extend([Step::RightOf(split as usize), Step::Into(tree.splits[split as usize].left)]);
            }
            Step::RightOf(split) => {
                lefts[split].end = order.len();
                steps.push(Step::Into(tree.splits[split].right));
            }
        }
    }
    (order, lefts)
}
