//! Derivatives of the loss by the score of each row.

use std::ops::Range;

use crate::metrics::discount;
use crate::threads::Threads;
use crate::train::dataset::Dataset;
use crate::train::histogram::Derivatives;
use crate::train::parameters::{LambdaMart, Objective};

/// About how many rows are worked on at once.
const BLOCK: usize = 1024;

/// The objective of a training, with what can be computed once.
pub(crate) enum Loss<'a> {
    Lambdarank(Lambdarank<'a>),
    Regression(Plain<'a>),
    Binary(Plain<'a>, f64),
}

/// An objective that looks at one row at a time.
pub(crate) struct Plain<'a> {
    labels: &'a [f32],
    weights: Option<&'a [f32]>,
}

/// LambdaRank (Burges, Ragno & Le 2006; Burges 2010) with the truncation and the normalisation of LightGBM: a pair of
/// documents of one query with different grades pulls the better one up and the other down, by how much nDCG would change
/// if they swapped ranks.
pub(crate) struct Lambdarank<'a> {
    dataset: Dataset<'a>,
    parameters: &'a LambdaMart,
    /// Queries that are worked on together.
    blocks: Vec<Block>,
    /// The discount of each rank, as far as the longest query has them.
    discounts: Vec<f64>,
    sigmoid: SigmoidTable,
}

struct Block {
    rows: Range<usize>,
    /// For each query its rows and one divided by its largest DCG, or 0.
    queries: Vec<(Range<usize>, f64)>,
}

impl<'a> Loss<'a> {
    pub(crate) fn new(dataset: &Dataset<'a>, parameters: &'a LambdaMart) -> Loss<'a> {
        let plain = Plain { labels: dataset.labels, weights: dataset.weights };
        match parameters.objective {
            Objective::Lambdarank => Loss::Lambdarank(Lambdarank::new(dataset, parameters)),
            Objective::Regression => Loss::Regression(plain),
            Objective::Binary => Loss::Binary(plain, parameters.sigmoid),
        }
    }

    /// The score that all rows start with.
    pub(crate) fn base(&self) -> f64 {
        match self {
            Loss::Lambdarank(_) => 0.0,
            Loss::Regression(plain) => plain.mean(),
            Loss::Binary(plain, sigmoid) => {
                let chance = plain.mean().clamp(1e-15, 1.0 - 1e-15);
                (chance / (1.0 - chance)).ln() / sigmoid
            }
        }
    }

    /// The derivatives of all rows at their scores.
    pub(crate) fn derive(&self, scores: &[f64], out: &mut [Derivatives], threads: &Threads) {
        match self {
            Loss::Lambdarank(lambdarank) => lambdarank.derive(scores, out, threads),
            Loss::Regression(plain) => plain.derive(scores, out, |label, score| (score - label, 1.0)),
            Loss::Binary(plain, sigmoid) => plain.derive(scores, out, |label, score| {
                let chance = 1.0 / (1.0 + (-sigmoid * score).exp());
                (sigmoid * (chance - label), sigmoid * sigmoid * chance * (1.0 - chance))
            }),
        }
    }
}

impl Plain<'_> {
    fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| f64::from(weights[row]))
    }

    /// The weighted mean of the labels; 0 where all weights are.
    fn mean(&self) -> f64 {
        let (mut sum, mut total) = (0.0, 0.0);
        for (row, &label) in self.labels.iter().enumerate() {
            sum += f64::from(label) * self.weight(row);
            total += self.weight(row);
        }
        if total > 0.0 { sum / total } else { 0.0 }
    }

    fn derive(&self, scores: &[f64], out: &mut [Derivatives], of: impl Fn(f64, f64) -> (f64, f64)) {
        for (row, out) in out.iter_mut().enumerate() {
            let (gradient, hessian) = of(f64::from(self.labels[row]), scores[row]);
            let weight = self.weight(row);
            *out = Derivatives { gradient: (gradient * weight) as f32, hessian: (hessian * weight) as f32 };
        }
    }
}

