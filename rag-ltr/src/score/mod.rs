//! Scoring many rows by many trees at once.

use crate::matrix::Rows;
use crate::model::{Arithmetic, EnsembleParts, Tree};

/// Trees in the order in which a processor likes to read them.
#[derive(Debug, Clone)]
pub(crate) struct Scorer {
    base: f64,
    arithmetic: Arithmetic,
    divisor: Option<f64>,
}

impl Scorer {
    pub(crate) fn new(parts: &EnsembleParts) -> Scorer {
        let divisor = (parts.average && !parts.trees.is_empty()).then_some(parts.trees.len() as f64);
        Scorer { base: parts.base, arithmetic: parts.arithmetic, divisor }
    }

    pub(crate) fn margins(&self, rows: Rows<'_>, trees: &[Tree]) -> Vec<f64> {
        let margin = |row: &[f32]| {
            let outputs = trees.iter().map(|tree| tree.leaves[tree.leaf_of(row)].output(row));
            let sum = match self.arithmetic {
                Arithmetic::F64 => outputs.fold(self.base, |sum, output| sum + output),
                Arithmetic::F32 => f64::from(outputs.fold(self.base as f32, |sum, output| sum + output as f32)),
            };
            self.divisor.map_or(sum, |divisor| sum / divisor)
        };
        rows.iter().map(margin).collect()
    }
}
