//! Features, the model that ranks by them, and the cache between.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use rag_ltr::Ranker;
use rag_ltr::model::{Arithmetic, LinearColumn, LinearModel, Link, Model};
use rag_ltr::schema::{Feature, FeatureKind, FeatureSchema, Migration, Step};

use super::*;
use crate::features::{
    CategoryConfig, ClickCounts, ClicksConfig, FeatureDocument, FeatureFunction, FeatureQuery, FreshnessConfig,
};

/// A model that adds up some features, a missing one as 0.
pub(super) fn linear(terms: &[(&str, f64)]) -> Arc<Ranker> {
    let column = |&(_, weight): &(&str, f64)| LinearColumn { weight, center: 0.0, scale: 1.0, fill: 0.0 };
    let model = LinearModel {
        names: terms.iter().map(|(name, _)| (*name).to_owned()).collect(),
        bias: 0.0,
        columns: terms.iter().map(column).collect(),
        arithmetic: Arithmetic::F64,
        link: Link::Identity,
    };
    Arc::new(Ranker::new(Model::Linear(model)).unwrap())
}

/// One that reads every feature.
pub(super) fn of_all(engine: &Engine) -> Arc<Ranker> {
    let features = engine.feature_schema().features();
    let terms: Vec<(&str, f64)> = features.iter().map(|feature| (feature.name.as_str(), 0.5)).collect();
    linear(&terms)
}

pub(super) fn with(folder: &Path, change: impl FnOnce(&mut EngineConfig)) -> Engine {
    let mut config = EngineConfig::default();
    change(&mut config);
    Engine::builder().config(config).embedder(Arc::new(WordEmbedder::new(64))).open(folder).unwrap()
}

pub(super) fn every_feature(config: &mut EngineConfig) {
    let features = &mut config.features;
    features.freshness = vec![FreshnessConfig { field: "day".to_owned(), half_life_days: 10.0 }];
    features.numeric = vec!["stars".to_owned()];
    features.boolean = vec!["open".to_owned()];
    features.categorical = vec![
        CategoryConfig { field: "lang".to_owned(), values: vec!["en".to_owned(), "de".to_owned()] },
        CategoryConfig { field: "kind".to_owned(), values: Vec::new() },
    ];
    features.equality = vec!["tags".to_owned()];
    features.clicks = Some(ClicksConfig { prior_impressions: 10.0 });
}

pub(super) fn documents() -> Vec<Document> {
    let texts = [
        "snow on the road",
        "fresh bread and snow",
        "the road to the bakery",
        "bread bread bread",
        "winter road closed",
    ];
    let document = |i: usize| {
        let document = Document::new(format!("d{i:02}"), format!("{} number {i}", texts[i % texts.len()]));
        let document = if i.is_multiple_of(3) { document.with_title("Snow report") } else { document };
        document
            .with_metadata("stars", i as f64 / 2.0)
            .with_metadata("open", i.is_multiple_of(2))
            .with_metadata("lang", ["en", "de", "fr"][i % 3])
            .with_metadata("kind", format!("kind {}", i % 4))
            .with_metadata("tags", vec!["snow road", "bakery"])
            .with_metadata("day", format!("2024-05-{:02}", i + 1))
    };
    (0..25).map(document).collect()
}

pub(super) fn filled(folder: &Path) -> Engine {
    let engine = with(folder, every_feature);
    engine.upsert(&Scope::default(), documents()).unwrap();
    engine.commit().unwrap();
    engine
}

pub(super) fn at(text: &str) -> SystemTime {
    let seconds = text.parse::<jiff::Timestamp>().unwrap().as_second();
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds as u64)
}

pub(super) fn ask(text: &str) -> SearchRequest {
    SearchRequest::new(text, 40).with_explanations().with_now(at("2024-06-01T00:00:00Z"))
}

/// The features of each candidate by name, best candidate first.
pub(super) fn features_of(engine: &Engine, request: &SearchRequest) -> Vec<(String, BTreeMap<String, f32>)> {
    let log = engine.log_features(&Scope::default(), &[("q", request.clone())]).unwrap();
    let names = || log.schema.features().iter().map(|feature| feature.name.clone());
    log.iter().map(|(_, id, row)| (id.to_owned(), names().zip(row.iter().copied()).collect())).collect()
}

/// Features of the hit of this id, by name.
pub(super) fn value(answer: &Answer, id: &str, name: &str) -> f32 {
    let hit = answer.hits.iter().find(|hit| hit.id == id).unwrap();
    let ltr = hit.explanation.as_ref().unwrap().ltr.as_ref().unwrap();
    ltr.features.iter().find(|feature| feature.name == name).unwrap().value
}

