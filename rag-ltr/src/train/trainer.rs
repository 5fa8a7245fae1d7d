//! One name for every way of training.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde_json::{Map, Value};

use super::{CoordinateAscent, Dataset, LambdaMart, Linear, Progress, Round, coordinate_ascent, lambdamart, linear};
use crate::error::{Error, Result};
use crate::model::{Model, Ranker, Training};

/// A way of training with its parameters, chosen by the name of an objective.
///
/// ```
/// use std::ops::ControlFlow;
/// use rag_ltr::Rows;
/// use rag_ltr::train::{Dataset, Trainer};
/// let features = [0.0, 5.0, 1.0, 4.0, 2.0, 5.0, 3.0, 4.0];
/// let dataset = Dataset::new(Rows::new(&features, 2)?, &[0.0, 1.0, 2.0, 3.0], &[4]);
/// let parameters = serde_json::json!({"l2": 0.5});
/// let trainer = Trainer::new("ridge", parameters.as_object().cloned().unwrap_or_default())?;
/// let fitted = trainer.fit(&dataset, None, &mut |_| ControlFlow::Continue(()))?;
/// assert!(fitted.ranker.margins(dataset.rows)?[3] > 2.0);
/// # Ok::<(), rag_ltr::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant)] // one a training
pub enum Trainer {
    /// Trees: the objectives `lambdarank`, `regression` and `binary`.
    LambdaMart(LambdaMart),
    /// A weighted sum with one best set of weights: `ridge`, `logistic` and `pairwise`.
    Linear(Linear),
    /// A weighted sum by coordinate ascent on nDCG: `coordinate`.
    CoordinateAscent(CoordinateAscent),
}

/// A ranker that [`Trainer::fit`] made, and how it went.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// The ranker; [`Ranker::training`] says how it was made.
    pub ranker: Ranker,
    /// The learning curve, one point for each tree; empty for weighted sums.
    pub curve: Vec<Round>,
    /// Trees of the ranker; 0 for weighted sums.
    pub best_iteration: usize,
}

impl Trainer {
    /// The names of the objectives.
    pub const OBJECTIVES: [&str; 7] =
        ["lambdarank", "regression", "binary", "ridge", "logistic", "pairwise", "coordinate"];

    /// The way of training for an objective, with some of its parameters by their names; the others have their defaults.
    /// The parameters are the fields of [`LambdaMart`], [`Linear`] or [`CoordinateAscent`].
    ///
    /// # Errors
    /// [`Error::Training`] for an objective or a parameter that is not known, and a value of another kind.
    pub fn new(objective: &str, mut parameters: Map<String, Value>) -> Result<Trainer> {
        let of_linear = if objective == "ridge" { "regression" } else { objective };
        if objective != "coordinate" {
            parameters.insert("objective".to_owned(), of_linear.into());
        }
        let parameters = Value::Object(parameters);
        let trainer = match objective {
            "lambdarank" | "regression" | "binary" => serde_json::from_value(parameters).map(Trainer::LambdaMart),
            "ridge" | "logistic" | "pairwise" => serde_json::from_value(parameters).map(Trainer::Linear),
            "coordinate" => serde_json::from_value(parameters).map(Trainer::CoordinateAscent),
            _ => {
                let known = Trainer::OBJECTIVES.join(", ");
                return Err(Error::Training(format!("the objective `{objective}` is not known; give one of {known}")));
            }
        };
        trainer.map_err(|error| Error::Training(format!("parameters of {objective}: {error}")))
    }

    /// Sets what every random choice follows from; nothing is random about [`Trainer::Linear`].
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Trainer {
        match &mut self {
            Trainer::LambdaMart(parameters) => parameters.seed = seed,
            Trainer::CoordinateAscent(parameters) => parameters.seed = seed,
            Trainer::Linear(_) => {}
        }
        self
    }

    /// Trains. `validation` is watched by trees alone, for early stopping and the learning curve; `progress` is called after
    /// each tree.
    ///
    /// # Errors
    /// As [`lambdamart`], [`linear`] and [`coordinate_ascent`].
    pub fn fit(
        &self,
        dataset: &Dataset<'_>,
        validation: Option<&Dataset<'_>>,
        progress: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
    ) -> Result<Fitted> {
        let (model, curve, best_iteration) = match self {
            Trainer::LambdaMart(parameters) => {
                let trained = lambdamart(dataset, validation, parameters, progress)?;
                (Model::Trees(trained.ensemble), trained.curve, trained.best_iteration)
            }
            Trainer::Linear(parameters) => (Model::Linear(linear(dataset, parameters)?), Vec::new(), 0),
            Trainer::CoordinateAscent(parameters) => {
                (Model::Linear(coordinate_ascent(dataset, parameters)?), Vec::new(), 0)
            }
        };
        let training = Training {
            library: concat!("rag-ltr ", env!("CARGO_PKG_VERSION")).to_owned(),
            parameters: self.parameters(),
            curves: self.curves(&curve),
            metrics: BTreeMap::new(),
        };
        Ok(Fitted { ranker: Ranker::new(model)?.with_training(training), curve, best_iteration })
    }

