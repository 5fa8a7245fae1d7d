//! `rag eval` from outside: the tables, the object for programs, runs written and judged again, and exit codes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value as Json;

const NAMES: [&str; 3] = ["lexical", "dense", "fused"];

fn beir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/beir")
}

fn rag(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rag")).arg("eval").args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn json(arguments: &[&str]) -> Json {
    serde_json::from_str(&stdout(&rag(&[arguments, &["--json"]].concat()))).unwrap()
}

fn value(answer: &Json, run: usize, metric: &str) -> f64 {
    answer["runs"][run]["metrics"][metric].as_f64().unwrap_or_else(|| panic!("{answer}"))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_collection_gives_a_table() {
    let printed = stdout(&rag(&["--beir", text(&beir()), "--metrics", "ndcg@10,map"]));
    assert!(
        printed.starts_with("beir (test): 12 documents, 4 queries with a relevant document (1 without one left out)")
    );
    let lines: Vec<Vec<&str>> = printed.lines().map(|line| line.split_whitespace().collect()).collect();
    let header = lines.iter().position(|line| line[..] == ["retriever", "ndcg@10", "map", "p"]).expect(&printed);
    for (name, line) in NAMES.iter().zip(&lines[header + 2..]) {
        assert_eq!((line[0], line.len()), (*name, 4), "{printed}");
        let ndcg: f64 = line[1].parse().unwrap();
        assert!((0.5..=1.0).contains(&ndcg), "{printed}");
    }
    assert!(printed.contains("p: paired t-test of ndcg@10 against lexical"), "{printed}");
    assert!(!printed.contains('\u{1b}'), "no colour but on a terminal: {printed}");
}

#[test]
fn programs_get_one_object() {
    let answer = json(&["--beir", text(&beir())]);
    assert_eq!(answer["collection"], "beir");
    assert_eq!(
        (&answer["documents"], &answer["queries"], &answer["queries_left_out"]),
        (&12.into(), &4.into(), &1.into())
    );
    assert_eq!((&answer["k"], &answer["whole_documents"]), (&100.into(), &true.into()));
    assert_eq!((&answer["indexed"]["added"], &answer["indexed"]["embedded"]), (&12.into(), &12.into()));
    assert_eq!(answer["significance"]["against"], "lexical");
    for (at, name) in NAMES.iter().enumerate() {
        assert_eq!(answer["runs"][at]["run"], *name);
        for metric in ["ndcg@10", "map", "mrr@10", "recall@100"] {
            assert!((0.0..=1.0).contains(&value(&answer, at, metric)), "{answer}");
        }
    }
    // Twelve documents: the dense run has all of them, whatever it thinks of them.
    assert_eq!(value(&answer, 1, "recall@100"), 1.0);
    assert!(answer["runs"][0]["p"].is_null() && answer["runs"][2]["p"].is_f64(), "{answer}");
}

#[test]
fn a_kept_folder_embeds_nothing_again() {
    let folder = tempfile::tempdir().unwrap();
    let beir = beir();
    let arguments = ["--beir", text(&beir), "--data", text(folder.path())];
    let first = json(&arguments);
    let second = json(&arguments);
    assert_eq!((&first["indexed"]["embedded"], &second["indexed"]["embedded"]), (&12.into(), &0.into()));
    assert_eq!((&second["indexed"]["unchanged"], &first["runs"]), (&12.into(), &second["runs"]));

    let other = tempfile::tempdir().unwrap();
    copy_collection(other.path(), |file, content| {
        if file == "corpus.jsonl" { content.split_inclusive('\n').take(11).collect() } else { content }
    });
    let refused = rag(&["--beir", text(other.path()), "--data", text(folder.path())]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("`--data` holds documents that the corpus lacks"));
}

#[test]
fn written_runs_are_judged_the_same_again() {
    let folder = tempfile::tempdir().unwrap();
    let qrels = beir().join("qrels/test.tsv");
    let runs = folder.path().join("runs");
    let metrics = "ndcg@10,ndcg_exp,map,mrr,p@5,recall@2,success@1,judged@10";
    let direct = json(&["--beir", text(&beir()), "--metrics", metrics, "--run-out", text(&runs)]);
    let [lexical, dense, fused] = NAMES.map(|name| runs.join(format!("{name}.trec")));
    let arguments = ["--qrels", text(&qrels), "--metrics", metrics, "--baseline", text(&lexical)];
    let again = json(&[&arguments[..], &["--run", text(&dense), "--run", text(&fused)]].concat());
    assert_eq!((&again["queries"], &again["queries_left_out"]), (&4.into(), &1.into()));
    for at in 0..NAMES.len() {
        for key in ["metrics", "p", "unanswered"] {
            assert_eq!(again["runs"][at][key], direct["runs"][at][key], "{key} of {}", NAMES[at]);
        }
    }

    let alone = stdout(&rag(&["--run", text(&fused), "--qrels", text(&qrels)]));
    let header = alone.lines().find(|line| line.trim_start().starts_with("run ")).expect(&alone);
    assert!(header.ends_with("recall@100"), "nothing to compare with: {alone}");
}

#[test]
fn a_document_with_the_id_of_the_query_may_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::create_dir(root.join("qrels")).unwrap();
    let line = |id: &str, text: &str| format!("{{\"_id\":\"{id}\",\"text\":\"{text}\"}}\n");
    let (question, answer) = ("should bakeries open at six", "bakeries should open at six or later");
    let corpus = line("1", question) + &line("2", answer) + &line("3", "alpine passes close in winter");
    std::fs::write(root.join("corpus.jsonl"), corpus).unwrap();
    std::fs::write(root.join("queries.jsonl"), line("1", question)).unwrap();
    std::fs::write(root.join("qrels/test.tsv"), "1\t2\t1\n").unwrap();
    let arguments = ["--beir", text(root), "-k", "1", "--metrics", "mrr@1"];
    let plain = json(&arguments);
    assert_eq!((value(&plain, 0, "mrr@1"), &plain["ignore_identical_ids"]), (0.0, &false.into()));
    let runs = root.join("runs");
    let left_out = json(&[&arguments[..], &["--ignore-identical-ids", "--run-out", text(&runs)]].concat());
    assert_eq!(left_out["ignore_identical_ids"], true);
    for (at, name) in NAMES.iter().enumerate() {
        assert_eq!(value(&left_out, at, "mrr@1"), 1.0, "{name}");
        let written = std::fs::read_to_string(runs.join(format!("{name}.trec"))).unwrap();
        assert!(
            written.starts_with("1 Q0 2 1 ") && written.lines().count() == 1,
            "{name} is as long as asked: {written}"
        );
    }
    let refused = rag(&["--beir", text(root), "-k", "10000", "--ignore-identical-ids"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("give 1 to 9999"), "{refused:?}");
}

#[test]
fn ids_that_no_run_can_hold_are_told_before_anything_is_indexed() {
    for (file, id, told) in [("corpus.jsonl", "d07", "document `d 7`"), ("queries.jsonl", "q3", "query `d 7`")] {
        let folder = tempfile::tempdir().unwrap();
        let (data, runs) = (folder.path().join("data"), folder.path().join("runs"));
        let collection = folder.path().join("beir");
        copy_collection(&collection, |name, content| {
            if name == file || name.starts_with("qrels") { content.replace(id, "d 7") } else { content }
        });
        let arguments = ["--beir", text(&collection), "--data", text(&data)];
        let refused = rag(&[&arguments[..], &["--run-out", text(&runs)]].concat());
        let message = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(3), "{message}");
        assert!(message.contains("`--run-out`") && message.contains(told), "{message}");
        assert!(!data.exists() && !runs.exists());
        stdout(&rag(&arguments));
    }
}

