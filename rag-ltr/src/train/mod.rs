//! Training: trees boosted for a ranking (LambdaMART), linear rankers, and what tells whether they are any good.
//!
//! [`lambdamart`] grows an [`Ensemble`](crate::model::Ensemble) from rows with labels, query by query; its parameters
//! have LightGBM's names and, but for a few, its defaults. The trees depend on the data, the parameters and the seed, and not on the number
//! of threads. [`linear`] fits a weighted sum of features to labels or to the order of pairs, [`coordinate_ascent`] looks
//! for the weights with the best nDCG. [`importance`] says which features a model uses, [`folds`] and [`out_of_fold`]
//! score every query by a model that has not seen it, and [`nested`] chooses that model without it too.

mod bins;
mod boost;
mod categories;
mod coordinate;
mod dataset;
mod evaluate;
mod folds;
mod gradients;
mod grow;
mod histogram;
mod importance;
mod linear;
mod nested;
mod newton;
mod parameters;
mod part;
mod split;
mod standardise;
mod table;
mod trainer;

pub use boost::{End, Progress, Round, Trained, lambdamart};
pub use coordinate::{CoordinateAscent, coordinate_ascent};
pub use dataset::Dataset;
pub use folds::{Fold, folds, out_of_fold};
pub use importance::{Importance, importance, permutation_importance};
pub use linear::{Linear, LinearObjective, linear};
pub use nested::{Nested, NestedFold, nested};
pub use parameters::{GrowPolicy, LambdaMart, Objective};
pub use part::Part;
pub use trainer::{Fitted, Trainer};
