//! The one filter language over metadata.
//!
//! | form | holds when |
//! |---|---|
//! | `{"eq": {"lang": "en"}}` | a value of the field equals it |
//! | `{"ne": {"lang": "en"}}` | no value of the field equals it (a missing field too) |
//! | `{"in": {"lang": ["en", "de"]}}` | a value of the field equals one of them |
//! | `{"range": {"year": {"gte": 2000, "lt": 2010}}}` | a value of the field lies in the range |
//! | `{"exists": "draft"}` | the field is there |
//! | `{"and": [..]}`, `{"or": [..]}`, `{"not": ..}` | as in logic; an empty `and` always holds, an empty `or` never |
//!
//! Numbers compare as numbers (`1` equals `1.0`), booleans only with booleans, strings by their bytes; two strings that
//! are both RFC 3339 dates compare as moments in time. Values of different kinds are never equal and in no range.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use crate::error::{Error, Result};
use crate::types::{Metadata, Value};

/// Most values of one `in`.
pub const MAX_IN_VALUES: usize = 65_536;

/// Deepest nesting of `and`, `or` and `not`.
pub const MAX_FILTER_DEPTH: usize = 64;

/// A condition on metadata; see the [module](self) for what each form means.
///
/// ```
/// use rag_core::Filter;
/// let filter = Filter::parse(r#"{"and": [{"eq": {"lang": "en"}}, {"range": {"year": {"gte": 2000}}}]}"#)?;
/// assert_eq!(filter, Filter::and([Filter::eq("lang", "en"), Filter::at_least("year", 2000i64)]));
/// # Ok::<(), rag_core::Error>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// A value of the field equals it.
    Eq(String, Value),
    /// A value of the field equals one of these.
    In(String, Vec<Value>),
    /// A value of the field lies between the bounds.
    Range(String, Range),
    /// The field is there.
    Exists(String),
    /// All hold.
    And(Vec<Filter>),
    /// One holds.
    Or(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
}

/// Bounds of a range; both of one kind (numbers, strings or dates), at least one given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Range {
    /// Lower bound, and whether it belongs to the range.
    pub lower: Option<(Value, bool)>,
    /// Upper bound, and whether it belongs to the range.
    pub upper: Option<(Value, bool)>,
}

impl Filter {
    /// A value of `field` equals `value`.
    pub fn eq(field: impl Into<String>, value: impl Into<Value>) -> Filter {
        Filter::Eq(field.into(), value.into())
    }

    /// No value of `field` equals `value`.
    pub fn ne(field: impl Into<String>, value: impl Into<Value>) -> Filter {
        Filter::Not(Box::new(Filter::eq(field, value)))
    }

    /// A value of `field` is at least `value`.
    pub fn at_least(field: impl Into<String>, value: impl Into<Value>) -> Filter {
        Filter::Range(field.into(), Range { lower: Some((value.into(), true)), upper: None })
    }

    /// All of `filters` hold.
    pub fn and(filters: impl IntoIterator<Item = Filter>) -> Filter {
        Filter::And(filters.into_iter().collect())
    }

