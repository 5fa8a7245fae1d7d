//! `rag eval`: how well the retrievers rank, on a test collection or from runs that are there already.

mod ltr;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use rag_core::engine::{MAX_K, Mode, SearchRequest};
use rag_core::ltr::metrics::{Evaluation, Metric, MissingQueries, Qrels, TrecRun, evaluate};
use rag_core::ltr::significance::t_test;
use rag_core::ltr::trec::{check_id, write_run};
use rag_core::{Engine, Error, Scope};
use serde_json::{Value as Json, json};

use super::index;
use crate::Setup;
use crate::readers::{beir::Beir, trec};
use crate::ui::{Output, exit, plain, progress::Progress, table};

/// What is asked of the engine, and the names of the runs; the others are compared with the first.
const RETRIEVERS: [(&str, Mode); 3] = [("lexical", Mode::Lexical), ("dense", Mode::Dense), ("fused", Mode::Hybrid)];

/// Arguments of `rag eval`.
#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// A test collection in BEIR's layout: corpus.jsonl and queries.jsonl (each perhaps .gz), qrels/test.tsv.
    #[arg(long, value_name = "FOLDER", required_unless_present = "run")]
    beir: Option<PathBuf>,
    /// Judge this run in TREC's layout instead, without an index; may be given several times.
    #[arg(long, value_name = "FILE", conflicts_with = "beir", requires = "qrels")]
    run: Vec<PathBuf>,
    /// The judgments for --run: a .tsv file in BEIR's layout, any other in TREC's.
    #[arg(long, value_name = "FILE", requires = "run")]
    qrels: Option<PathBuf>,
    /// The run that those of --run are compared with.
    #[arg(long, value_name = "FILE", requires = "run")]
    baseline: Option<PathBuf>,
    /// ndcg, ndcg_exp, map, mrr, p, recall, success and judged, with a cutoff or without. The first one is tested.
    #[arg(long, value_delimiter = ',', default_value = "ndcg@10,map,mrr@10,recall@100")]
    metrics: Vec<Metric>,
    /// Documents of each answer.
    #[arg(short, long, default_value_t = 100, conflicts_with = "run")]
    k: usize,
    /// Leave the document that has the id of the query out of its answer, as BEIR's own evaluation does for ArguAna and
    /// Quora, whose queries are documents of the corpus. trec_eval does not; elsewhere equal ids are an accident.
    #[arg(long, conflicts_with = "run")]
    ignore_identical_ids: bool,
    /// Keep the index in this folder, which a second evaluation uses again; otherwise it is a temporary one.
    #[arg(long, value_name = "FOLDER", conflicts_with = "run")]
    data: Option<PathBuf>,
    /// Write the runs into this folder, in TREC's layout: lexical.trec, dense.trec, fused.trec. Ids with white space have
    /// no place in it and are told before anything is indexed.
    #[arg(long, value_name = "FOLDER", conflicts_with = "run")]
    run_out: Option<PathBuf>,
    /// Leave documents whole, as published figures have it: BM25 sees all of the text, the model its beginning up to its
    /// limit. With `=false` they are split into chunks, as `rag index` does.
    #[arg(long, value_name = "BOOL", conflicts_with = "run", default_value_t = true, default_missing_value = "true")]
    #[arg(num_args = 0..=1, require_equals = true, action = clap::ArgAction::Set)]
    whole_documents: bool,
    #[command(flatten)]
    learning: ltr::LtrArgs,
    #[command(flatten)]
    setup: Setup,
}

pub(crate) fn run(output: Output, args: &EvalArgs) -> Result<u8> {
    match (&args.beir, &args.qrels) {
        (Some(folder), _) => collection(output, args, folder),
        (None, Some(qrels)) => runs(output, args, qrels),
        (None, None) => Err(Error::invalid("give --beir, or --run and --qrels").into()),
    }
}

