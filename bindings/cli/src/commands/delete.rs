//! `rag delete`.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::json;

use crate::Data;
use crate::ui::{Output, exit, plain};

/// Deletes documents by id, all of them in one commit. Ids that are not there are told and no failure: what was asked
/// for is so.
pub(crate) fn run(output: Output, ids: &[String], data: &Data) -> Result<u8> {
    let scope = data.scope()?;
    let engine = data.open()?;
    let (mut deleted, mut missing) = (0, Vec::new());
    for id in ids.iter().collect::<BTreeSet<_>>() {
        match engine.delete(&scope, &[id.as_str()])? {
            0 => missing.push(id),
            count => deleted += count,
        }
    }
    engine.commit()?;
    output.answer(&json!({"deleted": deleted, "missing": missing}), |_| {
        let mut lines = vec![format!("{deleted} deleted")];
        lines.extend(missing.iter().map(|id| format!("not there: {}", plain::line(id))));
        lines.join("\n")
    })?;
    Ok(exit::OK)
}
