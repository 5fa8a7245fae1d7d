//! `rag distill`.

use std::path::Path;

use anyhow::Result;
use rag_core::Cancel;
use rag_core::embed::{DistillOptions, Embedder, ModelOptions, TransformerModel, distill};
use serde_json::json;

use crate::ui::{Output, exit, progress::Progress};

pub(crate) fn run(output: Output, folder: &Path, out: &Path, options: &DistillOptions) -> Result<u8> {
    let teacher = TransformerModel::load(folder, &ModelOptions::new())?;
    let progress = Progress::new(output, "texts", None);
    let model = distill(&teacher, options, out, &Cancel::never(), &mut |_, _| progress.advance(1))?;
    drop(progress);
    let bytes = out.metadata()?.len();
    let answer = json!({"file": out, "bytes": bytes, "identity": model.identity(), "teacher": teacher.identity()});
    output.answer(&answer, |_| format!("{}: {bytes} bytes, {}", out.display(), model.identity()))?;
    Ok(exit::OK)
}
