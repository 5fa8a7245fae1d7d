//! Model files of XGBoost: JSON and UBJSON, as `Booster.save_model` of 1.0 and later writes them.
//!
//! The margins equal those of `Booster.predict(DMatrix(rows), output_margin=True)` on a processor to the last bit, on
//! x86-64; elsewhere its compiler may join a multiplication and an addition, in `dart` and `gblinear`. Every tree counts, as
//! there: its scikit-learn classes stop at `best_iteration`, so save `booster[: best_iteration + 1]` to score as they do.
//!
//! A row of a model with categories holds their numbers, as a matrix given to XGBoost does. For a model that was trained on
//! a data frame these are the positions of the categories in the frame's `dtype`.
//!
//! Models with more than one output (several classes, targets or quantiles), `survival:aft` and objectives of a later
//! XGBoost are refused. So are numbers of categories that are not 0, 1, 2, …: XGBoost renumbers them, which rows would have
//! to follow.

mod file;
mod tree;
mod ubjson;

use file::{Booster, BoosterModel, Categories, File, Learner};

use super::{Arithmetic, Ensemble, EnsembleParts, LinearColumn, LinearModel, Link, Model};
use crate::error::{Error, Result};

/// Reads a model file, JSON or UBJSON. `gbtree` and `dart` become [`Model::Trees`], `gblinear` becomes [`Model::Linear`];
/// both add in 32 bits.
///
/// ```
/// use rag_ltr::model::{Ranker, xgboost};
/// let file = br#"{"learner": {
///     "feature_names": ["bm25"],
///     "gradient_booster": {"name": "gblinear", "model": {"weights": [2E0, 5E-1]}},
///     "learner_model_param": {"base_score": "[0E0]", "num_class": "0", "num_feature": "1", "num_target": "1"},
///     "objective": {"name": "rank:ndcg"}
/// }, "version": [3, 2, 0]}"#;
/// let ranker = Ranker::new(xgboost::read(file)?)?;
/// assert_eq!(ranker.score(rag_ltr::Rows::new(&[1.0, 3.0], 1)?)?, [2.5, 6.5]);
/// # Ok::<(), rag_ltr::Error>(())
/// ```
///
/// # Errors
/// [`Error::Model`] for bytes that are no such file, naming the place; [`Error::Unsupported`] for a model that would be
/// scored differently here.
pub fn read(bytes: &[u8]) -> Result<Model> {
    let learner = parse(bytes)?.learner;
    let (link, intercept) = objective(&learner.objective.name)?;
    check_outputs(&learner)?;
    let base = intercept.margin(&learner.parameters.base_score)?;
    let columns = number("num_feature", &learner.parameters.num_feature)?;
    let Learner { feature_names: names, gradient_booster, .. } = learner;
    match gradient_booster.name.as_str() {
        "gbtree" | "dart" => {
            let trees = read_trees(gradient_booster)?;
            let arithmetic = Arithmetic::F32;
            let parts = EnsembleParts { columns, names, trees, base: base.into(), arithmetic, average: false, link };
            Ok(Model::Trees(Ensemble::checked(parts)?))
        }
        "gblinear" => {
            let weights = model_of(gradient_booster)?.weights;
            let linear = read_linear(&weights, columns, base, names, link)?;
            linear.check()?;
            Ok(Model::Linear(linear))
        }
        other => Err(Error::Unsupported(format!("booster `{other}`"))),
    }
}

/// JSON and UBJSON both open with a brace; what UBJSON has behind it is the marker of a length.
fn parse(bytes: &[u8]) -> Result<File> {
    let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(bytes.len());
    match &bytes[start..] {
        [b'{', b'i' | b'U' | b'I' | b'l' | b'L', ..] if start == 0 => ubjson::from_bytes(bytes),
        [b'{', ..] => serde_json::from_slice(bytes).map_err(|error| {
            let problem = format!("{error} (numbers that JSON has no word for need UBJSON, a file that ends in .ubj)");
            Error::model("the JSON", if has_bare_word(bytes) { problem } else { error.to_string() })
        }),
        _ => Err(Error::model(
            "the first byte",
            "it opens neither JSON nor UBJSON; files in the binary format of XGBoost before 3.1 must be saved anew as one",
        )),
    }
}

/// Whether a number is written as XGBoost writes those that are not finite.
fn has_bare_word(bytes: &[u8]) -> bool {
    let is_word = |window: &[u8]| matches!(window, b":NaN" | b",NaN" | b"[NaN" | b",Inf" | b"[Inf" | b"-Inf");
    bytes.windows(4).any(is_word)
}

/// What the base score of an objective is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Intercept {
    Margin,
    Probability,
    Mean,
}

