//! Runs and judgments, perhaps `.gz`. What is wrong with them is told with the file and the line. They are held in memory,
//! so a limit stands over their size: a few kilobytes can inflate to any number of gigabytes.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use rag_core::ltr::metrics::{Qrels, TrecRun};
use rag_core::ltr::{Error as LtrError, trec};
use rag_core::{Error, ErrorKind, Result};

/// Most bytes of a file, inflated.
const MAX_BYTES: u64 = 4 << 30;

/// A run in TREC's layout.
///
/// # Errors
/// `NotFound` and other failures to read; `ResourceExhausted` beyond 4 GiB; `InvalidArgument` naming the file and the
/// line.
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
    parsed(path, parser(&read_text(path)?))
}

/// The text of a file, perhaps `.gz`.
///
/// # Errors
/// `NotFound` and other failures to read; `ResourceExhausted` beyond 4 GiB; `InvalidArgument` for text that is not UTF-8.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    let text = super::text::utf8(read(path, MAX_BYTES)?);
    text.map_err(|problem| Error::invalid(format!("{}: {problem}", path.display())))
}

/// What was parsed of a file; an error gets the file and the line.
///
/// # Errors
/// `InvalidArgument` naming the file and, where it is known, the line.
pub(crate) fn parsed<T>(path: &Path, parsed: Result<T, LtrError>) -> Result<T> {
    parsed.map_err(|error| match error {
        LtrError::Line { line, problem } => {
            Error::invalid(format!("{}:{line}: {problem}", path.display())).with_source(*problem)
        }
        other => Error::invalid(format!("{}: {other}", path.display())).with_source(other),
    })
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let failed = |source| Error::io("read", path, source);
    let mut content = Vec::new();
    let file = BufReader::new(File::open(path).map_err(failed)?);
    let most = limit.saturating_add(1);
    if path.extension().is_some_and(|extension| extension == "gz") {
        MultiGzDecoder::new(file).take(most).read_to_end(&mut content).map_err(failed)?;
    } else {
        file.take(most).read_to_end(&mut content).map_err(failed)?;
    }
    if content.len() as u64 > limit {
        let message = format!("{} holds more than {limit} bytes; split it by queries", path.display());
        return Err(Error::new(ErrorKind::ResourceExhausted, message));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    #[test]
    fn what_inflates_beyond_the_limit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (plain, packed) = (folder.path().join("run"), folder.path().join("run.gz"));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&vec![b'\n'; 100_000]).unwrap();
        std::fs::write(&packed, encoder.finish().unwrap()).unwrap();
        std::fs::write(&plain, vec![b'\n'; 100_000]).unwrap();
        assert!(packed.metadata().unwrap().len() < 1000);
        for path in [plain, packed] {
            assert_eq!(read(&path, 100_000).unwrap().len(), 100_000);
            let error = read(&path, 99_999).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
            assert!(error.to_string().contains("run"), "{error}");
        }
    }
}
