//! Input that nobody should hand to the library: a typed error that names the field, and nothing lost.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use rag_core::config::EngineConfig;
use rag_core::embed::{Embedder, Embeddings, TextKind};
use rag_core::engine::{Answer, MAX_K, Mode, SearchRequest};
use rag_core::governance::ModelIdentity;
use rag_core::testing::WordEmbedder;
use rag_core::{Cancel, Document, Engine, Error, ErrorKind, Filter, Result, Scope, Value};

const DIMENSION: usize = 64;

/// An embedder that answers as it should until it is told otherwise.
#[derive(Debug)]
struct Unruly {
    inner: WordEmbedder,
    mood: AtomicU8,
}

const TAME: u8 = 0;

/// What is wrong with an answer in each mood, and what the error says of it.
type Spoil = fn(&mut Embeddings);
const MOODS: [(Spoil, &str); 7] = [
    (|_| (), ""),
    (|answer| answer.vectors[DIMENSION - 1] = f32::NAN, "not finite"),
    (|answer| answer.vectors[0] = f32::INFINITY, "not finite"),
    (|answer| answer.dimension = DIMENSION / 2, "of 32 dimensions, not 64"),
    (|answer| answer.vectors.truncate(DIMENSION - 1), "vectors for 1 texts"),
    (|answer| answer.truncated.clear(), "0 vectors for 1 texts"),
    (|answer| answer.vectors.extend([0.0; DIMENSION]), "vectors for 1 texts"),
];

impl Embedder for Unruly {
    fn identity(&self) -> &ModelIdentity {
        self.inner.identity()
    }
    fn max_tokens(&self) -> Option<usize> {
        None
    }
    fn token_starts(&self, text: &str) -> Result<Vec<u32>> {
        self.inner.token_starts(text)
    }
    fn embed(&self, texts: &[&str], kind: TextKind, cancel: &Cancel) -> Result<Embeddings> {
        let mut answer = self.inner.embed(texts, kind, cancel)?;
        MOODS[self.mood.load(Ordering::SeqCst) as usize].0(&mut answer);
        Ok(answer)
    }
}

fn open() -> (tempfile::TempDir, Engine) {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::builder().embedder(Arc::new(WordEmbedder::new(DIMENSION))).open(folder.path()).unwrap();
    (folder, engine)
}

fn ids(answer: &Answer) -> Vec<&str> {
    answer.hits.iter().map(|hit| hit.id.as_str()).collect()
}

fn find(engine: &Engine, words: &str) -> Vec<String> {
    let answer = engine.search(&Scope::default(), &SearchRequest::new(words, 10).with_mode(Mode::Lexical)).unwrap();
    ids(&answer).into_iter().map(str::to_owned).collect()
}

fn refused(error: &Error, told: &str) {
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert!(error.to_string().contains(told), "`{told}` is not told: {error}");
}

#[test]
fn documents_without_anything_in_them_are_kept_and_disturb_nobody() {
    let (_folder, engine) = open();
    let scope = Scope::default();
    assert_eq!(engine.upsert(&scope, Vec::new()).unwrap().added, 0);
    assert_eq!(engine.delete(&scope, &[]).unwrap(), 0);
    assert_eq!(engine.commit().unwrap(), 0, "nothing was changed");
    let documents = vec![
        Document::new("empty", ""),
        Document::new("blank", " \n\t"),
        Document::new("titled", "").with_title("Bakery"),
        Document::new("full", "alpine passes"),
    ];
    assert_eq!(engine.upsert(&scope, documents).unwrap().added, 4);
    engine.commit().unwrap();
    assert_eq!(engine.get(&scope, "empty").unwrap().unwrap().document.text, "");
    assert_eq!(engine.get(&scope, "blank").unwrap().unwrap().document.text, " \n\t");
    assert_eq!((find(&engine, "bakery"), find(&engine, "passes")), (vec!["titled".into()], vec!["full".into()]));
    assert_eq!(engine.verify(|| ()).unwrap().documents, 4);
    assert_eq!(engine.delete(&scope, &["empty", "blank", "nothing"]).unwrap(), 2);
    engine.commit().unwrap();
    assert_eq!(engine.stats(&scope).unwrap().documents, 2);
}

#[test]
fn a_question_that_makes_no_sense_names_what_is_wrong_with_it() {
    let (_folder, engine) = open();
    let scope = Scope::default();
    engine.upsert(&scope, vec![Document::new("a", "alpine passes")]).unwrap();
    engine.commit().unwrap();
    let with = |vector: Vec<f32>| SearchRequest::new("passes", 3).with_vector(vector);
    let mut infinite = vec![0.1; DIMENSION];
    infinite[5] = f32::INFINITY;
    for (request, told) in [
        (SearchRequest::new("passes", 0), "`k` is 0"),
        (SearchRequest::new("passes", MAX_K + 1), "`k` is 10001"),
        (SearchRequest::new(" \n", 3), "`text` is empty"),
        (SearchRequest::new("", 3).with_mode(Mode::Lexical).with_vector(vec![1.0; DIMENSION]), "`text` is empty"),
        (with(vec![f32::NAN; DIMENSION]), "`vector` has a value that is not finite at position 0"),
        (with(infinite), "`vector` has a value that is not finite at position 5"),
        (with(vec![0.0; DIMENSION]), "`vector` is all zeros"),
        (with(vec![1.0; DIMENSION - 1]), "`vector` has 63 values"),
        (with(vec![1.0; 2 * DIMENSION]), "`vector` has 128 values"),
        (with(Vec::new()), "`vector` has 0 values"),
        (SearchRequest::new("\"passes", 3).with_syntax(), "position 1"),
        (SearchRequest::new("x", 3).with_filter(Filter::eq("year", f64::NAN)), "year"),
        (SearchRequest::new("x", 3).with_filter(Filter::eq("", 1i64)), "field"),
    ] {
        refused(&engine.search(&scope, &request).unwrap_err(), told);
    }
    for huge in [f32::MAX, f32::MIN_POSITIVE] {
        assert_eq!(ids(&engine.search(&scope, &with(vec![huge; DIMENSION])).unwrap()), ["a"]);
    }
    let long = "passes ".repeat(1 << 20) + &"(\"".repeat(1 << 20);
    assert_eq!(ids(&engine.search(&scope, &SearchRequest::new(long, 3)).unwrap()), ["a"]);
}

