//! The files below a root, in name order, with what could not be walked reported by name.

use std::path::{Path, PathBuf};

use ignore::{DirEntry, Walk, WalkBuilder};

use super::ReadOptions;
use super::problem::{Problem, Skipped};

/// A regular file to be read.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The prefix, and its path below the root, with `/` on every system; the file name if it is the root.
    pub(crate) id: String,
    /// Whether the caller named this very file.
    pub(crate) is_root: bool,
}

/// Iterator over the files below a root.
pub(crate) struct Files {
    root: PathBuf,
    root_is_folder: bool,
    prefix: String,
    walk: Walk,
}

impl Files {
    /// Hidden files and whatever `.gitignore` and `.ignore` name (in a Git repository or not) are left out, and so are data
    /// folders of this software and the folder with the canonical path `left_out`, but never the root itself.
    pub(crate) fn new(root: &Path, root_is_folder: bool, options: &ReadOptions, left_out: Option<PathBuf>) -> Self {
        let mut walk = WalkBuilder::new(root);
        walk.follow_links(options.follow_links).require_git(false).git_global(false).sort_by_file_name(Ord::cmp);
        walk.filter_entry(move |entry| {
            let is_data = || entry.depth() > 0 && entry.path().join("store.redb").is_file();
            !is_data() && !left_out.as_ref().is_some_and(|left_out| is_folder(entry, left_out))
        });
        Files { root: root.to_owned(), root_is_folder, prefix: options.prefix.clone(), walk: walk.build() }
    }

    /// What to do with one entry; `None` for folders.
    fn look_at(&self, entry: &DirEntry) -> Option<Result<Found, Problem>> {
        let is_root = entry.depth() == 0;
        let file_type = entry.file_type()?;
        if file_type.is_dir() || (is_root && self.root_is_folder) {
            return None;
        }
        if file_type.is_symlink() && !is_root {
            return Some(Err(Problem::Link));
        }
        if !file_type.is_file() && !file_type.is_symlink() {
            return Some(Err(Problem::Special));
        }
        Some(match self.id_of(entry.path()) {
            None => Err(Problem::NameNotUtf8),
            Some(id) => Ok(Found { path: entry.path().to_owned(), id, is_root }),
        })
    }

    fn id_of(&self, path: &Path) -> Option<String> {
        let below = match path.strip_prefix(&self.root) {
            Ok(below) if !below.as_os_str().is_empty() => below,
            _ => Path::new(path.file_name()?),
        };
        let parts: Option<Vec<&str>> = below.iter().map(|part| part.to_str()).collect();
        Some([self.prefix.as_str(), &parts?.join("/")].concat())
    }
}

impl Iterator for Files {
    type Item = Result<Found, Skipped>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.walk.next()? {
                Err(error) => return Some(Err(skipped_by(error, &self.root))),
                Ok(entry) => {
                    if let Some(found) = self.look_at(&entry) {
                        return Some(found.map_err(|problem| Skipped {
                            path: entry.path().to_owned(),
                            line: None,
                            problem,
                        }));
                    }
                }
            }
        }
    }
}

/// Whether the entry is the folder with this canonical path, by whatever name or link.
fn is_folder(entry: &DirEntry, canonical: &Path) -> bool {
    entry.file_type().is_some_and(|kind| kind.is_dir())
        && entry.path().canonicalize().is_ok_and(|path| path == canonical)
}

/// Takes the walker's nested error apart: which path, and what is the matter with it.
fn skipped_by(error: ignore::Error, root: &Path) -> Skipped {
    let mut path = root.to_owned();
    let mut error = error;
    let problem = loop {
        match error {
            ignore::Error::WithPath { path: at, err } => {
                path = at;
                error = *err;
            }
            ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => error = *err,
            ignore::Error::Loop { ancestor, child } => {
                path = child;
                break Problem::Cycle { ancestor };
            }
            ignore::Error::Io(source) => break Problem::Io(source),
            other => break Problem::Walk(other.to_string()),
        }
    };
    Skipped { path, line: None, problem }
}
