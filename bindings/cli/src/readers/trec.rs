//! Runs and judgments, perhaps `.gz`. What is wrong with them is told with the file and the line.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use rag_core::ltr::metrics::{Qrels, TrecRun};
use rag_core::ltr::{Error as LtrError, trec};
use rag_core::{Error, Result};

/// A run in TREC's layout.
///
/// # Errors
/// `NotFound` and other failures to read; `InvalidArgument` naming the file and the line.
pub(crate) fn read_run(path: &Path) -> Result<TrecRun> {
    parse(path, trec::read_run)
}

/// Judgments: a `.tsv` file in BEIR's layout, any other in TREC's.
///
/// # Errors
/// As [`read_run`].
pub(crate) fn read_qrels(path: &Path) -> Result<Qrels> {
    let plain = if path.extension().is_some_and(|it| it == "gz") { path.with_extension("") } else { path.to_owned() };
    let is_beir = plain.extension().is_some_and(|it| it.eq_ignore_ascii_case("tsv"));
    parse(path, if is_beir { trec::read_beir_qrels } else { trec::read_qrels })
}

fn parse<T>(path: &Path, parser: fn(&str) -> Result<T, LtrError>) -> Result<T> {
    let at = |line: Option<usize>, problem: &dyn std::fmt::Display| {
        let line = line.map_or(String::new(), |line| format!(":{line}"));
        Error::invalid(format!("{}{line}: {problem}", path.display()))
    };
    let text = super::text::utf8(read(path)?).map_err(|problem| at(None, &problem))?;
    parser(&text).map_err(|error| match error {
        LtrError::Line { line, problem } => at(Some(line), &problem).with_source(*problem),
        other => at(None, &other).with_source(other),
    })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = |source| Error::io("read", path, source);
    let mut content = Vec::new();
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    if path.extension().is_some_and(|extension| extension == "gz") {
        MultiGzDecoder::new(file).read_to_end(&mut content).map_err(failed)?;
    } else {
        file.read_to_end(&mut content).map_err(failed)?;
    }
    Ok(content)
}
