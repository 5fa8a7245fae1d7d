//! What both formats say before their trees.

use super::fields::Fields;
use super::objective::link_of;
use crate::error::{Error, Result};
use crate::model::{Arithmetic, Ensemble, EnsembleParts, MAX_COLUMNS, Tree};

/// The fields of the head, in either format. In JSON those of the file's end count too.
pub(super) const KNOWN: [&str; 15] = [
    "name",
    "version",
    "num_class",
    "num_tree_per_iteration",
    "label_index",
    "max_feature_idx",
    "objective",
    "average_output",
    "feature_names",
    "monotone_constraints",
    "feature_infos",
    "tree_sizes",
    "feature_importances",
    "pandas_categorical",
    "parser",
];

/// The ensemble of a head, its names and its trees.
pub(super) fn ensemble(head: &Fields<'_>, average: bool, names: Vec<String>, trees: Vec<Tree>) -> Result<Ensemble> {
    let version = head.required("version")?;
    if !["v3", "v4"].contains(&version) {
        let version: String = version.chars().take(40).collect();
        return Err(Error::Unsupported(format!("LightGBM's format {version} (3 and 4 are read)")));
    }
    let classes: u32 = head.number("num_class")?;
    let trees_per_iteration = head.optional("num_tree_per_iteration")?.unwrap_or(classes);
    if classes != 1 || trees_per_iteration != 1 {
        return Err(Error::Unsupported(format!("{classes} classes with {trees_per_iteration} trees an iteration")));
    }
    let columns = head.number::<usize>("max_feature_idx")?.saturating_add(1);
    if columns > MAX_COLUMNS {
        return Err(head.wrong("max_feature_idx", &format!("it is above {}", MAX_COLUMNS - 1)));
    }
    if names.len() != columns {
        return Err(head.wrong("feature_names", &format!("there are {} for {columns} columns", names.len())));
    }
    if average && trees.is_empty() {
        return Err(head.wrong("average_output", "there are no trees to average"));
    }
    let link = link_of(head.text("objective"))?;
    Ensemble::checked(EnsembleParts { columns, names, trees, base: 0.0, arithmetic: Arithmetic::F64, average, link })
}
