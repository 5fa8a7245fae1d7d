//! Learning to rank from outside: features, training, searching with a ranker, and the evaluation of all that.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::fmt::Write as _;

use common::{Place, Said};
use serde_json::{Value as Json, json};

const WORDS: [&str; 20] = [
    "alder", "birch", "cedar", "dogwood", "elm", "fir", "ginkgo", "hazel", "ironwood", "juniper", "katsura", "larch",
    "maple", "oak", "pine", "quince", "rowan", "spruce", "tupelo", "willow",
];

/// Parameters that let trees grow on a few hundred rows.
const SMALL: [&str; 4] = ["num_trees=20", "num_leaves=4", "min_data_in_leaf=3", "num_threads=1"];

/// A collection in which the documents with the word of the question in their title are the relevant ones, and those that
/// repeat it in their text are not, although BM25 prefers them.
fn place() -> Place {
    let place = Place::with(&[]);
    let (mut corpus, mut queries, mut qrels) =
        (String::new(), String::new(), "query-id\tcorpus-id\tscore\n".to_owned());
    for (at, word) in WORDS.iter().enumerate() {
        for number in 0..9 {
            let id = format!("{word}-{number}");
            let other = WORDS[(at + number + 1) % WORDS.len()];
            let (title, text) = if number < 3 {
                (
                    format!("On the {word}"),
                    format!(
                        "A long report about trees of the north, number {number}, with {other} beside it and much more to say."
                    ),
                )
            } else {
                (format!("Report {number}"), format!("{word} {word} {word}. Number {number}."))
            };
            writeln!(corpus, "{}", json!({"_id": id, "title": title, "text": text})).unwrap();
            if number < 3 {
                writeln!(qrels, "q{at}\t{id}\t1").unwrap();
            }
        }
        writeln!(queries, "{}", json!({"_id": format!("q{at}"), "text": word})).unwrap();
    }
    place.write("corpus.jsonl", corpus.as_bytes());
    place.write("queries.jsonl", queries.as_bytes());
    place.write("qrels/test.tsv", qrels.as_bytes());
    place
}

fn indexed() -> Place {
    let place = place();
    answer(&place.rag(&["index", "in/corpus.jsonl", "--data", "data", "--json"]));
    place
}

fn answer(said: &Said) -> Json {
    assert_eq!(said.code, Some(0), "{said:?}");
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

fn features(place: &Place, file: &str) -> Json {
    let sources = ["--queries", "in/queries.jsonl", "--qrels", "in/qrels/test.tsv"];
    answer(&place.rag(&[&["features", "--data", "data", "--out", file, "--json"][..], &sources].concat()))
}

fn train(place: &Place, arguments: &[&str]) -> Json {
    answer(&place.rag(&[&["train", "--json"], arguments, &SMALL].concat()))
}

fn text(place: &Place, file: &str) -> String {
    std::fs::read_to_string(place.path().join(file)).unwrap()
}

#[test]
fn features_are_written_in_both_forms_and_the_schema_is_shown() {
    let place = indexed();
    let schema = answer(&place.rag(&["features", "--data", "data", "--json"]));
    let names: Vec<&str> =
        schema["features"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"title.bm25") && names.contains(&"vector.best"), "{names:?}");
    let shown = place.rag(&["features", "--data", "data"]);
    assert!(shown.out.starts_with("schema v1:") && shown.out.contains("title.bm25"), "{shown:?}");

    let told = features(&place, "rows.txt");
    assert_eq!((&told["queries"], &told["columns"]), (&20.into(), &names.len().into()));
    features(&place, "rows.jsonl");
    let (rows, objects) = (text(&place, "rows.txt"), text(&place, "rows.jsonl"));
    let rows: Vec<&str> = rows.lines().filter(|line| !line.starts_with('#')).collect();
    let objects: Vec<Json> = objects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((rows.len() as u64, rows.len()), (told["rows"].as_u64().unwrap(), objects.len()));
    let column = names.iter().position(|name| *name == "fused.score").unwrap() + 1;
    for (row, object) in rows.iter().zip(&objects) {
        let mut fields = row.split(' ');
        let label: f64 = fields.next().unwrap().parse().unwrap();
        assert_eq!(object["label"].as_f64(), Some(label));
        let value =
            fields.find_map(|field| field.strip_prefix(&format!("{column}:"))).map_or(0.0, |it| it.parse().unwrap());
        assert_eq!(object["features"]["fused.score"].as_f64().unwrap() as f32, value);
    }
    assert_eq!(objects.iter().filter(|object| object["label"] == 1.0).count(), 60);
}

