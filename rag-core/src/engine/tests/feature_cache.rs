//! The cache of features: nothing stale, nothing of another tenant, nothing damaged.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::ranking::{ask, at, documents, every_feature, features_of, filled, linear, of_all, value, with};
use super::*;
use crate::cache::{CacheKey, CacheStats, FeatureCache, MemoryCache};
use crate::features::FeatureGroup;

/// A cache that counts, and fails when it is told to.
#[derive(Debug)]
struct Watched {
    cache: MemoryCache,
    fails: AtomicBool,
    /// What it cancels when it is asked.
    cancels: Mutex<Option<Cancel>>,
    keys: Mutex<Vec<CacheKey>>,
}

impl Watched {
    fn new() -> Arc<Self> {
        let cache = MemoryCache::new(8 << 20);
        Arc::new(Watched { cache, fails: AtomicBool::new(false), cancels: Mutex::default(), keys: Mutex::default() })
    }

    /// Hits and misses since the last call.
    fn since(&self, before: &mut CacheStats) -> (u64, u64) {
        let now = self.cache.stats();
        let since = (now.hits - before.hits, now.misses - before.misses);
        *before = now;
        since
    }
}

impl FeatureCache for Watched {
    fn get_many(&self, keys: &[CacheKey]) -> Result<Vec<Option<Arc<[u8]>>>> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "the cache does not answer"));
        }
        if let Some(cancel) = &*self.cancels.lock().unwrap() {
            cancel.cancel();
        }
        self.cache.get_many(keys)
    }
    fn put_many(&self, entries: Vec<(CacheKey, Arc<[u8]>)>) -> Result<()> {
        self.keys.lock().unwrap().extend(entries.iter().map(|(key, _)| key.clone()));
        self.cache.put_many(entries)
    }
    fn stats(&self) -> CacheStats {
        self.cache.stats()
    }
}

fn cached_by(folder: &Path, cache: &Arc<Watched>, embedder: WordEmbedder) -> Engine {
    let mut config = EngineConfig::default();
    every_feature(&mut config);
    let builder = Engine::builder().config(config).embedder(Arc::new(embedder));
    builder.feature_cache(cache.clone()).open(folder).unwrap()
}

/// The features of all candidates, but for ranks: equal scores of a run rank by the order of indexing.
fn told(engine: &Engine, request: &SearchRequest) -> String {
    let mut rows = features_of(engine, request);
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    for (_, row) in &mut rows {
        row.retain(|name, _| !name.contains("rank"));
    }
    format!("{rows:?}")
}

#[test]
fn nothing_stale_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let (cache, scope) = (Watched::new(), Scope::default());
    let engine = cached_by(folder.path(), &cache, WordEmbedder::new(64));
    engine.upsert(&scope, documents()).unwrap();
    engine.commit().unwrap();
    let request = ask("snow road");
    // What an engine without a cache says of the same documents.
    let fresh = |engine: &Engine, request: &SearchRequest| {
        let other = tempfile::tempdir().unwrap();
        let plain = with(other.path(), |config| {
            every_feature(config);
            config.features.cache_mib = 0;
        });
        let ids = engine.ids(&scope, None, None, usize::MAX).unwrap();
        let stored = ids.iter().map(|id| engine.get(&scope, id).unwrap().unwrap().document);
        plain.upsert(&scope, stored.collect()).unwrap();
        plain.commit().unwrap();
        assert_eq!(plain.stats(&scope).unwrap().feature_cache, CacheStats::default());
        told(&plain, request)
    };
    let mut stats = cache.cache.stats();
    let candidates = features_of(&engine, &request).len() as u64;
    assert_eq!(cache.since(&mut stats), (0, 2 * candidates), "a value of the question and one of the document each");
    assert!(told(&engine, &request) == fresh(&engine, &request));
    assert_eq!(cache.since(&mut stats), (2 * candidates, 0));

    // Another question: what holds of the documents whatever is asked is there.
    let rows = features_of(&engine, &ask("bread")).len() as u64;
    assert_eq!(cache.since(&mut stats), (rows, rows));

    // Later, everything cached still holds, and freshness counts on.
    let later = request.clone().with_now(at("2024-06-11T00:00:00Z"));
    assert!(told(&engine, &later) == fresh(&engine, &later));
    assert!(told(&engine, &later) != told(&engine, &request));
    assert_eq!(cache.since(&mut stats), (6 * candidates, 0));

    // An update is another revision in another commit, where all statistics may have changed.
    let changed = Document::new("d00", "snow snow snow").with_metadata("stars", 99i64);
    engine.upsert(&scope, vec![changed]).unwrap();
    engine.commit().unwrap();
    engine.compact().unwrap(); // statistics without what is deleted, as a fresh index has them
    assert!(told(&engine, &request) == fresh(&engine, &request));
    let (hits, misses) = cache.since(&mut stats);
    assert!(hits + 1 >= candidates - 1 && misses > candidates, "facts of the others are kept: {hits} {misses}");

    // The same words under another model, another folder, and other settings have other keys.
    drop(engine);
    let other = tempfile::tempdir().unwrap();
    let engine = cached_by(other.path(), &cache, WordEmbedder::new(32));
    engine.upsert(&scope, documents()).unwrap();
    engine.commit().unwrap();
    cache.since(&mut stats);
    told(&engine, &request);
    assert_eq!(cache.since(&mut stats).0, 0);
}

