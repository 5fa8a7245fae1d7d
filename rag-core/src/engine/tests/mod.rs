#![allow(clippy::unwrap_used)]

mod durability;
mod feature_cache;
mod features;
mod feedback;
mod gate;
mod list;
mod ranking;
mod recovery;
mod scores;
mod segments;
mod tune;

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::filter::Filter;
use crate::testing::WordEmbedder;

fn open(folder: &Path) -> Engine {
    Engine::builder().embedder(Arc::new(WordEmbedder::new(64))).open(folder).unwrap()
}

fn ids(answer: &Answer) -> Vec<&str> {
    answer.hits.iter().map(|hit| hit.id.as_str()).collect()
}

fn find(engine: &Engine, scope: &Scope, text: &str) -> Vec<String> {
    let answer = engine.search(scope, &SearchRequest::new(text, 10)).unwrap();
    ids(&answer).into_iter().map(str::to_owned).collect()
}

#[test]
fn documents_are_found_explained_updated_deleted_and_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let scope = Scope::default();
    let engine = open(folder.path());
    let report = engine
        .upsert(
            &scope,
            vec![
                Document::new("snow", "alpine passes close in winter").with_metadata("year", 2024i64),
                Document::new("bread", "the bakery opens at six").with_title("Bakery"),
            ],
        )
        .unwrap();
    assert_eq!((report.added, report.embedded), (2, 2));
    assert!(find(&engine, &scope, "bakery").is_empty(), "not committed yet");
    assert_eq!(engine.commit().unwrap(), 1);

    let request = SearchRequest::new("when does the bakery open", 5).with_explanations();
    let answer = engine.search(&scope, &request).unwrap();
    assert_eq!(answer.hits[0].id, "bread");
    let explanation = answer.hits[0].explanation.as_ref().unwrap();
    let sum: f32 = explanation.runs.iter().map(|run| run.contribution).sum();
    assert_eq!((explanation.runs.len(), explanation.score), (2, sum));
    assert_eq!(answer.hits[0].passage.text, "the bakery opens at six");
    let filtered = SearchRequest::new("bakery winter", 5).with_filter(Filter::eq("year", 2024i64));
    assert_eq!(ids(&engine.search(&scope, &filtered).unwrap()), ["snow"]);

    drop(engine);
    let engine = open(folder.path());
    assert!(engine.repairs().is_empty());
    assert_eq!(find(&engine, &scope, "bakery")[0], "bread");
    assert_eq!(engine.delete(&scope, &["bread", "nothing"]).unwrap(), 1);
    engine.commit().unwrap();
    assert_eq!(find(&engine, &scope, "bakery six"), find(&engine, &scope, "winter"));
    assert_eq!(engine.verify(|| ()).unwrap(), VerifyReport { documents: 1, repaired: vec![] });
    assert_eq!(engine.stats(&scope).unwrap().documents, 1);
}

#[test]
fn unchanged_documents_and_chunks_are_not_embedded_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = EngineConfig::default();
    (config.chunking.max_tokens, config.chunking.overlap_tokens) = (8, 0);
    let embedder = Arc::new(WordEmbedder::new(64));
    let engine = Engine::builder().config(config).embedder(embedder.clone()).open(folder.path()).unwrap();
    let scope = Scope::default();
    let text = "One two three four five six seven.\n\nAlpha beta gamma delta epsilon zeta eta.";
    let report = engine.upsert(&scope, vec![Document::new("a", text)]).unwrap();
    assert_eq!((report.chunks, report.embedded), (2, 2));
    engine.commit().unwrap();
    let report = engine.upsert(&scope, vec![Document::new("a", text)]).unwrap();
    assert_eq!((report.unchanged, report.embedded), (1, 0));
    let report = engine.upsert(&scope, vec![Document::new("a", text.replace("beta", "omega"))]).unwrap();
    assert_eq!((report.updated, report.chunks, report.embedded), (1, 2, 1));
    assert_eq!(embedder.embedded(), 3);
    engine.rollback().unwrap();
    let report = engine.upsert(&scope, vec![Document::new("a", text)]).unwrap();
    assert_eq!(report.unchanged, 1, "a rollback leaves the committed revision");
    engine.commit().unwrap();
    assert_eq!(find(&engine, &scope, "beta"), ["a"]);
}

