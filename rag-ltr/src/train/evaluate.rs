//! How good scores are, for the learning curve.

use crate::metrics::discount;
use crate::train::dataset::Dataset;
use crate::train::parameters::{LambdaMart, Objective};

/// What the learning curve shows.
pub(crate) struct Evaluator<'a> {
    dataset: Dataset<'a>,
    parameters: &'a LambdaMart,
    /// Query by query the largest DCG at each cutoff.
    ideals: Vec<f64>,
    discounts: Vec<f64>,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(dataset: &Dataset<'a>, parameters: &'a LambdaMart) -> Self {
        let mut evaluator = Evaluator { dataset: *dataset, parameters, ideals: Vec::new(), discounts: Vec::new() };
        if parameters.objective == Objective::Lambdarank {
            let deepest = parameters.eval_at.iter().copied().max().unwrap_or_default();
            let longest = dataset.groups.iter().copied().max().unwrap_or_default();
            evaluator.discounts = (1..=longest.min(deepest)).map(discount).collect();
            for rows in dataset.queries() {
                let mut ideal: Vec<usize> = rows.collect();
                ideal.sort_by(|&one, &other| dataset.labels[other].total_cmp(&dataset.labels[one]));
                let ideals = parameters.eval_at.iter().map(|&cutoff| evaluator.dcg(&ideal, cutoff));
                let ideals: Vec<f64> = ideals.collect();
                evaluator.ideals.extend(ideals);
            }
        }
        evaluator
    }

    /// Whether more is better.
    pub(crate) fn is_gain(&self) -> bool {
        self.parameters.objective == Objective::Lambdarank
    }

    /// The values of these scores: mean nDCG at each cutoff, or the loss.
    pub(crate) fn values(&self, scores: &[f64]) -> Vec<f64> {
        let rows = self.dataset.labels.iter().zip(scores).map(|(&label, &score)| (f64::from(label), score));
        let mean = |losses: f64| vec![losses / scores.len() as f64];
        match self.parameters.objective {
            Objective::Lambdarank => self.ndcg(scores),
            Objective::Regression => mean(rows.map(|(label, score)| (label - score).powi(2)).sum()),
            Objective::Binary => mean(
                rows.map(|(label, score)| {
                    let towards = if label > 0.0 { score } else { -score };
                    let margin = self.parameters.sigmoid * towards;
                    // ln(1 + exp(−margin)), without an overflow.
                    (-margin.abs()).exp().ln_1p() + (-margin).max(0.0)
                })
                .sum(),
            ),
        }
    }

    /// Documents with equal scores stay in their order; a query without a gain counts as 0.
    fn ndcg(&self, scores: &[f64]) -> Vec<f64> {
        let cutoffs = &self.parameters.eval_at;
        let mut sums = vec![0.0; cutoffs.len()];
        let mut ranked: Vec<usize> = Vec::new();
        for (query, rows) in self.dataset.queries().enumerate() {
            ranked.clear();
            ranked.extend(rows);
            ranked.sort_by(|&one, &other| scores[other].total_cmp(&scores[one]));
            for (position, &cutoff) in cutoffs.iter().enumerate() {
                let ideal = self.ideals[query * cutoffs.len() + position];
                if ideal > 0.0 {
                    sums[position] += self.dcg(&ranked, cutoff) / ideal;
                }
            }
        }
        let queries = self.dataset.groups.len() as f64;
        sums.into_iter().map(|sum| sum / queries).collect()
    }

    fn dcg(&self, ranked: &[usize], cutoff: usize) -> f64 {
        let gain = |row: usize| self.parameters.label_gain[self.dataset.labels[row] as usize];
        ranked.iter().zip(&self.discounts).take(cutoff).map(|(&row, discount)| gain(row) * discount).sum()
    }
}
