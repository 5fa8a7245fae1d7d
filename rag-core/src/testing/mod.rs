//! Tools for tests of this crate and of what is built on it.

mod embedder;

pub use embedder::WordEmbedder;

#[cfg(feature = "engine")]
pub mod fuzz;

#[cfg(feature = "engine")]
pub use crate::format::disk::FaultPlan;
use crate::format::{FileKind, header};

/// The version of the format that this build writes.
pub const FORMAT_VERSION: u16 = crate::format::VERSION;

/// A static model file; `scales` has a number for each line of `vocabulary`, `codes` a row.
pub fn model_file(dimension: u32, description: &[u8], vocabulary: &str, scales: &[f32], codes: &[i8]) -> Vec<u8> {
    let mut body = Vec::new();
    for length in [dimension, scales.len() as u32, description.len() as u32, vocabulary.len() as u32] {
        body.extend(length.to_le_bytes());
    }
    body.extend(description);
    body.extend(vocabulary.as_bytes());
    body.extend(scales.iter().flat_map(|scale| scale.to_le_bytes()));
    body.extend(codes.iter().map(|code| code.cast_unsigned()));
    let header = header(FileKind::Model, body.len() as u64, xxhash_rust::xxh3::xxh3_64(&body));
    [header.as_slice(), &body].concat()
}
