//! Ranking metrics by the rules of trec_eval, for whole runs ([`evaluate`]) and for one ranking ([`GradedRanking`]).
//!
//! The rules, as trec_eval and pytrec_eval have them:
//!
//! - **Order.** The documents of a query rank by descending score and equal scores by *descending* document id, byte by
//!   byte. The rank column of a run is not looked at. Whether scores differ is seen in 32 bits, as trec_eval up to 9 and
//!   pytrec_eval do; trec_eval 10 compares 64 bits: [`ScorePrecision`].
//! - **Relevant** is a document judged with at least the relevance level (option `-l`, 1 unless told). Documents without a
//!   judgment and those with a negative grade (in the pool, not assessed) are not relevant and have no gain, but they
//!   take their ranks.
//! - **Graded.** nDCG looks at the grades themselves, not at the relevance level.
//! - **Queries.** Those of the run without judgments are not evaluated. Those with judgments that the run lacks are left
//!   out, or count 0 with option `-c`: [`MissingQueries`]. A query that the run has with no document counts 0, and so
//!   does one without any relevant document.
//! - **Means** are arithmetic, over the evaluated queries.

mod evaluate;
mod graded;
mod metric;
mod qrels;
mod run;

pub use evaluate::{Evaluation, MissingQueries, Options, evaluate};
pub use graded::{GradedRanking, dcg, discount, ideal_dcg, ndcg};
pub use metric::{Gain, Metric};
pub use qrels::Qrels;
pub use run::{ScorePrecision, TrecRun};
