//! What Python hands in: documents, metadata, filters.

use pyo3::exceptions::{PyAttributeError, PyOverflowError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple};
use rag_core::engine::{Mode, SearchRequest};
use rag_core::{Cancel, Document, Filter, Metadata, Scope, Value};

use crate::errors::{invalid, raise};

/// Names of the fields of a document; every other column of a table is metadata.
const FIELDS: [&str; 4] = ["id", "title", "text", "metadata"];

/// Most dictionaries inside of one another.
const DEPTH: usize = 32;

/// A count, which Python has of any size.
pub(crate) fn count(py: Python<'_>, name: &str, value: i128) -> PyResult<usize> {
    usize::try_from(value).map_err(|_| invalid(py, format!("`{name}` is {value}; give a whole number of at least 0")))
}

/// A string for the engine; Python's may hold halves of characters, which are no text.
fn text(value: &Bound<'_, PyString>, name: &str) -> PyResult<String> {
    let wrong = |_| invalid(value.py(), format!("`{name}` has half a character (a lone surrogate), which is no text"));
    Ok(value.to_cow().map_err(wrong)?.into_owned())
}

/// The strings of a collection that is no string itself.
pub(crate) fn strings(values: &Bound<'_, PyAny>, name: &str) -> PyResult<Vec<String>> {
    let py = values.py();
    let wanted = || invalid(py, format!("`{name}` is a {}; give a list of strings", type_name(values)));
    if values.is_instance_of::<PyString>() {
        return Err(wanted());
    }
    let items = values.try_iter().map_err(|_| wanted())?;
    let mut strings = Vec::new();
    for (position, item) in items.enumerate() {
        let item = item?;
        let Ok(found) = item.cast::<PyString>() else {
            return Err(invalid(
                py,
                format!("`{name}` has a {} at position {position}; give strings", type_name(&item)),
            ));
        };
        strings.push(text(found, name)?);
    }
    Ok(strings)
}

fn type_name(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "thing".to_owned(), |name| name.to_string())
}

/// The scope of a call.
pub(crate) fn scope(py: Python<'_>, tenant: Option<&str>) -> PyResult<Scope> {
    match tenant {
        None => Ok(Scope::default()),
        Some(name) => Scope::tenant(name).map_err(|error| raise(py, &error)),
    }
}

/// A filter from the dictionary of its JSON form; dates may be objects of `datetime`.
pub(crate) fn filter(py: Python<'_>, filter: &Bound<'_, PyAny>) -> PyResult<Filter> {
    let json = match filter.cast::<PyString>() {
        Ok(text) => text.to_cow()?.into_owned(),
        Err(_) => json(filter, "filter", true)?,
    };
    Filter::parse(&json).map_err(|error| raise(py, &error))
}

/// Who asks, and what is wanted of the list.
#[derive(Default)]
pub(crate) struct Wishes {
    pub(crate) user: Option<String>,
    pub(crate) collapse: Option<String>,
    pub(crate) diversity: Option<f32>,
}

/// A question of `search` and its like.
#[allow(clippy::too_many_arguments, reason = "the arguments of a search")]
pub(crate) fn request(
    py: Python<'_>,
    text: &str,
    k: i128,
    filter: Option<&Bound<'_, PyAny>>,
    retrievers: Option<&Bound<'_, PyAny>>,
    explain: bool,
    vector: Option<Vec<f32>>,
    syntax: bool,
    wishes: Wishes,
    cancel: &Cancel,
) -> PyResult<SearchRequest> {
    let names = retrievers.map(|names| strings(names, "retrievers")).transpose()?;
    let mode = names.map_or(Ok(Mode::default()), |names| Mode::of(&names)).map_err(|error| raise(py, &error))?;
    let mut request = SearchRequest::new(text, count(py, "k", k)?).with_mode(mode).with_cancel(cancel.clone());
    request.filter = filter.map(|given| self::filter(py, given)).transpose()?;
    request.explain = explain;
    request.vector = vector;
    request.syntax = syntax;
    (request.user, request.collapse, request.diversity) = (wishes.user, wishes.collapse, wishes.diversity);
    Ok(request)
}

/// A value as JSON; `infinite`: whether numbers that JSON has no words for are written as Python does.
pub(crate) fn json(value: &Bound<'_, PyAny>, name: &str, infinite: bool) -> PyResult<String> {
    let py = value.py();
    let arguments = PyDict::new(py);
    arguments.set_item("default", py.import("rag_core._documents")?.getattr("as_json")?)?;
    arguments.set_item("allow_nan", infinite)?;
    let json = py.import("json")?.call_method("dumps", (value,), Some(&arguments));
    let wrong = |error: PyErr| invalid(py, format!("`{name}` cannot be written as JSON: {}", error.value(py)));
    json.map_err(wrong)?.extract()
}

/// The value of some JSON.
pub(crate) fn from_json<'py>(py: Python<'py>, json: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("json")?.call_method1("loads", (json,))
}

