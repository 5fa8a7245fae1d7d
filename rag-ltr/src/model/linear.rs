//! A weighted sum of features.

use serde::{Deserialize, Serialize};

use super::ensemble::{Arithmetic, Link};
use crate::error::{Error, Result};
use crate::matrix::Rows;

/// `bias + Σ weight · (value − center) / scale`; a missing value counts as its `fill`. XGBoost's `gblinear` has the
/// center 0, the scale 1 and the fill 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearModel {
    /// Names of the features; empty, or one a column.
    pub names: Vec<String>,
    /// What the sum starts with.
    pub bias: f64,
    /// One column after the other.
    pub columns: Vec<LinearColumn>,
    /// In which precision the sum is made.
    pub arithmetic: Arithmetic,
    /// What becomes of the sum.
    pub link: Link,
}

/// One column of a [`LinearModel`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearColumn {
    /// What the standardised value is multiplied with.
    pub weight: f64,
    /// What is taken off the value: its mean in the training.
    pub center: f64,
    /// What it is then divided by: its standard deviation in the training.
    pub scale: f64,
    /// What a missing value counts as, before the two.
    pub fill: f64,
}

impl LinearModel {
    /// # Errors
    /// [`Error::Model`] naming the column.
    pub fn check(&self) -> Result<()> {
        if self.columns.is_empty() {
            return Err(Error::model("columns", "there are none"));
        }
        if !self.names.is_empty() && self.names.len() != self.columns.len() {
            let problem = format!("there are {} for {} columns", self.names.len(), self.columns.len());
            return Err(Error::model("names", problem));
        }
        let is_sound = |column: &LinearColumn| {
            let LinearColumn { weight, center, scale, fill } = *column;
            [weight, center, scale, fill].iter().all(|value| value.is_finite()) && scale != 0.0
        };
        if let Some(position) = self.columns.iter().position(|column| !is_sound(column)) {
            return Err(Error::model(format!("column {position}"), "a number is not finite, or the scale is 0"));
        }
        if !self.bias.is_finite() {
            return Err(Error::model("bias", format!("it is {}; it must be finite", self.bias)));
        }
        Ok(())
    }

    /// The margins of rows.
    ///
    /// # Errors
    /// [`Error::Shape`] for rows with another number of columns.
    pub fn margins(&self, rows: Rows<'_>) -> Result<Vec<f64>> {
        self.check_rows(rows)?;
        Ok(rows.iter().map(|row| self.margin(row)).collect())
    }

    pub(crate) fn check_rows(&self, rows: Rows<'_>) -> Result<()> {
        if rows.columns() != self.columns.len() {
            let (found, wanted) = (rows.columns(), self.columns.len());
            return Err(Error::Shape(format!("the rows have {found} columns; the model has {wanted}")));
        }
        Ok(())
    }

    /// What each column adds to the margin of a row.
    pub(crate) fn parts(&self, row: &[f32]) -> impl Iterator<Item = f64> {
        self.columns.iter().zip(row).map(|(column, &value)| {
            let value = if value.is_nan() { column.fill } else { f64::from(value) };
            column.weight * ((value - column.center) / column.scale)
        })
    }

    fn margin(&self, row: &[f32]) -> f64 {
        match self.arithmetic {
            Arithmetic::F64 => self.parts(row).fold(self.bias, |sum, part| sum + part),
            Arithmetic::F32 => f64::from(self.parts(row).fold(self.bias as f32, |sum, part| sum + part as f32)),
        }
    }
}