    /// One of `filters` holds.
    pub fn or(filters: impl IntoIterator<Item = Filter>) -> Filter {
        Filter::Or(filters.into_iter().collect())
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    /// `InvalidArgument`, naming the part that is not understood and what is.
    pub fn parse(json: &str) -> Result<Filter> {
        let json = serde_json::from_str(json)
            .map_err(|error| Error::invalid(format!("`filter` is not JSON: {error}")).with_source(error))?;
        let filter = from_json(&json, 0)?;
        filter.validate()?;
        Ok(filter)
    }

    /// Checks what the types cannot: depth, field names, bounds of one kind, finite numbers, no list as an operand.
    ///
    /// # Errors
    /// `InvalidArgument`, naming the part.
    pub fn validate(&self) -> Result<()> {
        self.validate_at(0)
    }

    fn validate_at(&self, depth: usize) -> Result<()> {
        if depth > MAX_FILTER_DEPTH {
            return Err(Error::invalid(format!("`filter` nests deeper than {MAX_FILTER_DEPTH}; flatten it")));
        }
        match self {
            Filter::Eq(field, value) => check_field(field).and_then(|()| check_operand(field, value)),
            Filter::In(field, values) => {
                check_field(field)?;
                if values.len() > MAX_IN_VALUES {
                    let given = values.len();
                    return Err(Error::invalid(format!(
                        "`in` of `{field}` has {given} values; at most {MAX_IN_VALUES} are allowed: split it with `or`"
                    )));
                }
                values.iter().try_for_each(|value| check_operand(field, value))
            }
            Filter::Exists(field) => check_field(field),
            Filter::Range(field, range) => {
                check_field(field)?;
                let bounds: Vec<&Value> = [&range.lower, &range.upper].into_iter().flatten().map(|(v, _)| v).collect();
                if bounds.is_empty() {
                    return Err(Error::invalid(format!("`range` of `{field}` has no bound; give gt, gte, lt or lte")));
                }
                for bound in &bounds {
                    check_operand(field, bound)?;
                    if matches!(bound, Value::Bool(_)) {
                        return Err(Error::invalid(format!("`range` of `{field}` is over booleans; use `eq`")));
                    }
                }
                match bounds.as_slice() {
                    [lower, upper] if compare(lower, upper).is_none() => {
                        Err(Error::invalid(format!("the bounds of `range` of `{field}` are of different kinds")))
                    }
                    _ => Ok(()),
                }
            }
            Filter::And(filters) | Filter::Or(filters) => filters.iter().try_for_each(|f| f.validate_at(depth + 1)),
            Filter::Not(filter) => filter.validate_at(depth + 1),
        }
    }

    /// The fields that it looks at, each once, in alphabetical order.
    pub fn fields(&self) -> BTreeSet<&str> {
        match self {
            Filter::Eq(field, _) | Filter::In(field, _) | Filter::Range(field, _) | Filter::Exists(field) => {
                BTreeSet::from([field.as_str()])
            }
            Filter::And(filters) | Filter::Or(filters) => filters.iter().flat_map(Filter::fields).collect(),
            Filter::Not(filter) => filter.fields(),
        }
    }

    /// Whether a document with this metadata passes: the definition that the index must agree with.
    pub fn matches(&self, metadata: &Metadata) -> bool {
        let any = |field: &String, holds: &dyn Fn(&Value) -> bool| match metadata.get(field) {
            Some(Value::List(values)) => values.iter().any(holds),
            Some(value) => holds(value),
            None => false,
        };
        match self {
            Filter::Eq(field, wanted) => any(field, &|value| compare(value, wanted) == Some(Ordering::Equal)),
            Filter::In(field, wanted) => {
                any(field, &|value| wanted.iter().any(|one| compare(value, one) == Some(Ordering::Equal)))
            }
            Filter::Range(field, range) => any(field, &|value| range.contains(value)),
            Filter::Exists(field) => metadata.contains_key(field),
            Filter::And(filters) => filters.iter().all(|filter| filter.matches(metadata)),
            Filter::Or(filters) => filters.iter().any(|filter| filter.matches(metadata)),
            Filter::Not(filter) => !filter.matches(metadata),
        }
    }
}

impl Range {
    /// Whether a single value lies between the bounds.
    pub(crate) fn contains(&self, value: &Value) -> bool {
        if matches!(value, Value::Bool(_)) {
            return false;
        }
        let above = self.lower.as_ref().is_none_or(|(bound, inclusive)| match compare(value, bound) {
            Some(Ordering::Greater) => true,
            Some(Ordering::Equal) => *inclusive,
            _ => false,
        });
        let below = self.upper.as_ref().is_none_or(|(bound, inclusive)| match compare(value, bound) {
            Some(Ordering::Less) => true,
            Some(Ordering::Equal) => *inclusive,
            _ => false,
        });
        above && below
    }
}

/// Order of two single values; `None` when they are of different kinds (or a list).
pub(crate) fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Float(b)) => (*a as f64).partial_cmp(b),
        (Value::Float(a), Value::Int(b)) => a.partial_cmp(&(*b as f64)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Text(a), Value::Text(b)) => match (parse_date(a), parse_date(b)) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            (None, None) => Some(a.cmp(b)),
            _ => None,
        },
        _ => None,
    }
}

/// Microseconds since 1970 (UTC) of an RFC 3339 date (`2024-05-01`, midnight UTC) or date-time with offset.
pub(crate) fn parse_date(text: &str) -> Option<i64> {
    let shape = text.as_bytes();
    if shape.len() < 10 || shape.get(4) != Some(&b'-') || shape.get(7) != Some(&b'-') {
        return None;
    }
    let moment = if shape.len() == 10 {
        text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp()
    } else {
        text.parse::<jiff::Timestamp>().ok()?
    };
    Some(moment.as_microsecond())
}

