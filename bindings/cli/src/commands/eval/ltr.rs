//! `rag eval --ltr`: what a ranker trained on a part of the questions does for the others.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

use anyhow::Result;
use clap::Args;
use rag_core::features::FeatureLog;
use rag_core::ltr::metrics::{GradedRanking, Metric, Qrels, TrecRun};
use rag_core::ltr::significance::{Resampling, bootstrap, randomization_test};
use rag_core::ltr::train::{Dataset, Fitted, Nested, NestedFold, Trainer, importance, nested, permutation_importance};
use rag_core::ltr::{Ranker, Rows, model::Model};
use rag_core::{Engine, Error, Scope};
use serde_json::{Value as Json, json};

use super::{Judged, figure, p_value};
use crate::commands::features::{self, Logged};
use crate::readers::beir::Beir;
use crate::ui::{Output, exit, plain, progress::Progress, table};

/// How often each column is shuffled for its importance.
const REPEATS: usize = 5;

/// Features that are shown to people.
const SHOWN: usize = 15;

/// How a ranker is trained and judged.
#[derive(Debug, Args)]
pub(super) struct LtrArgs {
    /// Judge learning to rank too: rankers are trained on a part of the queries and judged on the others, and compared with
    /// the fused ranking of the same engine. Model and weight are chosen on the training queries alone.
    #[arg(long, requires = "beir")]
    pub(super) ltr: bool,
    /// Parts that are held out in turn.
    #[arg(long, value_name = "N", requires = "ltr")]
    folds: Option<usize>,
    /// Weight of the ranker's score, 0 to 1, or `tuned`: by cross-validation within the training queries.
    #[arg(long, value_name = "WEIGHT", requires = "ltr", default_value = "tuned")]
    ltr_weight: String,
    /// What is learnt: lambdarank, regression, binary (trees), ridge, logistic, pairwise, coordinate (weighted sums).
    /// Several, separated by commas: the one that is best within the training queries.
    #[arg(long, value_name = "NAME", requires = "ltr", value_delimiter = ',', default_value = "lambdarank")]
    objective: Vec<String>,
    /// What every random choice follows from.
    #[arg(long, requires = "ltr")]
    seed: Option<u64>,
    /// Train again without each group of features, and tell what is lost.
    #[arg(long, requires = "ltr")]
    ablate: bool,
    /// Leave out features whose name begins so, such as `query.`; may be given several times.
    #[arg(long, value_name = "PREFIX", requires = "ltr")]
    without: Vec<String>,
    /// Parameters of the training by LightGBM's names, such as num_leaves=7.
    #[arg(value_name = "NAME=VALUE", requires = "ltr")]
    parameters: Vec<String>,
}

pub(super) fn run(
    output: Output,
    engine: &Engine,
    beir: &Beir,
    metrics: &[Metric],
    args: &LtrArgs,
    seconds: f64,
) -> Result<u8> {
    let Some(&metric) = metrics.first() else { return Err(Error::invalid("`--metrics` is empty; name one").into()) };
    let (trainers, options) = (trainers(args)?, options(args)?);
    let scope = Scope::default();
    let queries: Vec<(&str, &str)> = beir.judged_queries().collect();
    let Logged { log, unanswered } = features::log(output, engine, &scope, &queries)?;
    let columns = |name: &str| !args.without.iter().any(|prefix| name.starts_with(prefix));
    let pools = Pools::new(&log, &beir.qrels, metric, columns)?;
    let progress = Progress::new(output, "folds", None);
    let folds = pools.judge(&trainers, &options, &progress)?;
    drop(progress);

    let (base, ltr) = (pools.baseline()?, pools.ranked(&folds)?);
    let names = ["fused", "ltr"].map(str::to_owned);
    let judged = Judged::new(&beir.qrels, names.into_iter().zip([&base, &ltr]), metrics, true)?;
    let gain = Gain::of(&judged, metric)?;
    let features = pools.importance(&folds, options.seed)?;
    let ablated =
        if args.ablate { ablate(output, &log, beir, metric, (&trainers, &options), args)? } else { Vec::new() };

    let mut answer = judged.to_json(beir.left_out);
    answer["collection"] = json!(beir.name);
    answer["model"] = json!(engine.embedder().identity());
    answer["schema"] = json!(log.schema.id().to_string());
    answer["columns"] = json!(pools.names);
    answer["candidates_without_answer"] = json!(unanswered);
    answer["relative_gain"] = json!(gain.relative);
    answer["difference"] = json!({"mean": gain.mean, "low": gain.low, "high": gain.high});
    answer["p_randomization"] = json!(gain.p);
    answer["better"] = json!(gain.better);
    answer["worse"] = json!(gain.worse);
    answer["trainers"] = trainers.iter().map(|trainer| json!(trainer.parameters())).collect();
    answer["folds"] = folds.iter().map(|fold| fold_json(fold, &args.objective)).collect();
    answer["features"] = json!(features);
    answer["ablation"] = json!(ablated);
    answer["per_query"] = per_query(&judged, metric);
    answer["seconds"] = json!({"index": seconds});
    output.answer(&answer, |_| {
        let mut text = format!(
            "{}: {}; {} features; {} folds\n\n{}\n{}",
            plain::line(&beir.name),
            judged.queries(beir.left_out),
            pools.names.len(),
            folds.len(),
            judged.table("ranking"),
            gain.told(metric),
        );
        text += "\n\n";
        text += &folds_table(&folds, &args.objective);
        text += "\n";
        text += &features_table(&features);
        if !ablated.is_empty() {
            text += "\n";
            text += &ablation_table(&ablated);
        }
        text
    })?;
    Ok(exit::OK)
}

