//! `rag features`: what a ranker sees of the candidates of some questions, as a file to train on.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use rag_core::engine::SearchRequest;
use rag_core::features::FeatureLog;
use rag_core::ltr::metrics::Qrels;
use rag_core::ltr::schema::FeatureSchema;
use rag_core::ltr::svmlight;
use rag_core::{Engine, Error, Scope};
use serde_json::json;

use crate::Data;
use crate::readers::{beir, trec};
use crate::ui::{Output, exit, plain, progress::Progress, table};

/// Questions that are asked at once.
const BATCH: usize = 32;

/// Begins the line of a feature file that says what its columns are.
pub(crate) const SCHEMA_LINE: &str = "# schema ";

/// Arguments of `rag features`.
#[derive(Debug, Args)]
pub(crate) struct FeaturesArgs {
    #[command(flatten)]
    data: Data,
    /// The questions: JSON Lines with `_id` and `text`, perhaps .gz. Without it the schema is shown.
    #[arg(long, value_name = "FILE", requires = "out")]
    queries: Option<PathBuf>,
    /// Judgments, which become the labels: a .tsv file in BEIR's layout, any other in TREC's. A document that is not
    /// judged has the label 0; questions without a relevant document are left out.
    #[arg(long, value_name = "FILE", requires = "queries")]
    qrels: Option<PathBuf>,
    /// The file to write: JSON Lines for a name that ends in .jsonl, else SVMlight's format with `qid`.
    #[arg(long, value_name = "FILE", requires = "queries")]
    out: Option<PathBuf>,
}

pub(crate) fn run(output: Output, args: &FeaturesArgs) -> Result<u8> {
    let (Some(queries), Some(out)) = (&args.queries, &args.out) else { return schema(output, args) };
    super::check_out(out)?;
    let qrels = args.qrels.as_deref().map(trec::read_qrels).transpose()?.map(|qrels| qrels.with_relevant(1));
    let queries = beir::read_queries(queries)?;
    let engine = args.data.open()?;
    let judged = |id: &str| qrels.as_ref().is_none_or(|qrels| qrels.get(id).is_some());
    let asked = queries.iter().map(|(id, text)| (id.as_str(), text.as_str())).filter(|(id, _)| judged(id));
    let logged = log(output, &engine, &args.data.scope()?, &asked.collect::<Vec<_>>())?;
    let text = if out.extension().is_some_and(|extension| extension == "jsonl") {
        to_jsonl(&logged.log, qrels.as_ref())
    } else {
        to_svmlight(&logged.log, qrels.as_ref())?
    };
    std::fs::write(out, text).map_err(|source| Error::io("write", out, source))?;
    let (rows, columns) = (logged.log.iter().count(), logged.log.schema.features().len());
    let answer = json!({
        "file": out, "queries": logged.log.queries.len(), "rows": rows, "columns": columns,
        "schema": logged.log.schema.id().to_string(), "unanswered": logged.unanswered,
    });
    output.answer(&answer, |_| {
        let file = plain::line(&out.to_string_lossy()).into_owned();
        format!(
            "{file}: {rows} rows of {} questions, {columns} features of schema {}",
            logged.log.queries.len(),
            logged.log.schema.id()
        )
    })?;
    Ok(exit::OK)
}

/// Shows the features of a data folder.
fn schema(output: Output, args: &FeaturesArgs) -> Result<u8> {
    let engine = args.data.open()?;
    let schema = engine.feature_schema();
    output.answer(schema, |schema| {
        let rows = schema.features().iter().enumerate();
        let rows = rows.map(|(at, feature)| {
            vec![(at + 1).to_string(), feature.name.clone(), format!("{:?}", feature.kind).to_lowercase()]
        });
        format!(
            "schema {}\n\n{}",
            schema.id(),
            table::render(&["column", "feature", "kind"], &rows.collect::<Vec<_>>())
        )
    })?;
    Ok(exit::OK)
}

