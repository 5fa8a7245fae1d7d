//! Linear rankers: what they must be by their definition, computed plainly, and what they do on real judgments.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::path::Path;

use proptest::prelude::*;
use rag_ltr::metrics::{Gain, ndcg};
use rag_ltr::model::{LinearModel, Model};
use rag_ltr::random::SplitMix64;
use rag_ltr::svmlight::ReadOptions;
use rag_ltr::train::{self, CoordinateAscent, Dataset, Linear, LinearObjective};
use rag_ltr::{Error, Ranker, Rows};

fn linear(data: &Dataset<'_>, parameters: &Linear) -> rag_ltr::Result<LinearModel> {
    train::linear(data, parameters, &|| false)
}

fn coordinate_ascent(data: &Dataset<'_>, parameters: &CoordinateAscent) -> rag_ltr::Result<LinearModel> {
    train::coordinate_ascent(data, parameters, &|| false)
}

/// Values with gaps, and the labels that planted weights give them.
struct Planted {
    values: Vec<f32>,
    labels: Vec<f32>,
    weights: Vec<f32>,
    groups: Vec<usize>,
}

fn planted(seed: u64, columns: usize, rows: usize, gaps: bool) -> Planted {
    let mut random = SplitMix64::new(seed);
    let truth: Vec<f64> = (0..columns).map(|column| column as f64 - 1.5).collect();
    let values: Vec<f32> = (0..rows * columns)
        .map(|at| match random.below(8) {
            0 if gaps => f32::NAN,
            _ => (random.fraction() * (1 + at % columns) as f64 + 10.0) as f32,
        })
        .collect();
    let signal = |row: &[f32]| row.iter().zip(&truth).map(|(&value, weight)| f64::from(value) * weight).sum::<f64>();
    let labels = values.chunks(columns).map(|row| if gaps { random.fraction() } else { signal(row) } as f32).collect();
    let weights = (0..rows).map(|_| random.below(4) as f32 * 0.5).collect();
    Planted { values, labels, weights, groups: vec![10; rows / 10] }
}

impl Planted {
    fn data(&self, columns: usize) -> Dataset<'_> {
        let data = Dataset::new(Rows::new(&self.values, columns).unwrap(), &self.labels, &self.groups);
        Dataset { weights: Some(&self.weights), ..data }
    }
}

/// The standardised columns, one after the other, as the model has them.
fn standardised(model: &LinearModel, data: &Dataset<'_>) -> Vec<Vec<f64>> {
    let value = |row: &[f32], column: usize| {
        let scale = &model.columns[column];
        let value = if row[column].is_nan() { scale.fill } else { f64::from(row[column]) };
        (value - scale.center) / scale.scale
    };
    (0..model.columns.len()).map(|column| data.rows.iter().map(|row| value(row, column)).collect()).collect()
}

/// Solves by elimination with pivots.
fn solve(mut matrix: Vec<Vec<f64>>) -> Vec<f64> {
    let size = matrix.len();
    for at in 0..size {
        let pivot = (at..size).max_by(|&a, &b| matrix[a][at].abs().total_cmp(&matrix[b][at].abs())).unwrap();
        matrix.swap(at, pivot);
        for other in (0..size).filter(|&other| other != at) {
            let row = matrix[at].clone();
            let factor = matrix[other][at] / row[at];
            for (value, &above) in matrix[other].iter_mut().zip(&row) {
                *value -= factor * above;
            }
        }
    }
    (0..size).map(|at| matrix[at][size] / matrix[at][at]).collect()
}

fn weight(data: &Dataset<'_>, row: usize) -> f64 {
    data.weights.map_or(1.0, |weights| f64::from(weights[row]))
}

/// The slope of a loss along each weight, from what it is along each row's margin.
fn slopes(model: &LinearModel, data: &Dataset<'_>, l2: f64, by_row: &[f64]) -> Vec<f64> {
    let columns = standardised(model, data);
    let along = |column: &Vec<f64>| column.iter().zip(by_row).map(|(value, slope)| value * slope).sum::<f64>();
    columns.iter().zip(&model.columns).map(|(column, scale)| along(column) + l2 * scale.weight).collect()
}

