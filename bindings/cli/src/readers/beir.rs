//! A test collection in the layout of BEIR: `corpus.jsonl`, `queries.jsonl` (each perhaps `.gz`), `qrels/<split>.tsv`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use rag_core::ltr::metrics::Qrels;
use rag_core::{Error, ErrorKind, Result};
use serde_json::Value as Json;

use super::input::{ByteLines, Input};
use super::{ReadOptions, Reader, trec};

/// Largest line of the queries, in bytes.
const MAX_LINE: u64 = 16 << 20;

/// An opened test collection: queries and judgments in memory, the corpus to be read.
#[derive(Debug)]
pub(crate) struct Beir {
    /// Name of the folder.
    pub(crate) name: String,
    /// The split of the judgments: `test` if there is one, else the only one.
    pub(crate) split: String,
    /// Text of each query by its id. All of the file, judged in this split or not.
    pub(crate) queries: BTreeMap<String, String>,
    /// The judgments of the queries with at least one relevant document, as BEIR's figures have it.
    pub(crate) qrels: Qrels,
    /// Number of queries that have judgments and no relevant document.
    pub(crate) left_out: usize,
    corpus: PathBuf,
}

impl Beir {
    /// # Errors
    /// `NotFound` for a missing file, `InvalidArgument` for a malformed line, several splits without `test`, or judgments
    /// of a query that has no text; the message names the file and the line.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let corpus = either(folder, "corpus.jsonl")?;
        let queries = read_queries(&either(folder, "queries.jsonl")?)?;
        let (split, qrels_file) = choose_split(&folder.join("qrels"))?;
        let judged = trec::read_qrels(&qrels_file)?;
        let judged_count = judged.len();
        let qrels = judged.with_relevant(1);
        if let Some((query, _)) = qrels.iter().find(|(query, _)| !queries.contains_key(*query)) {
            let message = format!(
                "{} judges the query `{query}`, of which the queries lack the text; add it or take its judgments out",
                qrels_file.display()
            );
            return Err(Error::invalid(message));
        }
        let canonical = folder.canonicalize().map_err(|source| Error::io("read", folder, source))?;
        let name = canonical.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Beir { name, split, queries, left_out: judged_count - qrels.len(), qrels, corpus })
    }

    /// The documents, one at a time.
    ///
    /// # Errors
    /// As [`super::read`].
    pub(crate) fn corpus(&self) -> Result<Reader> {
        super::read(&self.corpus, ReadOptions::default())
    }

    /// The queries with a relevant document and their texts, in the order of their ids.
    pub(crate) fn judged_queries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.qrels.iter().filter_map(|(id, _)| Some((id, self.queries.get(id)?.as_str())))
    }
}

/// `name` or `name.gz` in the folder.
fn either(folder: &Path, name: &str) -> Result<PathBuf> {
    let plain = folder.join(name);
    let compressed = folder.join(format!("{name}.gz"));
    if plain.is_file() {
        Ok(plain)
    } else if compressed.is_file() {
        Ok(compressed)
    } else {
        let message = format!("{} has neither {name} nor {name}.gz; give a folder in BEIR's layout", folder.display());
        Err(Error::new(ErrorKind::NotFound, message))
    }
}

fn choose_split(folder: &Path) -> Result<(String, PathBuf)> {
    let mut splits = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(|source| Error::io("read", folder, source))? {
        let path = entry.map_err(|source| Error::io("read", folder, source))?.path();
        if path.extension().is_some_and(|extension| extension == "tsv")
            && let Some(split) = path.file_stem().and_then(|stem| stem.to_str())
        {
            splits.insert(split.to_owned(), path);
        }
    }
    if let Some(chosen) = splits.remove_entry("test") {
        return Ok(chosen);
    }
    if splits.len() > 1 {
        let names: Vec<_> = splits.into_keys().collect();
        let message = format!("{} has the splits {} and no `test`; keep one", folder.display(), names.join(", "));
        return Err(Error::invalid(message));
    }
    let none = || Error::new(ErrorKind::NotFound, format!("{} has no .tsv file of judgments", folder.display()));
    splits.pop_first().ok_or_else(none)
}

fn lines_of(path: &Path) -> Result<ByteLines> {
    let file = BufReader::new(File::open(path).map_err(|source| Error::io("open", path, source))?);
    let input: Input = match path.extension() {
        Some(extension) if extension == "gz" => Box::new(BufReader::new(MultiGzDecoder::new(file))),
        _ => Box::new(file),
    };
    Ok(ByteLines::new(input, MAX_LINE))
}

/// Calls `each` with every line that is not blank; its error gets the file and the line number.
fn for_each_line(path: &Path, mut each: impl FnMut(&str) -> Result<(), String>) -> Result<()> {
    let mut lines = lines_of(path)?;
    while let Some(line) = lines.next_line() {
        let number = lines.number();
        let at = |message: &str| Error::invalid(format!("{}:{number}: {message}", path.display()));
        let line = line.and_then(super::text::utf8).map_err(|problem| at(&problem.to_string()))?;
        let line = line.strip_prefix('\u{feff}').unwrap_or(&line);
        if !line.trim().is_empty() {
            each(line).map_err(|message| at(&message))?;
        }
    }
    Ok(())
}

/// The texts of JSON Lines with `_id` and `text`, perhaps `.gz`, by their ids.
///
/// # Errors
/// `NotFound` and other failures to read, `InvalidArgument` naming the file and the line.
pub(crate) fn read_queries(path: &Path) -> Result<BTreeMap<String, String>> {
    let mut queries = BTreeMap::new();
    for_each_line(path, |line| {
        let query: Json = serde_json::from_str(line).map_err(|error| format!("malformed: {error}"))?;
        let id = match query.get("_id") {
            Some(Json::String(id)) => id.clone(),
            Some(Json::Number(id)) => id.to_string(),
            _ => return Err("`_id` is neither a string nor a number".to_owned()),
        };
        let text = query.get("text").and_then(Json::as_str).ok_or("`text` is not a string")?;
        match queries.insert(id.clone(), text.to_owned()) {
            None => Ok(()),
            Some(_) => Err(format!("the query id `{id}` stands there twice")),
        }
    })?;
    Ok(queries)
}
