//! How trees are boosted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::boost::Round;
use crate::error::{Error, Result};
use crate::threads::MAX_THREADS;

/// Parameters of [`lambdamart`](crate::train::lambdamart), with LightGBM's names, meanings and defaults, but for these:
///
/// | parameter | here | LightGBM |
/// |---|---|---|
/// | `objective` | lambdarank by default | regression by default |
/// | `eval_at` | 10 by default; a query without a gain counts 0 | 1 to 5 by default; such a query counts 1 |
/// | `is_provide_training_metric` | on by default | off by default |
/// | `early_stopping_rounds` | watches the first metric of the validation | ends with whichever metric ends first, unless `first_metric_only` |
/// | `bagging_freq`, `bagging_fraction` | a draw without a split is drawn again, up to 100 times | its iteration brings no tree |
/// | `seed` | draws other rows and features than LightGBM's does | |
///
/// ```
/// use rag_ltr::train::LambdaMart;
/// let parameters = LambdaMart { num_trees: 500, learning_rate: 0.05, ..LambdaMart::default() };
/// assert_eq!((parameters.num_leaves, parameters.lambdarank_truncation_level), (31, 30));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)] // LightGBM's switches, by their names
pub struct LambdaMart {
    /// What is learnt.
    pub objective: Objective,
    /// Trees to grow (`num_iterations`), 1 to 1,000,000.
    pub num_trees: usize,
    /// What the answer of each tree is multiplied with, above 0.
    pub learning_rate: f64,
    /// Most leaves of a tree, 2 to 131,072.
    pub num_leaves: usize,
    /// Most splits between the root and a leaf; 0 and less: no limit.
    pub max_depth: i32,
    /// Which leaf is split next.
    pub grow_policy: GrowPolicy,
    /// Fewest rows of a leaf. They are estimated from the second derivatives, as LightGBM does: a leaf may have somewhat
    /// fewer, and never none.
    pub min_data_in_leaf: usize,
    /// Smallest sum of second derivatives of a leaf, 0 or more.
    pub min_sum_hessian_in_leaf: f64,
    /// L1 regularisation of the leaves' values, 0 or more.
    pub lambda_l1: f64,
    /// L2 regularisation of the leaves' values, 0 or more.
    pub lambda_l2: f64,
    /// Smallest gain of a split, 0 or more.
    pub min_gain_to_split: f64,
    /// Most bins that the values of a feature are put into, 2 to 65,535.
    pub max_bin: usize,
    /// Fewest rows of a bin.
    pub min_data_in_bin: usize,
    /// From how many rows, picked by the seed, the bins are made; 1 or more.
    pub bin_construct_sample_cnt: usize,
    /// Share of the features that a tree may use, above 0 to 1.
    pub feature_fraction: f64,
    /// Share of those that a node may use, above 0 to 1.
    pub feature_fraction_bynode: f64,
    /// Share of the rows that a tree is grown from, above 0 to 1.
    pub bagging_fraction: f64,
    /// After how many trees other rows are picked; 0: never, and all rows are used.
    pub bagging_freq: usize,
    /// Whether whole queries are picked instead of rows.
    pub bagging_by_query: bool,
    /// Pairs count that have a document among the first so many of the current ranking; 1 or more.
    pub lambdarank_truncation_level: usize,
    /// Whether the pairs are weakened by their distance and the sum of each query is dampened.
    pub lambdarank_norm: bool,
    /// Gain of each grade, from 0 on, none above the next; by default `2^grade − 1` for 31 grades.
    pub label_gain: Vec<f64>,
    /// Steepness of the sigmoid, above 0.
    pub sigmoid: f64,
    /// Cutoffs of nDCG in the learning curve. The first is what early stopping watches.
    pub eval_at: Vec<usize>,
    /// Whether the learning curve has the metric of the training too.
    pub is_provide_training_metric: bool,
    /// The training ends when the validation has not become better for so many trees; 0: never.
    pub early_stopping_rounds: usize,
    /// Columns whose values are categories: whole numbers from 0 on without an order.
    pub categorical_feature: Vec<usize>,
    /// Most categories of a feature that are tried one against the rest.
    pub max_cat_to_onehot: usize,
    /// Most categories on one side of a split, 1 or more.
    pub max_cat_threshold: usize,
    /// Smoothing of a category's mean, and the fewest rows of a category that is looked at; 0 or more.
    pub cat_smooth: f64,
    /// L2 regularisation of splits of categories, 0 or more.
    pub cat_l2: f64,
    /// Fewest rows of a group of categories, 1 or more.
    pub min_data_per_group: usize,
    /// Whether NaN is a value of its own; otherwise it is 0.
    pub use_missing: bool,
    /// Whether 0 is missing too.
    pub zero_as_missing: bool,
    /// One a column, or empty: 1 where the score may not fall when the value rises, −1 where it may not rise, else 0.
    pub monotone_constraints: Vec<i8>,
    /// What every random choice follows from.
    pub seed: u64,
    /// Threads that work; 0: one for each processor, 1: the thread of the caller and no other.
    pub num_threads: usize,
}

