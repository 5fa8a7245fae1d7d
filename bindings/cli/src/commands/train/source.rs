//! Where the rows of a training come from.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use rag_core::Error;
use rag_core::features::FeatureLog;
use rag_core::ltr::Rows;
use rag_core::ltr::clicks::{Estimation, Label, Labelling, estimate_by_harvesting, grades, read_log, to_training};
use rag_core::ltr::schema::{FeatureSchema, SchemaId};
use rag_core::ltr::svmlight::{self, ReadOptions, Svmlight};
use rag_core::ltr::train::Dataset;

use crate::Data;
use crate::commands::features::{self, Logged};
use crate::readers::{beir, trec};
use crate::ui::Output;

/// Grades that the relevance of clicked documents is rounded to.
const CLICK_GRADES: u16 = 10;

/// Features with labels, or what they are made of.
#[derive(Debug, Args)]
pub(super) struct SourceArgs {
    /// Features with labels in SVMlight's format, as `rag features` writes them.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["queries", "qrels", "clicks"])]
    features: Option<PathBuf>,
    /// How many rows each query of --features has, one number a line, where its lines have no `qid`.
    #[arg(long, value_name = "FILE", requires = "features")]
    group: Option<PathBuf>,
    /// The number of the first column in --features and --valid: 1, or 0 as in LightGBM's own files.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=1))]
    first_column: u8,
    /// Features with labels that the training does not see: for the learning curve and early stopping.
    #[arg(long, value_name = "FILE")]
    valid: Option<PathBuf>,
    /// As --group, for --valid.
    #[arg(long, value_name = "FILE", requires = "valid")]
    valid_group: Option<PathBuf>,
    /// Questions that are put to the data folder: JSON Lines with `_id` and `text`, perhaps .gz. For --clicks the questions
    /// of the log, where it has ids instead of texts.
    #[arg(long, value_name = "FILE")]
    queries: Option<PathBuf>,
    /// Judgments of these: a .tsv file in BEIR's layout, any other in TREC's.
    #[arg(long, value_name = "FILE", requires = "queries", conflicts_with = "clicks")]
    qrels: Option<PathBuf>,
    /// What users of the data folder were shown and clicked, in JSON Lines; docs/clicks.md has the fields. How much less
    /// users look at the lower ranks is estimated from the log itself.
    #[arg(long, value_name = "FILE")]
    clicks: Option<PathBuf>,
}

/// Rows with labels, the rows of a query together.
#[derive(Debug, Default)]
pub(super) struct Source {
    training: Svmlight,
    validation: Option<Svmlight>,
    schema: Option<FeatureSchema>,
    names: Vec<String>,
    has_click_grades: bool,
    /// Labels without features, as their documents are not among the candidates.
    dropped: usize,
}

impl Source {
    pub(super) fn read(output: Output, args: &SourceArgs, data: &Data) -> Result<Source> {
        let mut source = if let Some(file) = &args.features {
            let (training, schema) = read_features(file, args.group.as_deref(), args.first_column)?;
            Source { training, schema, ..Source::default() }
        } else if let Some(log) = &args.clicks {
            from_clicks(output, log, args.queries.as_deref(), data)?
        } else if let (Some(queries), Some(qrels)) = (&args.queries, &args.qrels) {
            from_judgments(output, queries, qrels, data)?
        } else {
            let message = "there is nothing to train on; give --features, or --queries with --qrels, or --clicks";
            return Err(Error::invalid(message).into());
        };
        if let Some(schema) = &source.schema {
            source.names = schema.features().iter().map(|feature| feature.name.clone()).collect();
        }
        if let Some(file) = &args.valid {
            let (mut validation, schema) = read_features(file, args.valid_group.as_deref(), args.first_column)?;
            if let (Some(one), Some(other)) = (&source.schema, &schema)
                && one.id() != other.id()
            {
                let message = format!("--valid has the feature schema {}, the training {}", other.id(), one.id());
                return Err(Error::new(rag_core::ErrorKind::SchemaMismatch, message).into());
            }
            // The last columns of a file may be 0 in every line, and are not seen then.
            let columns = source.training.columns.max(validation.columns);
            widen(&mut source.training, columns);
            widen(&mut validation, columns);
            source.validation = Some(validation);
        }
        Ok(source)
    }

    pub(super) fn dataset(&self) -> rag_core::Result<Dataset<'_>> {
        of(&self.training, &self.names)
    }

    pub(super) fn validation(&self) -> rag_core::Result<Option<Dataset<'_>>> {
        self.validation.as_ref().map(|validation| of(validation, &self.names)).transpose()
    }

    /// The features of the rows, where they are known.
    pub(super) fn schema(&self) -> Option<SchemaId> {
        self.schema.as_ref().map(FeatureSchema::id)
    }

    pub(super) fn dropped(&self) -> usize {
        self.dropped
    }

    /// What the grades are worth, where they are no usual ones.
    pub(super) fn label_gain(&self) -> Option<String> {
        let gains: Vec<String> = (0..=CLICK_GRADES).map(|grade| grade.to_string()).collect();
        self.has_click_grades.then(|| format!("label_gain={}", gains.join(",")))
    }

    /// Rows of a log with their labels.
    fn of_log(log: FeatureLog, labels: Vec<f32>) -> Source {
        let groups = log.groups();
        let queries = log.queries.into_iter().map(|query| query.id).collect();
        let columns = log.schema.features().len();
        let training = Svmlight { labels, values: log.values, columns, groups, queries };
        Source { training, schema: Some(log.schema), ..Source::default() }
    }
}

