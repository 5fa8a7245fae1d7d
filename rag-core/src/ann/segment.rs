//! Immutable blocks of vectors: in memory, or in a mapped file.
//!
//! ```text
//! payload, little-endian; every section begins at a multiple of 64 bytes, the gaps are zero
//!   0  u32 layout version (1)     4  u32 dimension n     8  u64 rows r     16  f32 longest     20  44 zero bytes
//!   keys      r · u64   packed chunk ids, strictly ascending
//!   scales    r · f32   ┐ see `quantise`
//!   errors    r · f32   ┘
//!   codes     r · n · i8
//!   vectors   r · n · f32
//! ```

use std::fmt;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use super::MAX_DIMENSION;
use super::quantise::quantise;
use crate::error::{Error, Result};
use crate::types::{ChunkId, DocNum, IdSet};

/// Read-only bytes of a segment, usually a mapped file; they must never change while they are held.
pub type SegmentBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Document numbers of an index are below this one, so that the key after a document's last one can be computed.
pub(super) const MAX_DOC: DocNum = (1 << 44) - 1;

const LAYOUT_VERSION: u32 = 1;
const HEADER: usize = 64;
const ALIGN: usize = 64;

/// A block of vectors with their keys, sorted by key; never changed once made.
pub struct FlatSegment {
    dimension: usize,
    documents: Arc<IdSet>,
    longest: f32,
    data: Data,
}

enum Data {
    Memory { keys: Vec<u64>, scales: Vec<f32>, errors: Vec<f32>, codes: Vec<i8>, vectors: Vec<f32> },
    Mapped { bytes: SegmentBytes, layout: Layout },
}

/// The sections of a segment; row `i` of each belongs to key `i`.
#[derive(Clone, Copy)]
pub(super) struct Columns<'a> {
    pub(super) keys: &'a [u64],
    pub(super) scales: &'a [f32],
    pub(super) errors: &'a [f32],
    pub(super) codes: &'a [i8],
    pub(super) vectors: &'a [f32],
}

impl FlatSegment {
    /// Quantises `rows`, which come in strictly ascending order of their ids and have `dimension` values each.
    pub(super) fn build<'a>(dimension: usize, rows: impl Iterator<Item = (ChunkId, &'a [f32])>) -> Self {
        let mut block = Builder::new(dimension);
        for (id, row) in rows {
            let start = block.codes.len();
            block.codes.resize(start + dimension, 0);
            let coded = quantise(row, &mut block.codes[start..]);
            block.push(id.to_u64(), coded.scale, coded.error, row);
            block.longest = block.longest.max(coded.length);
        }
        block.finish()
    }

    /// One segment with the rows of all `parts` whose documents are in the set beside them; no document may be in two.
    pub(super) fn merge(dimension: usize, parts: &[(&FlatSegment, &IdSet)]) -> Self {
        let mut block = Builder::new(dimension);
        let mut order: Vec<(u64, usize, usize)> = Vec::new();
        for (part, (segment, live)) in parts.iter().enumerate() {
            block.longest = block.longest.max(segment.longest);
            let keys = segment.columns().keys;
            for run in runs_of(keys, live) {
                order.extend(run.map(|row| (keys[row], part, row)));
            }
        }
        order.sort_unstable();
        block.reserve(order.len());
        for (key, part, row) in order {
            let columns = parts[part].0.columns();
            block.codes.extend_from_slice(&columns.codes[row * dimension..][..dimension]);
            block.push(key, columns.scales[row], columns.errors[row], &columns.vectors[row * dimension..][..dimension]);
        }
        block.finish()
    }

    /// Reads a payload that [`FlatSegment::write_payload`] wrote. It is used in place where it is aligned to 64 bytes,
    /// as in a mapped file, and copied otherwise.
    ///
    /// # Errors
    /// `Corruption` when lengths, order or numbers cannot be those of a segment. That the vectors themselves are
    /// the ones that were written is the business of the file's checksum.
    pub fn from_payload(bytes: SegmentBytes) -> Result<Self> {
        let payload = (*bytes).as_ref();
        let header = Header::parse(payload)?;
        let layout = Layout::new(header.dimension, header.rows)
            .filter(|layout| layout.vectors.end == payload.len())
            .ok_or_else(|| corrupt("its length does not fit its number of rows"))?;
        let in_place = layout.columns(payload).is_some();
        let dimension = layout.dimension;
        let data = if in_place { Data::Mapped { bytes, layout } } else { layout.copy(payload) };
        let mut segment = FlatSegment { dimension, documents: Arc::default(), longest: header.longest, data };
        let columns = segment.columns();
        if !columns.keys.is_sorted_by(|a, b| a < b) {
            return Err(corrupt("its keys do not ascend"));
        }
        if columns.keys.last().is_some_and(|&key| ChunkId::from_u64(key).doc() >= MAX_DOC) {
            return Err(corrupt("a document number is out of range"));
        }
        if [columns.scales, columns.errors].iter().any(|column| column.iter().any(|x| !x.is_finite() || *x < 0.0)) {
            return Err(corrupt("a scale or an error bound is negative or not finite"));
        }
        segment.documents = Arc::new(documents_of(columns.keys));
        Ok(segment)
    }

    /// Writes what [`FlatSegment::from_payload`] reads.
    ///
    /// # Errors
    /// What `out` reports.
    pub fn write_payload(&self, out: &mut dyn Write) -> io::Result<()> {
        let Columns { keys, scales, errors, codes, vectors } = self.columns();
        out.write_all(&LAYOUT_VERSION.to_le_bytes())?;
        out.write_all(&(self.dimension as u32).to_le_bytes())?;
        out.write_all(&(keys.len() as u64).to_le_bytes())?;
        out.write_all(&self.longest.to_le_bytes())?;
        out.write_all(&[0; HEADER - 20])?;
        write_section(out, keys, |key| key.to_le_bytes())?;
        write_section(out, scales, |scale| scale.to_le_bytes())?;
        write_section(out, errors, |error| error.to_le_bytes())?;
        write_section(out, codes, |code| code.to_le_bytes())?;
        // The last section: nothing follows that would need alignment.
        write_values(out, vectors, |value| value.to_le_bytes())
    }

    /// Number of bytes that [`FlatSegment::write_payload`] writes.
    pub fn payload_len(&self) -> u64 {
        Layout::new(self.dimension as u64, self.len() as u64).map_or(0, |layout| layout.vectors.end as u64)
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.columns().keys.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Length of each vector.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Whether the vectors lie in the bytes given to [`FlatSegment::from_payload`] and not in memory of their own.
    pub fn is_mapped(&self) -> bool {
        matches!(self.data, Data::Mapped { .. })
    }

    /// The documents with at least one vector here.
    pub fn documents(&self) -> &IdSet {
        &self.documents
    }

    pub(super) fn shared_documents(&self) -> Arc<IdSet> {
        Arc::clone(&self.documents)
    }

    /// An upper bound of the length of every row and of what its codes stand for.
    pub(super) fn longest(&self) -> f32 {
        self.longest
    }

    pub(super) fn columns(&self) -> Columns<'_> {
        match &self.data {
            Data::Memory { keys, scales, errors, codes, vectors } => Columns { keys, scales, errors, codes, vectors },
            Data::Mapped { bytes, layout } => layout.columns((**bytes).as_ref()).unwrap_or(Columns::EMPTY),
        }
    }

    /// The rows of one document.
    pub(super) fn rows_of(&self, doc: DocNum) -> Range<usize> {
        let keys = self.columns().keys;
        keys.partition_point(|&key| key < first_key(doc))..keys.partition_point(|&key| key < first_key(doc + 1))
    }
}

