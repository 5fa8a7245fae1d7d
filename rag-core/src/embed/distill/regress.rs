//! Vectors of pieces whose sums are close to the targets, and the axes that say most about them.

use faer::{Mat, Side};

use crate::error::{Error, Result};
use crate::types::Cancel;

/// Steps of conjugate gradient; the residual is then some thousandths of what it was.
const STEPS: usize = 12;

/// Ridge regression towards a prior: the `E` that minimises `|C E − Y|² + |E − s P|²`, where row `t` of `C` holds
/// `1/√n` for each of the `n` rows in `groups[t]`, `Y` are the targets, `P` is the prior and `s` the scale that fits it
/// best to the targets. Conjugate gradient (Hestenes & Stiefel 1952) on the normal equations, column by column.
pub(super) fn ridge(
    groups: &[Vec<usize>],
    targets: &[f32],
    prior: &[f32],
    dimension: usize,
    cancel: &Cancel,
) -> Result<Vec<f32>> {
    let rows = prior.len() / dimension;
    let of_prior = gather(groups, prior, dimension);
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    let norm = dot(&of_prior, &of_prior);
    let scale = if norm > 0.0 { dot(&of_prior, targets) / norm } else { 0.0 };
    let mut vectors: Vec<f32> = prior.iter().map(|&value| (f64::from(value) * scale) as f32).collect();
    // At E = s P the residual of the normal equations is Cᵀ (Y − C s P).
    let misses: Vec<f32> =
        targets.iter().zip(&of_prior).map(|(&y, &p)| (f64::from(y) - scale * f64::from(p)) as f32).collect();
    let mut residual = scatter(groups, &misses, dimension, rows);
    let mut direction = residual.clone();
    let mut energy = columns(&residual, &residual, dimension);
    for _ in 0..STEPS {
        cancel.check()?;
        let mut image = scatter(groups, &gather(groups, &direction, dimension), dimension, rows);
        for (image, &along) in image.iter_mut().zip(&direction) {
            *image += along; // CᵀC + I
        }
        let curvature = columns(&direction, &image, dimension);
        let step = ratio(&energy, &curvature);
        add(&mut vectors, &direction, &step, 1.0);
        add(&mut residual, &image, &step, -1.0);
        let next = columns(&residual, &residual, dimension);
        let keep = ratio(&next, &energy);
        for (along, left) in direction.chunks_exact_mut(dimension).zip(residual.chunks_exact(dimension)) {
            for ((along, &left), &keep) in along.iter_mut().zip(left).zip(&keep) {
                *along = (f64::from(left) + keep * f64::from(*along)) as f32;
            }
        }
        energy = next;
    }
    Ok(vectors)
}

/// `C × matrix`.
fn gather(groups: &[Vec<usize>], matrix: &[f32], dimension: usize) -> Vec<f32> {
    let mut out = vec![0f32; groups.len() * dimension];
    for (group, sum) in groups.iter().zip(out.chunks_exact_mut(dimension)) {
        let weight = 1.0 / (group.len().max(1) as f32).sqrt();
        for &row in group {
            let row = matrix.get(row * dimension..(row + 1) * dimension).unwrap_or_default();
            for (sum, &value) in sum.iter_mut().zip(row) {
                *sum += weight * value;
            }
        }
    }
    out
}

/// `Cᵀ × matrix`.
fn scatter(groups: &[Vec<usize>], matrix: &[f32], dimension: usize, rows: usize) -> Vec<f32> {
    let mut out = vec![0f32; rows * dimension];
    for (group, values) in groups.iter().zip(matrix.chunks_exact(dimension)) {
        let weight = 1.0 / (group.len().max(1) as f32).sqrt();
        for &row in group {
            let row = out.get_mut(row * dimension..(row + 1) * dimension).unwrap_or_default();
            for (sum, &value) in row.iter_mut().zip(values) {
                *sum += weight * value;
            }
        }
    }
    out
}

/// The inner product of each column of one matrix with that of another.
fn columns(a: &[f32], b: &[f32], dimension: usize) -> Vec<f64> {
    let mut out = vec![0f64; dimension];
    for (a, b) in a.chunks_exact(dimension).zip(b.chunks_exact(dimension)) {
        for ((sum, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *sum += f64::from(a) * f64::from(b);
        }
    }
    out
}

fn ratio(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(&a, &b)| if b > 0.0 { a / b } else { 0.0 }).collect()
}

fn add(to: &mut [f32], matrix: &[f32], factors: &[f64], sign: f64) {
    let dimension = factors.len();
    for (to, row) in to.chunks_exact_mut(dimension).zip(matrix.chunks_exact(dimension)) {
        for ((to, &value), &factor) in to.iter_mut().zip(row).zip(factors) {
            *to = (f64::from(*to) + sign * factor * f64::from(value)) as f32;
        }
    }
}

/// Eigenvalues below this share of the largest one are rounding errors: those of rows that span fewer dimensions.
const NOISE: f64 = 1e-12;