fn sigmoid(margin: f64) -> f64 {
    1.0 / (1.0 + (-margin).exp())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn ridge_is_what_the_normal_equations_say(seed in any::<u64>(), columns in 1usize..6, l2 in 0.0..20.0f64) {
        let planted = planted(seed, columns, 40, true);
        let data = planted.data(columns);
        let model = linear(&data, &Linear { objective: LinearObjective::Regression, l2, ..Linear::default() }).unwrap();
        let mut features = standardised(&model, &data);
        features.push(vec![1.0; 40]);
        let product = |one: &[f64], other: &dyn Fn(usize) -> f64| {
            (0..40).map(|row| weight(&data, row) * one[row] * other(row)).sum::<f64>()
        };
        let equation = |at: usize| {
            let mut row: Vec<f64> = features.iter().map(|other| product(&features[at], &|row| other[row])).collect();
            row[at] += if at < columns { l2 } else { 0.0 };
            row.push(product(&features[at], &|row| f64::from(data.labels[row])));
            row
        };
        let solved = solve((0..=columns).map(equation).collect());
        for (column, weight) in model.columns.iter().map(|column| column.weight).chain([model.bias]).enumerate() {
            prop_assert!((weight - solved[column]).abs() < 1e-9, "weight {column} is {weight}, not {}", solved[column]);
        }
    }

    #[test]
    fn logistic_weights_are_at_the_bottom(seed in any::<u64>(), columns in 1usize..6, l2 in 0.01..5.0f64) {
        let planted = planted(seed, columns, 60, true);
        let data = planted.data(columns);
        let model = linear(&data, &Linear { objective: LinearObjective::Logistic, l2, ..Linear::default() }).unwrap();
        let margins = model.margins(data.rows).unwrap();
        let by_row: Vec<f64> =
            (0..60).map(|row| weight(&data, row) * (sigmoid(margins[row]) - f64::from(data.labels[row]))).collect();
        let slopes = slopes(&model, &data, l2, &by_row);
        prop_assert!(slopes.iter().all(|slope| slope.abs() < 1e-6), "{slopes:?}");
        prop_assert!(by_row.iter().sum::<f64>().abs() < 1e-6, "the bias");
        let scores = Ranker::new(Model::Linear(model)).unwrap().score(data.rows).unwrap();
        prop_assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)));
    }

    #[test]
    fn pairwise_weights_are_at_the_bottom(seed in any::<u64>(), columns in 1usize..6, l2 in 0.01..5.0f64) {
        let mut planted = planted(seed, columns, 60, true);
        planted.labels.iter_mut().for_each(|label| *label = (*label * 3.0).floor());
        let inverse: Vec<f32> = (0..60).map(|row| 1.0 + (row % 10) as f32).collect();
        let data = Dataset { inverse_propensities: Some(&inverse), ..planted.data(columns) };
        let model = linear(&data, &Linear { objective: LinearObjective::Pairwise, l2, ..Linear::default() }).unwrap();
        let margins = model.margins(data.rows).unwrap();
        let mut by_row = vec![0.0; 60];
        for query in data.queries() {
            for (one, other) in query.clone().flat_map(|one| query.clone().map(move |other| (one, other))) {
                if data.labels[one] > data.labels[other] {
                    let pair = (weight(&data, one) * weight(&data, other)).sqrt() * f64::from(inverse[one]);
                    let doubt = pair * sigmoid(margins[other] - margins[one]);
                    by_row[one] -= doubt;
                    by_row[other] += doubt;
                }
            }
        }
        let slopes = slopes(&model, &data, l2, &by_row);
        prop_assert!(slopes.iter().all(|slope| slope.abs() < 1e-6), "{slopes:?}");
        prop_assert_eq!(model.bias, 0.0);
    }
}

#[test]
fn planted_weights_are_found_again() {
    let planted = planted(3, 5, 200, false);
    let data = Dataset { weights: None, ..planted.data(5) };
    let model =
        linear(&data, &Linear { objective: LinearObjective::Regression, l2: 0.0, ..Linear::default() }).unwrap();
    for (column, scale) in model.columns.iter().enumerate() {
        let weight = scale.weight / scale.scale;
        assert!((weight - (column as f64 - 1.5)).abs() < 1e-4, "column {column}: {weight}");
    }
    // The order of the labels follows the same weights, whatever is learnt of it.
    let median = planted.labels.iter().copied().fold(0.0, |sum, label| sum + label) / 200.0;
    let halves: Vec<f32> = planted.labels.iter().map(|&label| f32::from(u8::from(label > median))).collect();
    let grades: Vec<f32> = planted
        .groups
        .iter()
        .enumerate()
        .flat_map(|(query, _)| {
            let labels = &planted.labels[10 * query..][..10];
            labels.iter().map(|label| labels.iter().filter(|other| *other < label).count() as f32)
        })
        .collect();
    let logistic = Linear { objective: LinearObjective::Logistic, l2: 0.1, ..Linear::default() };
    let pairwise = Linear { objective: LinearObjective::Pairwise, l2: 0.1, ..Linear::default() };
    let models = [
        linear(&Dataset { labels: &halves, ..data }, &logistic).unwrap(),
        linear(&Dataset { labels: &grades, ..data }, &pairwise).unwrap(),
        coordinate_ascent(&Dataset { labels: &grades, ..data }, &CoordinateAscent::default()).unwrap(),
    ];
    for model in models {
        let value = mean_ndcg(&model.margins(data.rows).unwrap(), &Dataset { labels: &grades, ..data }, 10);
        assert!(value > 0.98, "{value}");
    }
}

