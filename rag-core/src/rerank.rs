//! A second look at the best candidates, by something too slow to look at all of them.

use std::fmt;

use crate::error::Result;
use crate::types::{Cancel, Metadata};

/// A candidate as a reranker sees it.
#[derive(Debug, Clone, Copy)]
pub struct RerankCandidate<'a> {
    /// Id of the document.
    pub id: &'a str,
    /// Its title; empty where it has none.
    pub title: &'a str,
    /// The passage that matched best.
    pub passage: &'a str,
    /// Its metadata.
    pub metadata: &'a Metadata,
}

/// Scores question and passage together, such as a cross-encoder does; taken into use by
/// [`Engine::set_reranker`](crate::Engine::set_reranker). The best `rerank.depth` candidates then stand in the order of these
/// scores, before the rest.
///
/// ```
/// use std::sync::Arc;
/// use rag_core::{Cancel, Document, Engine, Result, Scope, engine::SearchRequest, rerank::{RerankCandidate, Reranker}};
/// #[derive(Debug)]
/// struct Short;
/// impl Reranker for Short {
///     fn rerank(&self, _: &str, candidates: &[RerankCandidate<'_>], _: &Cancel) -> Result<Vec<f32>> {
///         Ok(candidates.iter().map(|candidate| -(candidate.passage.len() as f32)).collect())
///     }
/// }
/// let folder = tempfile::tempdir()?;
/// let (engine, scope) = (Engine::open(folder.path())?, Scope::default());
/// engine.upsert(&scope, vec![Document::new("a", "bread, bread, and butter"), Document::new("b", "bread")])?;
/// engine.commit()?;
/// engine.set_reranker(Some(Arc::new(Short)));
/// assert_eq!(engine.search(&scope, &SearchRequest::new("bread", 2))?.hits[0].id, "b");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Reranker: Send + Sync + fmt::Debug {
    /// One finite score for each candidate, in their order; higher is better. `cancel` is to be asked between batches: its
    /// deadline is the part of the search's time that reranking may take. An error, or another number of scores, leaves the
    /// order as it was, and the answer says so.
    ///
    /// # Errors
    /// Whatever it has to say; `cancel`'s.
    fn rerank(&self, question: &str, candidates: &[RerankCandidate<'_>], cancel: &Cancel) -> Result<Vec<f32>>;
}
