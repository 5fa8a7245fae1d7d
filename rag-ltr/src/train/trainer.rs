//! One name for every way of training.

use std::ops::ControlFlow;

use serde::Serialize;
use serde::de::DeserializeOwned;
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
/// let fitted = trainer.fit(&dataset, None, &|| false, &mut |_| ControlFlow::Continue(()))?;
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
    /// The names of the objectives: three of trees, four of weighted sums.
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
        Ok(match objective {
            "lambdarank" | "regression" | "binary" => Trainer::LambdaMart(read(objective, parameters)?),
            "ridge" | "logistic" | "pairwise" => Trainer::Linear(read(objective, parameters)?),
            "coordinate" => Trainer::CoordinateAscent(read(objective, parameters)?),
            _ => {
                let known = Trainer::OBJECTIVES.join(", ");
                return Err(Error::Training(format!("`objective` is `{objective}`; give one of {known}")));
            }
        })
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

    /// Trains. `validation` is watched by trees alone, for early stopping and the learning curve. `is_stopped` is asked again
    /// and again, and true ends the training without a ranker. `progress` is called after each tree, and
    /// [`ControlFlow::Break`] ends the training with the trees that there are.
    ///
    /// # Errors
    /// As [`lambdamart`], [`linear`] and [`coordinate_ascent`].
    pub fn fit(
        &self,
        dataset: &Dataset<'_>,
        validation: Option<&Dataset<'_>>,
        is_stopped: &dyn Fn() -> bool,
        progress: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
    ) -> Result<Fitted> {
        let mut training = Training {
            library: concat!("rag-ltr ", env!("CARGO_PKG_VERSION")).to_owned(),
            parameters: self.parameters(),
            ..Training::default()
        };
        training.parameters.remove("num_threads"); // of which the model knows nothing
        let (model, curve, best_iteration) = match self {
            Trainer::LambdaMart(parameters) => {
                let mut go_on = |step: Progress<'_>| {
                    if is_stopped() { ControlFlow::Break(()) } else { progress(step) }
                };
                let trained = lambdamart(dataset, validation, parameters, &mut go_on)?;
                if is_stopped() {
                    return Err(Error::Stopped);
                }
                for (name, value) in trained.curve.iter().flat_map(|round| parameters.metrics(round)) {
                    training.curves.entry(name).or_default().push(value);
                }
                let best = trained.best_iteration.checked_sub(1).and_then(|best| trained.curve.get(best));
                training.metrics = best.map(|round| parameters.metrics(round)).unwrap_or_default();
                training.end = Some(trained.end);
                (Model::Trees(trained.ensemble), trained.curve, trained.best_iteration)
            }
            Trainer::Linear(parameters) => (Model::Linear(linear(dataset, parameters, is_stopped)?), Vec::new(), 0),
            Trainer::CoordinateAscent(parameters) => {
                (Model::Linear(coordinate_ascent(dataset, parameters, is_stopped)?), Vec::new(), 0)
            }
        };
        Ok(Fitted { ranker: Ranker::new(model)?.with_training(training), curve, best_iteration })
    }

    /// The parameters by their names.
    pub fn parameters(&self) -> Map<String, Value> {
        match self {
            Trainer::LambdaMart(parameters) => named(parameters),
            Trainer::Linear(parameters) => named(parameters),
            Trainer::CoordinateAscent(parameters) => named(parameters),
        }
    }
}

/// Parameters by their names; an error names the one that it is about.
fn read<T: DeserializeOwned>(objective: &str, given: Map<String, Value>) -> Result<T> {
    for (name, value) in &given {
        let alone = Map::from_iter([(name.clone(), value.clone())]);
        if let Err(error) = serde_json::from_value::<T>(Value::Object(alone)) {
            return Err(Error::Training(format!("parameter `{name}` of {objective}: {error}")));
        }
    }
    serde_json::from_value(Value::Object(given))
        .map_err(|error| Error::Training(format!("parameters of {objective}: {error}")))
}

fn named(parameters: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(parameters) {
        Ok(Value::Object(named)) => named,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::cell::Cell;

    use serde_json::json;

    use super::super::End;
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
            let fitted = trainer.fit(&dataset, Some(&dataset), &|| false, &mut |_| {
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
                assert_eq!(training.curves["train ndcg@10"].len(), steps);
                assert_eq!(training.curves["valid ndcg@10"], training.curves["train ndcg@10"]);
                assert_eq!(training.metrics["valid ndcg@10"], training.curves["valid ndcg@10"][steps - 1]);
                assert_eq!((&training.parameters["seed"], training.end), (&json!(3), Some(End::Complete)));
                assert_eq!(training.parameters.get("num_threads"), None, "the same model at any number of threads");
            }
            assert_eq!(Ranker::from_bytes(&fitted.ranker.to_bytes().unwrap()).unwrap(), fitted.ranker);
        }
    }

    #[test]
    fn who_stops_a_training_gets_no_ranker() {
        let features: Vec<f32> = (0..200).flat_map(|at| [(at * 7 % 5) as f32, (at % 3) as f32]).collect();
        let labels: Vec<f32> = (0..200).map(|at| f32::from(u8::from(at * 7 % 5 > 2))).collect();
        let dataset = Dataset::new(Rows::new(&features, 2).unwrap(), &labels, &[5; 40]);
        for objective in Trainer::OBJECTIVES {
            let trainer = Trainer::new(objective, Map::new()).unwrap();
            let asked = Cell::new(0);
            let is_stopped = || {
                asked.set(asked.get() + 1);
                asked.get() > 1
            };
            let stopped = trainer.fit(&dataset, None, &is_stopped, &mut |_| ControlFlow::Continue(()));
            // A ridge over one block is one step, which is asked for once.
            let is_done_before = objective == "ridge";
            assert_eq!(stopped.err(), Some(Error::Stopped).filter(|_| !is_done_before), "{objective}");
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
