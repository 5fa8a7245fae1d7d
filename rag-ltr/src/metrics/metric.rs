//! The metrics and their names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Grades above this have the exponential gain of this one: 2 to the power of more is beyond 64-bit floats.
const STEEPEST: i32 = 960;

/// What a document of a grade is worth to nDCG. Grades below 1 are worth nothing.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gain {
    /// The grade itself (Järvelin & Kekäläinen 2002), as trec_eval has it.
    #[default]
    Linear,
    /// `2^grade − 1` (Burges et al. 2005), the usual one of learning to rank. Grades above 960 count as 960.
    Exponential,
}

impl Gain {
    /// The gain of a grade; at least 0 and finite.
    pub fn of(self, grade: i32) -> f64 {
        match self {
            _ if grade <= 0 => 0.0,
            Gain::Linear => f64::from(grade),
            Gain::Exponential => f64::from(grade.min(STEEPEST)).exp2() - 1.0,
        }
    }
}

/// A metric of one ranking, in `[0, 1]`, higher is better. `k`: only the first `k` documents are looked at; `None`: all.
///
/// Written `ndcg@10`, `ndcg_exp@10`, `map`, `map@100`, `mrr@10`, `p@10` (or `precision@10`), `recall@100`, `success@5`, `judged@10`, in any
/// case; also so in serialised form.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Metric {
    /// Normalised discounted cumulative gain (Järvelin & Kekäläinen 2002): `Σ gain / log2(1 + rank)`, divided by that of
    /// the best ranking of all judged documents. trec_eval: `ndcg`, `ndcg_cut`.
    Ndcg {
        /// Cutoff, of the ranking and of the best one.
        k: Option<usize>,
        /// What a grade is worth.
        gain: Gain,
    },
    /// Average precision: the precision at the rank of each relevant document found, summed and divided by the number of
    /// *all* relevant documents (Buckley & Voorhees 2005), also where that is above `k`. trec_eval: `map`, `map_cut`.
    Map {
        /// Cutoff.
        k: Option<usize>,
    },
    /// `1 / rank` of the first relevant document, 0 without one. trec_eval: `recip_rank`, without cutoff; with one, as MS
    /// MARCO has it, a first relevant document beyond `k` counts 0.
    Mrr {
        /// Cutoff.
        k: Option<usize>,
    },
    /// Relevant documents among the first `k`, divided by `k` even where fewer were retrieved (trec_eval: `P`). Without
    /// `k`, divided by the number retrieved (trec_eval: `set_P`).
    Precision {
        /// Cutoff.
        k: Option<usize>,
    },
    /// Relevant documents among the first `k`, divided by the number of all relevant ones. trec_eval: `recall`,
    /// `set_recall`.
    Recall {
        /// Cutoff.
        k: Option<usize>,
    },
    /// 1 if there is a relevant document among the first `k`, else 0. trec_eval: `success`.
    Success {
        /// Cutoff.
        k: Option<usize>,
    },
    /// Judged documents, of any grade, among the first `k`, divided by the smaller of `k` and the number retrieved, as
    /// ir_measures has it (trec_eval lacks it). A low value means that the other metrics know little about the ranking.
    Judged {
        /// Cutoff.
        k: Option<usize>,
    },
}

impl Metric {
    /// nDCG with linear gain at `k`, the metric of BEIR at 10.
    pub fn ndcg_at(k: usize) -> Self {
        Metric::Ndcg { k: Some(k), gain: Gain::Linear }
    }

    /// The cutoff.
    pub fn k(self) -> Option<usize> {
        self.parts().1
    }

    fn parts(self) -> (&'static str, Option<usize>) {
        match self {
            Metric::Ndcg { k, gain: Gain::Linear } => ("ndcg", k),
            Metric::Ndcg { k, gain: Gain::Exponential } => ("ndcg_exp", k),
            Metric::Map { k } => ("map", k),
            Metric::Mrr { k } => ("mrr", k),
            Metric::Precision { k } => ("p", k),
            Metric::Recall { k } => ("recall", k),
            Metric::Success { k } => ("success", k),
            Metric::Judged { k } => ("judged", k),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            (name, None) => f.pad(name),
            (name, Some(k)) => f.pad(&format!("{name}@{k}")),
        }
    }
}

impl FromStr for Metric {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = || Error::Metric(text.to_owned());
        let lower = text.trim().to_ascii_lowercase();
        let (name, k) = match lower.split_once('@') {
            None => (lower.as_str(), None),
            Some((name, k)) => (name, Some(cutoff(k).ok_or_else(unknown)?)),
        };
        Ok(match name {
            "ndcg" => Metric::Ndcg { k, gain: Gain::Linear },
            "ndcg_exp" => Metric::Ndcg { k, gain: Gain::Exponential },
            "map" => Metric::Map { k },
            "mrr" => Metric::Mrr { k },
            "p" | "precision" => Metric::Precision { k },
            "recall" => Metric::Recall { k },
            "success" => Metric::Success { k },
            "judged" => Metric::Judged { k },
            _ => return Err(unknown()),
        })
    }
}

/// Digits only, at least 1.
fn cutoff(text: &str) -> Option<usize> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&k| is_plain && k > 0)
}

impl TryFrom<String> for Metric {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Metric> for String {
    fn from(metric: Metric) -> String {
        metric.to_string()
    }
}
