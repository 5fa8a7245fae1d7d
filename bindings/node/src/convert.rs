//! What JavaScript hands in: counts, scopes, documents with their metadata.

use napi::bindgen_prelude::*;
use napi::{JsString, KeyCollectionMode, KeyConversion, KeyFilter, ValueType};
use rag_core::{Document, Metadata, Scope, Value};

use crate::errors::{invalid, raise};

/// Names of the fields of a document.
const FIELDS: [&str; 4] = ["id", "title", "text", "metadata"];

/// Objects within objects that metadata may have. Without a bound, one that contains itself would never end.
const DEPTH: usize = 32;

/// Up to here every whole number is a number of its own in JavaScript.
pub(crate) const LARGEST_WHOLE: f64 = 9_007_199_254_740_991.0;

/// A whole number, at least 0.
pub(crate) fn count(env: &Env, name: &str, value: f64) -> Result<usize> {
    if (0.0..=LARGEST_WHOLE).contains(&value) && value.fract() == 0.0 {
        return Ok(value as usize);
    }
    Err(invalid(env, format!("`{name}` is {value}; give a whole number, at least 0")))
}

/// As [`count`], where there is one.
pub(crate) fn optional(env: &Env, name: &str, value: Option<f64>) -> Result<Option<usize>> {
    value.map(|value| count(env, name, value)).transpose()
}

/// The scope of a call.
pub(crate) fn scope(env: &Env, tenant: Option<&str>) -> Result<Scope> {
    tenant.map_or_else(|| Ok(Scope::default()), Scope::tenant).map_err(|error| raise(env, &error))
}

/// A document from an object with the fields `id`, `title`, `text` and `metadata`; `position` is for errors.
pub(crate) fn document(env: &Env, item: Unknown<'_>, position: usize) -> Result<Document> {
    let at = At { env, position };
    if item.get_type()? != ValueType::Object {
        return Err(at.wrong(&format!("it is a {}; give an object", kind(item)?)));
    }
    let item = Object::from_unknown(item)?;
    let text = |name: &str| -> Result<Option<String>> {
        let value: Unknown<'_> = item.get_named_property(name)?;
        match value.get_type()? {
            ValueType::Undefined | ValueType::Null => Ok(None),
            ValueType::String => at.text(&format!("`{name}`"), value).map(Some),
            _ => Err(at.wrong(&format!("`{name}` is a {}; give a string", kind(value)?))),
        }
    };
    let id = text("id")?.ok_or_else(|| at.wrong("it has no `id`; give a string"))?;
    let mut document = Document::new(id, text("text")?.unwrap_or_default());
    document.title = text("title")?.unwrap_or_default();
    for name in names(&item)? {
        if !FIELDS.contains(&name.as_str()) {
            let known = "there are id, title, text and metadata: put it into the last";
            return Err(at.wrong(&format!("`{name}` is no field; {known}")));
        }
    }
    let metadata: Unknown<'_> = item.get_named_property("metadata")?;
    match metadata.get_type()? {
        ValueType::Undefined | ValueType::Null => {}
        ValueType::Object if is_plain(metadata)? => {
            at.fill(&mut document.metadata, "", Object::from_unknown(metadata)?, 0)?;
        }
        _ => return Err(at.wrong(&format!("`metadata` is a {}; give an object", kind(metadata)?))),
    }
    Ok(document)
}

/// Where in the documents something is.
#[derive(Clone, Copy)]
struct At<'a> {
    env: &'a Env,
    position: usize,
}

