//! Which column is what: the schema that follows from the configuration.

use std::ops::Range;
use std::sync::Arc;

use rag_ltr::schema::{Feature, FeatureKind, FeatureSchema};

use super::config::{FeatureGroup, FeaturesConfig, TextField};
use super::functions::FeatureFunction;
use super::{feedback, text};
use crate::error::{Error, Result};
use crate::lexical::{BODY, TEXT, TITLE};

/// The retrievers whose runs are features.
pub(super) const RUNS: [&str; 2] = ["dense", "lexical"];

const RUN_FEATURES: [&str; 3] = ["rank", "score", "min_max"];
const QUERY_FEATURES: [&str; 6] = ["words", "letters", "idf_min", "idf_max", "idf_mean", "idf_sum"];
const LENGTH_FEATURES: [&str; 3] = ["title", "text", "chunks"];
const VECTOR_FEATURES: [&str; 3] = ["best", "mean", "first"];
const CLICK_FEATURES: [&str; 3] = ["impressions", "clicks", "rate"];

/// The columns of a row, group by group.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) schema: FeatureSchema,
    pub(super) retrieval: Range<usize>,
    pub(super) query: Range<usize>,
    /// What is kept in the cache for a question and a document: the four groups after this one.
    pub(super) matching: Range<usize>,
    pub(super) text: Range<usize>,
    /// Position in the index of each field of `text`.
    pub(super) text_fields: Vec<usize>,
    pub(super) lengths: Range<usize>,
    pub(super) vector: Range<usize>,
    pub(super) equality: Range<usize>,
    /// What is kept in the cache for a document: numbers, booleans and categories.
    pub(super) metadata: Range<usize>,
    pub(super) freshness: Range<usize>,
    pub(super) clicks: Range<usize>,
    pub(super) feedback: Range<usize>,
    pub(super) functions: Vec<Range<usize>>,
}

impl Plan {
    /// # Errors
    /// `InvalidArgument` for names that are empty or stand twice.
    pub(crate) fn new(config: &FeaturesConfig, functions: &[Arc<dyn FeatureFunction>]) -> Result<Plan> {
        let mut columns = Columns::default();
        let when = |group, names: &'static [&'static str]| if config.has(group) { names } else { &[] };

        let mut retrieval = Vec::new();
        if config.has(FeatureGroup::Retrieval) {
            retrieval.extend(RUNS.iter().flat_map(|run| RUN_FEATURES.map(|name| format!("{run}.{name}"))));
            retrieval.extend(["fused.rank", "fused.score", "retrievers"].map(str::to_owned));
        }
        let retrieval = columns.add(FeatureKind::Numeric, retrieval);
        let query = columns.add(FeatureKind::Numeric, prefixed("query", when(FeatureGroup::Query, &QUERY_FEATURES)));

        let fields: Vec<TextField> = if config.has(FeatureGroup::Text) { config.text.clone() } else { Vec::new() };
        let names = fields.iter().flat_map(|field| prefixed(name_of(*field), &text::NAMES));
        let text = columns.add(FeatureKind::Numeric, names);
        let text_fields = fields.iter().map(|field| position_of(*field)).collect();
        let lengths =
            columns.add(FeatureKind::Numeric, prefixed("length", when(FeatureGroup::Lengths, &LENGTH_FEATURES)));
        let vector =
            columns.add(FeatureKind::Numeric, prefixed("vector", when(FeatureGroup::Vector, &VECTOR_FEATURES)));
        let equality = columns.add(FeatureKind::Boolean, prefixed("equal", &config.equality));

        let numbers = columns.add(FeatureKind::Numeric, prefixed("number", &config.numeric));
        columns.add(FeatureKind::Boolean, prefixed("flag", &config.boolean));
        let categories: Vec<&str> = config.categorical.iter().map(|category| category.field.as_str()).collect();
        let categories = columns.add(FeatureKind::Categorical, prefixed("category", &categories));

        let dates: Vec<&str> = config.freshness.iter().map(|freshness| freshness.field.as_str()).collect();
        let freshness = columns.add(FeatureKind::Numeric, prefixed("freshness", &dates));
        let click_features: &[&str] = if config.clicks.is_some() { &CLICK_FEATURES } else { &[] };
        let clicks = columns.add(FeatureKind::Numeric, prefixed("clicks", click_features));
        let feedback =
            columns.add(FeatureKind::Numeric, prefixed("feedback", when(FeatureGroup::Feedback, &feedback::NAMES)));
        let functions =
            functions.iter().map(|function| columns.add_all(function.features().to_vec())).collect::<Vec<_>>();

        let schema = FeatureSchema::new(config.version, columns.features).map_err(|error| {
            Error::invalid(format!("`features`: {error}; declare at least one feature, each name once"))
                .with_source(error)
        })?;
        Ok(Plan {
            schema,
            retrieval,
            query,
            matching: text.start..equality.end,
            text,
            text_fields,
            lengths,
            vector,
            equality,
            metadata: numbers.start..categories.end,
            freshness,
            clicks,
            feedback,
            functions,
        })
    }

    pub(crate) fn columns(&self) -> usize {
        self.schema.features().len()
    }
}

fn name_of(field: TextField) -> &'static str {
    match field {
        TextField::Title => "title",
        TextField::Text => "text",
        TextField::Body => "body",
    }
}

fn position_of(field: TextField) -> usize {
    match field {
        TextField::Title => TITLE,
        TextField::Text => TEXT,
        TextField::Body => BODY,
    }
}

fn prefixed(group: &str, names: &[impl AsRef<str>]) -> Vec<String> {
    names.iter().map(|name| format!("{group}.{}", name.as_ref())).collect()
}

#[derive(Default)]
struct Columns {
    features: Vec<Feature>,
}

impl Columns {
    fn add(&mut self, kind: FeatureKind, names: impl IntoIterator<Item = String>) -> Range<usize> {
        self.add_all(names.into_iter().map(|name| Feature { name, kind }))
    }

    fn add_all(&mut self, features: impl IntoIterator<Item = Feature>) -> Range<usize> {
        let start = self.features.len();
        self.features.extend(features);
        start..self.features.len()
    }
}