#[test]
fn columns_that_say_nothing_and_columns_that_follow_from_others() {
    // One value, no value, and twice the same column.
    let values: Vec<f32> = (0..30).flat_map(|row| [0.1, f32::NAN, row as f32, row as f32]).collect();
    let labels: Vec<f32> = (0..30).map(|row| row as f32 * 2.0).collect();
    let data = Dataset::new(Rows::new(&values, 4).unwrap(), &labels, &[30]);
    let refused = linear(&data, &Linear { l2: 0.0, ..Linear::default() }).unwrap_err();
    assert!(matches!(&refused, Error::Training(why) if why.contains("follow from others")), "{refused}");
    let model = linear(&data, &Linear { l2: 1e-6, ..Linear::default() }).unwrap();
    let weights: Vec<f64> = model.columns.iter().map(|column| column.weight).collect();
    assert_eq!(&weights[..2], &[0.0, 0.0]);
    assert!((weights[2] / weights[3] - 1.0).abs() < 1e-6, "{weights:?}");
    assert!((model.margins(data.rows).unwrap()[29] - 58.0).abs() < 1e-3);
    // Separable labels have no best weights.
    let halves: Vec<f32> = (0..30).map(|row| f32::from(u8::from(row > 14))).collect();
    let separable = Dataset { labels: &halves, ..data };
    for objective in [LinearObjective::Logistic, LinearObjective::Pairwise] {
        let refused = linear(&separable, &Linear { objective, l2: 0.0, ..Linear::default() }).unwrap_err();
        assert!(refused.to_string().contains("l2"), "{refused}");
        assert!(linear(&separable, &Linear { objective, l2: 0.1, ..Linear::default() }).is_ok());
    }
}

#[test]
fn data_that_do_not_fit_are_refused_by_name() {
    let values = [1.0, 2.0, 3.0, 5.0];
    let rows = Rows::new(&values, 1).unwrap();
    let data = Dataset::new(rows, &[0.0, 1.0, 0.0, 2.0], &[2, 2]);
    let fit = |data: Dataset<'_>, objective| linear(&data, &Linear { objective, l2: 1.0, ..Linear::default() });
    let ascend = |data: Dataset<'_>| coordinate_ascent(&data, &CoordinateAscent::default());
    let (regression, pairwise) = (LinearObjective::Regression, LinearObjective::Pairwise);
    let infinite = [1.0, f32::INFINITY, 0.0, 1.0];
    let names = vec!["one".to_owned(), "two".to_owned()];
    let refused = [
        (fit(Dataset { labels: &[1.0], ..data }, regression), "1 labels for 4 rows"),
        (fit(Dataset { labels: &[1.0, 2.0, f32::NAN, 0.0], ..data }, regression), "label of row 2"),
        (fit(data, LinearObjective::Logistic), "label of row 3 is 2"),
        (fit(Dataset { groups: &[], ..data }, pairwise), "groups have 0 rows"),
        (fit(Dataset { groups: &[3, 0, 1], ..data }, pairwise), "group 1 has no rows"),
        (fit(Dataset { labels: &[1.0, 1.0, 2.0, 2.0], ..data }, pairwise), "no order to learn"),
        (fit(Dataset { weights: Some(&[0.0; 4]), ..data }, regression), "every row has the weight 0"),
        (fit(Dataset { weights: Some(&[1.0, 1.0, -1.0, 1.0]), ..data }, regression), "weights has -1 for row 2"),
        (fit(Dataset { rows: Rows::new(&infinite, 1).unwrap(), ..data }, regression), "column 0 of row 1 is infinite"),
        (fit(Dataset { names: &names, ..data }, regression), "2 names for 1 columns"),
        (ascend(Dataset { labels: &[0.0, 0.5, 1.0, 0.0], ..data }), "label of row 1 is 0.5"),
        (ascend(Dataset { labels: &[0.0; 4], ..data }), "nothing to rank by"),
        (ascend(Dataset { inverse_propensities: Some(&[1.0; 4]), ..data }), "no pairs to weigh"),
        (ascend(Dataset { rows: Rows::new(&[1.0; 4], 1).unwrap(), ..data }), "nothing to rank by"),
    ];
    for (refused, wanted) in refused {
        let refused = refused.unwrap_err();
        assert!(matches!(&refused, Error::Training(why) if why.contains(wanted)), "{refused} instead of {wanted}");
    }
    let l2 = linear(&data, &Linear { objective: regression, l2: -1.0, ..Linear::default() });
    assert!(matches!(l2, Err(Error::Setting { name: "l2", .. })), "{l2:?}");
    let k = coordinate_ascent(&data, &CoordinateAscent { k: 0, ..CoordinateAscent::default() });
    assert!(matches!(k, Err(Error::Setting { name: "k", .. })), "{k:?}");
}