impl fmt::Debug for FlatSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlatSegment")
            .field("dimension", &self.dimension)
            .field("rows", &self.len())
            .field("mapped", &self.is_mapped())
            .finish_non_exhaustive()
    }
}

impl Columns<'_> {
    const EMPTY: Columns<'static> = Columns { keys: &[], scales: &[], errors: &[], codes: &[], vectors: &[] };
}

/// The packed id of the first chunk that `doc` could have.
fn first_key(doc: DocNum) -> u64 {
    ChunkId::new(doc, 0).to_u64()
}

/// The rows of the documents in `wanted`, as ascending ranges of ascending `keys`; neighbouring ranges are joined.
pub(super) fn runs_of(keys: &[u64], wanted: &IdSet) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    for doc in wanted.iter() {
        let start = at + gallop(&keys[at..], first_key(doc));
        at = start + gallop(&keys[start..], first_key(doc + 1));
        match runs.last_mut() {
            Some(last) if last.end == start => last.end = at,
            _ if start < at => runs.push(start..at),
            _ => {}
        }
    }
    runs
}

/// Number of leading `keys` below `bound`: a doubling search, quick when the answer is near the front.
fn gallop(keys: &[u64], bound: u64) -> usize {
    let mut reach = 1;
    while reach <= keys.len() && keys[reach - 1] < bound {
        reach *= 2;
    }
    let known = reach / 2;
    known + keys[known..keys.len().min(reach)].partition_point(|&key| key < bound)
}

fn documents_of(keys: &[u64]) -> IdSet {
    let mut last = None;
    keys.iter().map(|&key| ChunkId::from_u64(key).doc()).filter(|&doc| last.replace(doc) != Some(doc)).collect()
}

fn corrupt(what: &str) -> Error {
    Error::corruption(format!("not a vector segment: {what}"))
}

/// Columns in the making.
struct Builder {
    dimension: usize,
    longest: f32,
    keys: Vec<u64>,
    scales: Vec<f32>,
    errors: Vec<f32>,
    codes: Vec<i8>,
    vectors: Vec<f32>,
}

impl Builder {
    fn new(dimension: usize) -> Self {
        Builder {
            dimension,
            longest: 0.0,
            keys: Vec::new(),
            scales: Vec::new(),
            errors: Vec::new(),
            codes: Vec::new(),
            vectors: Vec::new(),
        }
    }

    fn reserve(&mut self, rows: usize) {
        self.keys.reserve_exact(rows);
        self.scales.reserve_exact(rows);
        self.errors.reserve_exact(rows);
        self.codes.reserve_exact(rows * self.dimension);
        self.vectors.reserve_exact(rows * self.dimension);
    }

