//! `rag train`: a ranker from judged features, from a data folder with judgments, or from a log of clicks.

mod source;

use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use rag_core::Error;
use rag_core::ltr::metrics::Gain;
use rag_core::ltr::model::Model;
use rag_core::ltr::train::{Dataset, End, Fitted, Trainer, importance, out_of_fold, permutation_importance};
use serde_json::json;

use self::source::Source;
use crate::Data;
use crate::ui::{Output, exit, plain, progress::Progress, table};

/// Cutoff of the nDCG that cross-validation and importance are told in.
const CUTOFF: usize = 10;

/// How often each column is shuffled for its importance.
const REPEATS: usize = 3;

/// Points of a learning curve that are shown to people, and features.
const SHOWN: usize = 12;

/// Arguments of `rag train`.
#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// The file of the ranker to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The form of that file: `rag`, or `lightgbm` for LightGBM's text, which has neither schema nor training in it and
    /// holds trees alone.
    #[arg(long, default_value = "rag", value_parser = ["rag", "lightgbm"])]
    format: String,
    #[command(flatten)]
    source: source::SourceArgs,
    #[command(flatten)]
    data: Data,
    /// What is learnt: lambdarank, regression, binary (trees), ridge, logistic, pairwise, coordinate (weighted sums).
    #[arg(long, value_name = "NAME", default_value = "lambdarank")]
    objective: String,
    /// Train also on parts of the queries, so many, and tell how well each part is ranked by the others.
    #[arg(long, value_name = "N")]
    folds: Option<usize>,
    /// What every random choice follows from.
    #[arg(long)]
    seed: Option<u64>,
    /// Threads that work; 0: as many as the machine has.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Parameters of the training by LightGBM's names, such as num_leaves=15 learning_rate=0.05.
    #[arg(value_name = "NAME=VALUE")]
    parameters: Vec<String>,
}

pub(crate) fn run(output: Output, args: &TrainArgs) -> Result<u8> {
    super::check_out(&args.out)?;
    let mut parameters = args.parameters.clone();
    parameters.extend(args.threads.map(|threads| format!("num_threads={threads}")));
    // What is wrong with the parameters is told before features are made.
    rag_runtime::trainer(&args.objective, &parameters)?;
    let source = Source::read(output, &args.source, &args.data)?;
    parameters.extend(source.label_gain().filter(|_| args.objective == "lambdarank"));
    let trainer = rag_runtime::trainer(&args.objective, &parameters)?;
    let trainer = args.seed.map_or(trainer.clone(), |seed| trainer.with_seed(seed));

    let (dataset, validation) = (source.dataset()?, source.validation()?);
    let crossed = args.folds.map(|folds| cross_validate(output, &trainer, &dataset, folds, args.seed)).transpose()?;
    let progress = Progress::new(output, "trees", None);
    let fitted = trainer.fit(&dataset, validation.as_ref(), &|| false, &mut |_| {
        progress.advance(1);
        ControlFlow::Continue(())
    });
    drop(progress);
    let fitted = fitted.map_err(Error::from)?;
    let features = features(&fitted, validation.as_ref().unwrap_or(&dataset), args.seed)?;
    let Fitted { mut ranker, curve, best_iteration } = fitted;
    if let Some(schema) = source.schema() {
        ranker = ranker.with_schema(schema);
    }
    let bytes = match (args.format.as_str(), ranker.model()) {
        ("lightgbm", Model::Trees(ensemble)) => ensemble.to_lightgbm().map_err(Error::from)?.into_bytes(),
        ("lightgbm", Model::Linear(_)) => {
            let message =
                format!("`--format lightgbm` holds trees, and {} makes a weighted sum; leave it out", args.objective);
            return Err(Error::invalid(message).into());
        }
        _ => ranker.to_bytes().map_err(Error::from)?,
    };
    std::fs::write(&args.out, &bytes).map_err(|source| Error::io("write", &args.out, source))?;

    let training = ranker.training().cloned().unwrap_or_default();
    let (curves, end) = (training.curves, training.end);
    let answer = json!({
        "file": args.out, "bytes": bytes.len(), "objective": args.objective, "parameters": trainer.parameters(),
        "schema": ranker.schema().map(|schema| schema.to_string()), "rows": dataset.rows.len(),
        "columns": dataset.rows.columns(), "queries": dataset.groups.len(), "dropped": source.dropped(),
        "trees": best_iteration, "end": end, "curves": curves, "cross_validation": crossed, "features": features,
    });
    output.answer(&answer, |_| {
        let schema = ranker.schema().map_or(String::new(), |schema| format!(" of schema {schema}"));
        let mut text = format!(
            "{}: {} bytes, {}\n{} rows of {} queries, {} features{schema}\n",
            plain::line(&args.out.to_string_lossy()),
            bytes.len(),
            if best_iteration > 0 {
                format!("{best_iteration} trees by {}{}", args.objective, end.map_or("", why_no_more))
            } else {
                args.objective.clone()
            },
            dataset.rows.len(),
            dataset.groups.len(),
            dataset.rows.columns(),
        );
        if let Some(crossed) = &crossed {
            text.push('\n');
            text.push_str(&crossed.table());
        }
        if !curve.is_empty() {
            text.push('\n');
            text.push_str(&curve_table(&curves, curve.len()));
        }
        text + &format!("\n{}", features_table(&features, validation.is_some()))
    })?;
    Ok(exit::OK)
}

/// How well each part of the queries is ranked by a model of the others.
#[derive(Debug, serde::Serialize)]
struct CrossValidation {
    /// Mean over the queries of all parts with something to rank.
    mean: Option<f64>,
    /// Queries and mean of each part.
    folds: Vec<(usize, Option<f64>)>,
}

