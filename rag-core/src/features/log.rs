//! Rows of features for training.

use rag_fusion::{Fused, Method, Normalization, Run, Weighted, fuse};
use rag_ltr::Rows;
use rag_ltr::schema::FeatureSchema;

use crate::error::{Error, ErrorKind, Result};

/// The candidates of some questions with their features, just as a ranker would have seen them: see
/// [`Engine::log_features`](crate::Engine::log_features).
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct FeatureLog {
    /// What the columns are.
    pub schema: FeatureSchema,
    /// The questions, in the order in which they were asked.
    pub queries: Vec<LoggedQuery>,
    /// All rows, in the order of the questions and of their documents.
    pub values: Vec<f32>,
}

/// The candidates of one question.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedQuery {
    /// Id of the question, as the caller gave it.
    pub id: String,
    /// Ids of the candidates, best first by the fused score.
    pub documents: Vec<String>,
    /// Their fused scores.
    pub scores: Vec<f32>,
}

impl LoggedQuery {
    /// The score that a search gives each candidate, in their order, with a ranker of these margins (one a candidate) and
    /// this weight: `(1 − weight) · fused + weight · model`, both scaled to the candidates.
    ///
    /// # Errors
    /// `InvalidArgument` for another number of margins, one that is not finite, and a weight outside 0 to 1.
    pub fn blended(&self, margins: &[f64], weight: f32) -> Result<Vec<f32>> {
        if margins.len() != self.scores.len() {
            let (found, wanted) = (margins.len(), self.scores.len());
            return Err(Error::invalid(format!(
                "`margins` has {found} values; give one for each of {wanted} candidates"
            )));
        }
        let fused = self.scores.iter().enumerate().map(|(row, &score)| (row as u64, f64::from(score)));
        let blended = blend(fused, margins, weight)?;
        let mut scores = vec![0.0; self.scores.len()];
        for hit in blended.hits() {
            scores[hit.id as usize] = hit.score as f32;
        }
        Ok(scores)
    }
}

/// Candidates, given with their fused scores, by `(1 − weight) · fused + weight · model`, both scaled from the least to the
/// greatest of them; best first. The contributions of a hit are those of fused and model.
///
/// # Errors
/// `InvalidArgument` for scores that are not finite and a weight outside 0 to 1.
pub(crate) fn blend(fused: impl Iterator<Item = (u64, f64)>, margins: &[f64], weight: f32) -> Result<Fused> {
    if !(0.0..=1.0).contains(&weight) {
        return Err(Error::invalid(format!("`weight` is {weight}; give 0 to 1")));
    }
    let failed = |error: rag_fusion::Error| Error::invalid(format!("scores of a ranker: {error}")).with_source(error);
    if let Some(margin) = margins.iter().find(|margin| !margin.is_finite()) {
        return Err(Error::invalid(format!("scores of a ranker: {margin} is not finite")));
    }
    let fused: Vec<(u64, f64)> = fused.collect();
    let model = Run::new("ltr", fused.iter().zip(margins).map(|(&(id, _), &margin)| (id, margin)));
    let (model, fused) = (model.map_err(failed)?, Run::new("fused", fused).map_err(failed)?);
    let runs = [Weighted::new(&fused, f64::from(1.0 - weight)), Weighted::new(&model, f64::from(weight))];
    fuse(&runs, &Method::Sum, &Normalization::MinMax, usize::MAX).map_err(failed)
}

impl FeatureLog {
    pub(crate) fn new(schema: FeatureSchema) -> Self {
        FeatureLog { schema, queries: Vec::new(), values: Vec::new() }
    }

    /// Candidates with their fused scores, and their features.
    pub(crate) fn push(&mut self, id: &str, candidates: Vec<(String, f32)>, values: &[f32]) {
        let (documents, scores) = candidates.into_iter().unzip();
        self.queries.push(LoggedQuery { id: id.to_owned(), documents, scores });
        self.values.extend_from_slice(values);
    }

    /// Adds the questions of another log of the same engine behind those of this one.
    ///
    /// # Errors
    /// `SchemaMismatch` for a log of other features.
    pub fn append(&mut self, other: FeatureLog) -> Result<()> {
        if other.schema.id() != self.schema.id() {
            let message =
                format!("a log of feature schema {} does not go with one of {}", other.schema.id(), self.schema.id());
            return Err(Error::new(ErrorKind::SchemaMismatch, message));
        }
        self.queries.extend(other.queries);
        self.values.extend(other.values);
        Ok(())
    }

    /// The rows, as a ranker is trained on them.
    ///
    /// # Errors
    /// None for a log that an engine made.
    pub fn rows(&self) -> Result<Rows<'_>> {
        Ok(Rows::new(&self.values, self.schema.features().len())?)
    }

    /// Rows of each question, in order; questions without candidates have 0.
    pub fn groups(&self) -> Vec<usize> {
        self.queries.iter().map(|query| query.documents.len()).collect()
    }

    /// Id of question and document and the features of each row, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &[f32])> {
        let ids =
            self.queries.iter().flat_map(|query| query.documents.iter().map(|document| (&*query.id, &**document)));
        ids.zip(self.values.chunks_exact(self.schema.features().len().max(1))).map(|((q, d), row)| (q, d, row))
    }
}
