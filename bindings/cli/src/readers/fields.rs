//! From the fields of a record to a document: the rules that JSON Lines and CSV share.

use rag_core::{Document, MAX_ID_BYTES, Metadata, Value};
use serde_json::{Map, Value as Json};

use super::problem::Problem;

/// Fields that may hold the id, in this order.
const ID_FIELDS: [&str; 3] = ["_id", "id", "doc_id"];

/// Fields that may hold the text, in this order, unless the caller names one.
const TEXT_FIELDS: [&str; 4] = ["text", "body", "content", "abstract"];

/// How fields are understood.
#[derive(Debug, Clone)]
pub(crate) struct FieldRules {
    text_field: Option<String>,
}

impl FieldRules {
    /// With `text_field`, only that field is the text.
    pub(crate) fn new(text_field: Option<String>) -> Self {
        FieldRules { text_field }
    }

    /// One record → one document. Id, title and text are taken out; what remains is metadata:
    /// scalars as they are, lists of scalars as lists, objects flattened with dots (`author.name`), `null` dropped. The
    /// members of an object named `metadata` are lifted to the top unless the record has a field of that name.
    ///
    /// `fallback_id` is the id of a record that has none.
    ///
    /// # Errors
    /// `NoText` if there is neither a text nor a title field, `Empty` if both are blank, `BadId`.
    pub(crate) fn document(&self, mut fields: Map<String, Json>, fallback_id: String) -> Result<Document, Problem> {
        let id = take_id(&mut fields)?.unwrap_or(fallback_id);
        let title = take_text(&mut fields, "title");
        let text = match &self.text_field {
            Some(name) => take_text(&mut fields, name),
            None => TEXT_FIELDS.iter().find_map(|name| take_text(&mut fields, name)),
        };
        if text.is_none() && (title.is_none() || self.text_field.is_some()) {
            return Err(Problem::NoText { fields: self.names() });
        }
        let (title, text) = (title.unwrap_or_default(), text.unwrap_or_default());
        if title.trim().is_empty() && text.trim().is_empty() {
            return Err(Problem::Empty);
        }
        let mut document = Document::new(id, text).with_title(title);
        document.metadata = metadata(fields);
        Ok(document)
    }

    fn names(&self) -> String {
        match &self.text_field {
            Some(name) => format!("`{name}`"),
            None => TEXT_FIELDS.map(|name| format!("`{name}`")).join(", "),
        }
    }
}

fn take_id(fields: &mut Map<String, Json>) -> Result<Option<String>, Problem> {
    let Some(name) = ID_FIELDS.into_iter().find(|name| fields.get(*name).is_some_and(|value| !value.is_null())) else {
        return Ok(None);
    };
    let id = match fields.remove(name) {
        Some(Json::String(id)) => id,
        Some(Json::Number(id)) => id.to_string(),
        _ => return Err(Problem::BadId(format!("`{name}` is neither a string nor a number"))),
    };
    if id.is_empty() || id.len() > MAX_ID_BYTES {
        return Err(Problem::BadId(format!("`{name}` has {} bytes; give it 1 to {MAX_ID_BYTES}", id.len())));
    }
    if id.chars().any(char::is_control) {
        return Err(Problem::BadId(format!("`{name}` has control characters")));
    }
    Ok(Some(id))
}

/// Takes a string, or a list of strings as lines. A field of any other sort stays and becomes metadata.
fn take_text(fields: &mut Map<String, Json>, name: &str) -> Option<String> {
    let text = match fields.get(name)? {
        Json::String(text) => text.clone(),
        Json::Array(parts) if !parts.is_empty() => {
            parts.iter().map(Json::as_str).collect::<Option<Vec<_>>>()?.join("\n")
        }
        _ => return None,
    };
    fields.remove(name);
    Some(text)
}

fn metadata(mut fields: Map<String, Json>) -> Metadata {
    let mut found = Metadata::new();
    match fields.remove("metadata") {
        Some(Json::Object(lifted)) => flatten(lifted, "", &mut found),
        Some(other) => {
            fields.insert("metadata".to_owned(), other);
        }
        None => {}
    }
    flatten(fields, "", &mut found);
    found
}

