//! Settings of an engine. Reading them from files and the environment is the business of whoever embeds the engine.

use rag_fusion::{Method, Normalization, Parameters};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::features::FeaturesConfig;

/// All settings; `EngineConfig::default()` is a good engine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// How documents are split.
    pub chunking: ChunkingConfig,
    /// The lexical retriever.
    pub lexical: LexicalConfig,
    /// The dense retriever.
    pub vectors: VectorConfig,
    /// How the retrievers' runs become one ranking.
    pub fusion: FusionConfig,
    /// What is computed of each candidate for learning to rank.
    pub features: FeaturesConfig,
    /// Learning to rank.
    pub ltr: LtrConfig,
    /// The weight of the ranker while the engine runs.
    pub gate: GateConfig,
    /// A second look at the best candidates.
    pub rerank: RerankConfig,
    /// Variety beside relevance.
    pub diversity: DiversityConfig,
    /// The work around them.
    pub runtime: RuntimeConfig,
}

/// How documents are split into the chunks that are embedded and searched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChunkingConfig {
    /// Most tokens of a chunk, as the embedding model counts them (its own limit holds as well). Default 256.
    /// 0: never split; each document is one chunk, embedded up to the limit of the model.
    pub max_tokens: usize,
    /// Tokens that neighbouring chunks share. Default 32; must be below `max_tokens`.
    pub overlap_tokens: usize,
}

impl Default for ChunkingConfig {
    fn default() -> Self {
        ChunkingConfig { max_tokens: 256, overlap_tokens: 32 }
    }
}

/// The lexical retriever.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LexicalConfig {
    /// Language of stemming and stop words: a name such as `english`, or `none`. Default `english`.
    /// Part of the data: opening with another language rebuilds the lexical index.
    pub language: String,
    /// Memory of the index writer in MiB. Default 64; at least 15.
    pub writer_memory_mib: usize,
}

impl Default for LexicalConfig {
    fn default() -> Self {
        LexicalConfig { language: "english".to_owned(), writer_memory_mib: 64 }
    }
}

/// The dense retriever.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "backend", rename_all = "snake_case", deny_unknown_fields)]
pub enum VectorConfig {
    /// Exact scan over int8 codes, re-scored in full precision. The default.
    #[default]
    Flat,
    /// Approximate graph search (Malkov & Yashunin 2018) by the hnsw_rs crate; in memory, built again at open.
    Hnsw {
        /// Neighbours of a node, 2 to 256. Default 16.
        #[serde(default = "hnsw_m")]
        m: usize,
        /// Candidates while building, at least `m`. Default 200.
        #[serde(default = "hnsw_ef_construction")]
        ef_construction: usize,
        /// Candidates while searching; raised to `k` where that is larger. Default 100.
        #[serde(default = "hnsw_ef_search")]
        ef_search: usize,
    },
}

fn hnsw_m() -> usize {
    16
}
fn hnsw_ef_construction() -> usize {
    200
}
fn hnsw_ef_search() -> usize {
    100
}

/// How the retrievers' runs become one ranking.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FusionConfig {
    /// The formula, by its name: `convex` (the weighted sum of scores, the default), `rrf`, or another of
    /// [`Method::NAMES`](rag_fusion::Method::NAMES).
    pub method: String,
    /// How each run is scaled first, where the formula looks at scores: `min_max` (the default) or another of
    /// [`Normalization::NAMES`](rag_fusion::Normalization::NAMES).
    pub normalization: String,
    /// Constant of `rrf`. Default 60.
    pub k: Option<f64>,
    /// Of `logn_isr`. Default 0.01.
    pub sigma: Option<f64>,
    /// Of `gmnz`.
    pub gamma: Option<f64>,
    /// Of `rbc`.
    pub phi: Option<f64>,
    /// Weight of the dense run, in `[0, 1]`; the lexical run has the rest. Default: what the embedding model states.
    pub dense_weight: Option<f32>,
    /// Documents that each retriever contributes. Default 100.
    pub depth: usize,
}

