//! Opening an engine as a caller of a binding asks for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rag_core::embed::Embedder;
use rag_core::engine::EngineBuilder;
use rag_core::features::FeatureFunction;
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
/// the environment, and with features of the caller's own.
///
/// # Errors
/// As [`Settings::from_environment`] and [`Settings::open`].
pub fn open(
    data: &Path,
    model: Model,
    config: Option<&Path>,
    functions: Vec<Arc<dyn FeatureFunction>>,
) -> Result<Engine> {
    open_with(Settings::from_environment(config)?, data, model, functions)
}

/// As [`open`], with these settings.
///
/// # Errors
/// As [`Settings::open`].
pub fn open_with(
    mut settings: Settings,
    data: &Path,
    model: Model,
    functions: Vec<Arc<dyn FeatureFunction>>,
) -> Result<Engine> {
    let builder = match model {
        Model::Loaded(embedder) => Engine::builder().config(settings.engine.clone()).embedder(embedder),
        Model::At(path) => {
            settings.model.path = Some(path);
            settings.builder()?
        }
        Model::Configured => settings.builder()?,
    };
    let builder = functions.into_iter().fold(builder, EngineBuilder::feature_function);
    settings.open_with(builder, data)
}
