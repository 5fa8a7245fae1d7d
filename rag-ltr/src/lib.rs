//! Learning to rank and ranking metrics: pure functions over runs, judgments and feature matrices.
//!
//! A run says what a system retrieved for each query, judgments say what is relevant; nothing here ever sees the text of
//! a document. The metrics follow trec_eval to the last rule, so that a figure can be laid beside a published one, and
//! [`significance`] says whether the difference of two systems is more than chance. Text goes in as `&str` and out
//! through [`std::fmt::Write`]: files are the caller's.
//!
//! ```
//! use rag_ltr::metrics::{Metric, MissingQueries, evaluate};
//! use rag_ltr::trec::{read_qrels, read_run};
//!
//! let qrels = read_qrels("q1 0 d1 2\nq1 0 d2 0\nq1 0 d3 1\n")?;
//! let run = read_run("q1 Q0 d2 1 9.5 demo\nq1 Q0 d1 2 9.1 demo\nq1 Q0 d9 3 2.0 demo\n")?;
//! let metrics: Vec<Metric> = vec!["ndcg@10".parse()?, "p@2".parse()?];
//! let evaluation = evaluate(&qrels, &run, &metrics, MissingQueries::Skip);
//! assert_eq!(evaluation.mean(metrics[1]), Some(0.5));
//! assert!((evaluation.mean(metrics[0]).unwrap_or_default() - 0.479_625).abs() < 1e-6);
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
pub mod train;
pub mod trec;

pub use error::{Error, Result};
pub use explain::Explained;
pub use matrix::Rows;
pub use model::Ranker;
