//! Training of rankers.
//!
//! [`linear`] fits a weighted sum of features to labels or to the order of pairs, [`coordinate_ascent`] looks for the
//! weights with the best nDCG.

mod coordinate;
mod dataset;
mod linear;
mod newton;
mod standardise;

pub use coordinate::{CoordinateAscent, coordinate_ascent};
pub use dataset::Dataset;
pub use linear::{Linear, LinearObjective, linear};
