//! Training with odd data and settings: missing values, bags that nothing can be learnt from, numbers that overflow.
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;

use rag_ltr::model::{Condition, Model};
use rag_ltr::train::{Dataset, LambdaMart, Objective, Progress, Trained, lambdamart};
use rag_ltr::{Ranker, Rows};

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
