//! One file a group of commands: arguments in, engine call, answer out.

pub(crate) mod demo;
pub(crate) mod eval;
pub(crate) mod index;
pub(crate) mod maintain;
pub(crate) mod search;

use anyhow::Result;
use rag_core::engine::EngineBuilder;
use rag_core::{Engine, Error, ErrorKind, Scope};

use crate::Data;

impl Data {
    fn scope(&self) -> Result<Scope> {
        Ok(Scope::tenant(&self.tenant)?)
    }

    /// Opens a folder that is there; a wrong path makes no empty one.
    fn open(&self) -> Result<Engine> {
        self.open_with(Engine::builder())
    }

    fn open_with(&self, builder: EngineBuilder) -> Result<Engine> {
        if !self.data.join("store.redb").exists() {
            let message = format!("{} holds no data; index something there first", self.data.display());
            return Err(Error::new(ErrorKind::NotFound, message).into());
        }
        Ok(builder.open(&self.data)?)
    }
}
