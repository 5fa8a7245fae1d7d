//! `rag verify`: damage of what can be made again is repaired and told; damage of the store is an error.

#![allow(clippy::unwrap_used, clippy::panic, clippy::format_collect)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::Place;

/// A data folder with every kind of derived file: a sealed vector segment, and a lexical segment with deletions.
fn written() -> Place {
    let place = Place::with(&[]);
    let line = |i: usize, text: &str| format!("{{\"id\":\"{i}\",\"title\":\"T{i}\",\"text\":\"{text} word{i}\"}}\n");
    let lines = |text: &str, range: std::ops::Range<usize>| range.map(|i| line(i, text)).collect::<String>();
    place.write("a.jsonl", lines("alpine passes close in winter", 0..30).as_bytes());
    place.index(0, &[]);
    assert_eq!(place.rag(&["compact", "--data", "data"]).code, Some(0));
    place.write("a.jsonl", lines("the bakery opens at six", 0..3).as_bytes());
    place.index(0, &[]);
    place
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 0x10;
    fs::write(file, bytes).unwrap();
}

#[test]
fn damage_of_each_kind_of_derived_file_is_told_and_repaired() {
    for (kind, piece) in [
        ("MANIFEST", "MANIFEST"),
        ("seg", "vectors"),
        ("meta.json", "lexical index"),
        (".managed.json", "lexical index"),
        ("del", "lexical index"),
        ("fast", "lexical index"),
        ("fieldnorm", "lexical index"),
        ("idx", "lexical index"),
        ("pos", "lexical index"),
        ("store", "lexical index"),
        ("term", "lexical index"),
    ] {
        let place = written();
        let answers = || (place.search("winter passes", &[]), place.search("bakery", &[]));
        let verify = || place.rag(&["verify", "--data", "data"]);
        let before = answers();
        assert_eq!(verify().out, "30 documents are whole\n");
        let is_kind = |file: &PathBuf| file.ends_with(kind) || file.extension().is_some_and(|found| found == kind);
        let file = files_below(&place.data()).into_iter().find(is_kind);
        let file = file.unwrap_or_else(|| panic!("no {kind} file"));
        flip(&file, fs::metadata(&file).unwrap().len() as usize / 2);
        let said = verify();
        assert_eq!(said.code, Some(0), "{kind}: {said:?}");
        let told = format!("30 documents are whole\nmade again: {piece}: ");
        assert!(said.out.starts_with(&told), "{kind}: {said:?}");
        assert_eq!(verify().out, "30 documents are whole\n", "{kind}");
        assert_eq!(answers(), before, "{kind}");
    }
}

#[test]
fn damage_of_the_store_is_an_error_that_says_so() {
    let place = written();
    let store = place.data().join("store.redb");
    let bytes = fs::read(&store).unwrap();
    let text = b"close in winter word20";
    let at = bytes.windows(text.len()).rposition(|window| window == text).unwrap();
    flip(&store, at);
    let said = place.rag(&["verify", "--data", "data"]);
    said.must_fail(11, &["store"]);
    let said = place.rag(&["verify", "--data", "data", "--json"]);
    said.must_fail(11, &["\"corruption\""]);
    flip(&store, at);
    assert_eq!(place.rag(&["verify", "--data", "data"]).out, "30 documents are whole\n");
}
