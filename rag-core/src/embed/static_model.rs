//! Static embeddings: a vector for each piece of a word, a text is their sum. Distilled from a transformer, it embeds
//! tens of thousands of texts a second without one.
//!
//! Payload of a model file (`format` describes its header): dimension, rows, length of the description, length of the
//! vocabulary (u32 each); the description (JSON); the pieces, one a line; a scale (f32) for each row; int8 rows.

use std::fmt::Write as _;

use rag_governance::{ModelIdentity, Pooling, Prompts, Quantization};
use rayon::prelude::*;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::wordpiece::WordPiece;
use super::{Embedder, Embeddings, TextKind, normalize};
use crate::error::{Error, Result};
use crate::format::{FileKind, payload};
use crate::types::Cancel;

static BUNDLED: &[u8] = include_bytes!("../../models/minilm-256.ragm");
/// Texts between two looks at the clock, and the unit of work of a thread.
const CHECK_EVERY: usize = 64;
/// Far above any scale in use, and so small that the sum over the longest text stays finite.
const MAX_SCALE: f32 = 1e20;

/// A static model. The bundled one is distilled from all-MiniLM-L6-v2 (Apache-2.0) to 256 dimensions.
pub struct StaticModel {
    identity: ModelIdentity,
    dense_weight: f32,
    wordpiece: WordPiece,
    scales: Vec<f32>,
    codes: Vec<i8>,
}

impl std::fmt::Debug for StaticModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StaticModel").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// What a model file says of itself.
#[derive(Deserialize)]
#[cfg_attr(feature = "distill", derive(serde::Serialize))]
pub(super) struct Description {
    pub(super) name: String,
    pub(super) dense_weight: f32,
    /// The model that it was made of.
    #[cfg(feature = "distill")]
    #[serde(default)]
    pub(super) source: String,
    #[cfg(feature = "distill")]
    #[serde(default)]
    pub(super) licence: String,
}

/// A model on its way into a file.
#[cfg(feature = "distill")]
pub(super) struct Table {
    description: Description,
    dimension: usize,
    pieces: Vec<String>,
    scales: Vec<f32>,
    codes: Vec<i8>,
}

#[cfg(feature = "distill")]
impl Table {
    /// Rows of `dimension` values, one for each piece, as int8 with a scale for each row.
    pub(super) fn quantise(description: Description, pieces: &[String], rows: &[f32], dimension: usize) -> Table {
        let (mut scales, mut codes) = (Vec::with_capacity(pieces.len()), Vec::with_capacity(rows.len()));
        for row in rows.chunks_exact(dimension) {
            let scale = row.iter().fold(0f32, |most, value| most.max(value.abs())) / 127.0;
            scales.push(scale);
            codes.extend(row.iter().map(|value| if scale > 0.0 { (value / scale).round() as i8 } else { 0 }));
        }
        Table { description, dimension, pieces: pieces.to_vec(), scales, codes }
    }

    /// The payload of the model file.
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let description = serde_json::to_vec(&self.description)
            .map_err(|error| Error::internal("the description cannot be encoded").with_source(error))?;
        let vocabulary = self.pieces.join("\n");
        let mut out = Vec::with_capacity(self.codes.len() + vocabulary.len() + self.scales.len() * 4 + 256);
        for number in [self.dimension, self.pieces.len(), description.len(), vocabulary.len()] {
            out.extend_from_slice(&(number as u32).to_le_bytes());
        }
        out.extend_from_slice(&description);
        out.extend_from_slice(vocabulary.as_bytes());
        self.scales.iter().for_each(|scale| out.extend_from_slice(&scale.to_le_bytes()));
        out.extend(self.codes.iter().map(|&code| code as u8));
        Ok(out)
    }
}

impl StaticModel {
    /// The model that is part of the library.
    ///
    /// # Errors
    /// `Corruption` when the library itself is damaged.
    pub fn bundled() -> Result<StaticModel> {
        StaticModel::from_bytes(BUNDLED)
    }

    /// Reads a model file.
    ///
    /// # Errors
    /// `Corruption`, saying what is wrong; `Unsupported` for a newer format.
    pub fn from_bytes(file: &[u8]) -> Result<StaticModel> {
        let mut model = StaticModel::decode(payload(file, FileKind::Model, true)?)?;
        for byte in Sha256::digest(file) {
            let _ = write!(model.identity.source_hash, "{byte:02x}"); // writing to a string does not fail
        }
        Ok(model)
    }

    /// Whether a file with this payload could be read back.
    #[cfg(feature = "distill")]
    pub(super) fn check(payload: &[u8]) -> Result<()> {
        StaticModel::decode(payload).map(|_| ())
    }