/// Indexes a collection, asks every retriever its queries and judges the answers.
fn collection(output: Output, args: &EvalArgs, folder: &Path) -> Result<u8> {
    check_depth(args)?;
    let beir = Beir::open(folder)?;
    check_judgments(&beir.qrels)?;
    if let Some(folder) = &args.run_out {
        check_ids(&beir)?;
        std::fs::create_dir_all(folder).map_err(|source| Error::io("make", folder, source))?;
    }
    let temporary;
    let data = if let Some(folder) = &args.data {
        folder.as_path()
    } else {
        temporary = super::temporary_folder()?;
        temporary.path()
    };
    let (start, scope) = (Instant::now(), Scope::default());
    let engine = open_engine(data, args)?;
    let before = engine.stats(&scope)?.documents_total;
    let indexed = index::stage(output, &engine, &scope, beir.corpus()?)?;
    let report = &indexed.report;
    if before > (report.updated + report.unchanged) as u64 {
        engine.rollback()?;
        return Err(Error::invalid("`--data` holds documents that the corpus lacks; give a folder of its own").into());
    }
    engine.commit()?;
    let indexing = start.elapsed().as_secs_f64();
    indexed.tell_failures(output);
    if args.learning.ltr {
        return ltr::run(output, &engine, &beir, &args.metrics, &args.learning, indexing);
    }
    let runs = search(output, &engine, &scope, &beir, args)?;
    let searching = start.elapsed().as_secs_f64() - indexing;

    let names = RETRIEVERS.iter().map(|(name, _)| (*name).to_owned());
    let judged = Judged::new(&beir.qrels, names.zip(&runs), &args.metrics, true)?;
    let documents = engine.stats(&scope)?.documents;
    let mut answer = judged.to_json(beir.left_out);
    answer["collection"] = json!(beir.name);
    answer["split"] = json!(beir.split);
    answer["documents"] = json!(documents);
    answer["model"] = json!(engine.embedder().identity());
    answer["dense_weight"] = json!(engine.embedder().dense_weight());
    answer["k"] = json!(args.k);
    answer["ignore_identical_ids"] = json!(args.ignore_identical_ids);
    answer["whole_documents"] = json!(args.whole_documents);
    answer["indexed"] = json!({
        "added": report.added, "updated": report.updated, "unchanged": report.unchanged, "chunks": report.chunks,
        "embedded": report.embedded, "truncated": report.truncated,
    });
    answer["seconds"] = json!({"index": indexing, "search": searching});
    output.answer(&answer, |_| {
        format!(
            "{} ({}): {documents} documents, {}\nindexed in {indexing:.1} s ({} embedded), searched in {searching:.1} s; {}\n\n{}",
            plain::line(&beir.name),
            plain::line(&beir.split),
            judged.queries(beir.left_out),
            report.embedded,
            plain::line(&engine.embedder().identity().to_string()),
            judged.table("retriever"),
        )
    })?;
    if let Some(folder) = &args.run_out {
        write_runs(folder, &runs)?;
    }
    Ok(if indexed.failed() > 0 { exit::SOME_SKIPPED } else { exit::OK })
}

/// Judges runs that are there already.
fn runs(output: Output, args: &EvalArgs, qrels: &Path) -> Result<u8> {
    let all = trec::read_qrels(qrels)?;
    let count = all.len();
    let qrels = all.with_relevant(1);
    check_judgments(&qrels)?;
    let left_out = count - qrels.len();
    let paths: Vec<&PathBuf> = args.baseline.iter().chain(&args.run).collect();
    let runs = paths.iter().map(|path| trec::read_run(path)).collect::<rag_core::Result<Vec<_>>>()?;
    let names = paths.iter().map(|path| path.display().to_string());
    let judged = Judged::new(&qrels, names.zip(&runs), &args.metrics, args.baseline.is_some())?;
    output.answer(&judged.to_json(left_out), |_| format!("{}\n\n{}", judged.queries(left_out), judged.table("run")))?;
    Ok(exit::OK)
}

