//! Means over independent units, and how far they may be off by chance.

use crate::random::SplitMix64;
use crate::significance::{Resampling, quantile, two_sided_p};

/// An estimate and how far it may be off.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its standard error, by linearisation over the sessions.
    pub standard_error: f64,
    /// The interval `value ± t · standard_error` with the quantile of Student's t distribution: lower and upper end.
    pub normal: (f64, f64),
    /// The percentile interval of samples of sessions drawn with replacement (Efron & Tibshirani 1993, chapter 13).
    pub bootstrap: (f64, f64),
}

impl Estimate {
    /// Of nothing.
    pub(super) const NONE: Estimate = Estimate {
        value: f64::NAN,
        standard_error: f64::NAN,
        normal: (f64::NAN, f64::NAN),
        bootstrap: (f64::NAN, f64::NAN),
    };
}

/// What one unit adds to the sums that estimates are ratios of.
pub(super) type Sums<const N: usize> = [f64; N];

/// A quantity made of sums: a linear combination of them, divided by one, and times the ratio of two others if told.
pub(super) struct Quantity<const N: usize> {
    pub(super) terms: Sums<N>,
    pub(super) over: usize,
    pub(super) times: Option<(usize, usize)>,
}

impl<const N: usize> Quantity<N> {
    fn value(&self, sums: &Sums<N>) -> f64 {
        let factor = self.times.map_or(1.0, |(part, whole)| sums[part] / sums[whole]);
        self.combination(sums) / sums[self.over] * factor
    }

    fn combination(&self, sums: &Sums<N>) -> f64 {
        self.terms.iter().zip(sums).map(|(term, sum)| term * sum).sum()
    }

    /// The derivative by each sum.
    fn gradient(&self, sums: &Sums<N>) -> Sums<N> {
        let factor = self.times.map_or(1.0, |(part, whole)| sums[part] / sums[whole]);
        let mut gradient = self.terms.map(|term| term * factor / sums[self.over]);
        gradient[self.over] -= self.value(sums) / sums[self.over];
        if let Some((part, whole)) = self.times {
            gradient[part] += self.combination(sums) / sums[self.over] / sums[whole];
            gradient[whole] -= self.value(sums) / sums[whole];
        }
        gradient
    }
}

/// Estimates quantities of the sums over all units. Every quantity sees the same samples.
pub(super) fn estimates<const N: usize>(
    units: &[Sums<N>],
    quantities: &[Quantity<N>],
    resampling: Resampling,
) -> Vec<Estimate> {
    let count = units.len();
    let mut totals = [0.0; N];
    for unit in units {
        add(&mut totals, unit);
    }
    let mut random = SplitMix64::new(resampling.seed);
    let mut samples: Vec<Vec<f64>> = vec![Vec::with_capacity(resampling.samples); quantities.len()];
    for _ in 0..resampling.samples {
        let mut sums = [0.0; N];
        (0..count).filter_map(|_| units.get(random.below(count))).for_each(|unit| add(&mut sums, unit));
        for (samples, quantity) in samples.iter_mut().zip(quantities) {
            let value = quantity.value(&sums);
            samples.extend(value.is_finite().then_some(value));
        }
    }
    let tail = (1.0 - resampling.confidence) / 2.0;
    let t = t_quantile(resampling.confidence, count.saturating_sub(1));
    let estimate = |(quantity, mut samples): (&Quantity<N>, Vec<f64>)| {
        let value = quantity.value(&totals);
        let gradient = quantity.gradient(&totals);
        let means = totals.map(|total| total / count as f64);
        let shift = |unit: &Sums<N>| -> f64 {
            unit.iter().zip(&means).zip(&gradient).map(|((part, mean), slope)| slope * (part - mean)).sum()
        };
        // In units of the largest shift, so that no square overflows.
        let largest = units.iter().map(|unit| shift(unit).abs()).fold(f64::MIN_POSITIVE, f64::max);
        let squares: f64 = units.iter().map(|unit| (shift(unit) / largest).powi(2)).sum();
        let standard_error = largest * (squares * count as f64 / (count as f64 - 1.0)).sqrt();
        samples.sort_unstable_by(f64::total_cmp);
        Estimate {
            value,
            standard_error,
            normal: (value - t * standard_error, value + t * standard_error),
            bootstrap: (quantile(&samples, tail), quantile(&samples, 1.0 - tail)),
        }
    };
    quantities.iter().zip(samples).map(estimate).collect()
}

fn add<const N: usize>(sums: &mut Sums<N>, unit: &Sums<N>) {
    sums.iter_mut().zip(unit).for_each(|(sum, part)| *sum += part);
}

/// The value that a variable of Student's t distribution stays within, on both sides, with this confidence.
fn t_quantile(confidence: f64, degrees: usize) -> f64 {
    // Beyond this many it is the normal distribution's to four digits.
    let degrees = degrees.clamp(1, 10_000) as f64;
    let (mut low, mut high) = (0.0, 1e9);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if two_sided_p(middle, degrees) > 1.0 - confidence {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_the_tabled_ones() {
        for (confidence, degrees, expected) in
            [(0.95, 1, 12.7062), (0.95, 10, 2.2281), (0.9, 30, 1.6973), (0.95, 1_000_000, 1.9602)]
        {
            assert!((t_quantile(confidence, degrees) - expected).abs() < 1e-4, "{degrees}");
        }
    }

    #[test]
    fn the_error_of_a_mean_is_the_textbook_one() {
        let units: Vec<[f64; 2]> = [1.0, 4.0, 2.0, 7.0, 6.0].map(|value| [value, 1.0]).to_vec();
        let mean = Quantity { terms: [1.0, 0.0], over: 1, times: None };
        let estimate = estimates(&units, &[mean], Resampling::default())[0];
        assert_eq!(estimate.value, 4.0);
        assert!((estimate.standard_error - (26.0f64 / 4.0 / 5.0).sqrt()).abs() < 1e-12);
        assert!(estimate.bootstrap.0 > estimate.normal.0 && estimate.bootstrap.1 < estimate.normal.1);
    }

    #[test]
    fn a_gradient_is_what_a_small_step_changes() {
        let quantity = Quantity { terms: [2.0, -1.0, 0.0, 0.5], over: 1, times: Some((2, 3)) };
        let sums = [3.0, 5.0, 7.0, 11.0];
        for (at, slope) in quantity.gradient(&sums).into_iter().enumerate() {
            let (mut below, mut above) = (sums, sums);
            below[at] -= 1e-6;
            above[at] += 1e-6;
            assert!((slope - (quantity.value(&above) - quantity.value(&below)) / 2e-6).abs() < 1e-8, "{at}");
        }
    }
}