#[test]
fn a_model_orders_the_hits_and_is_blended_by_its_weight() {
    let folder = tempfile::tempdir().unwrap();
    let engine = filled(folder.path());
    let scope = Scope::default();
    let request = ask("snow on the road");
    let before = engine.search(&scope, &request).unwrap();
    engine.set_ranker(Some(linear(&[("number.stars", 1.0)])), 1.0).unwrap();
    let ranked = engine.search(&scope, &request).unwrap();
    assert!(ranked.degraded.is_empty(), "{:?}", ranked.degraded);
    let stars: Vec<f32> = ranked.hits.iter().map(|hit| value(&ranked, &hit.id, "number.stars")).collect();
    assert!(stars.windows(2).all(|pair| pair[0] > pair[1]), "{stars:?}");
    assert_eq!((ranked.hits[0].score, ranked.hits.last().unwrap().score), (1.0, 0.0));

    engine.set_ranker(Some(linear(&[("number.stars", 1.0)])), 0.25).unwrap();
    for hit in &engine.search(&scope, &request).unwrap().hits {
        let explanation = hit.explanation.as_ref().unwrap();
        let ltr = explanation.ltr.as_ref().unwrap();
        let blend = 0.75 * f64::from(ltr.fused_normalized) + 0.25 * f64::from(ltr.normalized);
        assert!((f64::from(hit.score) - blend).abs() < 1e-6);
        let fused: f32 = explanation.runs.iter().map(|run| run.contribution).sum();
        assert!((ltr.fused - fused).abs() < 1e-6);
    }
    engine.set_ranker(Some(linear(&[("number.stars", 1.0)])), 0.0).unwrap();
    assert_eq!(ids(&engine.search(&scope, &request).unwrap()), ids(&before));
    engine.set_ranker(None, 0.0).unwrap();
    assert_eq!(format!("{:?}", engine.search(&scope, &request).unwrap().hits), format!("{:?}", before.hits));
}

#[test]
fn what_is_logged_is_what_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let engine = filled(folder.path());
    let scope = Scope::default();
    let rows = vec![ClickCounts::new("d03", 10, 5), ClickCounts::new("d04", 100, 1)];
    engine.set_click_history(&scope, &rows).unwrap();
    engine.set_ranker(Some(of_all(&engine)), 1.0).unwrap();
    let queries = ["snow road", "bread", "winter", "zzz", "the"];
    let requests: Vec<(&str, SearchRequest)> = queries.iter().map(|text| (*text, ask(text))).collect();
    for _ in 0..2 {
        // The second time from the cache.
        let log = engine.log_features(&scope, &requests).unwrap();
        assert_eq!(log.groups().iter().sum::<usize>(), log.rows().unwrap().len());
        for (query, id, row) in log.iter() {
            let answer = engine.search(&scope, &ask(query)).unwrap();
            let hit = answer.hits.iter().find(|hit| hit.id == id).unwrap();
            let served = &hit.explanation.as_ref().unwrap().ltr.as_ref().unwrap().features;
            for (served, logged) in served.iter().zip(row) {
                assert_eq!(served.value.to_bits(), logged.to_bits(), "{query} {id} {}", served.name);
            }
        }
    }
    let stats = engine.stats(&scope).unwrap().feature_cache;
    assert!(stats.hits > 0 && stats.misses > 0 && stats.bytes > 0, "{stats:?}");
}

/// Takes its time, fails or panics, as it is told.
#[derive(Debug)]
struct Function {
    features: Vec<Feature>,
    mood: AtomicUsize,
}

const WELL: usize = 0;
const SLOW: usize = 1;
const FAILING: usize = 2;
const PANICKING: usize = 3;
const SHORT: usize = 4;
const CANCELLING: usize = 5;
const CLAIMING: usize = 6;
const INFINITE: usize = 7;

impl Function {
    fn new() -> Arc<Self> {
        let feature = |name: &str| Feature::new(name, FeatureKind::Numeric);
        Arc::new(Function { features: vec![feature("my.letters"), feature("my.year")], mood: AtomicUsize::new(WELL) })
    }
}

#[allow(clippy::panic)]
impl FeatureFunction for Function {
    fn features(&self) -> &[Feature] {
        &self.features
    }

