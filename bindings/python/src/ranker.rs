//! Models that rank.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use numpy::ndarray::Array2;
use numpy::{IntoPyArray, PyArray1, PyArray2, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::{PyAny, PyBool, PyBytes, PyDict, PyType};
use rag_core::ltr::train::Dataset;
use rag_core::ltr::{self, Rows};
use rag_core::rankers::{self, RankerFormat};
use rag_core::{Cancel, Error, Result};
use rag_runtime::ltr::{Options, Step, importance, num_trees, train, train_linear, training};

use crate::arrays::{Table, counts, numbers};
use crate::call::{interruptible, released};
use crate::convert::{from_json, json, strings};
use crate::errors::{invalid, raise};
use crate::features::FeatureSchema;

/// A model that ranks documents by their features: read from a file, or trained here. It is never changed, and any thread
/// may use it.
///
/// Arrays of features have one row a document and one column a feature; NaN is a missing value. They are read as float32, in
/// place where they are that in C order; float64, lists and tables of numbers are converted.
#[pyclass(frozen, eq, module = "rag_core")]
#[derive(PartialEq)]
pub(crate) struct Ranker {
    pub(crate) inner: Arc<ltr::Ranker>,
}

#[pymethods]
impl Ranker {
    /// Reads a model file: one of `save`, of LightGBM (text, JSON) or of XGBoost (JSON, UBJSON). Scores are those of the
    /// library that wrote it; what would be scored differently is refused.
    ///
    /// Raises:
    ///     InvalidArgument: The file is damaged or no model.
    ///     Unsupported: The model has something that cannot be scored here.
    #[staticmethod]
    #[pyo3(signature = (path: "str | os.PathLike[str]") -> "Ranker")]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Ranker> {
        interruptible(py, &Cancel::never(), |_| rankers::load(&path)).map(Ranker::from)
    }

    /// As `load`, from the bytes of a file.
    #[classmethod]
    #[pyo3(signature = (data: "bytes") -> "Ranker")]
    fn from_bytes(_class: &Bound<'_, PyType>, py: Python<'_>, data: &[u8]) -> PyResult<Ranker> {
        released(py, || Ok(ltr::Ranker::from_bytes(data)?)).map(Ranker::from)
    }

    /// Writes the model to one file, whole or not at all.
    ///
    /// Args:
    ///     path: The file.
    ///     format: "rag", with schema and training; or "lightgbm", the text that LightGBM reads, for trees.
    #[pyo3(signature = (path: "str | os.PathLike[str]", format: "str" = "rag") -> "None")]
    fn save(&self, py: Python<'_>, path: PathBuf, format: &str) -> PyResult<()> {
        let format: RankerFormat = format.parse().map_err(|error: Error| raise(py, &error))?;
        interruptible(py, &Cancel::never(), |_| rankers::save(&self.inner, &path, format))
    }

    /// The bytes of the file that `save` writes.
    #[pyo3(signature = (format: "str" = "rag") -> "bytes")]
    fn to_bytes<'py>(&self, py: Python<'py>, format: &str) -> PyResult<Bound<'py, PyBytes>> {
        let format: RankerFormat = format.parse().map_err(|error: Error| raise(py, &error))?;
        let bytes = released(py, || rankers::to_bytes(&self.inner, format))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Trains trees boosted for a ranking (LambdaMART). The same data, parameters and seed give the same model, whatever the
    /// number of threads.
    ///
    /// Args:
    ///     X: Features, (n, d); the rows of a query stand together.
    ///     y: n grades: whole numbers from 0 on, higher is better.
    ///     group: How many rows each query has. Objectives that do not rank need none.
    ///     num_trees: Trees to grow; the next ones are LightGBM's too.
    ///     threads: 0 for as many as there are processors.
    ///     valid: (X, y, group) to watch, and for early stopping.
    ///     weights: One for each row.
    ///     inverse_propensities: One for each row, where the grades are clicks: one divided by the chance that the row was
    ///         looked at.
    ///     feature_names: One for each column; None for those of the schema.
    ///     schema: What the columns are: the model then says that it was made for it, and its columns of categories are split
    ///         as such.
    ///     progress: Is called after each tree with the number of trees, how many there will be, and the metrics by name; False
    ///         ends the training with the trees that there are.
    ///     parameters: Others by LightGBM's names, with its defaults: objective ("lambdarank", "regression", "binary"),
    ///         max_depth, grow_policy ("leafwise", "depthwise"), min_data_in_leaf, min_sum_hessian_in_leaf, lambda_l1,
    ///         lambda_l2, min_gain_to_split, max_bin, min_data_in_bin, bin_construct_sample_cnt, feature_fraction,
    ///         feature_fraction_bynode, bagging_fraction, bagging_freq, bagging_by_query, lambdarank_truncation_level,
    ///         lambdarank_norm, label_gain, sigmoid, eval_at, is_provide_training_metric, early_stopping_rounds,
    ///         categorical_feature (numbers of columns), max_cat_to_onehot, max_cat_threshold, cat_smooth, cat_l2,
    ///         min_data_per_group, use_missing, zero_as_missing, monotone_constraints.
    ///
    /// Raises:
    ///     InvalidArgument: Names the parameter, the row or the label.
    #[staticmethod]
    #[pyo3(signature = (X: "numpy.typing.ArrayLike", y: "numpy.typing.ArrayLike", group: "numpy.typing.ArrayLike | None" = None, *, num_trees: "int" = 100, num_leaves: "int" = 31, learning_rate: "float" = 0.1, seed: "int" = 0, threads: "int" = 0, valid: "tuple[numpy.typing.ArrayLike, ...] | None" = None, weights: "numpy.typing.ArrayLike | None" = None, inverse_propensities: "numpy.typing.ArrayLike | None" = None, feature_names: "collections.abc.Iterable[str] | None" = None, schema: "FeatureSchema | None" = None, progress: "collections.abc.Callable[[int, int, dict[str, float]], object] | None" = None, **parameters: "object") -> "Ranker")]
    #[allow(non_snake_case, clippy::too_many_arguments, reason = "names and arguments of Python")]
    fn train(
        py: Python<'_>,
        X: &Bound<'_, PyAny>,
        y: &Bound<'_, PyAny>,
        group: Option<&Bound<'_, PyAny>>,
        num_trees: i128,
        num_leaves: i128,
        learning_rate: f64,
        seed: i128,
        threads: i128,
        valid: Option<&Bound<'_, PyAny>>,
        weights: Option<&Bound<'_, PyAny>>,
        inverse_propensities: Option<&Bound<'_, PyAny>>,
        feature_names: Option<&Bound<'_, PyAny>>,
        schema: Option<Bound<'_, FeatureSchema>>,
        progress: Option<Py<PyAny>>,
        parameters: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Ranker> {
        let parameters = parameters.unwrap_or_else(|| PyDict::new(py));
        for (name, value) in
            [("num_trees", num_trees), ("num_leaves", num_leaves), ("seed", seed), ("threads", threads)]
        {
            parameters.set_item(name, value)?;
        }
        parameters.set_item("learning_rate", learning_rate)?;
        let data = Data::new(X, y, group, weights, inverse_propensities)?;
        let valid = valid.map(Data::of_tuple).transpose()?;
        let parameters = json(&parameters, "parameters", false)?;
        let names = feature_names.map(|names| strings(names, "feature_names")).transpose()?;
        let schema = schema.as_ref().map(|schema| &schema.get().inner);
        let options = Options { parameters: &parameters, names: names.as_deref(), schema };
        let (data, valid) = (data.plain()?, valid.as_ref().map(Data::plain).transpose()?);
        let failure = Mutex::new(None);
        let tell = |step: Step| match &progress {
            None => ControlFlow::Continue(()),
            Some(progress) => told(progress, step).unwrap_or_else(|error| {
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                ControlFlow::Break(())
            }),
        };
        let trained = interruptible(py, &Cancel::never(), |cancel| {
            let valid = valid.map(|valid| valid.dataset()).transpose()?;
            train(&data.dataset()?, valid.as_ref(), &options, cancel, &mut |step| tell(step))
        });
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => trained.map(Ranker::from),
        }
    }

    /// Trains a weighted sum of the features. They are standardised first, and a missing value counts as the mean of its
    /// column.
    ///
    /// Args:
    ///     objective: "ridge" (the labels themselves), "logistic", "pairwise" (the order of each query's rows, by logistic
    ///         regression), or "coordinate" (coordinate ascent on nDCG itself).
    ///     parameters: l2 (1.0), by_query (False; of "pairwise": whether each query counts the same); of "coordinate": k (10), gain ("exponential", "linear"), restarts, sweeps, tolerance, seed.
    ///
    /// The other arguments are those of `train`.
    #[staticmethod]
    #[pyo3(signature = (X: "numpy.typing.ArrayLike", y: "numpy.typing.ArrayLike", group: "numpy.typing.ArrayLike | None" = None, *, objective: "str" = "ridge", weights: "numpy.typing.ArrayLike | None" = None, inverse_propensities: "numpy.typing.ArrayLike | None" = None, feature_names: "collections.abc.Iterable[str] | None" = None, schema: "FeatureSchema | None" = None, **parameters: "object") -> "Ranker")]
    #[allow(non_snake_case, clippy::too_many_arguments, reason = "names and arguments of Python")]
    #[pyo3(name = "train_linear")]
    fn linear(
        py: Python<'_>,
        X: &Bound<'_, PyAny>,
        y: &Bound<'_, PyAny>,
        group: Option<&Bound<'_, PyAny>>,
        objective: &str,
        weights: Option<&Bound<'_, PyAny>>,
        inverse_propensities: Option<&Bound<'_, PyAny>>,
        feature_names: Option<&Bound<'_, PyAny>>,
        schema: Option<Bound<'_, FeatureSchema>>,
        parameters: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Ranker> {
        let parameters = parameters.unwrap_or_else(|| PyDict::new(py));
        parameters.set_item("objective", objective)?;
        let data = Data::new(X, y, group, weights, inverse_propensities)?;
        let parameters = json(&parameters, "parameters", false)?;
        let names = feature_names.map(|names| strings(names, "feature_names")).transpose()?;
        let schema = schema.as_ref().map(|schema| &schema.get().inner);
        let options = Options { parameters: &parameters, names: names.as_deref(), schema };
        let data = data.plain()?;
        let trained = interruptible(py, &Cancel::never(), |cancel| train_linear(&data.dataset()?, &options, cancel));
        trained.map(Ranker::from)
    }

    /// The score of each row, as the library of the model predicts it: the margin after the link of its objective.
    #[pyo3(signature = (X: "numpy.typing.ArrayLike") -> "numpy.typing.NDArray[numpy.float64]")]
    #[allow(non_snake_case, reason = "the name in Python")]
    fn score<'py>(&self, py: Python<'py>, X: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let table = Table::new(X, "X")?;
        let (values, columns) = table.plain()?;
        let scores = released(py, || Ok(self.inner.score(Rows::new(values, columns)?)?))?;
        Ok(scores.into_pyarray(py))
    }

    /// The margin of each row: the sum before any link, which is what ranks.
    #[pyo3(signature = (X: "numpy.typing.ArrayLike") -> "numpy.typing.NDArray[numpy.float64]")]
    #[allow(non_snake_case, reason = "the name in Python")]
    fn margin<'py>(&self, py: Python<'py>, X: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let table = Table::new(X, "X")?;
        let (values, columns) = table.plain()?;
        let margins = released(py, || Ok(self.inner.margins(Rows::new(values, columns)?)?))?;
        Ok(margins.into_pyarray(py))
    }
    /// Why each row has its margin: what each feature adds to it (SHAP values for trees).
    ///
    /// Returns:
    ///     Contributions, (n, d), and what the model answers when no feature is known. A row's contributions and that number
    ///     add up to its margin.
    ///
    /// Raises:
    ///     Unsupported: The model does not say how the rows of its training went.
    #[pyo3(signature = (X: "numpy.typing.ArrayLike") -> "tuple[numpy.typing.NDArray[numpy.float64], float]")]
    #[allow(non_snake_case, reason = "the name in Python")]
    fn explain<'py>(&self, py: Python<'py>, X: &Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyArray2<f64>>, f64)> {
        let table = Table::new(X, "X")?;
        let (values, columns) = table.plain()?;
        let explained = released(py, || Ok(self.inner.explain(Rows::new(values, columns)?)?))?;
        let (shape, expected) = ((explained.len(), columns), explained.expected());
        let contributions = Array2::from_shape_vec(shape, explained.into_contributions());
        let wrong = |error| raise(py, &Error::internal("contributions of another shape").with_source(error));
        Ok((contributions.map_err(wrong)?.into_pyarray(py), expected))
    }

    /// Names of the features; empty where the model has none.
    #[getter]
    fn feature_names(&self) -> Vec<String> {
        self.inner.names().to_vec()
    }

    /// Features of a row.
    #[getter]
    fn num_features(&self) -> usize {
        self.inner.columns()
    }

    /// Trees of the model; None for a linear one.
    #[getter]
    fn num_trees(&self) -> Option<usize> {
        num_trees(&self.inner)
    }

    /// How much the model uses each feature.
    ///
    /// Args:
    ///     kind: "gain", what its splits won in the training, or "split", how many there are; of a linear model "weight", the
    ///         weights of the standardised features. None for the first of these.
    #[pyo3(signature = (kind: "str | None" = None) -> "numpy.typing.NDArray[numpy.float64]")]
    fn feature_importance<'py>(&self, py: Python<'py>, kind: Option<&str>) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let importance = importance(&self.inner, kind).map_err(|error| raise(py, &error))?;
        Ok(importance.into_pyarray(py))
    }

    /// How the model came to be, where that is known: library, parameters, curves (each metric after each tree, by names such
    /// as "valid ndcg@10") and metrics (of the model as it is).
    #[getter]
    fn training<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        training(&self.inner).map(|training| from_json(py, &training.to_string())).transpose()
    }

    /// Which feature schema the model was made for, such as "v1:52c2e968bc9a"; None where it does not say.
    #[getter]
    fn schema(&self) -> Option<String> {
        self.inner.schema().map(|id| id.to_string())
    }

    fn __repr__(&self) -> String {
        let schema = self.inner.schema().map(|id| format!(", schema={:?}", id.to_string())).unwrap_or_default();
        let trees = num_trees(&self.inner).map(|trees| format!("num_trees={trees}, ")).unwrap_or_default();
        format!("Ranker({trees}num_features={}{schema})", self.inner.columns())
    }

    #[pyo3(signature = () -> "tuple[object, ...]")]
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        Ok((py.get_type::<Ranker>().getattr("from_bytes")?, (self.to_bytes(py, "rag")?,)))
    }
}

