//! Features, the model that ranks by them, and the cache between.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use rag_ltr::Ranker;
use rag_ltr::model::{Arithmetic, LinearColumn, LinearModel, Link, Model};
use rag_ltr::schema::{Feature, FeatureKind};

use super::*;
use crate::cache::{CacheKey, CacheStats, FeatureCache, MemoryCache};
use crate::features::{
    CategoryConfig, ClickCounts, ClicksConfig, FeatureDocument, FeatureFunction, FeatureQuery, FreshnessConfig,
};

/// A model that adds up some features, a missing one as 0.
fn linear(terms: &[(&str, f64)]) -> Arc<Ranker> {
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

fn engine_with(folder: &Path, change: impl FnOnce(&mut EngineConfig)) -> Engine {
    let mut config = EngineConfig::default();
    change(&mut config);
    Engine::builder().config(config).embedder(Arc::new(WordEmbedder::new(64))).open(folder).unwrap()
}

fn every_feature(config: &mut EngineConfig) {
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

fn documents() -> Vec<Document> {
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

fn filled(folder: &Path) -> Engine {
    let engine = engine_with(folder, every_feature);
    engine.upsert(&Scope::default(), documents()).unwrap();
    engine.commit().unwrap();
    engine
}

fn at(text: &str) -> SystemTime {
    let seconds = text.parse::<jiff::Timestamp>().unwrap().as_second();
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds as u64)
}

fn ask(text: &str) -> SearchRequest {
    SearchRequest::new(text, 40).with_explanations().with_now(at("2024-06-01T00:00:00Z"))
}

/// Features of the hit of this id, by name.
fn value(answer: &Answer, id: &str, name: &str) -> f32 {
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
    engine.set_ranker(Some(linear(&[("body.bm25", 1.0)])), 1.0).unwrap();
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
