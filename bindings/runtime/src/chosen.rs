//! Opening an engine as a caller of a binding asks for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rag_core::embed::Embedder;
use rag_core::{Engine, Result};

use crate::Settings;

/// Which model an engine is opened with.
#[derive(Debug, Clone)]
pub enum Model {
    /// The one that the configuration names, else the bundled one.
    Configured,
    /// The one at a path, whatever the configuration names.
    At(PathBuf),
    /// One that is loaded already.
    Loaded(Arc<dyn Embedder>),
}

/// Opens or makes the data folder with the settings of the file `config` (or of the one that `RAG_CONFIG` names) and of
/// the environment.
///
/// # Errors
/// As [`Settings::from_environment`] and [`Settings::open`].
pub fn open(data: &Path, model: Model, config: Option<&Path>) -> Result<Engine> {
    let mut settings = Settings::from_environment(config)?;
    match model {
        Model::Loaded(embedder) => return Engine::builder().config(settings.engine).embedder(embedder).open(data),
        Model::At(path) => settings.model.path = Some(path),
        Model::Configured => {}
    }
    settings.open(data)
}