/// What is learnt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// The order of the documents of each query, by nDCG (LambdaRank: Burges 2010).
    #[default]
    Lambdarank,
    /// The labels themselves, by the square of the difference.
    Regression,
    /// The chance that a label is 1, by cross entropy.
    Binary,
}

/// Which leaf is split next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrowPolicy {
    /// The one with the largest gain.
    #[default]
    Leafwise,
    /// The one nearest to the root; of those the one with the largest gain.
    Depthwise,
}

impl Default for LambdaMart {
    fn default() -> Self {
        LambdaMart {
            objective: Objective::Lambdarank,
            num_trees: 100,
            learning_rate: 0.1,
            num_leaves: 31,
            max_depth: -1,
            grow_policy: GrowPolicy::Leafwise,
            min_data_in_leaf: 20,
            min_sum_hessian_in_leaf: 1e-3,
            lambda_l1: 0.0,
            lambda_l2: 0.0,
            min_gain_to_split: 0.0,
            max_bin: 255,
            min_data_in_bin: 3,
            bin_construct_sample_cnt: 200_000,
            feature_fraction: 1.0,
            feature_fraction_bynode: 1.0,
            bagging_fraction: 1.0,
            bagging_freq: 0,
            bagging_by_query: false,
            lambdarank_truncation_level: 30,
            lambdarank_norm: true,
            label_gain: (0..31).map(|grade| f64::from((1u32 << grade) - 1)).collect(),
            sigmoid: 1.0,
            eval_at: vec![10],
            is_provide_training_metric: true,
            early_stopping_rounds: 0,
            categorical_feature: Vec::new(),
            max_cat_to_onehot: 4,
            max_cat_threshold: 32,
            cat_smooth: 10.0,
            cat_l2: 10.0,
            min_data_per_group: 100,
            use_missing: true,
            zero_as_missing: false,
            monotone_constraints: Vec::new(),
            seed: 0,
            num_threads: 0,
        }
    }
}

