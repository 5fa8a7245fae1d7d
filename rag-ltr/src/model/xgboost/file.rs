//! What a model file holds, by XGBoost's names. Both forms of the file have this shape; what is not here is not needed to
//! score.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, Visitor};

#[derive(Deserialize)]
pub(super) struct File {
    pub learner: Learner,
}

#[derive(Deserialize)]
pub(super) struct Learner {
    #[serde(rename = "learner_model_param")]
    pub parameters: Parameters,
    pub objective: Objective,
    pub gradient_booster: Booster,
    /// Since 1.4.
    #[serde(default)]
    pub feature_names: Vec<String>,
}

/// Numbers, written as text.
#[derive(Deserialize)]
pub(super) struct Parameters {
    /// One number; since 3.1 a list of them in brackets.
    pub base_score: String,
    pub num_feature: String,
    #[serde(default)]
    pub num_class: Option<String>,
    /// Since 1.6.
    #[serde(default)]
    pub num_target: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Objective {
    pub name: String,
}

#[derive(Deserialize)]
pub(super) struct Booster {
    pub name: String,
    /// The model of `gbtree` and of `gblinear`.
    #[serde(default)]
    pub model: Option<BoosterModel>,
    /// What `dart` holds the model in, up to 3.2.
    #[serde(default)]
    pub gbtree: Option<Nested>,
    /// Weights of the trees: here up to 3.3, in the model afterwards.
    #[serde(default)]
    pub weight_drop: Vec<f32>,
}

#[derive(Deserialize)]
pub(super) struct Nested {
    pub model: BoosterModel,
}

#[derive(Deserialize)]
pub(super) struct BoosterModel {
    #[serde(default)]
    pub trees: Vec<Tree>,
    /// The output that each tree is added to.
    #[serde(default)]
    pub tree_info: Vec<i64>,
    #[serde(default)]
    pub weight_drop: Vec<f32>,
    /// Since 3.1.
    #[serde(default)]
    pub cats: Option<Categories>,
    /// Of `gblinear`: one a feature, then the bias.
    #[serde(default)]
    pub weights: Vec<f32>,
}

/// The categories of the data frame that a model was trained on, one entry a column.
#[derive(Deserialize)]
pub(super) struct Categories {
    pub enc: Vec<Column>,
}

#[derive(Deserialize)]
pub(super) struct Column {
    /// Only where the categories are texts.
    #[serde(default)]
    pub offsets: Option<IgnoredAny>,
    #[serde(default)]
    pub values: Vec<f64>,
}

/// One tree: an entry a node in every array; the categories of all nodes one after the other.
#[derive(Deserialize)]
pub(super) struct Tree {
    #[serde(default)]
    pub id: Option<i64>,
    #[serde(rename = "tree_param")]
    pub parameters: TreeParameters,
    pub left_children: Vec<i64>,
    pub right_children: Vec<i64>,
    pub split_indices: Vec<i64>,
    /// The threshold of a split, the value of a leaf.
    pub split_conditions: Vec<f32>,
    pub default_left: Vec<Flag>,
    pub loss_changes: Vec<f32>,
    pub sum_hessian: Vec<f32>,
    /// 1 for a categorical split, else 0. Since 1.3, as are the categories.
    #[serde(default)]
    pub split_type: Vec<i64>,
    #[serde(default)]
    pub categories: Vec<i64>,
    #[serde(default)]
    pub categories_nodes: Vec<i64>,
    #[serde(default)]
    pub categories_segments: Vec<i64>,
    #[serde(default)]
    pub categories_sizes: Vec<i64>,
}

#[derive(Deserialize)]
pub(super) struct TreeParameters {
    #[serde(default)]
    pub size_leaf_vector: Option<String>,
}

/// `true` and `false` in old files, 1 and 0 in newer ones.
pub(super) struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FlagVisitor;

        impl Visitor<'_> for FlagVisitor {
            type Value = Flag;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a flag")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Flag, E> {
                Ok(Flag(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Flag, E> {
                Ok(Flag(value != 0))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Flag, E> {
                Ok(Flag(value != 0))
            }
        }
        deserializer.deserialize_any(FlagVisitor)
    }
}
