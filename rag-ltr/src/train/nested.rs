//! Choosing a model and a weight without looking at what they are judged by.

use super::folds::{folds, out_of_fold};
use crate::error::{Error, Result};

/// How [`nested`] parts the queries and what it chooses from.
#[derive(Debug, Clone, PartialEq)]
pub struct Nested {
    /// Parts that are held out in turn, 2 to 1,000.
    pub folds: usize,
    /// Parts of what is left, 2 to 1,000: a weight is judged by models that have not seen the query either.
    pub inner_folds: usize,
    /// The weights to choose from, at least one. Of equally good ones the first is taken.
    pub weights: Vec<f32>,
    /// What the parts follow from.
    pub seed: u64,
}

impl Default for Nested {
    /// Five parts of five, and the weights 0, 0.1, … 1.
    fn default() -> Self {
        Nested { folds: 5, inner_folds: 5, weights: (0..=10u8).map(|tenth| f32::from(tenth) / 10.0).collect(), seed: 0 }
    }
}

/// What was found with one part of the queries held out.
#[derive(Debug, Clone, PartialEq)]
pub struct NestedFold<M> {
    /// The queries that were held out, ascending.
    pub test: Vec<usize>,
    /// The model of all other queries.
    pub model: M,
    /// Which of the candidates made it.
    pub candidate: usize,
    /// The weight that was best on the other queries.
    pub weight: f32,
    /// The mean quality of candidate and weight on the other queries, each ranked by a model that has not seen it.
    pub expected: f64,
    /// The quality of each held-out query, in the order of `test`.
    pub values: Vec<f64>,
}

