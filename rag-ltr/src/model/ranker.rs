//! A model that is ready to score.

use super::{Arithmetic, Ensemble, LinearModel, Link};
use crate::error::Result;
use crate::matrix::Rows;

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
        Ok(Ranker { model })
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

    fn link(&self) -> (Link, Arithmetic) {
        match &self.model {
            Model::Trees(ensemble) => (ensemble.parts().link, ensemble.parts().arithmetic),
            Model::Linear(linear) => (linear.link, linear.arithmetic),
        }
    }
}
