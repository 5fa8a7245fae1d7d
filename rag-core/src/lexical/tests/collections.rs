//! nDCG@10 of plain words on the test collections, whole documents as one chunk:
//! `cargo test --release -p rag-core --lib lexical::tests::collections -- --ignored --nocapture`

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::empty;
use crate::types::{Cancel, Metadata};

/// Collection, and the better figure of bm25s 0.3.16 (Lucene's form; k1 = 0.9, b = 0.4 or k1 = 1.2, b = 0.75).
const FIGURES: [(&str, f64); 6] = [
    ("scifact", 0.6791),
    ("npl", 0.4449),
    ("cacm", 0.4991),
    ("cisi", 0.3957),
    ("cranfield", 0.3597),
    ("medline", 0.6986),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/ir")
}

fn lines(path: &Path) -> impl Iterator<Item = Json> {
    let file = std::fs::File::open(path).unwrap();
    BufReader::new(flate2::read::GzDecoder::new(file)).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

type Judgements = HashMap<String, HashMap<String, f64>>;

fn judgements(folder: &Path) -> Judgements {
    let text = std::fs::read_to_string(folder.join("qrels/test.tsv")).unwrap();
    let mut all = Judgements::new();
    for line in text.lines().skip(1) {
        let mut cells = line.split('\t');
        let (query, doc, grade) = (cells.next().unwrap(), cells.next().unwrap(), cells.next().unwrap());
        all.entry(query.to_owned()).or_default().insert(doc.to_owned(), grade.parse().unwrap());
    }
    all
}

/// Linear gain, over the queries with a relevant document.
fn ndcg(ranking: &[&str], grades: &HashMap<String, f64>) -> Option<f64> {
    let gain = |grades: &mut dyn Iterator<Item = f64>| -> f64 {
        grades.take(10).enumerate().map(|(rank, grade)| grade / (rank as f64 + 2.0).log2()).sum()
    };
    let mut ideal: Vec<f64> = grades.values().copied().collect();
    ideal.sort_by(|a, b| b.total_cmp(a));
    let ideal = gain(&mut ideal.into_iter());
    (ideal > 0.0).then(|| gain(&mut ranking.iter().map(|doc| grades.get(*doc).copied().unwrap_or(0.0))) / ideal)
}

pub(super) fn figure(folder: &Path, language: &str) -> (f64, usize) {
    let mut index = empty(language);
    let mut ids = Vec::new();
    for document in lines(&folder.join("corpus.jsonl.gz")) {
        let part = |name: &str| document[name].as_str().unwrap_or("").to_owned();
        let (title, text) = (part("title"), part("text"));
        index.add(ids.len() as u64, "default", &title, &[(0, &text)], &Metadata::new()).unwrap();
        ids.push(part("_id"));
    }
    index.commit(1).unwrap();
    let view = index.view();
    let judgements = judgements(folder);
    let mut figures = Vec::new();
    for query in lines(&folder.join("queries.jsonl.gz")) {
        let Some(grades) = judgements.get(query["_id"].as_str().unwrap()) else { continue };
        let hits = view.search(&query["text"].as_str().unwrap().into(), 10, None, &Cancel::never()).unwrap();
        let ranking: Vec<&str> = hits.iter().map(|(chunk, _)| ids[chunk.doc() as usize].as_str()).collect();
        figures.extend(ndcg(&ranking, grades));
    }
    (figures.iter().sum::<f64>() / figures.len() as f64, figures.len())
}

#[test]
#[ignore = "reads the test collections, some 20 000 documents"]
fn plain_words_rank_as_well_as_the_reference() {
    for (name, reference) in FIGURES {
        let folder = folder().join(name);
        if !folder.join("corpus.jsonl.gz").exists() {
            eprintln!("skipped: no collection {name} in {}", folder.display());
            continue;
        }
        let (figure, queries) = figure(&folder, "english");
        eprintln!("{name}: nDCG@10 {figure:.4}, reference {reference:.4}, {queries} queries");
        assert!(figure > reference - 0.01, "{name}: {figure:.4} is below {reference:.4}");
        assert!(name != "scifact" || figure >= 0.67, "{name}: {figure:.4}");
    }
}

#[test]
#[ignore = "reads the test collections"]
fn every_language_finds_the_paragraph_of_a_question() {
    for (code, language) in [
        ("en", "english"),
        ("de", "german"),
        ("es", "spanish"),
        ("ro", "romanian"),
        ("ru", "russian"),
        ("tr", "turkish"),
        ("el", "greek"),
        ("ar", "arabic"),
        ("hi", "none"),
        ("vi", "none"),
        ("th", "none"),
        ("zh", "none"),
    ] {
        let folder = folder().join("xquad").join(code);
        if !folder.join("corpus.jsonl.gz").exists() {
            eprintln!("skipped: no collection xquad/{code}");
            continue;
        }
        if !folder.join("qrels/test.tsv").exists() {
            eprintln!("skipped: no judgements of xquad/{code}");
            continue;
        }
        let (with, queries) = figure(&folder, language);
        assert!(with >= 0.93, "xquad/{code}: {with:.4} ({language})");
        if language == "none" {
            eprintln!("xquad/{code}: nDCG@10 {with:.4} (none), {queries} queries");
            continue;
        }
        let (without, _) = figure(&folder, "none");
        eprintln!("xquad/{code}: nDCG@10 {with:.4} ({language}), {without:.4} (none), {queries} queries");
        assert!(with > without, "xquad/{code}: the analyser of {language} does harm, {with:.4} after {without:.4}");
    }
}
