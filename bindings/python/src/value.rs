//! Classes of plain values.

/// A frozen class of fields that have a form in Python, with the constructor, `to_dict`, `repr`, equality and pickle that
/// such a class has; one list of fields is all there is to keep.
macro_rules! value_class {
    ($(#[$about:meta])* $name:ident { $($(#[$about_field:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$about])*
        #[pyo3::pyclass(frozen, eq, get_all, module = "rag_core")]
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) struct $name {
            $($(#[$about_field])* pub(crate) $field: $type,)*
        }

        #[pyo3::pymethods]
        impl $name {
            #[new]
            #[allow(clippy::too_many_arguments, reason = "the fields, for pickle")]
            fn new($($field: $type),*) -> Self {
                $name { $($field),* }
            }

            /// As a dictionary.
            #[pyo3(signature = () -> "dict[str, typing.Any]")]
            fn to_dict<'py>(
                &self,
                py: pyo3::Python<'py>,
            ) -> pyo3::PyResult<pyo3::Bound<'py, pyo3::types::PyDict>> {
                let dictionary = pyo3::types::PyDict::new(py);
                $(pyo3::types::PyDictMethods::set_item(&dictionary, stringify!($field), self.$field.clone())?;)*
                Ok(dictionary)
            }

            fn __repr__(&self, py: pyo3::Python<'_>) -> pyo3::PyResult<String> {
                $crate::value::repr(stringify!($name), &self.to_dict(py)?)
            }

            #[pyo3(signature = () -> "tuple[typing.Any, ...]")]
            fn __reduce__<'py>(
                &self,
                py: pyo3::Python<'py>,
            ) -> pyo3::PyResult<(pyo3::Bound<'py, pyo3::types::PyType>, pyo3::Bound<'py, pyo3::types::PyTuple>)> {
                let fields = [$(pyo3::IntoPyObjectExt::into_bound_py_any(self.$field.clone(), py)?),*];
                Ok((py.get_type::<$name>(), pyo3::types::PyTuple::new(py, fields)?))
            }
        }
    };
}
pub(crate) use value_class;

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// `Name(field=value, …)` of a dictionary of the fields.
pub(crate) fn repr(name: &str, fields: &Bound<'_, PyDict>) -> PyResult<String> {
    let fields = fields.iter().map(|(field, value)| Ok(format!("{field}={}", value.repr()?)));
    Ok(format!("{name}({})", fields.collect::<PyResult<Vec<_>>>()?.join(", ")))
}