#[test]
fn a_run_without_a_query_counts_zero_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let (run, qrels) = (folder.path().join("run.txt"), folder.path().join("qrels.txt"));
    std::fs::write(&run, "q1 Q0 d1 1 2.5 hand\nq1 Q0 d2 2 1.5 hand\nq9 Q0 d1 1 1 hand\n").unwrap();
    std::fs::write(&qrels, "q1 0 d2 1\nq2 0 d1 1\nq3 0 d1 0\n").unwrap();
    let answer = json(&["--run", text(&run), "--qrels", text(&qrels), "--metrics", "mrr"]);
    assert_eq!(value(&answer, 0, "mrr"), 0.25);
    assert_eq!((&answer["runs"][0]["unanswered"], &answer["queries_left_out"]), (&1.into(), &1.into()));
}

#[test]
fn what_is_wrong_has_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let bad_qrels = folder.path().join("bad.tsv");
    std::fs::write(&bad_qrels, "query-id\tcorpus-id\tscore\nq1\td1\tgood\n").unwrap();
    let missing = folder.path().join("missing");
    let (folder, missing, bad_qrels) = (text(folder.path()), text(&missing), text(&bad_qrels));
    let (beir, good_qrels) = (beir(), beir().join("qrels/test.tsv"));
    let (beir, good_qrels) = (text(&beir), text(&good_qrels));
    for (arguments, code, told) in [
        (&["--beir", folder][..], 4, "neither corpus.jsonl nor corpus.jsonl.gz"),
        (&["--beir", missing], 4, "neither corpus.jsonl"),
        (&["--beir", beir, "-k", "0"], 3, "`-k` is 0"),
        (&["--beir", beir, "-k", "5"], 3, "`ndcg@10` looks deeper than the 5 documents"),
        (&["--beir", beir, "--metrics", "ndgc@10"], 2, "`ndgc@10` is not known"),
        (&["--beir", beir, "--run", missing], 2, "cannot be used with"),
        (&[], 2, "required arguments"),
        (&["--run", missing, "--qrels", good_qrels], 4, "missing"),
        (&["--run", good_qrels, "--qrels", good_qrels], 3, "test.tsv:1: 3 columns instead of 6"),
        (&["--run", missing, "--qrels", bad_qrels], 3, "bad.tsv:2: grade `good`"),
    ] {
        let output = rag(arguments);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
        assert!(message.contains(told), "{arguments:?}: {message} should tell {told}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

/// The fixture in another folder, each file changed.
fn copy_collection(to: &Path, change: impl Fn(&str, String) -> String) {
    std::fs::create_dir_all(to.join("qrels")).unwrap();
    for file in ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"] {
        let content = std::fs::read_to_string(beir().join(file)).unwrap();
        std::fs::write(to.join(file), change(file, content)).unwrap();
    }
}
