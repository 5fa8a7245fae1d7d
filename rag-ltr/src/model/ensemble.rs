//! A sum of trees.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::tree::{Child, Condition, Tree};
use crate::error::{Error, Result};
use crate::matrix::Rows;
use crate::score::Scorer;

/// Most columns that a model may have.
pub const MAX_COLUMNS: usize = 1 << 20;

/// A sum of regression trees, with what its library does to the sum, laid out for the processor that it runs on.
/// [`Ensemble::checked`] is the only way in, so the trees of an `Ensemble` can be walked without a check. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ensemble {
    parts: Arc<EnsembleParts>,
    scorer: Arc<Scorer>,
}

impl PartialEq for Ensemble {
    fn eq(&self, other: &Ensemble) -> bool {
        self.parts == other.parts
    }
}

/// The parts of an [`Ensemble`] before they are checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnsembleParts {
    /// Features of a row.
    pub columns: usize,
    /// Their names; empty, or one a column.
    pub names: Vec<String>,
    /// The trees, in the order in which they are added.
    pub trees: Vec<Tree>,
    /// What the sum starts with.
    pub base: f64,
    /// In which precision the sum is made.
    pub arithmetic: Arithmetic,
    /// Whether the sum is divided by the number of trees.
    pub average: bool,
    /// What becomes of the sum.
    pub link: Link,
}

/// The precision of the sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arithmetic {
    /// 64 bits, as LightGBM.
    #[default]
    F64,
    /// 32 bits, as XGBoost.
    F32,
}

/// What the objective of a model makes of the sum (its margin) when it predicts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// Nothing: the margin is the prediction. All objectives of ranking.
    #[default]
    Identity,
    /// `1 / (1 + exp(−steepness · margin))`.
    Sigmoid {
        /// 1 but for LightGBM's `sigmoid:`.
        steepness: f64,
    },
    /// `exp(margin)`.
    Exp,
    /// `ln(1 + exp(margin))`.
    Softplus,
    /// `sign(margin) · margin²` (LightGBM's `sqrt`).
    SignedSquare,
    /// 1 for a positive margin, else 0 (XGBoost's `binary:hinge`).
    Step,
}

impl Link {
    /// The prediction of a margin, in the precision of the sum.
    pub fn apply(self, margin: f64, arithmetic: Arithmetic) -> f64 {
        if arithmetic == Arithmetic::F32 {
            return f64::from(self.apply_f32(margin as f32));
        }
        match self {
            Link::Identity => margin,
            Link::Sigmoid { steepness } => 1.0 / (1.0 + (-steepness * margin).exp()),
            Link::Exp => margin.exp(),
            Link::Softplus => margin.exp().ln_1p(),
            Link::SignedSquare => margin.signum() * margin * margin,
            Link::Step => f64::from(u8::from(margin > 0.0)),
        }
    }

    fn apply_f32(self, margin: f32) -> f32 {
        match self {
            Link::Identity => margin,
            Link::Sigmoid { steepness } => 1.0 / ((-(steepness as f32) * margin).exp() + 1.0),
            Link::Exp => margin.exp(),
            Link::Softplus => margin.exp().ln_1p(),
            Link::SignedSquare => margin.signum() * margin * margin,
            Link::Step => f32::from(u8::from(margin > 0.0)),
        }
    }
}

impl Ensemble {
    /// Takes parts whose every tree is a tree: each node reached once, columns and children in range, numbers finite.
    ///
    /// # Errors
    /// [`Error::Model`] naming the tree, the node and the field.
    pub fn checked(parts: EnsembleParts) -> Result<Self> {
        let EnsembleParts { columns, names, trees, base, .. } = &parts;
        let columns = *columns;
        if !(1..=MAX_COLUMNS).contains(&columns) {
            return Err(Error::model("columns", format!("there are {columns}; 1 to {MAX_COLUMNS} are allowed")));
        }
        if !names.is_empty() && names.len() != columns {
            return Err(Error::model("names", format!("there are {} for {columns} columns", names.len())));
        }
        if !base.is_finite() {
            return Err(Error::model("base", format!("it is {base}; it must be finite")));
        }
        for (position, tree) in trees.iter().enumerate() {
            check_tree(tree, columns).map_err(|problem| Error::model(format!("tree {position}"), problem))?;
        }
        let scorer = Arc::new(Scorer::new(&parts));
        Ok(Ensemble { parts: Arc::new(parts), scorer })
    }

