//! JSON Lines: one object a line, as in BEIR's `corpus.jsonl`, or with any other fields.

use serde_json::Value as Json;

use super::fields::FieldRules;
use super::input::{ByteLines, Input};
use super::problem::Problem;
use super::{ReadOptions, Record};

/// Iterator over the records of a file. A bad line is reported with its number and the next one is read.
pub(crate) struct Lines {
    input: ByteLines,
    id: String,
    rules: FieldRules,
    ended: bool,
}

impl Lines {
    /// `id` is the id of the file, the first part of the id of records without one.
    pub(crate) fn new(input: Input, id: String, options: &ReadOptions) -> Self {
        let rules = FieldRules::new(options.text_field.clone());
        Lines { input: ByteLines::new(input, options.max_bytes), id, rules, ended: false }
    }

    fn document(&self, line: Vec<u8>) -> Result<rag_core::Document, Problem> {
        let line = super::text::utf8(line)?;
        match serde_json::from_str(&line).map_err(|error| Problem::Malformed(error.to_string()))? {
            Json::Object(fields) => self.rules.document(fields, format!("{}#{}", self.id, self.input.number())),
            _ => Err(Problem::Malformed("not a JSON object".to_owned())),
        }
    }
}

impl Iterator for Lines {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        while !self.ended {
            let line = match self.input.next_line()? {
                Ok(line) => line,
                Err(problem) => {
                    self.ended = matches!(problem, Problem::Io(_));
                    return Some(Err((Some(self.input.number()), problem)));
                }
            };
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            return Some(self.document(line).map_err(|problem| (Some(self.input.number()), problem)));
        }
        None
    }
}
