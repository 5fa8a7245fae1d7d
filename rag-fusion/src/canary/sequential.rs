//! Always-valid inference: how much worse the mean of one arm is than that of the other, read as often as one likes.

use serde::{Deserialize, Serialize};

/// Number, mean and squared distances from it: what is kept of the values of an arm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Moments {
    pub(super) n: u64,
    pub(super) mean: f64,
    /// `Σ (x − mean)²`.
    squares: f64,
}

/// Most values that a count of a saved state is believed to have: all whole numbers up to here are 64-bit floats too.
pub(super) const MOST: u64 = 1 << 53;

/// What sums may be off by through rounding.
const ROUNDING: f64 = 1e-9;

/// One value at each end of `[0, 1]`.
const ENDS: Moments = Moments { n: 2, mean: 0.5, squares: 0.5 };

impl Moments {
    /// Counts one value (Welford 1962).
    pub(super) fn add(&mut self, value: f64) {
        *self = self.merge(&Moments { n: 1, mean: value, squares: 0.0 });
    }

    /// The moments of both together (Chan, Golub & LeVeque 1979).
    pub(super) fn merge(&self, other: &Moments) -> Moments {
        let n = self.n + other.n;
        if n == 0 {
            return Moments::default();
        }
        let (of_all, shift) = (other.n as f64 / n as f64, other.mean - self.mean);
        Moments {
            n,
            mean: self.mean + shift * of_all,
            squares: self.squares + other.squares + shift * shift * of_all * self.n as f64,
        }
    }

    /// The variance of values of `[0, 1]`, with one more value at either end of the range (Agresti & Caffo 2000): a
    /// rate of which no event was seen yet is not thought to be without variance.
    fn variance(&self) -> f64 {
        let wider = self.merge(&ENDS);
        wider.squares / wider.n as f64
    }

    /// Whether these can be the moments of values of `[0, 1]`.
    pub(super) fn is_possible(&self) -> bool {
        let squares = 0.0..=self.n as f64;
        self.n <= MOST && (-ROUNDING..=1.0 + ROUNDING).contains(&self.mean) && squares.contains(&self.squares)
    }
}

/// The difference of two means, added up over strata within which the share of the arms did not change.
///
/// Pooling the steps of a ramp would compare a control of mostly early requests with a candidate of mostly late ones
/// (Simpson's paradox; Kohavi, Tang & Xu 2020, chapter 15). So each step is compared within itself, and the steps are
/// added with the weights of Cochran (1954) and of Mantel & Haenszel (1959), `w = n₁n₂ / (n₁ + n₂)`. With a share `π`
/// of the candidate, `w·(mean₁ − mean₂) = (1 − π)·Σx₁ − π·Σx₂`: a random walk with drift, whatever decided when a
/// step ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Difference {
    /// `Σ w`: the drift of the walk for a difference of 1.
    weight: f64,
    /// `Σ w · (candidate − control)`: where the walk is.
    walk: f64,
    /// `Σ w² · (σ₁²/n₁ + σ₂²/n₂)`: its variance.
    variance: f64,
}

impl Difference {
    /// With one stratum more; one that lacks an arm says nothing.
    pub(super) fn with(&self, control: &Moments, candidate: &Moments) -> Difference {
        if control.n == 0 || candidate.n == 0 {
            return *self;
        }
        let (n1, n2) = (candidate.n as f64, control.n as f64);
        let weight = n1 * n2 / (n1 + n2);
        Difference {
            weight: self.weight + weight,
            walk: self.walk + weight * (candidate.mean - control.mean),
            variance: self.variance + weight * weight * (candidate.variance() / n1 + control.variance() / n2),
        }
    }

    /// The estimate, and the variance of it; none without a stratum.
    pub(super) fn estimate(&self) -> Option<(f64, f64)> {
        (self.weight > 0.0).then(|| (self.walk / self.weight, self.variance / self.weight.powi(2)))
    }

