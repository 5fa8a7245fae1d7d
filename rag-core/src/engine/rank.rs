//! Learning to rank: the features of the best fused candidates, and the order that a model gives them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use rag_fusion::{FusedHit, Run};
use rag_ltr::schema::{Adapter, Feature, FeatureSchema, Migrations};
use rag_ltr::{Explained, Ranker, Rows};

use super::Inner;
use super::api::{FeatureExplanation, LtrExplanation, SearchRequest};
use super::list::skipped;
use super::search::{Found, is_permitted};
use super::snapshot::Snapshot;
use super::stages::Stages;
use crate::error::{Error, ErrorKind, Result};
use crate::features::{Candidates, FeatureLog, FeatureRows, Question, Sources, blend};
use crate::gate::{Assignment, RankingDifference};
use crate::telemetry::{CacheRecord, Stage};
use crate::types::{Cancel, Scope};

/// Share of the time left that features and model may take; the rest is for what comes after.
const SHARE_OF_TIME: f64 = 0.8;

/// A model in use.
#[derive(Debug)]
pub(super) struct Ranking {
    pub(super) ranker: Arc<Ranker>,
    /// Until the gate says another one.
    pub(super) weight: f32,
    reading: Reading,
}

/// How a model reads rows of the engine's schema.
#[derive(Debug)]
enum Reading {
    /// As they are.
    Same,
    /// These columns, in this order.
    Columns(Vec<usize>),
    /// As rows of the schema that it was made for.
    Adapted(Adapter),
}

/// Candidates in the order in which hits leave, best first.
pub(super) struct Order<'p> {
    pub(super) places: Vec<Place<'p>>,
    learned: Option<Learned>,
    /// Why there is a ranker and not its order.
    pub(super) skipped: Option<String>,
    /// Share of the features that the cache had.
    pub(super) cache_hits: Option<f64>,
    /// The weight of the ranker before the gate says another one.
    pub(super) own_weight: Option<f32>,
}

/// One candidate.
pub(super) struct Place<'p> {
    pub(super) fused: &'p FusedHit,
    pub(super) score: f32,
    /// Its row and its scores, where a model ranked it.
    learned: Option<PlaceLearned>,
}

#[derive(Clone, Copy)]
struct PlaceLearned {
    row: usize,
    margin: f64,
    normalized: f32,
    fused_normalized: f32,
}

/// What the model saw.
struct Learned {
    ranking: Arc<Ranking>,
    weight: f32,
    rows: FeatureRows,
}