#[test]
fn a_document_that_cannot_be_kept_is_named_and_nothing_of_its_call_is_staged() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = EngineConfig::default();
    config.runtime.max_document_bytes = 1 << 20;
    let builder = Engine::builder().config(config).embedder(Arc::new(WordEmbedder::new(DIMENSION)));
    let engine = builder.open(folder.path()).unwrap();
    let scope = Scope::default();
    for (bad, told) in [
        (Document::new("", "x"), "`id` is empty"),
        (Document::new("i".repeat(513), "x"), "`id` has 513 bytes"),
        (Document::new("a\nb", "x"), "`id` has control characters"),
        (Document::new("a", "x".repeat((1 << 20) + 1)), "runtime.max_document_bytes"),
        (Document::new("a", "x").with_metadata("price", f64::NAN), "`price`"),
        (Document::new("a", "x").with_metadata("prices", vec![1.0, f64::INFINITY]), "`prices`"),
        (Document::new("a", "x").with_metadata("rows", Value::List(vec![Value::List(vec![])])), "`rows`"),
        (Document::new("a", "x").with_metadata("", 1i64), "`metadata field` is empty"),
    ] {
        let documents = vec![Document::new("good", "bakery"), bad];
        let error = engine.upsert(&scope, documents).unwrap_err();
        refused(&error, told);
        assert!(error.to_string().contains("at position 1"), "{error}");
    }
    let other = Document::new("a", "x").with_tenant("other");
    assert_eq!(engine.upsert(&scope, vec![other]).unwrap_err().kind(), ErrorKind::PermissionDenied);
    engine.commit().unwrap();
    assert_eq!(engine.stats(&scope).unwrap().documents, 0);
}

#[test]
fn of_documents_with_one_id_the_last_counts() {
    let (_folder, engine) = open();
    let scope = Scope::default();
    let batch = |texts: &[&str]| texts.iter().map(|text| Document::new("same", *text)).collect::<Vec<_>>();
    let report = engine.upsert(&scope, batch(&["first", "second", "third"])).unwrap();
    assert_eq!((report.added, report.updated, report.repeated, report.embedded), (1, 0, 2, 1));
    let report = engine.upsert(&scope, batch(&["fourth", "fifth"])).unwrap();
    assert_eq!((report.added, report.updated, report.repeated), (0, 1, 1));
    engine.commit().unwrap();
    assert_eq!(find(&engine, "fifth"), ["same"]);
    for gone in ["first", "second", "third", "fourth"] {
        assert!(find(&engine, gone).is_empty(), "{gone}");
    }
    assert_eq!(engine.delete(&scope, &["same", "same"]).unwrap(), 1);
    engine.upsert(&scope, batch(&["sixth"])).unwrap();
    engine.delete(&scope, &["same"]).unwrap();
    engine.upsert(&scope, batch(&["seventh"])).unwrap();
    engine.commit().unwrap();
    assert_eq!((find(&engine, "sixth").len(), find(&engine, "seventh").len()), (0, 1));
    assert_eq!(engine.verify(|| ()).unwrap().documents, 1);
}

#[test]
fn an_embedder_that_answers_nonsense_is_named_and_nothing_of_the_call_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let embedder = Arc::new(Unruly { inner: WordEmbedder::new(DIMENSION), mood: TAME.into() });
    let engine = Engine::builder().embedder(embedder.clone()).open(folder.path()).unwrap();
    let scope = Scope::default();
    engine.upsert(&scope, vec![Document::new("kept", "alpine passes")]).unwrap();
    for (mood, (_, told)) in (0u8..).zip(MOODS).skip(1) {
        embedder.mood.store(mood, Ordering::SeqCst);
        let error = engine.upsert(&scope, vec![Document::new("bad", "bakery")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
        assert!(error.to_string().contains("model `words`") && error.to_string().contains(told), "{error}");
        let error = engine.search(&scope, &SearchRequest::new("passes", 3)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
    }
    embedder.mood.store(TAME, Ordering::SeqCst);
    engine.upsert(&scope, vec![Document::new("good", "bakery")]).unwrap();
    engine.commit().unwrap();
    let answer = engine.search(&scope, &SearchRequest::new("bakery passes", 3)).unwrap();
    assert_eq!((ids(&answer).len(), engine.stats(&scope).unwrap().documents), (2, 2));
    assert!(engine.get(&scope, "bad").unwrap().is_none());
}

#[test]
fn a_folder_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    for path in [file.clone(), file.join("below")] {
        refused(&Engine::open(&path).unwrap_err(), &path.display().to_string());
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"x");
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(folder.path().join("data/store.redb"), b"this is no store, whatever its name says").unwrap();
    let error = Engine::open(folder.path().join("data")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corruption, "{error}");
    assert!(error.to_string().contains("store.redb"), "{error}");
}