#[test]
fn merging_deleted_chunks_away_changes_the_statistics_that_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let (cache, scope) = (Watched::new(), Scope::default());
    let engine = cached_by(folder.path(), &cache, WordEmbedder::new(64));
    engine.upsert(&scope, documents()).unwrap();
    engine.commit().unwrap();
    engine.delete(&scope, &["d00", "d01", "d02"]).unwrap();
    engine.commit().unwrap();
    let bm25 =
        || features_of(&engine, &ask("snow")).into_iter().map(|(id, row)| (id, row["body.bm25"])).collect::<Vec<_>>();
    let before = bm25();
    engine.compact().unwrap();
    assert_ne!(bm25(), before, "the same commit, other document frequencies");
}

#[test]
fn a_cached_value_is_for_its_tenant_alone_and_never_outside_the_scope() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Watched::new();
    let engine = cached_by(folder.path(), &cache, WordEmbedder::new(64));
    let (acme, other) = (Scope::tenant("acme").unwrap(), Scope::tenant("other").unwrap());
    for (scope, stars) in [(&acme, 1i64), (&other, 2)] {
        let document = |i: i64| {
            Document::new(format!("d{i}"), "snow road").with_metadata("stars", stars).with_metadata("public", i == 0)
        };
        engine.upsert(scope, (0..3).map(document).collect()).unwrap();
    }
    engine.commit().unwrap();
    engine.set_click_history(&acme, &[ClickCounts::new("d0", 10, 9)]).unwrap();
    engine.set_ranker(Some(of_all(&engine)), 1.0).unwrap();
    for _ in 0..2 {
        for (scope, stars) in [(&acme, 1.0), (&other, 2.0)] {
            let answer = engine.search(scope, &ask("snow road")).unwrap();
            assert_eq!(answer.hits.len(), 3);
            for hit in &answer.hits {
                assert_eq!(value(&answer, &hit.id, "number.stars"), stars);
            }
            assert_eq!(value(&answer, "d0", "clicks.clicks").is_nan(), stars == 2.0);
        }
    }
    let keys = cache.keys.lock().unwrap();
    let documents = |tenant: &str| {
        let of_tenant = keys.iter().filter(|key| &*key.tenant == tenant).map(|key| key.document);
        of_tenant.collect::<BTreeSet<_>>()
    };
    assert_eq!((documents("acme").len(), documents("other").len()), (3, 3));
    assert!(documents("acme").is_disjoint(&documents("other")));
    drop(keys);

    cache.keys.lock().unwrap().clear();
    let public = acme.restricted_to(Filter::eq("public", true));
    let answer = engine.search(&public, &ask("road of snow")).unwrap();
    assert_eq!(ids(&answer), ["d0"]);
    let keys = cache.keys.lock().unwrap();
    assert_eq!(keys.iter().map(|key| key.document).collect::<BTreeSet<_>>().len(), 1);
}

#[test]
fn a_cache_that_fails_leaves_the_fused_order_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (cache, scope) = (Watched::new(), Scope::default());
    let engine = cached_by(folder.path(), &cache, WordEmbedder::new(64));
    engine.upsert(&scope, documents()).unwrap();
    engine.commit().unwrap();
    let fused = engine.search(&scope, &ask("snow road")).unwrap();
    engine.set_ranker(Some(linear(&[("number.stars", 1.0)])), 1.0).unwrap();
    cache.fails.store(true, Ordering::SeqCst);
    let answer = engine.search(&scope, &ask("snow road")).unwrap();
    assert_eq!(ids(&answer), ids(&fused));
    assert!(answer.degraded[0].contains("the cache does not answer"), "{:?}", answer.degraded);
    cache.fails.store(false, Ordering::SeqCst);
    assert!(engine.search(&scope, &ask("snow road")).unwrap().degraded.is_empty());
}