#[test]
fn tenants_never_see_each_other_and_scopes_fail_closed() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    let (acme, other) = (Scope::tenant("acme").unwrap(), Scope::tenant("other").unwrap());
    engine.upsert(&acme, vec![Document::new("a", "secret plan").with_metadata("public", false)]).unwrap();
    engine.upsert(&other, vec![Document::new("a", "other plan")]).unwrap();
    engine.commit().unwrap();
    assert_eq!(engine.get(&other, "a").unwrap().unwrap().document.text, "other plan");
    let answer = engine.search(&other, &SearchRequest::new("secret plan", 10)).unwrap();
    assert_eq!((answer.hits.len(), answer.visible), (1, 1));
    assert!(find(&engine, &Scope::default(), "plan").is_empty());
    let public = acme.clone().restricted_to(Filter::eq("public", true));
    assert!(find(&engine, &public, "secret plan").is_empty());
    assert!(engine.get(&public, "a").unwrap().is_none());
    assert_eq!(engine.delete(&public, &["a"]).unwrap(), 0);
    let refused = engine.upsert(&public, vec![Document::new("b", "x")]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    let refused = engine.upsert(&acme, vec![Document::new("b", "x").with_tenant("other")]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    assert_eq!(engine.delete(&acme, &["a"]).unwrap(), 1);
    engine.commit().unwrap();
    assert_eq!(find(&engine, &other, "plan"), ["a"]);
}

#[test]
fn another_model_and_a_second_writer_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    engine.upsert(&Scope::default(), vec![Document::new("a", "x")]).unwrap();
    engine.commit().unwrap();
    let again = Engine::builder().embedder(Arc::new(WordEmbedder::new(64))).open(folder.path());
    assert_eq!(again.unwrap_err().kind(), ErrorKind::Conflict);
    drop(engine);
    let error = Engine::builder().embedder(Arc::new(WordEmbedder::new(32))).open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ModelMismatch);
    assert!(error.to_string().contains("dimension: 64 ≠ 32"), "{error}");
}

#[test]
fn ids_come_in_pages_that_leave_nothing_out_and_give_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::builder().embedder(Arc::new(WordEmbedder::new(64))).open(folder.path()).unwrap();
    let tenants = ["a", "aa", "ab", "b"].map(|name| Scope::tenant(name).unwrap());
    let ids: Vec<String> = (0..40).map(|i| format!("{}{i}", ["", "é", "aa", "\u{10ffff}"][i % 4])).collect();
    for scope in &tenants {
        let documents = ids.iter().enumerate();
        let documents =
            documents.map(|(i, id)| Document::new(id, "text").with_metadata("third", i.is_multiple_of(3))).collect();
        engine.upsert(scope, documents).unwrap();
    }
    engine.commit().unwrap();
    engine.delete(&tenants[2], &["0", "aa2"]).unwrap();
    let staged = engine.ids(&tenants[2], None, None, usize::MAX).unwrap();
    assert_eq!(staged.len(), 40, "what is staged is not visible");
    engine.commit().unwrap();
    for (number, scope) in tenants.iter().enumerate() {
        for filter in [None, Some(Filter::eq("third", true))] {
            let is_wanted = |i: usize, id: &str| {
                (filter.is_none() || i.is_multiple_of(3)) && !(number == 2 && ["0", "aa2"].contains(&id))
            };
            let mut wanted: Vec<String> =
                ids.iter().enumerate().filter(|(i, id)| is_wanted(*i, id)).map(|(_, id)| id.clone()).collect();
            wanted.sort();
            assert_eq!(engine.ids(scope, filter.as_ref(), None, usize::MAX).unwrap(), wanted);
            let (mut pages, mut after) = (Vec::new(), None::<String>);
            loop {
                let page = engine.ids(scope, filter.as_ref(), after.as_deref(), 7).unwrap();
                let Some(last) = page.last() else { break };
                after = Some(last.clone());
                pages.extend(page);
            }
            assert_eq!(pages, wanted);
        }
        let narrow = scope.clone().restricted_to(Filter::eq("third", true));
        assert_eq!(
            engine.ids(&narrow, None, None, usize::MAX).unwrap(),
            engine.ids(scope, Some(&Filter::eq("third", true)), None, usize::MAX).unwrap()
        );
    }
    assert!(engine.ids(&tenants[0], None, None, 0).unwrap().is_empty());
}