#[test]
fn a_ranker_is_trained_searched_with_and_explained() {
    let place = indexed();
    features(&place, "rows.txt");
    let trained =
        train(&place, &["--features", "rows.txt", "--out", "ranker.json", "--folds", "4", "--valid", "rows.txt"]);
    assert_eq!((&trained["trees"], &trained["queries"]), (&20.into(), &20.into()));
    assert!(trained["cross_validation"]["mean"].as_f64().unwrap() > 0.95, "{trained}");
    assert_eq!(trained["cross_validation"]["folds"].as_array().unwrap().len(), 4);
    assert_eq!(trained["curves"]["valid ndcg@10"].as_array().unwrap().len(), 20);
    assert!(trained["schema"].as_str().unwrap().starts_with("v1:"), "{trained}");
    let best = trained["features"][0]["name"].as_str().unwrap();
    assert!(best.starts_with("title.") || best.starts_with("length."), "{trained}");

    // The same rows from the data folder itself give the same file.
    train(
        &place,
        &["--data", "data", "--queries", "in/queries.jsonl", "--qrels", "in/qrels/test.tsv", "--out", "again.json"],
    );
    let (one, other) = (text(&place, "ranker.json"), text(&place, "again.json"));
    let model = |text: &str| serde_json::from_str::<Json>(text).unwrap()["model"].clone();
    assert_eq!(model(&one), model(&other));

    let fused = place.search("larch", &[]);
    assert!(fused[0].starts_with("larch-") && !["larch-0", "larch-1", "larch-2"].contains(&&*fused[0]), "{fused:?}");
    let mut ranked = place.search("larch", &["--ranker", "ranker.json"]);
    ranked.truncate(3);
    ranked.sort();
    assert_eq!(ranked, ["larch-0", "larch-1", "larch-2"]);
    assert_eq!(place.search("larch", &["--ranker", "ranker.json", "--ltr-weight", "0"]), fused);

    let said = place.rag(&["search", "larch", "--data", "data", "--ranker", "ranker.json", "--explain", "--json"]);
    let ltr = &answer(&said)["hits"][0]["explanation"]["ltr"];
    let parts = ltr["features"].as_array().unwrap().iter().map(|feature| feature["contribution"].as_f64().unwrap());
    let sum = parts.sum::<f64>() + ltr["expected"].as_f64().unwrap();
    assert!((sum - ltr["score"].as_f64().unwrap()).abs() < 1e-9, "{ltr}");
    let shown = place.rag(&["explain", "larch-1", "larch", "--data", "data", "--ranker", "ranker.json"]);
    assert!(shown.out.contains("ltr: fused") && shown.out.contains("title."), "{shown:?}");
}

#[test]
fn a_configuration_names_the_ranker() {
    let place = indexed();
    features(&place, "in/rows.txt");
    train(&place, &["--features", "in/rows.txt", "--out", "in/ranker.json"]);
    place.write("rag.toml", b"[engine.ltr]\nmodel = \"ranker.json\"\n");
    let (plain, named) = (place.search("larch", &[]), place.search("larch", &["--config", "in/rag.toml"]));
    assert_ne!(plain, named, "the path starts at the folder of the file");
    assert_eq!(place.search("larch", &["--config", "in/rag.toml", "--ltr-weight", "0"]), plain);
    let mut command = place.command(&["search", "larch", "--data", "data", "--json", "--config", "in/rag.toml"]);
    command.env("RAG__ENGINE__LTR__WEIGHT", "0");
    let hits = answer(&Said::of(command))["hits"].clone();
    assert_eq!(hits.as_array().unwrap().iter().map(|hit| hit["id"].as_str().unwrap()).collect::<Vec<_>>(), plain);
}

