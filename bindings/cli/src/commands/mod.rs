//! One file a group of commands: arguments in, engine call, answer out.

pub(crate) mod canary;
pub(crate) mod delete;
pub(crate) mod demo;
#[cfg(feature = "distill")]
pub(crate) mod distill;
pub(crate) mod eval;
pub(crate) mod features;
pub(crate) mod gate;
pub(crate) mod index;
pub(crate) mod maintain;
pub(crate) mod search;
pub(crate) mod train;
pub(crate) mod tune;

use std::path::Path;

use anyhow::Result;
use rag_core::engine::EngineBuilder;
use rag_core::{Engine, Error, ErrorKind, Scope};
use rag_runtime::Settings;

use crate::{Data, Question, Setup};

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
        self.check_there()?;
        Ok(self.setup.settings()?.open(&self.data)?)
    }

    /// As [`Data::open`], with another ranker or weight where these are given.
    fn open_ranked(&self, question: &Question) -> Result<Engine> {
        self.check_there()?;
        let mut settings = self.setup.settings()?;
        let ltr = &mut settings.engine.ltr;
        ltr.model = question.ranker.clone().or(ltr.model.take());
        ltr.weight = question.ltr_weight.unwrap_or(ltr.weight);
        if question.ltr_weight.is_some() && ltr.model.is_none() {
            let message =
                "`--ltr-weight` weighs a ranker, and there is none; name it by --ranker or in the configuration";
            return Err(Error::invalid(message).into());
        }
        settings.engine.validate()?;
        Ok(settings.open(&self.data)?)
    }

    /// As [`Data::open`], without a ranker.
    fn open_with(&self, change: impl FnOnce(EngineBuilder) -> EngineBuilder) -> Result<Engine> {
        self.check_there()?;
        Ok(change(self.setup.builder()?).open(&self.data)?)
    }

    fn check_there(&self) -> rag_core::Result<()> {
        let store = self.data.join("store.redb");
        if store.try_exists().map_err(|source| Error::io("read", &store, source))? {
            return Ok(());
        }
        let message = format!("{} holds no data; index something there first", self.data.display());
        Err(Error::new(ErrorKind::NotFound, message))
    }
}

/// A folder that goes when the value does.
fn temporary_folder() -> rag_core::Result<tempfile::TempDir> {
    tempfile::tempdir().map_err(|source| Error::io("make a folder in", &std::env::temp_dir(), source))
}

/// Makes sure that the file can be written, before minutes of work are spent on what goes into it.
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