impl Inner {
    /// The fused order without a ranker, and where its weight is 0; else that of the ranker. When it fails or has no time,
    /// the fused order with the reason.
    pub(super) fn rank<'p>(
        &self,
        stages: &Stages<'_>,
        snapshot: &Snapshot,
        scope: &Scope,
        request: &SearchRequest,
        found: &'p Found<'_>,
        assigned: &Assignment,
    ) -> Result<Order<'p>> {
        let Some(ranking) = self.ranking.load_full() else { return Ok(Order::fused(found.pool.hits())) };
        let own_weight = Some(ranking.weight);
        let (weight, shadow) = (assigned.weight(ranking.weight), assigned.shadow());
        if weight == 0.0 && shadow.is_none() {
            return Ok(Order { own_weight, ..Order::fused(found.pool.hits()) });
        }
        let pool = found.best();
        let hurried = request.cancel.hurried(SHARE_OF_TIME);
        let ranked = stages
            .run_until(&hurried, Stage::Features, || self.feature_rows(snapshot, scope, request, found, pool, &hurried))
            .and_then(|rows| {
                stages.run_until(&hurried, Stage::Ltr, || {
                    let margins = ranking.margins(&rows, self.schema())?;
                    if let Some((experiment, variant)) = shadow {
                        let [served, other] = [weight, variant.weight].map(|w| best_ids(pool, &margins, w, request.k));
                        self.gate.observe_shadow(experiment, RankingDifference::between(&served?, &other?));
                    }
                    let cache_hits = rows.hit_ratio();
                    let order = if weight > 0.0 {
                        ranking.order(pool, rows, &margins, weight)?
                    } else {
                        Order::fused(found.pool.hits())
                    };
                    Ok(Order { cache_hits, own_weight, ..order })
                })
            });
        Ok(match skipped(ranked, request)? {
            Ok(order) => order,
            Err(reason) => {
                let skipped = Some(format!("ltr: {reason}"));
                Order { skipped, own_weight, ..Order::fused(found.pool.hits()) }
            }
        })
    }

    /// A model that is to be used.
    pub(super) fn ranking_of(&self, ranker: Arc<Ranker>, weight: f32) -> Result<Ranking> {
        Ranking::new(ranker, weight, self.schema(), &self.features.migrations)
    }

    /// The features of candidates, for serving and for logs.
    pub(super) fn feature_rows(
        &self,
        snapshot: &Snapshot,
        scope: &Scope,
        request: &SearchRequest,
        found: &Found<'_>,
        pool: &[FusedHit],
        cancel: &Cancel,
    ) -> Result<FeatureRows> {
        let sources = Sources {
            store: &snapshot.store,
            lexical: &snapshot.lexical,
            vectors: &*snapshot.vectors,
            seq: snapshot.seq,
        };
        let question = Question {
            text: &request.text,
            syntax: request.syntax,
            vector: found.vector.as_deref(),
            tenant: scope.tenant_name(),
            now: microseconds(request.now.unwrap_or_else(SystemTime::now)),
            cancel,
        };
        let runs: Vec<(&'static str, &Run)> = found.runs.iter().map(|(name, found)| (*name, &found.run)).collect();
        let rows = self.features.extract(sources, question, Candidates { runs: &runs, fused: &found.pool, pool })?;
        self.telemetry.cached(&CacheRecord { cache: "features", hits: rows.hits, misses: rows.misses });
        Ok(rows)
    }

    /// The candidates that a ranker would rank for each question, by their ids, with their features.
    pub(super) fn log_features(&self, scope: &Scope, queries: &[(&str, SearchRequest)]) -> Result<FeatureLog> {
        let logged = self.searching.map(queries, |(_, request)| self.logged(scope, request));
        let mut log = FeatureLog::new(self.schema().clone());
        for ((id, _), logged) in queries.iter().zip(logged) {
            let (candidates, rows) = logged.map_err(|error| error.with("query", *id))?;
            log.push(id, candidates, &rows.values);
        }
        Ok(log)
    }

    fn logged(&self, scope: &Scope, request: &SearchRequest) -> Result<(Vec<(String, f32)>, FeatureRows)> {
        request.validate()?;
        self.lock.may_read()?;
        let stages = Stages::new(&*self.telemetry, &request.cancel);
        let snapshot = self.snapshot.load_full();
        let depth = self.depth(request);
        let found = self.find(&stages, &snapshot, scope, request, depth)?;
        let pool = found.best();
        let rows = stages
            .run(Stage::Features, || self.feature_rows(&snapshot, scope, request, &found, pool, &request.cancel))?;
        let candidates = stages.run(Stage::Hydrate, || {
            let record = |hit: &FusedHit| {
                let record = snapshot.existing_record(hit.id)?;
                if !is_permitted(&found.visible, scope, request, hit.id, &record) {
                    return Err(Error::internal("a candidate lies outside of the scope"));
                }
                Ok((record.id, hit.score as f32))
            };
            pool.iter().map(record).collect()
        })?;
        self.lock.may_read()?;
        Ok((candidates, rows))
    }

    pub(super) fn schema(&self) -> &FeatureSchema {
        &self.features.plan.schema
    }
}

impl Ranking {
    /// # Errors
    /// `InvalidArgument` for a weight out of range, `SchemaMismatch` for a model of other features.
    pub(super) fn new(
        ranker: Arc<Ranker>,
        weight: f32,
        schema: &FeatureSchema,
        migrations: &Migrations,
    ) -> Result<Ranking> {
        if !(0.0..=1.0).contains(&weight) {
            return Err(Error::invalid(format!("`weight` is {weight}; give 0 to 1")));
        }
        let reading = Reading::new(&ranker, schema, migrations)?;
        Ok(Ranking { ranker, weight, reading })
    }

