//! CSV and TSV with a header row: one document a row.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};
use serde_json::{Map, Value as Json};

use super::fields::FieldRules;
use super::input::Input;
use super::problem::Problem;
use super::{ReadOptions, Record};

/// Iterator over the rows of a file. A bad row is reported with its line and the next one is read.
pub(crate) struct Rows {
    table: Reader<Capped>,
    /// `None` until the header has been read.
    header: Option<Vec<String>>,
    row: ByteRecord,
    used: Arc<AtomicU64>,
    id: String,
    rules: FieldRules,
    limit: u64,
    ended: bool,
}

impl Rows {
    /// Fields separated by `delimiter`; TSV has no quoting. `id` is the first part of the id of rows without one.
    pub(crate) fn new(input: Input, delimiter: u8, id: String, options: &ReadOptions) -> Self {
        let used = Arc::new(AtomicU64::new(0));
        let capped = Capped { input, used: Arc::clone(&used), limit: options.max_bytes };
        let table = ReaderBuilder::new()
            .has_headers(false)
            .delimiter(delimiter)
            .quoting(delimiter != b'\t')
            .from_reader(capped);
        let rules = FieldRules::new(options.text_field.clone());
        let (row, limit) = (ByteRecord::new(), options.max_bytes);
        Rows { table, header: None, row, used, id, rules, limit, ended: false }
    }

    /// Reads the next row into `self.row`; `false` at the end of the file.
    fn advance(&mut self) -> Result<bool, (Option<u64>, Problem)> {
        self.used.store(0, Ordering::Relaxed);
        let line = self.table.position().line();
        self.table.read_byte_record(&mut self.row).map_err(|error| {
            let line = error.position().map_or(line, csv::Position::line);
            let problem = match error.into_kind() {
                ErrorKind::UnequalLengths { expected_len, len, .. } => {
                    Problem::Malformed(format!("{len} fields where the header has {expected_len}"))
                }
                ErrorKind::Io(source) => {
                    self.ended = true;
                    match source.kind() {
                        io::ErrorKind::FileTooLarge => Problem::TooLarge { limit: self.limit },
                        _ => Problem::Io(source),
                    }
                }
                other => Problem::Malformed(format!("{other:?}")),
            };
            (Some(line), problem)
        })
    }

    fn line(&self) -> u64 {
        self.row.position().map_or(0, csv::Position::line)
    }

    fn document(&self, header: &[String]) -> Result<rag_core::Document, Problem> {
        let mut fields = Map::new();
        for (name, cell) in header.iter().zip(&self.row) {
            let cell = super::text::utf8(cell.to_vec())?;
            if !cell.is_empty() && !name.is_empty() {
                fields.insert(name.clone(), Json::String(cell));
            }
        }
        let mut document = self.rules.document(fields, format!("{}#{}", self.id, self.line()))?;
        for value in document.metadata.values_mut() {
            if let rag_core::Value::Text(cell) = value
                && let Some(typed) = typed(cell)
            {
                *value = typed;
            }
        }
        Ok(document)
    }
}

impl Iterator for Rows {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        while !self.ended {
            match self.advance() {
                Err(problem) => return Some(Err(problem)),
                Ok(false) => return None,
                Ok(true) => {}
            }
            let Some(header) = &self.header else {
                let names: Option<Vec<String>> =
                    self.row.iter().map(|name| std::str::from_utf8(name).ok().map(|name| name.trim().into())).collect();
                if names.is_none() {
                    self.ended = true;
                    return Some(Err((Some(1), Problem::Malformed("the header row is not UTF-8".to_owned()))));
                }
                self.header = names;
                continue;
            };
            return Some(self.document(header).map_err(|problem| (Some(self.line()), problem)));
        }
        None
    }
}

/// A cell that is written just as a number or a truth value is printed, so that filters can compare it: `2024` and
/// `-0.5`, but neither `007` nor `1e3`.
fn typed(cell: &str) -> Option<rag_core::Value> {
    match cell {
        "true" => return Some(true.into()),
        "false" => return Some(false.into()),
        _ => {}
    }
    if let Ok(whole) = cell.parse::<i64>() {
        return (whole.to_string() == cell).then(|| whole.into());
    }
    let (before, after) = cell.split_once('.')?;
    let digits = before.strip_prefix('-').unwrap_or(before);
    let is_plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = is_plain(digits) && is_plain(after) && (digits == "0" || !digits.starts_with('0'));
    cell.parse::<f64>().ok().filter(|float| is_number && float.is_finite()).map(Into::into)
}

/// Fails once one row has taken more than the limit, so that an unclosed quote does not swallow the file.
struct Capped {
    input: Input,
    used: Arc<AtomicU64>,
    limit: u64,
}

impl Read for Capped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.used.load(Ordering::Relaxed) > self.limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let read = self.input.read(buffer)?;
        self.used.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rag_core::Value;

    #[test]
    fn only_what_prints_the_same_is_a_number() {
        assert_eq!(typed("2024"), Some(Value::Int(2024)));
        assert_eq!(typed("-0.50"), Some(Value::Float(-0.5)));
        assert_eq!(typed("true"), Some(Value::Bool(true)));
        for text in ["007", "+1", "1e3", "1.", ".5", "nan", "inf", "-", "1.2.3", "00.5", " 1", "2024-01-01"] {
            assert_eq!(typed(text), None, "{text}");
        }
    }
}
