//! Rows of features as text: SVMlight's format, which LETOR, libsvm, XGBoost and LightGBM read too.
//!
//! A line is `label qid:query column:value … # comment`; `qid` may be missing, as may be columns whose value is 0. Group
//! files have the number of rows of each query, one a line.

use std::fmt::Write;

use crate::error::{Error, Result};
use crate::matrix::Rows;
use crate::model::MAX_COLUMNS;

/// The columns of a line, for error messages.
const LAYOUT: &str = "label qid:query column:value";

/// Rows read from text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Svmlight {
    /// One a row.
    pub labels: Vec<f32>,
    /// Features, row after row; a column that a line leaves out is 0.
    pub values: Vec<f32>,
    /// Features of a row.
    pub columns: usize,
    /// How many neighbouring rows have the same `qid`, query by query; empty where the lines have none.
    pub groups: Vec<usize>,
    /// The `qid` of each query; empty where the lines have none.
    pub queries: Vec<String>,
}

/// How [`read`] reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOptions {
    /// The number of the first column: 1 as SVMlight and libsvm count, or 0 as LightGBM does.
    pub first_column: usize,
    /// How many columns the rows have, 1 or more; `None`: as many as the largest number says.
    pub columns: Option<usize>,
    /// Most values (rows × columns) that are made, as missing columns take memory too.
    pub max_values: usize,
}

impl Default for ReadOptions {
    /// Columns from 1, as many as there are, at most 2^28 values (1 GiB).
    fn default() -> Self {
        ReadOptions { first_column: 1, columns: None, max_values: 1 << 28 }
    }
}

impl Svmlight {
    /// The rows.
    ///
    /// # Errors
    /// [`Error::Shape`] where no line had a column.
    pub fn rows(&self) -> Result<Rows<'_>> {
        Rows::new(&self.values, self.columns)
    }
}

/// Reads rows. The rows of a query stand together.
///
/// ```
/// use rag_ltr::svmlight::{ReadOptions, read};
/// let data = read("2 qid:7 1:0.5 3:1 # d1\n0 qid:7 2:-1\n1 qid:9\n", ReadOptions::default())?;
/// assert_eq!((data.labels, data.columns, data.groups), (vec![2.0, 0.0, 1.0], 3, vec![2, 1]));
/// assert_eq!(data.values[..6], [0.5, 0.0, 1.0, 0.0, -1.0, 0.0]);
/// # Ok::<(), rag_ltr::Error>(())
/// ```
///
/// # Errors
/// [`Error::Line`] naming the line that is wrong; [`Error::Shape`] for more values than the options allow;
/// [`Error::Setting`] for rows of no columns.
pub fn read(text: &str, options: ReadOptions) -> Result<Svmlight> {
    if options.columns == Some(0) {
        return Err(Error::Setting {
            name: "columns",
            value: 0.0,
            range: "1 or more, or None for as many as there are",
        });
    }
    let mut data = Svmlight::default();
    let mut cells: Vec<(u32, f32)> = Vec::new();
    let mut ends: Vec<usize> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let wrong = |problem: Error| Error::Line { line: at + 1, problem: Box::new(problem) };
        let query = read_line(line, options, &mut data.labels, &mut cells).map_err(wrong)?;
        ends.push(cells.len());
        if query.is_some() == data.queries.is_empty() && ends.len() > 1 {
            return Err(wrong(Error::Shape("some lines have a qid and some have none".to_owned())));
        }
        match query {
            Some(query) if data.queries.last().is_none_or(|last| last != query) => {
                if !seen.insert(query) {
                    let message = format!("the rows of query `{query}` stand apart; sort the lines by query");
                    return Err(wrong(Error::Training(message)));
                }
                data.queries.push(query.to_owned());
                data.groups.push(1);
            }
            Some(_) => data.groups.iter_mut().next_back().into_iter().for_each(|size| *size += 1),
            None => {}
        }
    }
    let widest = cells.iter().map(|&(column, _)| column as usize + 1).max().unwrap_or_default();
    data.columns = options.columns.unwrap_or(widest);
    let values = data.columns.checked_mul(ends.len()).filter(|&values| values <= options.max_values);
    let Some(values) = values else {
        let message = format!("{} rows of {} columns are more than max_values", ends.len(), data.columns);
        return Err(Error::Shape(message));
    };
    data.values = vec![0.0; values];
    let mut start = 0;
    for (row, end) in ends.into_iter().enumerate() {
        for &(column, value) in &cells[start..end] {
            data.values[row * data.columns + column as usize] = value;
        }
        start = end;
    }
    Ok(data)
}