impl At<'_> {
    fn wrong(self, what: &str) -> Error {
        invalid(self.env, format!("document {}: {what}", self.position))
    }

    /// A string whose UTF-16 is well formed. Converting would put U+FFFD for half a surrogate pair, and make different ids
    /// the same.
    fn text(self, what: &str, value: Unknown<'_>) -> Result<String> {
        let text = String::from_unknown(value)?;
        if text.contains(char::REPLACEMENT_CHARACTER) {
            let units = JsString::from_unknown(value)?.into_utf16()?;
            if char::decode_utf16(units.as_slice().iter().copied()).any(|unit| unit.is_err()) {
                return Err(self.wrong(&format!("{what} is not well formed; it has half of a surrogate pair")));
            }
        }
        Ok(text)
    }

    fn fill(self, metadata: &mut Metadata, prefix: &str, object: Object<'_>, depth: usize) -> Result<()> {
        let keys = keys(&object)?;
        for index in 0..keys.get_array_length()? {
            let key: Unknown<'_> = keys.get_element(index)?;
            let name = self.text(&format!("a name in metadata `{prefix}…`"), key)?;
            let value: Unknown<'_> = object.get_property(key)?;
            self.put(metadata, format!("{prefix}{name}"), value, depth)?;
        }
        Ok(())
    }

    /// `undefined` and `null` leave the field out; an object gives fields with dotted names.
    fn put(self, metadata: &mut Metadata, name: String, value: Unknown<'_>, depth: usize) -> Result<()> {
        match value.get_type()? {
            ValueType::Undefined | ValueType::Null => {}
            ValueType::Object if is_plain(value)? => {
                if depth == DEPTH {
                    let message =
                        format!("metadata `{name}` is more than {DEPTH} objects deep; give fewer, or dotted names");
                    return Err(self.wrong(&message));
                }
                self.fill(metadata, &format!("{name}."), Object::from_unknown(value)?, depth + 1)?;
            }
            ValueType::Object if value.is_array()? => {
                let items = Array::from_unknown(value)?;
                let item = |index| self.single(&name, items.get_element(index)?);
                let values = (0..items.len()).map(item).collect::<Result<_>>()?;
                metadata.insert(name, Value::List(values));
            }
            _ => {
                let value = self.single(&name, value)?;
                metadata.insert(name, value);
            }
        }
        Ok(())
    }

    fn single(self, name: &str, value: Unknown<'_>) -> Result<Value> {
        match value.get_type()? {
            ValueType::Boolean => bool::from_unknown(value).map(Value::Bool),
            ValueType::String => self.text(&format!("metadata `{name}`"), value).map(Value::Text),
            ValueType::Number => f64::from_unknown(value).map(number),
            ValueType::BigInt => match BigInt::from_unknown(value)?.get_i64() {
                (whole, true) => Ok(Value::Int(whole)),
                _ => Err(self.wrong(&format!("metadata `{name}` is beyond 64 bits; give it as a string"))),
            },
            ValueType::Object if value.is_array()? => {
                Err(self.wrong(&format!("metadata `{name}` has a list in a list; give one list")))
            }
            ValueType::Object if value.is_date()? => {
                let date = Object::from_unknown(value)?;
                if date.get_named_property::<Function<'_, (), f64>>("getTime")?.apply(date, ())?.is_nan() {
                    return Err(self.wrong(&format!("metadata `{name}` is an invalid date")));
                }
                let text: Function<'_, (), String> = date.get_named_property("toISOString")?;
                text.apply(date, ()).map(Value::Text)
            }
            _ => {
                let wanted = "a string, a number, a boolean, a date or a list of these";
                Err(self.wrong(&format!("metadata `{name}` is a {}; give {wanted}", kind(value)?)))
            }
        }
    }
}

/// What looks whole is a whole number, as far as JavaScript can tell.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() <= LARGEST_WHOLE { Value::Int(value as i64) } else { Value::Float(value) }
}

/// The names of an object's own fields.
fn names(object: &Object<'_>) -> Result<Vec<String>> {
    let keys = keys(object)?;
    (0..keys.get_array_length()?).map(|index| keys.get_element(index)).collect()
}

/// As [`names`], as JavaScript has them.
fn keys<'env>(object: &Object<'env>) -> Result<Object<'env>> {
    let (own, conversion) = (KeyCollectionMode::OwnOnly, KeyConversion::NumbersToStrings);
    object.get_all_property_names(own, KeyFilter::SkipSymbols, conversion)
}

/// Whether it is an object as `{}` writes it: everything that it has are its fields.
fn is_plain(value: Unknown<'_>) -> Result<bool> {
    Ok(!value.is_array()? && kind(value)? == "Object")
}

/// What a value is, in a word: its type, or the name of its class.
fn kind(value: Unknown<'_>) -> Result<String> {
    if value.get_type()? != ValueType::Object {
        return Ok(value.get_type()?.to_string().to_lowercase());
    }
    let class: Unknown<'_> = Object::from_unknown(value)?.get_named_property("constructor")?;
    if class.get_type()? != ValueType::Function {
        return Ok("Object".to_owned());
    }
    Object::from_unknown(class)?.get_named_property("name")
}
