//! Training: against a plain tree grower, at any number of threads, with constraints, missing values and odd data.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::ops::ControlFlow;

use proptest::prelude::*;
use rag_ltr::model::{Condition, Model};
use rag_ltr::random::SplitMix64;
use rag_ltr::train::{
    Dataset, GrowPolicy, LambdaMart, Objective, Progress, Trained, importance, lambdamart, permutation_importance,
};
use rag_ltr::{Error, Ranker, Rows};

fn on(_: Progress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn train(dataset: &Dataset<'_>, parameters: &LambdaMart) -> Trained {
    lambdamart(dataset, None, parameters, &mut on).unwrap()
}

/// Queries of ten documents whose grade follows three of six columns; some values are missing, one column is a category.
fn made_up(queries: usize, seed: u64) -> (Vec<f32>, Vec<f32>, Vec<usize>) {
    let mut random = SplitMix64::new(seed);
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..queries * 10 {
        let mut row: Vec<f32> = (0..6).map(|_| random.fraction() as f32).collect();
        row[3] = random.below(9) as f32;
        row[4] = if random.below(3) > 0 { 0.0 } else { row[4] };
        let category = if (row[3] as usize).is_multiple_of(3) { 1.0 } else { 0.0 };
        let score = 2.0 * row[0] - row[1] + category + 0.3 * random.fraction() as f32;
        labels.push((score * 1.5).clamp(0.0, 4.0).floor());
        if random.below(8) == 0 {
            row[1] = f32::NAN;
        }
        values.extend(row);
    }
    (values, labels, vec![10; queries])
}

/// A gain, and the rows of either side.
type Halves = (f64, Vec<usize>, Vec<usize>);

/// Leaf-wise growing by sums over rows, for the square of the difference: no bins, no histograms.
fn plain_tree(columns: &[Vec<f64>], targets: &[f64], leaves: usize, least: usize) -> Vec<f64> {
    let gain = |rows: &[usize]| {
        let sum: f64 = rows.iter().map(|&row| targets[row]).sum();
        sum * sum / rows.len() as f64
    };
    let best = |rows: &[usize]| -> Option<Halves> {
        let mut best: Option<Halves> = None;
        for column in columns {
            let mut limits: Vec<f64> = rows.iter().map(|&row| column[row]).filter(|value| !value.is_nan()).collect();
            limits.sort_by(f64::total_cmp);
            limits.dedup();
            for limit in limits {
                for is_nan_left in [true, false] {
                    let is_left = |row: &usize| if column[*row].is_nan() { is_nan_left } else { column[*row] <= limit };
                    let (left, right): (Vec<usize>, Vec<usize>) = rows.iter().partition(|row| is_left(row));
                    if left.len() < least || right.len() < least {
                        continue;
                    }
                    let gain = gain(&left) + gain(&right) - gain(rows);
                    if gain > best.as_ref().map_or(1e-9, |(gain, ..)| *gain) {
                        best = Some((gain, left, right));
                    }
                }
            }
        }
        best
    };
    let mut parts = vec![(0..targets.len()).collect::<Vec<usize>>()];
    while parts.len() < leaves {
        let halves: Vec<Option<Halves>> = parts.iter().map(|rows| best(rows)).collect();
        let gain_of = |at: &usize| halves[*at].as_ref().map_or(f64::MIN, |(gain, ..)| *gain);
        let at = (0..parts.len()).max_by(|one, other| gain_of(one).total_cmp(&gain_of(other))).unwrap();
        let Some((_, left, right)) = halves[at].clone() else { break };
        parts[at] = left;
        parts.push(right);
    }
    let mut answers = vec![0.0; targets.len()];
    for rows in parts {
        let mean = rows.iter().map(|&row| targets[row]).sum::<f64>() / rows.len() as f64;
        for row in rows {
            answers[row] = mean;
        }
    }
    answers
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_tree_is_that_of_a_plain_grower(seed in any::<u64>(), rows in 12usize..80, leaves in 2usize..9, least in 1usize..6) {
        let mut random = SplitMix64::new(seed);
        let mut value = |_| match random.below(10) {
            0 => f32::NAN,
            1 | 2 => 0.0,
            _ => (random.fraction() * 40.0 - 20.0).round() as f32,
        };
        let values: Vec<f32> = (0..rows * 4).map(&mut value).collect();
        let labels: Vec<f32> = (0..rows).map(|_| random.fraction() as f32).collect();
        let parameters = LambdaMart {
            objective: Objective::Regression,
            num_trees: 1,
            learning_rate: 1.0,
            num_leaves: leaves,
            min_data_in_leaf: least,
            min_data_in_bin: 1,
            num_threads: 1,
            ..LambdaMart::default()
        };
        let trained = train(&Dataset::new(Rows::new(&values, 4).unwrap(), &labels, &[]), &parameters);
        let found = trained.ensemble.margins(Rows::new(&values, 4).unwrap()).unwrap();
        let mean = labels.iter().map(|&label| f64::from(label)).sum::<f64>() / rows as f64;
        let targets: Vec<f64> = labels.iter().map(|&label| f64::from(label) - mean).collect();
        let column = |column| (0..rows).map(|row| f64::from(values[row * 4 + column])).collect();
        let columns: Vec<Vec<f64>> = (0..4).map(column).collect();
        let wanted = plain_tree(&columns, &targets, leaves, least);
        let loss = |answers: &mut dyn Iterator<Item = f64>| -> f64 {
            answers.zip(&targets).map(|(answer, target)| (answer - target).powi(2)).sum()
        };
        let (found, wanted) = (loss(&mut found.iter().map(|score| score - mean)), loss(&mut wanted.into_iter()));
        prop_assert!((found - wanted).abs() < 1e-5, "{found} {wanted}");
    }

    #[test]
    fn a_constraint_holds_everywhere(seed in any::<u64>(), direction in prop_oneof![Just(-1i8), Just(1)]) {
        let (values, labels, groups) = made_up(12, seed);
        let monotone_constraints = vec![direction, 0, -direction, 0, 0, direction];
        let parameters = LambdaMart {
            num_trees: 8, num_leaves: 12, min_data_in_leaf: 4, monotone_constraints, num_threads: 1, ..LambdaMart::default()
        };
        let trained = train(&Dataset::new(Rows::new(&values, 6).unwrap(), &labels, &groups), &parameters);
        for row in Rows::new(&values, 6).unwrap().iter().take(20) {
            for (column, sign) in [(0, direction), (2, -direction), (5, direction)] {
                let steps: Vec<f32> = (0..30).flat_map(|step| {
                    let mut row = row.to_vec();
                    row[column] = step as f32 / 29.0;
                    row
                }).collect();
                let margins = trained.ensemble.margins(Rows::new(&steps, 6).unwrap()).unwrap();
                prop_assert!(margins.windows(2).all(|pair| (pair[1] - pair[0]) * f64::from(sign) >= 0.0), "{margins:?}");
            }
        }
    }

    #[test]
    fn no_data_panics(
        seed in any::<u64>(), rows in 1usize..40, columns in 1usize..4, objective in 0usize..3, zero_as_missing in any::<bool>(),
        use_missing in any::<bool>(), min_data_in_leaf in 0usize..4, max_bin in 2usize..6, min_data_in_bin in 0usize..3,
    ) {
        let odd = [0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-38, f32::MAX, f32::MIN, 1.0, -3.5];
        let mut random = SplitMix64::new(seed);
        let values: Vec<f32> = (0..rows * columns).map(|_| odd[random.below(odd.len())]).collect();
        let labels: Vec<f32> = (0..rows).map(|_| random.below(2) as f32).collect();
        let parameters = LambdaMart {
            objective: [Objective::Lambdarank, Objective::Regression, Objective::Binary][objective],
            num_trees: 4,
            num_leaves: 8,
            min_data_in_leaf,
            min_sum_hessian_in_leaf: 0.0,
            max_bin,
            min_data_in_bin,
            zero_as_missing,
            use_missing,
            num_threads: 1,
            ..LambdaMart::default()
        };
        let rows = Rows::new(&values, columns).unwrap();
        let groups = [rows.len()];
        let trained = train(&Dataset::new(rows, &labels, &groups), &parameters);
        let margins = trained.ensemble.margins(rows).unwrap();
        prop_assert!(margins.iter().all(|margin| margin.is_finite()));
        if let (Some(round), Objective::Regression) = (trained.curve.last(), parameters.objective) {
            // The bins have parted the rows as the model's thresholds do.
            let loss: f64 = margins.iter().zip(&labels).map(|(margin, label)| (f64::from(*label) - margin).powi(2)).sum();
            prop_assert_eq!(round.training[0], loss / labels.len() as f64);
        }
    }
}

#[test]
fn trees_do_not_depend_on_the_threads() {
    let (values, labels, groups) = made_up(60, 5);
    let dataset = Dataset::new(Rows::new(&values, 6).unwrap(), &labels, &groups);
    let mut parameters = LambdaMart {
        num_trees: 15,
        bagging_fraction: 0.7,
        bagging_freq: 2,
        feature_fraction: 0.7,
        feature_fraction_bynode: 0.7,
        categorical_feature: vec![3],
        min_data_per_group: 10,
        bin_construct_sample_cnt: 400,
        num_threads: 1,
        ..LambdaMart::default()
    };
    let one = train(&dataset, &parameters);
    assert!(one.ensemble.parts().trees.len() == 15);
    for threads in [2, 3, 7, 0] {
        parameters.num_threads = threads;
        assert_eq!(train(&dataset, &parameters), one, "{threads} threads");
    }
    parameters.seed = 1;
    assert_ne!(train(&dataset, &parameters), one);
}

#[test]
fn the_learning_curve_is_that_of_the_model() {
    let (values, labels, groups) = made_up(40, 1);
    let (other_values, other_labels, other_groups) = made_up(20, 2);
    let dataset = Dataset::new(Rows::new(&values, 6).unwrap(), &labels, &groups);
    let validation = Dataset::new(Rows::new(&other_values, 6).unwrap(), &other_labels, &other_groups);
    let parameters = LambdaMart {
        num_trees: 30,
        bagging_fraction: 0.6,
        bagging_freq: 1,
        bagging_by_query: true,
        categorical_feature: vec![3],
        eval_at: vec![3, 10],
        ..LambdaMart::default()
    };
    let trained = lambdamart(&dataset, Some(&validation), &parameters, &mut on).unwrap();
    assert_eq!((trained.curve.len(), trained.best_iteration), (30, 30));
    for (data, shown) in [(&dataset, &trained.curve[29].training), (&validation, &trained.curve[29].validation)] {
        let margins = trained.ensemble.margins(data.rows).unwrap();
        let ndcg = |k| {
            let of = |rows: std::ops::Range<usize>| {
                let grade = |row: usize| data.labels[row] as i32;
                let mut ranked: Vec<usize> = rows.clone().collect();
                ranked.sort_by(|&one, &other| margins[other].total_cmp(&margins[one]));
                let ranked: Vec<i32> = ranked.into_iter().map(grade).collect();
                let judged: Vec<i32> = rows.map(grade).collect();
                rag_ltr::metrics::ndcg(&ranked, &judged, Some(k), rag_ltr::metrics::Gain::Exponential)
            };
            data.queries().map(of).sum::<f64>() / data.groups.len() as f64
        };
        assert!((ndcg(3) - shown[0]).abs() < 1e-12 && (ndcg(10) - shown[1]).abs() < 1e-12, "{shown:?}");
    }
    let first = &trained.curve[0];
    assert!(trained.curve[29].training[1] > first.training[1] && trained.curve[29].validation[1] > 0.9);
}

#[test]
fn it_stops_at_the_best_validation() {
    let (values, labels, groups) = made_up(30, 3);
    let (other_values, _, other_groups) = made_up(30, 4);
    // Labels that follow nothing: the validation is best by chance, and early.
    let noise: Vec<f32> = (0..300).map(|at| (at * 7919 % 5) as f32).collect();
    let dataset = Dataset::new(Rows::new(&values, 6).unwrap(), &labels, &groups);
    let validation = Dataset::new(Rows::new(&other_values, 6).unwrap(), &noise, &other_groups);
    let parameters = LambdaMart { num_trees: 500, early_stopping_rounds: 5, ..LambdaMart::default() };
    let trained = lambdamart(&dataset, Some(&validation), &parameters, &mut on).unwrap();
    let values: Vec<f64> = trained.curve.iter().map(|round| round.validation[0]).collect();
    let best = values.iter().position(|&value| value == values.iter().copied().fold(f64::MIN, f64::max)).unwrap() + 1;
    assert_eq!(trained.best_iteration, best);
    assert_eq!(trained.ensemble.parts().trees.len(), best);
    assert!(values.len() == best + 5 && values.len() < 500);
    let error = lambdamart(&dataset, None, &parameters, &mut on).unwrap_err();
    assert!(error.to_string().contains("early_stopping_rounds"));
}

#[test]
fn progress_can_end_it() {
    let (values, labels, groups) = made_up(30, 3);
    let dataset = Dataset::new(Rows::new(&values, 6).unwrap(), &labels, &groups);
    let mut seen = Vec::new();
    let mut until_four = |progress: Progress<'_>| {
        seen.push((progress.iteration, progress.num_trees, progress.round.training.len()));
        if progress.iteration == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let trained = lambdamart(&dataset, None, &LambdaMart::default(), &mut until_four).unwrap();
    assert_eq!((trained.ensemble.parts().trees.len(), trained.curve.len()), (4, 4));
    assert_eq!(seen, [(1, 100, 1), (2, 100, 1), (3, 100, 1), (4, 100, 1)]);
}

#[test]
fn depth_and_leaves_are_limited_either_way() {
    let (values, labels, groups) = made_up(40, 7);
    let dataset = Dataset::new(Rows::new(&values, 6).unwrap(), &labels, &groups);
    for grow_policy in [GrowPolicy::Leafwise, GrowPolicy::Depthwise] {
        let parameters =
            LambdaMart { num_trees: 5, max_depth: 3, min_data_in_leaf: 5, grow_policy, ..LambdaMart::default() };
        assert!(train(&dataset, &parameters).ensemble.parts().trees.iter().all(|tree| tree.leaves.len() <= 8));
        let parameters = LambdaMart { num_leaves: 6, max_depth: -1, ..parameters };
        for tree in &train(&dataset, &parameters).ensemble.parts().trees {
            assert_eq!(tree.leaves.len(), 6);
            // Level by level, the first three splits are the root and its two sides.
            let is_level = tree.splits[0].left == rag_ltr::model::Child::Split(1)
                || tree.splits[0].left == rag_ltr::model::Child::Split(2);
            assert!(grow_policy == GrowPolicy::Leafwise || is_level);
        }
    }
}

#[test]
fn categories_without_an_order_are_told_apart() {
    // Categories 0, 3 and 6 have gains, and no threshold parts them from the others.
    let (values, labels, groups) = made_up(60, 11);
    let dataset = Dataset::new(Rows::new(&values, 6).unwrap(), &labels, &groups);
    let parameters = LambdaMart {
        num_trees: 10,
        categorical_feature: vec![3],
        min_data_per_group: 20,
        cat_smooth: 1.0,
        ..LambdaMart::default()
    };
    let trained = train(&dataset, &parameters);
    let splits = trained.ensemble.parts().trees.iter().flat_map(|tree| &tree.splits);
    let found = splits.filter_map(|split| match &split.condition {
        Condition::OneOf(words) => Some((split.feature, words[0])),
        Condition::AtMost(_) | Condition::OneOfFromZero(_) => None,
    });
    let good = 0b0_0100_1001;
    assert!(found.into_iter().any(|(feature, word)| feature == 3 && (word == good || word == 0b1_1111_1111 & !good)));
    let importance = importance(&trained.ensemble);
    assert!(importance.gain[3] > importance.gain[2] && importance.split[3] > 0);
}

#[test]
fn importance_finds_the_columns_that_matter() {
    let (values, labels, groups) = made_up(60, 13);
    let rows = Rows::new(&values, 6).unwrap();
    let dataset = Dataset::new(rows, &labels, &groups);
    let trained = train(&dataset, &LambdaMart { num_trees: 20, ..LambdaMart::default() });
    let shown = importance(&trained.ensemble);
    assert!(shown.gain[0] > shown.gain[1] && shown.gain[1] > shown.gain[5]);
    let splits: usize = trained.ensemble.parts().trees.iter().map(|tree| tree.splits.len()).sum();
    assert_eq!(shown.split.iter().sum::<usize>(), splits);
    let ranker = Ranker::new(Model::Trees(trained.ensemble)).unwrap();
    let mut quality = |margins: &[f64]| -> f64 { margins.iter().zip(&labels).map(|(m, l)| m * f64::from(*l)).sum() };
    let losses = permutation_importance(&ranker, rows, &mut quality, 3, 0).unwrap();
    assert!(losses[0] > losses[1] && losses[1] > losses[2].abs() && losses[0] > 0.0, "{losses:?}");
    assert!(permutation_importance(&ranker, rows, &mut quality, 0, 0).is_err());
}

#[test]
fn clicks_that_were_unlikely_weigh_more() {
    // Two columns agree with the labels of half of the rows each; the propensities say which half counts.
    let gains = |first: f32, second: f32| {
        let mut random = SplitMix64::new(2);
        let (mut values, mut labels, mut factors) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..600 {
            let by_first = random.below(2) == 0;
            let label = random.below(2) as f32;
            let other = random.below(2) as f32;
            values.extend(if by_first { [label, other] } else { [other, label] });
            labels.push(label);
            factors.push(if by_first { first } else { second });
        }
        let groups = [20; 30];
        let mut dataset = Dataset::new(Rows::new(&values, 2).unwrap(), &labels, &groups);
        dataset.inverse_propensities = Some(&factors);
        importance(&train(&dataset, &LambdaMart { num_trees: 10, ..LambdaMart::default() }).ensemble).gain
    };
    let (first, second) = (gains(20.0, 1.0), gains(1.0, 20.0));
    let share = |gain: &[f64]| gain[0] / (gain[0] + gain[1]);
    assert!(share(&first) > share(&second) + 0.15, "{first:?} {second:?}");
}

#[test]
fn what_is_wrong_is_named() {
    let (values, labels, groups) = made_up(3, 0);
    let rows = Rows::new(&values, 6).unwrap();
    let sound = Dataset::new(rows, &labels, &groups);
    let refuses = |dataset: Dataset<'_>, parameters: LambdaMart, wanted: &str| {
        let error = lambdamart(&dataset, None, &parameters, &mut on).unwrap_err();
        assert!(
            matches!(error, Error::Setting { .. } | Error::Training(_)) && error.to_string().contains(wanted),
            "{error}"
        );
    };
    let standard = LambdaMart::default;
    refuses(sound, LambdaMart { num_trees: 0, ..standard() }, "num_trees");
    refuses(sound, LambdaMart { num_leaves: 1, ..standard() }, "num_leaves");
    refuses(sound, LambdaMart { learning_rate: 0.0, ..standard() }, "learning_rate");
    refuses(sound, LambdaMart { lambda_l2: f64::NAN, ..standard() }, "lambda_l2");
    refuses(sound, LambdaMart { max_bin: 1, ..standard() }, "max_bin");
    refuses(sound, LambdaMart { bagging_fraction: 1.1, ..standard() }, "bagging_fraction");
    refuses(sound, LambdaMart { feature_fraction: 0.0, ..standard() }, "feature_fraction");
    refuses(sound, LambdaMart { label_gain: vec![0.0, 2.0, 1.0], ..standard() }, "label_gain");
    refuses(sound, LambdaMart { label_gain: vec![0.0], ..standard() }, "label of row");
    refuses(sound, LambdaMart { eval_at: vec![], ..standard() }, "eval_at");
    refuses(sound, LambdaMart { categorical_feature: vec![6], ..standard() }, "categorical_feature");
    refuses(sound, LambdaMart { monotone_constraints: vec![1], ..standard() }, "monotone_constraints");
    refuses(sound, LambdaMart { monotone_constraints: vec![0, 0, 0, 0, 2, 0], ..standard() }, "monotone_constraints");
    refuses(Dataset::new(rows, &labels[1..], &groups), standard(), "labels");
    refuses(Dataset::new(rows, &labels, &[10, 10]), standard(), "groups");
    refuses(Dataset::new(rows, &labels, &[usize::MAX, 31]), standard(), "groups");
    refuses(Dataset::new(rows, &labels, &[10, 0, 20]), standard(), "group 1");
    refuses(Dataset { weights: Some(&[-1.0; 30]), ..sound }, standard(), "weights");
    refuses(Dataset { inverse_propensities: Some(&[0.0; 30]), ..sound }, standard(), "inverse_propensities");
    let mut half = labels.clone();
    half[4] = 0.5;
    refuses(Dataset::new(rows, &half, &groups), standard(), "label of row 4");
    let mut huge = values.clone();
    huge[0] = 3e9;
    let parameters = LambdaMart { categorical_feature: vec![0], ..standard() };
    refuses(Dataset::new(Rows::new(&huge, 6).unwrap(), &labels, &groups), parameters, "category");
}
