//! Shapley values of trees.
//!
//! What a leaf adds to a row's answer is its value times one factor for every feature on its path. With the feature known
//! the factor is 1 or 0, as the row takes all of the feature's branches or not; with the feature unknown it is the share
//! of the training rows that took them. For a product of such factors, the Shapley value of a feature is an integral
//! (Owen 1972): with `t` as the probability that another feature is known,
//!
//! ```text
//! value · (known − unknown) · ∫₀¹ Π over the other features of ((1 − t) · unknown + t · known) dt
//! ```
//!
//! The integrand is a polynomial of `t`, so a Gauss–Legendre rule with half as many points as there are features gives
//! the integral itself, not an estimate. These are the numbers of the path-dependent TreeSHAP (Lundberg, Erion & Lee
//! 2018, algorithm 2) in as many steps; but every term is positive, so that nothing cancels on long paths, and the inner
//! loop has no branches.

use super::quadrature::{LANES, Points, Rules};
use crate::error::{Error, Result};
use crate::matrix::Rows;
use crate::model::{Child, EnsembleParts, Tree};

/// Rows that walk a tree together: one bit each.
pub(super) const BLOCK: usize = 64;

/// Most different features on one path; the steps of a leaf grow with the square.
const MAX_FEATURES: usize = 1024;

/// Less than this share of the training rows is none: what is divided by it would not be a number.
const SMALLEST_SHARE: f64 = 1e-250;

const NONE: u32 = u32::MAX;

/// A feature on the path from the root to where the walk is.
#[derive(Debug, Clone, Copy)]
struct Factor {
    feature: u32,
    /// Share of the training rows that took the feature's branches, among those that came to them.
    unknown: f64,
    /// The rows that take all of them.
    known: u64,
}

enum Step {
    /// Go down to a node by a branch that asks for a feature.
    Down { to: Child, reach: f64, factor: Factor },
    /// Come back: the feature's factor as it was, or none.
    Up(Option<(u32, Factor)>),
}

/// A walk through the trees, and the room that it needs.
pub(super) struct Walk {
    path: Vec<Factor>,
    /// Position in `path` of a feature; [`NONE`] where it is not there.
    places: Vec<u32>,
    steps: Vec<Step>,
    terms: Vec<Term>,
    rules: Rules,
}

impl Walk {
    pub(super) fn new(columns: usize) -> Walk {
        let places = vec![NONE; columns];
        Walk { path: Vec::new(), places, steps: Vec::new(), terms: Vec::new(), rules: Rules::default() }
    }

    /// Adds what each feature does to the answer of a tree, for at most [`BLOCK`] rows, and gives what the tree answers
    /// when nothing is known.
    pub(super) fn add(&mut self, tree: &Tree, rows: Rows<'_>, contributions: &mut [f64]) -> Result<f64> {
        let mut expected = self.node(tree, tree.root(), 1.0, rows, contributions);
        while let Some(step) = self.steps.pop() {
            match step {
                Step::Down { to, reach, factor } => {
                    self.enter(factor)?;
                    expected += self.node(tree, to, reach, rows, contributions);
                }
                Step::Up(before) => self.leave(before),
            }
        }
        Ok(expected)
    }

    /// What is to do at a node that a share of `reach` of the training rows came to. Gives what a leaf adds to the
    /// expected answer.
    fn node(&mut self, tree: &Tree, node: Child, reach: f64, rows: Rows<'_>, contributions: &mut [f64]) -> f64 {
        match node {
            Child::Leaf(leaf) => {
                let value = tree.leaves[leaf as usize].value;
                self.leaf(value, rows, contributions);
                reach * value
            }
            Child::Split(position) => {
                let split = &tree.splits[position as usize];
                let (left, right) = (tree.cover(split.left), tree.cover(split.right));
                let feature = split.feature;
                let known = rows
                    .iter()
                    .enumerate()
                    .fold(0, |mask, (row, values)| mask | u64::from(split.goes_left(values[feature as usize])) << row);
                for (to, cover, known) in [(split.right, right, !known), (split.left, left, known)] {
                    let unknown = cover / (left + right);
                    let factor = Factor { feature, unknown, known };
                    self.steps.push(Step::Down { to, reach: reach * unknown, factor });
                }
                0.0
            }
        }
    }

