//! A file or a folder → documents, one at a time, with every file that could not be read reported by name.
//!
//! ```text
//! walk (files in name order) → kind by file name → records of one file → Document | Problem → ReadReport
//! ```
//!
//! Memory: at most one plain file, or one record of a file of records, is held at a time; both are capped by
//! [`ReadOptions::max_bytes`].
//!
//! | kind | files | documents | id |
//! |---|---|---|---|
//! | text, code | `.txt`, sources, well-known names such as `README` | one a file | path below the root, with `/`, after [`ReadOptions::prefix`] |
//! | markdown | `.md` | one a file | the same |
//! | html, pdf | `.html`, `.pdf` (features `html`, `pdf`) | one a file | the same |
//! | jsonl | `.jsonl`, `.ndjson` | one a line | field `_id`, `id` or `doc_id`, else `path#line` |
//! | csv, tsv | `.csv`, `.tsv` | one a row after the header | the same |
//!
//! Text, Markdown, sources, JSON Lines, CSV and TSV may be compressed (`.gz`). Titles that stand in a file (the first
//! heading of Markdown, the title of a page or a PDF) are cut to 1 KiB; title fields of records are taken as they are.

pub(crate) mod beir;
mod csv;
mod fields;
#[cfg(any(test, feature = "html", feature = "pdf"))]
mod guard;
mod html;
mod input;
mod jsonl;
mod kind;
mod pdf;
mod problem;
mod text;
mod title;
pub(crate) mod trec;
mod walk;

use std::path::{Path, PathBuf};

use rag_core::{Document, Error, ErrorKind};

pub(crate) use problem::{Problem, Skipped};

use kind::Kind;
use walk::Found;

/// How files are read.
#[derive(Debug, Clone)]
pub(crate) struct ReadOptions {
    /// The field of a record that holds the text; `None`: the first of `text`, `body`, `content`, `abstract`.
    pub(crate) text_field: Option<String>,
    /// Whether symbolic links are followed. A link to a folder that contains it is reported, not followed.
    pub(crate) follow_links: bool,
    /// Put before the path below the root in ids, so that those of different roots stay apart.
    pub(crate) prefix: String,
    /// Largest plain file, and largest single record, in bytes.
    pub(crate) max_bytes: u64,
}

impl Default for ReadOptions {
    /// Links are not followed; 256 MiB a file or record.
    fn default() -> Self {
        ReadOptions { text_field: None, follow_links: false, prefix: String::new(), max_bytes: 256 << 20 }
    }
}

/// Most problems of which the particulars are kept; beyond it only the counts grow.
pub(crate) const MAX_KEPT: usize = 1000;

/// What became of the files and records so far.
#[derive(Debug, Default)]
pub(crate) struct ReadReport {
    /// Documents handed out.
    pub(crate) read: u64,
    /// Files and records without any text: not handed out, and no failure.
    pub(crate) empty: u64,
    /// Files that are of no kind that can be read (images, programs, links): no failure.
    pub(crate) ignored: u64,
    /// Files and records that should have been read and could not be: a failure.
    pub(crate) failed: u64,
    /// The particulars of what was ignored or failed, in the order met; at most [`MAX_KEPT`] of each sort.
    pub(crate) skipped: Vec<Skipped>,
}

impl ReadReport {
    /// The failures whose particulars were kept.
    pub(crate) fn failures(&self) -> impl Iterator<Item = &Skipped> {
        self.skipped.iter().filter(|skipped| skipped.problem.is_failure())
    }

    fn add(&mut self, skipped: Skipped) {
        let count = match &skipped.problem {
            Problem::Empty => {
                self.empty += 1;
                return;
            }
            problem if problem.is_failure() => &mut self.failed,
            _ => &mut self.ignored,
        };
        *count += 1;
        if *count <= MAX_KEPT as u64 {
            self.skipped.push(skipped);
        }
    }
}

/// One record of a file: its document, or why there is none, with the line where that is known.
type Record = Result<Document, (Option<u64>, Problem)>;

/// The records of one file.
type Records = Box<dyn Iterator<Item = Record> + Send>;

/// Iterator over the documents below a root; see [`read`].
pub(crate) struct Reader {
    root: PathBuf,
    files: walk::Files,
    options: ReadOptions,
    current: Option<(PathBuf, Records)>,
    report: ReadReport,
}

/// The documents of a file, or of every readable file below a folder (hidden files and what `.gitignore` names
/// excepted), in the order of their names.
///
/// A single file named as the root is read as text if nothing is known of its extension.
///
/// # Errors
/// `NotFound` or `PermissionDenied` if the root itself cannot be looked at, `InvalidArgument` if it is neither a file nor
/// a folder, `Unsupported` if it is a file whose reader is not in this build. Whatever goes wrong below the root is in the
/// [`Reader::report`].
pub(crate) fn read(root: &Path, options: ReadOptions) -> rag_core::Result<Reader> {
    let metadata = std::fs::metadata(root).map_err(|source| Error::io("read", root, source))?;
    if !metadata.is_dir() {
        check_file(root, &metadata)?;
    }
    let files = walk::Files::new(root, metadata.is_dir(), &options, None);
    Ok(Reader { root: root.to_owned(), files, options, current: None, report: ReadReport::default() })
}

