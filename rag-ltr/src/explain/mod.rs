//! Why a row has its score: what each feature adds to it.

mod quadrature;
mod trees;

use crate::error::Result;
use crate::matrix::Rows;
use crate::model::{Ensemble, LinearModel, Model, Ranker};

/// What each feature of some rows adds to their margins. The contributions of a row and [`Explained::expected`] sum to
/// the row's [`Ranker::margins`], but for rounding in the precision of the model's sum.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    contributions: Vec<f64>,
    columns: usize,
    expected: f64,
}

impl Explained {
    /// What the features of one row add, a number a column.
    ///
    /// # Panics
    /// For a row from [`Explained::len`] on.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.contributions[row * self.columns..][..self.columns]
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.contributions.len() / self.columns
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.contributions.is_empty()
    }

    /// Features of a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All contributions, row after row.
    pub fn contributions(&self) -> &[f64] {
        &self.contributions
    }

    /// The same, to keep.
    pub fn into_contributions(self) -> Vec<f64> {
        self.contributions
    }

    /// What the model answers when no feature is known: the mean of its training rows for trees, the bias of a linear
    /// model.
    pub fn expected(&self) -> f64 {
        self.expected
    }
}

impl Ranker {
    /// What each feature adds to the margin of each row. On the calling thread.
    ///
    /// For trees these are the Shapley values of the game in which a feature that is not known sends a row down both
    /// branches, weighed by the cover that the training left there (Lundberg, Erion & Lee 2018, "path-dependent"): what
    /// LightGBM answers with `pred_contrib` and XGBoost with `pred_contribs`. (LightGBM's raw scores and contributions of
    /// a random forest are sums over the trees; here both are divided by their number, as its predictions are.) For a
    /// linear model, weight · (value − center) / scale.
    ///
    /// ```
    /// use rag_ltr::model::{Arithmetic, LinearColumn, LinearModel, Link, Model};
    /// use rag_ltr::{Ranker, Rows};
    ///
    /// let columns = vec![LinearColumn { weight: 2.0, center: 1.0, scale: 1.0, fill: 0.0 }; 2];
    /// let linear =
    ///     LinearModel { names: vec![], bias: 0.5, columns, arithmetic: Arithmetic::F64, link: Link::Identity };
    /// let ranker = Ranker::new(Model::Linear(linear))?;
    /// let rows = Rows::new(&[3.0, 1.0], 2)?;
    /// let explained = ranker.explain(rows)?;
    /// assert_eq!(explained.row(0), [4.0, 0.0]);
    /// assert_eq!(explained.expected() + 4.0, ranker.margins(rows)?[0]);
    /// # Ok::<(), rag_ltr::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`crate::Error::Shape`] for rows with another number of columns, [`crate::Error::Unsupported`] for linear models
    /// in leaves (as LightGBM) and for trees that do not say how the training rows went.
    pub fn explain(&self, rows: Rows<'_>) -> Result<Explained> {
        match self.model() {
            Model::Trees(ensemble) => explain_trees(ensemble, rows),
            Model::Linear(linear) => explain_linear(linear, rows),
        }
    }
}

fn explain_linear(linear: &LinearModel, rows: Rows<'_>) -> Result<Explained> {
    linear.check_rows(rows)?;
    let contributions = rows.iter().flat_map(|row| linear.parts(row)).collect();
    Ok(Explained { contributions, columns: rows.columns(), expected: linear.bias })
}

fn explain_trees(ensemble: &Ensemble, rows: Rows<'_>) -> Result<Explained> {
    ensemble.check_rows(rows)?;
    let (parts, columns) = (ensemble.parts(), rows.columns());
    trees::check(parts)?;
    let mut walk = trees::Walk::new(columns);
    let mut contributions = vec![0.0; rows.values().len()];
    let mut expected = parts.base;
    for first in (0..rows.len().max(1)).step_by(trees::BLOCK) {
        let block = first..rows.len().min(first + trees::BLOCK);
        let sums = &mut contributions[block.start * columns..block.end * columns];
        expected = parts.base;
        for tree in &parts.trees {
            expected += walk.add(tree, rows.slice(block.clone()), sums)?;
        }
    }
    for contribution in &mut contributions {
        *contribution = parts.averaged(*contribution);
    }
    Ok(Explained { contributions, columns, expected: parts.averaged(expected) })
}
