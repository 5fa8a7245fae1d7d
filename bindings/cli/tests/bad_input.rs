//! Input that nobody should hand in: the command reports it by name, with an exit code of its own, and keeps the rest.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod common;

use common::{Place, Said};
use serde_json::json;

#[test]
fn nothing_at_all_is_no_failure() {
    let place = Place::with(&[]);
    let (report, _) = place.index(0, &[]);
    assert_eq!((&report["read"], &report["added"]), (&json!(0), &json!(0)));
    assert!(place.search("anything", &[]).is_empty());

    place.write("empty.txt", b"");
    place.write("blank.md", b" \n\t\n");
    place.write("empty.jsonl", b"");
    place.write("no-text.jsonl", b"{\"id\": \"a\", \"text\": \"\"}\n\n");
    place.write("empty.csv", b"");
    let (report, _) = place.index(0, &[]);
    assert_eq!((&report["empty"], &report["added"], &report["failed"]), (&json!(3), &json!(0), &json!(0)));
    assert!(place.search("anything", &[]).is_empty());
}

#[test]
fn lines_of_ten_megabytes_are_indexed_and_found() {
    let words = "glacier ".repeat(10 << 17);
    let one_word = "x".repeat(10 << 20);
    let lines = format!(
        "{{\"id\":\"long\",\"text\":\"{words}\"}}\n{{\"id\":\"one\",\"text\":\"{one_word}\"}}\n{}\n",
        r#"{"id":"short","text":"bakery"}"#
    );
    let place = Place::with(&[("a.jsonl", lines.as_bytes()), ("b.txt", words.as_bytes())]);
    let (report, _) = place.index(0, &[]);
    assert_eq!((&report["added"], &report["failed"]), (&json!(4), &json!(0)));
    assert_eq!(place.search("bakery", &["--mode", "lexical"]), ["short"]);
    assert_eq!(place.search("glacier", &["--mode", "lexical"]), ["in/b.txt", "long"]);
}