    /// The parameters by their names.
    pub fn parameters(&self) -> Map<String, Value> {
        let value = match self {
            Trainer::LambdaMart(parameters) => serde_json::to_value(parameters),
            Trainer::Linear(parameters) => serde_json::to_value(parameters),
            Trainer::CoordinateAscent(parameters) => serde_json::to_value(parameters),
        };
        match value {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        }
    }

    /// The learning curve by the names of its metrics, such as `validation ndcg@10`.
    fn curves(&self, curve: &[Round]) -> BTreeMap<String, Vec<f64>> {
        let Trainer::LambdaMart(parameters) = self else { return BTreeMap::new() };
        let names = parameters.curve_names();
        let mut curves = BTreeMap::new();
        for (position, name) in names.iter().enumerate() {
            let of =
                |pick: fn(&Round) -> &Vec<f64>| curve.iter().map(|round| pick(round).get(position).copied()).collect();
            for (data, values) in
                [("training", of(|round| &round.training)), ("validation", of(|round| &round.validation))]
            {
                let values: Option<Vec<f64>> = values;
                if let Some(values) = values.filter(|values| !values.is_empty()) {
                    curves.insert(format!("{data} {name}"), values);
                }
            }
        }
        curves
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::matrix::Rows;

    fn of(parameters: &Value) -> Map<String, Value> {
        parameters.as_object().cloned().unwrap()
    }

    #[test]
    fn every_objective_trains_a_ranker_that_tells_how() {
        let features: Vec<f32> = (0..200).flat_map(|at| [(at * 7 % 5) as f32, (at % 3) as f32]).collect();
        let grades: Vec<f32> = (0..200).map(|at| (at * 7 % 5) as f32).collect();
        let binary: Vec<f32> = grades.iter().map(|&grade| f32::from(u8::from(grade > 2.0))).collect();
        let names = ["one".to_owned(), "two".to_owned()];
        for objective in Trainer::OBJECTIVES {
            let labels = if ["binary", "logistic"].contains(&objective) { &binary } else { &grades };
            let mut dataset = Dataset::new(Rows::new(&features, 2).unwrap(), labels, &[5; 40]);
            dataset.names = &names;
            let trainer = Trainer::new(objective, Map::new()).unwrap().with_seed(3);
            let mut steps = 0;
            let fitted = trainer.fit(&dataset, Some(&dataset), &mut |_| {
                steps += 1;
                ControlFlow::Continue(())
            });
            let fitted = fitted.unwrap();
            let margins = fitted.ranker.margins(Rows::new(&[4.0, 0.0, 1.0, 0.0], 2).unwrap()).unwrap();
            assert!(margins[0] > margins[1], "{objective}: {margins:?}");
            assert_eq!(fitted.ranker.names(), names);
            let training = fitted.ranker.training().unwrap();
            assert_eq!((steps, fitted.curve.len()), (fitted.curve.len(), steps));
            assert_eq!(fitted.best_iteration > 0, matches!(trainer, Trainer::LambdaMart(_)));
            if objective == "lambdarank" {
                assert_eq!(training.curves["training ndcg@10"].len(), steps);
                assert_eq!(training.curves["validation ndcg@10"], training.curves["training ndcg@10"]);
                assert_eq!(training.parameters["seed"], 3);
            }
            assert_eq!(Ranker::from_bytes(&fitted.ranker.to_bytes().unwrap()).unwrap(), fitted.ranker);
        }
    }

    #[test]
    fn what_is_not_known_is_named() {
        let told =
            |objective: &str, parameters: Value| Trainer::new(objective, of(&parameters)).unwrap_err().to_string();
        assert!(told("lambdarnk", json!({})).contains("lambdarank, regression"));
        assert!(told("lambdarank", json!({"num_leave": 3})).contains("`num_leave`"));
        assert!(told("lambdarank", json!({"num_leaves": "many"})).contains("many"));
        assert!(told("ridge", json!({"seed": 3})).contains("`seed`"));
    }
}
