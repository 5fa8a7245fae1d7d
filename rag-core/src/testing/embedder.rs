//! A transparent embedder: hashed words, so that texts with common words are close.

use std::sync::atomic::{AtomicUsize, Ordering};

use rag_governance::{ModelIdentity, Pooling, Prompts, Quantization};

use crate::embed::{Embedder, Embeddings, TextKind};
use crate::error::Result;
use crate::types::Cancel;

/// Embeds a text as the sum of its words, each one signed dimension; costs next to nothing.
///
/// ```
/// use rag_core::{Document, Engine, Scope, testing::WordEmbedder};
/// let folder = tempfile::tempdir()?;
/// let engine = Engine::builder().embedder(std::sync::Arc::new(WordEmbedder::new(64))).open(folder.path())?;
/// engine.upsert(&Scope::default(), vec![Document::new("a", "alpine passes")])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct WordEmbedder {
    identity: ModelIdentity,
    embedded: AtomicUsize,
}

impl WordEmbedder {
    /// Vectors with `dimension` values; the more of them, the fewer words fall on one.
    pub fn new(dimension: usize) -> Self {
        let identity = ModelIdentity {
            name: "words".into(),
            quantization: Quantization::F32,
            source_hash: "0".repeat(64),
            dimension,
            pooling: Pooling::Mean,
            prompts: Prompts::default(),
        };
        WordEmbedder { identity, embedded: AtomicUsize::new(0) }
    }

    /// Number of passages embedded so far.
    pub fn embedded(&self) -> usize {
        self.embedded.load(Ordering::SeqCst)
    }
}

impl Embedder for WordEmbedder {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }
    fn max_tokens(&self) -> Option<usize> {
        None
    }
    fn token_starts(&self, text: &str) -> Result<Vec<u32>> {
        let mut starts = Vec::new();
        let mut inside = false;
        for (at, character) in text.char_indices() {
            if !character.is_whitespace() && !inside {
                starts.push(at as u32);
            }
            inside = !character.is_whitespace();
        }
        Ok(starts)
    }
    fn embed(&self, texts: &[&str], kind: TextKind, cancel: &Cancel) -> Result<Embeddings> {
        cancel.check()?;
        if kind == TextKind::Passage {
            self.embedded.fetch_add(texts.len(), Ordering::SeqCst);
        }
        let dimension = self.identity.dimension;
        let mut out = Embeddings { dimension, vectors: Vec::new(), truncated: vec![false; texts.len()] };
        for text in texts {
            let mut row = vec![0f32; dimension];
            for word in text.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
                let hash = xxhash_rust::xxh3::xxh3_64(word.as_bytes());
                row[(hash % dimension as u64) as usize] += if hash >> 63 == 0 { 1.0 } else { -1.0 };
            }
            let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            out.vectors.extend(row.iter().map(|x| if norm > 0.0 { x / norm } else { 0.0 }));
        }
        Ok(out)
    }
}