    /// The model's score of each row.
    fn margins(&self, rows: &FeatureRows, schema: &FeatureSchema) -> Result<Vec<f64>> {
        let read = self.reading.read(&rows.values, schema.features().len())?;
        Ok(self.ranker.margins(Rows::new(&read, self.ranker.columns())?)?)
    }

    /// The order by `(1 − weight) · fused + weight · model`, both scaled from the least to the greatest of the pool.
    fn order<'p>(
        self: Arc<Self>,
        pool: &'p [FusedHit],
        rows: FeatureRows,
        margins: &[f64],
        weight: f32,
    ) -> Result<Order<'p>> {
        let blended = blend(pool.iter().map(|hit| (hit.id, hit.score)), margins, weight)?;
        let row_of: HashMap<u64, usize> = pool.iter().enumerate().map(|(row, hit)| (hit.id, row)).collect();
        let places = blended.hits().iter().filter_map(|blend| {
            let row = *row_of.get(&blend.id)?;
            let mut parts = blended.contributions(blend);
            let (fused, model) = (parts.next()?, parts.next()?);
            let learned = PlaceLearned {
                row,
                margin: margins[row],
                normalized: model.normalized as f32,
                fused_normalized: fused.normalized as f32,
            };
            Some(Place { fused: &pool[row], score: blend.score as f32, learned: Some(learned) })
        });
        let places = places.collect();
        let learned = Some(Learned { ranking: self, weight, rows });
        Ok(Order { places, learned, skipped: None, cache_hits: None, own_weight: None })
    }

    /// What the model reads on average, and for each row of the schema what it read and what each value adds to its score.
    fn explain(&self, rows: &[f32], schema: &FeatureSchema) -> Result<(Option<f64>, Vec<Vec<FeatureExplanation>>)> {
        let read = self.reading.read(rows, schema.features().len())?;
        // Some trees do not say enough of their training; the values are told all the same.
        let explained = self.ranker.explain(Rows::new(&read, self.ranker.columns())?).ok();
        let name = |column: usize| match (&self.reading, self.ranker.names()) {
            (Reading::Same, _) => schema.features()[column].name.clone(),
            (Reading::Columns(columns), _) => schema.features()[columns[column]].name.clone(),
            (Reading::Adapted(_), names) => names.get(column).cloned().unwrap_or_else(|| format!("column {column}")),
        };
        let features = read.chunks_exact(self.ranker.columns()).enumerate().map(|(row, values)| {
            let feature = |(column, &value): (usize, &f32)| FeatureExplanation {
                name: name(column),
                value,
                contribution: explained.as_ref().map(|explained| explained.row(row)[column]),
            };
            values.iter().enumerate().map(feature).collect()
        });
        Ok((explained.as_ref().map(Explained::expected), features.collect()))
    }
}

impl Reading {
    /// A model that says which schema it was made for must have that one, or one that a declared migration leads to. Any
    /// other goes by the names of its columns; without names, by their number.
    fn new(ranker: &Ranker, schema: &FeatureSchema, migrations: &Migrations) -> Result<Reading> {
        let features = schema.features();
        let mismatch = |model: String, way_out: &str| {
            Err(Error::new(
                ErrorKind::SchemaMismatch,
                format!("the model reads {model}, the engine has the feature schema {}; {way_out}", schema.id()),
            ))
        };
        if let Some(of_model) = ranker.schema() {
            let adapter = migrations.adapter(schema.id(), of_model)?;
            if adapter.columns_after() != ranker.columns() {
                let model = format!("{} columns of feature schema {of_model}", ranker.columns());
                return mismatch(model, "save it again with the schema that it was trained on");
            }
            if !adapter.is_identity() {
                return Ok(Reading::Adapted(adapter));
            }
            // The id is the beginning of a hash; the names cost nothing to compare.
            let same = |(name, feature): (&String, &Feature)| *name == feature.name;
            let is_ours = of_model.has_features_of(schema.id()) && !has_no_names(ranker);
            if is_ours && !ranker.names().iter().zip(features).all(same) {
                let model = format!("other columns than those of feature schema {of_model}, which it names");
                return mismatch(model, "save it again with the schema that it was trained on");
            }
            return Ok(Reading::Same);
        }
        let names = ranker.names();
        if has_no_names(ranker) {
            if ranker.columns() == features.len() {
                return Ok(Reading::Same);
            }
            let model = format!("{} columns without names, not {}", ranker.columns(), features.len());
            return mismatch(model, "train it with the names of the features");
        }
        let by_name: HashMap<&str, usize> =
            features.iter().enumerate().map(|(column, feature)| (feature.name.as_str(), column)).collect();
        let columns: Vec<usize> = names.iter().filter_map(|name| by_name.get(name.as_str()).copied()).collect();
        if columns.len() < names.len() {
            let unknown = names.iter().filter(|name| !by_name.contains_key(name.as_str())).take(5);
            let unknown: Vec<&str> = unknown.map(String::as_str).collect();
            return mismatch(
                format!("`{}`", unknown.join("`, `")),
                "declare these in `features`, or train the model on what there is",
            );
        }
        let is_same = columns.iter().copied().eq(0..features.len());
        Ok(if is_same { Reading::Same } else { Reading::Columns(columns) })
    }

