//! Features that the caller computes.

use std::fmt;

use rag_ltr::schema::Feature;

use crate::error::Result;
use crate::types::{Cancel, Metadata};

/// The question that features are computed for.
#[non_exhaustive]
#[derive(Debug, Clone, Copy)]
pub struct FeatureQuery<'a> {
    /// Its words, as they were asked.
    pub text: &'a str,
    /// The tenant of the call.
    pub tenant: &'a str,
    /// The vector of the question, where there is one.
    pub vector: Option<&'a [f32]>,
    /// The caller's way to stop; a function that raises it itself ends the search.
    pub cancel: &'a Cancel,
}

/// A document that the scope of the call lets through and a retriever has found.
#[non_exhaustive]
#[derive(Debug, Clone, Copy)]
pub struct FeatureDocument<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its title.
    pub title: &'a str,
    /// Its text, whole.
    pub text: &'a str,
    /// Its metadata.
    pub metadata: &'a Metadata,
}

/// Features of the caller's own, computed for all candidates of a question at once. They are never cached: what depends
/// on more than question and document would go stale unseen.
///
/// ```
/// use std::sync::Arc;
/// use rag_core::features::{FeatureDocument, FeatureFunction, FeatureQuery};
/// use rag_core::ltr::schema::{Feature, FeatureKind};
///
/// #[derive(Debug)]
/// struct Shouting(Vec<Feature>);
///
/// impl FeatureFunction for Shouting {
///     fn features(&self) -> &[Feature] {
///         &self.0
///     }
///     fn compute(&self, _: FeatureQuery<'_>, documents: &[FeatureDocument<'_>]) -> rag_core::Result<Vec<f32>> {
///         Ok(documents.iter().map(|document| document.text.matches('!').count() as f32).collect())
///     }
/// }
/// let function = Shouting(vec![Feature::new("my.exclamations", FeatureKind::Numeric)]);
/// let builder = rag_core::Engine::builder().feature_function(Arc::new(function));
/// ```
pub trait FeatureFunction: Send + Sync + fmt::Debug {
    /// The features that it gives, always the same.
    fn features(&self) -> &[Feature];

    /// The values, document after document and feature after feature; NaN for a missing one. An infinite one counts as
    /// the largest number of its sign.
    ///
    /// # Errors
    /// What the function reports; the search then does without learning to rank and says so. A wrong number of values
    /// and a panic count as errors.
    fn compute(&self, query: FeatureQuery<'_>, documents: &[FeatureDocument<'_>]) -> Result<Vec<f32>>;
}
