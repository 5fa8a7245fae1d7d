//! Models that score rows: read from LightGBM's and XGBoost's files or from our own, or trained by [`crate::train`].

mod ensemble;
mod file;
mod lightgbm;
mod linear;
mod ranker;
mod threshold;
mod tree;
pub mod xgboost;

pub use ensemble::{Arithmetic, Ensemble, EnsembleParts, Link, MAX_COLUMNS};
pub use file::Training;
pub use linear::{LinearColumn, LinearModel};
pub use ranker::{Model, Ranker};
pub use tree::{Child, Condition, Leaf, LinearLeaf, Missing, Split, Tree, ZERO};
