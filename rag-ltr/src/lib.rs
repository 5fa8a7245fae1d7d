//! Learning to rank and ranking metrics: pure functions over runs, judgments, clicks and rows of features. Nothing here
//! ever sees the text of a document; bytes and text go in and out, files are the caller's.
//!
//! - **Rank:** a [`Ranker`] scores [`Rows`]. It is read from LightGBM's or XGBoost's files, which it answers as those
//!   libraries do, or from its own; or it comes out of [`train`]. [`Ranker::explain`] says what each feature adds.
//! - **Features** have a [`schema`]; a migration lets a model of the schema before score the rows of the next.
//! - **Labels** are judgments ([`trec`], [`svmlight`]) or [`clicks`], whose position bias is estimated.
//! - **Metrics** follow trec_eval to the last rule ([`metrics`]); [`significance`] says whether the difference of two
//!   systems is more than chance.
//!
//! ```
//! use rag_ltr::metrics::{Gain, ndcg};
//! use rag_ltr::model::Model;
//! use rag_ltr::train::{Dataset, LambdaMart, lambdamart};
//! use rag_ltr::{Ranker, Rows};
//! use std::ops::ControlFlow;
//!
//! // Two queries of 30 documents; the second feature says how good a document is.
//! let values: Vec<f32> = (0..60u8).flat_map(|at| [f32::from(at % 7), f32::from(at % 3)]).collect();
//! let labels: Vec<f32> = (0..60u8).map(|at| f32::from(at % 3)).collect();
//! let rows = Rows::new(&values, 2)?;
//! let parameters = LambdaMart { num_trees: 10, min_data_in_leaf: 5, ..LambdaMart::default() };
//! let dataset = Dataset::new(rows, &labels, &[30, 30]);
//! let trained = lambdamart(&dataset, None, &parameters, &mut |_| ControlFlow::Continue(()))?;
//!
//! let ranker = Ranker::new(Model::Trees(trained.ensemble))?;
//! let again = Ranker::from_bytes(&ranker.to_bytes()?)?;
//! let mut first: Vec<(f64, i32)> = again.score(rows.slice(0..30))?.into_iter().zip((0..30).map(|at| at % 3)).collect();
//! first.sort_by(|a, b| b.0.total_cmp(&a.0));
//! let grades: Vec<i32> = first.into_iter().map(|(_, grade)| grade).collect();
//! assert_eq!(ndcg(&grades, &grades, Some(10), Gain::Exponential), 1.0);
//! # Ok::<(), rag_ltr::Error>(())
//! ```

pub mod clicks;
mod error;
mod explain;
mod matrix;
pub mod metrics;
pub mod model;
pub mod random;
pub mod schema;
mod score;
pub mod significance;
pub mod svmlight;
mod threads;
pub mod train;
pub mod trec;

pub use error::{Error, Result};
pub use explain::Explained;
pub use matrix::Rows;
pub use model::Ranker;
