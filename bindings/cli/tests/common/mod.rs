//! Running the built command in a folder of the test's own.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;

/// A folder with what is indexed (`in/`) and the data of the engine (`data/`).
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

/// What the command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    /// With these files in `in/`.
    pub(crate) fn with(files: &[(&str, &[u8])]) -> Place {
        let place = Place { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(place.input()).unwrap();
        for (name, content) in files {
            place.write(name, content);
        }
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn input(&self) -> PathBuf {
        self.path().join("in")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        let path = self.input().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// `rag …` in this folder.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rag"));
        command.current_dir(self.path()).args(arguments);
        command
    }

    pub(crate) fn rag<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Said {
        Said::of(self.command(arguments))
    }

    /// Indexes `in/` and gives the report, which must come with exit code `code`.
    pub(crate) fn index(&self, code: i32, options: &[&str]) -> (Json, Said) {
        let said = self.rag(&[&["index", "in", "--data", "data", "--json"], options].concat());
        assert_eq!(said.code, Some(code), "{said:?}");
        (serde_json::from_str(&said.out).unwrap(), said)
    }

    /// Ids of the hits.
    pub(crate) fn search(&self, words: &str, options: &[&str]) -> Vec<String> {
        let said = self.rag(&[&["search", words, "--data", "data", "--json"], options].concat());
        assert_eq!(said.code, Some(0), "{said:?}");
        let answer: Json = serde_json::from_str(&said.out).unwrap();
        let hits = answer["hits"].as_array().unwrap();
        hits.iter().map(|hit| hit["id"].as_str().unwrap().to_owned()).collect()
    }
}

impl Said {
    pub(crate) fn of(mut command: Command) -> Said {
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Checks the exit code and that the error stream tells each of these; and that nothing panicked.
    pub(crate) fn must_fail(&self, code: i32, told: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for part in told {
            assert!(self.err.contains(part), "`{part}` is not told: {self:?}");
        }
        assert!(!self.err.contains("panicked"), "{self:?}");
    }
}
