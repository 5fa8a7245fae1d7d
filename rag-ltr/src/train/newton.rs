//! Newton's method with step halving, for convex functions.

use faer::prelude::Solve as _;
use faer::{Col, Mat, Side};

use crate::error::{Error, Result};

/// Steps after which a minimum is given up; a handful are usual.
const MOST_STEPS: usize = 100;

/// How often a step that leads upwards is halved.
const MOST_HALVINGS: usize = 30;

/// The next step is no longer worth its time when it promises less than this share of the value.
const ENOUGH: f64 = 1e-12;

/// A column follows from others when they leave less than this share of it: rounding leaves some `1e-15`.
const LEAST_LEFT: f64 = 1e-11;

/// The value of a function at a point, its slope and its curvature (both triangles).
pub(super) struct Local {
    pub(super) value: f64,
    pub(super) slope: Col<f64>,
    pub(super) curvature: Mat<f64>,
}

impl Local {
    /// From here to the minimum of the parabola, and how much lower that is.
    pub(super) fn step(&self) -> Result<(Col<f64>, f64)> {
        let refuse = || {
            let why = "some columns follow from others, so that no weights are the best; give a larger l2";
            Error::Training(why.to_owned())
        };
        let solver = self.curvature.llt(Side::Lower).map_err(|_| refuse())?;
        // What is left of a column when those before it are taken out.
        let is_left = |at: usize| solver.L()[(at, at)].powi(2) > LEAST_LEFT * self.curvature[(at, at)];
        if !(0..self.slope.nrows()).all(is_left) {
            return Err(refuse());
        }
        let step = -solver.solve(&self.slope);
        let promise = -0.5 * (self.slope.transpose() * &step);
        if !promise.is_finite() {
            return Err(Error::Training("the weights have left the range of numbers; give a larger l2".to_owned()));
        }
        Ok((step, promise))
    }
}

/// The minimum of a function, from 0 on.
pub(super) fn minimum(size: usize, local: impl Fn(&Col<f64>) -> Result<Local>) -> Result<Col<f64>> {
    let mut at = Col::zeros(size);
    let mut here = local(&at)?;
    for _ in 0..MOST_STEPS {
        let (mut step, promise) = here.step()?;
        let is_last = promise <= ENOUGH * (1.0 + here.value.abs());
        let mut next = &at + &step;
        let mut there = local(&next)?;
        for _ in 0..MOST_HALVINGS {
            // A last step may be too short to be seen in the value.
            if there.value <= here.value || is_last {
                break;
            }
            step *= faer::Scale(0.5);
            next = &at + &step;
            there = local(&next)?;
        }
        (at, here) = (next, there);
        if is_last {
            return Ok(at);
        }
    }
    Err(Error::Training(format!("the weights have not settled after {MOST_STEPS} steps; give a larger l2")))
}
