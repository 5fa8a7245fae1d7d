//! The identity of an embedding model: everything that changes the vectors it gives.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How token vectors become one vector of a text.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Mean over all tokens.
    Mean,
    /// The vector of the first token.
    Cls,
    /// The vector of the last token.
    LastToken,
}

/// Number format of the weights.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantization {
    /// 32-bit floats.
    F32,
    /// 8-bit integers with scales.
    Int8,
}

/// Texts put before what is embedded; empty for most models.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompts {
    /// Before a query.
    #[serde(default)]
    pub query: String,
    /// Before a passage.
    #[serde(default)]
    pub passage: String,
}

/// Which model made a vector. Two vectors may be compared only if their identities are equal but for the name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// Name for people.
    pub name: String,
    /// Number format of the weights.
    pub quantization: Quantization,
    /// SHA-256 of the weights and the tokeniser, lower-case hexadecimal.
    pub source_hash: String,
    /// Length of a vector.
    pub dimension: usize,
    /// How token vectors become one.
    pub pooling: Pooling,
    /// Texts put before what is embedded.
    pub prompts: Prompts,
}

impl ModelIdentity {
    /// Whether both give the same vectors: all is equal but the name, which a moved folder changes.
    ///
    /// ```
    /// # use rag_governance::*;
    /// let one = ModelIdentity { name: "a".into(), quantization: Quantization::F32, source_hash: "00".into(),
    ///     dimension: 384, pooling: Pooling::Mean, prompts: Prompts::default() };
    /// assert!(one.gives_vectors_of(&ModelIdentity { name: "b".into(), ..one.clone() }));
    /// assert!(!one.gives_vectors_of(&ModelIdentity { source_hash: "01".into(), ..one.clone() }));
    /// ```
    pub fn gives_vectors_of(&self, other: &ModelIdentity) -> bool {
        *self == ModelIdentity { name: self.name.clone(), ..other.clone() }
    }

    /// The fields in which two identities differ, as `field: this ≠ other`; empty when they are equal.
    ///
    /// ```
    /// # use rag_governance::*;
    /// let one = ModelIdentity { name: "a".into(), quantization: Quantization::F32, source_hash: "00".into(),
    ///     dimension: 384, pooling: Pooling::Mean, prompts: Prompts::default() };
    /// let other = ModelIdentity { dimension: 256, ..one.clone() };
    /// assert_eq!(one.differences(&other), ["dimension: 384 ≠ 256"]);
    /// ```
    pub fn differences(&self, other: &ModelIdentity) -> Vec<String> {
        let ModelIdentity { name, quantization, source_hash, dimension, pooling, prompts } = self;
        let mut out = Vec::new();
        let mut compare = |field: &str, this: String, that: String| {
            if this != that {
                out.push(format!("{field}: {this} ≠ {that}"));
            }
        };
        compare("name", name.clone(), other.name.clone());
        compare("quantization", format!("{quantization:?}"), format!("{:?}", other.quantization));
        compare("source_hash", source_hash.clone(), other.source_hash.clone());
        compare("dimension", dimension.to_string(), other.dimension.to_string());
        compare("pooling", format!("{pooling:?}"), format!("{:?}", other.pooling));
        compare("query prompt", format!("{:?}", prompts.query), format!("{:?}", other.prompts.query));
        compare("passage prompt", format!("{:?}", prompts.passage), format!("{:?}", other.prompts.passage));
        out
    }
}

impl fmt::Display for ModelIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash = self.source_hash.get(..12).unwrap_or(&self.source_hash);
        write!(
            f,
            "{} ({:?}, {} dimensions, {:?}, sha256 {hash}…",
            self.name, self.quantization, self.dimension, self.pooling
        )?;
        if !self.prompts.query.is_empty() || !self.prompts.passage.is_empty() {
            write!(f, ", prompts {:?} / {:?}", self.prompts.query, self.prompts.passage)?;
        }
        f.write_str(")")
    }
}