    /// Adds all of a row but its codes, which the caller has added.
    fn push(&mut self, key: u64, scale: f32, error: f32, row: &[f32]) {
        self.keys.push(key);
        self.scales.push(scale);
        self.errors.push(error);
        self.vectors.extend_from_slice(row);
    }

    fn finish(self) -> FlatSegment {
        let Builder { dimension, longest, keys, scales, errors, codes, vectors } = self;
        let documents = Arc::new(documents_of(&keys));
        FlatSegment { dimension, documents, longest, data: Data::Memory { keys, scales, errors, codes, vectors } }
    }
}

struct Header {
    dimension: u64,
    rows: u64,
    longest: f32,
}

impl Header {
    fn parse(payload: &[u8]) -> Result<Self> {
        let bytes = payload.get(..HEADER).ok_or_else(|| corrupt("it is shorter than its header"))?;
        let (words, _) = bytes.as_chunks::<4>();
        let word = |at: usize| u32::from_le_bytes(words[at]);
        if word(0) != LAYOUT_VERSION {
            return Err(corrupt(&format!("its layout is {}, this build reads {LAYOUT_VERSION}", word(0))));
        }
        let header = Header {
            dimension: u64::from(word(1)),
            rows: u64::from(word(2)) | u64::from(word(3)) << 32,
            longest: f32::from_bits(word(4)),
        };
        if header.dimension == 0 || header.dimension > MAX_DIMENSION as u64 {
            return Err(corrupt(&format!("its dimension is {}", header.dimension)));
        }
        if !header.longest.is_finite() || header.longest < 0.0 {
            return Err(corrupt("its length bound is negative or not finite"));
        }
        Ok(header)
    }
}

/// Where the sections of a payload lie.
#[derive(Debug)]
struct Layout {
    dimension: usize,
    keys: Range<usize>,
    scales: Range<usize>,
    errors: Range<usize>,
    codes: Range<usize>,
    vectors: Range<usize>,
}

impl Layout {
    /// `None` when the payload would not fit the address space.
    fn new(dimension: u64, rows: u64) -> Option<Self> {
        let (dimension, rows) = (usize::try_from(dimension).ok()?, usize::try_from(rows).ok()?);
        let values = rows.checked_mul(dimension)?;
        let mut at = HEADER;
        let mut section = |count: usize, width: usize| {
            let start = at.checked_next_multiple_of(ALIGN)?;
            at = start.checked_add(count.checked_mul(width)?)?;
            Some(start..at)
        };
        Some(Layout {
            dimension,
            keys: section(rows, 8)?,
            scales: section(rows, 4)?,
            errors: section(rows, 4)?,
            codes: section(values, 1)?,
            vectors: section(values, 4)?,
        })
    }

    /// The sections in place; `None` when they are not aligned, too short, or the machine is big-endian.
    fn columns<'a>(&self, payload: &'a [u8]) -> Option<Columns<'a>> {
        if cfg!(target_endian = "big") {
            return None;
        }
        Some(Columns {
            keys: bytemuck::try_cast_slice(payload.get(self.keys.clone())?).ok()?,
            scales: bytemuck::try_cast_slice(payload.get(self.scales.clone())?).ok()?,
            errors: bytemuck::try_cast_slice(payload.get(self.errors.clone())?).ok()?,
            codes: bytemuck::try_cast_slice(payload.get(self.codes.clone())?).ok()?,
            vectors: bytemuck::try_cast_slice(payload.get(self.vectors.clone())?).ok()?,
        })
    }

    /// The sections in memory of their own. The caller has checked that they lie inside the payload.
    fn copy(&self, payload: &[u8]) -> Data {
        let floats = |range: &Range<usize>| {
            payload[range.clone()].as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
        };
        Data::Memory {
            keys: payload[self.keys.clone()].as_chunks::<8>().0.iter().map(|&x| u64::from_le_bytes(x)).collect(),
            scales: floats(&self.scales),
            errors: floats(&self.errors),
            codes: payload[self.codes.clone()].iter().map(|&byte| byte.cast_signed()).collect(),
            vectors: floats(&self.vectors),
        }
    }
}

/// A section and the zeros up to the next one.
fn write_section<T: bytemuck::Pod, const N: usize>(
    out: &mut dyn Write,
    values: &[T],
    encode: fn(&T) -> [u8; N],
) -> io::Result<()> {
    write_values(out, values, encode)?;
    let over = values.len() * N % ALIGN;
    if over == 0 { Ok(()) } else { out.write_all(&[0; ALIGN][over..]) }
}

pub(super) fn write_values<T: bytemuck::Pod, const N: usize>(
    out: &mut dyn Write,
    values: &[T],
    encode: fn(&T) -> [u8; N],
) -> io::Result<()> {
    if cfg!(target_endian = "little") {
        return out.write_all(bytemuck::cast_slice(values));
    }
    values.iter().try_for_each(|value| out.write_all(&encode(value)))
}

#[cfg(test)]
mod tests;