/// The one place where an evaluation gets its engine: settings and model.
fn open_engine(folder: &Path, args: &EvalArgs) -> Result<Engine> {
    let mut settings = args.setup.settings()?;
    if args.whole_documents {
        (settings.engine.chunking.max_tokens, settings.engine.chunking.overlap_tokens) = (0, 0);
    }
    Ok(settings.open(folder)?)
}

/// The answers of every retriever, in their order.
fn search(output: Output, engine: &Engine, scope: &Scope, beir: &Beir, args: &EvalArgs) -> Result<Vec<TrecRun>> {
    // One more where one may be left out, so that the answers are as long.
    let asked = args.k + usize::from(args.ignore_identical_ids);
    let progress = Progress::new(output, "queries", Some(beir.qrels.len() as u64));
    let mut runs = vec![TrecRun::new(); RETRIEVERS.len()];
    for (query, text) in beir.judged_queries() {
        for ((_, mode), run) in RETRIEVERS.iter().zip(&mut runs) {
            // A query without a word has no answer, and that is what it counts.
            let hits = match text.trim() {
                "" => Vec::new(),
                text => engine.search(scope, &SearchRequest::new(text, asked).with_mode(*mode))?.hits,
            };
            let counted = hits.iter().filter(|hit| !(args.ignore_identical_ids && hit.id == query)).take(args.k);
            let hits = counted.map(|hit| (&hit.id, f64::from(hit.score)));
            run.insert_query(query, hits).map_err(Error::from)?;
        }
        progress.advance(1);
    }
    Ok(runs)
}

fn write_runs(folder: &Path, runs: &[TrecRun]) -> Result<()> {
    for ((name, _), run) in RETRIEVERS.iter().zip(runs) {
        let mut text = String::new();
        write_run(run, name, &mut text).map_err(Error::from)?;
        let path = folder.join(format!("{name}.trec"));
        std::fs::write(&path, text).map_err(|source| Error::io("write", &path, source))?;
    }
    Ok(())
}

/// Makes sure that the runs can be written, before the corpus is indexed for them.
fn check_ids(beir: &Beir) -> Result<()> {
    let check = |field, id: &str| {
        check_id(field, id).map_err(|error| Error::invalid(format!("`--run-out`: {error}")).with_source(error))
    };
    beir.judged_queries().try_for_each(|(query, _)| check("query", query))?;
    beir.corpus()?.try_for_each(|document| check("document", &document.id))?;
    Ok(())
}

fn check_depth(args: &EvalArgs) -> Result<()> {
    let most = MAX_K - usize::from(args.ignore_identical_ids);
    if !(1..=most).contains(&args.k) {
        return Err(Error::invalid(format!("`-k` is {}; give 1 to {most}", args.k)).into());
    }
    match args.metrics.iter().find(|metric| metric.k().is_some_and(|k| k > args.k)) {
        Some(metric) => {
            let message = format!("`{metric}` looks deeper than the {} documents of each answer; raise -k", args.k);
            Err(Error::invalid(message).into())
        }
        None => Ok(()),
    }
}

fn check_judgments(qrels: &Qrels) -> Result<()> {
    if qrels.is_empty() {
        return Err(Error::invalid("the judgments have no relevant document; a grade of 1 or more says so").into());
    }
    Ok(())
}

/// The figures of some runs over the same queries. A query without an answer counts 0.
struct Judged {
    runs: Vec<JudgedRun>,
    metrics: Vec<Metric>,
    /// Whether the runs are compared with the first one.
    has_baseline: bool,
}

struct JudgedRun {
    name: String,
    evaluation: Evaluation,
    /// Queries that the run has no document for.
    unanswered: usize,
    /// Paired t-test of the first metric against the first run.
    p: Option<f64>,
}