    /// The values that the model reads, of rows of so many columns.
    fn read<'v>(&self, values: &'v [f32], columns: usize) -> Result<Cow<'v, [f32]>> {
        Ok(match self {
            Reading::Same => Cow::Borrowed(values),
            Reading::Columns(read) => {
                let rows = values.chunks_exact(columns);
                Cow::Owned(rows.flat_map(|row| read.iter().map(|&column| row[column])).collect())
            }
            Reading::Adapted(adapter) => Cow::Owned(adapter.rows(Rows::new(values, columns)?)?),
        })
    }
}

/// The best documents at a weight, as many as a search asks for.
fn best_ids(pool: &[FusedHit], margins: &[f64], weight: f32, k: usize) -> Result<Vec<u64>> {
    let blended = blend(pool.iter().map(|hit| (hit.id, hit.score)), margins, weight)?;
    Ok(blended.hits().iter().take(k).map(|hit| hit.id).collect())
}

/// Whether the columns are called nothing, or what libraries call those of a matrix without names.
fn has_no_names(ranker: &Ranker) -> bool {
    let is_placeholder = |(column, name): (usize, &String)| {
        ["Column_", "f"].iter().any(|prefix| name.strip_prefix(prefix).is_some_and(|rest| rest == column.to_string()))
    };
    ranker.names().iter().enumerate().all(is_placeholder)
}

impl<'p> Order<'p> {
    fn fused(pool: &'p [FusedHit]) -> Self {
        let place = |fused: &'p FusedHit| Place { fused, score: fused.score as f32, learned: None };
        let places = pool.iter().map(place).collect();
        Order { places, learned: None, skipped: None, cache_hits: None, own_weight: None }
    }

    /// What the model said of each place; `None` without one.
    pub(super) fn explain(&self, places: &[&Place<'_>], schema: &FeatureSchema) -> Result<Vec<Option<LtrExplanation>>> {
        let without = || Ok(places.iter().map(|_| None).collect());
        let Some(learned) = self.learned.as_ref().filter(|_| !places.is_empty()) else { return without() };
        let of_places: Option<Vec<PlaceLearned>> = places.iter().map(|place| place.learned).collect();
        let Some(of_places) = of_places else { return without() };
        let columns = schema.features().len();
        let rows = of_places.iter().flat_map(|of_place| &learned.rows.values[of_place.row * columns..][..columns]);
        let (expected, features) = learned.ranking.explain(&rows.copied().collect::<Vec<f32>>(), schema)?;
        let explained = places.iter().zip(of_places).zip(features).map(|((place, of_place), features)| {
            Some(LtrExplanation {
                fused: place.fused.score as f32,
                fused_normalized: of_place.fused_normalized,
                score: of_place.margin,
                normalized: of_place.normalized,
                weight: learned.weight,
                expected,
                features,
            })
        });
        Ok(explained.collect())
    }
}

/// Since 1970; before it, negative.
fn microseconds(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |before| -before),
    }
}
