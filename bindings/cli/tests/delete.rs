//! `rag delete`, and what else is said of single documents.

#![allow(clippy::unwrap_used)]

mod common;

use common::Place;
use serde_json::json;

#[test]
fn deleted_documents_are_gone_from_every_answer() {
    let records = b"{\"text\":\"bakery one\"}\n{\"id\":\"x\",\"text\":\"bakery two\"}\n{\"id\":\"y\",\"text\":\"bakery three\"}\n";
    let place = Place::with(&[("a.txt", b"bakery"), ("sub/b.jsonl", records)]);
    place.index(0, &[]);
    assert_eq!(place.search("bakery", &[]).len(), 4);
    let said = place.rag(&["delete", "in/a.txt", "in/sub/b.jsonl#1", "x", "x", "nobody", "--data", "data", "--json"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let answer: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(answer, json!({"deleted": 3, "missing": ["nobody"]}));
    assert_eq!(place.search("bakery", &[]), ["y"]);

    let said = place.rag(&["delete", "y", "--data", "data", "--tenant", "other"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "0 deleted\nnot there: y\n"), "{said:?}");
    assert_eq!(place.search("bakery", &[]), ["y"]);
    place.rag(&["delete", "y", "--data", "nowhere"]).must_fail(4, &["nowhere holds no data"]);
    place.rag(&["delete", "--data", "data"]).must_fail(2, &["ID"]);
}

#[test]
fn explain_tells_how_deep_was_looked() {
    let lines: String =
        (0..300).map(|i| format!("{{\"id\":\"{i}\",\"text\":\"bakery {i}\"}}\n")).collect::<Vec<_>>().concat();
    let place = Place::with(&[("a.jsonl", lines.as_bytes()), ("far.txt", b"alpine passes")]);
    place.index(0, &[]);
    let explain = |options: &[&str]| {
        place.rag(&[&["explain", "in/far.txt", "bakery", "--mode", "lexical", "--data", "data"], options].concat())
    };
    explain(&[]).must_fail(4, &["the first 100 candidates"]);
    explain(&["-k", "200"]).must_fail(4, &["the first 200 candidates"]);
}
