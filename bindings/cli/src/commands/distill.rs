//! `rag distill`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use rag_core::embed::{DistillOptions, Embedder, ModelOptions, TransformerModel, distill};
use rag_core::{Cancel, Error};
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
    check_out(&args.out)?;
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

/// Makes sure that the file can be written, before minutes of work are spent on it.
fn check_out(out: &Path) -> rag_core::Result<()> {
    if out.is_dir() || out.file_name().is_none() {
        return Err(Error::invalid(format!("`--out` is {}, a folder; name a file in it", out.display())));
    }
    let folder = match out.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let file = tempfile::tempfile_in(folder);
    file.map(drop).map_err(|source| Error::io("write into the folder of `--out`,", folder, source))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rag_core::ErrorKind;

    use super::*;

    #[test]
    fn where_the_model_goes_is_checked_first() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "x").unwrap();
        for (out, kind) in [
            ("", ErrorKind::InvalidArgument),
            ("missing/model", ErrorKind::NotFound),
            ("file/model", ErrorKind::InvalidArgument),
        ] {
            let error = check_out(&folder.path().join(out)).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains("`--out`"), "{error}");
        }
        check_out(&folder.path().join("model")).unwrap();
        check_out(&folder.path().join("file")).unwrap();
        check_out(Path::new("model")).unwrap();
        assert_eq!(folder.path().read_dir().unwrap().count(), 1, "nothing is left behind");
    }
}