#[test]
fn models_for_lightgbm_and_weighted_sums() {
    let place = indexed();
    features(&place, "rows.txt");
    train(&place, &["--features", "rows.txt", "--out", "ranker.json"]);
    train(&place, &["--features", "rows.txt", "--out", "ranker.txt", "--format", "lightgbm"]);
    assert!(text(&place, "ranker.txt").starts_with("tree\n"), "LightGBM's text");
    let search = |file| place.search("rowan", &["--ranker", file]);
    assert_eq!(search("ranker.json"), search("ranker.txt"));

    for objective in ["ridge", "logistic", "pairwise", "coordinate"] {
        let arguments = ["train", "--features", "rows.txt", "--out", "sum.json", "--objective", objective, "--json"];
        let trained = answer(&place.rag(&arguments));
        assert_eq!((&trained["trees"], &trained["features"][0]["gain"]), (&0.into(), &Json::Null));
        let ranked = search("sum.json");
        assert!(
            ranked[..3].iter().all(|id| ["rowan-0", "rowan-1", "rowan-2"].contains(&&**id)),
            "{objective}: {ranked:?}"
        );
    }
    let refused =
        ["train", "--features", "rows.txt", "--out", "sum.txt", "--objective", "ridge", "--format", "lightgbm"];
    place.rag(&refused).must_fail(3, &["--format lightgbm", "ridge"]);
}

/// Each document was shown at each rank; users look at rank `r` with the chance `1 / r`.
#[test]
fn clicks_make_a_ranker() {
    let place = indexed();
    let mut log = String::new();
    let mut state = 1u64;
    for word in WORDS {
        for visit in 0..60 {
            let mut order: Vec<usize> = (0..9).collect();
            order.rotate_left(visit % 9);
            let shown: Vec<Json> = order
                .iter()
                .enumerate()
                .map(|(place, number)| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let looked = (state >> 33).is_multiple_of(place as u64 + 1);
                    json!({"doc": format!("{word}-{number}"), "rank": place + 1, "clicked": looked && *number < 3})
                })
                .collect();
            writeln!(log, "{}", json!({"query": word, "shown": shown})).unwrap();
        }
    }
    place.write("clicks.jsonl", log.as_bytes());
    let trained = train(&place, &["--data", "data", "--clicks", "in/clicks.jsonl", "--out", "ranker.json"]);
    assert_eq!((&trained["queries"], &trained["rows"]), (&20.into(), &180.into()), "{trained}");
    assert_eq!(trained["parameters"]["label_gain"].as_array().unwrap().len(), 11);
    // Documents that nobody was shown have no labels; among those that were, the clicked ones come first.
    let mut ranked = place.search("larch", &["--ranker", "ranker.json", "-k", "180"]);
    ranked.retain(|id| id.starts_with("larch-"));
    ranked.truncate(3);
    ranked.sort();
    assert_eq!(ranked, ["larch-0", "larch-1", "larch-2"]);
}