/// The rows of some questions.
pub(crate) struct Logged {
    pub(crate) log: FeatureLog,
    /// Ids of the questions without a word or without a candidate.
    pub(crate) unanswered: Vec<String>,
}

/// Asks every question, given with its id, for the features of its candidates.
pub(crate) fn log(output: Output, engine: &Engine, scope: &Scope, queries: &[(&str, &str)]) -> Result<Logged> {
    let progress = Progress::new(output, "queries", Some(queries.len() as u64));
    let (mut log, mut unanswered): (Option<FeatureLog>, Vec<String>) = (None, Vec::new());
    for batch in queries.chunks(BATCH) {
        let (asked, silent): (Vec<_>, Vec<_>) = batch.iter().copied().partition(|(_, text)| !text.trim().is_empty());
        unanswered.extend(silent.into_iter().map(|(id, _)| id.to_owned()));
        let requests = asked.into_iter().map(|(id, text)| (id, SearchRequest::new(text, 1)));
        let part = engine.log_features(scope, &requests.collect::<Vec<_>>())?;
        match &mut log {
            None => log = Some(part),
            Some(log) => log.append(part)?,
        }
        progress.advance(batch.len() as u64);
    }
    let Some(mut log) = log else { return Err(Error::invalid("there is no question to ask").into()) };
    unanswered.extend(log.queries.iter().filter(|query| query.documents.is_empty()).map(|query| query.id.clone()));
    log.queries.retain(|query| !query.documents.is_empty());
    Ok(Logged { log, unanswered })
}

/// The grade of each row; 0 where there is no judgment.
pub(crate) fn labels(log: &FeatureLog, qrels: &Qrels) -> Vec<f32> {
    log.iter().map(|(query, document, _)| qrels.grade(query, document).unwrap_or(0).max(0) as f32).collect()
}

/// One object a row: `query`, `document`, `label` where there are judgments, and `features` by their names; missing ones are
/// left out.
fn to_jsonl(log: &FeatureLog, qrels: Option<&Qrels>) -> String {
    let labels = qrels.map(|qrels| labels(log, qrels));
    let mut text = String::new();
    for (row, (query, document, values)) in log.iter().enumerate() {
        let known = log.schema.features().iter().zip(values).filter(|(_, value)| value.is_finite());
        let features: BTreeMap<&str, f32> = known.map(|(feature, value)| (feature.name.as_str(), *value)).collect();
        let mut line = json!({"query": query, "document": document, "features": features});
        if let Some(labels) = &labels {
            line["label"] = json!(labels[row]);
        }
        text += &line.to_string();
        text.push('\n');
    }
    text
}

/// SVMlight's format. A first comment has the schema, which `rag train` puts into the model; others the ids of the questions.
fn to_svmlight(log: &FeatureLog, qrels: Option<&Qrels>) -> Result<String> {
    let labels = qrels.map_or_else(|| vec![0.0; log.iter().count()], |qrels| labels(log, qrels));
    let mut text = format!("{SCHEMA_LINE}{}\n", serde_json::to_string(&log.schema)?);
    for (at, query) in log.queries.iter().enumerate() {
        writeln!(text, "# qid {} is {}", at + 1, json!(query.id))?;
    }
    svmlight::write(&mut text, log.rows()?, &labels, &log.groups()).map_err(Error::from)?;
    Ok(text)
}

/// The schema that a feature file names, if it does.
pub(crate) fn schema_of(text: &str, path: &Path) -> Result<Option<FeatureSchema>> {
    let Some(line) = text.lines().next().and_then(|line| line.strip_prefix(SCHEMA_LINE)) else { return Ok(None) };
    let schema = serde_json::from_str::<FeatureSchema>(line);
    Ok(Some(schema.map_err(|error| {
        Error::invalid(format!("{}:1: the schema is malformed: {error}", path.display())).with_source(error)
    })?))
}
