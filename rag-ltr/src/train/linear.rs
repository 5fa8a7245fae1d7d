//! Linear rankers with one best set of weights.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, Col, Mat, Par};
use serde::{Deserialize, Serialize};

use super::newton::{Local, minimum};
use super::standardise::Standardised;
use crate::error::{Error, Result};
use crate::model::{LinearModel, Link};
use crate::train::Dataset;

/// Rows that are multiplied together where queries do not matter.
const BLOCK: usize = 256;

/// Most columns: their products are kept for every pair of them.
const MAX_COLUMNS: usize = 8192;

/// Most rows of a query whose pairs are looked at: there is a number for every two of them.
const MAX_QUERY: usize = 4096;

/// Parameters of [`linear`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Linear {
    /// What is learnt.
    pub objective: LinearObjective,
    /// Half of this times the squared length of the weights is added to the loss of all rows, 0 or more. The bias is free.
    /// The weights are those of the standardised columns.
    pub l2: f64,
    /// Whether each query counts the same for the order of pairs, whatever the number of its pairs; otherwise each pair
    /// does, and queries with many relevant documents count more.
    pub by_query: bool,
}

impl Default for Linear {
    fn default() -> Self {
        Linear { objective: LinearObjective::default(), l2: 1.0, by_query: false }
    }
}

/// What a linear ranker learns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinearObjective {
    /// The labels themselves, by half of the squared difference (ridge regression; Hoerl & Kennard 1970).
    #[default]
    Regression,
    /// The chance that a label is 1, by cross entropy (logistic regression). Labels from 0 to 1.
    Logistic,
    /// The order of the documents of each query: the chance that the better of two documents with different labels scores
    /// higher, by cross entropy (RankNet without hidden units; Burges et al. 2005). A pair counts the geometric mean of
    /// the weights of its rows, times the inverse propensity of the better one. The time grows with the square of a
    /// query's rows.
    Pairwise,
}

/// Fits a weighted sum of features. The columns are standardised first, and a missing value counts as the mean of its
/// column; both stay in the model. On the calling thread. `is_stopped` is asked again and again; true ends the training.
///
/// ```
/// use rag_ltr::Rows;
/// use rag_ltr::train::{Dataset, Linear, linear};
/// let features = [0.0, 5.0, 1.0, 4.0, 2.0, 5.0, 3.0, 4.0];
/// let rows = Rows::new(&features, 2)?;
/// let parameters = Linear { l2: 0.0, ..Linear::default() };
/// let model = linear(&Dataset::new(rows, &[1.0, 3.0, 5.0, 7.0], &[]), &parameters, &|| false)?;
/// let margins = model.margins(rows)?;
/// assert!((margins[3] - 7.0).abs() < 1e-9);
/// # Ok::<(), rag_ltr::Error>(())
/// ```
///
/// # Errors
/// [`Error::Training`] for data that do not fit together, labels that the objective has no use for, values that are
/// infinite, more than 8192 columns (for pairs also 4096 rows of a query), and weights that have no best value without a larger `l2`; [`Error::Setting`] for an
/// `l2` out of its range; [`Error::Stopped`].
pub fn linear(data: &Dataset<'_>, parameters: &Linear, is_stopped: &dyn Fn() -> bool) -> Result<LinearModel> {
    let Linear { objective, l2, by_query } = *parameters;
    if !(0.0..f64::INFINITY).contains(&l2) {
        return Err(Error::Setting { name: "l2", value: l2, range: "a finite number, 0 or more" });
    }
    check(data, objective)?;
    let fit = Fit {
        data: *data,
        columns: Standardised::new(*data)?,
        objective,
        l2,
        by_query,
        blocks: blocks(data, objective)?,
        is_stopped,
    };
    let columns = data.rows.columns();
    // A pair knows no bias.
    let size = columns + usize::from(objective != LinearObjective::Pairwise);
    let weights = match objective {
        // A parabola: its minimum is one step away.
        LinearObjective::Regression => fit.local(&Col::zeros(size))?.step()?.0,
        LinearObjective::Logistic | LinearObjective::Pairwise => minimum(size, |weights| fit.local(weights))?,
    };
    let link = match objective {
        LinearObjective::Logistic => Link::Sigmoid { steepness: 1.0 },
        LinearObjective::Regression | LinearObjective::Pairwise => Link::Identity,
    };
    let weights: Vec<f64> = weights.iter().copied().collect();
    let bias = weights.get(columns).copied().unwrap_or_default();
    fit.columns.model(&weights[..columns], bias, link)
}