impl LambdaMart {
    /// Whether each parameter is in its range.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the parameter.
    pub fn check(&self) -> Result<()> {
        let count = |value: usize| value as f64;
        let settings = [
            ("num_trees", count(self.num_trees), 1.0, 1e6, "1 to 1,000,000"),
            ("num_leaves", count(self.num_leaves), 2.0, 131_072.0, "2 to 131,072"),
            ("min_sum_hessian_in_leaf", self.min_sum_hessian_in_leaf, 0.0, f64::MAX, "0 or more"),
            ("lambda_l1", self.lambda_l1, 0.0, f64::MAX, "0 or more"),
            ("lambda_l2", self.lambda_l2, 0.0, f64::MAX, "0 or more"),
            ("min_gain_to_split", self.min_gain_to_split, 0.0, f64::MAX, "0 or more"),
            ("max_bin", count(self.max_bin), 2.0, 65_535.0, "2 to 65,535"),
            ("bin_construct_sample_cnt", count(self.bin_construct_sample_cnt), 1.0, f64::MAX, "1 or more"),
            ("max_cat_threshold", count(self.max_cat_threshold), 1.0, f64::MAX, "1 or more"),
            ("min_data_per_group", count(self.min_data_per_group), 1.0, f64::MAX, "1 or more"),
            ("cat_smooth", self.cat_smooth, 0.0, f64::MAX, "0 or more"),
            ("cat_l2", self.cat_l2, 0.0, f64::MAX, "0 or more"),
            ("lambdarank_truncation_level", count(self.lambdarank_truncation_level), 1.0, f64::MAX, "1 or more"),
            ("num_threads", count(self.num_threads), 0.0, count(MAX_THREADS), "0 to 1,024"),
            ("eval_at", self.eval_at.iter().copied().min().map_or(0.0, count), 1.0, f64::MAX, "cutoffs of 1 or more"),
        ];
        for (name, value, least, most, range) in settings {
            check(name, value, (least..=most).contains(&value), range)?;
        }
        let is_above_zero = |value: f64| value > 0.0 && value.is_finite();
        check("learning_rate", self.learning_rate, is_above_zero(self.learning_rate), "a finite number above 0")?;
        check("sigmoid", self.sigmoid, is_above_zero(self.sigmoid), "a finite number above 0")?;
        for (name, fraction) in [
            ("feature_fraction", self.feature_fraction),
            ("feature_fraction_bynode", self.feature_fraction_bynode),
            ("bagging_fraction", self.bagging_fraction),
        ] {
            check(name, fraction, fraction > 0.0 && fraction <= 1.0, "a number above 0 and not above 1")?;
        }
        let gains = &self.label_gain;
        let odd_gain = gains.iter().copied().find(|gain| !(0.0..f64::MAX).contains(gain));
        let falling = gains.windows(2).find(|pair| pair[0] > pair[1]).map(|pair| pair[1]);
        if let Some(gain) = odd_gain.or(falling).or(gains.is_empty().then_some(f64::NAN)) {
            return check(
                "label_gain",
                gain,
                false,
                "finite gains from 0 on, none below the one before, for every grade",
            );
        }
        Ok(())
    }

    /// The values of a point of the learning curve by their names, such as `train ndcg@10` and `valid ndcg@10`; for
    /// objectives that do not rank `l2`, the mean of the squared difference, and `binary_logloss`.
    pub fn metrics(&self, round: &Round) -> BTreeMap<String, f64> {
        let names = match self.objective {
            Objective::Lambdarank => self.eval_at.iter().map(|k| format!("ndcg@{k}")).collect(),
            Objective::Regression => vec!["l2".to_owned()],
            Objective::Binary => vec!["binary_logloss".to_owned()],
        };
        let of = |data: &str, values: &[f64]| -> Vec<(String, f64)> {
            names.iter().zip(values).map(|(name, &value)| (format!("{data} {name}"), value)).collect()
        };
        of("train", &round.training).into_iter().chain(of("valid", &round.validation)).collect()
    }

    pub(crate) fn check_columns(&self, columns: usize) -> Result<()> {
        if let Some(&column) = self.categorical_feature.iter().find(|&&column| column >= columns) {
            return check("categorical_feature", column as f64, false, "columns that the rows have, counted from 0");
        }
        let constraints = &self.monotone_constraints;
        if !constraints.is_empty() && constraints.len() != columns {
            let found = constraints.len() as f64;
            return check("number of monotone_constraints", found, false, "one for each column, or none");
        }
        let odd = constraints.iter().find(|constraint| !(-1..=1).contains(*constraint));
        if let Some(&odd) = odd {
            return check("monotone_constraints", f64::from(odd), false, "−1, 0 or 1 for each column");
        }
        let is_monotone = |column: &&usize| constraints.get(**column).is_some_and(|&constraint| constraint != 0);
        if let Some(&column) = self.categorical_feature.iter().find(is_monotone) {
            let range = "0 for a column of categories, which have no order";
            return check("monotone_constraints", f64::from(constraints[column]), false, range);
        }
        Ok(())
    }

    /// Whether some column is constrained.
    pub(crate) fn is_monotone(&self) -> bool {
        self.monotone_constraints.iter().any(|&constraint| constraint != 0)
    }

    /// The most splits above a leaf.
    pub(crate) fn depth_limit(&self) -> usize {
        usize::try_from(self.max_depth).ok().filter(|&depth| depth > 0).unwrap_or(usize::MAX)
    }
}

fn check(name: &'static str, value: f64, is_sound: bool, range: &'static str) -> Result<()> {
    if is_sound { Ok(()) } else { Err(Error::Setting { name, value, range }) }
}
