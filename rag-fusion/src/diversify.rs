//! A ranking without repetition: maximal marginal relevance, and the best few of each group.

use std::collections::HashMap;
use std::hash::Hash;

use serde::{Deserialize, Serialize};

/// What is wrong with the input; each message names the field and the way out.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum DiversifyError {
    /// A trade-off that means nothing.
    #[error("`lambda` is {0}; give a number from 0 (diversity alone) to 1 (relevance alone)")]
    Lambda(f64),
    /// A relevance that cannot be compared.
    #[error("the relevance at position {position} is {value}; give finite numbers")]
    Relevance {
        /// 0-based position in the list.
        position: usize,
        /// NaN or an infinity.
        value: f64,
    },
    /// A similarity that cannot be compared.
    #[error("the similarity of positions {a} and {b} is {value}; give finite numbers, such as a cosine")]
    Similarity {
        /// 0-based position of the one.
        a: usize,
        /// 0-based position of the other.
        b: usize,
        /// NaN or an infinity.
        value: f64,
    },
    /// Nothing would be kept.
    #[error("`keep` is 0; keep at least 1 of each key")]
    KeepNothing,
}

/// How the relevance is scaled before it is weighed against similarity.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relevance {
    /// `(relevance − min) / (max − min)` within the list; all equal: 1. Scores of any fusion can be weighed against a
    /// cosine then.
    #[default]
    MinMax,
    /// As it is, for a relevance that is on the scale of the similarity, such as a cosine with the query.
    AsGiven,
}

/// Maximal marginal relevance (Carbonell & Goldstein 1998): each place goes to the document of the highest
/// `λ · relevance − (1 − λ) · (its greatest similarity to a document before it)`. Nothing stands before the first.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct Mmr {
    /// From 0 (diversity alone) to 1 (relevance alone: the order by relevance).
    pub lambda: f64,
    /// How the relevance is scaled.
    #[serde(default)]
    pub relevance: Relevance,
}

/// A document in its new place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Picked {
    /// 0-based position in the list that was given.
    pub position: usize,
    /// Its value when it was picked; `None` for what was filled in after a stop.
    pub value: Option<f64>,
    /// The document before it that it is most similar to (of equal ones the first), and how similar; `None` for the first
    /// and for what was filled in.
    pub nearest: Option<Nearest>,
}

/// A document that another one is similar to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearest {
    /// 0-based position in the list that was given.
    pub position: usize,
    /// As the caller measures it.
    pub similarity: f64,
}

/// What came of a diversification.
#[derive(Debug, Clone, PartialEq)]
pub struct Diversified {
    /// The new order.
    pub picked: Vec<Picked>,
    /// Whether it was stopped: what was not picked by then follows by relevance.
    pub stopped: bool,
}

impl Mmr {
    /// Min-max scaled relevance, weighed by `lambda`.
    pub fn new(lambda: f64) -> Self {
        Mmr { lambda, relevance: Relevance::default() }
    }

