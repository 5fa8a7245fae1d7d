//! Click logs as JSON Lines.

use std::collections::HashMap;
use std::fmt;

use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::log::{ClickLog, Impression, MAX_SHOWN, Shown, start_of};
use crate::error::{Error, Result};

/// Most bytes of one line.
pub const MAX_LINE_BYTES: usize = 4 << 20;

/// Reads a click log: one impression a line, as `docs/clicks.md` says. Lines may end in `\r\n`; empty ones are skipped,
/// and so is a byte order mark. What is read is bounded by [`MAX_LINE_BYTES`] and [`MAX_SHOWN`] for a line, and by the
/// text for the whole.
///
/// ```
/// let log = rag_ltr::clicks::read_log(concat!(
///     r#"{"query": "moon", "ranker": "v12", "shown": [{"doc": "tides", "rank": 1}, {"doc": "apollo", "rank": 2, "clicked": true}]}"#, "\n",
///     r#"{"query": "mars", "shown": ["rover", "opportunity"], "clicked": ["rover"]}"#, "\n",
/// ))?;
/// assert_eq!((log.len(), log.clicks()), (2, 2));
/// let error = rag_ltr::clicks::read_log(r#"{"query": "moon", "shown": [{"doc": "tides", "rank": -1}]}"#).unwrap_err();
/// assert!(error.to_string().starts_with("line 1: `shown[0].rank` is -1"));
/// # Ok::<(), rag_ltr::Error>(())
/// ```
///
/// # Errors
/// [`Error::Line`] around [`Error::Impression`], which names the field.
pub fn read_log(text: &str) -> Result<ClickLog> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut log = ClickLog::new();
    for (position, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let added = read_impression(line).and_then(|impression| log.push(impression));
        added.map_err(|problem| Error::Line { line: position + 1, problem: Box::new(problem) })?;
    }
    Ok(log)
}

/// Writes a click log: one impression a line, in full form, with `\n` after each. Reading it gives the same log.
///
/// # Errors
/// [`Error::Write`]: `out` refused.
pub fn write_log(log: &ClickLog, out: &mut impl fmt::Write) -> Result<()> {
    for impression in log {
        writeln!(out, "{}", json_of(impression)).map_err(|_| Error::Write)?;
    }
    Ok(())
}

fn json_of(impression: &Impression) -> Value {
    let mut line = Map::from_iter([("query".to_owned(), json!(impression.query))]);
    let optional = [("session", &impression.session), ("time", &impression.time), ("ranker", &impression.ranker)];
    for (field, value) in optional {
        line.extend(value.as_ref().map(|value| (field.to_owned(), json!(value))));
    }
    let shown = impression.shown.iter().map(|shown| {
        let mut item = json!({"doc": shown.document, "rank": shown.rank, "clicked": shown.clicked});
        if let (Some(propensity), Value::Object(item)) = (shown.propensity, &mut item) {
            item.insert("propensity".to_owned(), json!(propensity));
        }
        item
    });
    line.insert("shown".to_owned(), shown.collect());
    Value::Object(line)
}

/// A line with its fields as they stand there: a field that is unknown or there twice is refused by serde, by name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    query: Option<Value>,
    session: Option<Value>,
    time: Option<Value>,
    ranker: Option<Value>,
    shown: Option<Vec<Item>>,
    clicked: Option<Vec<Value>>,
}