fn cross_validate(
    output: Output,
    trainer: &Trainer,
    dataset: &Dataset<'_>,
    folds: usize,
    seed: Option<u64>,
) -> Result<CrossValidation> {
    let progress = Progress::new(output, "folds", Some(folds as u64));
    let rows: Vec<_> = dataset.queries().collect();
    let seed = seed.unwrap_or_default();
    let parts = rag_core::ltr::train::folds(rows.len(), folds, seed).map_err(Error::from)?;
    let margins = out_of_fold(
        rows.len(),
        folds,
        seed,
        |queries| {
            let part = dataset.part(queries)?;
            let fitted = trainer.fit(&part.dataset()?, None, &|| false, &mut |_| ControlFlow::Continue(()))?;
            progress.advance(1);
            rag_core::ltr::Result::Ok(fitted)
        },
        |fitted, query| fitted.ranker.margins(dataset.rows.slice(rows[query].clone())),
    );
    let margins = margins.map_err(Error::from)?.concat();
    let values = dataset.ndcg(&margins, CUTOFF, Gain::Exponential).map_err(Error::from)?;
    let mean = |queries: &mut dyn Iterator<Item = usize>| {
        let values: Vec<f64> = queries.filter_map(|query| values[query]).collect();
        (values.len(), (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64))
    };
    Ok(CrossValidation {
        mean: mean(&mut (0..rows.len())).1,
        folds: parts.iter().map(|fold| mean(&mut fold.test.iter().copied())).collect(),
    })
}

impl CrossValidation {
    fn table(&self) -> String {
        let row = |name: String, queries: usize, mean: Option<f64>| {
            vec![name, queries.to_string(), mean.map_or_else(|| "—".to_owned(), |mean| format!("{mean:.4}"))]
        };
        let folds = self.folds.iter().enumerate();
        let mut rows: Vec<_> = folds.map(|(at, &(queries, mean))| row((at + 1).to_string(), queries, mean)).collect();
        rows.push(row("all".to_owned(), self.folds.iter().map(|(queries, _)| queries).sum(), self.mean));
        table::render(&["held out", "queries", &format!("ndcg_exp@{CUTOFF}")], &rows)
    }
}

/// What one feature does for a model.
#[derive(Debug, serde::Serialize)]
struct FeatureUse {
    name: String,
    /// Sum of what its splits gained; absent for a weighted sum.
    gain: Option<f64>,
    /// Splits that ask for it; absent for a weighted sum.
    splits: Option<usize>,
    /// Loss of nDCG when its values are shuffled.
    permutation: f64,
}

fn features(fitted: &Fitted, dataset: &Dataset<'_>, seed: Option<u64>) -> Result<Vec<FeatureUse>> {
    let mut quality = |margins: &[f64]| {
        let values = dataset.ndcg(margins, CUTOFF, Gain::Exponential).unwrap_or_default();
        let values: Vec<f64> = values.into_iter().flatten().collect();
        values.iter().sum::<f64>() / values.len().max(1) as f64
    };
    let losses = match dataset.groups {
        // Without queries there is no nDCG.
        [] => vec![0.0; dataset.rows.columns()],
        _ => permutation_importance(&fitted.ranker, dataset.rows, &mut quality, REPEATS, seed.unwrap_or_default())
            .map_err(Error::from)?,
    };
    let trees = match fitted.ranker.model() {
        Model::Trees(ensemble) => Some(importance(ensemble)),
        Model::Linear(_) => None,
    };
    let features = losses.into_iter().enumerate().map(|(column, permutation)| FeatureUse {
        name: dataset.names.get(column).cloned().unwrap_or_else(|| format!("column {}", column + 1)),
        gain: trees.as_ref().map(|trees| trees.gain[column]),
        splits: trees.as_ref().map(|trees| trees.split[column]),
        permutation,
    });
    let mut features: Vec<FeatureUse> = features.collect();
    features.sort_by(|one, other| {
        let gain = |feature: &FeatureUse| feature.gain.unwrap_or(feature.permutation);
        gain(other).total_cmp(&gain(one))
    });
    Ok(features)
}

/// Why there are fewer trees than were asked for.
fn why_no_more(end: End) -> &'static str {
    match end {
        End::NotBetter => "; more rank the validation no better",
        End::NothingToSplit => "; no split improves them",
        _ => "",
    }
}

fn features_table(features: &[FeatureUse], is_validated: bool) -> String {
    let rows = features.iter().take(SHOWN).map(|feature| {
        vec![
            feature.name.clone(),
            feature.gain.map_or_else(|| "—".to_owned(), |gain| format!("{gain:.2}")),
            feature.splits.map_or_else(|| "—".to_owned(), |splits| splits.to_string()),
            format!("{:+.4}", feature.permutation),
        ]
    });
    let shuffled = if is_validated { "loss when shuffled" } else { "loss when shuffled (training)" };
    table::render(&["feature", "gain", "splits", shuffled], &rows.collect::<Vec<_>>())
}

fn curve_table(curves: &std::collections::BTreeMap<String, Vec<f64>>, trees: usize) -> String {
    let mut header = vec!["trees"];
    header.extend(curves.keys().map(String::as_str));
    let step = trees.div_ceil(SHOWN);
    let points = (step..=trees).step_by(step).chain((!trees.is_multiple_of(step)).then_some(trees));
    let rows = points.map(|point| {
        let values =
            curves.values().map(|curve| curve.get(point - 1).map_or(String::new(), |value| format!("{value:.4}")));
        std::iter::once(point.to_string()).chain(values).collect()
    });
    table::render(&header, &rows.collect::<Vec<Vec<String>>>())
}
