//! One row down many trees, 16 at a time, a step in each in turn.
//!
//! There is nothing to mispredict: the sides of a split are neighbours, so that a comparison is added to where the left
//! one is. Trees that are about as deep stand together, so that few lanes wait at a leaf for the others; what they
//! answer is added up in the order of the model all the same.

use super::words::{LEAVES, MOST_LEAVES, Words, at_most, missing_goes_left, zero_is_missing};
use super::{LANES, Sum};
use crate::matrix::Rows;
use crate::model::{Child, Condition, EnsembleParts, Tree, ZERO};

/// Bits of [`Node::below`] that say how many nodes further the left side is; more than a tree has. 0 for a leaf, which
/// leads to itself.
pub(super) const DISTANCE: u32 = (1 << DISTANCE_BITS) - 1;
const DISTANCE_BITS: u32 = (MOST_LEAVES * 2).ilog2();

/// The bit of [`Node::below`] that says that who has no value goes right.
pub(super) const MISSING_RIGHT: u32 = 1 << DISTANCE_BITS;

/// [`Node::below`] shifted by this is the column.
pub(super) const COLUMN: u32 = DISTANCE_BITS + 1;

/// A split or a leaf.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Node {
    /// Where to go from here, and by which column.
    pub below: u32,
    /// The bits of a float: whoever is above goes right, which is one node further than left. For a leaf it is not a
    /// number, so that nothing is above, and the [`LEAF`] bits are the leaf's position in its tree.
    pub threshold: u32,
}

/// Bits of a float that is not a number which may be anything.
const LEAF: u32 = (1 << 22) - 1;

/// Where the answer of a tree is found.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The lane, counted over all groups.
    lane: u32,
    /// The first leaf in [`Sum::values`].
    first: u32,
}

/// The trees as nodes, those of a level after those of the level above.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub nodes: Vec<Node>,
    /// Where 16 trees begin.
    pub roots: Vec<[u32; LANES]>,
    /// Columns that a row has at least.
    pub columns: usize,
    /// For each tree; `None`: asked on its own, since it has categories, linear leaves or nothing to ask, or is huge.
    places: Vec<Option<Place>>,
    /// Columns in which zero counts as missing.
    zero_is_missing: Vec<usize>,
}

/// Walks the trees down with a row; says for each lane the threshold of the leaf.
pub(super) type Kernel = fn(&Walk, &[f32], &mut [[u32; LANES]]);

impl Walk {
    pub(super) fn new(parts: &EnsembleParts, words: &Words) -> Walk {
        let (zero, _) = zero_is_missing(parts);
        let zero_is_missing = (0..parts.columns).filter(|&column| zero[column] == Some(true)).collect();
        let mut walk = Walk { places: vec![None; parts.trees.len()], zero_is_missing, ..Walk::default() };
        let mut walked: Vec<(usize, usize, u32)> = Vec::with_capacity(words.plain.len());
        for &(number, word) in &words.plain {
            let tree = &parts.trees[number];
            let Some(columns) = tree.splits.iter().map(|split| split.feature as usize + 1).max() else { continue };
            let first = u32::try_from(word * LEAVES);
            // Signed numbers of 32 bits are what a kernel finds nodes by.
            let root = i32::try_from(walk.nodes.len() + 2 * tree.leaves.len()).map(|_| walk.nodes.len() as u32);
            let (Ok(first), Ok(root), true) = (first, root, columns <= 1 << (u32::BITS - COLUMN)) else { continue };
            let depth = walk.add(tree, words.order(word, tree));
            walk.columns = walk.columns.max(columns);
            walk.places[number] = Some(Place { lane: 0, first });
            walked.push((depth, number, root));
        }
        walked.sort_unstable();
        for (group, trees) in walked.chunks(LANES).enumerate() {
            let mut roots = [trees[0].2; LANES]; // a lane without a tree walks where the first does
            for (lane, &(_, number, root)) in trees.iter().enumerate() {
                roots[lane] = root;
                if let Some(place) = &mut walk.places[number] {
                    place.lane = (group * LANES + lane) as u32;
                }
            }
            walk.roots.push(roots);
        }
        walk
    }

    /// Adds the nodes of a tree, whose leaves stand in this order; says how deep it is.
    fn add(&mut self, tree: &Tree, order: &[u32]) -> usize {
        let mut positions = vec![0; order.len()];
        for (position, &leaf) in (0..).zip(order) {
            positions[leaf as usize] = position;
        }
        let (mut level, mut depth) = (vec![tree.root()], 0);
        while !level.is_empty() {
            let mut below = Vec::new();
            for (at, child) in level.iter().enumerate() {
                self.nodes.push(match *child {
                    Child::Leaf(leaf) => {
                        Node { below: 0, threshold: f32::NAN.to_bits() & !LEAF | positions[leaf as usize] }
                    }
                    Child::Split(split) => {
                        let split = &tree.splits[split as usize];
                        let Condition::AtMost(threshold) = split.condition else { continue };
                        let distance = (level.len() - at + below.len()) as u32;
                        let missing = if missing_goes_left(split) { 0 } else { MISSING_RIGHT };
                        below.extend([split.left, split.right]);
                        Node {
                            below: split.feature << COLUMN | missing | distance,
                            threshold: at_most(threshold).to_bits(),
                        }
                    }
                });
            }
            depth += 1;
            level = below;
        }
        depth
    }

    /// Adds to the sums of rows, one after the other, what all trees answer.
    pub(super) fn add_up<S: Sum>(
        &self,
        words: &Words,
        (rows, trees): (Rows<'_>, &[Tree]),
        sums: &mut [S],
        kernel: Kernel,
    ) {
        let (mut values, mut leaves) = (Vec::new(), vec![[0; LANES]; self.roots.len()]);
        for (row, sum) in rows.iter().zip(sums) {
            kernel(self, self.with_missing(row, &mut values), &mut leaves);
            let mut total = *sum; // in a register: each addition waits for the one before
            for (tree, place) in trees.iter().zip(&self.places) {
                total += match place {
                    Some(place) => {
                        let leaf = leaves.as_flattened()[place.lane as usize] & LEAF;
                        S::values(words)[(place.first + leaf) as usize]
                    }
                    None => S::of(tree.output(row)),
                };
            }
            *sum = total;
        }
    }

    /// The row, or a copy in which zero is missing where it counts as that.
    fn with_missing<'a>(&self, row: &'a [f32], values: &'a mut Vec<f32>) -> &'a [f32] {
        if self.zero_is_missing.is_empty() {
            return row;
        }
        values.clear();
        values.extend_from_slice(row);
        for &column in self.zero_is_missing.iter().filter(|&&column| row[column].abs() <= ZERO) {
            values[column] = f32::NAN;
        }
        values
    }
}
