//! The file of a [`KeyedIndex`](super::KeyedIndex).
//!
//! ```text
//! payload, little-endian
//!   0  u32 layout version (1)   4  u32 dimension   8  u32 m   12  u32 candidates while building
//!  16  u8 metric: 0 cosine, 1 dot, 2 l2   17  u8 whether a graph was built, 0 unless cosine   18  6 zero bytes   24  u64 rows r
//!  32  ids: r · u64
//!      vectors as the index holds them: r · (dimension, one more for l2) · f32
//! ```

use std::path::Path;

use super::{KeyedOptions, Metric, View};
use crate::ann::MAX_DIMENSION;
use crate::ann::segment::write_values;
use crate::error::{Error, Result};
use crate::format::FileKind;
use crate::format::disk::Disk;
use crate::format::mmap::Mapped;

const LAYOUT_VERSION: u32 = 1;
const FRONT: usize = 32;
const METRICS: [Metric; 3] = [Metric::Cosine, Metric::Dot, Metric::L2];

/// What a file holds.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) options: KeyedOptions,
    pub(super) is_built: bool,
    pub(super) ids: Vec<u64>,
    pub(super) rows: Vec<f32>,
}

pub(super) fn save(path: &Path, options: &KeyedOptions, view: &View, is_built: bool) -> Result<()> {
    let documents = view.index.documents();
    Disk::default().write_atomic(path, FileKind::Vectors, |out| {
        let metric = METRICS.iter().position(|&metric| metric == options.metric).unwrap_or_default();
        for word in [LAYOUT_VERSION, options.dimension as u32, options.m as u32, options.ef_construction as u32] {
            out.write_all(&word.to_le_bytes())?;
        }
        out.write_all(&[metric as u8, u8::from(is_built), 0, 0, 0, 0, 0, 0])?;
        out.write_all(&documents.len().to_le_bytes())?;
        for doc in documents.iter() {
            out.write_all(&view.keys.get(doc as usize).copied().unwrap_or_default().to_le_bytes())?;
        }
        documents.iter().try_for_each(|doc| write_values(out, view.index.vectors_of(doc), |value| value.to_le_bytes()))
    })?;
    Ok(())
}

pub(super) fn load(path: &Path) -> Result<Saved> {
    let mapped = Mapped::open(path, FileKind::Vectors, true)?;
    parse(mapped.as_ref()).map_err(|error| error.with("file", path.display().to_string()))
}

/// Reads a payload.
///
/// # Errors
/// `Corruption` for what was never written.
pub(super) fn parse(payload: &[u8]) -> Result<Saved> {
    let corrupt = |what: &str| Error::corruption(format!("file of vectors: {what}"));
    let (front, body) = payload.split_first_chunk::<FRONT>().ok_or_else(|| corrupt("it is shorter than its front"))?;
    let word = |at: usize| u32::from_le_bytes([front[at], front[at + 1], front[at + 2], front[at + 3]]);
    let rows = u64::from_le_bytes(std::array::from_fn(|i| front[24 + i]));
    if word(0) != LAYOUT_VERSION || front[18..24] != [0; 6] || front[17] > u8::from(front[16] == 0) {
        return Err(corrupt("its front is of no layout that this build knows"));
    }
    let metric = *METRICS.get(usize::from(front[16])).ok_or_else(|| corrupt("its metric is unknown"))?;
    let dimension = word(4) as usize;
    if !(1..MAX_DIMENSION).contains(&dimension) {
        return Err(corrupt("its dimension is out of range"));
    }
    let options = KeyedOptions::new(dimension).with_metric(metric).with_graph(word(8) as usize, word(12) as usize);
    let length = |rows: usize| rows.checked_mul(8 + 4 * options.width());
    let rows = usize::try_from(rows).ok().filter(|&rows| length(rows) == Some(body.len()));
    let rows = rows.ok_or_else(|| corrupt("its length does not fit its number of rows"))?;
    let (ids, vectors) = body.split_at(8 * rows);
    let ids = ids.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
    let rows: Vec<f32> = vectors.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    if rows.iter().any(|value| !value.is_finite()) {
        return Err(corrupt("it has a value that is not finite"));
    }
    Ok(Saved { options, is_built: front[17] == 1, ids, rows })
}