    /// Picks the first `k` documents, of a list given by its relevance (higher is better).
    ///
    /// `similarity(a, b)` is of two positions, of which `b` was picked; it is called once for each document left over at each
    /// pick, `O(n·k)` in all. `is_stopped` is asked before each pick after the first; once it says yes, the rest follows by
    /// relevance and the answer says so. Equal values rank by relevance, then by position: with a λ of 1 a ranked list keeps
    /// its order.
    ///
    /// ```
    /// use rag_fusion::diversify::Mmr;
    /// let topics = ["solar", "solar", "wind"];
    /// let same = |a: usize, b: usize| if topics[a] == topics[b] { 1.0 } else { 0.0 };
    /// let answer = Mmr::new(0.5).pick(&[0.9, 0.8, 0.5], same, 2, &|| false)?;
    /// assert_eq!(answer.picked.iter().map(|it| it.position).collect::<Vec<_>>(), [0, 2]);
    /// # Ok::<(), rag_fusion::diversify::DiversifyError>(())
    /// ```
    ///
    /// # Errors
    /// [`DiversifyError::Lambda`], [`DiversifyError::Relevance`], [`DiversifyError::Similarity`].
    pub fn pick(
        &self,
        relevance: &[f64],
        similarity: impl Fn(usize, usize) -> f64,
        k: usize,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Diversified, DiversifyError> {
        if !(0.0..=1.0).contains(&self.lambda) {
            return Err(DiversifyError::Lambda(self.lambda));
        }
        if let Some((position, &value)) = relevance.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            return Err(DiversifyError::Relevance { position, value });
        }
        let scaled = self.scale(relevance);
        // What is left, by relevance, so that the first of equal values is the one to pick.
        let mut left: Vec<(usize, Option<Nearest>)> = (0..relevance.len()).map(|position| (position, None)).collect();
        left.sort_by(|a, b| relevance[b.0].total_cmp(&relevance[a.0]));
        let mut answer = Diversified { picked: Vec::new(), stopped: false };
        while answer.picked.len() < k && !left.is_empty() {
            if let Some(last) = answer.picked.last().map(|last: &Picked| last.position) {
                if is_stopped() {
                    answer.stopped = true;
                    let filled = left.iter().take(k - answer.picked.len());
                    answer.picked.extend(filled.map(|&(position, _)| Picked { position, value: None, nearest: None }));
                    break;
                }
                for (position, nearest) in &mut left {
                    let value = similarity(*position, last);
                    if !value.is_finite() {
                        return Err(DiversifyError::Similarity { a: *position, b: last, value });
                    }
                    if nearest.is_none_or(|nearest| value > nearest.similarity) {
                        *nearest = Some(Nearest { position: last, similarity: value });
                    }
                }
            }
            let values = left.iter().map(|(position, nearest)| {
                self.lambda * scaled[*position]
                    - (1.0 - self.lambda) * nearest.map_or(0.0, |nearest| nearest.similarity)
            });
            let mut best = (0, f64::NEG_INFINITY);
            for (at, value) in values.enumerate() {
                if value > best.1 {
                    best = (at, value);
                }
            }
            let (position, nearest) = left.remove(best.0);
            answer.picked.push(Picked { position, value: Some(best.1), nearest });
        }
        Ok(answer)
    }

    fn scale(&self, relevance: &[f64]) -> Vec<f64> {
        if self.relevance == Relevance::AsGiven {
            return relevance.to_vec();
        }
        // Halves, so that the width of a list with both ends of the numbers is finite too.
        let low = relevance.iter().copied().fold(f64::INFINITY, f64::min) / 2.0;
        let width = relevance.iter().copied().fold(f64::NEG_INFINITY, f64::max) / 2.0 - low;
        relevance.iter().map(|value| if width > 0.0 { (value / 2.0 - low) / width } else { 1.0 }).collect()
    }
}

/// A key and what became of its documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group<K> {
    /// The key.
    pub key: K,
    /// 0-based positions that are kept, in ranked order.
    pub kept: Vec<usize>,
    /// How many documents of the key are hidden.
    pub hidden: usize,
}

/// A ranking with few documents of each key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collapsed<K> {
    /// 0-based positions that are kept, in ranked order.
    pub kept: Vec<usize>,
    /// The keys, by their first document.
    pub groups: Vec<Group<K>>,
}

/// Keeps the best `keep` documents of each key, in ranked order. A document without a key (`None`) stays: it is of no group.
///
/// ```
/// use rag_fusion::diversify::collapse;
/// let answer = collapse([Some("a.pdf"), Some("a.pdf"), None, Some("b.pdf")], 1)?;
/// assert_eq!(answer.kept, [0, 2, 3]);
/// assert_eq!((answer.groups[0].key, answer.groups[0].hidden), ("a.pdf", 1));
/// # Ok::<(), rag_fusion::diversify::DiversifyError>(())
/// ```
///
/// # Errors
/// [`DiversifyError::KeepNothing`].
pub fn collapse<K: Clone + Eq + Hash>(
    keys: impl IntoIterator<Item = Option<K>>,
    keep: usize,
) -> Result<Collapsed<K>, DiversifyError> {
    if keep == 0 {
        return Err(DiversifyError::KeepNothing);
    }
    let mut answer = Collapsed { kept: Vec::new(), groups: Vec::new() };
    let mut group_of = HashMap::new();
    for (position, key) in keys.into_iter().enumerate() {
        let Some(key) = key else {
            answer.kept.push(position);
            continue;
        };
        let at = *group_of.entry(key.clone()).or_insert(answer.groups.len());
        if at == answer.groups.len() {
            answer.groups.push(Group { key, kept: Vec::new(), hidden: 0 });
        }
        let group = &mut answer.groups[at];
        if group.kept.len() < keep {
            group.kept.push(position);
            answer.kept.push(position);
        } else {
            group.hidden += 1;
        }
    }
    Ok(answer)
}