#[test]
fn a_document_beyond_the_limit_is_named_with_the_setting() {
    let place = Place::with(&[("big.txt", "word ".repeat(13 << 20).as_bytes()), ("fine.txt", b"bakery")]);
    let (report, said) = place.index(20, &[]);
    said.must_fail(20, &["big.txt", "runtime.max_document_bytes"]);
    assert_eq!((&report["added"], &report["failed"]), (&json!(1), &json!(1)));
    assert_eq!(place.search("bakery", &[]), ["in/fine.txt"]);
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_indexed() {
    let place = Place::with(&[
        ("latin1.txt", b"gr\xFC\xDFe"),
        ("cut.pdf", b"%PDF-1.4\n1 0 obj <<"),
        ("lines.jsonl", b"{\"id\":\"a\",\"text\":\"bro\xFFken\"}\n{\"id\":\n{\"id\":\"b\",\"text\":\"bakery\"}\n"),
        ("binary.txt", b"ab\0cd"),
        ("fine.md", b"# Alpine passes\n"),
    ]);
    let (report, said) = place.index(20, &[]);
    said.must_fail(
        20,
        &[
            "latin1.txt: not UTF-8: invalid byte at offset 2; convert it to UTF-8",
            "cut.pdf: malformed",
            "lines.jsonl:1: not UTF-8",
            "lines.jsonl:2: malformed",
            "binary.txt: binary",
        ],
    );
    assert_eq!((&report["added"], &report["failed"]), (&json!(2), &json!(5)));
    assert_eq!(place.search("alpine passes", &["--mode", "lexical"]), ["in/fine.md"]);
    assert_eq!(place.search("bakery", &["--mode", "lexical"]), ["b"]);
}

#[test]
fn of_documents_with_one_id_the_last_counts_and_the_report_tells_how_many_went() {
    let line = |text: &str| format!("{{\"id\":\"same\",\"text\":\"{text}\"}}\n");
    let place = Place::with(&[
        ("a.jsonl", (line("first") + &line("second")).as_bytes()),
        ("b.jsonl", (line("third") + "{\"id\":\"other\",\"text\":\"first and second\"}\n").as_bytes()),
    ]);
    let (report, _) = place.index(0, &[]);
    assert_eq!((&report["read"], &report["added"], &report["repeated"]), (&json!(4), &json!(2), &json!(2)));
    assert_eq!(place.search("third", &["--mode", "lexical"]), ["same"]);
    assert_eq!(place.search("second", &["--mode", "lexical"]), ["other"]);

    let lines: Vec<String> = (0..1500).map(|i| format!("{{\"id\":\"{}\",\"text\":\"word{i}\"}}\n", i % 1000)).collect();
    let hundreds = lines.concat();
    place.write("c.jsonl", hundreds.as_bytes());
    let (report, _) = place.index(0, &[]);
    let sum: u64 = ["added", "updated", "unchanged", "repeated"].iter().map(|key| report[key].as_u64().unwrap()).sum();
    assert_eq!((report["read"].as_u64(), report["added"].as_u64()), (Some(sum), Some(1000)));
    assert_eq!(place.search("word1499", &["--mode", "lexical"]), ["499"]);
    assert!(place.search("word499", &["--mode", "lexical"]).is_empty());
}

#[test]
fn wrong_calls_name_the_field_and_the_way_out() {
    let place = Place::with(&[("a.txt", b"bakery")]);
    place.rag(&["index", "nowhere", "--data", "data"]).must_fail(4, &["nowhere"]);
    assert!(!place.data().exists(), "a wrong path makes no data folder");
    place.rag(&["search", "x", "--data", "data"]).must_fail(4, &["index something there first"]);
    place.rag(&["index", "in", "--data", "in/a.txt"]).must_fail(3, &["a.txt"]);
    place.rag(&["index", "in", "--data", "data", "--tenant", ""]).must_fail(3, &["`tenant` is empty"]);
    place.index(0, &[]);
    let search = |options: &[&str]| place.rag(&[&["search", "--data", "data"], options].concat());
    search(&[" "]).must_fail(3, &["`text` is empty"]);
    search(&["x", "-k", "0"]).must_fail(3, &["`k` is 0"]);
    search(&["x", "--filter", "{"]).must_fail(3, &["filter"]);
    search(&["x", "--filter", r#"{"eq": {"a": [1]}}"#]).must_fail(3, &["filter"]);
    search(&["\"x", "--syntax"]).must_fail(3, &["position 1", "never closed"]);
    search(&["x", "--tenant", "a\nb"]).must_fail(3, &["`tenant` has control characters"]);
    search(&["x", "--mode", "best"]).must_fail(2, &["--mode"]);
    place.rag(&["explain", "b.txt", "x", "--data", "data"]).must_fail(4, &["b.txt"]);
    let said = place.rag(&["search", " ", "--data", "data", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&said.err).unwrap();
    assert_eq!((&error["error"]["kind"], &error["error"]["exit_code"]), (&json!("invalid_argument"), &json!(3)));
}

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::process::CommandExt;

    use super::*;

    #[test]
    fn links_in_circles_end_and_are_named() {
        let place = Place::with(&[("a/x.txt", b"bakery"), ("y.txt", b"alpine")]);
        for (target, name) in [("..", "a/up"), ("self.txt", "self.txt"), ("gone.txt", "dangling.txt"), ("a", "b")] {
            symlink(target, place.input().join(name)).unwrap();
        }
        let (report, _) = place.index(0, &[]);
        assert_eq!((&report["added"], &report["ignored"], &report["failed"]), (&json!(2), &json!(4), &json!(0)));
        let (report, said) = place.index(20, &["--follow-links"]);
        said.must_fail(20, &["a/up: a symbolic link to", "b/up: a symbolic link to", "self.txt: ", "dangling.txt: "]);
        assert_eq!((&report["added"], &report["failed"]), (&json!(1), &json!(4)));
    }

    const NOBODY: u32 = 65_534;

    /// The command as a user who owns nothing: for root every file is open.
    fn as_nobody(place: &Place, arguments: &[&str]) -> Option<Said> {
        let mut command = place.command(arguments);
        if fs::read(place.input().join("closed.txt")).is_ok() {
            command.uid(NOBODY);
            // A home folder that is closed to others may hold the build.
            if let Err(error) = place.command(&["--version"]).uid(NOBODY).output() {
                eprintln!("skipped: root reads everything, and another user cannot start the command ({error})");
                return None;
            }
        }
        Some(Said::of(command))
    }

    #[test]
    fn what_may_not_be_read_or_written_is_named() {
        let place = Place::with(&[("closed.txt", b"secret"), ("closed/b.txt", b"secret"), ("open.txt", b"bakery")]);
        let allow = |name: &str, mode| fs::set_permissions(place.path().join(name), fs::Permissions::from_mode(mode));
        for (name, mode) in [("", 0o755), ("in/closed.txt", 0), ("in/closed", 0), ("in/open.txt", 0o644)] {
            allow(name, mode).unwrap();
        }
        for (name, mode) in [("shut", 0o555), ("free", 0o777)] {
            fs::create_dir(place.path().join(name)).unwrap();
            allow(name, mode).unwrap();
        }
        if let Some(said) = as_nobody(&place, &["index", "in", "--data", "free/data"]) {
            said.must_fail(20, &["closed.txt: Permission denied", "closed: Permission denied"]);
            assert!(said.out.contains("1 added") && said.out.contains("2 failed"), "{said:?}");
        }
        if let Some(said) = as_nobody(&place, &["index", "in", "--data", "shut/data"]) {
            said.must_fail(5, &["shut/data"]);
        }
        if let Some(said) = as_nobody(&place, &["search", "x", "--data", "in/closed/data"]) {
            said.must_fail(5, &["in/closed/data"]);
        }
        allow("in/closed", 0o755).unwrap();
    }
}
