//! The formulas by which runs become one ranking.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Most ranks to each side that Slide-fuse looks at.
const MAX_WIDTH: usize = 1000;

/// The constant of reciprocal rank fusion that its authors chose.
pub const RRF_K: f64 = 60.0;

/// What the runs of a document add up to.
///
/// `s` is the normalised score of the document in a run, `r` its 1-based rank there, `w` the weight of the run as given
/// (weights are not scaled to sum to 1), `m` the number of runs that have the document. Sums go over those runs: a run that
/// lacks the document adds nothing, but where it says so. Methods that look at ranks do not see scores, nor how they are
/// normalised.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Method {
    /// `Σ w / (k + r)`: reciprocal rank fusion (Cormack, Clarke & Büttcher 2009).
    Rrf {
        /// Larger values flatten the difference between ranks; the paper has 60.
        k: f64,
    },
    /// `m · Σ w / r²`: inverse square rank (Mourão, Martins & Magalhães 2015).
    Isr,
    /// `ln m · Σ w / r²` (the same paper): a document of one run alone has 0.
    LogIsr,
    /// `ln(m + σ) · Σ w / r²` (the same paper).
    LognIsr {
        /// In `[0, 1]`; 0.01 unless told.
        sigma: f64,
    },
    /// `Σ w·s`: CombSUM (Fox & Shaw 1994); with weights a linear or convex combination (Bruch, Gai & Ingber 2023 study it).
    Sum,
    /// `m · Σ w·s`: CombMNZ (Fox & Shaw 1994).
    Mnz,
    /// `Σ w·s / m`: CombANZ (Fox & Shaw 1994).
    Anz,
    /// The greatest `w·s`: CombMAX (Fox & Shaw 1994).
    Max,
    /// The least `w·s` of the runs that have the document: CombMIN (Fox & Shaw 1994).
    Min,
    /// The median of `w·s`, of an even number the mean of the two in the middle: CombMED (Fox & Shaw 1994).
    Med,
    /// `m^γ · Σ w·s`: CombGMNZ (Lee 1997). `γ` of 0 is CombSUM, 1 CombMNZ.
    Gmnz {
        /// At least 0.
        gamma: f64,
    },
    /// `(Σ s) · (Σ w)`: weighted MNZ (Wu & Crestani 2002).
    Wmnz,
    /// `√m · Σ w·s`: between CombSUM and CombMNZ (Wu & Crestani 2002).
    Mixed,
    /// `Σ w · (c − r + 1)` where `c` is the number of documents of all runs together; a run of `n` hits that lacks the
    /// document gives the mean of the points that are left, `(c − n + 1) / 2`: Borda-fuse (Aslam & Montague 2001).
    Borda,
    /// `1 +` the documents that most runs (by weight) rank below this one, `+ ½` for each that as many rank below as above
    /// it: the pairwise majorities of Condorcet-fuse (Montague & Aslam 2002), counted as Copeland 1951 does. A run prefers what
    /// it has to what it lacks, and says nothing about two that it lacks. Where the majorities do not contradict each other
    /// this is Condorcet's order; where they do, sorting by them depends on where one begins, and counting does not.
    /// Takes the square of the number of documents.
    Condorcet,
    /// `Σ w · (1 − φ) · φ^(r − 1)`: rank-biased centroids (Bailey, Moffat, Scholer & Thomas 2017).
    Rbc {
        /// How patient the user is, in `[0, 1)`; larger values look deeper.
        phi: f64,
    },
    /// `Σ w · ln(p / (1 − p))`, `p` the precision of the run around rank `r` in training; a run that lacks the document gives
    /// `ln(0.001 / 0.999)`: Bayes-fuse (Aslam & Montague 2001). [`bayes_fuse`](crate::learned::bayes_fuse) learns it.
    BayesFuse {
        /// For each run the log-odds at each rank.
        log_odds: Vec<Vec<f64>>,
    },
    /// `Σ w · MAP / r`: MAP-fuse (Lillis, Zhang, Toolan, Collier, Leonard & Dunnion 2010).
    /// [`map_fuse`](crate::learned::map_fuse) learns it.
    MapFuse {
        /// For each run its mean average precision in training.
        map_scores: Vec<f64>,
    },
    /// `Σ w · p(r)`, the share with a relevant document at rank `r` of the training queries whose answer is that long: Pos-fuse
    /// (Lillis et al. 2010).
    /// [`pos_fuse`](crate::learned::pos_fuse) learns it.
    PosFuse {
        /// For each run the probability at each rank; 0 beyond.
        probs: Vec<Vec<f64>>,
    },
    /// `Σ w · p(g) / g`, `g` the segment, of equally many, that the rank falls into, and `p` the precision there in training:
    /// Prob-fuse (Lillis, Toolan, Collier & Dunnion 2006). [`prob_fuse`](crate::learned::prob_fuse) learns it.
    ProbFuse {
        /// For each run the probability of each segment.
        probs: Vec<Vec<f64>>,
    },
    /// `Σ w · p(g) · (s + 1)` with segments of 5, 10, 20, 40, … ranks: Seg-fuse (Shokouhi 2007).
    /// [`seg_fuse`](crate::learned::seg_fuse) learns it.
    SegFuse {
        /// For each run the probability of each segment; 0 beyond.
        probs: Vec<Vec<f64>>,
    },
    /// `Σ w ·` the mean of the probabilities of `PosFuse` at the ranks `r − width … r + width`: Slide-fuse (Lillis, Toolan,
    /// Collier & Dunnion 2008). [`slide_fuse`](crate::learned::slide_fuse) learns it.
    SlideFuse {
        /// For each run the probability at each rank.
        probs: Vec<Vec<f64>>,
        /// Ranks to each side, at most 1,000.
        width: usize,
    },
}