/// A document from a dictionary, or from an object with attributes of these names, such as a dataclass.
/// `columns`: other keys are metadata, as in the rows of a table.
pub(crate) fn document(item: &Bound<'_, PyAny>, position: usize, columns: bool) -> PyResult<Document> {
    let py = item.py();
    let at = |what: String| invalid(py, format!("document {position}: {what}"));
    let mapping = item.cast::<PyMapping>().ok();
    let get = |name: &str| -> PyResult<Option<Bound<'_, PyAny>>> {
        let value = match mapping {
            Some(mapping) if mapping.contains(name)? => Some(mapping.get_item(name)?),
            Some(_) => None,
            None => match item.getattr(name) {
                Ok(value) => Some(value),
                Err(error) if error.is_instance_of::<PyAttributeError>(py) => None,
                Err(error) => return Err(error),
            },
        };
        Ok(value.filter(|value| !value.is_none()))
    };
    let text_of = |name: &str| -> PyResult<Option<String>> {
        let Some(value) = get(name)? else { return Ok(None) };
        match value.cast::<PyString>() {
            Ok(found) => text(found, name).map(Some).map_err(|error| named(&error, position, py)),
            Err(_) => Err(at(format!("`{name}` is a {}; give a string", value.get_type().name()?))),
        }
    };
    let id = text_of("id")?.ok_or_else(|| at("it has no `id`; give a string".to_owned()))?;
    let mut document = Document::new(id, text_of("text")?.unwrap_or_default());
    document.title = text_of("title")?.unwrap_or_default();
    if let Some(metadata) = get("metadata")? {
        fill(&mut document.metadata, "", &metadata, 0).map_err(|what| named(&what, position, py))?;
    }
    if let Some(mapping) = mapping {
        for key in mapping.keys()? {
            let name: String = key.extract().map_err(|_| at("a key is not a string".to_owned()))?;
            if FIELDS.contains(&name.as_str()) {
                continue;
            }
            if !columns {
                return Err(at(format!(
                    "`{name}` is no field; there are id, title, text and metadata: put it into the last"
                )));
            }
            put(&mut document.metadata, &name, &mapping.get_item(key)?, 0)
                .map_err(|what| named(&what, position, py))?;
        }
    }
    Ok(document)
}

fn named(error: &PyErr, position: usize, py: Python<'_>) -> PyErr {
    invalid(py, format!("document {position}: {}", error.value(py)))
}

fn fill(metadata: &mut Metadata, prefix: &str, mapping: &Bound<'_, PyAny>, depth: usize) -> PyResult<()> {
    if depth > DEPTH {
        return Err(invalid(
            mapping.py(),
            format!("`metadata` has more than {DEPTH} dictionaries inside of one another"),
        ));
    }
    let Ok(mapping) = mapping.cast::<PyMapping>() else {
        return Err(invalid(mapping.py(), "`metadata` is no dictionary"));
    };
    for key in mapping.keys()? {
        let Ok(name) = key.cast::<PyString>() else {
            return Err(invalid(mapping.py(), "`metadata` has a key that is not a string"));
        };
        let name = format!("{prefix}{}", text(name, "metadata")?);
        put(metadata, &name, &mapping.get_item(&key)?, depth)?;
    }
    Ok(())
}

/// `None` leaves the field out; a dictionary gives fields with dotted names.
fn put(metadata: &mut Metadata, name: &str, value: &Bound<'_, PyAny>, depth: usize) -> PyResult<()> {
    if value.is_none() {
        return Ok(());
    }
    if value.cast::<PyDict>().is_ok() {
        return fill(metadata, &format!("{name}."), value, depth + 1);
    }
    metadata.insert(name.to_owned(), self::value(name, value, Inside::Field)?);
    Ok(())
}

/// Where a value stands: what may stand in a field may not stand everywhere.
#[derive(Clone, Copy, PartialEq)]
enum Inside {
    Field,
    List,
    /// It was something else before: a date, a scalar or array of numpy.
    Plain,
}

fn value(name: &str, value: &Bound<'_, PyAny>, inside: Inside) -> PyResult<Value> {
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(Value::Bool(flag.is_true()));
    }
    if value.cast::<PyInt>().is_ok() {
        return match value.extract::<i64>() {
            Ok(whole) => Ok(Value::Int(whole)),
            Err(error) if error.is_instance_of::<PyOverflowError>(value.py()) => {
                Err(invalid(value.py(), format!("metadata `{name}` is beyond 64 bits; give it as a string")))
            }
            Err(error) => Err(error),
        };
    }
    if value.cast::<PyFloat>().is_ok() {
        return Ok(Value::Float(value.extract()?));
    }
    if let Ok(found) = value.cast::<PyString>() {
        return text(found, name).map(Value::Text);
    }
    let is_list = value.cast::<PyList>().is_ok() || value.cast::<PyTuple>().is_ok();
    if is_list && inside != Inside::List {
        let items = value.try_iter()?.map(|item| self::value(name, &item?, Inside::List));
        return Ok(Value::List(items.collect::<PyResult<_>>()?));
    }
    let plain = match inside {
        Inside::Plain => value.py().None().into_bound(value.py()),
        // Dates, and what numpy has.
        _ => value.py().import("rag_core._documents")?.call_method1("plain", (value,))?,
    };
    if plain.is_none() {
        let kind = value.get_type().name()?;
        let wanted = "a string, a number, a boolean, a date or a list of these";
        return Err(invalid(value.py(), format!("metadata `{name}` is a {kind}; give {wanted}")));
    }
    self::value(name, &plain, if inside == Inside::List { Inside::List } else { Inside::Plain })
}

/// A metadata value as Python has it.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Bool(flag) => flag.into_pyobject(py)?.to_owned().into_any(),
        Value::Int(whole) => whole.into_pyobject(py)?.into_any(),
        Value::Float(number) => number.into_pyobject(py)?.into_any(),
        Value::Text(text) => text.into_pyobject(py)?.into_any(),
        Value::List(values) => {
            let values = values.iter().map(|value| to_python(py, value)).collect::<PyResult<Vec<_>>>()?;
            PyList::new(py, values)?.into_any()
        }
    })
}

/// Metadata as a dictionary.
pub(crate) fn metadata<'py>(py: Python<'py>, metadata: &Metadata) -> PyResult<Bound<'py, PyDict>> {
    let dictionary = PyDict::new(py);
    for (name, value) in metadata {
        dictionary.set_item(name, to_python(py, value)?)?;
    }
    Ok(dictionary)
}
