//! `rag tune`: which fusion suits a data folder, by judged questions.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use rag_core::ltr::metrics::Metric;
use rag_core::tune::{AdaptiveReport, Comparison, FormulaReport, JudgedQuery, TuneOptions, TuneReport};
use rag_core::{Engine, Error};
use rag_runtime::tune::methods;

use super::check_out;
use crate::Data;
use crate::readers::{beir, trec};
use crate::ui::{Output, exit, plain, table};

/// Arguments of `rag tune`.
#[derive(Debug, Args)]
pub(crate) struct TuneArgs {
    #[command(flatten)]
    data: Data,
    /// The questions: JSON Lines with `_id` and `text`, perhaps .gz.
    #[arg(long, value_name = "FILE")]
    queries: PathBuf,
    /// Their judgments: a .tsv file in BEIR's layout, any other in TREC's. Questions without a relevant document are left out.
    #[arg(long, value_name = "FILE")]
    qrels: PathBuf,
    /// What is good: ndcg, ndcg_exp, map, mrr, p, recall, success, with a cutoff or without.
    #[arg(long, default_value = "ndcg@10")]
    metric: Metric,
    /// Formulas to compare, or `all`; docs/fusion.md has them.
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_value = "convex,rrf")]
    methods: Vec<String>,
    /// Scales to compare, for formulas that look at scores; all unless told.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    normalizations: Vec<String>,
    /// Step of the weight of the dense run; 0.05 unless told.
    #[arg(long, value_name = "STEP")]
    step: Option<f64>,
    /// Parts of the questions that are held out in turn; 5 unless told.
    #[arg(long, value_name = "N")]
    folds: Option<usize>,
    /// What the parts follow from; 0 unless told.
    #[arg(long)]
    seed: Option<u64>,
    /// With fewer questions, what is in use stays unless another choice is better by more than one standard error; 1000 unless
    /// told, 0 for the best mean however few they are.
    #[arg(long, value_name = "N")]
    few_queries: Option<usize>,
    /// Write what was chosen into this file, as a configuration; it must not be there yet.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(crate) fn run(output: Output, args: &TuneArgs) -> Result<u8> {
    if let Some(out) = &args.out {
        check_out(out)?;
        if out.exists() {
            let out = out.display();
            return Err(
                Error::invalid(format!("`--out` {out} is there already; remove it, or give another name")).into()
            );
        }
    }
    let queries = judged(args)?;
    let engine = args.data.open()?;
    let report = engine.tune(&args.data.scope()?, &queries, &options(args))?;
    if let Some(out) = &args.out {
        let text = report.to_toml(&about(args, &engine));
        let written =
            std::fs::File::create_new(out).and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
        written.map_err(|source| Error::io("write", out, source))?;
    }
    output.answer(&report, |_| show(&report))?;
    Ok(exit::OK)
}

fn judged(args: &TuneArgs) -> Result<Vec<JudgedQuery>> {
    let (qrels, texts) = (trec::read_qrels(&args.qrels)?.with_relevant(1), beir::read_queries(&args.queries)?);
    let of_query = |(id, grades): (&str, &std::collections::BTreeMap<String, i32>)| {
        let text = texts.get(id).filter(|text| !text.trim().is_empty())?;
        Some(JudgedQuery::new(text, grades.clone()))
    };
    let queries: Vec<JudgedQuery> = qrels.iter().filter_map(of_query).collect();
    if queries.is_empty() {
        let (queries, qrels) = (args.queries.display(), args.qrels.display());
        return Err(Error::invalid(format!("no question of {queries} has a relevant document in {qrels}")).into());
    }
    Ok(queries)
}

fn options(args: &TuneArgs) -> TuneOptions {
    let mut options = TuneOptions { metric: args.metric, ..TuneOptions::default() };
    options.methods = methods(args.methods.clone());
    if !args.normalizations.is_empty() {
        options.normalizations.clone_from(&args.normalizations);
    }
    options.step = args.step.unwrap_or(options.step);
    options.folds = args.folds.unwrap_or(options.folds);
    options.few_queries = args.few_queries.unwrap_or(options.few_queries);
    options.seed = args.seed.unwrap_or(options.seed);
    options
}

/// Where the choice comes from, in a line.
fn about(args: &TuneArgs, engine: &Engine) -> String {
    let (data, qrels) = (args.data.data.display(), args.qrels.display());
    let date = jiff::Zoned::now().date();
    format!("{qrels} on {data}, {}, {date}", engine.embedder().identity())
}

fn show(report: &TuneReport) -> String {
    let TuneReport { metric, queries, folds, chosen, held_out, .. } = report;
    let mut rows: Vec<Vec<String>> = report
        .baselines
        .iter()
        .zip(&report.comparisons)
        .map(|(baseline, compared)| vec![baseline.name.clone(), figure(baseline.mean), told(compared), p(compared.p)])
        .collect();
    rows.push(vec!["tuned (held out)".to_owned(), figure(held_out.mean), String::new(), String::new()]);
    let formulas: Vec<Vec<String>> = report.formulas.iter().map(formula).collect();
    let mut lines = vec![format!("{queries} judged questions, {metric}, {folds} folds")];
    if report.missing > 0 {
        let TuneReport { relevant, missing, .. } = report;
        lines.push(format!(
            "{missing} of {relevant} relevant documents are not in the folder: they count as never found"
        ));
    }
    lines.extend([
        String::new(),
        table::render(&["ranking", metric, "tuned is better by (95 %)", "p"], &rows),
        table::render(&["formula", "best dense weight", "held out", "best mean"], &formulas),
        format!("weight of the dense run, and the mean over all questions, {}:", chosen.formula),
    ]);
    lines.extend(curve(report));
    if let Some(AdaptiveReport { held_out, moved, global, .. }) = &report.adaptive {
        lines.push(format!(
            "\na weight for each question: {} held out, {} against one weight, p {}; {moved} of {queries} questions move",
            figure(*held_out),
            told(global),
            p(global.p)
        ));
    }
    let choice = format!("{} with a dense weight of {}", plain::line(&chosen.formula), chosen.dense_weight);
    lines.push(if report.keeps() {
        format!("\nkept: {choice}, which is in use; nothing was clearly better")
    } else {
        format!("\nchosen: {choice}; {} over all questions, which it was chosen with", figure(report.chosen_mean))
    });
    lines.join("\n")
}

/// A bar for each weight.
fn curve(report: &TuneReport) -> impl Iterator<Item = String> {
    let means = || report.curve.iter().map(|point| point.mean);
    let (least, most) = (means().fold(f64::MAX, f64::min), means().fold(f64::MIN, f64::max));
    report.curve.iter().map(move |point| {
        let share = if most > least { (point.mean - least) / (most - least) } else { 1.0 };
        let bar = "▪".repeat(1 + (share * 39.0).round() as usize);
        format!("  {:>5.2}  {}  {bar}", point.dense_weight, figure(point.mean))
    })
}

fn formula(report: &FormulaReport) -> Vec<String> {
    let FormulaReport { choice, held_out, best } = report;
    vec![choice.formula.clone(), choice.dense_weight.to_string(), figure(*held_out), figure(*best)]
}

fn figure(value: f64) -> String {
    format!("{value:.4}")
}

fn told(Comparison { difference, low, high, .. }: &Comparison) -> String {
    format!("{difference:+.4} ({low:+.4} to {high:+.4})")
}

fn p(value: f64) -> String {
    if value < 0.0001 { "< .0001".to_owned() } else { format!("{value:.4}") }
}