fn trainers(args: &LtrArgs) -> Result<Vec<Trainer>> {
    let trainer = |objective: &String| rag_runtime::trainer(objective, &args.parameters);
    let trainers = args.objective.iter().map(trainer).collect::<rag_core::Result<Vec<_>>>()?;
    Ok(trainers.into_iter().map(|trainer| args.seed.map_or(trainer.clone(), |seed| trainer.with_seed(seed))).collect())
}

fn options(args: &LtrArgs) -> Result<Nested> {
    let mut options = Nested::default();
    if let Some(folds) = args.folds {
        (options.folds, options.inner_folds) = (folds, folds);
    }
    options.seed = args.seed.unwrap_or(options.seed);
    if args.ltr_weight != "tuned" {
        let weight = args.ltr_weight.parse().ok().filter(|weight| (0.0..=1.0).contains(weight));
        let told = || Error::invalid(format!("`--ltr-weight` is {}; give `tuned`, or 0 to 1", args.ltr_weight));
        options.weights = vec![weight.ok_or_else(told)?];
    }
    Ok(options)
}

/// The candidates of each query with their features and grades.
struct Pools<'a> {
    log: &'a FeatureLog,
    qrels: &'a Qrels,
    metric: Metric,
    names: Vec<String>,
    /// The chosen columns, row after row.
    values: Vec<f32>,
    labels: Vec<f32>,
    groups: Vec<usize>,
    /// The rows of each query.
    rows: Vec<Range<usize>>,
}

impl<'a> Pools<'a> {
    fn new(log: &'a FeatureLog, qrels: &'a Qrels, metric: Metric, is_chosen: impl Fn(&str) -> bool) -> Result<Self> {
        let features = log.schema.features().iter().enumerate();
        let (columns, names): (Vec<usize>, Vec<String>) = features
            .filter(|(_, feature)| is_chosen(&feature.name))
            .map(|(at, feature)| (at, feature.name.clone()))
            .unzip();
        let values = log.rows()?.iter().flat_map(|row| columns.iter().map(|&column| row[column])).collect();
        let labels = features::labels(log, qrels);
        let mut start = 0;
        let rows = log.queries.iter().map(|query| {
            start += query.documents.len();
            start - query.documents.len()..start
        });
        let rows = rows.collect();
        Ok(Pools { log, qrels, metric, names, values, labels, groups: log.groups(), rows })
    }