    fn compute(&self, query: FeatureQuery<'_>, documents: &[FeatureDocument<'_>]) -> Result<Vec<f32>> {
        match self.mood.load(Ordering::SeqCst) {
            SLOW => {
                while query.cancel.check().is_ok() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                query.cancel.check()?;
            }
            FAILING => return Err(Error::new(ErrorKind::Unavailable, "no service")),
            PANICKING => panic!("on purpose"),
            SHORT => return Ok(vec![1.0]),
            CLAIMING => return Err(Error::new(ErrorKind::Cancelled, "given up by itself")),
            INFINITE => return Ok(documents.iter().flat_map(|_| [f32::INFINITY, f32::NEG_INFINITY]).collect()),
            CANCELLING => query.cancel.cancel(),
            _ => {}
        }
        Ok(documents.iter().flat_map(|document| [document.text.len() as f32, f32::NAN]).collect())
    }
}

fn with_function(folder: &Path, function: &Arc<Function>) -> Engine {
    let builder = Engine::builder().embedder(Arc::new(WordEmbedder::new(64))).feature_function(function.clone());
    let engine = builder.open(folder).unwrap();
    engine.upsert(&Scope::default(), documents()).unwrap();
    engine.commit().unwrap();
    engine
}

#[test]
fn functions_of_the_caller_are_features() {
    let folder = tempfile::tempdir().unwrap();
    let function = Function::new();
    let engine = with_function(folder.path(), &function);
    let scope = Scope::default();
    for (id, row) in features_of(&engine, &ask("snow")) {
        let length = engine.get(&scope, &id).unwrap().unwrap().document.text.len();
        assert_eq!((row["my.letters"], row["my.year"].is_nan()), (length as f32, true));
    }
    engine.set_ranker(Some(linear(&[("my.letters", -1.0)])), 1.0).unwrap();
    let answer = engine.search(&scope, &ask("snow")).unwrap();
    let letters: Vec<f32> = answer.hits.iter().map(|hit| value(&answer, &hit.id, "my.letters")).collect();
    assert!(letters.windows(2).all(|pair| pair[0] <= pair[1]), "{letters:?}");
    let twice = Engine::builder().feature_function(function.clone()).feature_function(function);
    let error = twice.open(folder.path().join("other")).unwrap_err();
    assert!(error.to_string().contains("my.letters"), "{error}");
}

#[test]
fn an_infinite_value_of_a_function_is_the_largest_number() {
    let folder = tempfile::tempdir().unwrap();
    let function = Function::new();
    let engine = with_function(folder.path(), &function);
    function.mood.store(INFINITE, Ordering::SeqCst);
    for (_, row) in features_of(&engine, &ask("snow")) {
        assert_eq!((row["my.letters"], row["my.year"]), (f32::MAX, f32::MIN));
    }
    engine.set_ranker(Some(linear(&[("my.letters", 0.5)])), 1.0).unwrap();
    let answer = engine.search(&Scope::default(), &ask("snow")).unwrap();
    assert!(answer.degraded.is_empty(), "{:?}", answer.degraded);
}

#[test]
fn what_all_scores_of_a_model_share_costs_no_digits() {
    let folder = tempfile::tempdir().unwrap();
    let engine = filled(folder.path());
    let Model::Linear(model) = linear(&[("number.stars", 1.0)]).model().clone() else { unreachable!() };
    let far = Ranker::new(Model::Linear(LinearModel { bias: 1e12, ..model })).unwrap();
    let answers = [linear(&[("number.stars", 1.0)]), Arc::new(far)].map(|ranker| {
        engine.set_ranker(Some(ranker), 1.0).unwrap();
        let hits = engine.search(&Scope::default(), &ask("snow on the road")).unwrap().hits;
        hits.into_iter().map(|hit| (hit.id, hit.score)).collect::<Vec<_>>()
    });
    assert!(answers[0].len() > 5);
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn only_the_document_that_is_asked_about_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let engine = filled(folder.path());
    engine.set_ranker(Some(of_all(&engine)), 0.5).unwrap();
    let (scope, request) = (Scope::default(), ask("snow on the road"));
    let all = engine.search(&scope, &request).unwrap().hits;
    let third = &all[2];
    let only = engine.inner.search(&scope, &request, engine.inner.depth(&request), Some(&third.id)).unwrap().hits;
    assert_eq!(format!("{only:?}"), format!("{:?}", [third]));
}

