//! What rankers read: schemas of features, logs of them, and functions of the caller's that compute some.

use std::path::PathBuf;
use std::sync::Arc;

use numpy::ndarray::Array2;
use numpy::{IntoPyArray, PyArray1, PyArray2};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyAny, PyDict, PyList, PyMapping};
use rag_core::features::{self, ClickCounts, FeatureDocument, FeatureFunction, FeatureQuery};
use rag_core::ltr::schema;
use rag_core::{Error, ErrorKind};
use rag_runtime::{logs, ltr};

use crate::call::interruptible;
use crate::convert::{metadata, strings};
use crate::errors::{invalid, raise};
use crate::evaluation::by_query;

/// The features of a row, in order, and what names them in models and messages.
///
/// Args:
///     names: One for each column, each once.
///     kinds: "numeric", "boolean" or "categorical" for each; None for numbers all of them.
///     version: Number of the schema, raised with every change.
///     meanings: What the values of each depend on besides the data, in short text or None, such as a list of values.
#[pyclass(frozen, eq, module = "rag_core")]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FeatureSchema {
    pub(crate) inner: schema::FeatureSchema,
}

#[pymethods]
impl FeatureSchema {
    #[new]
    #[pyo3(signature = (names: "collections.abc.Iterable[str]", kinds: "collections.abc.Iterable[str] | None" = None, version: "int" = 1, meanings: "list[str | None] | None" = None))]
    fn new(
        py: Python<'_>,
        names: &Bound<'_, PyAny>,
        kinds: Option<&Bound<'_, PyAny>>,
        version: u32,
        meanings: Option<Vec<Option<String>>>,
    ) -> PyResult<Self> {
        let kinds = kinds.map(|kinds| strings(kinds, "kinds")).transpose()?;
        let schema = ltr::schema(strings(names, "names")?, kinds, meanings, version);
        Ok(FeatureSchema { inner: schema.map_err(|error| raise(py, &error))? })
    }

    /// Names of the features.
    #[getter]
    fn names(&self) -> Vec<String> {
        self.inner.features().iter().map(|feature| feature.name.clone()).collect()
    }

    /// What the values of each are: "numeric", "boolean" or "categorical".
    #[getter]
    fn kinds(&self) -> Vec<&'static str> {
        self.inner.features().iter().map(|feature| ltr::kind_name(feature.kind)).collect()
    }

    /// What the values of each depend on besides the data; None where nothing can be set.
    #[getter]
    fn meanings(&self) -> Vec<Option<String>> {
        self.inner.features().iter().map(|feature| feature.meaning.clone()).collect()
    }

    /// Number of the schema.
    #[getter]
    fn version(&self) -> u32 {
        self.inner.version()
    }

    /// SHA-256 of names, kinds, meanings and order, in hexadecimal digits.
    #[getter]
    fn hash(&self) -> String {
        self.inner.hash().to_owned()
    }

    /// What models and messages call it: version and the first digits of the hash, such as "v1:52c2e968bc9a".
    #[getter]
    fn id(&self) -> String {
        self.inner.id().to_string()
    }

    /// As a dictionary.
    #[pyo3(signature = () -> "dict[str, object]")]
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dictionary = PyDict::new(py);
        dictionary.set_item("id", self.id())?;
        dictionary.set_item("version", self.version())?;
        dictionary.set_item("names", self.names())?;
        dictionary.set_item("kinds", self.kinds())?;
        dictionary.set_item("meanings", self.meanings())?;
        dictionary.set_item("hash", self.hash())?;
        Ok(dictionary)
    }

    fn __len__(&self) -> usize {
        self.inner.features().len()
    }

    fn __repr__(&self) -> String {
        format!("FeatureSchema({:?}, {} features)", self.id(), self.__len__())
    }

    #[pyo3(signature = () -> "tuple[object, ...]")]
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let fields = (self.names(), self.kinds(), self.version(), self.meanings());
        Ok((py.get_type::<FeatureSchema>(), fields).into_pyobject(py)?.into_any())
    }
}

