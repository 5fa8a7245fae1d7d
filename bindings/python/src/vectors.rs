//! The vector index on its own.

use std::path::PathBuf;

use numpy::ndarray::Array2;
use numpy::{
    IntoPyArray, PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArray1, PyReadonlyArrayDyn, PyUntypedArrayMethods,
};
use pyo3::prelude::*;
use pyo3::types::{PyAny, PyDict, PyTuple};
use rag_core::ann::{KeyedIndex, KeyedQuery};
use rag_core::{Cancel, Error};
use rag_runtime::vectors;

use crate::call::{interruptible, released};
use crate::convert::count;
use crate::errors::raise;

/// Vectors by id, to be searched from any number of threads while others add and remove. Searching is exact until `build`
/// makes a graph.
///
/// Args:
///     dim: Values of a vector.
///     metric: "cosine", "dot" or "l2" (the score is then minus the squared distance). Higher scores are nearer.
///     m: Neighbours of a node of the graph, 2 to 256.
///     ef_construction: Candidates while building the graph.
///     quantization: None; "int8" is not there yet and raises Unsupported.
///     threads: Of building and of searching many at once; 0 for as many as there are processors.
#[pyclass(frozen, module = "rag_core")]
pub(crate) struct VectorIndex {
    inner: KeyedIndex,
}

#[pymethods]
impl VectorIndex {
    #[new]
    #[pyo3(signature = (dim: "int", metric: "str" = "cosine", m: "int" = 16, ef_construction: "int" = 200, quantization: "str | None" = None, threads: "int" = 0))]
    fn new(
        py: Python<'_>,
        dim: i128,
        metric: &str,
        m: usize,
        ef_construction: usize,
        quantization: Option<&str>,
        threads: usize,
    ) -> PyResult<Self> {
        let inner = vectors::make(count(py, "dim", dim)?, metric, m, ef_construction, quantization, threads);
        Ok(VectorIndex { inner: inner.map_err(|error| raise(py, &error))? })
    }

    /// Adds vectors; an id that has one gets the new one.
    ///
    /// Args:
    ///     ids: n integers, 0 to 2⁶⁴ − 2, such as an array of uint64.
    ///     vectors: An array of shape (n, dim); float32 in C order is read without a copy, so nobody may change it meanwhile.
    #[pyo3(signature = (ids: "numpy.typing.ArrayLike", vectors: "numpy.typing.ArrayLike") -> "None")]
    fn add(&self, py: Python<'_>, ids: &Bound<'_, PyAny>, vectors: &Bound<'_, PyAny>) -> PyResult<()> {
        let (ids, rows) = (id_array(ids, "ids")?, self.rows(vectors, "vectors", false)?);
        let (ids, values) = (ids.as_slice()?, rows.as_slice()?);
        interruptible(py, &Cancel::never(), |_| vectors::add(&self.inner, ids, values))
    }

    /// Takes vectors out; gives how many were there.
    #[pyo3(signature = (ids: "numpy.typing.ArrayLike") -> "int")]
    fn remove(&self, py: Python<'_>, ids: &Bound<'_, PyAny>) -> PyResult<usize> {
        let ids = id_array(ids, "ids")?;
        let ids = ids.as_slice()?;
        released(py, || self.inner.remove(ids))
    }

    /// Builds a graph over all vectors there are now; searches then take logarithmic instead of linear time and find most
    /// of the true neighbours. With less than 5,000 vectors searching stays exact.
    ///
    /// Raises:
    ///     Unsupported: For a metric other than "cosine".
    fn build(&self, py: Python<'_>) -> PyResult<()> {
        interruptible(py, &Cancel::never(), |cancel| self.inner.build(cancel))
    }

