//! Learning to rank as scripting languages ask for it: parameters by their names, runs of rows, names for choices.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use rag_core::ltr::Ranker;
use rag_core::ltr::model::{Model, Training};
use rag_core::ltr::schema::{Feature, FeatureKind, FeatureSchema};
use rag_core::ltr::train::{
    CoordinateAscent, Dataset, LambdaMart, Linear, LinearObjective, Objective, Progress, Round, coordinate_ascent,
    importance as of_trees, lambdamart, linear,
};
use rag_core::{Cancel, Error, ErrorKind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// What a training is given beside its rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// A JSON object of parameters by their names; what is left out is as Rust's defaults have it. `threads` is another name
    /// for `num_threads`.
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

/// Trains trees ([`lambdamart`]); `objective` is `lambdarank` (the default), `regression` or `binary`, all parameters those of
/// [`LambdaMart`]. Queries without rows are passed over. `progress` is called on this thread after each tree and may end the
/// training with the trees that there are.
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
    let mut parameters: LambdaMart = read(given)?;
    if let Some(schema) = options.schema.filter(|_| !says_categories) {
        let columns = schema.features().iter().enumerate();
        let columns = columns.filter(|(_, feature)| feature.kind == FeatureKind::Categorical);
        parameters.categorical_feature = columns.map(|(column, _)| column).collect();
    }
    let names = names(options, data.rows.columns())?;
    let (groups, valid_groups) = (filled(data), validation.map(filled).unwrap_or_default());
    let data = Dataset { names: &names, groups: &groups, ..*data };
    let validation = validation.map(|validation| Dataset { groups: &valid_groups, ..*validation });
    let mut curves = BTreeMap::<String, Vec<f64>>::new();
    let mut step = |progressed: Progress<'_>| {
        let metrics = metrics(progressed.round, &parameters);
        for (name, &value) in &metrics {
            curves.entry(name.clone()).or_default().push(value);
        }
        if cancel.check().is_err() {
            return ControlFlow::Break(());
        }
        progress(Step { iteration: progressed.iteration, num_trees: progressed.num_trees, metrics })
    };
    let trained = lambdamart(&data, validation.as_ref(), &parameters, &mut step)?;
    cancel.check()?;
    let best = trained.best_iteration.checked_sub(1).and_then(|best| trained.curve.get(best));
    let metrics = best.map(|round| metrics(round, &parameters)).unwrap_or_default();
    finish(Model::Trees(trained.ensemble), &parameters, curves, metrics, options)
}

/// Trains a weighted sum of the features. `objective` says how: `regression` (the default), `logistic` or `pairwise`, with
/// the parameters of [`Linear`]; or `ndcg`, by coordinate ascent, with those of [`CoordinateAscent`].
///
/// # Errors
/// `InvalidArgument` naming the parameter, the row or the label.
pub fn train_linear(data: &Dataset<'_>, options: &Options<'_>) -> Result<Ranker> {
    const OBJECTIVES: &str = "\"regression\", \"logistic\", \"pairwise\" or \"ndcg\"";
    let mut given = parameters(options.parameters)?;
    let objective = given.remove("objective").unwrap_or_else(|| "regression".into());
    let names = names(options, data.rows.columns())?;
    let groups = filled(data);
    let data = Dataset { names: &names, groups: &groups, ..*data };
    if objective == "ndcg" {
        let parameters: CoordinateAscent = read(given)?;
        let model = coordinate_ascent(&data, &parameters)?;
        return finish(Model::Linear(model), &parameters, BTreeMap::new(), BTreeMap::new(), options);
    }
    let objective: LinearObjective = serde_json::from_value(objective.clone())
        .map_err(|_| Error::invalid(format!("`objective` is {objective}; give {OBJECTIVES}")))?;
    let parameters = Linear { objective, ..read(given)? };
    finish(Model::Linear(linear(&data, &parameters)?), &parameters, BTreeMap::new(), BTreeMap::new(), options)
}

/// The groups that have rows.
fn filled(data: &Dataset<'_>) -> Vec<usize> {
    data.groups.iter().copied().filter(|&size| size > 0).collect()
}

fn finish(
    model: Model,
    parameters: &impl Serialize,
    curves: BTreeMap<String, Vec<f64>>,
    metrics: BTreeMap<String, f64>,
    options: &Options<'_>,
) -> Result<Ranker> {
    let library = concat!("rag-core ", env!("CARGO_PKG_VERSION")).to_owned();
    let parameters = match serde_json::to_value(parameters) {
        Ok(Value::Object(mut parameters)) => {
            parameters.remove("num_threads"); // of which the model knows nothing
            parameters
        }
        _ => return Err(Error::internal("the parameters of the training cannot be written")),
    };
    let ranker = Ranker::new(model)?.with_training(Training { library, parameters, curves, metrics });
    Ok(match options.schema {
        Some(schema) => ranker.with_schema(schema.id()),
        None => ranker,
    })
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

/// The values of a round by their names.
fn metrics(round: &Round, parameters: &LambdaMart) -> BTreeMap<String, f64> {
    let name = |position: usize| match parameters.objective {
        Objective::Lambdarank => format!("ndcg@{}", parameters.eval_at.get(position).copied().unwrap_or_default()),
        Objective::Regression => "l2".to_owned(),
        Objective::Binary => "binary_logloss".to_owned(),
    };
    let named = |of: &'static str, values: &[f64]| -> Vec<(String, f64)> {
        values.iter().enumerate().map(|(position, &value)| (format!("{of} {}", name(position)), value)).collect()
    };
    named("train", &round.training).into_iter().chain(named("valid", &round.validation)).collect()
}

