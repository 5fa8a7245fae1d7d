//! A ranker trained on position-biased clicks is nearly as good as one trained on the true labels, where the clicks are
//! freed from the bias, and worse where they are not.
//!
//! Three weak rankers, each trained on 1 % of the queries, serve simulated users who look at rank `r` with the chance
//! `1 / r` and click documents of grade 0 too, one time in ten. Nothing but the log is known to the training: the
//! propensities are estimated from it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rag_ltr::Rows;
use rag_ltr::clicks::simulate::{Simulation, simulate};
use rag_ltr::clicks::{ClickLog, Estimation, Labelling, Propensities, estimate_by_harvesting, grades, to_training};
use rag_ltr::metrics::{Gain, Qrels, TrecRun, ndcg};
use rag_ltr::model::Ensemble;
use rag_ltr::random::SplitMix64;
use rag_ltr::significance::t_test;
use rag_ltr::svmlight::{ReadOptions, Svmlight, read, read_groups};
use rag_ltr::train::{Dataset, LambdaMart, lambdamart};

const COLUMNS: usize = 301;
const IMPRESSIONS: usize = 400_000;
const FOLDS: usize = 5;
/// Trainings of everything that is compared, each on other features: one alone is off by more than what is looked for.
const TRAININGS: u64 = 2;
/// Grades of the labels from clicks.
const LEVELS: u16 = 30;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/ltr/lightgbm_lambdarank").join(name)
}

/// The training and the test of the collection, 251 queries.
fn collection() -> Svmlight {
    let (mut all, test) = (data("rank.train"), data("rank.test"));
    all.labels.extend(test.labels);
    all.values.extend(test.values);
    all.groups.extend(test.groups);
    all
}

fn data(name: &str) -> Svmlight {
    let text = |name: &str| std::fs::read_to_string(file(name)).unwrap();
    let mut data =
        read(&text(name), ReadOptions { columns: Some(COLUMNS), first_column: 0, ..ReadOptions::default() }).unwrap();
    data.groups = read_groups(&text(&format!("{name}.query"))).unwrap();
    data
}

/// Trains with some seeds.
fn train(rows: Rows<'_>, labels: &[f32], groups: &[usize], parameters: &LambdaMart) -> Vec<Ensemble> {
    let dataset = Dataset::new(rows, labels, groups);
    let train = |seed| {
        let parameters = LambdaMart { seed, feature_fraction: 0.5, num_threads: 1, ..parameters.clone() };
        lambdamart(&dataset, None, &parameters, &mut |_| ControlFlow::Continue(())).unwrap().ensemble
    };
    (0..TRAININGS).map(train).collect()
}

/// The rows of each query.
fn queries(groups: &[usize]) -> Vec<std::ops::Range<usize>> {
    Dataset::new(Rows::new(&[], 1).unwrap(), &[], groups).queries().collect()
}

/// nDCG@10 with the gain `2^grade − 1` of each query, as the mean over the models.
fn quality(models: &[Ensemble], data: &Svmlight) -> Vec<f64> {
    let scores: Vec<Vec<f64>> = models.iter().map(|model| model.margins(data.rows().unwrap()).unwrap()).collect();
    let value = |rows: std::ops::Range<usize>| {
        let values = scores.iter().map(|scores| ndcg_of(scores, rows.clone(), data));
        values.sum::<f64>() / models.len() as f64
    };
    queries(&data.groups).into_iter().map(value).collect()
}

fn ndcg_of(scores: &[f64], rows: std::ops::Range<usize>, data: &Svmlight) -> f64 {
    let mut ranked: Vec<usize> = rows.collect();
    ranked.sort_by(|&one, &two| scores[two].total_cmp(&scores[one]));
    let ranked: Vec<i32> = ranked.into_iter().map(|row| data.labels[row] as i32).collect();
    ndcg(&ranked, &ranked, Some(10), Gain::Exponential)
}

/// Some queries of a collection.
fn part(data: &Svmlight, picked: impl IntoIterator<Item = std::ops::Range<usize>>) -> Svmlight {
    let (rows, mut part) = (data.rows().unwrap(), Svmlight { columns: data.columns, ..Svmlight::default() });
    for query in picked {
        part.values.extend(rows.slice(query.clone()).values());
        part.labels.extend(&data.labels[query.clone()]);
        part.groups.push(query.len());
    }
    part
}

/// A ranker from one query in a hundred, drawn by the seed.
fn weak_ranker(data: &Svmlight, random: &mut SplitMix64) -> Ensemble {
    let mut drawn = queries(&data.groups);
    random.shuffle(&mut drawn);
    drawn.truncate(drawn.len() / 100);
    let parameters = LambdaMart { num_trees: 20, num_leaves: 4, min_data_in_leaf: 3, ..LambdaMart::default() };
    train_on_labels(&part(data, drawn), &parameters).remove(0)
}