    /// Takes a branch: its factor joins the one that the feature has already.
    fn enter(&mut self, branch: Factor) -> Result<()> {
        let place = self.places[branch.feature as usize];
        if let Some(factor) = self.path.get_mut(place as usize) {
            self.steps.push(Step::Up(Some((place, *factor))));
            factor.unknown *= branch.unknown;
            factor.known &= branch.known;
            return Ok(());
        }
        if self.path.len() == MAX_FEATURES {
            let what =
                format!("a path through more than {MAX_FEATURES} features, whose explanation would take too long");
            return Err(Error::Unsupported(what));
        }
        self.places[branch.feature as usize] = self.path.len() as u32;
        self.path.push(branch);
        self.steps.push(Step::Up(None));
        Ok(())
    }

    fn leave(&mut self, before: Option<(u32, Factor)>) {
        match before {
            Some((place, factor)) => self.path[place as usize] = factor,
            None => {
                if let Some(factor) = self.path.pop() {
                    self.places[factor.feature as usize] = NONE;
                }
            }
        }
    }

    /// Adds what the features of the path do to the answer of a leaf.
    fn leaf(&mut self, value: f64, rows: Rows<'_>, contributions: &mut [f64]) {
        if self.path.is_empty() {
            return;
        }
        // A feature whose branches nobody took, neither in the training nor this row: the leaf is out of reach.
        let never_taken = self.path.iter().filter(|factor| factor.unknown < SMALLEST_SHARE);
        let no_way = never_taken.fold(0, |rows, factor| rows | !factor.known);
        for points in self.rules.exact_to(self.path.len() - 1) {
            self.terms.clear();
            self.terms.extend(self.path.iter().map(|factor| Term::new(points, factor.unknown, value)));
            for (row, sums) in contributions.chunks_exact_mut(rows.columns()).enumerate() {
                if no_way >> row & 1 == 1 {
                    continue;
                }
                let bit = |factor: &Factor| (factor.known >> row & 1) as usize;
                let mut product = points.weight;
                for (factor, term) in self.path.iter().zip(&self.terms) {
                    let term = &term.factor[bit(factor)];
                    product = std::array::from_fn(|lane| product[lane] * term[lane]);
                }
                for (factor, term) in self.path.iter().zip(&self.terms) {
                    let change = &term.change[bit(factor)];
                    let parts: [f64; LANES] = std::array::from_fn(|lane| product[lane] * change[lane]);
                    sums[factor.feature as usize] += (parts[0] + parts[1]) + (parts[2] + parts[3]);
                }
            }
        }
    }
}

/// What is equal for all rows of a feature on the path, at some points of the integral: first for the rows that leave the
/// path at the feature, then for those that stay.
struct Term {
    /// `(1 − t) · unknown + t · known`.
    factor: [[f64; LANES]; 2],
    /// `value · (known − unknown)`, divided by the factor: it takes the factor out of the product of all.
    change: [[f64; LANES]; 2],
}

impl Term {
    fn new(points: &Points, unknown: f64, value: f64) -> Term {
        let left = points.rest.map(|rest| rest * unknown);
        let stayed = std::array::from_fn(|lane| left[lane] + points.at[lane]);
        let change =
            [left.map(|factor| -unknown * value / factor), stayed.map(|factor| (1.0 - unknown) * value / factor)];
        Term { factor: [left, stayed], change }
    }
}

/// Refuses trees that say too little for an explanation, or something that has none.
pub(super) fn check(parts: &EnsembleParts) -> Result<()> {
    for (position, tree) in parts.trees.iter().enumerate() {
        if tree.leaves.iter().any(|leaf| leaf.linear.is_some()) {
            return Err(Error::Unsupported(format!(
                "linear models in the leaves of tree {position}, which only score"
            )));
        }
        for (at, split) in tree.splits.iter().enumerate() {
            let covers = [tree.cover(split.left), tree.cover(split.right)];
            let sum = covers[0] + covers[1];
            if covers.iter().any(|cover| cover.is_nan() || *cover < 0.0) || !(sum > 0.0 && sum.is_finite()) {
                let what = format!(
                    "no count of the training rows below split {at} of tree {position} (cover {} and {}), without which it only scores",
                    covers[0], covers[1]
                );
                return Err(Error::Unsupported(what));
            }
        }
    }
    Ok(())
}

impl Tree {
    /// How much of the training came to a node.
    fn cover(&self, node: Child) -> f64 {
        match node {
            Child::Split(split) => self.splits[split as usize].cover,
            Child::Leaf(leaf) => self.leaves[leaf as usize].cover,
        }
    }
}
