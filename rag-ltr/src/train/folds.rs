//! Cross-validation by whole queries.

use crate::error::{Error, Result};
use crate::random::SplitMix64;

/// Most folds: each has a list of nearly all queries.
const MAX_FOLDS: usize = 1000;

/// One part of the queries held out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fold {
    /// The queries to train with, ascending.
    pub train: Vec<usize>,
    /// The queries that are held out, ascending.
    pub test: Vec<usize>,
}

/// Parts the queries `0..queries` into `k` folds, each query held out once, the sizes differing by at most one.
///
/// ```
/// let folds = rag_ltr::train::folds(10, 3, 0)?;
/// assert_eq!(folds.iter().map(|fold| fold.test.len()).collect::<Vec<_>>(), [4, 3, 3]);
/// # Ok::<(), rag_ltr::Error>(())
/// ```
///
/// # Errors
/// [`Error::Setting`] for `k` below 2, above 1,000 or above the number of queries.
pub fn folds(queries: usize, k: usize, seed: u64) -> Result<Vec<Fold>> {
    if k < 2 || k > queries.min(MAX_FOLDS) {
        let range = "2 to 1,000, and not more than there are queries";
        return Err(Error::Setting { name: "k", value: k as f64, range });
    }
    let mut order: Vec<usize> = (0..queries).collect();
    SplitMix64::new(seed).shuffle(&mut order);
    let mut fold_of = vec![0; queries];
    for (position, &query) in order.iter().enumerate() {
        fold_of[query] = position % k;
    }
    let of = |fold: usize| {
        let (test, train) = (0..queries).partition(|&query| fold_of[query] == fold);
        Fold { train, test }
    };
    Ok((0..k).map(of).collect())
}

/// Scores every query by a model that has not seen it. `fit` trains with some queries, `score` scores the rows of one;
/// the answer has the scores of each query, in order.
///
/// # Errors
/// As [`folds`], and what `fit` and `score` answer.
pub fn out_of_fold<M, E: From<Error>>(
    queries: usize,
    k: usize,
    seed: u64,
    mut fit: impl FnMut(&[usize]) -> Result<M, E>,
    mut score: impl FnMut(&M, usize) -> Result<Vec<f64>, E>,
) -> Result<Vec<Vec<f64>>, E> {
    let mut scores = vec![Vec::new(); queries];
    for fold in folds(queries, k, seed)? {
        let model = fit(&fold.train)?;
        for query in fold.test {
            scores[query] = score(&model, query)?;
        }
    }
    Ok(scores)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn each_query_is_held_out_once_and_never_trained_with() {
        for k in 2..=7 {
            let folds = folds(7, k, 3).unwrap();
            let mut held: Vec<usize> = folds.iter().flat_map(|fold| fold.test.clone()).collect();
            held.sort_unstable();
            assert_eq!(held, [0, 1, 2, 3, 4, 5, 6]);
            assert!(folds.iter().all(|fold| fold.train.iter().all(|query| !fold.test.contains(query))));
            assert!(folds.iter().all(|fold| fold.train.len() + fold.test.len() == 7));
        }
        for (queries, k) in [(3, 4), (3, 1), (5000, 1001), (1 << 40, 1 << 40)] {
            assert!(matches!(folds(queries, k, 0), Err(Error::Setting { name: "k", .. })), "{k} of {queries}");
        }
        assert_eq!(folds(1000, 1000, 0).unwrap().len(), 1000);
    }

    #[test]
    fn scores_come_from_models_that_have_not_seen_the_query() {
        let fit = |train: &[usize]| Ok::<_, Error>(train.to_vec());
        let score = |seen: &Vec<usize>, query| {
            assert!(!seen.contains(&query));
            Ok(vec![query as f64])
        };
        let scores = out_of_fold(5, 2, 1, fit, score).unwrap();
        assert_eq!(scores.concat(), [0.0, 1.0, 2.0, 3.0, 4.0]);
    }
}