/// The rows on their `wanted` principal axes (uncentred), each axis scaled by `eigenvalue^(−1/4)`: half-way between the
/// covariance as it is and a whitened one, so that the common directions do not drown the others. Axes past the rank of
/// the rows stay as good as zero.
pub(super) fn axes(matrix: &[f32], dimension: usize, wanted: usize) -> Result<Vec<f32>> {
    let rows = matrix.len() / dimension;
    let full = Mat::from_fn(rows, dimension, |i, j| f64::from(matrix[i * dimension + j]));
    let gram = full.transpose() * &full;
    let eigen = gram
        .self_adjoint_eigen(Side::Lower)
        .map_err(|error| Error::internal(format!("the principal axes were not found: {error:?}")))?;
    let (values, vectors) = (eigen.S(), eigen.U());
    // Ascending order; the last ones say most.
    let least = (values[dimension - 1] * NOISE).max(f64::MIN_POSITIVE);
    let basis = Mat::from_fn(dimension, wanted, |i, j| {
        let axis = dimension - 1 - j;
        let largest =
            (0..dimension).map(|i| vectors[(i, axis)]).fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
        let value = values[axis].max(least) / rows as f64;
        vectors[(i, axis)] * largest.signum() * value.powf(-0.25)
    });
    let turned = &full * &basis;
    Ok((0..rows).flat_map(|i| (0..wanted).map(move |j| (i, j))).map(|at| turned[at] as f32).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Three pieces, two dimensions: against the normal equations solved densely.
    #[test]
    fn the_regression_solves_its_normal_equations() {
        let groups = vec![vec![0, 1], vec![1, 2], vec![0, 2, 2]];
        let targets = [1.0f32, 0.5, -0.5, 2.0, 0.0, 1.0];
        let prior = [0.5f32, 1.0, 0.0, 0.3, -1.0, 2.0];
        let found = ridge(&groups, &targets, &prior, 2, &Cancel::never()).unwrap();
        let c = Mat::from_fn(3, 3, |t, row| {
            let times = groups[t].iter().filter(|&&it| it == row).count() as f64;
            times / (groups[t].len() as f64).sqrt()
        });
        let y = Mat::from_fn(3, 2, |i, j| f64::from(targets[2 * i + j]));
        let p = Mat::from_fn(3, 2, |i, j| f64::from(prior[2 * i + j]));
        let cp = &c * &p;
        let sums = |a: &Mat<f64>, b: &Mat<f64>| -> f64 { (0..6).map(|i| a[(i / 2, i % 2)] * b[(i / 2, i % 2)]).sum() };
        let scale = sums(&cp, &y) / sums(&cp, &cp);
        let system = c.transpose() * &c + Mat::<f64>::identity(3, 3);
        let e = Mat::from_fn(3, 2, |i, j| f64::from(found[2 * i + j]));
        let left = &system * &e;
        let right = c.transpose() * &y;
        for i in 0..3 {
            for j in 0..2 {
                let wanted = right[(i, j)] + scale * p[(i, j)];
                assert!((left[(i, j)] - wanted).abs() < 1e-5, "{i} {j}: {} {wanted}", left[(i, j)]);
            }
        }
    }

    #[test]
    fn the_first_axis_says_most_and_signs_are_fixed() {
        let matrix = [3.0f32, 0.1, -3.0, 0.1, 3.0, -0.1, 6.0, 0.0];
        let turned = axes(&matrix, 2, 1).unwrap();
        assert_eq!(turned.len(), 4);
        let ratio = turned[3] / 6.0;
        assert!(ratio > 0.0);
        for (found, wanted) in turned.iter().zip([3.0, -3.0, 3.0, 6.0]) {
            assert!((found - ratio * wanted).abs() < 0.05 * ratio, "{turned:?}");
        }
    }

    #[test]
    fn axes_past_the_rank_stay_small() {
        // Five rows that span three of eight dimensions: the third axis still counts, the others are rounding errors.
        let basis = [[1.0f32, 0.3, -0.2, 0.9, 0.1, 0.7, -0.4, 0.6], [0.2, -0.8, 0.5, 0.1, 0.9, -0.3, 0.4, 0.7]];
        let third = [0.3f32, 0.1, 0.8, -0.6, 0.2, 0.5, 0.9, -0.1];
        let matrix: Vec<f32> = (0..5)
            .flat_map(|i| (0..8).map(move |j| (i as f32, j)))
            .map(|(i, j)| basis[0][j] * (i + 0.7) - basis[1][j] * (i * i - 2.3) + third[j] * (i % 2.0))
            .collect();
        let turned = axes(&matrix, 8, 8).unwrap();
        let size = |axis: usize| turned.iter().skip(axis).step_by(8).map(|value| value.abs()).fold(0f32, f32::max);
        assert!(size(2) > 0.01 * size(0), "{turned:?}");
        for axis in 3..8 {
            assert!(size(axis) < 1e-3 * size(0), "axis {axis}: {turned:?}");
        }
        assert_eq!(axes(&[0.0; 16], 8, 8).unwrap(), [0.0; 16], "no direction at all");
    }
}
