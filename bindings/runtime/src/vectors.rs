//! The stand-alone vector index as scripting languages ask for it: names for choices, rectangles for answers.

use std::path::Path;

use rag_core::ann::{KeyedIndex, KeyedOptions, Neighbours};
use rag_core::{Cancel, Error, ErrorKind, Result};

/// Most cells of an answer.
const MOST: usize = 1 << 30;

/// What stands in the place of an id where a row has fewer neighbours than were asked for; no vector may have it.
pub const NOTHING: u64 = u64::MAX;

/// What "near" means unless told.
pub const METRIC: &str = "cosine";

/// Candidates of a search in the graph unless told.
pub const EF: usize = 64;

/// An empty index. `metric` is `cosine`, `dot` or `l2`.
///
/// # Errors
/// `InvalidArgument` naming the argument; `Unsupported` for a `quantization`, which there is none of yet.
pub fn make(
    dimension: usize,
    metric: &str,
    m: usize,
    ef_construction: usize,
    quantization: Option<&str>,
    threads: usize,
) -> Result<KeyedIndex> {
    if let Some(name) = quantization {
        let message = format!("`quantization` {name:?} is not there yet; leave it out");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let options = KeyedOptions::new(dimension).with_metric(metric.parse()?);
    KeyedIndex::new(options.with_graph(m, ef_construction).with_threads(threads))
}

/// Adds vectors, row-major; an id that has one gets the new one.
///
/// # Errors
/// `InvalidArgument` for the id [`NOTHING`], and as [`KeyedIndex::add`].
pub fn add(index: &KeyedIndex, ids: &[u64], vectors: &[f32]) -> Result<()> {
    if ids.contains(&NOTHING) {
        return Err(Error::invalid("`ids` has 2⁶⁴ − 1, which stands for no neighbour"));
    }
    index.add(ids, vectors)
}

/// Reads what [`KeyedIndex::save`] wrote.
///
/// # Errors
/// `Unsupported` for `mmap`, which is not there yet, and as [`KeyedIndex::load`].
pub fn load(path: &Path, mmap: bool, threads: usize, cancel: &Cancel) -> Result<KeyedIndex> {
    if mmap {
        let message = "`mmap` is not there yet; leave it out to read the file";
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    KeyedIndex::load(path, threads, cancel)
}

/// Answers as two row-major arrays of `answers × k`; where a row is short, [`NOTHING`] and −∞.
///
/// # Errors
/// `ResourceExhausted` where they do not fit into memory.
pub fn rectangle(answers: Vec<Neighbours>, k: usize) -> Result<(Vec<u64>, Vec<f32>)> {
    let (mut ids, mut scores) = (Vec::new(), Vec::new());
    let room = answers
        .len()
        .checked_mul(k)
        .filter(|&size| ids.try_reserve_exact(size).is_ok() && scores.try_reserve_exact(size).is_ok() && size <= MOST);
    if room.is_none() {
        let message = format!("`k` is {k} for {} questions; ask fewer at once, or for fewer neighbours", answers.len());
        return Err(Error::new(ErrorKind::ResourceExhausted, message));
    }
    for (row, answer) in (1..).zip(answers) {
        for (id, score) in answer {
            ids.push(id);
            scores.push(score);
        }
        ids.resize(row * k, NOTHING);
        scores.resize(row * k, f32::NEG_INFINITY);
    }
    Ok((ids, scores))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn short_rows_are_filled_up() {
        let (ids, scores) = rectangle(vec![vec![(7, 0.5)], vec![], vec![(1, 0.25), (2, 0.125)]], 2).unwrap();
        assert_eq!(ids, [7, NOTHING, NOTHING, NOTHING, 1, 2]);
        assert_eq!(rectangle(vec![vec![], vec![]], usize::MAX).unwrap_err().kind(), ErrorKind::ResourceExhausted);
        assert_eq!(rectangle(vec![vec![], vec![]], MOST).unwrap_err().kind(), ErrorKind::ResourceExhausted);
        assert_eq!(scores, [0.5, f32::NEG_INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY, 0.25, 0.125]);
    }
}
