//! Text to vectors: the [`Embedder`] trait and the models behind it.

#[cfg(feature = "candle")]
mod candle;
mod device;
#[cfg(feature = "distill")]
mod distill;
mod load;
mod static_model;
mod wordpiece;

use std::fmt;

use rag_governance::ModelIdentity;

use crate::error::{Error, Result};
use crate::types::Cancel;

#[cfg(feature = "candle")]
pub use candle::TransformerModel;
pub use device::Device;
#[cfg(feature = "distill")]
pub use distill::{DistillOptions, distill};
pub use load::{ModelOptions, load, load_or_bundled};
pub use static_model::StaticModel;

/// Which side of retrieval a text is on: some models prefix the two differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextKind {
    /// What a user asks.
    Query,
    /// What is searched.
    Passage,
}

impl std::str::FromStr for TextKind {
    type Err = Error;

    /// `query`, `document` or `passage`.
    fn from_str(name: &str) -> Result<Self> {
        match name {
            "query" => Ok(TextKind::Query),
            "document" | "passage" => Ok(TextKind::Passage),
            other => Err(Error::invalid(format!("`kind` is {other:?}; give \"document\" or \"query\""))),
        }
    }
}

/// Vectors of a batch of texts, in the order of the texts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Embeddings {
    /// Length of each vector.
    pub dimension: usize,
    /// Row-major, `texts × dimension`, every row finite and of length 1 (or all zeros for a text without a known token).
    pub vectors: Vec<f32>,
    /// For each text, whether tokens past the model's limit were left out.
    pub truncated: Vec<bool>,
}

impl Embeddings {
    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.truncated.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.truncated.is_empty()
    }

    /// Vector `i`; `None` past the end.
    pub fn get(&self, i: usize) -> Option<&[f32]> {
        self.vectors.get(i * self.dimension..(i + 1) * self.dimension)
    }
}

/// An embedding model. Implementations are deterministic: the same text gives the same vector, alone or in a batch (to
/// the rounding of its last bits where the model computes in floats).
pub trait Embedder: Send + Sync + fmt::Debug {
    /// Which model this is; vectors of different identities are never mixed.
    fn identity(&self) -> &ModelIdentity;

    /// Length of a vector.
    fn dimension(&self) -> usize {
        self.identity().dimension
    }

    /// Most tokens of a passage that reach the model, special tokens and prompt not counted; `None`: no limit.
    fn max_tokens(&self) -> Option<usize>;

    /// Byte offset in `text` at which each of its tokens starts, ascending, special tokens not counted.
    /// The chunker measures with it.
    ///
    /// # Errors
    /// Whatever the tokeniser reports.
    fn token_starts(&self, text: &str) -> Result<Vec<u32>>;

    /// Embeds a batch. An empty batch gives no vectors.
    ///
    /// # Errors
    /// `Cancelled` or `DeadlineExceeded` by `cancel`, else what the model reports.
    fn embed(&self, texts: &[&str], kind: TextKind, cancel: &Cancel) -> Result<Embeddings>;

    /// As [`Embedder::embed`], with about `batch_tokens` tokens going through the model at once where it computes in
    /// batches; `None`: what suits the model. The vectors are the same but for the rounding of their last bits.
    ///
    /// # Errors
    /// As [`Embedder::embed`]; `InvalidArgument` for 0.
    fn embed_batched(
        &self,
        texts: &[&str],
        kind: TextKind,
        batch_tokens: Option<usize>,
        cancel: &Cancel,
    ) -> Result<Embeddings> {
        check_batch_tokens(batch_tokens)?;
        self.embed(texts, kind, cancel)
    }

    /// Weight of the dense run in the default fusion with this model, in `[0, 1]`; the lexical run has the rest.
    fn dense_weight(&self) -> f32 {
        0.5
    }
}

/// Checks what an embedder returned before it is stored: shape and finiteness.
///
/// # Errors
/// `Internal`, naming the model and what is wrong with its answer.
pub fn check_embeddings(embeddings: &Embeddings, identity: &ModelIdentity, texts: usize) -> Result<()> {
    let fail = |what: String| Err(Error::internal(format!("model `{}` {what}", identity.name)));
    if embeddings.dimension != identity.dimension {
        return fail(format!("gave vectors of {} dimensions, not {}", embeddings.dimension, identity.dimension));
    }
    if embeddings.len() != texts || embeddings.vectors.len() != texts * embeddings.dimension {
        return fail(format!("gave {} vectors for {texts} texts", embeddings.len()));
    }
    if let Some(at) = embeddings.vectors.iter().position(|x| !x.is_finite()) {
        return fail(format!("gave a value that is not finite for text {}", at / embeddings.dimension.max(1)));
    }
    Ok(())
}

fn check_batch_tokens(batch_tokens: Option<usize>) -> Result<()> {
    if batch_tokens == Some(0) {
        return Err(Error::invalid("`batch_tokens` is 0; give at least 1"));
    }
    Ok(())
}

/// The mean direction of the vectors of a document, row-major; empty where it has none.
#[cfg(feature = "engine")]
pub(crate) fn mean_vector(vectors: &[f32], dimension: usize) -> Vec<f32> {
    if vectors.is_empty() || dimension == 0 {
        return Vec::new();
    }
    let mut mean = vec![0.0f32; dimension];
    for vector in vectors.chunks_exact(dimension) {
        mean.iter_mut().zip(vector).for_each(|(mean, value)| *mean += value);
    }
    normalize(&mut mean);
    mean
}

/// Scales a vector to length 1; zeros stay zeros.
pub(crate) fn normalize(vector: &mut [f32]) {
    let length = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    if length > 0.0 {
        for x in vector {
            *x = (f64::from(*x) / length) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn vectors_get_length_1_and_zeros_stay() {
        let (mut vector, mut zeros) = ([3.0, 4.0], [0.0, 0.0]);
        super::normalize(&mut vector);
        super::normalize(&mut zeros);
        assert_eq!((vector, zeros), ([0.6, 0.8], [0.0, 0.0]));
    }
}
