//! Columns with the mean 0 and the standard deviation 1.

use crate::error::{Error, Result};
use crate::model::{Arithmetic, LinearColumn, LinearModel, Link};
use crate::train::Dataset;

/// The columns of a training, standardised with the weights of its rows. A missing value counts as the mean, which is 0
/// afterwards. A column that says nothing, since it has one value or none, is 0 everywhere.
pub(super) struct Standardised<'a> {
    data: Dataset<'a>,
    /// `None`: a column that says nothing.
    columns: Vec<Option<Scale>>,
}

#[derive(Clone, Copy)]
struct Scale {
    mean: f64,
    deviation: f64,
}

impl<'a> Standardised<'a> {
    pub(super) fn new(data: Dataset<'a>) -> Result<Standardised<'a>> {
        if let Some(at) = data.rows.values().iter().position(|value| value.is_infinite()) {
            let (row, column) = (at / data.rows.columns(), at % data.rows.columns());
            let message =
                format!("column {column} of row {row} is infinite; give a finite value, or NaN for a missing one");
            return Err(Error::Training(message));
        }
        let columns = (0..data.rows.columns()).map(|column| scale(&data, column)).collect();
        Ok(Standardised { data, columns })
    }

    /// The values of a row, standardised.
    pub(super) fn row(&self, row: usize) -> impl Iterator<Item = f64> {
        self.data.rows.row(row).iter().zip(&self.columns).map(|(&value, scale)| match scale {
            Some(scale) if !value.is_nan() => (f64::from(value) - scale.mean) / scale.deviation,
            _ => 0.0,
        })
    }

    /// Whether a column has more than one value.
    pub(super) fn varies(&self, column: usize) -> bool {
        self.columns[column].is_some()
    }

    /// The model with these weights.
    pub(super) fn model(&self, weights: &[f64], bias: f64, link: Link) -> Result<LinearModel> {
        let columns = self.columns.iter().zip(weights).map(|(scale, &weight)| match *scale {
            Some(Scale { mean, deviation }) => LinearColumn { weight, center: mean, scale: deviation, fill: mean },
            None => LinearColumn { weight: 0.0, center: 0.0, scale: 1.0, fill: 0.0 },
        });
        let (names, columns) = (self.data.names.to_vec(), columns.collect());
        let model = LinearModel { names, bias, columns, arithmetic: Arithmetic::F64, link };
        model.check()?;
        Ok(model)
    }
}

fn scale(data: &Dataset<'_>, column: usize) -> Option<Scale> {
    let values = || {
        let values = data.rows.iter().map(move |row| row[column]);
        let weighted = values.enumerate().map(|(row, value)| (value, data.weight(row)));
        weighted.filter(|&(value, weight)| !value.is_nan() && weight > 0.0)
    };
    let (first, _) = values().next()?;
    values().find(|&(value, _)| value != first)?;
    let total: f64 = values().map(|(_, weight)| weight).sum();
    let mean = values().map(|(value, weight)| weight * f64::from(value)).sum::<f64>() / total;
    let variance = values().map(|(value, weight)| weight * (f64::from(value) - mean).powi(2)).sum::<f64>() / total;
    let deviation = variance.sqrt();
    // Weights so uneven that the other values do not count.
    (deviation > 0.0 && deviation.is_finite()).then_some(Scale { mean, deviation })
}