/// The candidates of some questions with their features, as a ranker sees them. Rows stand question by question, the
/// candidates of each best first by the fused score.
#[pyclass(frozen, module = "rag_core")]
pub(crate) struct FeatureLog {
    pub(crate) inner: features::FeatureLog,
    table: PyOnceLock<Py<PyArray2<f32>>>,
}

#[pymethods]
impl FeatureLog {
    /// The features, (n, d); NaN is a missing value. Not to be written to.
    #[getter]
    #[pyo3(name = "X")]
    pub(crate) fn table<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let table = self.table.get_or_try_init(py, || {
            let shape = (self.inner.groups().iter().sum(), self.inner.schema.features().len());
            let table = Array2::from_shape_vec(shape, self.inner.values.clone());
            let wrong = |error| raise(py, &Error::internal("rows of another length").with_source(error));
            let table = table.map_err(wrong)?.into_pyarray(py);
            table.call_method1("setflags", (false,))?;
            Ok::<_, PyErr>(table.unbind())
        })?;
        Ok(table.bind(py).clone())
    }

    /// How many rows each question has; 0 for one without candidates.
    #[getter]
    fn group(&self) -> Vec<usize> {
        self.inner.groups()
    }

    /// The id of each question.
    #[getter]
    fn query_ids(&self) -> Vec<&str> {
        self.inner.queries.iter().map(|query| query.id.as_str()).collect()
    }

    /// The id of the document of each row.
    #[getter]
    fn document_ids(&self) -> Vec<&str> {
        self.inner.iter().map(|(_, document, _)| document).collect()
    }

    /// Names of the features.
    #[getter]
    fn names(&self) -> Vec<String> {
        self.schema().names()
    }

    /// What the columns are.
    #[getter]
    fn schema(&self) -> FeatureSchema {
        FeatureSchema { inner: self.inner.schema.clone() }
    }

    /// The grade of each row by judgments; 0 where there is none, and for grades below 0.
    ///
    /// Args:
    ///     qrels: {query: {document: grade}}.
    #[pyo3(signature = (qrels: "collections.abc.Mapping[str, collections.abc.Mapping[str, int]]") -> "numpy.typing.NDArray[numpy.float32]")]
    fn labels<'py>(&self, py: Python<'py>, qrels: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyArray1<f32>>> {
        Ok(logs::labels(&self.inner, &by_query(qrels, "qrels")?).into_pyarray(py))
    }

    /// Writes the rows with their grades as SVMlight's text, which LightGBM, XGBoost and scikit-learn read too: queries and
    /// columns are counted from 1, zeros left out, and so are questions without candidates.
    ///
    /// Args:
    ///     path: The file.
    ///     qrels: {query: {document: grade}}; None for grades of 0.
    #[pyo3(signature = (path: "str | os.PathLike[str]", qrels: "collections.abc.Mapping[str, collections.abc.Mapping[str, int]] | None" = None) -> "None")]
    fn to_svmlight(&self, py: Python<'_>, path: PathBuf, qrels: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let qrels = qrels.map(|qrels| by_query(qrels, "qrels")).transpose()?.unwrap_or_default();
        interruptible(py, &rag_core::Cancel::never(), |_| logs::save_svmlight(&self.inner, &qrels, &path))
    }

    fn __len__(&self) -> usize {
        self.inner.iter().count()
    }

    fn __repr__(&self) -> String {
        let (rows, queries) = (self.__len__(), self.inner.queries.len());
        format!("FeatureLog({rows} rows of {queries} questions, schema={:?})", self.inner.schema.id().to_string())
    }
}

impl From<features::FeatureLog> for FeatureLog {
    fn from(inner: features::FeatureLog) -> Self {
        FeatureLog { inner, table: PyOnceLock::new() }
    }
}

/// Questions as a dictionary of texts by id, or as pairs of both.
pub(crate) fn questions(queries: &Bound<'_, PyAny>) -> PyResult<Vec<(String, String)>> {
    let of = |item: &[Bound<'_, PyAny>]| match item {
        [id, text] => Some((id.extract().ok()?, text.extract().ok()?)),
        _ => None,
    };
    items(queries, "queries", "{id: text} or pairs of id and text", of)
}