impl<'a> Lambdarank<'a> {
    fn new(dataset: &Dataset<'a>, parameters: &'a LambdaMart) -> Self {
        let longest = dataset.groups.iter().copied().max().unwrap_or_default();
        let discounts: Vec<f64> = (1..=longest).map(discount).collect();
        let mut blocks: Vec<Block> = Vec::new();
        for rows in dataset.queries() {
            let ideal = ideal_dcg(&dataset.labels[rows.clone()], &discounts, parameters);
            let query = (rows.clone(), if ideal > 0.0 { 1.0 / ideal } else { 0.0 });
            match blocks.last_mut() {
                Some(block) if block.rows.len() < BLOCK => {
                    block.rows.end = rows.end;
                    block.queries.push(query);
                }
                _ => blocks.push(Block { rows, queries: vec![query] }),
            }
        }
        let sigmoid = SigmoidTable::new(parameters.sigmoid);
        Lambdarank { dataset: *dataset, parameters, blocks, discounts, sigmoid }
    }

    fn derive(&self, scores: &[f64], out: &mut [Derivatives], threads: &Threads) {
        let mut rest = out;
        let mut works = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let (first, others) = rest.split_at_mut(block.rows.len());
            works.push((block, first));
            rest = others;
        }
        threads.for_each(&mut works, |(block, out)| {
            let mut documents = Vec::new();
            for (rows, inverse_ideal) in &block.queries {
                let start = rows.start - block.rows.start;
                let out = &mut out[start..start + rows.len()];
                self.derive_query(rows.clone(), *inverse_ideal, scores, &mut documents, out);
            }
        });
    }

    /// The derivatives of one query.
    fn derive_query(
        &self,
        rows: Range<usize>,
        inverse_ideal: f64,
        scores: &[f64],
        documents: &mut Vec<Document>,
        out: &mut [Derivatives],
    ) {
        out.fill(Derivatives::default());
        if inverse_ideal == 0.0 {
            return;
        }
        let LambdaMart { lambdarank_norm, lambdarank_truncation_level, ref label_gain, .. } = *self.parameters;
        documents.clear();
        documents.extend(rows.clone().map(|row| Document {
            row: row - rows.start,
            score: scores[row],
            grade: self.dataset.labels[row],
            gain: label_gain[self.dataset.labels[row] as usize],
            propensity: self.dataset.inverse_propensities.map_or(1.0, |factors| f64::from(factors[row])),
            gradient: 0.0,
            hessian: 0.0,
        }));
        documents.sort_by(|one, other| other.score.total_cmp(&one.score));
        let spread = documents[0].score - documents[documents.len() - 1].score;
        let is_dampened = lambdarank_norm && spread != 0.0;
        let sigmoid = self.parameters.sigmoid;
        let mut total = 0.0;
        for first in 0..documents.len().min(lambdarank_truncation_level) {
            let (upper, lower) = documents.split_at_mut(first + 1);
            let one = &mut upper[first];
            for (other, discount) in lower.iter_mut().zip(&self.discounts[first + 1..]) {
                if one.grade == other.grade {
                    continue;
                }
                // The sign of what follows: 1 where the document that is ranked first is the better one.
                let (sign, propensity) =
                    if one.grade > other.grade { (1.0, one.propensity) } else { (-1.0, other.propensity) };
                let distance = one.score - other.score;
                let mut change = (one.gain - other.gain).abs() * (self.discounts[first] - discount) * inverse_ideal;
                if is_dampened {
                    change /= 0.01 + distance;
                }
                let error = self.sigmoid.of(sign * distance);
                let pull = propensity * change * sigmoid * error;
                let curvature = pull * sigmoid * (1.0 - error);
                one.gradient -= sign * pull;
                one.hessian += curvature;
                other.gradient += sign * pull;
                other.hessian += curvature;
                total += 2.0 * pull;
            }
        }
        let factor = if lambdarank_norm && total > 0.0 { (1.0 + total).log2() / total } else { 1.0 };
        for document in documents.iter() {
            let weight = self.dataset.weights.map_or(1.0, |weights| f64::from(weights[rows.start + document.row]));
            out[document.row] = Derivatives {
                gradient: (document.gradient * factor * weight) as f32,
                hessian: (document.hessian * factor * weight) as f32,
            };
        }
    }
}