fn check_field(field: &str) -> Result<()> {
    crate::types::check_name("filter field", field)
}

fn check_operand(field: &str, value: &Value) -> Result<()> {
    match value {
        Value::Float(number) if !number.is_finite() => {
            Err(Error::invalid(format!("the filter on `{field}` compares with a number that is not finite")))
        }
        Value::List(_) => Err(Error::invalid(format!("the filter on `{field}` compares with a list; use `in`"))),
        _ => Ok(()),
    }
}

fn from_json(json: &Json, depth: usize) -> Result<Filter> {
    const FORMS: &str = "one of eq, ne, in, range, exists, and, or, not";
    if depth > MAX_FILTER_DEPTH {
        return Err(Error::invalid(format!("`filter` nests deeper than {MAX_FILTER_DEPTH}; flatten it")));
    }
    let (form, operand) = single(json, "filter", FORMS)?;
    let list = || {
        let items = operand.as_array().ok_or_else(|| Error::invalid(format!("`{form}` needs a list of filters")))?;
        items.iter().map(|item| from_json(item, depth + 1)).collect::<Result<Vec<_>>>()
    };
    let field = || single(operand, form, "one field and its operand");
    match form {
        "eq" => field().and_then(|(name, value)| Ok(Filter::eq(name, scalar(name, value)?))),
        "ne" => field().and_then(|(name, value)| Ok(Filter::ne(name, scalar(name, value)?))),
        "in" => {
            let (name, values) = field()?;
            let values = values.as_array().ok_or_else(|| Error::invalid(format!("`in` of `{name}` needs a list")))?;
            Ok(Filter::In(name.to_owned(), values.iter().map(|value| scalar(name, value)).collect::<Result<_>>()?))
        }
        "range" => {
            let (name, bounds) = field()?;
            let bounds =
                bounds.as_object().ok_or_else(|| Error::invalid(format!("`range` of `{name}` needs bounds")))?;
            Ok(Filter::Range(name.to_owned(), range(name, bounds)?))
        }
        "exists" => match operand.as_str() {
            Some(name) => Ok(Filter::Exists(name.to_owned())),
            None => Err(Error::invalid("`exists` needs the name of a field")),
        },
        "and" => list().map(Filter::And),
        "or" => list().map(Filter::Or),
        "not" => Ok(Filter::Not(Box::new(from_json(operand, depth + 1)?))),
        other => Err(Error::invalid(format!("`{other}` is no filter; use {FORMS}"))),
    }
}

fn range(field: &str, bounds: &Map<String, Json>) -> Result<Range> {
    let mut range = Range::default();
    for (name, bound) in bounds {
        let bound = scalar(field, bound)?;
        let (side, inclusive) = match name.as_str() {
            "gt" => (&mut range.lower, false),
            "gte" => (&mut range.lower, true),
            "lt" => (&mut range.upper, false),
            "lte" => (&mut range.upper, true),
            other => return Err(Error::invalid(format!("`{other}` in `range` of `{field}`; use gt, gte, lt, lte"))),
        };
        if side.replace((bound, inclusive)).is_some() {
            return Err(Error::invalid(format!("`range` of `{field}` has two bounds on one side; keep one")));
        }
    }
    Ok(range)
}

fn single<'a>(json: &'a Json, what: &str, expected: &str) -> Result<(&'a str, &'a Json)> {
    match json.as_object().map(|object| (object.len(), object.iter().next())) {
        Some((1, Some((key, value)))) => Ok((key, value)),
        _ => Err(Error::invalid(format!("`{what}` must be an object with exactly {expected}"))),
    }
}

fn scalar(field: &str, json: &Json) -> Result<Value> {
    match Value::from_json(json) {
        Some(Value::List(_)) | None => Err(Error::invalid(format!(
            "the filter on `{field}` needs a string, a number or a boolean, not {json}; give whole numbers of 2^63 and more as strings"
        ))),
        Some(value) => Ok(value),
    }
}