    /// The model in the payload of its file, without the hash of the file.
    fn decode(body: &[u8]) -> Result<StaticModel> {
        let wrong = |what: &str| Error::corruption(format!("the model file {what}"));
        let (head, mut rest) = body.split_first_chunk::<16>().ok_or_else(|| wrong("ends early"))?;
        let number = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| head[at + i])) as usize;
        let (dimension, rows, description, vocabulary) = (number(0), number(4), number(8), number(12));
        let size = [rows.checked_mul(dimension), rows.checked_mul(4), Some(description), Some(vocabulary)];
        let size = size.into_iter().try_fold(0usize, |sum, part| sum.checked_add(part?));
        if dimension == 0 || size != Some(rest.len()) {
            return Err(wrong("has another size than its parts"));
        }
        let mut take = |length: usize| {
            let (part, after) = rest.split_at(length); // the sizes add up, as checked above
            rest = after;
            part
        };
        let description: Description = serde_json::from_slice(take(description))
            .map_err(|error| wrong("has a description that is not understood").with_source(error))?;
        let vocabulary =
            std::str::from_utf8(take(vocabulary)).map_err(|_| wrong("has a vocabulary that is not text"))?;
        if vocabulary.split('\n').count() != rows {
            return Err(wrong("has another number of pieces than of rows"));
        }
        let scales: Vec<f32> = take(rows * 4).as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
        if !scales.iter().all(|scale| scale.abs() <= MAX_SCALE) || !(0.0..=1.0).contains(&description.dense_weight) {
            return Err(wrong("has a number out of range"));
        }
        Ok(StaticModel {
            identity: ModelIdentity {
                name: description.name,
                quantization: Quantization::Int8,
                source_hash: String::new(),
                dimension,
                pooling: Pooling::Mean,
                prompts: Prompts::default(),
            },
            dense_weight: description.dense_weight,
            wordpiece: WordPiece::new(vocabulary.split('\n')),
            scales,
            codes: rest.iter().map(|&byte| byte as i8).collect(),
        })
    }

    #[cfg(test)]
    pub(super) fn wordpiece(&self) -> &WordPiece {
        &self.wordpiece
    }

    fn embed_one(&self, text: &str, out: &mut [f32]) {
        self.wordpiece.tokens(text, |row, _| {
            let Some(row) = row.map(|row| row as usize) else { return };
            let dimension = out.len();
            let codes = self.codes.get(row * dimension..(row + 1) * dimension).unwrap_or_default();
            let scale = self.scales.get(row).copied().unwrap_or(0.0);
            for (sum, &code) in out.iter_mut().zip(codes) {
                *sum += scale * f32::from(code);
            }
        });
        normalize(out);
    }
}

impl Embedder for StaticModel {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    fn max_tokens(&self) -> Option<usize> {
        None
    }

    fn token_starts(&self, text: &str) -> Result<Vec<u32>> {
        let mut starts = Vec::with_capacity(text.len() / 4);
        self.wordpiece.tokens(text, |_, at| starts.push(at as u32));
        Ok(starts)
    }

    fn embed(&self, texts: &[&str], _: TextKind, cancel: &Cancel) -> Result<Embeddings> {
        let dimension = self.identity.dimension;
        let mut vectors = vec![0.0; texts.len() * dimension];
        let embed = |(texts, rows): (&[&str], &mut [f32])| {
            cancel.check()?;
            texts.iter().zip(rows.chunks_exact_mut(dimension)).for_each(|(text, row)| self.embed_one(text, row));
            Ok::<(), Error>(())
        };
        // The threads are the caller's: outside of a pool there is only this one.
        if rayon::current_thread_index().is_some() && texts.len() > CHECK_EVERY {
            let parts = texts.par_chunks(CHECK_EVERY).zip(vectors.par_chunks_mut(CHECK_EVERY * dimension));
            parts.try_for_each(embed)?;
        } else {
            let mut parts = texts.chunks(CHECK_EVERY).zip(vectors.chunks_mut(CHECK_EVERY * dimension));
            parts.try_for_each(embed)?;
        }
        Ok(Embeddings { dimension, vectors, truncated: vec![false; texts.len()] })
    }

    fn dense_weight(&self) -> f32 {
        self.dense_weight
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_bundled_model_knows_what_is_alike() {
        let model = StaticModel::bundled().unwrap();
        let texts =
            ["a car drives on the road", "the automobile moves along the street", "boil the soup slowly", "", "☃"];
        let embedded = model.embed(&texts, TextKind::Passage, &Cancel::never()).unwrap();
        let dot = |a: usize, b: usize| -> f32 {
            embedded.get(a).unwrap().iter().zip(embedded.get(b).unwrap()).map(|(x, y)| x * y).sum()
        };
        assert!((dot(0, 0) - 1.0).abs() < 1e-5);
        assert!(dot(0, 1) > dot(0, 2) + 0.2, "{} {}", dot(0, 1), dot(0, 2));
        assert_eq!(dot(3, 3), 0.0);
        let alone = model.embed(&texts[1..2], TextKind::Passage, &Cancel::never()).unwrap();
        assert_eq!(alone.get(0), embedded.get(1), "alone as in a batch");
        assert!(BUNDLED.len() < 8_000_000);
    }

    #[test]
    fn damaged_files_are_refused() {
        for cut in [0, 10, 63, 64, 70, 1000, BUNDLED.len() - 1] {
            assert!(StaticModel::from_bytes(&BUNDLED[..cut]).is_err(), "{cut}");
        }
        let mut flipped = BUNDLED.to_vec();
        flipped[5_000_000] ^= 1;
        assert!(StaticModel::from_bytes(&flipped).is_err());
    }
}