    fn rows(&self) -> rag_core::Result<Rows<'_>> {
        Ok(Rows::new(&self.values, self.names.len())?)
    }

    /// Nested cross-validation: every query is ranked by a model and with a weight that know nothing of it.
    fn judge(&self, trainers: &[Trainer], options: &Nested, progress: &Progress) -> Result<Vec<NestedFold<Fitted>>> {
        let fit = |trainer: &Trainer, queries: &[usize]| {
            progress.advance(1);
            self.fit(trainer, queries)
        };
        let score = |model: &Fitted, query: usize| self.margins(&model.ranker, query);
        let quality = |query: usize, margins: &[f64], weight: f32| self.quality(query, margins, weight);
        Ok(nested(self.rows.len(), trainers, options, fit, score, quality)?)
    }

    fn fit(&self, trainer: &Trainer, queries: &[usize]) -> rag_core::Result<Fitted> {
        let mut all = Dataset::new(self.rows()?, &self.labels, &self.groups);
        all.names = &self.names;
        let part = all.part(queries)?;
        Ok(trainer.fit(&part.dataset()?, None, &|| false, &mut |_| ControlFlow::Continue(()))?)
    }

    fn margins(&self, ranker: &Ranker, query: usize) -> rag_core::Result<Vec<f64>> {
        Ok(ranker.margins(self.rows()?.slice(self.rows[query].clone()))?)
    }

    /// The metric of a query when its candidates are ranked with this weight.
    fn quality(&self, query: usize, margins: &[f64], weight: f32) -> rag_core::Result<f64> {
        let logged = &self.log.queries[query];
        let mut run = TrecRun::new();
        run.insert_query(&logged.id, self.scored(query, margins, weight)?)?;
        let ranked = run.ranked(&logged.id, rag_core::ltr::metrics::ScorePrecision::default());
        let none = BTreeMap::new();
        let judgments = self.qrels.get(&logged.id).unwrap_or(&none);
        let ranked: Vec<String> = ranked.into_iter().map(|(id, _)| id.to_owned()).collect();
        Ok(GradedRanking::of(&ranked, judgments).value(self.metric, 1))
    }

    /// The candidates of a query with the score that a search gives them.
    fn scored(&self, query: usize, margins: &[f64], weight: f32) -> rag_core::Result<Vec<(&'a str, f64)>> {
        let logged = &self.log.queries[query];
        let scores = logged.blended(margins, weight)?;
        Ok(logged.documents.iter().map(String::as_str).zip(scores.into_iter().map(f64::from)).collect())
    }

    /// The fused ranking: a ranker of no weight.
    fn baseline(&self) -> rag_core::Result<TrecRun> {
        let mut run = TrecRun::new();
        for (query, rows) in self.rows.iter().enumerate() {
            run.insert_query(&self.log.queries[query].id, self.scored(query, &vec![0.0; rows.len()], 0.0)?)?;
        }
        Ok(run)
    }

    /// Every query as the model and the weight rank it that were chosen without it.
    fn ranked(&self, folds: &[NestedFold<Fitted>]) -> rag_core::Result<TrecRun> {
        let mut run = TrecRun::new();
        for fold in folds {
            for &query in &fold.test {
                let margins = self.margins(&fold.model.ranker, query)?;
                run.insert_query(&self.log.queries[query].id, self.scored(query, &margins, fold.weight)?)?;
            }
        }
        Ok(run)
    }

    /// What each feature does for the models: mean share of the gain of their splits, and mean loss of the metric on the
    /// held-out queries when the feature is shuffled.
    fn importance(&self, folds: &[NestedFold<Fitted>], seed: u64) -> Result<Vec<FeatureShare>> {
        let mut shares: Vec<FeatureShare> =
            self.names.iter().map(|name| FeatureShare { name: name.clone(), gain: 0.0, permutation: 0.0 }).collect();
        let count = folds.len() as f64;
        for fold in folds {
            if let Model::Trees(ensemble) = fold.model.ranker.model() {
                let gains = importance(ensemble).gain;
                let total: f64 = gains.iter().sum();
                shares
                    .iter_mut()
                    .zip(gains)
                    .for_each(|(share, gain)| share.gain += gain / total.max(f64::MIN_POSITIVE) / count);
            }
            let (values, sizes) = self.held_out(fold)?;
            let mut quality = |margins: &[f64]| {
                let mut start = 0;
                let values = fold.test.iter().zip(&sizes).map(|(&query, size)| {
                    start += size;
                    self.quality(query, &margins[start - size..start], fold.weight).unwrap_or(f64::NAN)
                });
                values.sum::<f64>() / fold.test.len() as f64
            };
            let rows = Rows::new(&values, self.names.len()).map_err(Error::from)?;
            let losses = permutation_importance(&fold.model.ranker, rows, &mut quality, REPEATS, seed);
            let losses = losses.map_err(Error::from)?;
            shares.iter_mut().zip(losses).for_each(|(share, loss)| share.permutation += loss / count);
        }
        shares.sort_by(|one, other| other.permutation.total_cmp(&one.permutation));
        Ok(shares)
    }

    /// The rows of the held-out queries, and how many each has.
    fn held_out(&self, fold: &NestedFold<Fitted>) -> rag_core::Result<(Vec<f32>, Vec<usize>)> {
        let all = self.rows()?;
        let rows = || fold.test.iter().map(|&query| self.rows[query].clone());
        let values = rows().flat_map(|rows| all.slice(rows).values()).copied().collect();
        Ok((values, rows().map(|rows| rows.len()).collect()))
    }
}

fn per_query(judged: &Judged, metric: Metric) -> Json {
    let [base, ltr] = &judged.runs[..] else { return Json::Null };
    let values = base.evaluation.iter().map(|(query, _)| {
        json!({"query": query, "fused": base.evaluation.value(query, metric), "ltr": ltr.evaluation.value(query, metric)})
    });
    values.collect()
}

/// What one feature does.
#[derive(Debug, serde::Serialize)]
struct FeatureShare {
    name: String,
    gain: f64,
    permutation: f64,
}