fn parameters(json: &str) -> Result<Map<String, Value>> {
    if json.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(json).map_err(|error| Error::invalid(format!("the parameters are no JSON object: {error}")))
}

/// # Errors
/// `InvalidArgument`, naming the parameter.
fn read<T: DeserializeOwned>(given: Map<String, Value>) -> Result<T> {
    for (name, value) in &given {
        let alone = Map::from_iter([(name.clone(), value.clone())]);
        if let Err(error) = serde_json::from_value::<T>(Value::Object(alone)) {
            return Err(Error::invalid(format!("parameter `{name}`: {error}")));
        }
    }
    serde_json::from_value(Value::Object(given)).map_err(|error| Error::invalid(format!("parameters: {error}")))
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

/// How a model came to be as a JSON object with the fields of [`Training`]; `None` where it does not say.
pub fn training(ranker: &Ranker) -> Option<Value> {
    let Training { library, parameters, curves, metrics } = ranker.training()?.clone();
    Some(serde_json::json!({"library": library, "parameters": parameters, "curves": curves, "metrics": metrics}))
}

/// A schema of features by their names. `kinds`: `numeric` (the default), `boolean` or `categorical`, one for each name.
///
/// # Errors
/// `InvalidArgument` naming the feature or the argument.
pub fn schema(names: Vec<String>, kinds: Option<Vec<String>>, version: u32) -> Result<FeatureSchema> {
    let kinds = kinds.unwrap_or_else(|| vec![kind_name(FeatureKind::Numeric).to_owned(); names.len()]);
    if kinds.len() != names.len() {
        return Err(Error::invalid(format!("`kinds` has {} values for {} names", kinds.len(), names.len())));
    }
    let features = names.into_iter().zip(kinds).map(|(name, kind)| {
        let kind = [FeatureKind::Numeric, FeatureKind::Boolean, FeatureKind::Categorical]
            .into_iter()
            .find(|&known| kind_name(known) == kind)
            .ok_or_else(|| {
                let known = "\"numeric\", \"boolean\" or \"categorical\"";
                Error::invalid(format!("`kinds` has {kind:?} for the feature {name:?}; give {known}"))
            })?;
        Ok(Feature::new(name, kind))
    });
    Ok(FeatureSchema::new(version, features.collect::<Result<_>>()?)?)
}

/// The schema with what its features mean, one for each.
///
/// # Errors
/// `InvalidArgument` for another number of them.
pub fn with_meanings(schema: &FeatureSchema, meanings: Vec<Option<String>>) -> Result<FeatureSchema> {
    let features = schema.features();
    if meanings.len() != features.len() {
        return Err(Error::invalid(format!("`meanings` has {} values for {} names", meanings.len(), features.len())));
    }
    let features = features.iter().cloned().zip(meanings).map(|(feature, meaning)| Feature { meaning, ..feature });
    Ok(FeatureSchema::new(schema.version(), features.collect())?)
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
        assert_eq!(importance(&ranker, Some("split")).unwrap()[1], 0.0);
        assert!(importance(&ranker, Some("weight")).unwrap_err().to_string().contains("\"gain\""));
    }

    #[test]
    fn a_schema_names_the_columns_and_their_categories() {
        let kinds = ["numeric", "categorical"].map(str::to_owned).to_vec();
        let schema = schema(vec!["a".to_owned(), "b".to_owned()], Some(kinds), 3).unwrap();
        let meant = with_meanings(&schema, vec![None, Some("x, y".to_owned())]).unwrap();
        assert_ne!(meant.hash(), schema.hash());
        assert_eq!(with_meanings(&meant, vec![None, None]).unwrap(), schema);
        assert!(with_meanings(&schema, vec![None]).unwrap_err().to_string().contains("`meanings`"));
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
        assert!(message(r#"{"objective": "rank"}"#).contains("`lambdarank`"));
        assert!(message(r#"{"learning_rate": 0}"#).contains("`learning_rate`"));
        assert!(message("[]").contains("JSON object"));
        let (values, labels, groups) = data();
        let data = Dataset::new(Rows::new(&values, 2).unwrap(), &labels, &groups);
        let linear = |parameters| train_linear(&data, &Options { parameters, ..Options::default() });
        assert!(linear(r#"{"objective": "trees"}"#).unwrap_err().to_string().contains("\"ndcg\""));
        assert!(linear(r#"{"objective": "ndcg", "l2": 1.0}"#).unwrap_err().to_string().contains("`l2`"));
        let ranker = linear(r#"{"objective": "ndcg", "restarts": 1}"#).unwrap();
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
    }
}
