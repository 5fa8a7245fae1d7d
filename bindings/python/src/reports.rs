//! Reports and numbers of an engine.

use rag_core::engine;

use crate::value::value_class;

value_class! {
    /// What an upsert did; staged until the next commit.
    UpsertReport {
        /// Documents that were not there.
        added: usize,
        /// Documents that were there and differ.
        updated: usize,
        /// Documents that were there just so; nothing was done.
        unchanged: usize,
        /// Documents that a later one of the same batch with the same id replaced.
        repeated: usize,
        /// Chunks of the added and updated documents.
        chunks: usize,
        /// Chunks that the model embedded; the others kept their vectors.
        embedded: usize,
        /// Chunks of which the model saw only the beginning.
        truncated: usize,
    }
}

impl From<engine::UpsertReport> for UpsertReport {
    fn from(report: engine::UpsertReport) -> Self {
        UpsertReport {
            added: report.added,
            updated: report.updated,
            unchanged: report.unchanged,
            repeated: report.repeated,
            chunks: report.chunks,
            embedded: report.embedded,
            truncated: report.truncated,
        }
    }
}

value_class! {
    /// What `verify` found.
    VerifyReport {
        /// Documents whose rows were read and agree.
        documents: u64,
        /// Derived pieces that were wrong and have been made again from the store.
        repaired: Vec<String>,
    }
}

value_class! {
    /// Numbers about an engine.
    Stats {
        /// Documents of the tenant.
        documents: u64,
        /// Documents of all tenants.
        documents_total: u64,
        /// Chunks of all tenants.
        chunks_total: u64,
        /// The last commit.
        commit_seq: u64,
        /// The model that made the vectors.
        model: String,
        /// Values of a vector.
        dimension: usize,
        /// Backend of the dense retriever.
        vector_backend: String,
        /// Vectors in the dense index, those of replaced documents included until compaction.
        vectors: usize,
        /// What the lexical index does to words.
        analyser: String,
        /// Bytes on disk: the store.
        bytes_store: u64,
        /// Bytes on disk: the lexical index.
        bytes_lexical: u64,
        /// Bytes on disk: sealed vectors.
        bytes_vectors: u64,
        /// Values asked of the cache of features that were there, since the engine was opened.
        feature_cache_hits: u64,
        /// Those that were not.
        feature_cache_misses: u64,
        /// Bytes of the cache.
        feature_cache_bytes: u64,
    }
}

impl From<engine::Stats> for Stats {
    fn from(stats: engine::Stats) -> Self {
        Stats {
            documents: stats.documents,
            documents_total: stats.documents_total,
            chunks_total: stats.chunks_total,
            commit_seq: stats.commit_seq,
            model: stats.model.name.clone(),
            dimension: stats.model.dimension,
            vector_backend: stats.vector_backend.to_owned(),
            vectors: stats.vectors,
            analyser: stats.analyser,
            bytes_store: stats.bytes.store,
            bytes_lexical: stats.bytes.lexical,
            bytes_vectors: stats.bytes.vectors,
            feature_cache_hits: stats.feature_cache.hits,
            feature_cache_misses: stats.feature_cache.misses,
            feature_cache_bytes: stats.feature_cache.bytes,
        }
    }
}