    /// Whether it can have come from values of `[0, 1]`.
    pub(super) fn is_possible(&self) -> bool {
        let known = [self.weight, self.walk, self.variance].iter().all(|number| number.is_finite());
        known && self.weight >= 0.0 && self.variance >= 0.0 && self.walk.abs() <= self.weight * (1.0 + ROUNDING)
    }
}

/// How far an estimate of variance `variance` lies from the truth, to one side: with probability `1 − alpha`, at no
/// time further.
///
/// The mixture boundary of Robbins (1970), one-sided in the closed form of Howard, Ramdas, McAuliffe & Sekhon (2021).
/// With the information `I = 1 / variance` and the mixing deviation `τ`:
///
/// ```text
/// radius = √( 2 · (I + τ⁻²) / I² · ln(1 + √(1 + I·τ²) / (2·alpha)) )
/// ```
///
/// It is exact for a Brownian motion in the time `I`; that sums of independent values of finite variance, with the
/// variance estimated, come as near to one as one likes is what Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2024)
/// show, so the first values need a burn-in. Johari, Pekelis & Walsh (2015) have the two-sided form of it as mSPRT.
///
/// `τ` is the size of the differences for which the bound is narrowest. The `I` at which the radius is `m` is least for
/// `τ` near `m` (within 1 % for `alpha` of 0.001 to 0.1), so callers give the margin that they want to tell from 0.
pub(super) fn radius(variance: f64, tau: f64, alpha: f64) -> f64 {
    // `I·τ²`, the information in units of the mixture.
    let time = tau * tau / variance;
    let crossing = 2.0 * (1.0 + (1.0 + time).sqrt() / (2.0 * alpha)).ln();
    (variance * (1.0 + 1.0 / time) * crossing).sqrt()
}

/// The radius of a bound that is to find harm of any size: the narrower of two that share `alpha`, one for harm about
/// as large as the margin, and one for harm [`GROSS`] times that, which a few hundred requests show.
pub(super) fn radius_of_harm(variance: f64, margin: f64, alpha: f64) -> f64 {
    let each = alpha / 2.0;
    radius(variance, margin, each).min(radius(variance, GROSS * margin, each))
}