fn check(data: &Dataset<'_>, objective: LinearObjective) -> Result<()> {
    data.check_rows()?;
    let columns = data.rows.columns();
    if columns > MAX_COLUMNS {
        let message = format!("the rows have {columns} columns; a linear ranker is fitted to at most {MAX_COLUMNS}");
        return Err(Error::Training(message));
    }
    match objective {
        LinearObjective::Logistic => data.check_labels(|label| (0.0..=1.0).contains(&label), "a number from 0 to 1")?,
        LinearObjective::Regression | LinearObjective::Pairwise => {
            data.check_labels(f32::is_finite, "a finite number")?;
        }
    }
    if !(0..data.rows.len()).any(|row| data.weight(row) > 0.0) {
        return Err(Error::Training("every row has the weight 0; give some more".to_owned()));
    }
    if !data.groups.is_empty() || objective == LinearObjective::Pairwise {
        data.check_groups()?;
    }
    Ok(())
}

/// The rows that are looked at together: those of a query for pairs.
fn blocks(data: &Dataset<'_>, objective: LinearObjective) -> Result<Vec<Range<usize>>> {
    let rows = data.rows.len();
    if objective != LinearObjective::Pairwise {
        return Ok((0..rows).step_by(BLOCK).map(|start| start..rows.min(start + BLOCK)).collect());
    }
    let labels = data.labels;
    let has_pair = |rows: &Range<usize>| labels[rows.clone()].iter().any(|&label| label != labels[rows.start]);
    let queries: Vec<Range<usize>> = data.queries().filter(has_pair).collect();
    if let Some(query) = queries.iter().find(|rows| rows.len() > MAX_QUERY) {
        let message = format!("a query has {} rows; pairs are made of at most {MAX_QUERY}, drop some", query.len());
        return Err(Error::Training(message));
    }
    if queries.is_empty() {
        return Err(Error::Training("no query has rows with different labels; there is no order to learn".to_owned()));
    }
    Ok(queries)
}

struct Fit<'a> {
    data: Dataset<'a>,
    columns: Standardised<'a>,
    objective: LinearObjective,
    l2: f64,
    by_query: bool,
    blocks: Vec<Range<usize>>,
    is_stopped: &'a dyn Fn() -> bool,
}

/// The loss of some rows by their margins: its value, its first derivatives, and the product of its second derivatives
/// with the features of the rows.
struct Derivatives {
    value: f64,
    first: Col<f64>,
    second: Mat<f64>,
}