    /// What it is made of.
    pub fn parts(&self) -> &EnsembleParts {
        &self.parts
    }

    /// What it is made of, to change it.
    pub fn into_parts(self) -> EnsembleParts {
        Arc::unwrap_or_clone(self.parts)
    }

    /// The margins of rows: what the trees answer, added in order. On the calling thread.
    ///
    /// # Errors
    /// [`Error::Shape`] for rows with another number of columns.
    pub fn margins(&self, rows: Rows<'_>) -> Result<Vec<f64>> {
        self.check_rows(rows)?;
        Ok(self.scorer.margins(rows, &self.parts.trees))
    }

    /// The margins of rows, one tree and one row after the other: the plainest form of the formula, which [`Ensemble::margins`]
    /// must equal to the bit.
    ///
    /// # Errors
    /// [`Error::Shape`] for rows with another number of columns.
    pub fn margins_plainly(&self, rows: Rows<'_>) -> Result<Vec<f64>> {
        self.check_rows(rows)?;
        Ok(rows.iter().map(|row| self.margin(row)).collect())
    }

    fn check_rows(&self, rows: Rows<'_>) -> Result<()> {
        let columns = self.parts.columns;
        if rows.columns() != columns {
            return Err(Error::Shape(format!("the rows have {} columns; the model has {columns}", rows.columns())));
        }
        Ok(())
    }

    fn margin(&self, row: &[f32]) -> f64 {
        let outputs = self.parts.trees.iter().map(|tree| tree.output(row));
        let base = self.parts.base;
        self.parts.averaged(match self.parts.arithmetic {
            Arithmetic::F64 => outputs.fold(base, |sum, output| sum + output),
            Arithmetic::F32 => f64::from(outputs.fold(base as f32, |sum, output| sum + output as f32)),
        })
    }
}

impl EnsembleParts {
    /// The sum of a row's trees, divided where the model says so.
    pub(crate) fn averaged(&self, sum: f64) -> f64 {
        if self.average && !self.trees.is_empty() { sum / self.trees.len() as f64 } else { sum }
    }
}

fn check_tree(tree: &Tree, columns: usize) -> Result<(), String> {
    let (splits, leaves) = (tree.splits.len(), tree.leaves.len());
    if leaves != splits + 1 {
        return Err(format!("{splits} splits and {leaves} leaves; a tree has one leaf more than splits"));
    }
    // From the root every node is reached, and once: nothing turns in circles, nothing stands apart.
    let (mut seen_splits, mut seen_leaves) = (vec![false; splits], vec![false; leaves]);
    let mut reached = 0;
    let mut open = vec![tree.root()];
    while let Some(child) = open.pop() {
        let seen = match child {
            Child::Split(position) => seen_splits.get_mut(position as usize),
            Child::Leaf(position) => seen_leaves.get_mut(position as usize),
        };
        let seen = seen.ok_or_else(|| format!("{child:?} does not exist"))?;
        if std::mem::replace(seen, true) {
            return Err(format!("{child:?} is reached twice"));
        }
        reached += 1;
        if let Child::Split(position) = child {
            let split = &tree.splits[position as usize];
            open.extend([split.left, split.right]);
        }
    }
    if reached < splits + leaves {
        return Err(format!("{} of its nodes are reached from nowhere", splits + leaves - reached));
    }
    for (position, split) in tree.splits.iter().enumerate() {
        if split.feature as usize >= columns {
            return Err(format!("split {position} asks for column {} of {columns}", split.feature));
        }
        if matches!(split.condition, Condition::AtMost(threshold) if threshold.is_nan()) {
            return Err(format!("split {position} has the threshold NaN"));
        }
    }
    for (position, leaf) in tree.leaves.iter().enumerate() {
        if !leaf.value.is_finite() {
            return Err(format!("leaf {position} has the value {}", leaf.value));
        }
        let Some(linear) = &leaf.linear else { continue };
        if !linear.constant.is_finite() || linear.terms.iter().any(|(_, factor)| !factor.is_finite()) {
            return Err(format!("leaf {position} has a linear model with a number that is not finite"));
        }
        if let Some((column, _)) = linear.terms.iter().find(|(column, _)| *column as usize >= columns) {
            return Err(format!("leaf {position} asks for column {column} of {columns}"));
        }
    }
    Ok(())
}
