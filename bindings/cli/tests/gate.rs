//! `rag gate`, `rag canary` and `rag tune`, also while another process serves.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Place, Said};
use serde_json::{Value as Json, json};

fn place() -> Place {
    let place = Place::with(&[
        ("bread.txt", b"Fresh bread is baked at six in the morning."),
        ("snow.txt", b"Snow lies on the road over the pass."),
        ("lamp.txt", b"The lamp of the lighthouse burns oil."),
    ]);
    place.index(0, &[]);
    place
}

/// What a command answers; `words` are split at white space, `reason=…` is one argument.
fn json_of(place: &Place, words: &str) -> Json {
    let said = rag(place, words);
    assert_eq!(said.code, Some(0), "{words}: {said:?}");
    serde_json::from_str(&said.out).unwrap()
}

fn rag(place: &Place, words: &str) -> Said {
    let mut line: Vec<&str> = words.split_whitespace().collect();
    line.push("--json");
    let mut command = place.command(&line);
    command.env("USER", "ann");
    Said::of(command)
}

const WHY: &str = "--data data --reason because";

#[test]
fn the_weight_is_changed_shown_killed_and_told_in_answers() {
    let place = place();
    let set = json_of(&place, &format!("gate set 0.4 {WHY} --issue RANK-1"));
    assert_eq!((&set["epoch"], &set["weight"], &set["changed"]["author"]), (&json!(1), &json!(0.4), &json!("ann")));
    let refused = rag(&place, &format!("gate kill {WHY} --expect 0"));
    assert!(refused.code == Some(8) && refused.err.contains("the gate is at epoch 1, not 0"), "{refused:?}");
    json_of(&place, &format!("gate kill {WHY} --author ben"));
    assert_eq!(json_of(&place, "search bread --data data")["gate"]["reason"], "killed");
    json_of(&place, &format!("gate revive {WHY}"));
    let history = json_of(&place, "gate show --history --data data");
    let authors: Vec<&str> =
        history.as_array().unwrap().iter().map(|record| record["changed"]["author"].as_str().unwrap()).collect();
    assert_eq!(authors, ["ann", "ben", "ann"]);
    let shown = place.rag(&["gate", "show", "--data", "data"]);
    assert!(shown.out.starts_with("epoch 3: weight 0.4\n") && shown.out.contains(" by ann: because\n"), "{shown:?}");
    for (words, code, message) in [
        (format!("gate set 1.5 {WHY}"), 3, "`weight` is 1.5"),
        ("gate set 0.5 --data nowhere --reason because".to_owned(), 4, "nowhere is no data folder"),
        ("gate set 0.5 --data data".to_owned(), 2, "--reason"),
    ] {
        let said = rag(&place, &words);
        assert!(said.code == Some(code) && said.err.contains(message), "{words}: {said:?}");
    }
}

