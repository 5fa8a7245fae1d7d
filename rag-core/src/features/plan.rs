//! Which column is what: the schema that follows from the configuration.

use std::ops::Range;
use std::sync::Arc;

use rag_ltr::schema::{Feature, FeatureKind, FeatureSchema};

use super::config::{CategoryConfig, ClicksConfig, FeatureGroup, FeaturesConfig, FreshnessConfig, TextField};
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
    /// `model` and `analyser` name what makes vectors and words; what is set of a feature is in its meaning.
    ///
    /// # Errors
    /// `InvalidArgument` for names that are empty or stand twice.
    pub(crate) fn new(
        config: &FeaturesConfig,
        functions: &[Arc<dyn FeatureFunction>],
        model: &str,
        analyser: &str,
    ) -> Result<Plan> {
        let mut columns = Columns::default();
        let when = |group, names: &'static [&'static str]| if config.has(group) { names } else { &[] };

        let mut retrieval = Vec::new();
        if config.has(FeatureGroup::Retrieval) {
            for (run, of) in RUNS.iter().zip([model, analyser]) {
                retrieval.extend(RUN_FEATURES.map(|name| numeric(format!("{run}.{name}")).with_meaning(of)));
            }
            retrieval.extend(["fused.rank", "fused.score", "retrievers"].map(numeric));
        }
        let retrieval = columns.add_all(retrieval);
        let made_of = |of: &str, group: &str, names: &[&str]| -> Vec<Feature> {
            prefixed(group, names).into_iter().map(|name| numeric(name).with_meaning(of)).collect()
        };
        let query = columns.add_all(made_of(analyser, "query", when(FeatureGroup::Query, &QUERY_FEATURES)));

        let fields: Vec<TextField> = if config.has(FeatureGroup::Text) { config.text.clone() } else { Vec::new() };
        let text = columns.add_all(fields.iter().flat_map(|field| made_of(analyser, name_of(*field), &text::NAMES)));
        let text_fields = fields.iter().map(|field| position_of(*field)).collect();
        let lengths = columns.add_all(made_of(analyser, "length", when(FeatureGroup::Lengths, &LENGTH_FEATURES)));
        let vector = columns.add_all(made_of(model, "vector", when(FeatureGroup::Vector, &VECTOR_FEATURES)));
        let equal = prefixed("equal", &config.equality).into_iter();
        let equality =
            columns.add_all(equal.map(|name| Feature::new(name, FeatureKind::Boolean).with_meaning(analyser)));

        let numbers = columns.add(FeatureKind::Numeric, prefixed("number", &config.numeric));
        columns.add(FeatureKind::Boolean, prefixed("flag", &config.boolean));
        let categories = columns.add_all(config.categorical.iter().map(|CategoryConfig { field, values }| {
            let feature = Feature::new(format!("category.{field}"), FeatureKind::Categorical);
            if values.is_empty() { feature } else { feature.with_meaning(serde_json::json!(values).to_string()) }
        }));

        let freshness = columns.add_all(config.freshness.iter().map(|FreshnessConfig { field, half_life_days }| {
            numeric(format!("freshness.{field}")).with_meaning(format!("half-life of {half_life_days} days"))
        }));
        let of_clicks = config.clicks.iter().flat_map(|ClicksConfig { prior_impressions }| {
            let [impressions, clicks, rate] = CLICK_FEATURES.map(|name| numeric(format!("clicks.{name}")));
            [impressions, clicks, rate.with_meaning(format!("prior of {prior_impressions} impressions"))]
        });
        let clicks = columns.add_all(of_clicks);
        let of_feedback = format!("{model}; {analyser}");
        let feedback =
            columns.add_all(made_of(&of_feedback, "feedback", when(FeatureGroup::Feedback, &feedback::NAMES)));
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

fn numeric(name: impl Into<String>) -> Feature {
    Feature::new(name, FeatureKind::Numeric)
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
        self.add_all(names.into_iter().map(|name| Feature::new(name, kind)))
    }

    fn add_all(&mut self, features: impl IntoIterator<Item = Feature>) -> Range<usize> {
        let start = self.features.len();
        self.features.extend(features);
        start..self.features.len()
    }
}