/// Nested cross-validation by whole queries (Varma & Simon 2006): each query is ranked by a model of `candidates` and with
/// a weight that were both chosen on other queries, so that the values say what is to be expected of new ones.
///
/// `fit` trains a candidate on some queries, `score` gives a model's margins of one query, and `quality` says how good
/// margins are for a query with a weight, more being better. Candidates and weights are compared by inner
/// cross-validation on the queries that are not held out; with one candidate and one weight nothing is compared, and
/// `expected` is NaN.
///
/// ```
/// use rag_ltr::train::{Nested, nested};
/// // The second candidate is right about every query, and the larger the weight the better.
/// let options = Nested { folds: 5, inner_folds: 3, weights: vec![0.0, 0.5, 1.0], seed: 0 };
/// let fit = |candidate: &f64, _: &[usize]| Ok::<f64, rag_ltr::Error>(*candidate);
/// let score = |model: &f64, query: usize| Ok(vec![model * query as f64]);
/// let quality = |query: usize, margins: &[f64], weight: f32| {
///     Ok(if margins[0] == query as f64 { f64::from(weight) } else { 0.0 })
/// };
/// let folds = nested(20, &[2.0, 1.0], &options, fit, score, quality)?;
/// assert!(folds.iter().all(|fold| fold.candidate == 1 && fold.weight == 1.0 && fold.values == [1.0; 4]));
/// # Ok::<(), rag_ltr::Error>(())
/// ```
///
/// # Errors
/// [`Error::Setting`] for folds that are fewer than 2, more than 1,000 or more than there are queries, and for no candidate
/// or weight; what the closures answer.
pub fn nested<C, M, E: From<Error>>(
    queries: usize,
    candidates: &[C],
    options: &Nested,
    mut fit: impl FnMut(&C, &[usize]) -> Result<M, E>,
    mut score: impl FnMut(&M, usize) -> Result<Vec<f64>, E>,
    mut quality: impl FnMut(usize, &[f64], f32) -> Result<f64, E>,
) -> Result<Vec<NestedFold<M>>, E> {
    for (name, count) in [("candidates", candidates.len()), ("weights", options.weights.len())] {
        if count == 0 {
            return Err(Error::Setting { name, value: 0.0, range: "at least one" }.into());
        }
    }
    let is_choice = candidates.len() > 1 || options.weights.len() > 1;
    let mut answers = Vec::with_capacity(options.folds);
    for (number, fold) in folds(queries, options.folds, options.seed)?.into_iter().enumerate() {
        let (mut chosen, mut expected) = ((0, options.weights[0]), f64::NAN);
        if is_choice {
            expected = f64::NEG_INFINITY;
            for (at, candidate) in candidates.iter().enumerate() {
                let seed = options.seed.wrapping_add(1 + number as u64);
                // The queries of the inner folds are positions in `fold.train`.
                let margins = out_of_fold(
                    fold.train.len(),
                    options.inner_folds,
                    seed,
                    |train| fit(candidate, &train.iter().map(|&query| fold.train[query]).collect::<Vec<_>>()),
                    |model, query| score(model, fold.train[query]),
                )?;
                for &weight in &options.weights {
                    let mut sum = 0.0;
                    for (&query, margins) in fold.train.iter().zip(&margins) {
                        sum += quality(query, margins, weight)?;
                    }
                    let mean = sum / fold.train.len() as f64;
                    if mean > expected {
                        (chosen, expected) = ((at, weight), mean);
                    }
                }
            }
        }
        let (candidate, weight) = chosen;
        let model = fit(&candidates[candidate], &fold.train)?;
        let mut values = Vec::with_capacity(fold.test.len());
        for &query in &fold.test {
            values.push(quality(query, &score(&model, query)?, weight)?);
        }
        answers.push(NestedFold { test: fold.test, model, candidate, weight, expected, values });
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::cell::RefCell;

    use super::*;

    const OPTIONS: Nested = Nested { folds: 4, inner_folds: 3, weights: Vec::new(), seed: 2 };

    #[test]
    fn no_choice_and_no_model_sees_a_held_out_query() {
        let options = Nested { weights: vec![0.2, 0.8], ..OPTIONS };
        let asked = RefCell::new(Vec::new());
        let fit = |(): &(), train: &[usize]| Ok::<_, Error>(train.to_vec());
        let score = |seen: &Vec<usize>, query: usize| {
            assert!(!seen.contains(&query), "a model has seen the query that it scores");
            Ok(vec![seen.len() as f64])
        };
        let quality = |query: usize, margins: &[f64], weight: f32| {
            asked.borrow_mut().push((query, margins[0]));
            Ok(f64::from(weight))
        };
        let folds = nested(12, &[()], &options, fit, score, quality).unwrap();
        let mut asked = asked.into_inner().into_iter();
        let mut held: Vec<usize> = Vec::new();
        for fold in &folds {
            assert_eq!((fold.weight, fold.test.len(), fold.model.len()), (0.8, 3, 9));
            assert!((fold.expected - 0.8).abs() < 1e-6);
            // 9 other queries with 2 weights, by models of 6; only then the 3 that are held out, by the model of 9.
            for (query, size) in asked.by_ref().take(18) {
                assert!(!fold.test.contains(&query) && size == 6.0);
            }
            for (query, size) in asked.by_ref().take(3) {
                assert!(fold.test.contains(&query) && size == 9.0);
            }
            held.extend(&fold.test);
        }
        held.sort_unstable();
        assert_eq!(held, (0..12).collect::<Vec<_>>());
        assert_eq!(asked.next(), None);
    }

    #[test]
    fn without_a_choice_nothing_is_compared() {
        let options = Nested { weights: vec![0.5], inner_folds: 0, ..OPTIONS };
        let mut fits = 0;
        let fit = |(): &(), _: &[usize]| {
            fits += 1;
            Ok::<_, Error>(())
        };
        let folds = nested(8, &[()], &options, fit, |(), _| Ok(vec![]), |_, _, _| Ok(1.0)).unwrap();
        assert!(folds.iter().all(|fold| fold.expected.is_nan() && fold.weight == 0.5));
        assert_eq!(fits, 4);
    }

    #[test]
    fn nothing_to_choose_from_is_refused() {
        let score = |(): &(), _| Ok::<_, Error>(vec![]);
        let none = nested(8, &[()], &OPTIONS, |(), _| Ok(()), score, |_, _, _| Ok(1.0)).unwrap_err();
        assert!(none.to_string().contains("weights"), "{none}");
        let options = Nested { weights: vec![1.0], ..OPTIONS };
        let none = nested(8, &[], &options, |(), _| Ok(()), score, |_, _, _| Ok(1.0)).unwrap_err();
        assert!(none.to_string().contains("candidates"), "{none}");
    }
}
