//! `rag distill`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use rag_core::Cancel;
use rag_core::embed::{DistillOptions, Embedder, ModelOptions, TransformerModel, distill};
use serde_json::json;

use crate::ui::{Output, exit, plain, progress::Progress};

#[derive(Debug, Args)]
pub(crate) struct DistillArgs {
    /// The folder of the BERT model, in the layout of sentence-transformers.
    folder: PathBuf,
    /// The file to write; its folder has to be there.
    #[arg(long)]
    out: PathBuf,
    /// Name of the new model; else that of the file.
    #[arg(long)]
    name: Option<String>,
    /// Length of its vectors.
    #[arg(long)]
    dimension: Option<usize>,
    /// Weight of its dense run in the default fusion, 0 to 1.
    #[arg(long)]
    dense_weight: Option<f32>,
    /// Seed of the synthetic texts.
    #[arg(long)]
    seed: Option<u64>,
    /// Licence and attribution of the BERT model, kept in the file.
    #[arg(long, default_value = "")]
    licence: String,
}

pub(crate) fn run(output: Output, args: DistillArgs) -> Result<u8> {
    super::check_out(&args.out)?;
    let name = args.name.or_else(|| Some(args.out.file_stem()?.to_string_lossy().into_owned()));
    let mut options = DistillOptions::new(name.unwrap_or_default()).with_licence(args.licence);
    options.dimension = args.dimension.unwrap_or(options.dimension);
    options.dense_weight = args.dense_weight.unwrap_or(options.dense_weight);
    options.seed = args.seed.unwrap_or(options.seed);
    let teacher = TransformerModel::load(&args.folder, &ModelOptions::new())?;
    let progress = Progress::new(output, "texts", None);
    let model = distill(&teacher, &options, &args.out, &Cancel::never(), &mut |_, _| progress.advance(1))?;
    drop(progress);
    let bytes = args.out.metadata()?.len();
    let answer = json!({"file": args.out, "bytes": bytes, "identity": model.identity(), "teacher": teacher.identity()});
    output.answer(&answer, |_| {
        plain::line(&format!("{}: {bytes} bytes, {}", args.out.display(), model.identity())).into_owned()
    })?;
    Ok(exit::OK)
}
