//! Repairs that fail half-way, stores that were exchanged, callers in threads of their own pool.

use rayon::prelude::*;

use super::*;
use crate::testing::FaultPlan;

fn best(engine: &Engine, mode: Mode, text: &str) -> Option<String> {
    let request = SearchRequest::new(text, 1).with_mode(mode);
    engine.search(&Scope::default(), &request).unwrap().hits.first().map(|hit| hit.id.clone())
}

fn put(engine: &Engine, documents: &[(&str, &str)]) {
    let documents = documents.iter().map(|(id, text)| Document::new(*id, *text)).collect();
    engine.upsert(&Scope::default(), documents).unwrap();
    engine.commit().unwrap();
}

#[test]
fn a_repair_that_fails_half_way_is_finished_by_the_next_commit() {
    let folder = tempfile::tempdir().unwrap();
    let plan = FaultPlan::after(u64::MAX);
    let builder = Engine::builder().embedder(Arc::new(WordEmbedder::new(64))).faults(plan.clone());
    let engine = builder.open(folder.path()).unwrap();
    put(&engine, &[("a", "alpine passes"), ("b", "bakery opens")]);
    let damaged = std::fs::read_dir(folder.path().join("lexical")).unwrap().map(|file| file.unwrap().path());
    for file in damaged.filter(|path| path.extension().is_some_and(|extension| extension == "idx")) {
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[0] ^= 0xff;
        std::fs::write(&file, bytes).unwrap();
    }
    plan.break_after(12);
    engine.verify(|| ()).unwrap_err();
    assert!(plan.tripped());
    plan.break_after(u64::MAX);
    put(&engine, &[("c", "cold winter")]);
    for (id, text) in [("a", "alpine passes"), ("b", "bakery opens"), ("c", "cold winter")] {
        assert_eq!(best(&engine, Mode::Lexical, text).as_deref(), Some(id));
        assert_eq!(best(&engine, Mode::Dense, text).as_deref(), Some(id));
    }
    assert_eq!(engine.verify(|| ()).unwrap().repaired, Vec::<String>::new());
}

#[test]
fn an_older_store_put_back_brings_its_own_documents_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let (store, backup) = (folder.path().join("store.redb"), folder.path().join("backup"));
    put(&open(folder.path()), &[("a", "alpine passes")]);
    std::fs::copy(&store, &backup).unwrap();
    let engine = open(folder.path());
    put(&engine, &[("b", "bakery opens"), ("c", "cold winter")]);
    engine.compact().unwrap(); // so that vectors lie in a file
    drop(engine);
    std::fs::copy(&backup, &store).unwrap();

    let engine = open(folder.path());
    assert_eq!(engine.repairs().len(), 1, "{:?}", engine.repairs());
    put(&engine, &[("d", "deep snow"), ("e", "early bread")]); // with the numbers that `b` and `c` had
    drop(engine);
    let engine = open(folder.path());
    assert_eq!(engine.repairs(), Vec::<String>::new());
    for mode in [Mode::Dense, Mode::Lexical] {
        for (id, text) in [("a", "alpine passes"), ("d", "deep snow"), ("e", "early bread")] {
            assert_eq!(best(&engine, mode, text).as_deref(), Some(id), "{mode:?}");
        }
    }
    assert_eq!(best(&engine, Mode::Lexical, "bakery"), None);
    assert_eq!(engine.verify(|| ()).unwrap().repaired, Vec::<String>::new());
}

#[test]
fn a_lost_store_is_told_and_not_taken_for_a_new_folder() {
    let folder = tempfile::tempdir().unwrap();
    put(&open(folder.path()), &[("a", "alpine passes")]);
    std::fs::remove_file(folder.path().join("store.redb")).unwrap();
    let error = Engine::builder().embedder(Arc::new(WordEmbedder::new(64))).open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corruption);
    assert!(error.to_string().contains("store.redb is missing"), "{error}");
    assert!(!folder.path().join("store.redb").exists());
}