/// An element of `shown`.
enum Item {
    Full(FullItem),
    Document(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FullItem {
    doc: Option<Value>,
    rank: Option<Value>,
    clicked: Option<Value>,
    propensity: Option<Value>,
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct ItemVisitor;
        impl<'de> Visitor<'de> for ItemVisitor {
            type Value = Item;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("in `shown` a document id or an object with `doc`")
            }

            fn visit_str<E>(self, document: &str) -> std::result::Result<Item, E> {
                Ok(Item::Document(document.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Item, A::Error> {
                FullItem::deserialize(MapAccessDeserializer::new(map)).map(Item::Full)
            }
        }
        deserializer.deserialize_any(ItemVisitor)
    }
}

fn read_impression(line: &str) -> Result<Impression> {
    if line.len() > MAX_LINE_BYTES {
        let problem = format!("has {} bytes; give at most {MAX_LINE_BYTES}", line.len());
        return Err(Error::impression("line", problem));
    }
    let line: Line = serde_json::from_str(line).map_err(|error| {
        // The error ends in the line and column of its one line.
        let error = error.to_string();
        let problem = error.replace("line 1 column", "column");
        Error::impression("line", format!("is not an impression: {problem}"))
    })?;
    let items = line.shown.ok_or_else(|| Error::impression("shown", "is missing; give the documents, best first"))?;
    if items.len() > MAX_SHOWN {
        return Err(Error::impression("shown", format!("has {} documents; give 1 to {MAX_SHOWN}", items.len())));
    }
    let mut shown =
        items.into_iter().enumerate().map(|(place, item)| read_shown(place, item)).collect::<Result<Vec<_>>>()?;
    let mut of_document: HashMap<String, &mut Shown> = HashMap::new();
    if line.clicked.is_some() {
        of_document = shown.iter_mut().map(|shown| (shown.document.clone(), shown)).collect();
    }
    for (place, id) in line.clicked.unwrap_or_default().into_iter().enumerate() {
        let document = text(&format!("clicked[{place}]"), Some(id))?;
        let Some(shown) = of_document.get_mut(&document) else {
            let problem = format!("is `{}`, which `shown` lacks; list what was shown too", start_of(&document));
            return Err(Error::impression(format!("clicked[{place}]"), problem));
        };
        shown.clicked = true;
    }
    let optional = |field, value: Option<Value>| value.map(|value| text(field, Some(value))).transpose();
    let mut impression = Impression::new(text("query", line.query)?, shown);
    impression.session = optional("session", line.session)?;
    impression.time = optional("time", line.time)?;
    impression.ranker = optional("ranker", line.ranker)?;
    Ok(impression)
}

fn read_shown(place: usize, item: Item) -> Result<Shown> {
    let item = match item {
        Item::Document(document) => return Ok(Shown::new(document, place as u32 + 1, false)),
        Item::Full(item) => item,
    };
    let field = |name: &str| format!("shown[{place}].{name}");
    let wrong =
        |name, value: &Value, range| Err(Error::impression(field(name), format!("is {}; {range}", brief(value))));
    let mut shown = Shown::new(text(&field("doc"), item.doc)?, place as u32 + 1, false);
    if let Some(value) = item.rank {
        let Some(rank) = value.as_u64().and_then(|rank| u32::try_from(rank).ok()) else {
            return wrong("rank", &value, "give a whole number from 1 on, or leave it out for the place in `shown`");
        };
        shown.rank = rank;
    }
    if let Some(value) = item.clicked {
        let Some(clicked) = value.as_bool() else { return wrong("clicked", &value, "write true or false") };
        shown.clicked = clicked;
    }
    if let Some(value) = item.propensity {
        let Some(propensity) = value.as_f64() else {
            return wrong("propensity", &value, "give a number, or leave it out");
        };
        shown.propensity = Some(propensity);
    }
    Ok(shown)
}

fn text(field: &str, value: Option<Value>) -> Result<String> {
    match value {
        Some(Value::String(text)) => Ok(text),
        Some(value) => Err(Error::impression(field, format!("is {}; write a string", brief(&value)))),
        None => Err(Error::impression(field, "is missing; write a string")),
    }
}

/// A value as a message shows it.
fn brief(value: &Value) -> String {
    match value {
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) => format!("`{}`", start_of(text)),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_short_form_is_the_full_one() {
        let short = read_log(
            "\u{feff}{\"query\":\"q\",\"shown\":[\"a\",\"b\",{\"doc\":\"c\"}],\"clicked\":[\"c\",\"b\",\"c\"]}\r\n\r\n",
        )
        .unwrap();
        let full = r#"{"clicked":null,"query":"q","session":null,"shown":[{"doc":"c","rank":3,"clicked":true},{"doc":"b","rank":2,"clicked":true},{"doc":"a","rank":1,"propensity":null}]}"#;
        let mut full = read_log(full).unwrap();
        full = {
            let mut impression = full.iter().next().unwrap().clone();
            impression.shown.reverse();
            let mut log = ClickLog::new();
            log.push(impression).unwrap();
            log
        };
        assert_eq!(short, full);
    }

    #[test]
    fn a_line_takes_time_by_its_length() {
        // Ids that differ in their last bytes only, so that each comparison reads one to its end.
        let ids: Vec<String> = (0..MAX_SHOWN).map(|place| format!("\"{}{place}\"", "x".repeat(180))).collect();
        let clicked: Vec<&str> = ids.iter().rev().map(String::as_str).collect();
        let shown = ids.join(",");
        let line = |clicked: &str| format!(r#"{{"query":"q","shown":[{shown}],"clicked":[{clicked}]}}"#);
        let clicks = |log: &ClickLog| log.iter().flat_map(|log| &log.shown).filter(|shown| shown.clicked).count();
        let time = |line: &str, wanted: usize| {
            let once = |_| {
                let start = std::time::Instant::now();
                assert_eq!(clicks(&read_log(line).unwrap()), wanted);
                start.elapsed()
            };
            (0..3).map(once).min().unwrap()
        };
        let (none, all) = (time(&line(""), 0), time(&line(&clicked.join(",")), MAX_SHOWN));
        assert!(all < none * 10, "{all:?} with all clicked, {none:?} with none");
    }

    #[test]
    fn wrong_lines_name_the_line_and_the_field() {
        for (line, told) in [
            ("[]", "`line` is not an impression: "),
            ("{", "`line` is not an impression: EOF while parsing"),
            (r#"{"query":"q","query":"r","shown":["a"]}"#, "`line` is not an impression: duplicate field `query`"),
            (r#"{"qery":"q","shown":["a"]}"#, "`line` is not an impression: unknown field `qery`"), // typos: ignore
            (r#"{"shown":["a"]}"#, "`query` is missing"),
            (r#"{"query":17,"shown":["a"]}"#, "`query` is 17; write a string"),
            (r#"{"query":"q"}"#, "`shown` is missing"),
            (r#"{"query":"q","shown":[]}"#, "`shown` has 0 documents"),
            (
                r#"{"query":"q","shown":[7]}"#,
                "`line` is not an impression: invalid type: integer `7`, expected in `shown` a document",
            ),
            (r#"{"query":"q","shown":[{"rank":1}]}"#, "`shown[0].doc` is missing"),
            (r#"{"query":"q","shown":["a",{"doc":"b","rank":1.5}]}"#, "`shown[1].rank` is 1.5; give a whole number"),
            (r#"{"query":"q","shown":[{"doc":"b","rank":1e99}]}"#, "`shown[0].rank` is 1e+99"),
            (r#"{"query":"q","shown":[{"doc":"b","doc":"c"}]}"#, "`line` is not an impression: duplicate field `doc`"),
            (r#"{"query":"q","shown":[{"doc":"b","clicked":1}]}"#, "`shown[0].clicked` is 1; write true or false"),
            (r#"{"query":"q","shown":[{"doc":"b","propensity":"high"}]}"#, "`shown[0].propensity` is `high`"),
            (r#"{"query":"q","shown":[{"doc":"b","propensity":-1}]}"#, "`shown[0].propensity` is -1"),
            (r#"{"query":"q","shown":["a"],"clicked":["b"]}"#, "`clicked[0]` is `b`, which `shown` lacks"),
            (r#"{"query":"q","shown":["a"],"clicked":[true]}"#, "`clicked[0]` is true; write a string"),
            (r#"{"query":"q","shown":["a"],"session":{}}"#, "`session` is an object"),
            (r#"{"query":"q","shown":["a"],"time":"May"}"#, "`time` is `May`"),
        ] {
            let message = read_log(&format!("\n{line}")).unwrap_err().to_string();
            assert!(message.starts_with(&format!("line 2: {told}")), "{message} should tell {told}");
        }
        let deep = "[".repeat(100_000);
        assert!(read_log(&format!(r#"{{"query":{deep}"#)).is_err());
        let long = format!(r#"{{"query":"{}","shown":["a"]}}"#, "x".repeat(MAX_LINE_BYTES));
        assert!(read_log(&long).unwrap_err().to_string().starts_with("line 1: `line` has"));
    }

    fn any_log() -> impl Strategy<Value = ClickLog> {
        let id = "[^\u{0}]{1,6}";
        let shown = (id, any::<bool>(), proptest::option::of(1e-300..=1.0f64));
        let optional =
            (proptest::option::of(id), proptest::option::of(Just("2024-05-17T09:30:00.25+02:00".to_owned())));
        let impression = (id, optional, proptest::option::of(id), proptest::collection::vec(shown, 1..6));
        proptest::collection::vec(impression, 0..5).prop_map(|impressions| {
            let mut log = ClickLog::new();
            for (query, (session, time), ranker, shown) in impressions {
                let shown = shown.into_iter().enumerate().map(|(place, (document, clicked, propensity))| Shown {
                    document: format!("{place}{document}"),
                    rank: place as u32 * 3 + 1,
                    clicked,
                    propensity,
                });
                let mut impression = Impression::new(query, shown.collect());
                (impression.session, impression.time, impression.ranker) = (session, time, ranker);
                log.push(impression).unwrap();
            }
            log
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(log in any_log()) {
            let mut text = String::new();
            write_log(&log, &mut text).unwrap();
            prop_assert_eq!(text.lines().count(), log.len());
            prop_assert_eq!(read_log(&text).unwrap(), log);
        }

        #[test]
        fn no_text_makes_it_panic(text in r#"(\{|\}|\[|\]|"query"|"shown"|"doc"|"rank"|:|,|1|-|"a"|true|null|\n){0,40}"#) {
            let _ = read_log(&text);
        }
    }
}