#[test]
fn a_stage_that_fails_or_is_late_leaves_the_fused_order_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let function = Function::new();
    let engine = with_function(folder.path(), &function);
    let scope = Scope::default();
    let fused = engine.search(&scope, &ask("snow road")).unwrap();
    engine.set_ranker(Some(linear(&[("my.letters", -1.0)])), 1.0).unwrap();
    let ranked = engine.search(&scope, &ask("snow road")).unwrap();
    assert_ne!(ids(&ranked), ids(&fused));
    let failures = [
        (FAILING, "no service"),
        (PANICKING, "panicked"),
        (SHORT, "1 values"),
        (CLAIMING, "given up by itself"),
        (SLOW, "deadline"),
    ];
    for (mood, words) in failures {
        function.mood.store(mood, Ordering::SeqCst);
        let budget = Duration::from_secs(1);
        let start = std::time::Instant::now();
        let answer = engine.search(&scope, &ask("snow road").with_cancel(Cancel::after(budget))).unwrap();
        assert!(start.elapsed() < budget, "within the budget of the call");
        assert_eq!(format!("{:?}", answer.hits), format!("{:?}", fused.hits));
        assert_eq!(answer.degraded.len(), 1, "{:?}", answer.degraded);
        let note = &answer.degraded[0];
        assert!(note.starts_with("ltr: ") && note.contains(words) && note.contains("features"), "{note}");
        assert!(engine.log_features(&scope, &[("q7", ask("snow").with_cancel(Cancel::after(budget)))]).is_err());
    }
    function.mood.store(CANCELLING, Ordering::SeqCst);
    let cancelled = engine.search(&scope, &ask("snow road")).unwrap_err();
    assert_eq!(cancelled.kind(), ErrorKind::Cancelled, "whoever cancels gets no answer");
    function.mood.store(WELL, Ordering::SeqCst);
    let expired = engine.search(&scope, &ask("snow road").with_cancel(Cancel::after(Duration::ZERO))).unwrap_err();
    assert_eq!(expired.kind(), ErrorKind::DeadlineExceeded);

    // A model whose scores cannot be ranked.
    engine.set_ranker(Some(linear(&[("my.letters", f64::MAX)])), 1.0).unwrap();
    let answer = engine.search(&scope, &ask("snow road")).unwrap();
    assert_eq!(ids(&answer), ids(&fused));
    assert!(answer.degraded[0].starts_with("ltr: "), "{:?}", answer.degraded);
}