/// Rows of clicks as a dictionary `{id: (impressions, clicks)}`, or as triples.
pub(crate) fn clicks(rows: &Bound<'_, PyAny>) -> PyResult<Vec<ClickCounts>> {
    let of = |item: &[Bound<'_, PyAny>]| {
        let (id, counts) = match item {
            [id, counts] => (id, counts.extract().ok()?),
            [id, counts @ ..] => (id, counts.to_vec()),
            [] => return None,
        };
        let [impressions, clicks] = &counts[..] else { return None };
        Some(ClickCounts::new(id.extract::<String>().ok()?, impressions.extract().ok()?, clicks.extract().ok()?))
    };
    items(rows, "rows", "{id: (impressions, clicks)} or triples of these", of)
}

/// The items of a dictionary or of any other collection of tuples or lists.
fn items<'py, T>(
    given: &Bound<'py, PyAny>,
    name: &str,
    wanted: &str,
    of: impl Fn(&[Bound<'py, PyAny>]) -> Option<T>,
) -> PyResult<Vec<T>> {
    let wrong = || invalid(given.py(), format!("`{name}` is not {wanted}"));
    let items = match given.cast::<PyMapping>() {
        Ok(mapping) => mapping.items()?.into_any(),
        Err(_) => given.clone(),
    };
    let items = items.try_iter().map_err(|_| wrong())?;
    items.map(|item| item?.extract::<Vec<_>>().ok().and_then(|item| of(&item)).ok_or_else(wrong)).collect()
}

/// The caller's feature functions, by the names of their features.
pub(crate) fn functions(given: &Bound<'_, PyAny>) -> PyResult<Vec<Arc<dyn FeatureFunction>>> {
    let of = |item: &[Bound<'_, PyAny>]| match item {
        [name, function] => Some((name.extract::<String>().ok()?, function.clone().unbind())),
        _ => None,
    };
    let named = items(given, "feature_functions", "{name: function}", of)?;
    named.into_iter().map(|(name, function)| of_callable(given.py(), name, function)).collect()
}

fn of_callable(py: Python<'_>, name: String, function: Py<PyAny>) -> PyResult<Arc<dyn FeatureFunction>> {
    if !function.bind(py).is_callable() {
        return Err(invalid(py, format!("`feature_functions`: {name:?} is no function")));
    }
    let of_function = name.clone();
    let compute = move |query: FeatureQuery<'_>, documents: &[FeatureDocument<'_>]| {
        let called = Python::try_attach(|py| {
            computed(function.bind(py), query.text, documents).map_err(|error| {
                let error = failed(py, &of_function, error);
                if error.kind() == ErrorKind::Cancelled {
                    query.cancel.cancel();
                }
                error
            })
        });
        called.unwrap_or_else(|| Err(Error::new(ErrorKind::Cancelled, "the interpreter is ending")))
    };
    Ok(logs::feature_function(name, compute))
}

/// One value for each document.
fn computed(function: &Bound<'_, PyAny>, query: &str, documents: &[FeatureDocument<'_>]) -> PyResult<Vec<f32>> {
    let py = function.py();
    let as_dictionary = |document: &FeatureDocument<'_>| {
        let dictionary = PyDict::new(py);
        dictionary.set_item("id", document.id)?;
        dictionary.set_item("title", document.title)?;
        dictionary.set_item("text", document.text)?;
        dictionary.set_item("metadata", metadata(py, document.metadata)?)?;
        Ok::<_, PyErr>(dictionary)
    };
    let documents = documents.iter().map(as_dictionary).collect::<PyResult<Vec<_>>>()?;
    let values = function.call1((query, PyList::new(py, documents)?))?;
    let values = values.try_iter()?.map(|value| Ok(value?.extract::<Option<f64>>()?.map_or(f32::NAN, |v| v as f32)));
    values.collect()
}

/// What the function raised, as an error of the search; Ctrl-C ends it.
fn failed(py: Python<'_>, name: &str, error: PyErr) -> Error {
    let kind = if error.is_instance_of::<PyException>(py) { ErrorKind::InvalidArgument } else { ErrorKind::Cancelled };
    Error::new(kind, format!("the feature function {name:?} raised {error}")).with_source(error)
}