impl Judged {
    fn new<'a>(
        qrels: &Qrels,
        runs: impl IntoIterator<Item = (String, &'a TrecRun)>,
        metrics: &[Metric],
        has_baseline: bool,
    ) -> rag_core::Result<Self> {
        let judge = |(name, run): (String, &TrecRun)| {
            let has_no_hit = |query: &str| run.get(query).is_none_or(std::collections::BTreeMap::is_empty);
            let unanswered = qrels.iter().filter(|(query, _)| has_no_hit(query)).count();
            JudgedRun { name, evaluation: evaluate(qrels, run, metrics, MissingQueries::Zero), unanswered, p: None }
        };
        let mut runs: Vec<JudgedRun> = runs.into_iter().map(judge).collect();
        // One pair of values is too few for a test.
        if let ([baseline, others @ ..], Some(&metric)) = (runs.as_mut_slice(), metrics.first())
            && has_baseline
            && qrels.len() > 1
        {
            for run in others {
                let (theirs, ours) = baseline.evaluation.paired(&run.evaluation, metric)?;
                run.p = Some(t_test(&theirs, &ours)?.p);
            }
        }
        Ok(Judged { runs, metrics: metrics.to_vec(), has_baseline })
    }

    fn count(&self) -> usize {
        self.runs.first().map_or(0, |run| run.evaluation.len())
    }

    /// How many queries were judged.
    fn queries(&self, left_out: usize) -> String {
        let left_out = match left_out {
            0 => String::new(),
            count => format!(" ({count} without one left out)"),
        };
        format!("{} queries with a relevant document{left_out}", self.count())
    }

    /// A row for each run; below it, what `p` stands for, and what was not answered.
    fn table(&self, what: &str) -> String {
        let names: Vec<String> = self.metrics.iter().map(ToString::to_string).collect();
        let mut header = vec![what];
        header.extend(names.iter().map(String::as_str));
        header.extend(self.has_baseline.then_some("p"));
        let rows = self.runs.iter().map(|run| {
            let mut row = vec![run.name.clone()];
            row.extend(self.metrics.iter().map(|&metric| figure(run.evaluation.mean(metric))));
            row.extend(self.has_baseline.then(|| run.p.map_or_else(|| "—".to_owned(), p_value)));
            row
        });
        let mut notes = Vec::new();
        if let (true, Some(metric), Some(baseline)) = (self.has_baseline, self.metrics.first(), self.runs.first()) {
            notes.push(format!("p: paired t-test of {metric} against {}\n", plain::line(&baseline.name)));
        }
        let unanswered = self.runs.iter().filter(|run| run.unanswered > 0);
        notes.extend(
            unanswered.map(|run| {
                format!("{}: {} queries have no answer and count 0\n", plain::line(&run.name), run.unanswered)
            }),
        );
        table::render(&header, &rows.collect::<Vec<_>>()) + &notes.concat()
    }

    fn to_json(&self, left_out: usize) -> Json {
        let runs = self.runs.iter().map(|run| {
            let values = |&metric: &Metric| (metric.to_string(), json!(run.evaluation.mean(metric)));
            let metrics: serde_json::Map<String, Json> = self.metrics.iter().map(values).collect();
            json!({"run": run.name, "metrics": metrics, "p": run.p, "unanswered": run.unanswered})
        });
        let test = self.has_baseline.then(|| {
            json!({
                "test": "paired t-test",
                "metric": self.metrics.first().map(ToString::to_string),
                "against": self.runs.first().map(|run| &run.name),
            })
        });
        json!({
            "queries": self.count(), "queries_left_out": left_out, "significance": test,
            "runs": runs.collect::<Vec<_>>(),
        })
    }
}

fn figure(mean: Option<f64>) -> String {
    mean.map_or_else(|| "—".to_owned(), |mean| format!("{mean:.4}"))
}

fn p_value(p: f64) -> String {
    if p < 0.0001 { "<0.0001".to_owned() } else { format!("{p:.4}") }
}