#[test]
fn a_call_that_is_cancelled_computes_no_more() {
    for group in [FeatureGroup::Text, FeatureGroup::Lengths, FeatureGroup::Vector, FeatureGroup::Query] {
        let (folder, cache, scope) = (tempfile::tempdir().unwrap(), Watched::new(), Scope::default());
        let mut config = EngineConfig::default();
        config.features.groups = vec![group];
        if group == FeatureGroup::Query {
            config.features.equality = vec!["tags".to_owned()];
        }
        let builder = Engine::builder().config(config).embedder(Arc::new(WordEmbedder::new(64)));
        let engine = builder.feature_cache(cache.clone()).open(folder.path()).unwrap();
        engine.upsert(&scope, documents()).unwrap();
        engine.commit().unwrap();
        let cancel = Cancel::never();
        *cache.cancels.lock().unwrap() = Some(cancel.clone());
        let error = engine.log_features(&scope, &[("q", ask("snow road").with_cancel(cancel))]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert!(cache.keys.lock().unwrap().is_empty(), "{group:?} was computed all the same");
    }
}

#[test]
fn a_copied_folder_that_went_on_differently_shares_no_values() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let scope = Scope::default();
    drop(filled(one.path()));
    copy(one.path(), two.path());
    let cache = Watched::new();
    let stars = [(&one, 1i64), (&two, 2)].map(|(folder, stars)| {
        let engine = cached_by(folder.path(), &cache, WordEmbedder::new(64));
        engine.upsert(&scope, vec![Document::new("new", "snow road").with_metadata("stars", stars)]).unwrap();
        engine.commit().unwrap();
        let rows = features_of(&engine, &ask("snow road"));
        rows.into_iter().find(|(id, _)| id == "new").unwrap().1["number.stars"]
    });
    assert_eq!(stars, [1.0, 2.0]);
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

type Values = Vec<Option<Arc<[u8]>>>;

/// A cache that gives values other than those that it was given.
#[derive(Debug)]
struct Damaging {
    cache: MemoryCache,
    damage: fn(Values) -> Values,
}

impl FeatureCache for Damaging {
    fn get_many(&self, keys: &[CacheKey]) -> Result<Vec<Option<Arc<[u8]>>>> {
        Ok((self.damage)(self.cache.get_many(keys)?))
    }
    fn put_many(&self, entries: Vec<(CacheKey, Arc<[u8]>)>) -> Result<()> {
        self.cache.put_many(entries)
    }
    fn stats(&self) -> CacheStats {
        self.cache.stats()
    }
}

/// Every value with its bytes changed.
fn changed(values: Values, change: impl Fn(&[u8]) -> Vec<u8>) -> Values {
    values.into_iter().map(|value| value.map(|bytes| change(&bytes).into())).collect()
}

#[test]
fn values_of_another_schema_or_another_length_are_computed_again() {
    let plain = tempfile::tempdir().unwrap();
    let wanted = format!("{:?}", features_of(&filled(plain.path()), &ask("snow road")));
    let damages: [fn(Values) -> Values; 5] = [
        |values| changed(values, |bytes| [&(u32::MAX.to_le_bytes())[..], &bytes[4..]].concat()),
        |values| changed(values, |bytes| [&bytes[..4], &[0; 8], &bytes[12..]].concat()),
        |values| changed(values, |bytes| bytes[..bytes.len() - 1].to_vec()),
        |values| changed(values, |_| Vec::new()),
        |values| values.into_iter().take(1).collect(),
    ];
    for damage in damages {
        let folder = tempfile::tempdir().unwrap();
        let mut config = EngineConfig::default();
        every_feature(&mut config);
        let builder = Engine::builder().config(config).embedder(Arc::new(WordEmbedder::new(64)));
        let cache = Arc::new(Damaging { cache: MemoryCache::new(8 << 20), damage });
        let engine = builder.feature_cache(cache).open(folder.path()).unwrap();
        engine.upsert(&Scope::default(), documents()).unwrap();
        engine.commit().unwrap();
        for _ in 0..2 {
            assert_eq!(format!("{:?}", features_of(&engine, &ask("snow road"))), wanted);
        }
    }
}
