//! Loading a model from a path: a folder in the layout of sentence-transformers, or a static model file.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Device, Embedder, StaticModel};
use crate::error::{Error, ErrorKind, Result};

/// How a model is loaded. What is `None` is as the model's own files say.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelOptions {
    /// Where it computes.
    pub device: Device,
    /// Text put before every query.
    pub query_prompt: Option<String>,
    /// Text put before every passage.
    pub passage_prompt: Option<String>,
    /// Most tokens of a text, special tokens included; what is longer is cut, and said so.
    pub max_tokens: Option<usize>,
}

impl ModelOptions {
    /// Everything as the model's own files say, on the CPU.
    pub fn new() -> Self {
        ModelOptions::default()
    }

    /// Sets where the model computes.
    #[must_use]
    pub fn with_device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// Sets the texts put before queries and passages.
    #[must_use]
    pub fn with_prompts(mut self, query: impl Into<String>, passage: impl Into<String>) -> Self {
        self.query_prompt = Some(query.into());
        self.passage_prompt = Some(passage.into());
        self
    }

    /// Sets the most tokens of a text.
    #[must_use]
    pub fn with_max_tokens(mut self, max_tokens: usize) -> Self {
        self.max_tokens = Some(max_tokens);
        self
    }
}

/// Loads the model at `path` without touching the network: a folder with `config.json`, `tokenizer.json` and
/// `model.safetensors` (see [`TransformerModel`](super::TransformerModel)), or a static model file.
///
/// # Errors
/// `NotFound` naming the path or the missing file, `InvalidArgument` or `Corruption` naming the file that is wrong,
/// `Unsupported` for what this build or version cannot load, with what it would take.
pub fn load(path: &Path, options: &ModelOptions) -> Result<Arc<dyn Embedder>> {
    if path.is_dir() {
        return load_folder(path, options);
    }
    let bytes = std::fs::read(path).map_err(|error| Error::io("read the model", path, error))?;
    if *options != ModelOptions::default() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("{} is a static model; it takes no prompts, no limit and no device", path.display()),
        ));
    }
    let model = StaticModel::from_bytes(&bytes).map_err(|error| error.with("file", path.display().to_string()))?;
    Ok(Arc::new(model))
}

/// As [`load`]; without a path the model that is part of this library.
///
/// # Errors
/// As [`load`]; `InvalidArgument` for options without a path.
pub fn load_or_bundled(path: Option<&Path>, options: &ModelOptions) -> Result<Arc<dyn Embedder>> {
    match path {
        Some(path) => load(path, options),
        None if *options == ModelOptions::default() => Ok(Arc::new(StaticModel::bundled()?)),
        None => Err(Error::invalid("the bundled model takes no device, prompts or limit; give the `path` of another")),
    }
}

#[cfg(feature = "candle")]
fn load_folder(folder: &Path, options: &ModelOptions) -> Result<Arc<dyn Embedder>> {
    Ok(Arc::new(super::TransformerModel::load(folder, options)?))
}

#[cfg(not(feature = "candle"))]
fn load_folder(folder: &Path, _: &ModelOptions) -> Result<Arc<dyn Embedder>> {
    Err(Error::new(
        ErrorKind::Unsupported,
        format!("{} is a folder; loading one needs a build with the feature `candle`", folder.display()),
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn wrong_paths_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = load(&folder.path().join("none.ragm"), &ModelOptions::new()).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert!(missing.to_string().contains("none.ragm"), "{missing}");
        let file = folder.path().join("text.ragm");
        std::fs::write(&file, "not a model").unwrap();
        let damaged = load(&file, &ModelOptions::new()).unwrap_err();
        assert_eq!(damaged.kind(), ErrorKind::Corruption);
        assert!(damaged.to_string().contains("text.ragm"), "{damaged}");
    }
}
