//! Training with odd data and settings: missing values, bags that nothing can be learnt from, numbers that overflow.
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;

use rag_ltr::model::{Condition, Model};
use rag_ltr::random::SplitMix64;
use rag_ltr::train::{Dataset, End, LambdaMart, Objective, Progress, Trained, lambdamart};
use rag_ltr::{Error, Ranker, Rows};

fn on(_: Progress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn train(dataset: &Dataset<'_>, parameters: &LambdaMart) -> Trained {
    lambdamart(dataset, None, parameters, &mut on).unwrap()
}

fn regression() -> LambdaMart {
    LambdaMart { objective: Objective::Regression, num_trees: 5, num_threads: 1, ..LambdaMart::default() }
}

/// 100 values that are missing, then 15 times 1 and 15 times 2; labels that follow which are missing.
fn missing(by: f32) -> (Vec<f32>, Vec<f32>) {
    let values = [vec![by; 100], vec![1.0; 15], vec![2.0; 15]].concat();
    let labels = [vec![1.0; 100], vec![0.0; 30]].concat();
    (values, labels)
}

#[test]
fn a_model_that_parts_numbers_from_nan_can_be_saved() {
    let (values, labels) = missing(f32::NAN);
    // With 0 and 1 in the place of 1 and 2 no bin is below all numbers, and no threshold but infinity parts them from NaN.
    let values: Vec<f32> = values.iter().map(|value| value - 1.0).collect();
    let rows = Rows::new(&values, 1).unwrap();
    let trained = train(&Dataset::new(rows, &labels, &[]), &regression());
    let mut splits = trained.ensemble.parts().trees.iter().flat_map(|tree| &tree.splits);
    assert!(splits.any(|split| split.condition == Condition::AtMost(f64::INFINITY)));
    let ranker = Ranker::new(Model::Trees(trained.ensemble)).unwrap();
    let opened = Ranker::from_bytes(&ranker.to_bytes().unwrap()).unwrap();
    let bits = |ranker: &Ranker| -> Vec<u64> { ranker.score(rows).unwrap().into_iter().map(f64::to_bits).collect() };
    assert_eq!(bits(&opened), bits(&ranker));
    assert_eq!(opened, ranker);
}

#[test]
fn nan_counts_as_zero_where_zero_is_missing() {
    for use_missing in [true, false] {
        let parameters = LambdaMart { zero_as_missing: use_missing, use_missing, ..regression() };
        let grown = |by: f32| {
            let (values, labels) = missing(by);
            train(&Dataset::new(Rows::new(&values, 1).unwrap(), &labels, &[]), &parameters)
        };
        let trained = grown(f32::NAN);
        assert_eq!(trained, grown(0.0));
        assert_eq!(trained.ensemble.parts().trees.len(), 5);
        // As LightGBM 4.7.0 answers, which grows five trees too.
        let margins = trained.ensemble.margins(Rows::new(&[f32::NAN, 0.0, 1.0, 2.0], 1).unwrap()).unwrap();
        for (found, expected) in margins.iter().zip([0.863_733_08, 0.863_733_08, 0.454_223_08, 0.454_223_08]) {
            assert!((found - expected).abs() < 1e-6, "{margins:?}");
        }
    }
}

/// Three queries of 20 documents, whose grade follows the first of two columns.
fn three_queries() -> (Vec<f32>, Vec<f32>) {
    let mut random = SplitMix64::new(3);
    let values: Vec<f32> = (0..120).map(|_| random.fraction() as f32).collect();
    let labels = values.chunks(2).map(|row| f32::from(u8::from(row[0] > 0.5))).collect();
    (values, labels)
}

#[test]
fn a_bag_without_a_split_is_drawn_again() {
    let (values, labels) = three_queries();
    let dataset = Dataset::new(Rows::new(&values, 2).unwrap(), &labels, &[20; 3]);
    // A third of the draws has no query at all.
    let parameters = LambdaMart {
        num_trees: 40,
        bagging_by_query: true,
        bagging_fraction: 0.3,
        bagging_freq: 1,
        min_data_in_leaf: 3,
        num_threads: 1,
        ..LambdaMart::default()
    };
    let trained = train(&dataset, &parameters);
    assert_eq!((trained.ensemble.parts().trees.len(), trained.curve.len(), trained.end), (40, 40, End::Complete));
    let trained = train(&dataset, &LambdaMart { bagging_freq: 7, ..parameters.clone() });
    assert_eq!((trained.ensemble.parts().trees.len(), trained.end), (40, End::Complete));
    // No draw has enough rows.
    let trained = train(&dataset, &LambdaMart { bagging_fraction: 1e-9, ..parameters });
    assert_eq!((trained.ensemble.parts().trees.len(), trained.end), (0, End::NothingToSplit));
}

#[test]
fn why_a_training_ended_is_told() {
    let (values, labels) = three_queries();
    let rows = Rows::new(&values, 2).unwrap();
    let dataset = Dataset::new(rows, &labels, &[20; 3]);
    let parameters = LambdaMart { num_trees: 30, min_data_in_leaf: 3, num_threads: 1, ..LambdaMart::default() };
    assert_eq!(train(&dataset, &parameters).end, End::Complete);
    let stopped = lambdamart(&dataset, None, &parameters, &mut |_| ControlFlow::Break(())).unwrap();
    assert_eq!((stopped.end, stopped.best_iteration), (End::Stopped, 1));
    let early = LambdaMart { early_stopping_rounds: 2, ..parameters.clone() };
    assert_eq!(lambdamart(&dataset, Some(&dataset), &early, &mut on).unwrap().end, End::NotBetter);
    // All grades are equal, all values are, or a leaf needs more rows than there are: the answer is the same for all.
    let (same_labels, same_values) = ([1.0; 60], [0.5; 120]);
    let same = Rows::new(&same_values, 2).unwrap();
    let large = LambdaMart { min_data_in_leaf: 31, ..parameters.clone() };
    for (dataset, parameters) in [
        (Dataset::new(rows, &same_labels, &[20; 3]), &parameters),
        (Dataset::new(same, &labels, &[20; 3]), &parameters),
        (dataset, &large),
    ] {
        let trained = train(&dataset, parameters);
        assert_eq!((trained.end, trained.best_iteration, trained.curve.len()), (End::NothingToSplit, 0, 0));
        assert_eq!(trained.ensemble.margins(rows).unwrap(), [0.0; 60]);
    }
}

#[test]
fn numbers_that_overflow_are_told() {
    let (values, labels) = three_queries();
    let dataset = Dataset::new(Rows::new(&values, 2).unwrap(), &labels, &[20; 3]);
    let large = [f32::MAX, f32::MIN].repeat(30);
    for objective in [Objective::Lambdarank, Objective::Regression, Objective::Binary] {
        let parameters = LambdaMart { objective, min_data_in_leaf: 3, num_threads: 1, ..LambdaMart::default() };
        let refuses = |dataset: &Dataset<'_>, parameters: &LambdaMart| {
            let refused = lambdamart(dataset, None, parameters, &mut on);
            assert!(
                matches!(&refused, Err(Error::Training(why)) if why.contains("range of numbers")),
                "{objective:?}: {:?}",
                refused.map(|trained| trained.end)
            );
        };
        refuses(&dataset, &LambdaMart { learning_rate: 1e308, ..parameters.clone() });
        if objective == Objective::Regression {
            refuses(&Dataset::new(dataset.rows, &large, &[]), &LambdaMart { learning_rate: 9.0, ..parameters });
        } else {
            refuses(&dataset, &LambdaMart { sigmoid: 1e308, ..parameters });
        }
    }
}

#[test]
fn threads_are_bounded() {
    let ranker = {
        let (values, labels) = missing(0.0);
        let trained = train(&Dataset::new(Rows::new(&values, 1).unwrap(), &labels, &[]), &regression());
        Ranker::new(Model::Trees(trained.ensemble)).unwrap()
    };
    let values: Vec<f32> = (0..10_000).map(|row| row as f32 % 3.0).collect();
    let rows = Rows::new(&values, 1).unwrap();
    for threads in [1025, usize::MAX] {
        assert!(matches!(ranker.score_with_threads(rows, threads), Err(Error::Setting { name: "threads", .. })));
    }
    assert_eq!(ranker.score_with_threads(rows, 1024).unwrap(), ranker.score(rows).unwrap());
}