impl Fit<'_> {
    /// The loss at the weights of the columns, after which the bias comes where there is one.
    fn local(&self, weights: &Col<f64>) -> Result<Local> {
        let size = weights.nrows();
        let (mut value, mut slope, mut curvature) = (0.0, Col::zeros(size), Mat::zeros(size, size));
        for block in &self.blocks {
            if (self.is_stopped)() {
                return Err(Error::Stopped);
            }
            let features = self.features(block.clone(), size);
            let margins = &features * weights;
            let derivatives = match self.objective {
                LinearObjective::Pairwise => self.pairs(block.start, &features, &margins),
                LinearObjective::Regression | LinearObjective::Logistic => {
                    self.points(block.start, &features, &margins)
                }
            };
            value += derivatives.value;
            slope += features.transpose() * derivatives.first;
            let (left, right) = (features.transpose(), &derivatives.second);
            matmul(curvature.as_mut(), Accum::Add, left, right, 1.0, Par::Seq);
        }
        for column in 0..self.data.rows.columns() {
            value += 0.5 * self.l2 * weights[column] * weights[column];
            slope[column] += self.l2 * weights[column];
            curvature[(column, column)] += self.l2;
        }
        // A weight that nothing depends on stays where it is.
        for at in 0..size {
            if curvature[(at, at)] == 0.0 {
                curvature[(at, at)] = 1.0;
            }
        }
        Ok(Local { value, slope, curvature })
    }

    /// The features of rows, and a column of ones for the bias.
    fn features(&self, rows: Range<usize>, size: usize) -> Mat<f64> {
        let mut features = Mat::full(rows.len(), size, 1.0);
        for (at, row) in rows.enumerate() {
            for (column, value) in self.columns.row(row).enumerate() {
                features[(at, column)] = value;
            }
        }
        features
    }

    /// Each row by itself.
    fn points(&self, start: usize, features: &Mat<f64>, margins: &Col<f64>) -> Derivatives {
        let rows = margins.nrows();
        let (mut value, mut first, mut second) = (0.0, Col::zeros(rows), features.clone());
        for at in 0..rows {
            let (weight, label) = (self.data.weight(start + at), f64::from(self.data.labels[start + at]));
            let (loss, slope, curvature) = if self.objective == LinearObjective::Logistic {
                let chance = sigmoid(margins[at]);
                (softplus(margins[at]) - label * margins[at], chance - label, chance * (1.0 - chance))
            } else {
                let difference = margins[at] - label;
                (0.5 * difference * difference, difference, 1.0)
            };
            value += weight * loss;
            first[at] = weight * slope;
            second.row_mut(at).iter_mut().for_each(|value| *value *= weight * curvature);
        }
        Derivatives { value, first, second }
    }

    /// Each two rows of a query that have different labels.
    fn pairs(&self, start: usize, features: &Mat<f64>, margins: &Col<f64>) -> Derivatives {
        let rows = margins.nrows();
        let label = |at: usize| self.data.labels[start + at];
        let (mut value, mut first) = (0.0, Col::zeros(rows));
        // What the second derivatives multiply the features with is symmetric, and its rows sum to 0.
        let mut factors: Mat<f64> = Mat::zeros(rows, rows);
        let share = self.share_of_pair(start, rows);
        for better in 0..rows {
            for worse in (0..rows).filter(|&worse| label(better) > label(worse)) {
                let weight = share * self.pair_weight(start + better, start + worse);
                let margin = margins[better] - margins[worse];
                let doubt = sigmoid(-margin);
                value += weight * softplus(-margin);
                first[better] -= weight * doubt;
                first[worse] += weight * doubt;
                let curvature = weight * doubt * (1.0 - doubt);
                factors[(better, better)] += curvature;
                factors[(worse, worse)] += curvature;
                factors[(better, worse)] -= curvature;
                factors[(worse, better)] -= curvature;
            }
        }
        Derivatives { value, first, second: factors * features }
    }

    /// What each pair of a query counts: 1, or what makes all of them together count 1.
    fn share_of_pair(&self, start: usize, rows: usize) -> f64 {
        if !self.by_query {
            return 1.0;
        }
        let label = |at: usize| self.data.labels[start + at];
        let pairs = (0..rows).flat_map(|better| (0..rows).map(move |worse| (better, worse)));
        let pairs = pairs.filter(|&(better, worse)| label(better) > label(worse));
        let sum: f64 = pairs.map(|(better, worse)| self.pair_weight(start + better, start + worse)).sum();
        if sum > 0.0 { 1.0 / sum } else { 1.0 }
    }

    fn pair_weight(&self, better: usize, worse: usize) -> f64 {
        let chance = self.data.inverse_propensities.map_or(1.0, |inverse| f64::from(inverse[better]));
        (self.data.weight(better) * self.data.weight(worse)).sqrt() * chance
    }
}

fn sigmoid(margin: f64) -> f64 {
    1.0 / (1.0 + (-margin).exp())
}

/// `ln(1 + exp(margin))`.
fn softplus(margin: f64) -> f64 {
    margin.max(0.0) + (-margin.abs()).exp().ln_1p()
}