#[test]
fn experiments_come_from_a_file_and_end_by_name() {
    let place = place();
    place.write("more.json", br#"{"name": "more", "share": 0.5, "variants": [{"name": "a", "weight": 0.3}]}"#);
    place.write("wrong.json", br#"{"name": "more", "variant": []}"#);
    let started = json_of(&place, &format!("gate experiment start in/more.json {WHY}"));
    assert_eq!(started["experiments"][0]["variants"][0], json!({"name": "a", "part": 1, "weight": 0.3}));
    let wrong = rag(&place, &format!("gate experiment start in/wrong.json {WHY}"));
    assert!(wrong.code == Some(3) && wrong.err.contains("in/wrong.json: unknown field `variant`"), "{wrong:?}");
    let shown = place.rag(&["gate", "show", "--data", "data"]);
    assert!(shown.out.contains("experiment more: 50 % by user: a 0.3 ×1\n"), "{shown:?}");
    let ended = json_of(&place, &format!("gate experiment end more {WHY}"));
    assert_eq!(ended["experiments"], json!([]));
    let unknown = rag(&place, &format!("gate experiment end more {WHY}"));
    assert!(unknown.code == Some(4) && unknown.err.contains("there are none"), "{unknown:?}");
}

#[test]
fn a_canary_is_planned_started_seen_and_aborted() {
    let place = place();
    let plan = json_of(&place, "canary plan --weight 0.7");
    assert_eq!((&plan["weight"], &plan["steps"]), (&json!(0.7), &json!([0.1, 0.25, 0.5, 1.0])));
    place.write("plan.json", plan.to_string().as_bytes());
    let started = json_of(&place, &format!("canary start --plan in/plan.json {WHY}"));
    assert_eq!((&started["canary"]["status"], &started["canary"]["share"]), (&json!("running"), &json!(0.1)));
    let busy = rag(&place, &format!("gate set 0.5 {WHY}"));
    assert!(busy.code == Some(8) && busy.err.contains("end it before changing the weight"), "{busy:?}");
    let answer = json_of(&place, "search bread --data data");
    assert_eq!(answer["gate"]["experiment"], "canary");
    let status = place.rag(&["canary", "status", "--data", "data"]);
    assert!(status.out.starts_with("running: weight 0.7, 10 % of the traffic\n"), "{status:?}");
    let seen = json_of(&place, "canary status --data data")["guardrails"].clone();
    let error_rate = &seen.as_array().unwrap()[1];
    let requests = |arm: &str| error_rate[arm]["n"].as_u64().unwrap();
    assert_eq!(requests("control") + requests("candidate"), 1, "the search was observed: {seen}");
    json_of(&place, &format!("canary abort {WHY}"));
    let again = rag(&place, &format!("canary abort {WHY}"));
    assert!(again.code == Some(4) && again.err.contains("no canary is under way"), "{again:?}");
    let falls = rag(&place, "canary plan --weight 7");
    assert!(falls.code == Some(3) && falls.err.contains("`weight` of the ramp plan is 7"), "{falls:?}");
}

#[test]
fn tuning_writes_a_configuration_that_the_command_reads() {
    let place = place();
    place.write("q.jsonl", b"{\"_id\": \"1\", \"text\": \"bread\"}\n{\"_id\": \"2\", \"text\": \"snow road\"}\n");
    place.write("r.tsv", b"query-id\tcorpus-id\tscore\n1\tin/bread.txt\t1\n2\tin/snow.txt\t2\n2\tin/lamp.txt\t0\n");
    let words = "tune --data data --queries in/q.jsonl --qrels in/r.tsv --folds 2 --out in/tuned.toml";
    let report = json_of(&place, words);
    assert_eq!(
        (&report["queries"], &report["metric"], &report["few_queries"]),
        (&json!(2), &json!("ndcg@10"), &json!(true))
    );
    assert_eq!(report["held_out"]["mean"], 1.0);
    let written = std::fs::read_to_string(place.input().join("tuned.toml")).unwrap();
    assert!(written.contains("[engine.fusion]\n") && written.contains("in/r.tsv on data"), "{written}");
    json_of(&place, "search bread --data data --config in/tuned.toml");
    let again = rag(&place, words);
    assert!(again.code == Some(3) && again.err.contains("is there already"), "{again:?}");
    let shown =
        place.rag(&["tune", "--data", "data", "--queries", "in/q.jsonl", "--qrels", "in/r.tsv", "--folds", "2"]);
    assert!(
        shown.out.contains("tuned (held out)")
            && shown.out.contains("kept: convex(min_max) with a dense weight of 0.26, which is in use"),
        "{shown:?}"
    );
    place.write("other.tsv", b"query-id\tcorpus-id\tscore\n1\tbread.txt\t1\n2\tsnow.txt\t1\n");
    let other = rag(&place, "tune --data data --queries in/q.jsonl --qrels in/other.tsv --folds 2");
    assert!(other.code == Some(3) && other.err.contains("is in the folder, such as"), "{other:?}");
    place.write("none.tsv", b"query-id\tcorpus-id\tscore\n9\tbread.txt\t1\n");
    let none = rag(&place, "tune --data data --queries in/q.jsonl --qrels in/none.tsv");
    assert!(none.code == Some(3) && none.err.contains("no question of in/q.jsonl has a relevant document"), "{none:?}");
}