impl Default for FusionConfig {
    fn default() -> Self {
        FusionConfig {
            method: "convex".to_owned(),
            normalization: "min_max".to_owned(),
            k: None,
            sigma: None,
            gamma: None,
            phi: None,
            dense_weight: None,
            depth: 100,
        }
    }
}

impl FusionConfig {
    /// The formula and the scale.
    ///
    /// # Errors
    /// `InvalidArgument`, naming the field.
    pub fn formula(&self) -> Result<(Method, Normalization)> {
        let FusionConfig { k, sigma, gamma, phi, .. } = *self;
        let method = Method::from_name(&self.method, Parameters { k, sigma, gamma, phi });
        let method = method.map_err(|error| Error::invalid(format!("`fusion`: {error}")).with_source(error))?;
        let normalization = Normalization::from_name(&self.normalization).ok_or_else(|| {
            let (given, known) = (&self.normalization, Normalization::NAMES.join(", "));
            Error::invalid(format!("`fusion.normalization` is {given:?}; give one of {known}"))
        })?;
        Ok((method, normalization))
    }
}

/// Learning to rank. Without a model the fused order stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LtrConfig {
    /// File of the model, for whoever opens the engine; the engine itself is given models by `Engine::set_ranker`.
    pub model: Option<std::path::PathBuf>,
    /// Weight of the model's score in `[0, 1]`; the fused score has the rest. Holds until the gate is given another one (see
    /// [`crate::gate`]). Default 1.
    pub weight: f32,
    /// Best fused candidates that the model ranks, or as many as a search asks for where that is more. Default 100.
    pub depth: usize,
}

impl Default for LtrConfig {
    fn default() -> Self {
        LtrConfig { model: None, weight: 1.0, depth: 100 }
    }
}

/// The live gate: see [`crate::gate`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GateConfig {
    /// File of the secret that the buckets of experiments follow from, at least 16 bytes; outer white space does not count.
    /// Instances of one service share it, so that a user is in the same bucket in all. Default: `gate.key` in the data
    /// folder, made when it is not there.
    pub key_file: Option<std::path::PathBuf>,
    /// A file to be looked at once a second; what it says is done to the gate once, and again when the file is written again.
    /// JSON: `{"action": {"set_weight": {"weight": 0.4}}, "author": "…", "reason": "…", "issue": "…"}`.
    pub watch: Option<std::path::PathBuf>,
}

/// Reranking, where the engine was given a reranker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RerankConfig {
    /// Best candidates that it sees. Default 20.
    pub depth: usize,
    /// Most milliseconds that it may take of each search, beside the search's own deadline; 0: as many as it needs. Default 0.
    pub budget_ms: u64,
}

impl Default for RerankConfig {
    fn default() -> Self {
        RerankConfig { depth: 20, budget_ms: 0 }
    }
}

#[cfg(feature = "engine")]
impl RerankConfig {
    /// The time that it may take.
    pub(crate) fn budget(&self) -> Option<std::time::Duration> {
        (self.budget_ms > 0).then(|| std::time::Duration::from_millis(self.budget_ms))
    }
}

/// Searches that ask for variety.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiversityConfig {
    /// Best candidates to choose from, or as many as a search asks for where that is more. Default 50.
    pub depth: usize,
}

impl Default for DiversityConfig {
    fn default() -> Self {
        DiversityConfig { depth: 50 }
    }
}

/// The work around the retrievers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuntimeConfig {
    /// Threads of the engine's own pool; 0: as many as the machine has. Default 0.
    pub threads: usize,
    /// Whether open reads every derived file to check its bytes. Default true; false trusts sizes alone.
    pub verify_on_open: bool,
    /// Most bytes of one document (title and text). Default 64 MiB.
    pub max_document_bytes: usize,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        RuntimeConfig { threads: 0, verify_on_open: true, max_document_bytes: 64 << 20 }
    }
}