#[test]
fn threads_of_the_callers_own_pool_may_write_and_search() {
    for threads in [1, 2] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = EngineConfig::default();
        config.runtime.threads = threads;
        let builder =
            Engine::builder().config(config).embedder(Arc::new(crate::embed::StaticModel::bundled().unwrap()));
        let engine = builder.open(folder.path()).unwrap();
        let scope = Scope::default();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        pool.install(|| {
            (0..32).into_par_iter().for_each(|batch| {
                // Enough texts that the model spreads them over threads.
                let text = |i: usize| Document::new(format!("{batch} {i}"), format!("document {i} of batch {batch}"));
                engine.upsert(&scope, (0..200).map(text).collect()).unwrap();
                engine.search(&scope, &SearchRequest::new("document", 3)).unwrap();
            });
        });
        engine.commit().unwrap();
        assert_eq!(engine.stats(&scope).unwrap().documents, 32 * 200);
    }
}

#[test]
fn a_scope_whose_filter_means_nothing_shows_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    put(&engine, &[("a", "alpine passes")]);
    let of_a_list = Filter::Eq("owner".to_owned(), crate::types::Value::List(vec!["me".into()]));
    let scope = Scope::default().restricted_to(Filter::Not(Box::new(of_a_list)));
    let kind = |error: Error| assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    kind(engine.get(&scope, "a").unwrap_err());
    kind(engine.delete(&scope, &["a"]).unwrap_err());
    kind(engine.upsert(&scope, vec![Document::new("b", "bread")]).unwrap_err());
    kind(engine.search(&scope, &SearchRequest::new("alpine", 1)).unwrap_err());
    kind(engine.stats(&scope).unwrap_err());
}

#[test]
fn long_titles_and_heavy_metadata_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = EngineConfig::default();
    config.runtime.max_document_bytes = 8 << 10;
    let engine =
        Engine::builder().config(config).embedder(Arc::new(WordEmbedder::new(64))).open(folder.path()).unwrap();
    let refused = |document: Document| engine.upsert(&Scope::default(), vec![document]).unwrap_err().to_string();
    let long = "t".repeat(crate::types::MAX_TITLE_BYTES + 1);
    assert!(refused(Document::new("a", "text").with_title(long)).starts_with("`title` has 4097 bytes"));
    let heavy = Document::new("a", "text").with_metadata("note", vec!["n".repeat(5000), "n".repeat(5000)]);
    assert!(refused(heavy).contains("`metadata` have"));
}

#[test]
fn what_the_syntax_requires_and_excludes_holds_for_both_retrievers() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    put(&engine, &[("cats", "cats sleep long"), ("dogs", "dogs sleep short"), ("birds", "birds wake early")]);
    let scope = Scope::default();
    for mode in [Mode::Hybrid, Mode::Dense, Mode::Lexical] {
        let find = |text: &str| {
            let answer = engine.search(&scope, &SearchRequest::new(text, 10).with_mode(mode).with_syntax()).unwrap();
            let mut found: Vec<String> = answer.hits.into_iter().map(|hit| hit.id).collect();
            found.sort();
            found
        };
        assert!(!find("sleep -cats").contains(&"cats".to_owned()), "{mode:?}");
        assert_eq!(find("+dogs sleep"), ["dogs"], "{mode:?}");
        assert_eq!(find("+\"sleep short\""), ["dogs"], "{mode:?}");
        assert!(find("+dogs +cats").is_empty(), "{mode:?}");
    }
}

#[test]
fn a_filter_on_a_field_that_nothing_has_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    engine.upsert(&Scope::default(), vec![Document::new("a", "text").with_metadata("lang", "en")]).unwrap();
    engine.commit().unwrap();
    let notes = |field: &str| {
        let request = SearchRequest::new("text", 1).with_filter(Filter::eq(field, "de"));
        engine.search(&Scope::default(), &request).unwrap().degraded
    };
    assert_eq!(notes("lang"), Vec::<String>::new());
    assert_eq!(notes("lng"), ["everything: no document has the field `lng` of the filter"]);
}

#[test]
fn a_folder_of_other_files_is_refused_and_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".gitkeep"), "").unwrap();
    drop(open(folder.path()));
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("main.rs"), "").unwrap();
    let refused = |path: &Path| {
        let error = Engine::builder().embedder(Arc::new(WordEmbedder::new(4))).open(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        error.to_string()
    };
    assert!(refused(other.path()).contains("holds other files (main.rs)"));
    assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 1);
    assert!(refused(&other.path().join("main.rs")).contains("is a file"));
}
