//! Scoring many rows by many trees at once, equal to the bit to [`crate::model::Ensemble::margins_plainly`].
//!
//! Several rows go through the trees together ([`words`]): every question of a tree is asked of all of them, and each
//! answer crosses out the leaves that it rules out; the first leaf that is left is the one (the bit vectors of
//! QuickScorer: Lucchese et al. 2015, with the rows in the lanes of a vector as in Lucchese et al. 2016). There is
//! nothing to mispredict, and most of it is a comparison and an AND. A few rows go one after the other: they walk down
//! many trees in turn ([`walk`]), so that the processor has something to do while it waits for the next node; or, where
//! trees are small and the processor can look values up in its registers, the words take the place of the rows in the
//! lanes ([`single`]).

#[allow(unsafe_code)]
mod arch;
mod best;
mod portable;
mod single;
#[cfg(test)]
mod tests;
mod walk;
mod words;

use crate::matrix::Rows;
use crate::model::{Arithmetic, EnsembleParts, Tree};

use single::Bundles;
use walk::Walk;
use words::{Kernel, Stretch, Words};

/// Rows that go through the trees together.
const LANES: usize = 16;

/// From here on a block with empty lanes is quicker than walking.
const FEWEST_FOR_A_BLOCK: usize = 5;

/// Trees in the order in which a processor likes to read them.
#[derive(Debug)]
pub(crate) struct Scorer {
    words: Words,
    few: Few,
    base: f64,
    divisor: Option<f64>,
}

/// How a few rows are scored, by what the machine has and how large the trees are.
#[derive(Debug)]
enum Few {
    Single(Bundles, single::Kernel),
    Walk(Walk, walk::Kernel),
}

/// What the margins of the rows are added up in. The values of leaves are kept in the same precision.
trait Sum: Copy + std::ops::AddAssign + Default + std::fmt::Debug {
    /// The relative distance of one number to the next.
    const EPSILON: f64;

    fn of(value: f64) -> Self;
    fn to_f64(self) -> f64;
    /// The values of the leaves, [`words::LEAVES`] for each word.
    fn values(words: &Words) -> &[Self];
    fn kernel() -> Kernel<Self>;
}

impl Scorer {
    pub(crate) fn new(parts: &EnsembleParts) -> Scorer {
        let divisor = (parts.average && !parts.trees.is_empty()).then_some(parts.trees.len() as f64);
        let words = Words::new(parts);
        let kernels = arch::kernels();
        let few = match kernels.and_then(|kernels| kernels.single) {
            Some(kernel) if !has_large_trees(&words) => Few::Single(Bundles::new(&words), kernel),
            _ => Few::Walk(Walk::new(parts, &words), kernels.map_or(portable::walk, |kernels| kernels.walk)),
        };
        Scorer { words, few, base: parts.base, divisor }
    }

    /// The margins of rows that have the columns of the model.
    pub(crate) fn margins(&self, rows: Rows<'_>, trees: &[Tree]) -> Vec<f64> {
        match self.words.arithmetic() {
            Arithmetic::F64 => self.sums::<f64>(rows, trees),
            Arithmetic::F32 => self.sums::<f32>(rows, trees).into_iter().map(Sum::to_f64).collect(),
        }
        .into_iter()
        .map(|sum| self.margin(sum))
        .collect()
    }

    fn sums<S: Sum>(&self, rows: Rows<'_>, trees: &[Tree]) -> Vec<S> {
        let mut sums = vec![S::of(self.base); rows.len()];
        let remainder = rows.len() % LANES;
        let in_blocks = if remainder < FEWEST_FOR_A_BLOCK { rows.len() - remainder } else { rows.len() };
        let (blocks, few) = sums.split_at_mut(in_blocks);
        let (rows, rest) = (rows.slice(0..in_blocks), rows.slice(in_blocks..rows.len()));
        if !blocks.is_empty() {
            self.words.add_up(rows, trees, &self.words.steps, blocks, S::kernel());
        }
        match &self.few {
            _ if rest.is_empty() => (),
            Few::Single(bundles, kernel) => single::add_up((&self.words, bundles), (rest, trees), few, *kernel),
            Few::Walk(walk, kernel) => walk.add_up(&self.words, (rest, trees), few, *kernel),
        }
        sums
    }

    fn margin(&self, sum: f64) -> f64 {
        self.divisor.map_or(sum, |divisor| sum / divisor)
    }

    /// The best rows, as [`crate::model::Ensemble::best`] says.
    pub(crate) fn best(&self, rows: Rows<'_>, trees: &[Tree], k: usize, tolerance: f64) -> Vec<(usize, f64)> {
        let found = match self.words.arithmetic() {
            Arithmetic::F64 => best::best::<f64>(&self.words, rows, trees, self.base, k, tolerance),
            Arithmetic::F32 => best::best::<f32>(&self.words, rows, trees, self.base, k, tolerance),
        };
        found.into_iter().map(|(row, sum)| (row, self.margin(sum))).collect()
    }
}

/// Whether trees have more than a word of leaves, most of them. They are walked more quickly than asked all questions:
/// that takes as many steps as they are deep, which grows far more slowly than the number of questions. Measured with
/// AVX-512 at 46 and 136 columns: with 64 leaves, which are two words, walking takes half the time to two thirds; with 31
/// leaves 0.75 to 1.2 times as long, the more the more trees there are.
fn has_large_trees(words: &Words) -> bool {
    let of_stretch = |stretch: &Stretch| if let Stretch::Plain(words) = stretch { words.len() } else { 0 };
    let plain: usize = words.steps.iter().flat_map(|step| &step.stretches).map(of_stretch).sum();
    plain * 2 > words.plain.len() * 3
}
