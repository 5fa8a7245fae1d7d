//! Rows of features.

use crate::error::{Error, Result};

/// A borrowed matrix of features, row after row. A row is one document for one query; NaN says that a value is missing.
///
/// ```
/// use rag_ltr::Rows;
/// let rows = Rows::new(&[0.5, 1.0, f32::NAN, 2.0], 2)?;
/// assert_eq!((rows.len(), rows.columns(), rows.row(0)), (2, 2, &[0.5, 1.0][..]));
/// # Ok::<(), rag_ltr::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    values: &'a [f32],
    columns: usize,
}

impl<'a> Rows<'a> {
    /// # Errors
    /// [`Error::Shape`] for no columns, or values that do not fill the last row.
    pub fn new(values: &'a [f32], columns: usize) -> Result<Self> {
        if columns == 0 {
            return Err(Error::Shape("the rows have no columns; give at least one feature".to_owned()));
        }
        if !values.len().is_multiple_of(columns) {
            let message = format!("{} values do not fill rows of {columns} columns", values.len());
            return Err(Error::Shape(message));
        }
        Ok(Rows { values, columns })
    }

    /// Values that fill whole rows of at least one column.
    pub(crate) fn of(values: &'a [f32], columns: usize) -> Self {
        debug_assert!(columns > 0 && values.len().is_multiple_of(columns));
        Rows { values, columns }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.columns
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Features of a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// One row.
    ///
    /// # Panics
    /// From [`Rows::len`] on.
    pub fn row(&self, row: usize) -> &'a [f32] {
        &self.values[row * self.columns..][..self.columns]
    }

    /// All rows, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [f32]> + use<'a> {
        self.values.chunks_exact(self.columns)
    }

    /// All values, row after row.
    pub fn values(&self) -> &'a [f32] {
        self.values
    }

    /// The rows of a range.
    ///
    /// # Panics
    /// Where the range ends after [`Rows::len`].
    #[must_use]
    pub fn slice(&self, rows: std::ops::Range<usize>) -> Rows<'a> {
        Rows { values: &self.values[rows.start * self.columns..rows.end * self.columns], columns: self.columns }
    }
}