fn train_on_labels(data: &Svmlight, parameters: &LambdaMart) -> Vec<Ensemble> {
    train(data.rows().unwrap(), &data.labels, &data.groups, parameters)
}

fn run_of(model: &Ensemble, data: &Svmlight) -> TrecRun {
    let scores = model.margins(data.rows().unwrap()).unwrap();
    let mut run = TrecRun::new();
    for (query, rows) in queries(&data.groups).into_iter().enumerate() {
        let hits = rows.map(|row| (format!("d{row}"), scores[row]));
        run.insert_query(&format!("q{query}"), hits).unwrap();
    }
    run
}

/// Trains on what the log says, in the light of these propensities.
fn train_on_clicks(log: &ClickLog, propensities: &Propensities, data: &Svmlight) -> Vec<Ensemble> {
    let labels = to_training(log, propensities, &Labelling::default()).unwrap();
    let rows = data.rows().unwrap();
    let row_of = |document: &str| document[1..].parse::<usize>().unwrap();
    let values: Vec<f32> = labels.iter().flat_map(|label| rows.row(row_of(&label.document))).copied().collect();
    let groups: Vec<usize> = labels.chunk_by(|one, two| one.query == two.query).map(<[_]>::len).collect();
    let label_gain = (0..=LEVELS).map(f64::from).collect();
    let parameters = LambdaMart { label_gain, ..LambdaMart::default() };
    train(Rows::new(&values, COLUMNS).unwrap(), &grades(&labels, LEVELS), &groups, &parameters)
}

/// A log of three weak rankers on these queries, and the first of them, which is the one to beat.
fn weak_log(data: &Svmlight, seed: u64) -> (Ensemble, ClickLog) {
    let mut random = SplitMix64::new(seed);
    let rankers: Vec<Ensemble> = (0..3).map(|_| weak_ranker(data, &mut random)).collect();
    let runs: Vec<TrecRun> = rankers.iter().map(|ranker| run_of(ranker, data)).collect();
    let named: Vec<(&str, &TrecRun)> = ["production", "second", "third"].into_iter().zip(&runs).collect();
    let mut qrels = Qrels::new();
    for (query, rows) in queries(&data.groups).into_iter().enumerate() {
        for row in rows {
            qrels.insert(&format!("q{query}"), &format!("d{row}"), data.labels[row] as i32).unwrap();
        }
    }
    let users = Simulation::new(Propensities::power_law(1.0, 10).unwrap(), IMPRESSIONS).with_seed(seed);
    let log = simulate(&qrels, &named, &users).unwrap();
    (rankers.into_iter().next().unwrap(), log)
}

#[test]
fn clicks_recover_nine_tenths_of_what_labels_gain() {
    if !file("rank.train").is_file() {
        eprintln!("skipped: {} is absent", file("rank.train").display());
        return;
    }
    let all = collection();
    let [mut production, mut labelled, mut corrected, mut naive] = [const { Vec::new() }; 4];
    // Query-grouped cross-validation: every query is ranked by models that have not seen it.
    for fold in 0..FOLDS {
        let of_fold = |is_test: bool| {
            let queries = queries(&all.groups).into_iter().enumerate();
            part(&all, queries.filter(|(at, _)| (at % FOLDS == fold) == is_test).map(|(_, rows)| rows))
        };
        let (training, test) = (of_fold(false), of_fold(true));
        let (weak, log) = weak_log(&training, fold as u64);
        let estimated =
            estimate_by_harvesting(&log, &Estimation::default().with_resampling(None)).unwrap().propensities;
        for rank in 2..=10 {
            assert!((estimated.at(rank) * f64::from(rank) - 1.0).abs() < 0.1, "{estimated:?}");
        }
        let flat = Propensities::new(&[1.0]).unwrap();
        production.extend(quality(&[weak], &test));
        labelled.extend(quality(&train_on_labels(&training, &LambdaMart::default()), &test));
        corrected.extend(quality(&train_on_clicks(&log, &estimated, &training), &test));
        naive.extend(quality(&train_on_clicks(&log, &flat, &training), &test));
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let recovered = |values: &[f64]| (mean(values) - mean(&production)) / (mean(&labelled) - mean(&production));
    let told = format!(
        "mean nDCG@10 of {} queries: production {:.4}, labels {:.4}, clicks {:.4} ({:.3} of the gain), naive {:.4} ({:.3}), p {:.1e}",
        production.len(),
        mean(&production),
        mean(&labelled),
        mean(&corrected),
        recovered(&corrected),
        mean(&naive),
        recovered(&naive),
        t_test(&naive, &corrected).unwrap().p,
    );
    eprintln!("{told}");
    assert!(recovered(&corrected) >= 0.9, "{told}");
    assert!(recovered(&naive) < recovered(&corrected) - 0.1, "{told}");
}
