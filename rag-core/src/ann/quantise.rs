//! Symmetric int8 quantisation with one scale for each row, and what it costs at most.
//!
//! A row `x` is stored as codes `c` in `-127..=127` and a scale `s = max|xᵢ| / 127`, so that `x ≈ s·c`. With the error
//! vectors `e = x − s·c` of the row and `f = q − t·d` of the query, the true inner product is
//!
//! ```text
//! x·q = s·t·(c·d) + e·q + s·c·f      so      |x·q − s·t·(c·d)| ≤ ‖e‖·‖q‖ + ‖s·c‖·‖f‖      (Cauchy-Schwarz)
//! ```
//!
//! All four lengths are known exactly (they are measured, not estimated), which makes the interval around an approximate
//! score a certain one. Whatever lies below the k-th best lower end can be dropped without reading its full-precision
//! row: the scan stays exact.

use crate::distance::norm_f32;

/// Longest vector (Euclidean length) that an index takes: inner products of such vectors are finite in `f32`.
pub(crate) const MAX_LENGTH: f64 = 1e18;

/// Relative widening of every stored bound, far above what rounding it to `f32` can take away.
const WIDEN: f64 = 1.0 + 1e-6;

/// What is known of one quantised row besides its codes. The lengths are rounded up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quantised {
    /// `s`: a row is about `scale · codes`. 0 for a row that is (almost) zero.
    pub(crate) scale: f32,
    /// `‖x − s·c‖`.
    pub(crate) error: f32,
    /// The larger of `‖x‖` and `‖s·c‖`.
    pub(crate) length: f32,
}

/// Writes the codes of `row` into `codes`, which has the same length.
pub(crate) fn quantise(row: &[f32], codes: &mut [i8]) -> Quantised {
    let largest = row.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let scale = largest / 127.0;
    if !scale.is_normal() {
        codes.fill(0);
        let length = round_up(norm_f32(row));
        return Quantised { scale: 0.0, error: length, length };
    }
    let (mut error, mut coded) = (0.0f64, 0.0f64);
    for (code, &value) in codes.iter_mut().zip(row) {
        *code = (value / scale).round().clamp(-127.0, 127.0) as i8;
        let back = f64::from(scale) * f64::from(*code);
        error += (f64::from(value) - back).powi(2);
        coded += back * back;
    }
    Quantised { scale, error: round_up(error.sqrt()), length: round_up(coded.sqrt().max(norm_f32(row))) }
}

fn round_up(length: f64) -> f32 {
    if length == 0.0 { 0.0 } else { (length * WIDEN) as f32 + f32::MIN_POSITIVE }
}

/// A query, quantised like a row.
#[derive(Debug)]
pub(crate) struct QuantisedQuery {
    pub(crate) codes: Vec<i8>,
    pub(crate) quantised: Quantised,
}

impl QuantisedQuery {
    pub(crate) fn new(vector: &[f32]) -> Self {
        let mut codes = vec![0; vector.len()];
        let quantised = quantise(vector, &mut codes);
        QuantisedQuery { codes, quantised }
    }

    /// How far the approximate score of a row with `error` can be from the score that `dot_f32` computes, over all rows
    /// up to `longest`: `error · ‖q‖` (the caller adds it for each row) plus this.
    ///
    /// The second term is rounding: `dot_f32` is off by at most `n · 2⁻²³ · ‖x‖·‖q‖`, and the few operations on
    /// the approximate score itself by less than `16 · 2⁻²³` of the same product.
    pub(crate) fn slack(&self, longest: f32) -> f32 {
        let Quantised { error, length, .. } = self.quantised;
        let rounding = (self.codes.len() + 16) as f64 * 2f64.powi(-23) * f64::from(longest) * f64::from(length);
        let underflow = (self.codes.len() + 16) as f64 * f64::from(f32::MIN_POSITIVE);
        round_up(f64::from(longest) * f64::from(error) + rounding + underflow)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::distance::{dot_f32, dot_i8};

    fn vectors() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
        let value = prop_oneof![4 => -1.0f32..1.0, 1 => Just(0.0f32), 1 => -1e-3f32..1e-3, 1 => -1e6f32..1e6];
        (1usize..200).prop_flat_map(move |len| {
            (prop::collection::vec(value.clone(), len), prop::collection::vec(value.clone(), len))
        })
    }

    proptest! {
        #[test]
        fn no_score_leaves_its_interval((row, query) in vectors(), exponent in -40i32..12) {
            let row: Vec<f32> = row.iter().map(|value| value * 10f32.powi(exponent)).collect();
            let mut codes = vec![0; row.len()];
            let coded = quantise(&row, &mut codes);
            let query_codes = QuantisedQuery::new(&query);
            let approximate =
                dot_i8(&codes, &query_codes.codes) as f32 * (coded.scale * query_codes.quantised.scale);
            let margin = coded.error * query_codes.quantised.length + query_codes.slack(coded.length);
            let exact = dot_f32(&row, &query);
            prop_assert!((exact - approximate).abs() <= margin, "{exact} {approximate} {margin}");
        }

        #[test]
        fn an_error_is_at_most_half_a_step((row, _) in vectors()) {
            let mut codes = vec![0; row.len()];
            let coded = quantise(&row, &mut codes);
            for (&value, &code) in row.iter().zip(&codes) {
                prop_assert!((value - coded.scale * f32::from(code)).abs() <= coded.scale * 0.5001 + 1e-38);
            }
        }
    }

    #[test]
    fn zeros_and_the_smallest_numbers_have_codes() {
        let mut codes = [1i8; 2];
        assert_eq!(quantise(&[0.0, -0.0], &mut codes), Quantised { scale: 0.0, error: 0.0, length: 0.0 });
        let tiny = quantise(&[1e-45, 0.0], &mut codes);
        assert_eq!((tiny.scale, codes), (0.0, [0, 0]));
        assert!(tiny.error >= 1e-45);
    }
}
