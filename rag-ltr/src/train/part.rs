//! Some queries of a data set, and how well margins rank its queries.

use super::Dataset;
use crate::error::{Error, Result};
use crate::matrix::Rows;
use crate::metrics::{Gain, ndcg};

/// Some queries of a [`Dataset`], copied, so that they stand together.
///
/// ```
/// use rag_ltr::Rows;
/// use rag_ltr::train::Dataset;
/// let data = Dataset::new(Rows::new(&[0.1, 0.2, 0.3], 1)?, &[0.0, 1.0, 2.0], &[2, 1]);
/// let part = data.part(&[1])?;
/// assert_eq!((part.dataset()?.labels, part.dataset()?.groups), (&[2.0][..], &[1][..]));
/// # Ok::<(), rag_ltr::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Part<'a> {
    values: Vec<f32>,
    columns: usize,
    labels: Vec<f32>,
    groups: Vec<usize>,
    weights: Option<Vec<f32>>,
    inverse_propensities: Option<Vec<f32>>,
    names: &'a [String],
}

impl Part<'_> {
    /// The queries as a data set.
    ///
    /// # Errors
    /// None for a part that [`Dataset::part`] made.
    pub fn dataset(&self) -> Result<Dataset<'_>> {
        Ok(Dataset {
            rows: Rows::new(&self.values, self.columns)?,
            labels: &self.labels,
            groups: &self.groups,
            weights: self.weights.as_deref(),
            inverse_propensities: self.inverse_propensities.as_deref(),
            names: self.names,
        })
    }
}

impl<'a> Dataset<'a> {
    /// The rows of these queries, in the given order.
    ///
    /// # Errors
    /// [`Error::Training`] for groups and labels that are not those of the rows, and a query that there is not.
    pub fn part(&self, queries: &[usize]) -> Result<Part<'a>> {
        self.check_rows()?;
        self.check_groups()?;
        let all: Vec<_> = self.queries().collect();
        let ranges = queries.iter().map(|&query| all.get(query).cloned());
        let ranges: Option<Vec<_>> = ranges.collect();
        let Some(ranges) = ranges else {
            return Err(Error::Training(format!("there are {} queries; give numbers below that", all.len())));
        };
        let picked = |values: &[f32]| ranges.iter().flat_map(|rows| &values[rows.clone()]).copied().collect();
        Ok(Part {
            values: ranges.iter().flat_map(|rows| self.rows.slice(rows.clone()).values()).copied().collect(),
            columns: self.rows.columns(),
            labels: picked(self.labels),
            groups: ranges.iter().map(ExactSizeIterator::len).collect(),
            weights: self.weights.map(picked),
            inverse_propensities: self.inverse_propensities.map(picked),
            names: self.names,
        })
    }

    /// nDCG at `k` of each query when its rows are ranked by `margins`, one a row: of equal margins the first row comes
    /// first. A query without a gain is `None`. Labels count as whole grades.
    ///
    /// # Errors
    /// [`Error::Training`] for groups and labels that are not those of the rows, [`Error::Shape`] for another number of
    /// margins.
    pub fn ndcg(&self, margins: &[f64], k: usize, gain: Gain) -> Result<Vec<Option<f64>>> {
        self.check_rows()?;
        self.check_groups()?;
        if margins.len() != self.rows.len() {
            return Err(Error::Shape(format!("there are {} margins for {} rows", margins.len(), self.rows.len())));
        }
        let value = |rows: std::ops::Range<usize>| {
            let mut ranked: Vec<usize> = rows.collect();
            ranked.sort_by(|&one, &other| margins[other].total_cmp(&margins[one]));
            let ranked: Vec<i32> = ranked.into_iter().map(|row| self.labels[row] as i32).collect();
            ranked.iter().any(|&grade| grade > 0).then(|| ndcg(&ranked, &ranked, Some(k), gain))
        };
        Ok(self.queries().map(value).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_part_has_everything_of_its_queries() {
        let names = ["one".to_owned(), "two".to_owned()];
        let values: Vec<f32> = (0..12).map(|value| value as f32).collect();
        let mut data = Dataset::new(Rows::new(&values, 2).unwrap(), &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], &[1, 3, 2]);
        data.weights = Some(&[0.0, 0.1, 0.2, 0.3, 0.4, 0.5]);
        data.inverse_propensities = Some(&[1.0, 1.1, 1.2, 1.3, 1.4, 1.5]);
        data.names = &names;
        let part = data.part(&[2, 0]).unwrap();
        let part = part.dataset().unwrap();
        assert_eq!(part.rows.values(), [8.0, 9.0, 10.0, 11.0, 0.0, 1.0]);
        assert_eq!((part.labels, part.groups, part.names), (&[4.0, 5.0, 0.0][..], &[2, 1][..], &names[..]));
        assert_eq!(part.weights, Some(&[0.4, 0.5, 0.0][..]));
        assert_eq!(part.inverse_propensities, Some(&[1.4, 1.5, 1.0][..]));
        assert!(data.part(&[3]).unwrap_err().to_string().contains("3 queries"));
    }

    #[test]
    fn each_query_is_ranked_by_its_margins() {
        let data = Dataset::new(Rows::new(&[0.0; 5], 1).unwrap(), &[0.0, 2.0, 1.0, 0.0, 0.0], &[3, 2]);
        let worst = data.ndcg(&[3.0, 1.0, 2.0, 0.0, 0.0], 10, Gain::Exponential).unwrap();
        let wanted = (1.0 / 3f64.log2() + 3.0 / 2.0) / (3.0 + 1.0 / 3f64.log2());
        assert!((worst[0].unwrap() - wanted).abs() < 1e-12 && worst[1].is_none(), "{worst:?}");
        assert_eq!(data.ndcg(&[0.0, 2.0, 1.0, 0.0, 0.0], 10, Gain::Linear).unwrap(), [Some(1.0), None]);
        assert!(data.ndcg(&[0.0], 10, Gain::Linear).is_err());
    }
}
