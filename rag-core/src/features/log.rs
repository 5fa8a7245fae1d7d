//! Rows of features for training.

use rag_ltr::Rows;
use rag_ltr::schema::FeatureSchema;

use crate::error::Result;

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedQuery {
    /// Id of the question, as the caller gave it.
    pub id: String,
    /// Ids of the candidates, best first by the fused score.
    pub documents: Vec<String>,
}

impl FeatureLog {
    pub(crate) fn new(schema: FeatureSchema) -> Self {
        FeatureLog { schema, queries: Vec::new(), values: Vec::new() }
    }

    pub(crate) fn push(&mut self, id: &str, documents: Vec<String>, values: &[f32]) {
        self.queries.push(LoggedQuery { id: id.to_owned(), documents });
        self.values.extend_from_slice(values);
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