/// Gross harm, in margins.
const GROSS: f64 = 16.0;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn moments(values: &[f64]) -> Moments {
        let mut all = Moments::default();
        for &value in values {
            all.add(value);
        }
        all
    }

    proptest! {
        #[test]
        fn merged_moments_are_those_of_all_values(values in prop::collection::vec(0.0..=1.0, 0..60), cut in 0usize..60) {
            let (left, right) = values.split_at(cut.min(values.len()));
            let n = values.len().max(1) as f64;
            let mean = values.iter().sum::<f64>() / n;
            let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
            for merged in [moments(left).merge(&moments(right)), moments(right).merge(&moments(left))] {
                prop_assert_eq!(merged.n, values.len() as u64);
                prop_assert!((merged.mean - mean).abs() < 1e-12);
                prop_assert!((merged.squares - squares).abs() < 1e-12);
                prop_assert!(merged.is_possible());
            }
        }
    }

    #[test]
    fn variance_counts_one_more_value_at_either_end() {
        // Of 0, 1, 0.5 and 0.5.
        assert!((moments(&[0.5, 0.5]).variance() - 0.125).abs() < 1e-15);
        // A rate of 0 of 98: as one event in 100.
        assert!((moments(&[0.0; 98]).variance() - 0.01 * 0.99).abs() < 1e-15);
    }

    /// `∫ 2τ⁻¹φ(δ/τ) · exp(δ·S − δ²I/2) dδ` over `δ > 0`, added up in small steps: the mixture that [`radius`] bounds,
    /// where `S = estimate · I`.
    fn mixture(estimate: f64, variance: f64, tau: f64) -> f64 {
        let information = 1.0 / variance;
        let width = tau / 2000.0;
        let density = |effect: f64| {
            let prior = (2.0 / std::f64::consts::PI).sqrt() / tau * (-0.5 * (effect / tau).powi(2)).exp();
            prior * (effect * estimate * information - 0.5 * effect * effect * information).exp()
        };
        (0..20_000).map(|step| density((f64::from(step) + 0.5) * width) * width).sum()
    }

    #[test]
    fn at_the_radius_the_mixture_has_reached_its_level_and_hardly_more() {
        for alpha in [0.001, 0.01, 0.05, 0.1] {
            for (variance, tau) in [(1.0, 0.1), (1.0, 1.0), (0.01, 1.0), (0.0025, 1.0), (1e-6, 0.005)] {
                let reached = alpha * mixture(radius(variance, tau, alpha), variance, tau);
                assert!((1.0..1.2).contains(&reached), "{reached} at alpha {alpha}, variance {variance}, tau {tau}");
            }
        }
    }

    #[test]
    fn a_mixture_as_wide_as_the_margin_needs_nearly_the_least_information() {
        // The information at which the radius is 1, by bisection.
        let needed = |tau: f64, alpha: f64| {
            let (mut low, mut high) = (0.1, 1e4);
            for _ in 0..60 {
                let middle = f64::midpoint(low, high);
                *(if radius(1.0 / middle, tau, alpha) > 1.0 { &mut low } else { &mut high }) = middle;
            }
            low
        };
        for alpha in [0.001, 0.01, 0.05, 0.1] {
            let least =
                (1..400).map(|hundredths| needed(f64::from(hundredths) / 100.0, alpha)).fold(f64::INFINITY, f64::min);
            assert!(needed(1.0, alpha) < 1.01 * least, "{} against {least} at alpha {alpha}", needed(1.0, alpha));
        }
    }

    /// How many of `seeds` experiments without a difference are ever outside the bound, on either side, when they are
    /// looked at after each request. `next` draws a value. The ramp goes on as soon as the candidate looks better, so
    /// its end depends on the outcome.
    fn ever_outside(seeds: u64, next: fn(&mut SmallRng) -> f64, bound: fn(f64) -> f64) -> [f64; 2] {
        let mut outside = [0.0; 2];
        for seed in 0..seeds {
            let mut rng = SmallRng::seed_from_u64(seed);
            let (mut step, mut past) = ([Moments::default(); 2], Difference::default());
            let mut crossed = [false; 2];
            let mut shares = [0.1, 0.25, 0.5].into_iter();
            let mut share = shares.next().unwrap();
            for request in 1..=6000 {
                let value = next(&mut rng);
                step[usize::from(rng.random::<f64>() < share)].add(value);
                let now = past.with(&step[0], &step[1]);
                let Some((estimate, variance)) = now.estimate() else { continue };
                if request >= 1000 {
                    crossed[0] |= estimate > bound(variance);
                    crossed[1] |= -estimate > bound(variance);
                }
                if request % 1000 == 0
                    && estimate < 0.0
                    && let Some(more) = shares.next()
                {
                    (share, past, step) = (more, now, [Moments::default(); 2]);
                }
            }
            (0..2).for_each(|side| outside[side] += f64::from(crossed[side]) / seeds as f64);
        }
        outside
    }

    #[test]
    fn without_a_difference_the_bound_is_ever_passed_in_at_most_alpha() {
        type Way = (fn(&mut SmallRng) -> f64, fn(f64) -> f64);
        let ways: [Way; 3] = [
            (|rng| rng.random(), |variance| radius(variance, 0.03, 0.05)),
            (|rng| f64::from(rng.random::<f64>() < 0.005), |variance| radius_of_harm(variance, 0.005, 0.05)),
            (|rng| f64::from(rng.random::<f64>() < 0.6), |variance| radius(variance, 0.05, 0.05)),
        ];
        for (way, (next, bound)) in ways.into_iter().enumerate() {
            let outside = ever_outside(400, next, bound);
            assert!(outside.iter().all(|&share| share <= 0.05), "{outside:?} in {way}");
        }
        // What a test for one look would do here: the bound is what keeps the promise, not the data.
        let one_look = ever_outside(400, Rng::random::<f64>, |variance| 1.645 * variance.sqrt());
        assert!(one_look.iter().all(|&share| share > 0.15), "{one_look:?}");
    }
}