#[test]
fn an_evaluation_trains_on_some_queries_and_judges_on_others() {
    let place = place();
    let arguments = ["eval", "--beir", "in", "--data", "data", "--json", "--metrics", "ndcg@10,mrr@10"];
    let plain = answer(&place.rag(&arguments));
    let ltr = answer(&place.rag(&[&arguments[..], &["--ltr", "--folds", "4", "--ablate"], &SMALL].concat()));
    assert_eq!(ltr["runs"][0]["metrics"], plain["runs"][2]["metrics"], "the fused ranking of the same engine");
    assert_eq!((&ltr["queries"], ltr["folds"].as_array().unwrap().len()), (&20.into(), 4));
    assert!(ltr["relative_gain"].as_f64().unwrap() > 0.1, "{}", ltr["relative_gain"]);
    assert!(ltr["p_randomization"].as_f64().unwrap() < 0.01 && ltr["difference"]["low"].as_f64().unwrap() > 0.0);
    for fold in ltr["folds"].as_array().unwrap() {
        assert!(fold["weight"].as_f64().unwrap() > 0.0 && fold["queries"] == 5, "{fold}");
    }
    let per_query = ltr["per_query"].as_array().unwrap();
    let mean: f64 = per_query.iter().map(|query| query["ltr"].as_f64().unwrap()).sum::<f64>() / 20.0;
    assert!((mean - ltr["runs"][1]["metrics"]["ndcg@10"].as_f64().unwrap()).abs() < 1e-12);
    assert!(ltr["ablation"].as_array().unwrap().iter().any(|group| group[0] == "title"), "{}", ltr["ablation"]);

    let shown = place.rag(&[&arguments[..5], &["--ltr", "--folds", "4"], &SMALL].concat());
    assert!(shown.out.contains("randomisation test") && shown.out.contains("loss when shuffled"), "{shown:?}");

    let none = answer(&place.rag(&[&arguments[..], &["--ltr", "--folds", "4", "--ltr-weight", "0"], &SMALL].concat()));
    assert_eq!((none["relative_gain"].as_f64(), &none["better"]), (Some(0.0), &0.into()));
    assert_eq!(none["runs"][0]["metrics"], none["runs"][1]["metrics"]);
    let two = ["--ltr", "--folds", "4", "--objective", "ridge,coordinate"];
    let two = answer(&place.rag(&[&arguments[..], &two].concat()));
    assert!(two["folds"].as_array().unwrap().iter().all(|fold| fold["objective"] != "lambdarank"), "{}", two["folds"]);
}

#[test]
fn what_is_wrong_is_told() {
    let place = indexed();
    features(&place, "rows.txt");
    let rag = |arguments: &[&str]| place.rag(arguments);
    rag(&["train", "--out", "ranker.json"]).must_fail(3, &["--features", "--clicks"]);
    let from = ["train", "--features", "rows.txt", "--out", "ranker.json"];
    rag(&[&from[..], &["leaves=3"]].concat()).must_fail(3, &["`leaves`", "num_leaves"]);
    rag(&[&from[..], &["num_leaves=1"]].concat()).must_fail(3, &["num_leaves", "2 to"]);
    rag(&[&from[..], &["--objective", "lambda"]].concat()).must_fail(3, &["`lambda`", "lambdarank"]);
    rag(&[&from[..], &["--folds", "21"]].concat()).must_fail(3, &["`k` is 21"]);
    rag(&["train", "--features", "missing.txt", "--out", "ranker.json"]).must_fail(4, &["missing.txt"]);
    place.write("bad.txt", b"1 qid:1 1:0.5\n0 qid:1 1:x\n");
    rag(&["train", "--features", "in/bad.txt", "--out", "ranker.json"]).must_fail(3, &["in/bad.txt:2", "`x`"]);
    rag(&["features", "--data", "data", "--queries", "in/queries.jsonl", "--out", "missing/rows.txt"])
        .must_fail(4, &["--out"]);

    let search = |arguments: &[&str]| place.rag(&[&["search", "oak", "--data", "data"], arguments].concat());
    search(&["--ltr-weight", "0.5"]).must_fail(3, &["--ltr-weight", "--ranker"]);
    search(&["--ranker", "missing.json"]).must_fail(4, &["missing.json"]);
    search(&["--ranker", "rows.txt"]).must_fail(3, &["rows.txt"]);
    place.write("few.txt", b"1 qid:1 1:0.5 2:1\n0 qid:1 1:0.1\n");
    answer(&rag(&["train", "--features", "in/few.txt", "--out", "few.json", "--json"]));
    search(&["--ranker", "few.json"]).must_fail(9, &["few.json", "2 columns"]);
    answer(&rag(&[&from[..], &SMALL, &["--json"]].concat()));
    search(&["--ranker", "ranker.json", "--ltr-weight", "2"]).must_fail(3, &["weight"]);

    let eval = |arguments: &[&str]| place.rag(&[&["eval", "--beir", "in", "--ltr"], arguments].concat());
    eval(&["--ltr-weight", "much"]).must_fail(3, &["--ltr-weight", "tuned"]);
    eval(&["--without", ""]).must_fail(3, &["columns"]);
}
