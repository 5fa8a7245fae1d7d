//! Scoring many rows by many trees at once, equal to the bit to [`crate::model::Ensemble::margins_plainly`].
//!
//! Several rows go through the trees together ([`words`]): every question of a tree is asked of all of them, and each
//! answer crosses out the leaves that it rules out; the first leaf that is left is the one (the bit vectors of
//! QuickScorer: Lucchese et al. 2015, with the rows in the lanes of a vector as in Lucchese et al. 2016). There is
//! nothing to mispredict, and most of it is a comparison and an AND. A row or two walk down the trees instead, several
//! trees in turn ([`walk`]), so that the processor has something to do while it waits for the next node; or, where the
//! processor can look values up in its registers, the words take the place of the rows in the lanes ([`single`]).

#[allow(unsafe_code)]
mod arch;
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
use words::{Kernel, Words};

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

/// How a row or two are scored, by what the machine has.
#[derive(Debug)]
enum Few {
    Single(Bundles, single::Kernel),
    Walk(Walk),
}

/// What the margins of the rows are added up in. The values of leaves are kept in the same precision.
trait Sum: Copy + std::ops::AddAssign + Default + std::fmt::Debug {
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
        let few = match arch::kernels().and_then(|kernels| kernels.single) {
            Some(kernel) => Few::Single(Bundles::new(&words), kernel),
            None => Few::Walk(Walk::new(parts)),
        };
        Scorer { words, few, base: parts.base, divisor }
    }

    /// The margins of rows that have the columns of the model.
    pub(crate) fn margins(&self, rows: Rows<'_>, trees: &[Tree]) -> Vec<f64> {
        let mut margins = vec![0.0; rows.len()];
        match self.words.arithmetic() {
            Arithmetic::F64 => self.add_up::<f64>(rows, trees, &mut margins),
            Arithmetic::F32 => self.add_up::<f32>(rows, trees, &mut margins),
        }
        margins
    }

    fn add_up<S: Sum>(&self, rows: Rows<'_>, trees: &[Tree], margins: &mut [f64]) {
        let remainder = rows.len() % LANES;
        let in_blocks = if remainder < FEWEST_FOR_A_BLOCK { rows.len() - remainder } else { rows.len() };
        let (blocks, few) = margins.split_at_mut(in_blocks);
        let (rows, rest) = (rows.slice(0..in_blocks), rows.slice(in_blocks..rows.len()));
        let base = S::of(self.base);
        self.words.score::<S>(rows, trees, base, blocks, S::kernel());
        match &self.few {
            Few::Single(bundles, kernel) => single::score((&self.words, bundles), (rest, trees), base, few, *kernel),
            Few::Walk(walk) => walk.score(rest, trees, base, few),
        }
        if let Some(divisor) = self.divisor {
            for margin in margins {
                *margin /= divisor;
            }
        }
    }
}