impl Value {
    /// The value of a JSON scalar or list of scalars; `None` for null, objects, whole numbers of 2^63 and
    /// more, and lists that hold one of these.
    pub fn from_json(json: &Json) -> Option<Value> {
        Some(match json {
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Value::Int(whole),
                None if number.is_u64() => return None, // as a double it would equal its neighbours
                None => Value::Float(number.as_f64()?),
            },
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(items) => {
                let items: Option<Vec<Value>> =
                    items.iter().map(|item| Value::from_json(item).filter(|v| !matches!(v, Value::List(_)))).collect();
                Value::List(items?)
            }
            Json::Null | Json::Object(_) => return None,
        })
    }

    /// The JSON form.
    pub fn to_json(&self) -> Json {
        match self {
            Value::Bool(value) => Json::from(*value),
            Value::Int(value) => Json::from(*value),
            Value::Float(value) => Json::from(*value),
            Value::Text(value) => Json::from(value.as_str()),
            Value::List(values) => values.iter().map(Value::to_json).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ErrorKind;

    fn holds(filter: &str, metadata: &Metadata) -> bool {
        Filter::parse(filter).unwrap().matches(metadata)
    }

    #[test]
    fn each_form_means_what_the_table_says() {
        let metadata: Metadata = [
            ("lang".to_owned(), Value::from("en")),
            ("year".to_owned(), Value::Int(2004)),
            ("tags".to_owned(), Value::from(vec!["a", "b"])),
            ("day".to_owned(), Value::from("2024-05-01")),
            ("open".to_owned(), Value::Bool(true)),
        ]
        .into();
        for (filter, expected) in [
            (r#"{"eq": {"lang": "en"}}"#, true),
            (r#"{"eq": {"year": 2004.0}}"#, true),
            (r#"{"eq": {"year": "2004"}}"#, false),
            (r#"{"eq": {"tags": "b"}}"#, true),
            (r#"{"ne": {"tags": "b"}}"#, false),
            (r#"{"ne": {"missing": 1}}"#, true),
            (r#"{"in": {"lang": ["de", "en"]}}"#, true),
            (r#"{"in": {"lang": []}}"#, false),
            (r#"{"range": {"year": {"gte": 2000, "lt": 2004}}}"#, false),
            (r#"{"range": {"year": {"gt": 2003.5}}}"#, true),
            (r#"{"range": {"day": {"gte": "2024-05-01T00:00:00Z", "lte": "2024-05-01T02:00:00+02:00"}}}"#, true),
            (r#"{"range": {"lang": {"gte": "a", "lt": "f"}}}"#, true),
            (r#"{"range": {"lang": {"gte": 1}}}"#, false),
            (r#"{"eq": {"open": true}}"#, true),
            (r#"{"exists": "day"}"#, true),
            (r#"{"not": {"exists": "day"}}"#, false),
            (r#"{"and": []}"#, true),
            (r#"{"or": []}"#, false),
            (r#"{"or": [{"eq": {"lang": "de"}}, {"eq": {"open": true}}]}"#, true),
        ] {
            assert_eq!(holds(filter, &metadata), expected, "{filter}");
        }
    }

    #[test]
    fn numbers_that_no_integer_holds_and_endless_lists_are_refused() {
        let large = Filter::parse(r#"{"eq": {"owner": 18446744073709551615}}"#).unwrap_err();
        assert!(large.to_string().contains("as strings"), "{large}");
        let list = vec![Value::Int(1); MAX_IN_VALUES + 1];
        assert!(Filter::In("a".to_owned(), list).validate().is_err());
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (filter, named) in [
            ("{", "not JSON"),
            (r#"{"equals": {"a": 1}}"#, "equals"),
            (r#"{"eq": {"a": 1, "b": 2}}"#, "eq"),
            (r#"{"eq": {"a": null}}"#, "`a`"),
            (r#"{"range": {"a": {}}}"#, "no bound"),
            (r#"{"range": {"a": {"above": 1}}}"#, "above"),
            (r#"{"range": {"a": {"gt": 1, "gte": 2}}}"#, "two bounds"),
            (r#"{"range": {"a": {"gt": 1, "lt": "x"}}}"#, "different kinds"),
            (r#"{"eq": {"": 1}}"#, "empty"),
        ] {
            let error = Filter::parse(filter).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.to_string().contains(named), "{filter}: {error}");
        }
        let deep = format!("{}{}{}", r#"{"not":"#.repeat(80), r#"{"exists":"a"}"#, "}".repeat(80));
        assert!(Filter::parse(&deep).unwrap_err().to_string().contains("deeper"));
    }
}
