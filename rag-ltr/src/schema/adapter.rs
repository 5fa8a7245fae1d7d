//! Rows of one schema out of rows of another.

use super::SchemaId;
use crate::error::{Error, Result};
use crate::matrix::Rows;

/// Makes rows of one schema out of rows of another; [`super::Migrations::adapter`] gives it.
///
/// A row is worked on as a list of values that begins with its columns: each operation adds one to the end, and the row of
/// the other schema is picked from the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    pub(super) from: SchemaId,
    pub(super) to: SchemaId,
    pub(super) columns: usize,
    pub(super) operations: Vec<Operation>,
    pub(super) picked: Vec<usize>,
}

/// What a new value is made of: positions in the list of values.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operation {
    Value(f32),
    Sum(Vec<usize>),
    Difference(usize, usize),
    Product(Vec<usize>),
    Ratio(usize, usize),
    Log1p(usize),
}

impl Adapter {
    /// The adapter that changes nothing.
    pub(super) fn identity(schema: SchemaId, columns: usize) -> Adapter {
        Adapter { from: schema, to: schema, columns, operations: Vec::new(), picked: (0..columns).collect() }
    }

    /// Schema of the rows that it takes.
    pub fn from(&self) -> SchemaId {
        self.from
    }

    /// Schema of the rows that it makes.
    pub fn to(&self) -> SchemaId {
        self.to
    }

    /// Columns of the rows that it takes.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Columns of the rows that it makes.
    pub fn columns_after(&self) -> usize {
        self.picked.len()
    }

    /// Whether every row stays as it is, so that there is nothing to do.
    pub fn is_identity(&self) -> bool {
        self.columns == self.picked.len() && self.picked.iter().copied().eq(0..self.columns)
    }

    /// The values of the adapted rows, row after row.
    ///
    /// # Errors
    /// [`Error::Shape`] for rows with another number of columns than [`Adapter::columns`].
    pub fn rows(&self, rows: Rows<'_>) -> Result<Vec<f32>> {
        if rows.columns() != self.columns {
            let (found, wanted) = (rows.columns(), self.columns);
            return Err(Error::Shape(format!("the rows have {found} columns; schema {} has {wanted}", self.from)));
        }
        let mut adapted = Vec::with_capacity(rows.len() * self.picked.len());
        let mut values = Vec::with_capacity(self.columns + self.operations.len());
        for row in rows.iter() {
            values.clear();
            values.extend_from_slice(row);
            for operation in &self.operations {
                values.push(operation.value(&values));
            }
            adapted.extend(self.picked.iter().map(|&position| values[position]));
        }
        Ok(adapted)
    }

    /// This adapter and then another, which takes the rows that this one makes.
    pub(super) fn then(self, next: &Adapter) -> Adapter {
        let Adapter { from, columns, mut operations, picked, .. } = self;
        let first_new = columns + operations.len();
        let place = |position: &usize| match position.checked_sub(next.columns) {
            None => picked[*position],
            Some(new) => first_new + new,
        };
        operations.extend(next.operations.iter().map(|operation| operation.moved(&place)));
        let picked = next.picked.iter().map(&place).collect();
        Adapter { from, to: next.to, columns, operations, picked }
    }
}

impl Operation {
    /// The new value; what is not finite is missing, as is what a missing value takes part in.
    fn value(&self, values: &[f32]) -> f32 {
        let of = |position: &usize| f64::from(values[*position]);
        let value = match self {
            Operation::Value(value) => return *value,
            Operation::Sum(terms) => terms.iter().map(of).fold(0.0, |sum, term| sum + term),
            Operation::Difference(whole, part) => of(whole) - of(part),
            Operation::Product(factors) => factors.iter().map(of).product(),
            Operation::Ratio(part, whole) => of(part) / of(whole),
            Operation::Log1p(position) => of(position).ln_1p(),
        };
        let value = value as f32;
        if value.is_finite() { value } else { f32::NAN }
    }

    fn moved(&self, place: &impl Fn(&usize) -> usize) -> Operation {
        match self {
            Operation::Value(value) => Operation::Value(*value),
            Operation::Sum(terms) => Operation::Sum(terms.iter().map(place).collect()),
            Operation::Difference(whole, part) => Operation::Difference(place(whole), place(part)),
            Operation::Product(factors) => Operation::Product(factors.iter().map(place).collect()),
            Operation::Ratio(part, whole) => Operation::Ratio(place(part), place(whole)),
            Operation::Log1p(position) => Operation::Log1p(place(position)),
        }
    }
}
