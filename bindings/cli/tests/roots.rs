//! What `rag index` is pointed at: folders that hold the data folder, and things that are no documents.

#![allow(clippy::unwrap_used)]

mod common;

use common::Place;
use serde_json::json;

#[test]
fn the_data_folder_below_the_root_is_no_document() {
    let place =
        Place::with(&[("a.txt", b"the bakery opens at six"), ("sub/b.txt", b"alpine passes"), (".git/c", b"x")]);
    for data in ["in/rag-data", "in/sub/deep/data", "./in/../in/sub/other"] {
        for again in [false, true] {
            let said = place.rag(&["index", "in", "--data", data, "--json"]);
            assert_eq!(said.code, Some(0), "{data}: {said:?}");
            let report: serde_json::Value = serde_json::from_str(&said.out).unwrap();
            assert_eq!(report["read"], json!(2), "{data}: {said:?}");
            assert_eq!(report[if again { "unchanged" } else { "added" }], json!(2), "{data}: {said:?}");
        }
        std::fs::remove_dir_all(place.path().join(data)).unwrap();
    }
    // The default, from within the folder.
    for _ in 0..2 {
        let mut command = place.command(&["index", "."]);
        command.current_dir(place.input());
        let said = common::Said::of(command);
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    place.rag(&["index", "in", "--data", "in"]).must_fail(3, &["`--data`"]);
    assert!(!place.input().join("store.redb").exists());
}

#[test]
fn titles_found_by_a_reader_are_short_and_given_ones_are_kept() {
    let heading = format!("# {}\n\ntext\n", "word ".repeat(2000));
    let page = format!("<title>{}</title><p>text</p>", "word ".repeat(2000));
    let given = "title ".repeat(500);
    let record = format!("{{\"id\":\"given\",\"title\":\"{given}\",\"text\":\"text\"}}\n");
    let place = Place::with(&[
        ("a.md", heading.as_bytes()),
        ("b.html", page.as_bytes()),
        ("c.md", heading.replace("# ", "").replace("\n\n", "\n===\n\n").as_bytes()),
        ("d.jsonl", record.as_bytes()),
    ]);
    place.index(0, &[]);
    let said = place.rag(&["search", "text", "--data", "data", "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let hits = answer["hits"].as_array().unwrap();
    assert_eq!(hits.len(), 4, "{said:?}");
    for hit in hits {
        let title = hit["title"].as_str().unwrap();
        if hit["id"] == "given" {
            assert_eq!(title, given);
        } else {
            assert!(title.len() == 1024 && title.ends_with("word"), "{}: {}", hit["id"], title.len());
        }
    }
}

#[test]
fn one_refused_record_is_told_and_its_neighbours_are_kept() {
    let lines: String = (0..40)
        .map(|i| match i {
            7 => "{\"id\":\"7\",\"text\":\"word\",\"fi\\neld\":1}\n".to_owned(),
            _ => format!("{{\"id\":\"{i}\",\"text\":\"word\"}}\n"),
        })
        .collect::<Vec<_>>()
        .concat();
    let place = Place::with(&[("a.jsonl", lines.as_bytes())]);
    let (report, said) = place.index(20, &[]);
    said.must_fail(20, &["skipped ", "metadata field", "\"7\""]);
    assert_eq!((&report["added"], &report["failed"]), (&json!(39), &json!(1)));
}

#[cfg(unix)]
#[test]
fn what_is_passed_over_below_a_folder_is_an_error_by_its_own_name() {
    let place = Place::with(&[("a.txt", b"bakery")]);
    let fifo = std::process::Command::new("mkfifo").arg(place.input().join("pipe.txt")).status().unwrap();
    assert!(fifo.success());
    let _socket = std::os::unix::net::UnixListener::bind(place.input().join("socket.txt")).unwrap();
    for name in ["in/pipe.txt", "in/socket.txt", "/dev/null"] {
        place.rag(&["index", name, "--data", "data"]).must_fail(3, &[name, "neither a file nor a folder"]);
        assert!(!place.data().exists(), "{name}: a wrong root makes no data folder");
    }
    let (report, _) = place.index(0, &[]);
    assert_eq!((&report["added"], &report["ignored"]), (&json!(1), &json!(2)));
}
