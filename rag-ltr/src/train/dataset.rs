//! What is learnt from.

use crate::error::{Error, Result};
use crate::matrix::Rows;
use crate::train::parameters::{LambdaMart, Objective};

/// Most rows of a training: sums of derivatives are kept in 32 bits, and more rows would leave too few of them to each.
const MAX_ROWS: usize = 1 << 28;

/// Rows, their labels and the queries that they belong to.
///
/// ```
/// use rag_ltr::Rows;
/// use rag_ltr::train::Dataset;
/// let features = [0.1, 1.0, 0.7, 0.0, 0.9, 0.5];
/// // Two queries: the first has two documents, the second one.
/// let dataset = Dataset::new(Rows::new(&features, 2)?, &[0.0, 2.0, 1.0], &[2, 1]);
/// assert_eq!(dataset.rows.len(), 3);
/// # Ok::<(), rag_ltr::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Dataset<'a> {
    /// Features, one row a document of a query; the rows of a query stand together.
    pub rows: Rows<'a>,
    /// One a row. For a ranking the grade of the document: a whole number from 0 on, higher is better.
    pub labels: &'a [f32],
    /// How many rows each query has, in the order of the rows. Objectives that do not rank take it empty too.
    pub groups: &'a [usize],
    /// One a row, 0 or more: what the row counts; both derivatives of a row are multiplied with it. `None`: all 1.
    pub weights: Option<&'a [f32]>,
    /// One a row, above 0: one divided by the chance that a user examined the document, where the labels are clicks. Each
    /// pair is weighted with that of its better document (Joachims, Swaminathan & Schnabel 2017; Wang et al. 2018).
    /// `None`: all 1. Only rankings read it.
    pub inverse_propensities: Option<&'a [f32]>,
    /// Names of the features, for the model; empty, or one a column.
    pub names: &'a [String],
}

impl<'a> Dataset<'a> {
    /// Rows without weights, propensities and names.
    pub fn new(rows: Rows<'a>, labels: &'a [f32], groups: &'a [usize]) -> Self {
        Dataset { rows, labels, groups, weights: None, inverse_propensities: None, names: &[] }
    }

    /// The rows of each query.
    pub fn queries(&self) -> impl Iterator<Item = std::ops::Range<usize>> + use<'a> {
        self.groups.iter().scan(0, |start, &size| {
            *start += size;
            Some(*start - size..*start)
        })
    }

    /// What a row counts.
    pub(crate) fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| f64::from(weights[row]))
    }

    /// Whether trees can be boosted on it.
    pub(crate) fn check(&self, parameters: &LambdaMart) -> Result<()> {
        self.check_rows()?;
        if !self.groups.is_empty() || parameters.objective == Objective::Lambdarank {
            self.check_groups()?;
        }
        let grades = parameters.label_gain.len();
        match parameters.objective {
            Objective::Lambdarank => self.check_labels(
                |label| label >= 0.0 && label.fract() == 0.0 && (label as usize) < grades,
                &format!("a whole number from 0 to {}, for which label_gain has a gain", grades.saturating_sub(1)),
            ),
            Objective::Binary => self.check_labels(|label| label == 0.0 || label == 1.0, "0 or 1"),
            Objective::Regression => self.check_labels(f32::is_finite, "a finite number"),
        }
    }

    /// Whether there is one of everything for each row.
    pub(crate) fn check_rows(&self) -> Result<()> {
        let rows = self.rows.len();
        if rows == 0 || rows > MAX_ROWS {
            return Err(Error::Training(format!("there are {rows} rows; give 1 to {MAX_ROWS}")));
        }
        if self.rows.columns() > crate::model::MAX_COLUMNS {
            let (columns, most) = (self.rows.columns(), crate::model::MAX_COLUMNS);
            return Err(Error::Training(format!("the rows have {columns} columns; give at most {most}")));
        }
        if self.labels.len() != rows {
            return Err(Error::Training(format!("{} labels for {rows} rows; give one a row", self.labels.len())));
        }
        if !self.names.is_empty() && self.names.len() != self.rows.columns() {
            let (names, columns) = (self.names.len(), self.rows.columns());
            return Err(Error::Training(format!("{names} names for {columns} columns; give one a column, or none")));
        }
        check_factors("weights", self.weights, rows, |weight| weight >= 0.0, "0 or more")?;
        let is_above_zero = |factor| factor > 0.0;
        check_factors("inverse_propensities", self.inverse_propensities, rows, is_above_zero, "above 0")
    }

    /// Whether the groups are all rows.
    pub(crate) fn check_groups(&self) -> Result<()> {
        let rows = self.rows.len();
        let total = self.groups.iter().try_fold(0usize, |sum, &size| sum.checked_add(size));
        if total != Some(rows) {
            let found = total.map_or("more than can be counted".to_owned(), |total| total.to_string());
            let message =
                format!("the groups have {found} rows, the data {rows}; give the number of rows of each query");
            return Err(Error::Training(message));
        }
        if let Some(query) = self.groups.iter().position(|&size| size == 0) {
            return Err(Error::Training(format!("group {query} has no rows; leave the query out")));
        }
        Ok(())
    }

    /// Whether every label is one that the objective has a use for.
    pub(crate) fn check_labels(&self, is_sound: impl Fn(f32) -> bool, wanted: &str) -> Result<()> {
        match self.labels.iter().position(|&label| !is_sound(label)) {
            None => Ok(()),
            Some(row) => Err(Error::Training(format!("the label of row {row} is {}; give {wanted}", self.labels[row]))),
        }
    }
}

fn check_factors(
    name: &str,
    factors: Option<&[f32]>,
    rows: usize,
    is_sound: impl Fn(f32) -> bool,
    wanted: &str,
) -> Result<()> {
    let Some(factors) = factors else { return Ok(()) };
    if factors.len() != rows {
        return Err(Error::Training(format!("{} {name} for {rows} rows; give one a row", factors.len())));
    }
    match factors.iter().position(|&factor| !(factor.is_finite() && is_sound(factor))) {
        None => Ok(()),
        Some(row) => {
            let found = factors[row];
            Err(Error::Training(format!("{name} has {found} for row {row}; give a finite number that is {wanted}")))
        }
    }
}
