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

    /// The variance of values of `[0, 1]`, with one more value at either end of the range (Agresti & Caffo 2000): a rate
    /// of which no event was seen yet is not thought to be without variance.
    fn variance(&self) -> f64 {
        let wider = self.merge(&ENDS);
        wider.squares / wider.n as f64
    }

    /// Whether these can be the moments of values of `[0, 1]`.
    pub(super) fn is_possible(&self) -> bool {
        (0.0..=1.0).contains(&self.mean) && self.squares.is_finite() && self.squares >= 0.0
    }
}

/// The difference of two means, added up over strata within which the share of the arms did not change.
///
/// Pooling the steps of a ramp would compare a control of mostly early requests with a candidate of mostly late ones
/// (Simpson's paradox; Kohavi, Tang & Xu 2020, chapter 15). So each step is compared within itself, and the steps are added with the
/// weights of Cochran (1954) and of Mantel & Haenszel (1959), `w = n₁n₂ / (n₁ + n₂)`. With a share `π` of the candidate,
/// `w·(mean₁ − mean₂) = (1 − π)·Σx₁ − π·Σx₂`: a random walk with drift, whatever decided when a step ends.
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
        known && self.weight >= 0.0 && self.variance >= 0.0 && self.walk.abs() <= self.weight
    }
}

/// How far an estimate of variance `variance` lies from the truth, to one side: with probability `1 − alpha`, at no time
/// further.
///
/// The mixture boundary of Robbins (1970), one-sided in the closed form of Howard, Ramdas, McAuliffe & Sekhon (2021). With
/// the information `I = 1 / variance` and the mixing deviation `τ`,
/// `radius = √( 2 · (I + τ⁻²) / I² · ln(1 + √(1 + I·τ²) / (2·alpha)) )`.
/// It is exact for a Brownian motion in the time `I`; that sums of independent values of finite variance, with the
/// variance estimated, come as near to one as one likes is what Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2024) show,
/// so the first values need a burn-in. Johari, Pekelis & Walsh (2015) have the two-sided form of it as mSPRT.
///
/// `τ` is the size of the differences for which the bound is narrowest. The `I` at which the radius is `m` is least for
/// `τ` near `m` (within 1 % for `alpha` of 0.001 to 0.1), so callers give the margin that they want to tell from 0.
pub(super) fn radius(variance: f64, tau: f64, alpha: f64) -> f64 {
    // `I·τ²`, the information in units of the mixture.
    let time = tau * tau / variance;
    let crossing = 2.0 * (1.0 + (1.0 + time).sqrt() / (2.0 * alpha)).ln();
    (variance * (1.0 + 1.0 / time) * crossing).sqrt()
}