impl Default for Method {
    /// The weighted sum.
    fn default() -> Self {
        Method::Sum
    }
}

/// Parameters by their names, as a caller gives them; `None`: not given.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Parameters {
    /// Of `rrf`.
    pub k: Option<f64>,
    /// Of `logn_isr`.
    pub sigma: Option<f64>,
    /// Of `gmnz`.
    pub gamma: Option<f64>,
    /// Of `rbc`.
    pub phi: Option<f64>,
}

impl Method {
    /// Names of the methods that need nothing learnt.
    pub const NAMES: [&'static str; 16] = [
        "rrf",
        "isr",
        "log_isr",
        "logn_isr",
        "sum",
        "mnz",
        "anz",
        "max",
        "min",
        "med",
        "gmnz",
        "wmnz",
        "mixed",
        "borda",
        "condorcet",
        "rbc",
    ];

    /// Reciprocal rank fusion with the constant of its paper.
    pub fn rrf() -> Self {
        Method::Rrf { k: RRF_K }
    }

    /// One of [`Method::NAMES`] with its parameter. Other names of `sum` are `convex` and `wsum`, of `borda` `bordafuse` and
    /// `w_bordafuse`, of `condorcet` `w_condorcet`; weights are given with the runs.
    ///
    /// # Errors
    /// [`Error::Unknown`] for another name, a parameter that the method does not have, and one that it needs and is not
    /// given; [`Error::Parameter`] for one that is out of range.
    pub fn from_name(name: &str, given: Parameters) -> Result<Method> {
        let needed = |value: Option<f64>, parameter: &str, example: &str| {
            value.ok_or_else(|| Error::Unknown(format!("`{parameter}` is missing; {name} needs it, such as {example}")))
        };
        let method = match name {
            "rrf" => Method::Rrf { k: given.k.unwrap_or(RRF_K) },
            "isr" => Method::Isr,
            "log_isr" => Method::LogIsr,
            "logn_isr" => Method::LognIsr { sigma: given.sigma.unwrap_or(0.01) },
            "sum" | "wsum" | "convex" => Method::Sum,
            "mnz" => Method::Mnz,
            "anz" => Method::Anz,
            "max" => Method::Max,
            "min" => Method::Min,
            "med" => Method::Med,
            "gmnz" => Method::Gmnz { gamma: needed(given.gamma, "gamma", "0.5")? },
            "wmnz" => Method::Wmnz,
            "mixed" => Method::Mixed,
            "borda" | "bordafuse" | "w_bordafuse" => Method::Borda,
            "condorcet" | "w_condorcet" => Method::Condorcet,
            "rbc" => Method::Rbc { phi: needed(given.phi, "phi", "0.8")? },
            other => {
                let known = Method::NAMES.join(", ");
                return Err(Error::Unknown(format!("`method` is {other:?}; give one of {known}")));
            }
        };
        let own = match method {
            Method::Rrf { .. } => "k",
            Method::LognIsr { .. } => "sigma",
            Method::Gmnz { .. } => "gamma",
            Method::Rbc { .. } => "phi",
            _ => "",
        };
        let given = [("k", given.k), ("sigma", given.sigma), ("gamma", given.gamma), ("phi", given.phi)];
        if let Some((stranger, _)) = given.iter().find(|(name, value)| value.is_some() && *name != own) {
            return Err(Error::Unknown(format!("`{stranger}` is no parameter of {name}; leave it out")));
        }
        method.check()?;
        Ok(method)
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Method::Rrf { .. } => "rrf",
            Method::Isr => "isr",
            Method::LogIsr => "log_isr",
            Method::LognIsr { .. } => "logn_isr",
            Method::Sum => "sum",
            Method::Mnz => "mnz",
            Method::Anz => "anz",
            Method::Max => "max",
            Method::Min => "min",
            Method::Med => "med",
            Method::Gmnz { .. } => "gmnz",
            Method::Wmnz => "wmnz",
            Method::Mixed => "mixed",
            Method::Borda => "borda",
            Method::Condorcet => "condorcet",
            Method::Rbc { .. } => "rbc",
            Method::BayesFuse { .. } => "bayes_fuse",
            Method::MapFuse { .. } => "map_fuse",
            Method::PosFuse { .. } => "pos_fuse",
            Method::ProbFuse { .. } => "prob_fuse",
            Method::SegFuse { .. } => "seg_fuse",
            Method::SlideFuse { .. } => "slide_fuse",
        }
    }

    /// Whether it looks at scores, and so at how they are normalised.
    pub fn reads_scores(&self) -> bool {
        use Method::{Anz, Gmnz, Max, Med, Min, Mixed, Mnz, SegFuse, Sum, Wmnz};
        matches!(self, Sum | Mnz | Anz | Max | Min | Med | Gmnz { .. } | Wmnz | Mixed | SegFuse { .. })
    }

    /// Whether the parameters are in their ranges.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn check(&self) -> Result<()> {
        let wrong = |name, value: f64, allowed| {
            Err(Error::Parameter { method: self.name(), name, value: value.to_string(), allowed })
        };
        match *self {
            Method::Rrf { k } if !(k.is_finite() && k >= 0.0) => wrong("k", k, "a finite number of at least 0"),
            Method::LognIsr { sigma } if !(0.0..=1.0).contains(&sigma) => wrong("sigma", sigma, "0 to 1"),
            Method::Gmnz { gamma } if !(gamma.is_finite() && gamma >= 0.0) => {
                wrong("gamma", gamma, "a finite number of at least 0")
            }
            Method::SlideFuse { width, .. } if width > MAX_WIDTH => wrong("width", width as f64, "0 to 1000"),
            Method::Rbc { phi } if !(0.0..1.0).contains(&phi) => wrong("phi", phi, "0 up to, not including, 1"),
            _ => {
                let learnt = self.learnt().into_iter().flatten();
                match learnt.flatten().find(|value| !value.is_finite()) {
                    Some(&value) => wrong(self.learnt_name(), value, "finite numbers"),
                    None => Ok(()),
                }
            }
        }
    }

    fn learnt_name(&self) -> &'static str {
        match self {
            Method::BayesFuse { .. } => "log_odds",
            Method::MapFuse { .. } => "map_scores",
            _ => "probs",
        }
    }

    /// What was learnt, for each run; `None`: nothing is.
    pub(crate) fn learnt(&self) -> Option<Vec<&[f64]>> {
        match self {
            Method::BayesFuse { log_odds: all }
            | Method::PosFuse { probs: all }
            | Method::ProbFuse { probs: all }
            | Method::SegFuse { probs: all }
            | Method::SlideFuse { probs: all, .. } => Some(all.iter().map(Vec::as_slice).collect()),
            Method::MapFuse { map_scores } => Some(map_scores.chunks(1).collect()),
            _ => None,
        }
    }
}