/// Reads one line: its label and cells are added to those before, its query is the answer.
fn read_line<'t>(
    line: &'t str,
    options: ReadOptions,
    labels: &mut Vec<f32>,
    cells: &mut Vec<(u32, f32)>,
) -> Result<Option<&'t str>> {
    let mut fields = line.split_whitespace();
    let label = fields.next().unwrap_or_default();
    labels.push(label.parse().map_err(|_| odd("label", label, "a number such as 2"))?);
    let mut query = None;
    let mut last = None;
    for field in fields {
        let Some((name, value)) = field.split_once(':') else {
            return Err(odd("field", field, "column:value such as 3:0.25"));
        };
        if name == "qid" {
            if value.is_empty() || query.replace(value).is_some() {
                return Err(odd("field", field, "one qid a line, such as qid:12"));
            }
            continue;
        }
        let number: Option<usize> = name.parse().ok();
        let column = number.and_then(|number| number.checked_sub(options.first_column));
        let limit = options.columns.unwrap_or(MAX_COLUMNS).min(MAX_COLUMNS);
        let Some(column) = column.filter(|&column| column < limit) else {
            let (first, last) = (options.first_column, options.first_column.saturating_add(limit - 1));
            return Err(odd("column", name, &format!("a number from {first} to {last}")));
        };
        if last.is_some_and(|last| last >= column) {
            return Err(odd("column", name, "the columns of a line ascending, each once"));
        }
        last = Some(column);
        cells.push((column as u32, value.parse().map_err(|_| odd("value", value, "a number such as 0.25 or nan"))?));
    }
    Ok(query)
}

fn odd(field: &str, found: &str, wanted: &str) -> Error {
    let found: String = found.chars().take(40).collect();
    Error::Shape(format!("{field} `{found}` of `{LAYOUT}` cannot be read; give {wanted}"))
}

/// Reads a group file: the number of rows of each query, one a line.
///
/// # Errors
/// [`Error::Line`] for a line that is no number above 0.
pub fn read_groups(text: &str) -> Result<Vec<usize>> {
    let lines = text.lines().enumerate().map(|(at, line)| (at, line.trim())).filter(|(_, line)| !line.is_empty());
    lines
        .map(|(at, line)| {
            let size = line.parse().ok().filter(|&size: &usize| size > 0);
            let problem = || Box::new(odd("group", line, "how many rows the query has, such as 12"));
            size.ok_or_else(|| Error::Line { line: at + 1, problem: problem() })
        })
        .collect()
}

