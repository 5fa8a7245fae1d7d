//! One row down the trees, several trees in turn.

use super::Sum;
use super::words::{at_most, missing_goes_left, zero_is_missing};
use crate::matrix::Rows;
use crate::model::{Child, Condition, EnsembleParts, Tree, ZERO};

/// Trees that are walked in turn: enough to hide how long each step takes.
const TOGETHER: usize = 8;

/// Steps after which it is seen whether all have come to a leaf.
const STEPS: usize = 3;

/// A node. Whoever has more than the threshold in the slot goes to `next + 1`, the others, and whoever has no value, to
/// `next`. A leaf leads to itself, since nothing is more than infinity.
#[derive(Debug, Clone, Copy)]
struct Node {
    threshold: f32,
    slot: u16,
    next: u16,
}

/// Up to [`TOGETHER`] trees.
#[derive(Debug, Clone)]
struct Bundle {
    /// Where the nodes of each begin.
    first: [u32; TOGETHER],
    trees: usize,
    /// Steps to the deepest leaf of any.
    depth: usize,
}

#[derive(Debug)]
pub(super) struct Walk {
    /// `None`: too many columns or nodes, categories, linear leaves; walked tree after tree.
    bundles: Option<Vec<Bundle>>,
    nodes: Vec<Node>,
    /// What a node adds where it is a leaf.
    values: Vec<f64>,
    /// Columns in which zero counts as missing.
    zero_is_missing: Vec<usize>,
    /// Floats of the row and its opposite.
    width: usize,
}

impl Walk {
    pub(super) fn new(parts: &EnsembleParts) -> Walk {
        let (zero, is_odd) = zero_is_missing(parts);
        let zero_is_missing = (0..parts.columns).filter(|&column| zero[column] == Some(true)).collect();
        let most_leaves = parts.trees.iter().map(|tree| tree.leaves.len()).max().unwrap_or(0);
        let width = (2 * parts.columns).next_power_of_two();
        let mut walk = Walk { bundles: None, nodes: Vec::new(), values: Vec::new(), zero_is_missing, width };
        let is_plain = |tree: &Tree| {
            tree.leaves.iter().all(|leaf| leaf.linear.is_none())
                && tree.splits.iter().all(|split| matches!(split.condition, Condition::AtMost(_)))
        };
        let fits = width <= 1 << 16 && most_leaves < 1 << 15;
        if !fits || is_odd.contains(&true) || !parts.trees.iter().all(is_plain) {
            return walk;
        }
        let mut bundles = Vec::with_capacity(parts.trees.len().div_ceil(TOGETHER));
        for trees in parts.trees.chunks(TOGETHER) {
            let mut bundle = Bundle { first: [0; TOGETHER], trees: trees.len(), depth: 0 };
            for (first, tree) in bundle.first.iter_mut().zip(trees) {
                *first = walk.nodes.len() as u32;
                bundle.depth = bundle.depth.max(walk.add(tree, parts.columns));
            }
            let filled = bundle.first[0];
            bundle.first[trees.len()..].fill(filled); // walked once more, and not added
            bundles.push(bundle);
        }
        walk.bundles = Some(bundles);
        walk
    }

    /// Adds the nodes of a tree, level by level; says how deep it is.
    fn add(&mut self, tree: &Tree, columns: usize) -> usize {
        let mut level = vec![tree.root()];
        let mut depth = 0;
        let (mut next, mut below) = (1, Vec::new());
        while !level.is_empty() {
            for (at, child) in level.iter().enumerate() {
                match *child {
                    Child::Leaf(leaf) => {
                        let itself = (next - level.len() + at) as u16;
                        self.nodes.push(Node { threshold: f32::INFINITY, slot: 0, next: itself });
                        self.values.push(tree.leaves[leaf as usize].value);
                    }
                    Child::Split(split) => {
                        let split = &tree.splits[split as usize];
                        let Condition::AtMost(threshold) = split.condition else { continue };
                        let (threshold, column) = (at_most(threshold), split.feature as usize);
                        // `value <= t` is `−value >= −t` is `−value > (the next below −t)`.
                        let (threshold, slot, sides) = if missing_goes_left(split) {
                            (threshold, column, [split.left, split.right])
                        } else {
                            ((-threshold).next_down(), columns + column, [split.right, split.left])
                        };
                        self.nodes.push(Node { threshold, slot: slot as u16, next: (next + below.len()) as u16 });
                        self.values.push(0.0);
                        below.extend(sides);
                    }
                }
            }
            next += below.len();
            level = std::mem::take(&mut below);
            depth += usize::from(!level.is_empty());
        }
        depth
    }

    /// Adds to the sums of rows what all trees answer.
    pub(super) fn add_up<S: Sum>(&self, rows: Rows<'_>, trees: &[Tree], sums: &mut [S]) {
        let Some(bundles) = &self.bundles else {
            for (row, sum) in rows.iter().zip(sums) {
                add_plainly(trees, row, sum);
            }
            return;
        };
        let mut values = vec![0.0; self.width];
        for (row, sum) in rows.iter().zip(sums) {
            // A split at infinity lets every number through; but the opposite of infinity is above nothing.
            if row.contains(&f32::INFINITY) {
                add_plainly(trees, row, sum);
                continue;
            }
            values[..row.len()].copy_from_slice(row);
            for &column in self.zero_is_missing.iter().filter(|&&column| row[column].abs() <= ZERO) {
                values[column] = f32::NAN;
            }
            let (own, opposite) = values.split_at_mut(row.len());
            for (opposite, own) in opposite.iter_mut().zip(own) {
                *opposite = -*own;
            }
            for bundle in bundles {
                self.add_bundle(bundle, &values, sum);
            }
        }
    }

    #[inline]
    fn add_bundle<S: Sum>(&self, bundle: &Bundle, values: &[f32], sum: &mut S) {
        let mask = values.len() - 1;
        let mut at = bundle.first;
        for _ in 0..bundle.depth.div_ceil(STEPS) {
            let before = at;
            for _ in 0..STEPS {
                for (at, &first) in at.iter_mut().zip(&bundle.first) {
                    let node = self.nodes[*at as usize];
                    *at = first + u32::from(node.next) + u32::from(values[node.slot as usize & mask] > node.threshold);
                }
            }
            if at == before {
                break;
            }
        }
        for &at in &at[..bundle.trees] {
            *sum += S::of(self.values[at as usize]);
        }
    }
}

fn add_plainly<S: Sum>(trees: &[Tree], row: &[f32], sum: &mut S) {
    for tree in trees {
        *sum += S::of(tree.output(row));
    }
}
