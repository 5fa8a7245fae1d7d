//! One file a group of commands: arguments in, engine call, answer out.

pub(crate) mod delete;
pub(crate) mod demo;
#[cfg(feature = "distill")]
pub(crate) mod distill;
pub(crate) mod eval;
pub(crate) mod index;
pub(crate) mod maintain;
pub(crate) mod search;

use anyhow::Result;
use rag_core::engine::EngineBuilder;
use rag_core::{Engine, Error, ErrorKind, Scope};
use rag_runtime::Settings;

use crate::{Data, Setup};

impl Setup {
    /// The settings of file and environment, under the arguments.
    fn settings(&self) -> Result<Settings> {
        let mut settings = Settings::from_environment(self.config.as_deref())?;
        if let Some(model) = &self.model {
            settings.model.path = Some(model.clone());
        }
        Ok(settings)
    }

    fn builder(&self) -> Result<EngineBuilder> {
        Ok(self.settings()?.builder()?)
    }
}

impl Data {
    fn scope(&self) -> Result<Scope> {
        Ok(Scope::tenant(&self.tenant)?)
    }

    /// Opens a folder that is there; a wrong path makes no empty one.
    fn open(&self) -> Result<Engine> {
        self.open_with(|builder| builder)
    }

    fn open_with(&self, change: impl FnOnce(EngineBuilder) -> EngineBuilder) -> Result<Engine> {
        let store = self.data.join("store.redb");
        if !store.try_exists().map_err(|source| Error::io("read", &store, source))? {
            let message = format!("{} holds no data; index something there first", self.data.display());
            return Err(Error::new(ErrorKind::NotFound, message).into());
        }
        Ok(change(self.setup.builder()?).open(&self.data)?)
    }
}

/// A folder that goes when the value does.
fn temporary_folder() -> rag_core::Result<tempfile::TempDir> {
    tempfile::tempdir().map_err(|source| Error::io("make a folder in", &std::env::temp_dir(), source))
}