/// Depth is bounded by the parser of the record.
fn flatten(fields: Map<String, Json>, prefix: &str, into: &mut Metadata) {
    for (name, value) in fields {
        let name = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value {
            Json::Object(inner) => flatten(inner, &name, into),
            Json::Array(items) => list(items, &name, into),
            scalar => {
                if let Some(value) = scalar_value(scalar) {
                    into.insert(name, value);
                }
            }
        }
    }
}

/// A list of scalars is a list; objects in it give a list for each of their fields (`authors.name`).
fn list(items: Vec<Json>, name: &str, into: &mut Metadata) {
    let mut scalars = Vec::new();
    let mut columns = Metadata::new();
    for item in items {
        match item {
            Json::Object(inner) => {
                let mut row = Metadata::new();
                flatten(inner, name, &mut row);
                for (field, value) in row {
                    append(columns.entry(field).or_insert_with(|| Value::List(Vec::new())), value);
                }
            }
            Json::Array(_) => {}
            scalar => scalars.extend(scalar_value(scalar)),
        }
    }
    into.extend(columns);
    if !scalars.is_empty() {
        into.insert(name.to_owned(), Value::List(scalars));
    }
}

fn append(list: &mut Value, value: Value) {
    if let Value::List(values) = list {
        match value {
            Value::List(more) => values.extend(more),
            one => values.push(one),
        }
    }
}

fn scalar_value(json: Json) -> Option<Value> {
    match json {
        Json::Bool(value) => Some(Value::Bool(value)),
        Json::String(value) => Some(Value::Text(value)),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Some(Value::Int(whole)),
            None => number.as_f64().filter(|float| float.is_finite()).map(Value::Float),
        },
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn document(json: &Json) -> Result<Document, Problem> {
        FieldRules::new(None).document(json.as_object().unwrap().clone(), "f.jsonl#1".to_owned())
    }

    #[test]
    fn beir_and_free_fields() {
        let document = document(&json!({
            "_id": 17, "title": "T", "text": "body", "year": 2024, "score": 0.5, "open": true, "gone": null,
            "tags": ["a", "b", null], "author": {"name": "N", "at": {"city": "C"}}, "big": u64::MAX,
            "refs": [{"id": 1}, {"id": 2, "by": "x"}], "metadata": {"url": "u", "year": 1}, "nested": [[1], []],
        }))
        .unwrap();
        assert_eq!((document.id.as_str(), document.title.as_str(), document.text.as_str()), ("17", "T", "body"));
        let expected: Metadata = [
            ("year", Value::Int(2024)),
            ("score", Value::Float(0.5)),
            ("open", Value::Bool(true)),
            ("tags", Value::from(vec!["a", "b"])),
            ("author.name", "N".into()),
            ("author.at.city", "C".into()),
            ("big", Value::Float(u64::MAX as f64)),
            ("refs.id", Value::from(vec![1i64, 2])),
            ("refs.by", Value::from(vec!["x"])),
            ("url", "u".into()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        assert_eq!(document.metadata, expected);
    }

    #[test]
    fn text_comes_from_the_first_field_that_has_it() {
        assert_eq!(document(&json!({"abstract": "a", "content": "c"})).unwrap().text, "c");
        assert_eq!(document(&json!({"text": 3, "body": ["l1", "l2"]})).unwrap().text, "l1\nl2");
        assert_eq!(document(&json!({"text": "x"})).unwrap().id, "f.jsonl#1");
        assert_eq!(document(&json!({"title": "only"})).unwrap().text, "");
        let named = FieldRules::new(Some("summary".to_owned()));
        let fields = json!({"summary": "s", "text": "t"}).as_object().unwrap().clone();
        let document = named.document(fields, "x".to_owned()).unwrap();
        assert_eq!((document.text.as_str(), document.metadata.get("text")), ("s", Some(&Value::from("t"))));
        assert!(named.document(json!({"title": "t"}).as_object().unwrap().clone(), "x".to_owned()).is_err());
    }

    #[test]
    fn bad_records_say_what_is_wrong() {
        assert!(matches!(document(&json!({"text": " \n"})), Err(Problem::Empty)));
        assert!(matches!(document(&json!({"year": 1})), Err(Problem::NoText { .. })));
        for id in [json!(""), json!([1]), json!("a\nb"), json!("x".repeat(MAX_ID_BYTES + 1))] {
            assert!(matches!(document(&json!({"id": id, "text": "t"})), Err(Problem::BadId(_))), "{id}");
        }
    }
}
