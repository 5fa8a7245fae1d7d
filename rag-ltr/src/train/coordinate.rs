//! Coordinate ascent on nDCG.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::standardise::Standardised;
use crate::error::{Error, Result};
use crate::metrics::{Gain, dcg, ideal_dcg};
use crate::model::{LinearModel, Link};
use crate::random::SplitMix64;
use crate::train::Dataset;

/// Largest grade: its exponential gain still counts beside the others.
const MAX_GRADE: f32 = 31.0;

/// By how much a weight is changed, up and down, where all weights together have the size 1: doubled from 1/1024 to 4.
const CHANGES: std::ops::RangeInclusive<i32> = -10..=2;

/// Parameters of [`coordinate_ascent`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoordinateAscent {
    /// Cutoff of the nDCG, 1 or more.
    pub k: usize,
    /// What a grade is worth.
    pub gain: Gain,
    /// From how many places the ascent starts, 1 or more: the best single feature, all features alike, and then at
    /// random.
    pub restarts: usize,
    /// Most times that all features are gone through from one start, 1 or more.
    pub sweeps: usize,
    /// An ascent ends when going through all features made the nDCG no better than by this, 0 or more.
    pub tolerance: f64,
    /// What every random choice follows from.
    pub seed: u64,
}

impl Default for CoordinateAscent {
    fn default() -> Self {
        CoordinateAscent { k: 10, gain: Gain::Exponential, restarts: 5, sweeps: 25, tolerance: 1e-4, seed: 0 }
    }
}

/// Looks for the weights of a linear ranker with the best mean nDCG of the queries: one feature after the other, in random
/// order, gets the weight that ranks best while the others stay (Metzler & Croft 2007). The columns are standardised
/// first, and a missing value counts as the mean of its column; both stay in the model. On the calling thread; the same
/// data, parameters and seed give the same weights. `is_stopped` is asked again and again; true ends the training.
///
/// Rows with equal scores rank by their grade, the worst first, so that no weights are chosen for their ties. A query
/// counts the mean weight of its rows; one whose grades are all 0 does not count.
///
/// ```
/// use rag_ltr::Rows;
/// use rag_ltr::train::{CoordinateAscent, Dataset, coordinate_ascent};
/// let features = [1.0, 9.0, 2.0, 3.0, 3.0, 1.0, 1.0, 8.0, 5.0, 9.0];
/// let data = Dataset::new(Rows::new(&features, 2)?, &[0.0, 1.0, 2.0, 0.0, 1.0], &[3, 2]);
/// let model = coordinate_ascent(&data, &CoordinateAscent::default(), &|| false)?;
/// let margins = model.margins(data.rows)?;
/// assert!(margins[2] > margins[1] && margins[1] > margins[0] && margins[4] > margins[3]);
/// # Ok::<(), rag_ltr::Error>(())
/// ```
///
/// # Errors
/// [`Error::Training`] for data that do not fit together, labels that are no whole number from 0 to 31, values that are
/// infinite, inverse propensities (nDCG has no pairs to weigh), and no query with anything to rank; [`Error::Setting`] for
/// a parameter out of its range; [`Error::Stopped`].
pub fn coordinate_ascent(
    data: &Dataset<'_>,
    parameters: &CoordinateAscent,
    is_stopped: &dyn Fn() -> bool,
) -> Result<LinearModel> {
    check(data, parameters)?;
    let columns = Standardised::new(*data)?;
    let mut ascent = Ascent::new(data, &columns, parameters)?;
    let mut random = SplitMix64::new(parameters.seed);
    let mut best: Option<Place> = None;
    for start in 0..parameters.restarts {
        let weights = match start {
            0 => ascent.best_single_feature(),
            1 => vec![1.0; ascent.features.len()],
            _ => (0..ascent.features.len()).map(|_| 2.0 * random.fraction() - 1.0).collect(),
        };
        let top = ascent.climb(weights, parameters, &mut random, is_stopped)?;
        if best.as_ref().is_none_or(|best| top.value > best.value) {
            best = Some(top);
        }
    }
    let mut weights = vec![0.0; data.rows.columns()];
    for (feature, weight) in ascent.features.iter().zip(best.map(|best| best.weights).unwrap_or_default()) {
        weights[feature.column] = weight;
    }
    columns.model(&weights, 0.0, Link::Identity)
}

fn check(data: &Dataset<'_>, parameters: &CoordinateAscent) -> Result<()> {
    for (name, value) in [("k", parameters.k), ("restarts", parameters.restarts), ("sweeps", parameters.sweeps)] {
        if value == 0 {
            return Err(Error::Setting { name, value: 0.0, range: "1 or more" });
        }
    }
    let tolerance = parameters.tolerance;
    if !(0.0..f64::INFINITY).contains(&tolerance) {
        return Err(Error::Setting { name: "tolerance", value: tolerance, range: "a finite number, 0 or more" });
    }
    data.check_rows()?;
    data.check_groups()?;
    let is_grade = |label: f32| (0.0..=MAX_GRADE).contains(&label) && label.fract() == 0.0;
    data.check_labels(is_grade, "a whole number from 0 to 31")?;
    if data.inverse_propensities.is_some() {
        let message = "coordinate ascent has no pairs to weigh; leave inverse_propensities out, or train in pairs";
        return Err(Error::Training(message.to_owned()));
    }
    Ok(())
}

/// A column that ranks anything: its standardised values, a number a row.
struct Feature {
    column: usize,
    values: Vec<f64>,
}

/// A query that has something to rank.
struct Query {
    rows: std::ops::Range<usize>,
    weight: f64,
    ideal: f64,
}

