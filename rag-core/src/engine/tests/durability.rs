//! A disk that dies at every write in turn, and files with flipped bytes.

#![allow(clippy::panic)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::testing::FaultPlan;

/// What a reader may see: id → text.
type State = BTreeMap<String, String>;

/// What is upserted and what is deleted.
type Step = (&'static [(&'static str, &'static str)], &'static [&'static str]);

/// Each step changes the state; the ones before it are the commits it stands on.
const STEPS: [Step; 5] = [
    (&[("a", "alpine passes"), ("b", "bakery opens at six"), ("c", "cold winter")], &[]),
    (&[("a", "alpine passes are closed"), ("d", "deep snow")], &["b"]),
    (&[("e", "early bread")], &[]),
    (&[], &["a", "c"]),
    (&[("b", "bakery again"), ("f", "fresh rolls")], &["e"]),
];

fn states() -> Vec<State> {
    let mut state = State::new();
    let mut all = vec![state.clone()];
    for (upserts, deletes) in STEPS {
        state.retain(|id, _| !deletes.contains(&id.as_str()));
        state.extend(upserts.iter().map(|(id, text)| ((*id).to_owned(), (*text).to_owned())));
        all.push(state.clone());
    }
    all
}

/// Runs the steps, each one a commit, up to the first failure; gives the number of commits that returned, and it.
fn run(engine: &Engine) -> (usize, Option<Error>) {
    let scope = Scope::default();
    for (done, (upserts, deletes)) in STEPS.iter().enumerate() {
        let step = || {
            engine.delete(&scope, deletes)?;
            engine.upsert(&scope, upserts.iter().map(|(id, text)| Document::new(*id, *text)).collect())?;
            engine.commit()
        };
        if let Err(error) = step() {
            return (done, Some(error));
        }
        if done == 2
            && let Err(error) = engine.compact()
        {
            return (done + 1, Some(error));
        }
    }
    (STEPS.len(), None)
}

/// The whole state as each of the three indexes tells it.
fn state_of(engine: &Engine) -> State {
    let scope = Scope::default();
    let mut state = State::new();
    for id in ["a", "b", "c", "d", "e", "f"] {
        if let Some(stored) = engine.get(&scope, id).unwrap() {
            let text = stored.document.text;
            for mode in [Mode::Dense, Mode::Lexical] {
                let mut request = SearchRequest::new(text.as_str(), 1);
                request.mode = mode;
                let answer = engine.search(&scope, &request).unwrap();
                let best = answer.hits.first().map(|hit| (hit.id.as_str(), &hit.passage.text));
                assert_eq!(best, Some((id, &text)), "{mode:?}");
            }
            state.insert(id.to_owned(), text);
        }
    }
    for mode in [Mode::Dense, Mode::Lexical] {
        let mut request = SearchRequest::new("alpine bakery cold deep early fresh passes winter snow bread rolls", 20);
        request.mode = mode;
        let answer = engine.search(&scope, &request).unwrap();
        assert_eq!(answer.hits.len(), if mode == Mode::Dense { state.len() } else { answer.hits.len() });
        assert!(answer.hits.iter().all(|hit| state.contains_key(&hit.id)), "a deleted document is found");
    }
    state
}

#[test]
fn a_disk_that_dies_leaves_the_last_commit_or_the_one_under_way() {
    die_at_every(23);
}

#[test]
#[ignore = "takes minutes; the extended lane runs it"]
fn a_disk_that_dies_at_any_write_leaves_the_last_commit_or_the_one_under_way() {
    die_at_every(1);
}

fn die_at_every(step: usize) {
    let states = states();
    let counting = FaultPlan::after(u64::MAX);
    let folder = tempfile::tempdir().unwrap();
    let watched = |folder: &Path, plan: &Arc<FaultPlan>| {
        Engine::builder().embedder(Arc::new(WordEmbedder::new(512))).faults(plan.clone()).open(folder)
    };
    run(&watched(folder.path(), &counting).unwrap());
    let writes = counting.writes();
    assert!(writes > 150, "{writes}");
    for last in (0..writes).step_by(step) {
        let folder = tempfile::tempdir().unwrap();
        let is_full = last % 2 == 1;
        let plan = if is_full { FaultPlan::full_after(last) } else { FaultPlan::after(last) };
        let (returned, failure) = match watched(folder.path(), &plan) {
            Ok(engine) => run(&engine),
            Err(error) => (0, Some(error)),
        };
        let expected = if is_full { ErrorKind::ResourceExhausted } else { ErrorKind::Internal };
        match &failure {
            Some(error) => assert_eq!(error.kind(), expected, "write {last}: {error:?}"),
            // The disk died, if at all, under something that may fail: a merge, the removal of what is not used.
            None => assert_eq!(returned, STEPS.len(), "write {last}"),
        }
        let engine = open_wide(folder.path());
        let report = engine.verify(|| ()).unwrap();
        let state = state_of(&engine);
        let seen = states.iter().position(|known| *known == state).unwrap_or_else(|| panic!("write {last}: {state:?}"));
        assert!(
            seen == returned || seen == returned + 1,
            "write {last}: {returned} commits returned, {seen} are there"
        );
        assert_eq!(report.documents, state.len() as u64);
        assert_eq!(engine.verify(|| ()).unwrap().repaired, Vec::<String>::new(), "write {last}");
        assert_eq!(run(&engine).0, STEPS.len(), "the folder can be written again");
        let snapshot = engine.inner.snapshot.load_full();
        assert_eq!(snapshot.live, snapshot.store.live().unwrap(), "what commits carry forward is what the store lists");
        assert_eq!(state_of(&engine), states[STEPS.len()]);
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { files.extend(files_below(&entry)) } else { files.push(entry) }
    }
    files.sort();
    files
}

/// A folder with a vector segment, several lexical segments, deletions and a delta.
fn written(folder: &Path) -> State {
    let engine = open_wide(folder);
    run(&engine);
    // One of many deleted: too few for a merge, so the list of deletions stays a file.
    let other = Scope::tenant("other").unwrap();
    engine.upsert(&other, (0..12).map(|i| Document::new(i.to_string(), "of another tenant")).collect()).unwrap();
    engine.commit().unwrap();
    engine.delete(&other, &["5"]).unwrap();
    engine.commit().unwrap();
    state_of(&engine)
}

#[test]
fn a_flipped_byte_in_a_derived_file_is_found_and_repaired() {
    flip_in_derived_files(|length| vec![0, length / 3, length / 2, length - 1]);
}

#[test]
#[ignore = "takes minutes; the extended lane runs it"]
fn a_flipped_byte_anywhere_in_a_derived_file_is_found_and_repaired() {
    flip_in_derived_files(|length| (length % 7..length).step_by(7).collect());
}

fn flip_in_derived_files(positions: impl Fn(usize) -> Vec<usize>) {
    let folder = tempfile::tempdir().unwrap();
    let state = written(folder.path());
    let original: Vec<(PathBuf, Vec<u8>)> =
        files_below(folder.path()).into_iter().map(|file| (file.clone(), std::fs::read(file).unwrap())).collect();
    let derived = original.iter().filter(|(file, bytes)| {
        let name = file.file_name().unwrap().to_string_lossy();
        let is_truth = name == "store.redb" || name.starts_with("gate.");
        !bytes.is_empty() && !is_truth && name != "LOCK" && !name.ends_with(".lock")
    });
    let mut kinds = std::collections::BTreeSet::new();
    for (file, bytes) in derived {
        kinds.insert(file.extension().map(|kind| kind.to_string_lossy().into_owned()));
        for at in positions(bytes.len()) {
            for open_verified in [false, true] {
                for (path, bytes) in &original {
                    std::fs::write(path, bytes).unwrap();
                }
                let known: Vec<&PathBuf> = original.iter().map(|(path, _)| path).collect();
                for stranger in files_below(folder.path()).iter().filter(|path| !known.contains(path)) {
                    std::fs::remove_file(stranger).unwrap();
                }
                let mut damaged = bytes.clone();
                damaged[at] ^= 0x10;
                std::fs::write(file, damaged).unwrap();
                let mut config = EngineConfig::default();
                config.runtime.verify_on_open = open_verified;
                let builder = Engine::builder().config(config).embedder(Arc::new(WordEmbedder::new(512)));
                let engine = builder.open(folder.path()).unwrap();
                let repaired = if open_verified { engine.repairs() } else { engine.verify(|| ()).unwrap().repaired };
                assert!(!repaired.is_empty(), "{} at {at} of {}", file.display(), bytes.len());
                assert_eq!(state_of(&engine), state, "{}", file.display());
                drop(engine);
                let engine = open_wide(folder.path());
                assert_eq!(engine.verify(|| ()).unwrap().repaired, Vec::<String>::new(), "{}", file.display());
            }
        }
    }
    let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_deref().unwrap_or("MANIFEST")).collect();
    assert_eq!(kinds, ["MANIFEST", "del", "fast", "fieldnorm", "idx", "json", "pos", "seg", "store", "term"]);
}

#[test]
fn a_flipped_byte_in_the_store_is_reported_or_harmless_and_never_changes_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let state = written(folder.path());
    let file = folder.path().join("store.redb");
    let bytes = std::fs::read(&file).unwrap();
    let (mut reported, mut harmless) = (0, 0);
    for at in (0..bytes.len()).step_by(bytes.len() / 400) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        std::fs::write(&file, damaged).unwrap();
        let builder = Engine::builder().embedder(Arc::new(WordEmbedder::new(512))).check_store();
        let outcome = builder.open(folder.path()).and_then(|engine| engine.verify(|| ()).map(|_| engine));
        match outcome {
            Ok(engine) => {
                assert_eq!(state_of(&engine), state, "byte {at}");
                harmless += 1; // free space, or an older root that is not used
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corruption, "byte {at}: {error}");
                reported += 1;
            }
        }
        std::fs::write(&file, &bytes).unwrap();
    }
    assert!(reported > 5, "{reported} reported, {harmless} harmless");
    for id in ["bakery again", "fresh rolls", "deep snow"] {
        let mut damaged = bytes.clone();
        let places = bytes.windows(id.len()).enumerate().filter(|(_, window)| *window == id.as_bytes());
        for (at, _) in places {
            damaged[at] ^= 1; // in pages of older commits too, which are not read
        }
        std::fs::write(&file, damaged).unwrap();
        let outcome = open_wide(folder.path()).verify(|| ());
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Corruption, "{id}");
    }
}