    /// The nearest vectors.
    ///
    /// Args:
    ///     q: One vector, or an array of shape (n, dim); float32 in C order is read without a copy.
    ///     k: Neighbours of each.
    ///     ef: Candidates of a search in the graph; higher finds more of the true neighbours and takes longer.
    ///     allow: Only these ids.
    ///     threads: For several vectors; 0 for those of the index.
    ///
    /// Returns:
    ///     ids (uint64) and scores (float32), best first. For one vector both have as many values as there are neighbours, at
    ///     most k. For several they have the shape (n, k), and where there are fewer neighbours 2⁶⁴ − 1 and −inf.
    #[pyo3(signature = (q: "numpy.typing.ArrayLike", k: "int" = 10, ef: "int" = 64, allow: "numpy.typing.ArrayLike | None" = None, threads: "int" = 0) -> "tuple[numpy.typing.NDArray[numpy.uint64], numpy.typing.NDArray[numpy.float32]]")]
    fn search<'py>(
        &self,
        py: Python<'py>,
        q: &Bound<'py, PyAny>,
        k: i128,
        ef: usize,
        allow: Option<&Bound<'py, PyAny>>,
        threads: usize,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let k = count(py, "k", k)?;
        let (queries, allow) = (self.rows(q, "query", true)?, allow.map(|ids| id_array(ids, "allow")).transpose()?);
        let (values, is_single) = (queries.as_slice()?, queries.ndim() == 1);
        let allow = allow.as_ref().map(|ids| ids.as_slice()).transpose()?;
        if is_single {
            let never = Cancel::never();
            let query = KeyedQuery { k, ef, allow, threads, cancel: &never };
            let found = released(py, || self.inner.search(values, &query))?;
            let (ids, scores): (Vec<u64>, Vec<f32>) = found.into_iter().unzip();
            return (ids.into_pyarray(py), scores.into_pyarray(py)).into_pyobject(py);
        }
        let found = interruptible(py, &Cancel::never(), |cancel| {
            self.inner.search_many(values, &KeyedQuery { k, ef, allow, threads, cancel })
        })?;
        let rows = found.len();
        let (ids, scores) = vectors::rectangle(found, k).map_err(|error| raise(py, &error))?;
        let shape = |error| raise(py, &Error::internal("rows of another length").with_source(error));
        let ids = Array2::from_shape_vec((rows, k), ids).map_err(shape)?;
        let scores = Array2::from_shape_vec((rows, k), scores).map_err(shape)?;
        (ids.into_pyarray(py), scores.into_pyarray(py)).into_pyobject(py)
    }

    /// Writes everything to one file, whole or not at all.
    #[pyo3(signature = (path: "str | os.PathLike[str]") -> "None")]
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        interruptible(py, &Cancel::never(), |_| self.inner.save(&path))
    }

    /// Reads what `save` wrote, and builds the graph again where there was one.
    ///
    /// Args:
    ///     path: The file.
    ///     mmap: Use the file in place; not there yet, so True raises Unsupported.
    ///     threads: As of the class.
    #[staticmethod]
    #[pyo3(signature = (path: "str | os.PathLike[str]", mmap: "bool" = false, *, threads: "int" = 0) -> "VectorIndex")]
    fn load(py: Python<'_>, path: PathBuf, mmap: bool, threads: usize) -> PyResult<Self> {
        let inner = interruptible(py, &Cancel::never(), |cancel| vectors::load(&path, mmap, threads, cancel))?;
        Ok(VectorIndex { inner })
    }

    /// Values of a vector.
    #[getter]
    fn dim(&self) -> usize {
        self.inner.options().dimension
    }

    fn __len__(&self) -> usize {
        self.inner.len()
    }

    fn __contains__(&self, id: i128) -> bool {
        u64::try_from(id).is_ok_and(|id| self.inner.contains(id))
    }

    fn __repr__(&self) -> String {
        let options = self.inner.options();
        format!("VectorIndex(dim={}, metric={:?}, len={})", options.dimension, options.metric, self.inner.len())
    }
}

impl VectorIndex {
    fn rows<'py>(
        &self,
        values: &Bound<'py, PyAny>,
        name: &str,
        may_be_one: bool,
    ) -> PyResult<PyReadonlyArrayDyn<'py, f32>> {
        let arguments = PyDict::new(values.py());
        arguments.set_item("may_be_one", may_be_one)?;
        let rows = values.py().import("rag_core._arrays")?.getattr("rows")?;
        let rows = rows.call((values, name, self.inner.options().dimension), Some(&arguments))?;
        Ok(rows.cast_into::<PyArrayDyn<f32>>()?.readonly())
    }
}

fn id_array<'py>(values: &Bound<'py, PyAny>, name: &str) -> PyResult<PyReadonlyArray1<'py, u64>> {
    let ids = values.py().import("rag_core._arrays")?.call_method1("ids", (values, name))?;
    Ok(ids.cast_into::<PyArray1<u64>>()?.readonly())
}
