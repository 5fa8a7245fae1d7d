//! Configuration file and environment to a running engine. The engine itself reads neither; every binding that lets its
//! users configure something does it through here, so that one file serves the command line, Python, Node and HTTP.
//!
//! ```toml
//! [model]
//! path = "models/all-MiniLM-L6-v2"    # without it: the bundled model
//! device = "cpu"
//!
//! [engine.fusion]
//! depth = 200
//!
//! [engine.ltr]
//! model = "models/ranker.json"        # without it: the fused order
//! weight = 0.7
//! ```
//!
//! The variable `RAG__ENGINE__FUSION__DEPTH=200` says the same and wins over the file; `RAG_CONFIG` names the file where
//! the caller names none. Where a setting is a string, quotes may be left out: `RAG__MODEL__QUERY_PROMPT=42`.

mod batch;
mod chosen;
pub mod clicks;
pub mod gate;
mod handle;
pub mod learned;
pub mod logs;
pub mod ltr;
pub mod maps;
mod overlay;
mod trainer;
pub mod tune;
#[cfg(feature = "hnsw")]
pub mod vectors;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rag_core::config::EngineConfig;
use rag_core::embed::{Device, Embedder, ModelOptions, load_or_bundled};
use rag_core::engine::EngineBuilder;
use rag_core::{Engine, Error, Result, rankers};
use serde::Deserialize;

pub use batch::Batch;
pub use chosen::{Model, open, open_with};
pub use handle::{Call, Closing, Handle};
pub use trainer::trainer;

/// Variable that names the configuration file.
pub const CONFIG_VARIABLE: &str = "RAG_CONFIG";

/// Hits or neighbours of a search unless told.
pub const K: usize = 10;

/// Everything that can be configured; `Settings::default()` is a good engine with the bundled model.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The embedding model.
    pub model: ModelSettings,
    /// The engine.
    pub engine: EngineConfig,
}

/// Which embedding model, and how it is loaded. What is not given is as the model's own files say.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelSettings {
    /// A folder in the layout of sentence-transformers or a static model file; `None`: the bundled model. A relative
    /// path starts at the folder of the configuration file that it stands in, else at the working folder.
    pub path: Option<PathBuf>,
    /// Where it computes: `cpu`, `cuda`, `cuda:1`, `metal`.
    pub device: Device,
    /// Text put before every query.
    pub query_prompt: Option<String>,
    /// Text put before every passage.
    pub passage_prompt: Option<String>,
    /// Most tokens of a text, special tokens included.
    pub max_tokens: Option<usize>,
}

impl Settings {
    /// The settings of the process: those of `file`, or of the file that `RAG_CONFIG` names, under those of the
    /// environment.
    ///
    /// # Errors
    /// As [`Settings::read`].
    pub fn from_environment(file: Option<&Path>) -> Result<Settings> {
        let named = std::env::var_os(CONFIG_VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from);
        let variables = std::env::vars_os().filter_map(|(name, value)| name.into_string().ok().zip(Some(value)));
        let variables = variables.filter(|(name, _)| name.starts_with(overlay::PREFIX)).map(|(name, value)| {
            let value = value.into_string().map_err(|_| Error::invalid(format!("the variable {name} is not UTF-8")))?;
            Ok((name, value))
        });
        Settings::read(file.or(named.as_deref()), variables.collect::<Result<Vec<_>>>()?)
    }

    /// The settings of `file`, if any, under those of `variables`; of these, names that do not start with `RAG__` are
    /// ignored.
    ///
    /// ```
    /// let variables = [("RAG__ENGINE__FUSION__DEPTH".to_owned(), "200".to_owned())];
    /// let settings = rag_runtime::Settings::read(None, variables)?;
    /// assert_eq!(settings.engine.fusion.depth, 200);
    /// # Ok::<(), rag_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// `NotFound` for a file that is not there, `InvalidArgument` naming the file and line or the variable, and the field.
    pub fn read(file: Option<&Path>, variables: impl IntoIterator<Item = (String, String)>) -> Result<Settings> {
        let mut table = match file {
            None => toml::Table::new(),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| Error::io("read", path, error))?;
                let named = |error: toml::de::Error| {
                    Error::invalid(format!("{}: {}", path.display(), error.to_string().trim())).with_source(error)
                };
                toml::from_str::<Settings>(&text).map_err(named)?; // for its lines, which the merged table has no more
                let mut table: toml::Table = toml::from_str(&text).map_err(named)?;
                overlay::anchor_paths(&mut table, path.parent().unwrap_or(Path::new("")));
                table
            }
        };
        overlay::apply(&mut table, variables, |table| table.try_into::<Settings>().is_ok())?;
        let settings: Settings = table.try_into().map_err(|error: toml::de::Error| {
            Error::invalid(format!("the environment: {}", error.to_string().trim())).with_source(error)
        })?;
        settings.engine.validate()?;
        Ok(settings)
    }

    /// Puts fields of `engine.features`, a JSON object, in the place of those that there are.
    ///
    /// ```
    /// let mut settings = rag_runtime::Settings::default();
    /// settings.put_features(r#"{"version": 2, "numeric": ["stars"]}"#)?;
    /// assert_eq!((settings.engine.features.version, settings.engine.features.cache_mib), (2, 64));
    /// # Ok::<(), rag_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument`, naming the field.
    pub fn put_features(&mut self, json: &str) -> Result<()> {
        let wrong = |error: serde_json::Error| Error::invalid(format!("`features`: {error}")).with_source(error);
        let given: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json).map_err(wrong)?;
        let mut features = serde_json::to_value(&self.engine.features).map_err(wrong)?;
        for (name, value) in given {
            features[name] = value;
        }
        self.engine.features = serde_json::from_value(features).map_err(wrong)?;
        self.engine.features.validate()
    }

    /// Loads the embedding model.
    ///
    /// # Errors
    /// As [`rag_core::embed::load_or_bundled`].
    pub fn embedder(&self) -> Result<Arc<dyn Embedder>> {
        let ModelSettings { path, device, query_prompt, passage_prompt, max_tokens } = self.model.clone();
        let mut options = ModelOptions::new().with_device(device);
        (options.query_prompt, options.passage_prompt, options.max_tokens) = (query_prompt, passage_prompt, max_tokens);
        load_or_bundled(path.as_deref(), &options)
    }

    /// A builder with these settings and the model loaded.
    ///
    /// # Errors
    /// As [`Settings::embedder`].
    pub fn builder(&self) -> Result<EngineBuilder> {
        Ok(Engine::builder().config(self.engine.clone()).embedder(self.embedder()?))
    }

    /// Opens or makes the data folder with these settings, and takes the ranker of `engine.ltr.model` into use.
    ///
    /// # Errors
    /// As [`Settings::embedder`], [`EngineBuilder::open`], [`rankers::load`] and [`Engine::set_ranker`].
    pub fn open(&self, data: &Path) -> Result<Engine> {
        self.open_with(self.builder()?, data)
    }

    /// As [`Settings::open`], with a builder of [`Settings::builder`] that was told more.
    ///
    /// # Errors
    /// As [`Settings::open`].
    pub fn open_with(&self, builder: EngineBuilder, data: &Path) -> Result<Engine> {
        let ltr = &self.engine.ltr;
        let ranker = ltr.model.as_deref().map(rankers::load).transpose()?;
        let engine = builder.open(data)?;
        if let (Some(ranker), Some(path)) = (ranker, &ltr.model) {
            let set = engine.set_ranker(Some(Arc::new(ranker)), ltr.weight);
            set.map_err(|error| error.with("file", path.display().to_string()))?;
        }
        Ok(engine)
    }
}
