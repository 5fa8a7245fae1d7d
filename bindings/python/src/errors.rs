//! Errors of the engine as exceptions of Python. The classes stand in `rag_core/errors.py`, one for each kind.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use rag_core::{Error, ErrorKind};

/// The class of a kind.
fn class_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidArgument => "InvalidArgument",
        ErrorKind::NotFound => "NotFound",
        ErrorKind::PermissionDenied => "PermissionDenied",
        ErrorKind::Unauthenticated => "Unauthenticated",
        ErrorKind::RateLimited => "RateLimited",
        ErrorKind::Conflict => "Conflict",
        ErrorKind::SchemaMismatch => "SchemaMismatch",
        ErrorKind::ModelMismatch => "ModelMismatch",
        ErrorKind::Corruption => "Corruption",
        ErrorKind::Unsupported => "Unsupported",
        ErrorKind::ResourceExhausted => "ResourceExhausted",
        ErrorKind::DeadlineExceeded => "DeadlineExceeded",
        ErrorKind::Cancelled => "Cancelled",
        ErrorKind::Unavailable => "Unavailable",
        // `Internal`, and kinds that are younger than this table.
        _ => "Internal",
    }
}

/// The exception of an error: class by kind, message, and the named facts as `context`. What a function of the caller's
/// raised is its cause; what ends a program, such as Ctrl-C, is raised as it is.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<PyErr>());
    if let Some(source) = source.filter(|source| !source.is_instance_of::<PyException>(py)) {
        return source.clone_ref(py);
    }
    let build = || {
        let class = py.import("rag_core.errors")?.getattr(class_name(error.kind()))?;
        let context = PyDict::new(py);
        for (name, value) in error.context() {
            context.set_item(name, value)?;
        }
        class.call1((error.to_string(), context))
    };
    let raised = build().map_or_else(|failure| failure, PyErr::from_value);
    if let Some(source) = source {
        raised.set_cause(py, Some(source.clone_ref(py)));
    }
    raised
}

/// [`Error::invalid`] as an exception.
pub(crate) fn invalid(py: Python<'_>, message: impl Into<String>) -> PyErr {
    raise(py, &Error::invalid(message))
}

/// The name of every kind of error and of the class that is raised for it.
#[pyfunction]
pub(crate) fn error_kinds() -> Vec<(&'static str, &'static str)> {
    ErrorKind::ALL.iter().map(|&kind| (kind.as_str(), class_name(kind))).collect()
}