/// The mean nDCG with exponential gains over the queries that have a relevant row; ties rank the worst first.
fn mean_ndcg(scores: &[f64], data: &Dataset<'_>, k: usize) -> f64 {
    let mut values = Vec::new();
    for query in data.queries() {
        let grade = |row: usize| data.labels[row] as i32;
        let judged: Vec<i32> = query.clone().map(grade).collect();
        let mut ranked: Vec<usize> = query.collect();
        ranked.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(grade(a).cmp(&grade(b))));
        let ranked: Vec<i32> = ranked.into_iter().map(grade).collect();
        if judged.iter().any(|&grade| grade > 0) {
            values.push(ndcg(&ranked, &judged, Some(k), Gain::Exponential));
        }
    }
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn coordinate_ascent_beats_every_single_feature_on_news_judgments() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/ltr/fastrank_trec_news_2018");
    if !folder.is_dir() {
        eprintln!("skipped: {} is absent", folder.display());
        return;
    }
    let text = std::fs::read_to_string(folder.join("trec_news_2018.train")).unwrap();
    let read = rag_ltr::svmlight::read(&text, ReadOptions { columns: Some(5), ..ReadOptions::default() }).unwrap();
    let data = Dataset::new(read.rows().unwrap(), &read.labels, &read.groups);
    let mut single = f64::NEG_INFINITY;
    for column in 0..5 {
        for sign in [1.0, -1.0] {
            let scores: Vec<f64> = data.rows.iter().map(|row| sign * f64::from(row[column])).collect();
            single = single.max(mean_ndcg(&scores, &data, 5));
        }
    }
    let parameters = CoordinateAscent { k: 5, seed: 7, ..CoordinateAscent::default() };
    let start = std::time::Instant::now();
    let model = coordinate_ascent(&data, &parameters).unwrap();
    let time = start.elapsed();
    let value = mean_ndcg(&model.margins(data.rows).unwrap(), &data, 5);
    eprintln!("nDCG@5 of the best feature {single:.4}, of all {value:.4}; {time:?}");
    assert!(value > single + 0.01, "{value} is not above {single}");
    assert_eq!(coordinate_ascent(&data, &parameters).unwrap(), model, "the same seed gives the same weights");
    for objective in [LinearObjective::Regression, LinearObjective::Pairwise] {
        let model = linear(&data, &Linear { objective, l2: 1.0, ..Linear::default() }).unwrap();
        let other = mean_ndcg(&model.margins(data.rows).unwrap(), &data, 5);
        eprintln!("{objective:?}: {other:.4}");
        assert!(value >= other, "nothing ranks the training better than what looks for just that");
    }
}

#[test]
fn by_query_a_query_with_many_pairs_counts_no_more_than_others() {
    // The first feature orders the query of two rows, the second the other way round that of forty.
    let mut values = vec![1.0f32, 0.0, 0.0, 1.0];
    let mut labels = vec![1.0f32, 0.0];
    for row in 0..40 {
        let is_relevant = row % 2 == 0;
        values.extend(if is_relevant { [0.0, 1.0] } else { [1.0, 0.0] });
        labels.push(f32::from(u8::from(is_relevant)));
    }
    let data = Dataset::new(Rows::new(&values, 2).unwrap(), &labels, &[2, 40]);
    let weight = |by_query| {
        let parameters = Linear { objective: LinearObjective::Pairwise, by_query, ..Linear::default() };
        linear(&data, &parameters).unwrap().columns[0].weight
    };
    assert!(weight(false) < -0.1, "{}", weight(false));
    // Alike, the two queries say the opposite of each other.
    assert!(weight(true).abs() < 1e-9, "{}", weight(true));
}
