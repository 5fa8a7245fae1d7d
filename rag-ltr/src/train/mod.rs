//! Training: trees boosted for a ranking (LambdaMART), and what tells whether they are any good.
//!
//! [`lambdamart`] grows an [`Ensemble`](crate::model::Ensemble) from rows with labels, query by query; its parameters
//! have LightGBM's names and defaults. The trees depend on the data, the parameters and the seed, and not on the number
//! of threads. [`importance`] says which features a model uses, [`folds`] and [`out_of_fold`] score every query by a
//! model that has not seen it.

mod bins;
mod boost;
mod categories;
mod dataset;
mod evaluate;
mod folds;
mod gradients;
mod grow;
mod histogram;
mod importance;
mod parameters;
mod split;
mod table;
mod threads;

pub use boost::{Progress, Round, Trained, lambdamart};
pub use dataset::Dataset;
pub use folds::{Fold, folds, out_of_fold};
pub use importance::{Importance, importance, permutation_importance};
pub use parameters::{GrowPolicy, LambdaMart, Objective};