/// A document of the query that is worked on.
struct Document {
    row: usize,
    score: f64,
    grade: f32,
    gain: f64,
    propensity: f64,
    gradient: f64,
    hessian: f64,
}

/// The largest DCG of these labels at the truncation level.
fn ideal_dcg(labels: &[f32], discounts: &[f64], parameters: &LambdaMart) -> f64 {
    let mut gains: Vec<f64> = labels.iter().map(|&label| parameters.label_gain[label as usize]).collect();
    gains.sort_unstable_by(|one, other| other.total_cmp(one));
    let best = gains.iter().zip(discounts).take(parameters.lambdarank_truncation_level);
    best.map(|(gain, discount)| gain * discount).sum()
}

/// `1 / (1 + exp(steepness · x))`, by straight lines between points so near to each other that the error is below 1e-6.
struct SigmoidTable {
    values: Vec<f64>,
    points_per_unit: f64,
}

impl SigmoidTable {
    const POINTS: usize = 8192;
    /// Where the function has reached its ends, for the steepness 1.
    const END: f64 = 25.0;

    fn new(steepness: f64) -> Self {
        let points_per_unit = (Self::POINTS - 1) as f64 / (2.0 * Self::END) * steepness;
        let x = |point: usize| point as f64 / points_per_unit * steepness - Self::END;
        let values = (0..Self::POINTS).map(|point| 1.0 / (1.0 + x(point).exp())).collect();
        SigmoidTable { values, points_per_unit }
    }