#[cfg(feature = "hnsw")]
#[test]
fn the_graph_backend_answers_like_the_scan_and_is_made_again_at_open() {
    let folder = tempfile::tempdir().unwrap();
    let vectors = crate::config::VectorConfig::Hnsw { m: 16, ef_construction: 100, ef_search: 50 };
    let config = EngineConfig { vectors, ..EngineConfig::default() };
    let open = || {
        let builder = Engine::builder().config(config.clone()).embedder(Arc::new(WordEmbedder::new(64)));
        builder.open(folder.path()).unwrap()
    };
    let scope = Scope::default();
    let engine = open();
    let documents = ["red fish", "blue fish", "red bird"].iter().zip(["a", "b", "c"]);
    engine.upsert(&scope, documents.map(|(text, id)| Document::new(id, *text)).collect()).unwrap();
    engine.commit().unwrap();
    let first = find(&engine, &scope, "red bird");
    assert_eq!(first[0], "c");
    assert_eq!(engine.stats(&scope).unwrap().vector_backend, "hnsw");
    drop(engine);
    assert_eq!(find(&open(), &scope, "red bird"), first);
}

#[cfg(feature = "hnsw")]
#[test]
fn a_large_graph_is_built_in_the_background_and_sees_only_what_is_committed() {
    let folder = tempfile::tempdir().unwrap();
    let vectors = crate::config::VectorConfig::Hnsw { m: 8, ef_construction: 20, ef_search: 50 };
    let config = EngineConfig { vectors, ..EngineConfig::default() };
    let builder = Engine::builder().config(config).embedder(Arc::new(WordEmbedder::new(128)));
    let engine = builder.open(folder.path()).unwrap();
    let scope = Scope::default();
    let text = |i: usize| format!("a{} b{} c{} d{i}", i % 97, i % 89, i % 83);
    let documents = |range: std::ops::Range<usize>| range.map(|i| Document::new(i.to_string(), text(i))).collect();
    engine.upsert(&scope, documents(0..6000)).unwrap();
    engine.commit().unwrap();
    engine.upsert(&scope, documents(6000..6100)).unwrap(); // staged while the graph is built
    engine.delete(&scope, &["7"]).unwrap();
    let mut request = SearchRequest::new(text(7), 5).with_explanations();
    request.mode = Mode::Dense;
    let plan = || engine.search(&scope, &request).unwrap().plan;
    assert_eq!(engine.compact().unwrap_err().kind(), ErrorKind::Conflict, "changes are staged");
    let answer = engine.search(&scope, &request).unwrap();
    assert_eq!((ids(&answer)[0], answer.visible), ("7", 6000));
    engine.commit().unwrap();
    engine.compact().unwrap();
    assert_eq!(plan(), Some("graph"));
    let answer = engine.search(&scope, &request).unwrap();
    assert!(!ids(&answer).contains(&"7") && answer.visible == 6099, "{answer:?}");
    let mut late = SearchRequest::new(text(6050), 1);
    late.mode = Mode::Dense;
    assert_eq!(engine.search(&scope, &late).unwrap().hits[0].score, 1.0);
}