#[test]
fn models_of_other_features_are_refused_with_both_named() {
    let folder = tempfile::tempdir().unwrap();
    let engine = filled(folder.path());
    let schema = engine.feature_schema().id();
    let refuse = |ranker: Ranker, words: &[&str]| {
        let error = engine.set_ranker(Some(Arc::new(ranker)), 1.0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
        assert!(words.iter().all(|word| error.to_string().contains(word)), "{error}");
    };
    let ours = schema.to_string();
    refuse((*linear(&[("body.bm25", 1.0), ("foreign", 1.0)])).clone(), &["foreign", &ours]);
    refuse((*linear(&[("Column_0", 1.0), ("Column_1", 1.0)])).clone(), &["2 columns", &ours]);
    let other = FeatureSchema::new(7, vec![Feature::new("bm25", FeatureKind::Numeric)]).unwrap();
    let of_other = (*linear(&[("bm25", 1.0)])).clone().with_schema(other.id());
    refuse(of_other.clone(), &[&other.id().to_string(), &ours]);
    let mut names: Vec<(String, f64)> = of_all(&engine).names().iter().map(|name| (name.clone(), 1.0)).collect();
    names.reverse();
    let reversed: Vec<(&str, f64)> = names.iter().map(|(name, weight)| (name.as_str(), *weight)).collect();
    refuse((*linear(&reversed)).clone().with_schema(schema), &["other columns", &ours]);
    let weight = engine.set_ranker(Some(linear(&[("body.bm25", 1.0)])), 1.5).unwrap_err();
    assert!(weight.to_string().contains("`weight` is 1.5"), "{weight}");
    engine.set_ranker(Some(Arc::new((*of_all(&engine)).clone().with_schema(schema))), 1.0).unwrap();

    // Declared, the way from our schema to the other one is taken.
    let mut steps: Vec<Step> = vec![Step::Rename { from: "body.bm25".to_owned(), to: "bm25".to_owned() }];
    let names = engine.feature_schema().features().iter().map(|feature| feature.name.clone());
    steps.extend(names.filter(|name| name != "body.bm25").map(Step::Drop));
    drop(engine);
    let engine = with(folder.path(), |config| {
        every_feature(config);
        config.features.schemas = vec![other.clone()];
        config.features.migrations = vec![Migration { from: schema, to: other.id(), steps }];
    });
    let scope = Scope::default();
    engine.set_ranker(Some(linear(&[("body.bm25", 1.0)])), 1.0).unwrap();
    let by_name = engine.search(&scope, &ask("snow road")).unwrap();
    engine.set_ranker(Some(Arc::new(of_other)), 1.0).unwrap();
    let adapted = engine.search(&scope, &ask("snow road")).unwrap();
    assert_eq!(ids(&adapted), ids(&by_name));
    for hit in &adapted.hits {
        let ltr = hit.explanation.as_ref().unwrap().ltr.as_ref().unwrap();
        let sum: f64 = ltr.features.iter().filter_map(|feature| feature.contribution).sum();
        assert_eq!((ltr.features.len(), ltr.features[0].name.as_str()), (1, "bm25"));
        assert!((ltr.expected.unwrap() + sum - ltr.score).abs() < 1e-9);
    }
}

#[test]
fn models_of_features_that_meant_something_else_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let engine = filled(folder.path());
    let before = engine.feature_schema().id();
    let model = Arc::new((*of_all(&engine)).clone().with_schema(before));
    drop(engine);
    let changes: [fn(&mut EngineConfig); 5] = [
        |_| {},
        |config| config.features.categorical[0].values.reverse(),
        |config| config.features.freshness[0].half_life_days = 11.0,
        |config| config.features.clicks = Some(ClicksConfig { prior_impressions: 11.0 }),
        |config| config.lexical.language = "german".to_owned(),
    ];
    let is_taken = |engine: &Engine| match engine.set_ranker(Some(model.clone()), 1.0) {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
            let ours = engine.feature_schema().id().to_string();
            let words = [before.to_string(), ours, "train the model anew".to_owned()];
            assert!(words.iter().all(|word| error.to_string().contains(word)), "{error}");
            false
        }
    };
    let taken = changes.map(|change| {
        let folder = tempfile::tempdir().unwrap();
        is_taken(&with(folder.path(), |config| {
            every_feature(config);
            change(config);
        }))
    });
    assert_eq!(taken, [true, false, false, false, false]);
    let mut config = EngineConfig::default();
    every_feature(&mut config);
    let folder = tempfile::tempdir().unwrap();
    let of_another_model = Engine::builder().config(config).embedder(Arc::new(WordEmbedder::new(32)));
    assert!(!is_taken(&of_another_model.open(folder.path()).unwrap()));
}

#[test]
fn ranked_answers_are_equal_after_a_restart_and_for_the_explained_document() {
    let folder = tempfile::tempdir().unwrap();
    let engine = filled(folder.path());
    let scope = Scope::default();
    let rank = |engine: &Engine| {
        engine.set_ranker(Some(of_all(engine)), 0.5).unwrap();
        let request = ask("snow on the road");
        // Not a number is missing, the same each time.
        (request.clone(), format!("{:?}", engine.search(&scope, &request).unwrap().hits))
    };
    let (request, before) = rank(&engine);
    drop(engine);
    let engine = filled(folder.path());
    assert_eq!(rank(&engine).1, before);
    let short = SearchRequest { k: 5, ..request };
    for hit in engine.search(&scope, &short).unwrap().hits {
        let explained = engine.explain(&scope, &short, &hit.id).unwrap().unwrap();
        assert_eq!(format!("{explained:?}"), format!("{hit:?}"));
    }
}

#[test]
fn no_more_candidates_are_ranked_than_configured_and_all_that_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let engine = with(folder.path(), |config| {
        every_feature(config);
        config.ltr.depth = 4;
    });
    engine.upsert(&Scope::default(), documents()).unwrap();
    engine.commit().unwrap();
    let request = |k| SearchRequest { k, ..ask("snow on the road") };
    // And those that tie with the last of them.
    assert!((4..10).contains(&features_of(&engine, &request(2)).len()));
    assert!((12..20).contains(&features_of(&engine, &request(12)).len()));
    engine.set_ranker(Some(linear(&[("number.stars", 1.0)])), 1.0).unwrap();
    let ranked: Vec<String> = features_of(&engine, &request(2)).into_iter().map(|(id, _)| id).collect();
    let answer = engine.search(&Scope::default(), &request(2)).unwrap();
    assert!(answer.hits.iter().all(|hit| ranked.contains(&hit.id)));
    assert_eq!(answer.hits[0].score, 1.0);
}
