//! Gauss–Legendre quadrature on `[0, 1]`.

use std::f64::consts::PI;

/// Points that are handled together.
pub(super) const LANES: usize = 4;

/// Some points of a rule: where they are, what is left to 1, and what they weigh.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Points {
    pub(super) at: [f64; LANES],
    pub(super) rest: [f64; LANES],
    pub(super) weight: [f64; LANES],
}

/// Rules by the degree that they integrate without error, each made when it is first asked for.
#[derive(Debug, Default)]
pub(super) struct Rules(Vec<Vec<Points>>);

impl Rules {
    /// A rule that is exact for polynomials up to this degree: `n` points are up to degree `2n − 1`.
    pub(super) fn exact_to(&mut self, degree: usize) -> &[Points] {
        let blocks = degree / (2 * LANES) + 1;
        if self.0.len() < blocks {
            self.0.resize(blocks, Vec::new());
        }
        let rule = &mut self.0[blocks - 1];
        if rule.is_empty() {
            *rule = (0..blocks).map(|block| points(blocks * LANES, block * LANES)).collect();
        }
        rule
    }
}

/// The points from `first` on of the rule with `count` points.
fn points(count: usize, first: usize) -> Points {
    let points: [(f64, f64); LANES] = std::array::from_fn(|lane| point(count, first + lane));
    let at = points.map(|(root, _)| f64::midpoint(1.0, root));
    Points { at, rest: at.map(|at| 1.0 - at), weight: points.map(|(_, weight)| weight / 2.0) }
}

/// The root with this position of the Legendre polynomial of degree `count`, and its weight on `[−1, 1]`. Newton's
/// method from the usual first guess, which is close enough to need a handful of steps.
fn point(count: usize, position: usize) -> (f64, f64) {
    const STEPS: usize = 20;
    let degree = count as f64;
    let mut root = (PI * (position as f64 + 0.75) / (degree + 0.5)).cos();
    let mut slope = 1.0;
    for _ in 0..STEPS {
        let (mut before, mut value) = (1.0, root);
        for lower in 1..count {
            let lower = lower as f64;
            (before, value) = (value, ((2.0 * lower + 1.0) * root * value - lower * before) / (lower + 1.0));
        }
        slope = degree * (root * value - before) / (root * root - 1.0);
        let step = value / slope;
        root -= step;
        if step.abs() <= f64::EPSILON {
            break;
        }
    }
    (root, 2.0 / ((1.0 - root * root) * slope * slope))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_integrated_without_error() {
        let mut rules = Rules::default();
        for degree in [0, 1, 7, 8, 15, 16, 100, 1000] {
            let rule = rules.exact_to(degree).to_vec();
            let points = rule.iter().flat_map(|points| points.at.into_iter().zip(points.weight));
            let integral: f64 = points.map(|(at, weight)| weight * at.powi(i32::try_from(degree).unwrap())).sum();
            let exact = 1.0 / (degree as f64 + 1.0);
            assert!((integral / exact - 1.0).abs() < 1e-12, "degree {degree}: {integral} instead of {exact}");
        }
    }
}