impl EngineConfig {
    /// # Errors
    /// `InvalidArgument`, naming the field, its value and what is allowed.
    pub fn validate(&self) -> Result<()> {
        let fail = |field: &str, value: &dyn std::fmt::Display, allowed: &str| {
            Err(Error::invalid(format!("`{field}` is {value}; {allowed}")))
        };
        let ChunkingConfig { max_tokens, overlap_tokens } = self.chunking;
        if max_tokens > 0 && max_tokens < 8 {
            return fail("chunking.max_tokens", &max_tokens, "give 0 (never split) or at least 8");
        }
        if max_tokens > 0 && overlap_tokens >= max_tokens {
            return fail("chunking.overlap_tokens", &overlap_tokens, "it must be below chunking.max_tokens");
        }
        if !(15..=4096).contains(&self.lexical.writer_memory_mib) {
            return fail("lexical.writer_memory_mib", &self.lexical.writer_memory_mib, "give 15 to 4096");
        }
        if let VectorConfig::Hnsw { m, ef_construction, ef_search } = self.vectors {
            if !(2..=256).contains(&m) {
                return fail("vectors.m", &m, "give 2 to 256");
            }
            if !(m..=10_000).contains(&ef_construction) {
                return fail("vectors.ef_construction", &ef_construction, "give vectors.m to 10000");
            }
            if !(1..=10_000).contains(&ef_search) {
                return fail("vectors.ef_search", &ef_search, "give 1 to 10000");
            }
        }
        self.fusion.formula()?;
        if let Some(weight) = self.fusion.dense_weight.filter(|weight| !(0.0..=1.0).contains(weight)) {
            return fail("fusion.dense_weight", &weight, "give 0 to 1");
        }
        if !(1..=10_000).contains(&self.fusion.depth) {
            return fail("fusion.depth", &self.fusion.depth, "give 1 to 10000");
        }
        self.features.validate()?;
        if !(0.0..=1.0).contains(&self.ltr.weight) {
            return fail("ltr.weight", &self.ltr.weight, "give 0 to 1");
        }
        if !(1..=10_000).contains(&self.ltr.depth) {
            return fail("ltr.depth", &self.ltr.depth, "give 1 to 10000");
        }
        if !(1..=1000).contains(&self.rerank.depth) {
            return fail("rerank.depth", &self.rerank.depth, "give 1 to 1000");
        }
        if !(1..=1000).contains(&self.diversity.depth) {
            return fail("diversity.depth", &self.diversity.depth, "give 1 to 1000");
        }
        if self.runtime.threads > 1024 {
            return fail("runtime.threads", &self.runtime.threads, "give 0 (all) to 1024");
        }
        if !(1 << 10..=1 << 30).contains(&self.runtime.max_document_bytes) {
            return fail("runtime.max_document_bytes", &self.runtime.max_document_bytes, "give 1 KiB to 1 GiB");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_default_is_valid_and_survives_json() {
        let config = EngineConfig::default();
        config.validate().unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<EngineConfig>(&text).unwrap(), config);
    }

    #[test]
    fn wrong_values_are_named() {
        let set = |change: fn(&mut EngineConfig)| {
            let mut config = EngineConfig::default();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert!(set(|c| c.chunking.overlap_tokens = 256).contains("chunking.overlap_tokens"));
        assert!(set(|c| c.fusion.dense_weight = Some(f32::NAN)).contains("fusion.dense_weight"));
        assert!(set(|c| c.fusion.method = "mean".to_owned()).contains("`method` is \"mean\""));
        assert!(set(|c| c.fusion.normalization = "mean".to_owned()).contains("`fusion.normalization` is \"mean\""));
        assert!(set(|c| c.fusion.phi = Some(0.5)).contains("`phi` is no parameter of convex"));
        assert!(set(|c| c.rerank.depth = 0).contains("rerank.depth"));
        assert!(set(|c| c.diversity.depth = 0).contains("diversity.depth"));
        assert!(
            set(|c| c.vectors = VectorConfig::Hnsw { m: 300, ef_construction: 400, ef_search: 10 })
                .contains("vectors.m")
        );
        assert!(serde_json::from_str::<EngineConfig>(r#"{"depth": 3}"#).is_err());
    }
}