fn of<'a>(data: &'a Svmlight, names: &'a [String]) -> rag_core::Result<Dataset<'a>> {
    let mut dataset = Dataset::new(Rows::new(&data.values, data.columns)?, &data.labels, &data.groups);
    dataset.names = names;
    Ok(dataset)
}

/// Adds columns of zeros.
fn widen(data: &mut Svmlight, columns: usize) {
    if data.columns == columns {
        return;
    }
    let rows = data.values.chunks_exact(data.columns.max(1));
    let zeros = vec![0.0; columns - data.columns];
    data.values = rows.flat_map(|row| row.iter().chain(&zeros)).copied().collect();
    data.columns = columns;
}

fn read_features(file: &Path, group: Option<&Path>, first_column: u8) -> Result<(Svmlight, Option<FeatureSchema>)> {
    let text = trec::read_text(file)?;
    let schema = features::schema_of(&text, file)?;
    let options = ReadOptions {
        first_column: first_column.into(),
        columns: schema.as_ref().map(|schema| schema.features().len()),
        ..ReadOptions::default()
    };
    let mut data = trec::parsed(file, svmlight::read(&text, options))?;
    if let Some(group) = group {
        if !data.groups.is_empty() {
            let message = format!("{} has a `qid` in its lines; leave the group file out", file.display());
            return Err(Error::invalid(message).into());
        }
        data.groups = trec::parsed(group, svmlight::read_groups(&trec::read_text(group)?))?;
    }
    Ok((data, schema))
}

fn from_judgments(output: Output, queries: &Path, qrels: &Path, data: &Data) -> Result<Source> {
    let qrels = trec::read_qrels(qrels)?.with_relevant(1);
    let queries = beir::read_queries(queries)?;
    let engine = data.open()?;
    let judged = queries.iter().filter(|(id, _)| qrels.get(id).is_some());
    let asked: Vec<(&str, &str)> = judged.map(|(id, text)| (id.as_str(), text.as_str())).collect();
    let Logged { log, .. } = features::log(output, &engine, &data.scope()?, &asked)?;
    let labels = features::labels(&log, &qrels);
    let judgments: usize =
        asked.iter().filter_map(|(id, _)| qrels.get(id)).flat_map(|of| of.values()).filter(|grade| **grade > 0).count();
    let found = labels.iter().filter(|label| **label > 0.0).count();
    Ok(Source { dropped: judgments - found, ..Source::of_log(log, labels) })
}

/// Documents that were shown get the relevance that their clicks say; those that never were have no label and are left out.
fn from_clicks(output: Output, file: &Path, queries: Option<&Path>, data: &Data) -> Result<Source> {
    let log = trec::parsed(file, read_log(&trec::read_text(file)?))?;
    let estimate = estimate_by_harvesting(&log, &Estimation::default().with_resampling(None)).map_err(Error::from)?;
    let labels = to_training(&log, &estimate.propensities, &Labelling::default()).map_err(Error::from)?;
    let grades = grades(&labels, CLICK_GRADES);
    let texts = queries.map(beir::read_queries).transpose()?;
    let mut asked: Vec<(&str, &str)> = Vec::new();
    for Label { query, .. } in &labels {
        if asked.last().is_none_or(|(id, _)| id != query) {
            let text = match &texts {
                None => query,
                Some(texts) => texts.get(query).ok_or_else(|| {
                    Error::invalid(format!("{} has the query `{query}`, which --queries lacks", file.display()))
                })?,
            };
            asked.push((query, text));
        }
    }
    let engine = data.open()?;
    let Logged { log: candidates, .. } = features::log(output, &engine, &data.scope()?, &asked)?;
    let grade_of: HashMap<(&str, &str), f32> =
        labels.iter().zip(&grades).map(|(label, &grade)| ((&*label.query, &*label.document), grade)).collect();
    let columns = candidates.schema.features().len();
    let mut training = Svmlight { columns, ..Svmlight::default() };
    for (query, document, features) in candidates.iter() {
        let Some(&grade) = grade_of.get(&(query, document)) else { continue };
        training.labels.push(grade);
        training.values.extend_from_slice(features);
        if training.queries.last().is_none_or(|last| last != query) {
            training.queries.push(query.to_owned());
            training.groups.push(0);
        }
        training.groups.iter_mut().next_back().into_iter().for_each(|size| *size += 1);
    }
    let dropped = labels.len() - training.labels.len();
    Ok(Source { training, schema: Some(candidates.schema), has_click_grades: true, dropped, ..Source::default() })
}
