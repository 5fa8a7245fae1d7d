//! Student's paired t-test.

use std::f64::consts::PI;

use crate::error::Result;
use crate::significance::{differences, mean};

/// What a paired t-test says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TTest {
    /// Mean of `b − a`.
    pub mean_difference: f64,
    /// The mean in units of its standard error. Infinite where all differences are equal and not 0; 0 where all are 0.
    pub t: f64,
    /// Degrees of freedom: the number of pairs less 1.
    pub degrees: usize,
    /// Two-sided, in `[0, 1]`.
    pub p: f64,
}

/// The paired t-test (Student 1908). It takes the differences as drawn from a normal distribution; Smucker, Allan &
/// Carterette (CIKM 2007) find it to agree with the randomisation test on TREC runs.
///
/// Where all differences are 0, `p` is 1 (scipy gives NaN); where all are equal otherwise, 0.
///
/// # Errors
/// [`Error::Lengths`](crate::Error::Lengths), [`Error::TooFew`](crate::Error::TooFew),
/// [`Error::Sample`](crate::Error::Sample).
pub fn t_test(a: &[f64], b: &[f64]) -> Result<TTest> {
    let differences = differences(a, b)?;
    let (count, mean) = (differences.len() as f64, mean(&differences));
    let squares: f64 = differences.iter().map(|difference| (difference - mean).powi(2)).sum();
    let error = (squares / (count - 1.0) / count).sqrt();
    let t = if mean == 0.0 { 0.0 } else { mean / error };
    Ok(TTest { mean_difference: mean, t, degrees: differences.len() - 1, p: two_sided_p(t, count - 1.0) })
}

/// How probable a value at least as far from 0 as `t` is under Student's t distribution:
/// `I_x(ν/2, 1/2)` at `x = ν / (ν + t²)`, with `I` the regularised incomplete beta function (Abramowitz & Stegun 1964,
/// 26.7.1 and 26.5.2). `degrees` (ν) is above 0. The relative error is below 1e-10 up to 10,000 degrees.
pub fn two_sided_p(t: f64, degrees: f64) -> f64 {
    if t.is_infinite() {
        return 0.0;
    }
    let square = t * t;
    regularized_beta(degrees / (degrees + square), square / (degrees + square), degrees / 2.0, 0.5)
}

/// The regularised incomplete beta function `I_x(a, b)`, given `x` and `1 − x`, so that neither is rounded away.
fn regularized_beta(x: f64, complement: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if complement <= 0.0 {
        return 1.0;
    }
    let front = (a * x.ln() + b * complement.ln() + ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b)).exp();
    // The fraction converges fast below the mean of the distribution; above, its mirror image does.
    if x < (a + 1.0) / (a + b + 2.0) {
        (front * beta_fraction(x, a, b) / a).min(1.0)
    } else {
        (1.0 - front * beta_fraction(complement, b, a) / b).clamp(0.0, 1.0)
    }
}

/// The continued fraction of the incomplete beta function (Abramowitz & Stegun 26.5.8), evaluated from the front by the
/// recurrence of Lentz (1976) as changed by Thompson & Barnett (1986).
fn beta_fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    const STEPS: usize = 10_000;
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    // The ratios of successive numerators and of successive denominators.
    let (mut numerator, mut denominator) = (1.0, 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0)));
    let mut value = denominator;
    for step in 1..=STEPS {
        let step = step as f64;
        let twice = a + 2.0 * step;
        let even = step * (b - step) * x / ((twice - 1.0) * twice);
        let odd = -(a + step) * (a + b + step) * x / (twice * (twice + 1.0));
        let mut change = 1.0;
        for coefficient in [even, odd] {
            denominator = 1.0 / away_from_zero(1.0 + coefficient * denominator);
            numerator = away_from_zero(1.0 + coefficient / numerator);
            change = numerator * denominator;
            value *= change;
        }
        if (change - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    value
}

/// Logarithm of the gamma function for `x` above 0: Stirling's series (Abramowitz & Stegun 6.1.41) from 16 on, and
/// `Γ(x + 1) = x Γ(x)` below.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut product) = (x, 1.0);
    while x < 16.0 {
        product *= x;
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series =
        (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square * (1.0 / 1680.0 - square / 1188.0)))) / x;
    (x - 0.5) * x.ln() - x + (2.0 * PI).ln() / 2.0 + series - f64::ln(product)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gamma_of_integers_and_halves() {
        let mut factorial = 1.0f64;
        for n in 1..60 {
            assert!((ln_gamma(f64::from(n)) - factorial.ln()).abs() <= 1e-13 * (1.0 + factorial.ln()), "{n}");
            factorial *= f64::from(n);
        }
        assert!((ln_gamma(0.5) - PI.sqrt().ln()).abs() < 1e-14);
    }

    #[test]
    fn beta_has_its_closed_forms_and_its_symmetry() {
        for x in [1e-9, 0.1, 0.5, 0.9, 1.0 - 1e-9] {
            assert!((regularized_beta(x, 1.0 - x, 1.0, 1.0) - x).abs() < 1e-14);
            assert!((regularized_beta(x, 1.0 - x, 3.0, 1.0) - x.powi(3)).abs() < 1e-14);
            let sum = regularized_beta(x, 1.0 - x, 2.5, 7.0) + regularized_beta(1.0 - x, x, 7.0, 2.5);
            assert!((sum - 1.0).abs() < 1e-13);
        }
        assert_eq!(regularized_beta(0.0, 1.0, 2.0, 2.0), 0.0);
        assert_eq!(regularized_beta(1.0, 0.0, 2.0, 2.0), 1.0);
    }

    #[test]
    fn one_degree_is_the_cauchy_distribution() {
        for t in [0.0, 1e-6, 0.5, 1.0, 30.0, 1e8] {
            // arctan(1/t) loses nothing for large t.
            let exact = 2.0 / PI * f64::atan(1.0 / t);
            assert!((two_sided_p(t, 1.0) - exact).abs() <= 1e-12 * exact, "{t}");
        }
        assert_eq!(two_sided_p(f64::INFINITY, 5.0), 0.0);
        assert_eq!(two_sided_p(0.0, 5.0), 1.0);
    }
}