/// What an objective makes of the margin, and of the base score.
fn objective(name: &str) -> Result<(Link, Intercept)> {
    match name {
        "rank:ndcg"
        | "rank:pairwise"
        | "rank:map"
        | "reg:squarederror"
        | "reg:linear"
        | "reg:squaredlogerror"
        | "reg:pseudohubererror"
        | "reg:absoluteerror"
        | "reg:quantileerror"
        | "binary:logitraw" => Ok((Link::Identity, Intercept::Margin)),
        "binary:hinge" => Ok((Link::Step, Intercept::Margin)),
        "reg:logistic" | "binary:logistic" => Ok((Link::Sigmoid { steepness: 1.0 }, Intercept::Probability)),
        "count:poisson" | "reg:gamma" | "reg:tweedie" | "survival:cox" => Ok((Link::Exp, Intercept::Mean)),
        other => Err(Error::Unsupported(format!("the objective `{other}`"))),
    }
}

impl Intercept {
    /// The margin that the sum starts with.
    fn margin(self, written: &str) -> Result<f32> {
        let inner = written.trim().trim_start_matches('[').trim_end_matches(']');
        if inner.contains(',') {
            return Err(Error::Unsupported(format!("several base scores: {written}")));
        }
        let damaged = || Error::model("learner_model_param", format!("`base_score` is `{written}`"));
        let score: f32 = inner.trim().parse().map_err(|_| damaged())?;
        let margin = match self {
            Intercept::Margin => score,
            Intercept::Probability => {
                const NEAREST: f32 = 1e-6;
                -(1.0 / score.clamp(NEAREST, 1.0 - NEAREST) - 1.0).ln()
            }
            Intercept::Mean => score.ln(),
        };
        if score.is_finite() && margin.is_finite() { Ok(margin) } else { Err(damaged()) }
    }
}

/// Refuses models that answer with more than one number.
fn check_outputs(learner: &Learner) -> Result<()> {
    let parameters = &learner.parameters;
    for (field, written) in [("num_class", &parameters.num_class), ("num_target", &parameters.num_target)] {
        let Some(written) = written else { continue };
        let outputs = number(field, written)?;
        if outputs > 1 {
            return Err(Error::Unsupported(format!("{outputs} outputs (`{field}`)")));
        }
    }
    Ok(())
}

fn number(field: &str, written: &str) -> Result<usize> {
    written.parse().map_err(|_| Error::model("learner_model_param", format!("`{field}` is `{written}`")))
}

fn model_of(booster: Booster) -> Result<BoosterModel> {
    let model = booster.model.or(booster.gbtree.map(|nested| nested.model));
    model.ok_or_else(|| Error::model("gradient_booster", "`model` is missing"))
}

fn read_trees(mut booster: Booster) -> Result<Vec<super::Tree>> {
    let mut weights = std::mem::take(&mut booster.weight_drop);
    let model = model_of(booster)?;
    if weights.is_empty() {
        weights = model.weight_drop;
    }
    if let Some(categories) = &model.cats {
        check_categories(categories)?;
    }
    let count = model.trees.len();
    if count == 0 {
        return Err(Error::Unsupported("no trees".to_owned()));
    }
    if model.tree_info.len() != count || !(weights.is_empty() || weights.len() == count) {
        let problem = format!(
            "there are {count} trees, {} entries of `tree_info` and {} of `weight_drop`",
            model.tree_info.len(),
            weights.len()
        );
        return Err(Error::model("gradient_booster", problem));
    }
    if let Some(output) = model.tree_info.iter().find(|output| **output != 0) {
        return Err(Error::Unsupported(format!("a tree for output {output}")));
    }
    let mut words_left = tree::MAX_WORDS;
    let trees = model.trees.iter().enumerate().map(|(number, tree)| {
        if tree.id.is_some_and(|id| id != number as i64) {
            return Err(Error::model(format!("tree {number}"), "its `id` is another"));
        }
        tree::read(number, tree, weights.get(number).copied().unwrap_or(1.0), &mut words_left)
    });
    trees.collect()
}

/// Categories that are texts go by their position. Numbers do as well, so they have to be their own positions, or a row
/// that holds the numbers would be taken wrongly.
fn check_categories(categories: &Categories) -> Result<()> {
    for (column, categories) in categories.enc.iter().enumerate() {
        let is_its_position = |(position, value): (usize, &f64)| *value == position as f64;
        if categories.offsets.is_none() && !categories.values.iter().enumerate().all(is_its_position) {
            return Err(Error::Unsupported(format!(
                "categories of column {column} that are numbers other than 0, 1, 2, … (train on their codes instead)"
            )));
        }
    }
    Ok(())
}

fn read_linear(weights: &[f32], columns: usize, base: f32, names: Vec<String>, link: Link) -> Result<LinearModel> {
    let Some((bias, weights)) = weights.split_last().filter(|(_, weights)| weights.len() == columns) else {
        let problem = format!("there are {} `weights` for {columns} features and the bias", weights.len());
        return Err(Error::model("gradient_booster", problem));
    };
    let column = |weight: &f32| LinearColumn { weight: (*weight).into(), center: 0.0, scale: 1.0, fill: 0.0 };
    let bias = f64::from(bias + base);
    Ok(LinearModel { names, bias, columns: weights.iter().map(column).collect(), arithmetic: Arithmetic::F32, link })
}