/// By how much the ranker is better than the fused ranking.
struct Gain {
    /// `None` where the fused ranking has nothing to gain on.
    relative: Option<f64>,
    mean: f64,
    low: f64,
    high: f64,
    p: f64,
    better: usize,
    worse: usize,
}

impl Gain {
    fn of(judged: &Judged, metric: Metric) -> rag_core::Result<Gain> {
        let [base, ltr] = &judged.runs[..] else { return Err(Error::internal("there are two rankings to compare")) };
        let (before, after) = base.evaluation.paired(&ltr.evaluation, metric)?;
        let interval = bootstrap(&before, &after, Resampling::default())?;
        let sum = |values: &[f64]| values.iter().sum::<f64>();
        let pairs = || before.iter().zip(&after);
        Ok(Gain {
            relative: (sum(&before) > 0.0).then(|| sum(&after) / sum(&before) - 1.0),
            mean: (sum(&after) - sum(&before)) / before.len() as f64,
            low: interval.low,
            high: interval.high,
            p: randomization_test(&before, &after, Resampling::default())?,
            better: pairs().filter(|(before, after)| after > before).count(),
            worse: pairs().filter(|(before, after)| after < before).count(),
        })
    }

    fn told(&self, metric: Metric) -> String {
        format!(
            "{metric}: {} ({:+.4}, 95 % from {:+.4} to {:+.4}; randomisation test p {}); {} queries better, {} worse",
            percent(self.relative),
            self.mean,
            self.low,
            self.high,
            p_value(self.p),
            self.better,
            self.worse
        )
    }
}

/// The relative gain without each group of features.
fn ablate(
    output: Output,
    log: &FeatureLog,
    beir: &Beir,
    metric: Metric,
    (trainers, options): (&[Trainer], &Nested),
    args: &LtrArgs,
) -> Result<Vec<(String, Option<f64>)>> {
    let is_chosen = |name: &str| !args.without.iter().any(|prefix| name.starts_with(prefix));
    let groups: Vec<String> = {
        let names = log.schema.features().iter().map(|feature| feature.name.as_str()).filter(|name| is_chosen(name));
        let mut groups: Vec<String> = names.map(|name| group_of(name).to_owned()).collect();
        groups.dedup();
        groups
    };
    let progress = Progress::new(output, "ablation", Some(groups.len() as u64));
    let mut ablated = Vec::new();
    for group in groups {
        let pools = Pools::new(log, &beir.qrels, metric, |name| is_chosen(name) && group_of(name) != group)?;
        let folds = pools.judge(trainers, options, &progress)?;
        let (base, ltr) = (pools.baseline()?, pools.ranked(&folds)?);
        let names = ["fused", "ltr"].map(str::to_owned);
        let judged = Judged::new(&beir.qrels, names.into_iter().zip([&base, &ltr]), &[metric], true)?;
        ablated.push((group, Gain::of(&judged, metric)?.relative));
    }
    Ok(ablated)
}

/// What stands before the point of a feature's name.
fn group_of(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

fn percent(gain: Option<f64>) -> String {
    gain.map_or_else(|| "—".to_owned(), |gain| format!("{:+.2} %", 100.0 * gain))
}

fn fold_json(fold: &NestedFold<Fitted>, objectives: &[String]) -> Json {
    let expected = Some(fold.expected).filter(|expected| expected.is_finite());
    json!({
        "queries": fold.test.len(), "objective": objectives[fold.candidate], "weight": fold.weight, "expected": expected,
        "mean": fold.values.iter().sum::<f64>() / fold.values.len() as f64,
    })
}

fn folds_table(folds: &[NestedFold<Fitted>], objectives: &[String]) -> String {
    let rows = folds.iter().enumerate().map(|(at, fold)| {
        let expected = Some(fold.expected).filter(|expected| expected.is_finite());
        let mean = fold.values.iter().sum::<f64>() / fold.values.len() as f64;
        vec![
            (at + 1).to_string(),
            fold.test.len().to_string(),
            objectives[fold.candidate].clone(),
            format!("{:.2}", fold.weight),
            figure(expected),
            figure(Some(mean)),
        ]
    });
    table::render(&["fold", "queries", "objective", "weight", "within training", "held out"], &rows.collect::<Vec<_>>())
}

fn features_table(features: &[FeatureShare]) -> String {
    let rows = features.iter().take(SHOWN).map(|share| {
        vec![share.name.clone(), format!("{:.2} %", 100.0 * share.gain), format!("{:+.4}", share.permutation)]
    });
    table::render(&["feature", "share of gain", "loss when shuffled"], &rows.collect::<Vec<_>>())
}

fn ablation_table(ablated: &[(String, Option<f64>)]) -> String {
    let rows = ablated.iter().map(|(group, gain)| vec![group.clone(), percent(*gain)]);
    table::render(&["without", "relative gain"], &rows.collect::<Vec<_>>())
}
