//! The project's own files and records. Bytes are read as they are, and behind a header or checksum that is right, so
//! that what lies behind the checks is reached too.

use std::ops::Range;
use std::sync::Arc;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::Bytes;
use crate::ann::{FlatIndex, FlatSegment, KeyedIndex, KeyedQuery, VectorIndexMut as _, VectorQuery};
use crate::embed::{Embedder as _, StaticModel, TextKind, check_embeddings};
use crate::error::{Error, ErrorKind, Result};
use crate::format::manifest::Manifest;
use crate::format::{FileKind, codec, header};
use crate::store::Record;
use crate::types::Cancel;

/// The file that the input stands for: itself, or the payload of a whole one.
fn file(data: &[u8], kind: FileKind) -> Vec<u8> {
    let mut input = Bytes(data);
    let whole = input.byte() & 1 == 0;
    let body = input.rest();
    let header = if whole { header(kind, body.len() as u64, xxh3_64(body)).to_vec() } else { Vec::new() };
    [header.as_slice(), body].concat()
}

/// The value, if there is one; an error must be of a kind that damage leads to.
fn damaged<T>(outcome: Result<T>) -> Option<T> {
    let typed = |error: &Error| matches!(error.kind(), ErrorKind::Corruption | ErrorKind::Unsupported);
    outcome.inspect_err(|error| assert!(typed(error), "{:?}: {error}", error.kind())).ok()
}

/// A model file is refused, or gives embeddings that are finite and of length 1 or 0.
pub fn model_file(data: &[u8]) {
    let Some(model) = damaged(StaticModel::from_bytes(&file(data, FileKind::Model))) else { return };
    let texts = ["the quick brown fox", "über, 中文", "", "a"];
    let embedded = model.embed(&texts, TextKind::Passage, &Cancel::never()).unwrap();
    check_embeddings(&embedded, model.identity(), texts.len()).unwrap();
    for vector in (0..texts.len()).filter_map(|i| embedded.get(i)) {
        let length = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        assert!(length == 0.0 || (length - 1.0).abs() < 1e-3, "{length}");
    }
    assert!((0.0..=1.0).contains(&model.dense_weight()));
}

/// A MANIFEST is refused, or survives being written again.
pub fn manifest(data: &[u8]) {
    let Some(manifest) = damaged(Manifest::parse(&file(data, FileKind::Manifest))) else { return };
    let body = serde_json::to_vec(&manifest).unwrap();
    let file = [header(FileKind::Manifest, body.len() as u64, xxh3_64(&body)).as_slice(), &body].concat();
    assert_eq!(Manifest::parse(&file).unwrap(), manifest);
    assert!(manifest.segments.iter().all(|entry| !entry.name.contains(['/', '\\'])), "a file elsewhere");
}

/// A part of some bytes, so that a payload may begin at any address.
struct Part(Vec<u8>, Range<usize>);

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.0[self.1.clone()]
    }
}

/// A vector segment is refused, or is searched and written again; whether its bytes are aligned makes no difference.
pub fn segment(data: &[u8]) {
    let read = |shift: usize| {
        let bytes = [&vec![0; shift], data].concat();
        FlatSegment::from_payload(Arc::new(Part(bytes, shift..shift + data.len())))
    };
    let (first, second) = (damaged(read(0)), damaged(read(1)));
    assert_eq!(first.is_some(), second.is_some());
    let written = [first, second].map(|segment| {
        let segment = segment?;
        let mut payload = Vec::new();
        segment.write_payload(&mut payload).unwrap();
        assert_eq!(payload.len() as u64, segment.payload_len());
        assert_eq!(segment.is_empty(), segment.documents().is_empty());
        search(segment);
        Some(payload)
    });
    assert_eq!(written[0], written[1]);
}

fn search(segment: FlatSegment) {
    let (rows, dimension) = (segment.len(), segment.dimension());
    let mut index = FlatIndex::open(dimension, vec![("segment".to_owned(), segment)]).unwrap();
    let query = vec![1.0; dimension];
    let view = index.publish().unwrap();
    let allow = view.documents().iter().take(2).collect();
    for allow in [None, Some(&allow)] {
        let query = VectorQuery { vector: &query, k: 3, ef: None, allow, cancel: &Cancel::never() };
        assert!(view.search(&query).unwrap().hits.len() <= rows);
    }
    if let Some(merged) = index.merged(true) {
        assert!(merged.segment().len() <= rows);
    }
}

/// A file of vectors is refused, or is an index that finds each of its vectors.
pub fn vectors(data: &[u8]) {
    let Some(index) = damaged(KeyedIndex::from_payload(data)) else { return };
    let (dimension, never) = (index.options().dimension, Cancel::never());
    let query = KeyedQuery { k: 3, ef: 8, allow: None, threads: 1, cancel: &never };
    let found = index.search(&vec![1.0; dimension], &query).unwrap();
    assert_eq!(found.len(), index.len().min(3));
    assert!(found.iter().all(|(id, _)| index.contains(*id)));
}

/// A record is refused, or survives being written again.
pub fn record(data: &[u8]) {
    let mut input = Bytes(data);
    let (sealed, key) = (input.byte(), u64::from(input.byte()));
    let body = input.rest();
    let seal = |codec: u8| [&[codec], xxh3_64_with_seed(body, key).to_le_bytes().as_slice(), body].concat();
    let (bytes, floats) = if sealed & 1 == 0 { (seal(1), seal(0)) } else { (body.to_vec(), body.to_vec()) };
    if let Some(record) = damaged(codec::decode::<Record>(key, &bytes)) {
        let again: Record = codec::decode(key, &codec::encode(key, &record).unwrap()).unwrap();
        // Numbers that are none differ from themselves, but not in how they are shown.
        assert_eq!(format!("{again:?}"), format!("{record:?}"));
        assert!(record.chunk_texts().all(|chunk| record.text.contains(chunk)));
    }
    damaged(codec::decode::<rag_governance::ModelIdentity>(key, &bytes));
    if let Some(values) = damaged(codec::decode_floats(key, &floats)) {
        assert_eq!(codec::encode_floats(key, &values), floats);
    }
}
