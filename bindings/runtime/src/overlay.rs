//! Variables of the environment over the table of a configuration file.

use rag_core::{Error, Result};
use toml::{Table, Value};

/// What every variable that is a setting starts with.
pub(crate) const PREFIX: &str = "RAG__";

/// Puts each `RAG__PART__FIELD=value` into the table as `part.field`. The value is read as TOML writes it (`200`, `true`,
/// `["a", "b"]`); what is no such value is a string, and so is one that `fits` takes in no other way, such as the prompt
/// `42`. Each variable is tried alone over the table, so that a mistake in one does not change how another is read.
pub(crate) fn apply(
    table: &mut Table,
    variables: impl IntoIterator<Item = (String, String)>,
    fits: impl Fn(Table) -> bool,
) -> Result<()> {
    let file = table.clone();
    let with = |setting: &Setting<'_>, value: Value| {
        let mut table = file.clone();
        setting.put(&mut table, value).map(|()| table)
    };
    for (name, value) in variables {
        let Some(setting) = Setting::of(&name)? else { continue };
        let text = Value::String(value.clone());
        let read = parse(&value).unwrap_or_else(|| text.clone());
        let is_text = read != text && !fits(with(&setting, read.clone())?) && fits(with(&setting, text.clone())?);
        setting.put(table, if is_text { text } else { read })?;
    }
    Ok(())
}

/// Where a variable goes.
struct Setting<'a> {
    variable: &'a str,
    parts: Vec<String>,
    field: String,
}

impl<'a> Setting<'a> {
    /// `None` for a variable that is no setting.
    fn of(variable: &'a str) -> Result<Option<Self>> {
        let Some(path) = variable.strip_prefix(PREFIX) else { return Ok(None) };
        let mut parts: Vec<String> = path.split("__").map(str::to_ascii_lowercase).collect();
        match parts.pop() {
            Some(field) if !field.is_empty() && parts.iter().all(|part| !part.is_empty()) => {
                Ok(Some(Setting { variable, parts, field }))
            }
            _ => Err(Error::invalid(format!("the variable {variable} names no setting; write {PREFIX}PART__FIELD"))),
        }
    }

    fn put(&self, table: &mut Table, value: Value) -> Result<()> {
        let mut at = table;
        for part in &self.parts {
            let next = at.entry(part.clone()).or_insert_with(|| Value::Table(Table::new()));
            at = next.as_table_mut().ok_or_else(|| {
                Error::invalid(format!("the variable {} goes into `{part}`, which is a single value", self.variable))
            })?;
        }
        at.insert(self.field.clone(), value);
        Ok(())
    }
}

/// A value as TOML writes it.
fn parse(value: &str) -> Option<Value> {
    let read = format!("value = {value}").parse::<Table>().ok();
    read.filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"))
}

/// Makes the relative paths of a configuration file start at the folder of the file: of the model, and of the ranker.
pub(crate) fn anchor_paths(table: &mut Table, folder: &std::path::Path) {
    let gate = [&["engine", "gate", "key_file"][..], &["engine", "gate", "watch"]];
    for setting in [&["model", "path"][..], &["engine", "ltr", "model"]].into_iter().chain(gate) {
        let [parts @ .., field] = setting else { continue };
        let mut at = Some(&mut *table);
        for part in parts {
            at = at.and_then(|table| table.get_mut(*part)).and_then(Value::as_table_mut);
        }
        if let Some(Value::String(path)) = at.and_then(|table| table.get_mut(*field)) {
            *path = folder.join(&*path).to_string_lossy().into_owned();
        }
    }
}