    #[inline]
    fn of(&self, x: f64) -> f64 {
        let last = Self::POINTS as f64 - 1.0;
        let place = (x * self.points_per_unit + last * 0.5).clamp(0.0, last - 1.0);
        let point = place as usize;
        let (below, above) = (self.values[point], self.values[point + 1]);
        below + (place - point as f64) * (above - below)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::matrix::Rows;

    /// The derivatives straight from the definition: every ordered pair, ranks looked up, no table.
    fn plainly(dataset: &Dataset<'_>, scores: &[f64], parameters: &LambdaMart) -> Vec<(f64, f64)> {
        let mut out = vec![(0.0, 0.0); scores.len()];
        let gain = |row: usize| 2f64.powf(f64::from(dataset.labels[row])) - 1.0;
        for rows in dataset.queries() {
            let mut ranked: Vec<usize> = rows.clone().collect();
            ranked.sort_by(|&one, &other| scores[other].total_cmp(&scores[one]));
            let rank = |row: usize| ranked.iter().position(|&other| other == row).unwrap_or_default();
            let discount = |row: usize| 1.0 / (rank(row) as f64 + 2.0).log2();
            let mut ideal: Vec<f64> = rows.clone().map(gain).collect();
            ideal.sort_by(|one, other| other.total_cmp(one));
            let ideal = ideal.iter().take(parameters.lambdarank_truncation_level).enumerate();
            let ideal: f64 = ideal.map(|(rank, gain)| gain / (rank as f64 + 2.0).log2()).sum();
            let mut total = 0.0;
            let differ = scores[ranked[0]] != scores[ranked[ranked.len() - 1]];
            for better in rows.clone() {
                for worse in rows.clone() {
                    let is_seen = rank(better).min(rank(worse)) < parameters.lambdarank_truncation_level;
                    if dataset.labels[better] <= dataset.labels[worse] || !is_seen {
                        continue;
                    }
                    let distance = scores[better] - scores[worse];
                    let mut change = (gain(better) - gain(worse)) * (discount(better) - discount(worse)).abs() / ideal;
                    if parameters.lambdarank_norm && differ {
                        change /= 0.01 + distance.abs();
                    }
                    change *= dataset.inverse_propensities.map_or(1.0, |factors| f64::from(factors[better]));
                    let error = 1.0 / (1.0 + (parameters.sigmoid * distance).exp());
                    let pull = parameters.sigmoid * change * error;
                    let curvature = parameters.sigmoid.powi(2) * change * error * (1.0 - error);
                    out[better] = (out[better].0 - pull, out[better].1 + curvature);
                    out[worse] = (out[worse].0 + pull, out[worse].1 + curvature);
                    total += 2.0 * pull;
                }
            }
            for row in rows {
                let norm = if parameters.lambdarank_norm && total > 0.0 { (1.0 + total).log2() / total } else { 1.0 };
                let factor = norm * dataset.weights.map_or(1.0, |weights| f64::from(weights[row]));
                out[row] = (out[row].0 * factor, out[row].1 * factor);
            }
        }
        out
    }

    proptest! {
        #[test]
        fn lambdas_are_those_of_the_definition(
            rows in proptest::collection::vec((0u8..5, -30i32..30, 0.1f32..3.0, 1f32..9.0), 2..60),
            cut in 1usize..60,
            truncation in 1usize..40,
            lambdarank_norm in any::<bool>(),
            sigmoid in 0.3f64..3.0,
        ) {
            let values = vec![0.0f32; rows.len()];
            let labels: Vec<f32> = rows.iter().map(|row| f32::from(row.0)).collect();
            let scores: Vec<f64> = rows.iter().map(|row| f64::from(row.1) / 10.0).collect();
            let (weights, factors): (Vec<f32>, Vec<f32>) = rows.iter().map(|row| (row.2, row.3)).unzip();
            let cut = cut.min(rows.len() - 1);
            let groups = [cut, rows.len() - cut];
            let mut dataset = Dataset::new(Rows::new(&values, 1).unwrap(), &labels, &groups);
            dataset.weights = Some(&weights);
            dataset.inverse_propensities = Some(&factors);
            let parameters = LambdaMart {
                lambdarank_truncation_level: truncation, lambdarank_norm, sigmoid, ..LambdaMart::default()
            };
            let mut out = vec![Derivatives::default(); rows.len()];
            Loss::new(&dataset, &parameters).derive(&scores, &mut out, &Threads::new(1, 1).unwrap());
            for (row, (gradient, hessian)) in plainly(&dataset, &scores, &parameters).into_iter().enumerate() {
                let near = |found: f32, wanted: f64| (f64::from(found) - wanted).abs() < 1e-4 * (1.0 + wanted.abs());
                prop_assert!(near(out[row].gradient, gradient), "{row}: {:?} {gradient}", out[row]);
                prop_assert!(near(out[row].hessian, hessian), "{row}: {:?} {hessian}", out[row]);
            }
        }

        #[test]
        fn the_table_is_the_sigmoid(x in -100f64..100.0, steepness in 0.01f64..20.0) {
            let exact = 1.0 / (1.0 + (x * steepness).exp());
            prop_assert!((SigmoidTable::new(steepness).of(x) - exact).abs() < 1e-6);
        }
    }

    #[test]
    fn plain_objectives_start_at_the_mean_and_fall() {
        let rows = Rows::new(&[0.0; 4], 1).unwrap();
        let dataset = Dataset::new(rows, &[1.0, 0.0, 1.0, 1.0], &[]);
        for objective in [Objective::Regression, Objective::Binary] {
            let parameters = LambdaMart { objective, ..LambdaMart::default() };
            let loss = Loss::new(&dataset, &parameters);
            let mut out = [Derivatives::default(); 4];
            loss.derive(&[loss.base(); 4], &mut out, &Threads::new(1, 1).unwrap());
            let sum: f32 = out.iter().map(|row| row.gradient).sum();
            assert!(sum.abs() < 1e-6 && out[0].gradient < 0.0 && out[1].gradient > 0.0, "{out:?}");
        }
    }
}
