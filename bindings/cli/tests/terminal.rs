//! What reaches the terminal: no escape sequence of a document, and no loss without a word.

#![allow(clippy::unwrap_used)]

mod common;

use common::Place;

/// Everything that a terminal would obey.
fn has_control(text: &str) -> bool {
    text.chars().any(|character| character.is_control() && character != '\n')
}

#[test]
fn escape_sequences_of_documents_are_not_passed_on() {
    let evil = r"\u001b]0;title\u0007\u001b[2Jbakery\u009b31m\r\u007f";
    let record =
        format!("{{\"id\":\"a\",\"title\":\"T{evil}\\nline\",\"text\":\"opens {evil}\",\"field\":\"{evil}\"}}\n");
    let place = Place::with(&[("a.jsonl", record.as_bytes())]);
    place.index(0, &[]);
    for arguments in [
        &["search", "bakery", "--data", "data"][..],
        &["search", "bakery", "--data", "data", "--explain"],
        &["explain", "a", "bakery", "--data", "data"],
    ] {
        let said = place.rag(arguments);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.out.contains('\u{fffd}') && said.out.contains("bakery"), "{said:?}");
        assert!(!has_control(&said.out), "{said:?}");
    }
    let said = place.rag(&["search", "bakery", "--data", "data", "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let title = answer["hits"][0]["title"].as_str().unwrap();
    assert_eq!(title, "T\u{1b}]0;title\u{7}\u{1b}[2Jbakery\u{9b}31m\r\u{7f}\nline", "programs get it as it is");
}

#[test]
fn escape_sequences_of_names_and_messages_are_not_passed_on() {
    let place = Place::with(&[
        ("b\u{1b}[2J\n.pdf", b"no pdf"),
        ("c.jsonl", b"{\"id\":\"a\",\"text\":\"x\",\"\\u001b[1m\":1}\n"),
    ]);
    let said = place.rag(&["index", "in", "--data", "data"]);
    said.must_fail(20, &["b\u{fffd}[2J\u{fffd}.pdf: malformed"]);
    assert!(!has_control(&said.err), "{said:?}");
    assert_eq!(said.err.lines().count(), 2, "one line each: {said:?}");
    for (arguments, told) in [
        (&["search", "x", "--data", "no\u{1b}[2Jwhere"][..], "no\u{fffd}[2Jwhere"),
        (&["explain", "b\u{1b}[2J", "x", "--data", "data"], "b\\u{1b}[2J"),
        (&["index", "no\u{9b}where"], "no\u{fffd}where"),
    ] {
        let said = place.rag(arguments);
        said.must_fail(4, &[told]);
        assert!(!has_control(&said.err), "{said:?}");
    }
}

#[test]
fn runs_are_named_without_their_escape_sequences() {
    let place = Place::with(&[("r\u{1b}[2J", b"q1 Q0 d1 1 2.5 hand\n"), ("qrels", b"q1 0 d1 1\nq2 0 d1 1\n")]);
    let run = "in/r\u{1b}[2J";
    let said = place.rag(&["eval", "--run", run, "--baseline", run, "--qrels", "in/qrels"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.matches("in/r\u{fffd}[2J").count() >= 4 && !has_control(&said.out), "{said:?}");
}

#[test]
fn a_mistake_in_the_environment_is_told_once() {
    let place = Place::with(&[]);
    let mut command = place.command(&["models"]);
    command.env("RAG__ENGINE__FUSION__DEEP", "3");
    let said = common::Said::of(command);
    said.must_fail(3, &["environment", "deep"]);
    assert_eq!(said.err.matches("unknown field").count(), 1, "{said:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_below_stdout_or_the_temporary_folder_is_named() {
    let place = Place::with(&[("a.txt", b"bakery")]);
    place.index(0, &[]);
    for options in [&[][..], &["--json"]] {
        let mut command = place.command(&[&["search", "bakery", "--data", "data"], options].concat());
        command.stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
        let output = command.stderr(std::process::Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(13), "{err}");
        assert!(err.contains("stdout") && err.contains("No space left"), "{err}");
    }
    let mut command = place.command(&["demo", "in"]);
    command.env("TMPDIR", place.path().join("gone"));
    common::Said::of(command).must_fail(4, &["gone"]);
}
