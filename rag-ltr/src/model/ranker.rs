//! A model that is ready to score.

use super::{Arithmetic, Ensemble, LinearModel, Link, Training};
use crate::error::{Error, Result};
use crate::matrix::Rows;
use crate::schema::SchemaId;
use crate::threads::{MAX_THREADS, Threads};

/// Rows that one thread scores before it looks for more.
const ROWS_OF_A_TASK: usize = 4096;

/// What a ranker scores with.
#[derive(Debug, Clone, PartialEq)]
pub enum Model {
    /// A sum of trees.
    Trees(Ensemble),
    /// A weighted sum of features.
    Linear(LinearModel),
}

/// A model that is ready to score. Cheap to share, never changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranker {
    model: Model,
    schema: Option<SchemaId>,
    training: Option<Training>,
}

impl Ranker {
    /// Takes a model.
    ///
    /// # Errors
    /// [`crate::Error::Model`] for a linear model with numbers that are none.
    pub fn new(model: Model) -> Result<Ranker> {
        if let Model::Linear(linear) = &model {
            linear.check()?;
        }
        Ok(Ranker { model, schema: None, training: None })
    }

    /// Says which features the columns of the model are.
    #[must_use]
    pub fn with_schema(self, schema: SchemaId) -> Ranker {
        Ranker { schema: Some(schema), ..self }
    }

    /// Says how the model came to be.
    #[must_use]
    pub fn with_training(self, training: Training) -> Ranker {
        Ranker { training: Some(training), ..self }
    }

    /// Which features the columns of the model are, where that is known.
    pub fn schema(&self) -> Option<SchemaId> {
        self.schema
    }

    /// How the model came to be, where that is known.
    pub fn training(&self) -> Option<&Training> {
        self.training.as_ref()
    }

    /// The model itself.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Features of a row.
    pub fn columns(&self) -> usize {
        match &self.model {
            Model::Trees(ensemble) => ensemble.parts().columns,
            Model::Linear(linear) => linear.columns.len(),
        }
    }

    /// Names of the features; empty where the file has none.
    pub fn names(&self) -> &[String] {
        match &self.model {
            Model::Trees(ensemble) => &ensemble.parts().names,
            Model::Linear(linear) => &linear.names,
        }
    }

    /// The margin of each row: the sum before the objective's link, which is what ranks. On the calling thread.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] for rows with another number of columns.
    pub fn margins(&self, rows: Rows<'_>) -> Result<Vec<f64>> {
        match &self.model {
            Model::Trees(ensemble) => ensemble.margins(rows),
            Model::Linear(linear) => linear.margins(rows),
        }
    }

    /// What the library of the model answers when it predicts: the margin after its link.
    ///
    /// # Errors
    /// As [`Ranker::margins`].
    pub fn score(&self, rows: Rows<'_>) -> Result<Vec<f64>> {
        let (link, arithmetic) = self.link();
        let mut scores = self.margins(rows)?;
        if link != Link::Identity {
            for score in &mut scores {
                *score = link.apply(*score, arithmetic);
            }
        }
        Ok(scores)
    }

    /// As [`Ranker::score`], on several threads, up to 1,024; 0: one for each processor. The threads live as long as the
    /// call, so this pays from some ten thousand rows on, and there are never more than one for each 4,096 rows. The
    /// scores are the same to the bit.
    ///
    /// # Errors
    /// As [`Ranker::margins`]; [`Error::Setting`] for more threads; [`Error::Threads`] where they cannot be started.
    pub fn score_with_threads(&self, rows: Rows<'_>, threads: usize) -> Result<Vec<f64>> {
        if threads > MAX_THREADS {
            return Err(Error::Setting { name: "threads", value: threads as f64, range: "0 to 1,024" });
        }
        if rows.len() <= ROWS_OF_A_TASK {
            return self.score(rows);
        }
        let threads = Threads::new(threads, rows.len().div_ceil(ROWS_OF_A_TASK))?;
        let starts = (0..rows.len()).step_by(ROWS_OF_A_TASK);
        let mut parts: Vec<(Rows<'_>, Result<Vec<f64>>)> =
            starts.map(|start| (rows.slice(start..rows.len().min(start + ROWS_OF_A_TASK)), Ok(Vec::new()))).collect();
        threads.for_each(&mut parts, |(rows, scores)| *scores = self.score(*rows));
        let parts: Vec<Vec<f64>> = parts.into_iter().map(|(_, scores)| scores).collect::<Result<_>>()?;
        Ok(parts.concat())
    }

    fn link(&self) -> (Link, Arithmetic) {
        match &self.model {
            Model::Trees(ensemble) => (ensemble.parts().link, ensemble.parts().arithmetic),
            Model::Linear(linear) => (linear.link, linear.arithmetic),
        }
    }
}
