//! Arrays of numbers that Python hands in.

use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;

/// Rows of features.
pub(crate) struct Table<'py>(PyReadonlyArray2<'py, f32>);

impl<'py> Table<'py> {
    pub(crate) fn new(values: &Bound<'py, PyAny>, name: &str) -> PyResult<Self> {
        if let Ok(array) = values.cast::<PyArray2<f32>>()
            && array.is_c_contiguous()
            && array.data().is_aligned()
        {
            return Ok(Table(array.readonly()));
        }
        let array = values.py().import("rag_core._arrays")?.call_method1("table", (values, name))?;
        Ok(Table(array.cast_into::<PyArray2<f32>>()?.readonly()))
    }

    /// The values, row after row, and the columns.
    pub(crate) fn plain(&self) -> PyResult<(&[f32], usize)> {
        Ok((self.0.as_slice()?, self.0.shape()[1]))
    }
}

/// One number a row.
pub(crate) fn numbers<'py>(values: &Bound<'py, PyAny>, name: &str) -> PyResult<PyReadonlyArray1<'py, f32>> {
    let numbers = values.py().import("rag_core._arrays")?.call_method1("numbers", (values, name))?;
    Ok(numbers.cast_into::<PyArray1<f32>>()?.readonly())
}

/// Whole numbers from 0 on.
pub(crate) fn counts(values: &Bound<'_, PyAny>, name: &str) -> PyResult<Vec<usize>> {
    values.py().import("rag_core._arrays")?.call_method1("counts", (values, name))?.extract()
}
