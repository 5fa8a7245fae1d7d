//! Variables of the environment over the table of a configuration file.

use std::path::Path;

use rag_core::{Error, Result};
use toml::{Table, Value};

/// What every variable that is a setting starts with.
pub(crate) const PREFIX: &str = "RAG__";

/// Puts each `RAG__PART__FIELD=value` into the table as `part.field`. The value is read as TOML writes it (`200`, `true`,
/// `["a", "b"]`); what is no such value is a string.
pub(crate) fn apply(table: &mut Table, variables: impl IntoIterator<Item = (String, String)>) -> Result<()> {
    for (name, value) in variables {
        let Some(path) = name.strip_prefix(PREFIX) else { continue };
        let mut parts: Vec<String> = path.split("__").map(str::to_ascii_lowercase).collect();
        let field = parts.pop().filter(|field| !field.is_empty() && parts.iter().all(|part| !part.is_empty()));
        let Some(field) = field else {
            return Err(Error::invalid(format!("the variable {name} names no setting; write {PREFIX}PART__FIELD")));
        };
        let mut at = &mut *table;
        for part in parts {
            let next = at.entry(part.clone()).or_insert_with(|| Value::Table(Table::new()));
            at = next.as_table_mut().ok_or_else(|| {
                Error::invalid(format!("the variable {name} goes into `{part}`, which is a single value"))
            })?;
        }
        at.insert(field, parse(&value));
    }
    Ok(())
}

fn parse(value: &str) -> Value {
    let read = format!("value = {value}").parse::<Table>().ok();
    let read = read.filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
    read.unwrap_or_else(|| Value::String(value.to_owned()))
}

/// Makes the relative model path of a configuration file start at the folder of the file.
pub(crate) fn anchor_model_path(table: &mut Table, folder: &Path) {
    let path = table.get_mut("model").and_then(Value::as_table_mut).and_then(|model| model.get_mut("path"));
    if let Some(Value::String(path)) = path {
        *path = folder.join(&*path).to_string_lossy().into_owned();
    }
}
