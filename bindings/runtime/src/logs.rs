//! Features of candidates as scripting languages log and compute them.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rag_core::features::{FeatureDocument, FeatureFunction, FeatureLog, FeatureQuery};
use rag_core::ltr::schema::{Feature, FeatureKind};
use rag_core::ltr::svmlight;
use rag_core::{Error, Result, fork};

use crate::maps::ByQuery;

/// The grade of each row by judgments: 0 where there is none, and for grades below 0.
pub fn labels(log: &FeatureLog, qrels: &ByQuery<i32>) -> Vec<f32> {
    let grade = |query: &str, document: &str| qrels.get(query).and_then(|documents| documents.get(document)).copied();
    log.iter().map(|(query, document, _)| grade(query, document).unwrap_or(0).max(0) as f32).collect()
}

/// Writes the rows with their grades as SVMlight's text: a line `grade qid:number column:value …` a row, queries and columns
/// counted from 1, zeros left out. Queries without candidates are left out.
///
/// # Errors
/// Failures of the disk.
pub fn save_svmlight(log: &FeatureLog, qrels: &ByQuery<i32>, path: &Path) -> Result<()> {
    let mut text = String::new();
    let groups: Vec<usize> = log.groups().into_iter().filter(|&size| size > 0).collect();
    svmlight::write(&mut text, log.rows()?, &labels(log, qrels), &groups)?;
    std::fs::write(path, text).map_err(|error| Error::io("write", path, error))
}

/// One feature that a function of the caller's computes for all candidates of a question, on threads of the engine.
pub fn feature_function(
    name: String,
    compute: impl Fn(FeatureQuery<'_>, &[FeatureDocument<'_>]) -> Result<Vec<f32>> + Send + Sync + 'static,
) -> Arc<dyn FeatureFunction> {
    Arc::new(Function { features: [Feature::new(name, FeatureKind::Numeric)], compute })
}

struct Function<F> {
    features: [Feature; 1],
    compute: F,
}

impl<F> fmt::Debug for Function<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.features[0].name)
    }
}

impl<F> FeatureFunction for Function<F>
where
    F: Fn(FeatureQuery<'_>, &[FeatureDocument<'_>]) -> Result<Vec<f32>> + Send + Sync,
{
    fn features(&self) -> &[Feature] {
        &self.features
    }

    fn compute(&self, query: FeatureQuery<'_>, documents: &[FeatureDocument<'_>]) -> Result<Vec<f32>> {
        let _working = fork::enter_part();
        let values = (self.compute)(query, documents)?;
        if values.len() != documents.len() {
            let (name, found, wanted) = (&self.features[0].name, values.len(), documents.len());
            let message = format!("the feature function {name:?} gave {found} values for {wanted} documents");
            return Err(Error::invalid(message));
        }
        Ok(values)
    }
}