/// Writes rows, columns from 1; zeros are left out, and numbers are written so that they are read back to the last bit.
///
/// # Errors
/// [`Error::Shape`] where the labels are not one a row or the groups do not have all rows, [`Error::Write`] where the sink
/// refuses.
pub fn write(out: &mut impl Write, rows: Rows<'_>, labels: &[f32], groups: &[usize]) -> Result<()> {
    let in_groups = groups.iter().try_fold(0usize, |sum, &size| sum.checked_add(size));
    if labels.len() != rows.len() || !groups.is_empty() && in_groups != Some(rows.len()) {
        let message = format!("{} rows, {} labels and groups of {in_groups:?} rows", rows.len(), labels.len());
        return Err(Error::Shape(message));
    }
    let mut query_of = groups.iter().enumerate().flat_map(|(query, &size)| std::iter::repeat_n(query + 1, size));
    for (row, label) in rows.iter().zip(labels) {
        write!(out, "{label}").map_err(|_| Error::Write)?;
        if let Some(query) = query_of.next() {
            write!(out, " qid:{query}").map_err(|_| Error::Write)?;
        }
        for (column, value) in row.iter().enumerate().filter(|(_, value)| **value != 0.0) {
            write!(out, " {}:{value}", column + 1).map_err(|_| Error::Write)?;
        }
        out.write_char('\n').map_err(|_| Error::Write)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Result<Svmlight> {
        read(text, ReadOptions::default())
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let cases = [
            ("1 qid:1 1:2\nx 1:2", "line 2: label `x`"),
            ("1 0:2", "column `0`"),
            ("1 2:1 2:3", "ascending"),
            ("1 7", "field `7`"),
            ("1 1:a", "value `a`"),
            ("1 qid:1 qid:2", "one qid a line"),
            ("1 qid:1\n1 1:2", "some have none"),
            ("1 1:1\n1 qid:1 1:2", "some have none"),
            ("1 qid:1\n1 qid:2\n1 qid:1", "stand apart"),
            ("1 99999999999:1", "column `99999999999`"),
        ];
        for (text, wanted) in cases {
            let message = of(text).unwrap_err().to_string();
            assert!(message.contains(wanted), "{text:?}: {message}");
        }
        assert!(read_groups("3\n0").unwrap_err().to_string().contains("line 2"));
        assert_eq!(read_groups("3\n\n12\n").unwrap(), [3, 12]);
    }

    #[test]
    fn memory_is_bounded_by_the_options() {
        let options = ReadOptions { max_values: 1000, ..ReadOptions::default() };
        assert!(read("1 400:1\n1\n", options).is_ok());
        assert!(matches!(read("1 400:1\n1\n1\n", options), Err(Error::Shape(_))));
        let wide = ReadOptions { columns: Some(usize::MAX), ..ReadOptions::default() };
        assert!(matches!(read("1 1:1\n1\n", wide), Err(Error::Shape(_))));
    }

    #[test]
    fn options_at_their_ends_are_no_trap() {
        let none = ReadOptions { first_column: 0, columns: Some(0), ..ReadOptions::default() };
        for text in ["1 0:2", "1"] {
            assert!(matches!(read(text, none), Err(Error::Setting { name: "columns", .. })));
        }
        let last = ReadOptions { first_column: usize::MAX, ..ReadOptions::default() };
        assert!(read("1 0:2", last).unwrap_err().to_string().contains(&format!("from {0} to {0}", usize::MAX)));
        assert_eq!(read(&format!("1 {}:2", usize::MAX), last).unwrap().values, [2.0]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            rows in proptest::collection::vec(proptest::collection::vec(any::<f32>(), 3), 1..20), cut in 0usize..20,
        ) {
            let values: Vec<f32> = rows.concat().iter().map(|value| if *value == 0.0 { 0.0 } else { *value }).collect();
            let labels: Vec<f32> = (0..rows.len()).map(|label| label as f32).collect();
            let cut = cut.min(rows.len() - 1);
            let groups = if cut == 0 { vec![rows.len()] } else { vec![cut, rows.len() - cut] };
            let mut text = String::new();
            write(&mut text, Rows::new(&values, 3).unwrap(), &labels, &groups).unwrap();
            let read = read(&text, ReadOptions { columns: Some(3), ..ReadOptions::default() }).unwrap();
            let bits = |values: &[f32]| -> Vec<Option<u32>> {
                values.iter().map(|value| (!value.is_nan()).then(|| value.to_bits())).collect()
            };
            prop_assert_eq!(bits(&read.values), bits(&values));
            prop_assert_eq!((read.labels, read.groups), (labels, groups));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,60}|([0-9 :.#\nqid-]{0,60})") {
            let _ = read(&text, ReadOptions { max_values: 10_000, ..ReadOptions::default() });
            let _ = read_groups(&text);
        }
    }
}