/// What is passed over below a folder is an error where somebody asked for this very file.
fn check_file(root: &Path, metadata: &std::fs::Metadata) -> rag_core::Result<()> {
    if !metadata.is_file() {
        let message =
            "is neither a file nor a folder (a pipe, a socket or a device); write its content to a file first";
        return Err(Error::invalid(format!("{} {message}", root.display())));
    }
    match kind::of_path(root).and_then(|format| format.kind.missing_feature()) {
        Some(feature) => {
            Err(Error::new(ErrorKind::Unsupported, format!("{}: {}", root.display(), Problem::NotBuilt { feature })))
        }
        None => Ok(()),
    }
}

impl Reader {
    /// Leaves out this folder, wherever it lies below the root: the engine's own files are no documents. To be said
    /// before anything is read.
    ///
    /// # Errors
    /// `NotFound` or `PermissionDenied` if the folder cannot be looked at.
    pub(crate) fn without(mut self, folder: &Path) -> rag_core::Result<Reader> {
        let left_out = folder.canonicalize().map_err(|source| Error::io("read", folder, source))?;
        self.files = walk::Files::new(&self.root, self.root.is_dir(), &self.options, Some(left_out));
        Ok(self)
    }

    /// What became of the files so far; complete once the iterator has ended.
    #[cfg(test)]
    pub(crate) fn report(&self) -> &ReadReport {
        &self.report
    }

    /// The same, when the reader is no longer needed.
    pub(crate) fn into_report(self) -> ReadReport {
        self.report
    }

    /// The file that is being read.
    pub(crate) fn current_path(&self) -> Option<&Path> {
        self.current.as_ref().map(|(path, _)| path.as_path())
    }

    /// Opens the next file; `false` if there is none.
    fn open_next(&mut self) -> bool {
        let Some(found) = self.files.next() else { return false };
        let opened = match found {
            Err(skipped) => Err(skipped),
            Ok(found) => {
                let path = found.path.clone();
                match open(&found, &self.options) {
                    Ok(records) => Ok((path, records)),
                    Err(problem) => Err(Skipped { path, line: None, problem }),
                }
            }
        };
        match opened {
            Ok(opened) => self.current = Some(opened),
            Err(skipped) => self.report.add(skipped),
        }
        true
    }
}

impl Iterator for Reader {
    type Item = Document;

    fn next(&mut self) -> Option<Document> {
        loop {
            let Some((path, records)) = &mut self.current else {
                if self.open_next() {
                    continue;
                }
                return None;
            };
            match records.next() {
                None => self.current = None,
                Some(Ok(document)) => {
                    self.report.read += 1;
                    return Some(document);
                }
                Some(Err((line, problem))) => {
                    let path = path.clone();
                    self.report.add(Skipped { path, line, problem });
                }
            }
        }
    }
}

/// The records of one file, by its kind.
fn open(found: &Found, options: &ReadOptions) -> Result<Records, Problem> {
    let named = kind::of_path(&found.path);
    let format = match (named, found.is_root) {
        (Some(format), _) => format,
        (None, true) => kind::Format { kind: Kind::Text, gzip: false },
        (None, false) => return Err(Problem::UnknownKind),
    };
    let source = input::Source::open(found, format, options.max_bytes)?;
    let id = found.id.clone();
    match format.kind {
        Kind::Jsonl => Ok(Box::new(jsonl::Lines::new(source.reader(), id, options))),
        Kind::Csv => Ok(Box::new(csv::Rows::new(source.reader(), b',', id, options))),
        Kind::Tsv => Ok(Box::new(csv::Rows::new(source.reader(), b'\t', id, options))),
        Kind::Text | Kind::Code | Kind::Markdown | Kind::Html | Kind::Pdf => {
            let record = whole_file(found, format.kind, source).map_err(|problem| (None, problem));
            Ok(Box::new(std::iter::once(record)))
        }
    }
}

/// The syntax that the text is split by.
fn format_of(kind: Kind, path: &Path) -> &'static str {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match (kind.as_str(), extension) {
        ("markdown", _) => "markdown",
        (_, "rs") => "rust",
        (_, "py") => "python",
        (_, "js" | "mjs" | "cjs" | "jsx") => "javascript",
        _ => "text",
    }
}

/// The document of a file that is one document.
fn whole_file(found: &Found, kind: Kind, source: input::Source) -> Result<Document, Problem> {
    let (bytes, modified) = (source.bytes, source.modified.clone());
    let content = source.read_all()?;
    let (title, text) = match kind {
        Kind::Pdf => pdf::parse(content)?,
        Kind::Html => html::parse(text::utf8(content)?)?,
        Kind::Markdown => text::markdown(text::utf8(content)?),
        _ => (None, text::utf8(content)?),
    };
    if text.trim().is_empty() {
        return Err(Problem::Empty);
    }
    let file_name = found.id.rsplit('/').next().unwrap_or_default();
    let mut document = Document::new(found.id.clone(), text)
        .with_title(title.map_or_else(|| file_name.to_owned(), title::cut))
        .with_metadata("path", found.id.clone())
        .with_metadata(rag_core::engine::FORMAT_FIELD, format_of(kind, &found.path))
        .with_metadata("kind", kind.as_str())
        .with_metadata("bytes", bytes as i64);
    if let Some(extension) = Path::new(file_name).extension().and_then(|extension| extension.to_str()) {
        document = document.with_metadata("extension", extension.to_lowercase());
    }
    if let Some(modified) = modified {
        document = document.with_metadata("modified", modified);
    }
    Ok(document)
}

#[cfg(test)]
mod tests;