#[cfg(feature = "hnsw")]
#[test]
fn the_graph_backend_has_no_file_to_repair_and_leaves_none_of_the_exact_one_behind() {
    let folder = tempfile::tempdir().unwrap();
    let state = written(folder.path());
    let sealed = || files_below(&folder.path().join("vectors")).len();
    assert_eq!(sealed(), 1);
    let vectors = crate::config::VectorConfig::Hnsw { m: 8, ef_construction: 16, ef_search: 50 };
    let config = EngineConfig { vectors, ..EngineConfig::default() };
    let builder = Engine::builder().config(config).embedder(Arc::new(WordEmbedder::new(512)));
    for _ in 0..2 {
        let engine = builder.clone().open(folder.path()).unwrap();
        assert_eq!((engine.repairs(), sealed()), (Vec::new(), 0));
        assert_eq!(engine.verify(|| ()).unwrap().repaired, Vec::<String>::new());
        assert_eq!(state_of(&engine), state);
        // What it has in memory is compared with the store.
        engine.inner.writer().unwrap().vectors.as_mut().remove(2);
        let repaired = engine.verify(|| ()).unwrap().repaired;
        assert!(repaired.is_empty() || repaired == ["vectors: the index has other documents than the store"]);
        assert_eq!(state_of(&engine), state);
    }
    let engine = open_wide(folder.path());
    assert_eq!((engine.repairs(), state_of(&engine)), (Vec::new(), state));
}

#[test]
fn opening_a_whole_folder_writes_no_derived_file() {
    let folder = tempfile::tempdir().unwrap();
    let state = written(folder.path());
    let derived = || -> Vec<_> {
        let files = files_below(folder.path()).into_iter();
        let derived = files.filter(|file| file.extension().is_none_or(|kind| kind != "redb" && kind != "lock"));
        let named = derived.filter(|file| !file.ends_with("LOCK"));
        named.map(|file| (file.metadata().unwrap().modified().unwrap(), file)).collect()
    };
    drop(open_wide(folder.path()));
    let before = derived();
    let engine = open_wide(folder.path());
    assert_eq!(state_of(&engine), state);
    assert_eq!(derived(), before);
}

/// So many dimensions that no two words of these tests meet in one.
fn open_wide(folder: &Path) -> Engine {
    Engine::builder().embedder(Arc::new(WordEmbedder::new(512))).open(folder).unwrap()
}
