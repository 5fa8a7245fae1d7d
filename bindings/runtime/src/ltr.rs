//! Learning to rank as scripting languages ask for it: parameters by their names, runs of rows, names for choices.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use rag_core::ltr::Ranker;
use rag_core::ltr::model::{Model, Training};
use rag_core::ltr::schema::{Feature, FeatureKind, FeatureSchema};
use rag_core::ltr::train::{Dataset, Progress, Trainer, importance as of_trees};
use rag_core::{Cancel, Error, ErrorKind, Result};
use serde_json::{Map, Value};

/// What a training is given beside its rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// A JSON object of parameters by their names; what is left out is as Rust's defaults have it. `objective` is one of
    /// [`Trainer::OBJECTIVES`], and `threads` is another name for `num_threads`.
    pub parameters: &'a str,
    /// Names of the features; `None`: those of the schema, if any.
    pub names: Option<&'a [String]>,
    /// What the columns are. The model then says that it was made for it, and its columns of categories are split as such
    /// unless `categorical_feature` says otherwise.
    pub schema: Option<&'a FeatureSchema>,
}

/// How far a training is.
#[derive(Debug, Clone)]
pub struct Step {
    /// Trees grown.
    pub iteration: usize,
    /// Trees asked for.
    pub num_trees: usize,
    /// Each metric by its name, such as `valid ndcg@10`.
    pub metrics: BTreeMap<String, f64>,
}

/// Trains trees; `objective` is `lambdarank` (the default), `regression` or `binary`, all parameters those of
/// [`LambdaMart`](rag_core::ltr::train::LambdaMart). Queries without rows are passed over. `progress` is called on this
/// thread after each tree and may end the training with the trees that there are.
///
/// ```
/// use std::ops::ControlFlow;
/// use rag_core::Cancel;
/// use rag_core::ltr::{Rows, train::Dataset};
/// use rag_runtime::ltr::{Options, train};
/// let (values, labels): (Vec<f32>, Vec<f32>) = (0..100).map(|at| ((at % 5) as f32, (at % 5) as f32)).unzip();
/// let data = Dataset::new(Rows::new(&values, 1)?, &labels, &[5; 20]);
/// let options = Options { parameters: r#"{"num_trees": 5, "min_data_in_leaf": 1}"#, ..Options::default() };
/// let ranker = train(&data, None, &options, &Cancel::never(), &mut |_| ControlFlow::Continue(()))?;
/// assert_eq!(ranker.training().unwrap().curves["train ndcg@10"], [1.0; 5]);
/// # Ok::<(), rag_core::Error>(())
/// ```
///
/// # Errors
/// `InvalidArgument` naming the parameter, the row or the label; `Cancelled` and `DeadlineExceeded`.
pub fn train(
    data: &Dataset<'_>,
    validation: Option<&Dataset<'_>>,
    options: &Options<'_>,
    cancel: &Cancel,
    progress: &mut dyn FnMut(Step) -> ControlFlow<()>,
) -> Result<Ranker> {
    let mut given = parameters(options.parameters)?;
    if let Some(threads) = given.remove("threads") {
        given.entry("num_threads").or_insert(threads);
    }
    let says_categories = given.contains_key("categorical_feature");
    let Trainer::LambdaMart(mut parameters) = trainer_of(given, "lambdarank")? else {
        return Err(Error::invalid(
            "`objective` makes a weighted sum, and this trains trees: give \"lambdarank\", \"regression\" or \"binary\"",
        ));
    };
    if let Some(schema) = options.schema.filter(|_| !says_categories) {
        let columns = schema.features().iter().enumerate();
        let columns = columns.filter(|(_, feature)| feature.kind == FeatureKind::Categorical);
        parameters.categorical_feature = columns.map(|(column, _)| column).collect();
    }
    let named = parameters.clone();
    let mut step = |step: Progress<'_>| {
        let Progress { iteration, num_trees, round } = step;
        progress(Step { iteration, num_trees, metrics: named.metrics(round) })
    };
    fit(&Trainer::LambdaMart(parameters), data, validation, options, cancel, &mut step)
}

