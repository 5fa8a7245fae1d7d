//! Clicks as labels: position bias, labels for training, evaluation of a ranking that never served, and features.
//!
//! A [`ClickLog`] has what users were shown and what they clicked ([`read_log`]: JSON Lines). A click says that the place
//! was looked at and that the document attracts; [`estimate_by_harvesting`] and [`estimate_by_em`] take the two apart and
//! give [`Propensities`]. With those, [`to_training`] and [`click_lists`] make labels, [`evaluate`] says what another
//! ranking would have earned, and [`history`] makes features. [`simulate`] makes logs over known judgments.
//!
//! Everything rests on the position-based model: `P(click) = propensity[rank] · attraction[query, document]` (Richardson,
//! Dominowska & Ragno 2007; Craswell et al., WSDM 2008).
//!
//! ```
//! use rag_ltr::clicks::simulate::{Simulation, simulate};
//! use rag_ltr::clicks::{Estimation, Labelling, Propensities, estimate_by_harvesting, to_training};
//! use rag_ltr::trec::{read_qrels, read_run};
//!
//! // Two rankers that agree on little make a log, in which the place weighs as much as the document.
//! let qrels = read_qrels("moon 0 apollo 4\nmoon 0 tides 1\nmars 0 rover 4\nmars 0 venus 0\n")?;
//! let one = read_run("moon Q0 tides 1 2 a\nmoon Q0 apollo 2 1 a\nmars Q0 rover 1 2 a\nmars Q0 venus 2 1 a\n")?;
//! let two = read_run("moon Q0 apollo 1 2 b\nmoon Q0 tides 2 1 b\nmars Q0 venus 1 2 b\nmars Q0 rover 2 1 b\n")?;
//! let users = Simulation::new(Propensities::new(&[1.0, 0.3])?, 4000);
//! let log = simulate(&qrels, &[("one", &one), ("two", &two)], &users)?;
//!
//! // The log alone tells how much less the second place is looked at, and so what is relevant.
//! let propensities = estimate_by_harvesting(&log, &Estimation::default())?.propensities;
//! assert!((propensities.at(2) - 0.3).abs() < 0.03);
//! let labels = to_training(&log, &propensities, &Labelling::default())?;
//! let rover = labels.iter().find(|label| label.document == "rover").map(|label| label.relevance);
//! assert!(rover.is_some_and(|relevance| relevance > 0.9));
//! # Ok::<(), rag_ltr::Error>(())
//! ```

mod bias;
mod counterfactual;
mod counts;
mod direct;
mod em;
mod history;
mod interval;
mod jsonl;
mod labels;
mod log;
mod propensity;
pub mod simulate;

pub use bias::{BiasEstimate, Estimation, RankEvidence, Spread, estimate_by_em, estimate_by_harvesting};
pub use counterfactual::{Counterfactual, CounterfactualEvaluation, Reward, Warning, evaluate};
pub use counts::{Counts, Prior};
pub use history::{ClickFeatures, History, history};
pub use interval::Estimate;
pub use jsonl::{MAX_LINE_BYTES, read_log, write_log};
pub use labels::{ClickRow, Label, Labelling, click_lists, grades, to_training};
pub use log::{ClickLog, Impression, MAX_ID_BYTES, MAX_RANK, MAX_SHOWN, Shown};
pub use propensity::Propensities;
