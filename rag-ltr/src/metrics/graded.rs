//! The metrics of one ranking.

use std::borrow::Borrow;
use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::metrics::metric::{Gain, Metric};

/// What a gain at a 1-based rank is multiplied with: `1 / log2(1 + rank)` (Järvelin & Kekäläinen 2002, with the
/// discount from rank 2 on that became usual).
pub fn discount(rank: usize) -> f64 {
    1.0 / (1.0 + rank as f64).log2()
}

/// Discounted cumulative gain of grades in rank order, over the first `k` (`None`: all). 0 for none.
pub fn dcg(grades: impl IntoIterator<Item = i32>, k: Option<usize>, gain: Gain) -> f64 {
    let first = grades.into_iter().take(k.unwrap_or(usize::MAX));
    let gains = first.enumerate().filter(|&(_, grade)| grade > 0);
    // Not the product with `discount`: one rounding less, as in trec_eval.
    let gains = gains.map(|(position, grade)| gain.of(grade) / (position as f64 + 2.0).log2());
    gains.fold(0.0, |sum, gain| sum + gain) // `sum()` of none is −0
}

/// The largest [`dcg`] that any order of these grades has.
pub fn ideal_dcg(grades: impl IntoIterator<Item = i32>, k: Option<usize>, gain: Gain) -> f64 {
    let mut grades: Vec<i32> = grades.into_iter().filter(|&grade| grade > 0).collect();
    grades.sort_unstable_by_key(|&grade| Reverse(grade));
    dcg(grades, k, gain)
}

/// [`dcg`] of the grades of a ranking (0 where there is no judgment), divided by the [`ideal_dcg`] of all `judged`
/// documents of the query, those that were not retrieved included. 0 where no document has a gain.
///
/// A list that is all there is, as in training, is its own `judged`.
///
/// ```
/// use rag_ltr::metrics::{Gain, ndcg};
/// assert_eq!(ndcg(&[3, 2, 0], &[0, 2, 3], Some(10), Gain::Exponential), 1.0);
/// assert!(ndcg(&[2, 3, 0], &[2, 3, 0], Some(10), Gain::Exponential) < 1.0);
/// ```
pub fn ndcg(ranked: &[i32], judged: &[i32], k: Option<usize>, gain: Gain) -> f64 {
    ratio(dcg(ranked.iter().copied(), k, gain), ideal_dcg(judged.iter().copied(), k, gain))
}

/// One ranking seen through the judgments of its query: all that a metric needs, whatever the ids are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GradedRanking {
    retrieved: Vec<Option<i32>>,
    /// Descending.
    judged: Vec<i32>,
}

impl GradedRanking {
    /// From the grades of the retrieved documents, best first (`None`: not judged), and those of *all* judged documents
    /// of the query in any order, the retrieved ones included: with fewer, values leave `[0, 1]`.
    pub fn new(
        retrieved: impl IntoIterator<Item = Option<i32>>,
        judged: impl IntoIterator<Item = i32>,
    ) -> GradedRanking {
        let mut judged: Vec<i32> = judged.into_iter().collect();
        judged.sort_unstable_by_key(|&grade| Reverse(grade));
        GradedRanking { retrieved: retrieved.into_iter().collect(), judged }
    }

    /// From ids, best first, each once.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use rag_ltr::metrics::{GradedRanking, Metric};
    /// let judgments = BTreeMap::from([(7u64, 1), (8, 0), (9, 2)]);
    /// let ranking = GradedRanking::of(&[8u64, 9, 3], &judgments);
    /// assert_eq!(ranking.value(Metric::Mrr { k: None }, 1), 0.5);
    /// ```
    pub fn of<'a, Id, Key>(ranked: impl IntoIterator<Item = &'a Id>, judgments: &BTreeMap<Key, i32>) -> GradedRanking
    where
        Id: Ord + ?Sized + 'a,
        Key: Borrow<Id> + Ord,
    {
        let retrieved = ranked.into_iter().map(|id| judgments.get(id).copied());
        GradedRanking::new(retrieved, judgments.values().copied())
    }

    /// The value of a metric. A document is relevant from grade `relevance_level` on (trec_eval `-l`; 1 is usual, and 0
    /// takes in what was judged not relevant); nDCG and judged do not look at it. A cutoff of 0 gives 0.
    pub fn value(&self, metric: Metric, relevance_level: u32) -> f64 {
        let retrieved = self.retrieved.len();
        let depth = metric.k().unwrap_or(usize::MAX).min(retrieved);
        let is_relevant = |grade: i32| i64::from(grade) >= i64::from(relevance_level);
        let total = || self.judged.iter().filter(|&&grade| is_relevant(grade)).count();
        // The 0-based positions of the relevant documents among the first `depth`.
        let mut found = (0..depth).filter(|&at| self.retrieved.get(at).copied().flatten().is_some_and(is_relevant));
        match metric {
            Metric::Ndcg { k, gain } => {
                let grades = self.retrieved.iter().map(|grade| grade.unwrap_or_default());
                ratio(dcg(grades, k, gain), dcg(self.judged.iter().copied(), k, gain))
            }
            Metric::Map { .. } => {
                let precisions = found.enumerate().map(|(before, at)| (before + 1) as f64 / (at + 1) as f64);
                ratio(precisions.fold(0.0, |sum, precision| sum + precision), total() as f64)
            }
            Metric::Mrr { .. } => found.next().map_or(0.0, |at| 1.0 / (at + 1) as f64),
            Metric::Precision { k } => ratio(found.count() as f64, k.unwrap_or(retrieved) as f64),
            Metric::Recall { .. } => ratio(found.count() as f64, total() as f64),
            Metric::Success { .. } => f64::from(u8::from(found.next().is_some())),
            Metric::Judged { .. } => {
                let judged = self.retrieved.iter().take(depth).flatten().count();
                ratio(judged as f64, depth as f64)
            }
        }
    }
}

/// 0 where there is nothing to divide by.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