/// Trains a weighted sum of the features. `objective` says how: `ridge` (the default), `logistic`, `pairwise` or
/// `coordinate`.
///
/// # Errors
/// `InvalidArgument` naming the parameter, the row or the label; `Cancelled` and `DeadlineExceeded`.
pub fn train_linear(data: &Dataset<'_>, options: &Options<'_>, cancel: &Cancel) -> Result<Ranker> {
    let trainer = trainer_of(parameters(options.parameters)?, "ridge")?;
    if matches!(trainer, Trainer::LambdaMart(_)) {
        return Err(Error::invalid(
            "`objective` makes trees, and this weighs features: give \"ridge\", \"logistic\", \"pairwise\" or \"coordinate\"",
        ));
    }
    fit(&trainer, data, None, options, cancel, &mut |_| ControlFlow::Continue(()))
}

fn trainer_of(mut given: Map<String, Value>, default: &str) -> Result<Trainer> {
    let objective = given.remove("objective").unwrap_or_else(|| default.into());
    let Some(objective) = objective.as_str() else {
        return Err(Error::invalid(format!("`objective` is {objective}; give a name such as \"{default}\"")));
    };
    Ok(Trainer::new(objective, given)?)
}

fn fit(
    trainer: &Trainer,
    data: &Dataset<'_>,
    validation: Option<&Dataset<'_>>,
    options: &Options<'_>,
    cancel: &Cancel,
    progress: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<Ranker> {
    let names = names(options, data.rows.columns())?;
    let (groups, valid_groups) = (filled(data), validation.map(filled).unwrap_or_default());
    let data = Dataset { names: &names, groups: &groups, ..*data };
    let validation = validation.map(|validation| Dataset { groups: &valid_groups, ..*validation });
    let fitted = trainer.fit(&data, validation.as_ref(), &|| cancel.check().is_err(), progress);
    cancel.check()?;
    let ranker = fitted?.ranker;
    Ok(match options.schema {
        Some(schema) => ranker.with_schema(schema.id()),
        None => ranker,
    })
}

/// The groups that have rows.
fn filled(data: &Dataset<'_>) -> Vec<usize> {
    data.groups.iter().copied().filter(|&size| size > 0).collect()
}

fn names(options: &Options<'_>, columns: usize) -> Result<Vec<String>> {
    let Some(schema) = options.schema else { return Ok(options.names.unwrap_or_default().to_vec()) };
    let of_schema: Vec<String> = schema.features().iter().map(|feature| feature.name.clone()).collect();
    if of_schema.len() != columns {
        let (id, features) = (schema.id(), of_schema.len());
        let message =
            format!("the rows have {columns} columns, the feature schema {id} has {features}; give rows of it");
        return Err(Error::new(ErrorKind::SchemaMismatch, message));
    }
    if options.names.is_some_and(|names| *names != of_schema) {
        let message = "`feature_names` are not the names of `schema`; leave them out";
        return Err(Error::new(ErrorKind::SchemaMismatch, message));
    }
    Ok(of_schema)
}

fn parameters(json: &str) -> Result<Map<String, Value>> {
    if json.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(json).map_err(|error| Error::invalid(format!("the parameters are no JSON object: {error}")))
}

/// How much a model uses each feature. `kind` is `gain` (the default) or `split` for trees, `weight` (the default) for a
/// linear model: its weights of the standardised features.
///
/// # Errors
/// `InvalidArgument` for a kind that the model does not have.
pub fn importance(ranker: &Ranker, kind: Option<&str>) -> Result<Vec<f64>> {
    match (ranker.model(), kind) {
        (Model::Trees(ensemble), None | Some("gain")) => Ok(of_trees(ensemble).gain),
        (Model::Trees(ensemble), Some("split")) => {
            Ok(of_trees(ensemble).split.into_iter().map(|splits| splits as f64).collect())
        }
        (Model::Linear(linear), None | Some("weight")) => {
            Ok(linear.columns.iter().map(|column| column.weight).collect())
        }
        (Model::Trees(_), Some(other)) => {
            Err(Error::invalid(format!("`kind` is {other:?}; trees have \"gain\" and \"split\"")))
        }
        (Model::Linear(_), Some(other)) => {
            Err(Error::invalid(format!("`kind` is {other:?}; a linear model has \"weight\"")))
        }
    }
}

/// Trees of a model; `None` for a linear one.
pub fn num_trees(ranker: &Ranker) -> Option<usize> {
    match ranker.model() {
        Model::Trees(ensemble) => Some(ensemble.parts().trees.len()),
        Model::Linear(_) => None,
    }
}

/// How a model came to be as a JSON object with the fields of [`Training`]; `None` where it does not say. `end` is
/// `complete`, `stopped`, `not_better` or `nothing_to_split`, and null for what is no training of trees.
pub fn training(ranker: &Ranker) -> Option<Value> {
    let Training { library, parameters, curves, metrics, end } = ranker.training()?.clone();
    Some(serde_json::json!({
        "library": library, "parameters": parameters, "curves": curves, "metrics": metrics, "end": end,
    }))
}

/// A schema of features by their names. `kinds`: `numeric` (the default), `boolean` or `categorical`, one for each name.
/// `meanings`: what the values of each depend on besides the data, one for each name.
///
/// # Errors
/// `InvalidArgument` naming the feature or the argument.
pub fn schema(
    names: Vec<String>,
    kinds: Option<Vec<String>>,
    meanings: Option<Vec<Option<String>>>,
    version: u32,
) -> Result<FeatureSchema> {
    let kinds = kinds.unwrap_or_else(|| vec![kind_name(FeatureKind::Numeric).to_owned(); names.len()]);
    let meanings = meanings.unwrap_or_else(|| vec![None; names.len()]);
    for (argument, values) in [("kinds", kinds.len()), ("meanings", meanings.len())] {
        if values != names.len() {
            return Err(Error::invalid(format!("`{argument}` has {values} values for {} names", names.len())));
        }
    }
    let features = names.into_iter().zip(kinds).zip(meanings).map(|((name, kind), meaning)| {
        let kind = [FeatureKind::Numeric, FeatureKind::Boolean, FeatureKind::Categorical]
            .into_iter()
            .find(|&known| kind_name(known) == kind)
            .ok_or_else(|| {
                let known = "\"numeric\", \"boolean\" or \"categorical\"";
                Error::invalid(format!("`kinds` has {kind:?} for the feature {name:?}; give {known}"))
            })?;
        Ok(Feature { meaning, ..Feature::new(name, kind) })
    });
    Ok(FeatureSchema::new(version, features.collect::<Result<_>>()?)?)
}

/// The name of a kind.
pub fn kind_name(kind: FeatureKind) -> &'static str {
    match kind {
        FeatureKind::Numeric => "numeric",
        FeatureKind::Boolean => "boolean",
        FeatureKind::Categorical => "categorical",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rag_core::ltr::Rows;

    fn data() -> (Vec<f32>, Vec<f32>, Vec<usize>) {
        let values = (0..200).flat_map(|at| [(at * 7 % 5) as f32, (at % 3) as f32]).collect();
        (values, (0..200).map(|at| (at * 7 % 5) as f32).collect(), [[5, 0].repeat(40), vec![0]].concat())
    }

    fn trained(parameters: &str, schema: Option<&FeatureSchema>) -> Result<Ranker> {
        let (values, labels, groups) = data();
        let data = Dataset::new(Rows::new(&values, 2)?, &labels, &groups);
        let options = Options { parameters, names: None, schema };
        train(&data, Some(&data), &options, &Cancel::never(), &mut |_| ControlFlow::Continue(()))
    }

    #[test]
    fn a_training_says_how_it_went() {
        let ranker = trained(r#"{"num_trees": 4, "threads": 1, "eval_at": [3, 5]}"#, None).unwrap();
        assert_eq!(num_trees(&ranker), Some(4));
        let training = training(&ranker).unwrap();
        assert_eq!(training["parameters"]["num_trees"], 4);
        assert_eq!(training["parameters"].get("num_threads"), None, "the same model at any number of threads");
        assert_eq!(training["curves"]["valid ndcg@5"].as_array().unwrap().len(), 4);
        assert_eq!(training["metrics"]["train ndcg@3"], 1.0);
        assert_eq!(training["end"], "complete");
        assert_eq!(importance(&ranker, Some("split")).unwrap()[1], 0.0);
        assert!(importance(&ranker, Some("weight")).unwrap_err().to_string().contains("\"gain\""));
    }

    #[test]
    fn a_schema_names_the_columns_and_their_categories() {
        let kinds = ["numeric", "categorical"].map(str::to_owned).to_vec();
        let of = |meanings| super::schema(vec!["a".to_owned(), "b".to_owned()], Some(kinds.clone()), meanings, 3);
        let schema = of(None).unwrap();
        assert_ne!(of(Some(vec![None, Some("x, y".to_owned())])).unwrap().hash(), schema.hash());
        assert_eq!(of(Some(vec![None, None])).unwrap(), schema);
        assert!(of(Some(vec![None])).unwrap_err().to_string().contains("`meanings` has 1 values for 2 names"));
        let ranker = trained(r#"{"num_trees": 1}"#, Some(&schema)).unwrap();
        assert_eq!(ranker.schema(), Some(schema.id()));
        assert_eq!(ranker.names(), ["a", "b"]);
        assert_eq!(training(&ranker).unwrap()["parameters"]["categorical_feature"], serde_json::json!([1]));
        let ranker = trained(r#"{"num_trees": 1, "categorical_feature": []}"#, Some(&schema)).unwrap();
        assert_eq!(training(&ranker).unwrap()["parameters"]["categorical_feature"], serde_json::json!([]));
    }

    #[test]
    fn wrong_parameters_are_named() {
        let message = |parameters: &str| trained(parameters, None).unwrap_err().to_string();
        assert!(message(r#"{"num_trees": -1}"#).contains("`num_trees`"));
        assert!(message(r#"{"num_tree": 1}"#).contains("`num_tree`"));
        assert!(message(r#"{"objective": "rank"}"#).contains("lambdarank, "));
        assert!(message(r#"{"learning_rate": 0}"#).contains("`learning_rate`"));
        assert!(message("[]").contains("JSON object"));
        let (values, labels, groups) = data();
        let data = Dataset::new(Rows::new(&values, 2).unwrap(), &labels, &groups);
        let never = Cancel::never();
        let linear = |parameters| train_linear(&data, &Options { parameters, ..Options::default() }, &never);
        assert!(linear(r#"{"objective": "trees"}"#).unwrap_err().to_string().contains("coordinate"));
        assert!(linear(r#"{"objective": "binary"}"#).unwrap_err().to_string().contains("\"coordinate\""));
        assert!(message(r#"{"objective": "ridge"}"#).contains("\"lambdarank\""));
        assert!(linear(r#"{"objective": 3}"#).unwrap_err().to_string().contains("`objective` is 3"));
        assert!(linear(r#"{"objective": "coordinate", "l2": 1.0}"#).unwrap_err().to_string().contains("`l2`"));
        let ranker = linear(r#"{"objective": "coordinate", "restarts": 1}"#).unwrap();
        assert!(importance(&ranker, None).unwrap()[0] > 0.0);
    }

    #[test]
    fn a_cancelled_training_ends_as_such() {
        let (values, labels, groups) = data();
        let data = Dataset::new(Rows::new(&values, 2).unwrap(), &labels, &groups);
        let cancel = Cancel::never();
        let mut trees = 0;
        let error = train(&data, None, &Options::default(), &cancel, &mut |_| {
            trees += 1;
            cancel.cancel();
            ControlFlow::Continue(())
        });
        assert_eq!((error.unwrap_err().kind(), trees), (ErrorKind::Cancelled, 1));
        let linear = train_linear(&data, &Options::default(), &cancel);
        assert_eq!(linear.unwrap_err().kind(), ErrorKind::Cancelled);
    }
}
