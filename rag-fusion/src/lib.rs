//! Rank fusion: named runs of scored documents become one ranking.
//!
//! Higher scores are better everywhere, ranks are 1-based, and ties break by (score, order of the runs, id), so that
//! equal input gives equal output. This crate never sees what a score means or what an id stands for.
//!
//! ```
//! use rag_fusion::{Method, Normalization, Run, Weighted, fuse};
//! let dense = Run::new("dense", [(1u64, 0.9), (2, 0.7)])?;
//! let lexical = Run::new("lexical", [(2u64, 12.0), (3, 4.0)])?;
//! let runs = [Weighted::new(&dense, 0.5), Weighted::new(&lexical, 0.5)];
//! let fused = fuse(&runs, &Method::Sum, &Normalization::MinMax, 10)?;
//! assert_eq!(fused.hits()[0].id, 1);
//! # Ok::<(), rag_fusion::Error>(())
//! ```

mod calibrate;
mod canary;
pub mod diversify;
mod error;
mod fuse;
mod fusion;
pub mod gate;
pub mod interleave;
pub mod learned;
mod method;
mod normalize;
mod overlap;
mod random;
mod rank;
mod run;
mod table;
pub mod tune;
mod votes;

pub use calibrate::Calibration;
pub use canary::{
    Arm, Canary, CanaryError, CanaryStatus, Decision, DecisionKind, Guardrail, Margin, Metric, Observation, RampPlan,
    Reading, Sample, Verdict,
};
pub use error::{Error, Result};
pub use fuse::{Contribution, Fused, FusedHit, Weighted, fuse};
pub use fusion::Fusion;
pub use method::{Method, Parameters, RRF_K};
pub use normalize::{Normalization, normalize};
pub use run::{Run, RunHit};
