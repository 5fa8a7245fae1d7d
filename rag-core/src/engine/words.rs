//! The lexical index of a data folder: opened, or made anew when it cannot be used.

use std::path::{Path, PathBuf};

use crate::config::LexicalConfig;
use crate::error::{Error, Result};
use crate::format::disk::Disk;
use crate::lexical::{LexicalIndex, Opened};

#[derive(Debug)]
pub(super) struct Words {
    path: PathBuf,
    config: LexicalConfig,
    disk: Disk,
    /// `None` only after making it anew failed.
    index: Option<LexicalIndex>,
}

impl Words {
    /// The second value says why the index was made anew.
    pub(super) fn open(
        path: &Path,
        config: &LexicalConfig,
        disk: &Disk,
        verify: bool,
    ) -> Result<(Words, Option<String>)> {
        let mut words = Words { path: path.to_owned(), config: config.clone(), disk: disk.clone(), index: None };
        let problem = match words.open_index()? {
            Opened::NeedsRebuild(problem) => Some(problem),
            Opened::Ready(index) => {
                let damage = if verify { index.verify().err().map(|error| error.to_string()) } else { None };
                words.index = Some(index);
                damage
            }
        };
        if problem.is_some() {
            words.clear()?;
        }
        Ok((words, problem))
    }

    pub(super) fn index(&mut self) -> Result<&mut LexicalIndex> {
        let lost = || Error::corruption("the lexical index could not be made anew; open the folder again");
        self.index.as_mut().ok_or_else(lost)
    }

    /// Starts again with an empty index.
    pub(super) fn clear(&mut self) -> Result<()> {
        self.index = None; // frees its files and its lock
        let failed = |error| Error::io("empty the folder", &self.path, error);
        for file in std::fs::read_dir(&self.path).map_err(failed)? {
            std::fs::remove_file(file.map_err(failed)?.path()).map_err(failed)?;
        }
        match self.open_index()? {
            Opened::Ready(index) => self.index = Some(index),
            Opened::NeedsRebuild(problem) => return Err(Error::corruption(problem)),
        }
        Ok(())
    }

    fn open_index(&self) -> Result<Opened> {
        LexicalIndex::open_folder(&self.path, &self.config, &self.disk)
    }
}