impl From<ltr::Ranker> for Ranker {
    fn from(inner: ltr::Ranker) -> Self {
        Ranker { inner: Arc::new(inner) }
    }
}

/// What the caller's function says to a step.
fn told(progress: &Py<PyAny>, step: Step) -> PyResult<ControlFlow<()>> {
    Python::attach(|py| {
        let answer = progress.bind(py).call1((step.iteration, step.num_trees, step.metrics))?;
        let is_ended = answer.cast::<PyBool>().is_ok_and(|answer| !answer.is_true());
        Ok(if is_ended { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })
}

/// Rows to learn from, as Python has them.
struct Data<'py> {
    table: Table<'py>,
    labels: PyReadonlyArray1<'py, f32>,
    groups: Vec<usize>,
    weights: Option<PyReadonlyArray1<'py, f32>>,
    inverse_propensities: Option<PyReadonlyArray1<'py, f32>>,
}

impl<'py> Data<'py> {
    fn new(
        x: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
        group: Option<&Bound<'py, PyAny>>,
        weights: Option<&Bound<'py, PyAny>>,
        inverse_propensities: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Self> {
        Ok(Data {
            table: Table::new(x, "X")?,
            labels: numbers(y, "y")?,
            groups: group.map(|group| counts(group, "group")).transpose()?.unwrap_or_default(),
            weights: weights.map(|weights| numbers(weights, "weights")).transpose()?,
            inverse_propensities: inverse_propensities
                .map(|factors| numbers(factors, "inverse_propensities"))
                .transpose()?,
        })
    }

    /// Of `(X, y)` or `(X, y, group)`.
    fn of_tuple(valid: &Bound<'py, PyAny>) -> PyResult<Self> {
        let parts: Vec<Bound<'py, PyAny>> = valid.extract().unwrap_or_default();
        match &parts[..] {
            [x, y] => Data::new(x, y, None, None, None),
            [x, y, group] => Data::new(x, y, Some(group).filter(|group| !group.is_none()), None, None),
            _ => Err(invalid(valid.py(), "`valid` is no tuple (X, y) or (X, y, group)")),
        }
    }

    fn plain(&self) -> PyResult<Plain<'_>> {
        let (values, columns) = self.table.plain()?;
        let weights = self.weights.as_ref().map(|weights| weights.as_slice()).transpose()?;
        let inverse_propensities = self.inverse_propensities.as_ref().map(|factors| factors.as_slice()).transpose()?;
        let (labels, groups) = (self.labels.as_slice()?, &self.groups);
        Ok(Plain { values, columns, labels, groups, weights, inverse_propensities })
    }
}

/// The same without Python, for other threads.
#[derive(Clone, Copy)]
struct Plain<'a> {
    values: &'a [f32],
    columns: usize,
    labels: &'a [f32],
    groups: &'a [usize],
    weights: Option<&'a [f32]>,
    inverse_propensities: Option<&'a [f32]>,
}

impl<'a> Plain<'a> {
    fn dataset(&self) -> Result<Dataset<'a>> {
        let Plain { values, columns, labels, groups, weights, inverse_propensities } = *self;
        Ok(Dataset { weights, inverse_propensities, ..Dataset::new(Rows::new(values, columns)?, labels, groups) })
    }
}