/// Weights, the scores that they give the rows, and the nDCG of those.
struct Place {
    weights: Vec<f64>,
    scores: Vec<f64>,
    value: f64,
}

struct Ascent {
    features: Vec<Feature>,
    grades: Vec<i32>,
    queries: Vec<Query>,
    k: usize,
    gain: Gain,
    /// Room for the ranking of a query.
    ranking: Vec<(f64, i32)>,
}

impl Ascent {
    fn new(data: &Dataset<'_>, columns: &Standardised<'_>, parameters: &CoordinateAscent) -> Result<Ascent> {
        let grades: Vec<i32> = data.labels.iter().map(|&label| label as i32).collect();
        let CoordinateAscent { k, gain, .. } = *parameters;
        let query = |rows: std::ops::Range<usize>| {
            let weight = rows.clone().map(|row| data.weight(row)).sum::<f64>() / rows.len() as f64;
            let ideal = ideal_dcg(grades[rows.clone()].iter().copied(), Some(k), gain);
            Query { rows, weight, ideal }
        };
        let queries: Vec<Query> =
            data.queries().map(query).filter(|query| query.ideal > 0.0 && query.weight > 0.0).collect();
        let mut features: Vec<Feature> = (0..data.rows.columns())
            .filter(|&column| columns.varies(column))
            .map(|column| Feature { column, values: Vec::with_capacity(grades.len()) })
            .collect();
        for row in 0..grades.len() {
            let mut values = columns.row(row).enumerate().filter(|&(column, _)| columns.varies(column));
            for (feature, (_, value)) in features.iter_mut().zip(&mut values) {
                feature.values.push(value);
            }
        }
        if queries.is_empty() || features.is_empty() {
            let message = "no query has a grade above 0, or no column has two values; there is nothing to rank by";
            return Err(Error::Training(message.to_owned()));
        }
        Ok(Ascent { features, grades, queries, k, gain, ranking: Vec::new() })
    }

    /// Up from some weights until no single feature leads further.
    fn climb(
        &mut self,
        weights: Vec<f64>,
        parameters: &CoordinateAscent,
        random: &mut SplitMix64,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Place> {
        let mut place = self.place(weights);
        let mut order: Vec<usize> = (0..self.features.len()).collect();
        for _ in 0..parameters.sweeps {
            let before = place.value;
            random.shuffle(&mut order);
            for &feature in &order {
                if is_stopped() {
                    return Err(Error::Stopped);
                }
                if let Some(weight) = self.better_weight(&place, feature) {
                    let mut weights = place.weights;
                    weights[feature] = weight;
                    place = self.place(weights);
                }
            }
            if place.value - before <= parameters.tolerance {
                break;
            }
        }
        Ok(place)
    }

    /// The weight of a feature that ranks better than the one that it has, and better than the others that are tried.
    fn better_weight(&mut self, place: &Place, feature: usize) -> Option<f64> {
        let now = place.weights[feature];
        let changes = CHANGES.flat_map(|power| [2f64.powi(power), -2f64.powi(power)]);
        let mut best = (None, place.value);
        for weight in changes.map(|change| now + change).chain([0.0]) {
            let change = weight - now;
            let value = self.value(&place.scores, feature, change);
            if value > best.1 {
                best = (Some(weight), value);
            }
        }
        best.0
    }

    /// All weight on the feature that ranks best by itself, upwards or downwards.
    fn best_single_feature(&mut self) -> Vec<f64> {
        let nothing = vec![0.0; self.grades.len()];
        let mut best = (0, 1.0, f64::NEG_INFINITY);
        for feature in 0..self.features.len() {
            for weight in [1.0, -1.0] {
                let value = self.value(&nothing, feature, weight);
                if value > best.2 {
                    best = (feature, weight, value);
                }
            }
        }
        let mut weights = vec![0.0; self.features.len()];
        weights[best.0] = best.1;
        weights
    }

    /// Where some weights lead; the size of all together becomes 1, which ranks alike.
    fn place(&mut self, mut weights: Vec<f64>) -> Place {
        let size: f64 = weights.iter().map(|weight| weight.abs()).sum();
        if size > 0.0 {
            for weight in &mut weights {
                *weight /= size;
            }
        }
        let mut scores = vec![0.0; self.grades.len()];
        for (feature, &weight) in self.features.iter().zip(&weights) {
            for (score, value) in scores.iter_mut().zip(&feature.values) {
                *score += weight * value;
            }
        }
        let value = self.value(&scores, 0, 0.0);
        Place { weights, scores, value }
    }

    /// The mean nDCG of the queries when the weight of a feature is changed.
    fn value(&mut self, scores: &[f64], feature: usize, change: f64) -> f64 {
        let values = &self.features[feature].values;
        let by_rank = |one: &(f64, i32), other: &(f64, i32)| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1));
        let (mut sum, mut weights) = (0.0, 0.0);
        for query in &self.queries {
            let ranking = &mut self.ranking;
            ranking.clear();
            ranking.extend(query.rows.clone().map(|row| (scores[row] + change * values[row], self.grades[row])));
            sort_first(ranking, self.k, by_rank);
            let found = dcg(ranking.iter().map(|&(_, grade)| grade), Some(self.k), self.gain);
            sum += query.weight * (found / query.ideal);
            weights += query.weight;
        }
        sum / weights
    }
}

/// Brings the first `k` into order.
fn sort_first<T>(items: &mut [T], k: usize, order: impl Fn(&T, &T) -> Ordering) {
    let first = if k < items.len() { items.select_nth_unstable_by(k, &order).0 } else { items };
    first.sort_unstable_by(order);
}
