//! Against `tests/fixtures/tiny-bert`, whose answers a NumPy reference gave (`make_tiny_bert.py` beside it).
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::path::{Path, PathBuf};

use rag_governance::Prompts;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::*;

#[derive(Deserialize)]
struct Expected {
    text: String,
    ids: Vec<u32>,
    starts: Vec<u32>,
    truncated: bool,
    mean: Vec<f32>,
    cls: Vec<f32>,
    last_token: Vec<f32>,
    query: Vec<f32>,
    query_prompt_left_out: Vec<f32>,
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny-bert")
}

fn expected() -> Vec<Expected> {
    serde_json::from_str(&std::fs::read_to_string(fixture().join("expected.json")).unwrap()).unwrap()
}

/// A copy of the fixture that a test may damage.
fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("1_Pooling")).unwrap();
    for name in ["config.json", "modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"]
        .into_iter()
        .chain(["1_Pooling/config.json", "tokenizer.json", "model.safetensors"])
    {
        std::fs::copy(fixture().join(name), folder.path().join(name)).unwrap();
    }
    folder
}

fn load(folder: &Path) -> Result<TransformerModel> {
    TransformerModel::load(folder, &ModelOptions::new())
}

fn set(folder: &Path, file: &str, field: &str, value: Json) {
    let path = folder.join(file);
    let mut content: Json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    content[field] = value;
    std::fs::write(path, content.to_string()).unwrap();
}

#[track_caller]
fn assert_close(given: &[f32], wanted: &[f32], what: &str) {
    assert_eq!(given.len(), wanted.len());
    let worst = given.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
    assert!(worst < 2e-6, "{what}: {worst}");
}

#[test]
fn tokens_and_vectors_are_those_of_the_reference() {
    let model = load(&fixture()).unwrap();
    assert_eq!((model.dimension(), model.max_tokens()), (16, Some(10)));
    let expected = expected();
    let texts: Vec<&str> = expected.iter().map(|case| case.text.as_str()).collect();
    let embedded = model.embed(&texts, TextKind::Passage, &Cancel::never()).unwrap();
    let queries = model.embed(&texts, TextKind::Query, &Cancel::never()).unwrap();
    for (i, case) in expected.iter().enumerate() {
        assert_eq!(model.tokenize(&case.text).unwrap().ids, case.ids);
        assert_eq!(model.token_starts(&case.text).unwrap(), case.starts);
        assert_eq!(embedded.truncated[i], case.truncated, "{}", case.text);
        assert_close(embedded.get(i).unwrap(), &case.mean, &case.text);
        assert_close(queries.get(i).unwrap(), &case.query, &case.text);
        let alone = model.embed(&[&case.text], TextKind::Passage, &Cancel::never()).unwrap();
        assert_close(alone.get(0).unwrap(), embedded.get(i).unwrap(), "alone as in a batch");
    }
    assert!(model.embed(&[], TextKind::Query, &Cancel::never()).unwrap().is_empty());
}

#[test]
fn pooling_and_prompts_are_as_the_folder_says() {
    let folder = copy();
    let embed = |kind| {
        let model = load(folder.path()).unwrap();
        let texts: Vec<String> = expected().into_iter().map(|case| case.text).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        (model.embed(&texts, kind, &Cancel::never()).unwrap(), model.identity.clone())
    };
    let pooling = "1_Pooling/config.json";
    let (_, mean) = embed(TextKind::Passage);
    set(folder.path(), pooling, "include_prompt", json!(false));
    let (left_out, _) = embed(TextKind::Query);
    set(folder.path(), pooling, "pooling_mode_mean_tokens", json!(false));
    set(folder.path(), pooling, "pooling_mode_cls_token", json!(true));
    let (cls, identity) = embed(TextKind::Passage);
    assert_eq!(mean.differences(&identity).len(), 2, "the pooling, and what the hash covers of the prompt");
    set(folder.path(), pooling, "pooling_mode_cls_token", json!(false));
    set(folder.path(), pooling, "pooling_mode_lasttoken", json!(true));
    let (last, _) = embed(TextKind::Passage);
    for (i, case) in expected().iter().enumerate() {
        assert_close(left_out.get(i).unwrap(), &case.query_prompt_left_out, &case.text);
        assert_close(cls.get(i).unwrap(), &case.cls, &case.text);
        assert_close(last.get(i).unwrap(), &case.last_token, &case.text);
    }
    std::fs::remove_file(folder.path().join("modules.json")).unwrap();
    let (bare, _) = embed(TextKind::Passage);
    assert_close(bare.get(0).unwrap(), &expected()[0].mean, "without modules.json the mean is taken");
}

/// As sentence-transformers 5.7 writes them.
#[test]
fn folders_of_newer_versions_are_read() {
    let folder = copy();
    let expected = expected();
    let vector = |mode: Json| {
        std::fs::write(folder.path().join("1_Pooling/config.json"), json!({"pooling_mode": mode}).to_string()).unwrap();
        let model = load(folder.path())?;
        let embedded = model.embed(&[&expected[0].text], TextKind::Passage, &Cancel::never())?;
        Ok::<_, Error>(embedded.vectors)
    };
    assert_close(&vector(json!("mean")).unwrap(), &expected[0].mean, "mean");
    assert_close(&vector(json!(["cls"])).unwrap(), &expected[0].cls, "cls");
    assert_close(&vector(json!("lasttoken")).unwrap(), &expected[0].last_token, "lasttoken");
    assert_eq!(vector(json!(["cls", "mean"])).unwrap_err().kind(), ErrorKind::Unsupported);
    vector(json!("mean")).unwrap();
    std::fs::write(folder.path().join("sentence_bert_config.json"), r#"{"transformer_task": "x"}"#).unwrap();
    assert_eq!(load(folder.path()).unwrap().max_tokens(), Some(24 - 2), "as many as there are positions");
    for (limit, tokens) in [("9", 9), ("1000000000000000019884624838656", 24)] {
        let config = format!(r#"{{"model_max_length": {limit}}}"#);
        std::fs::write(folder.path().join("tokenizer_config.json"), config).unwrap();
        assert_eq!(load(folder.path()).unwrap().max_tokens(), Some(tokens - 2));
    }
}

#[test]
fn options_have_the_last_word() {
    let options = ModelOptions::new().with_prompts("", "query: ").with_max_tokens(5);
    let model = TransformerModel::load(&fixture(), &options).unwrap();
    assert_eq!(model.max_tokens(), Some(1), "2 special tokens, 2 of the prompt");
    assert_eq!((model.identity().prompts.query.as_str(), model.identity().prompts.passage.as_str()), ("", "query: "));
    let other = load(&fixture()).unwrap();
    assert_ne!(model.identity().source_hash, other.identity().source_hash, "another limit gives other vectors");
    let error = TransformerModel::load(&fixture(), &ModelOptions::new().with_max_tokens(1)).unwrap_err();
    assert!(error.to_string().contains("`max_tokens`"), "{error}");
}

#[test]
fn a_passage_of_max_tokens_is_whole_under_its_prompt() {
    let folder = copy();
    for include_prompt in [true, false] {
        set(folder.path(), "1_Pooling/config.json", "include_prompt", json!(include_prompt));
        // A prompt of 3 tokens for passages, and a longer one for queries, which says nothing of passages.
        let options = ModelOptions::new().with_prompts("the cat sat on the mat: ", "alpine pass: ");
        let model = TransformerModel::load(folder.path(), &options).unwrap();
        assert_eq!(model.max_tokens(), Some(12 - 2 - 3));
        let (full, longer) = (["cat"; 7].join(" "), ["cat"; 8].join(" "));
        let embedded = model.embed(&[&full, &longer], TextKind::Passage, &Cancel::never()).unwrap();
        assert_eq!(embedded.truncated, [false, true]);
    }
    let long = ModelOptions::new().with_prompts("", "the cat sat on the mat, the cat sat on the mat");
    assert_eq!(TransformerModel::load(folder.path(), &long).unwrap().max_tokens(), Some(0), "a prompt leaves no room");
}

/// `encode_query` takes `query`; `encode_document` the first of `document`, `passage` and `corpus` that is there.
#[test]
fn prompts_are_chosen_as_sentence_transformers_does() {
    let folder = copy();
    let prompts = |prompts: Json, default: Json| {
        let path = folder.path().join("config_sentence_transformers.json");
        std::fs::write(path, json!({"prompts": prompts, "default_prompt_name": default}).to_string()).unwrap();
        let Prompts { query, passage } = load(folder.path()).unwrap().identity.prompts;
        (query, passage)
    };
    let pair = |query: &str, passage: &str| (query.to_owned(), passage.to_owned());
    let none = Json::Null;
    let all = json!({"corpus": "c: ", "passage": "p: ", "document": "d: ", "query": "q: "});
    assert_eq!(prompts(all, none.clone()), pair("q: ", "d: "));
    assert_eq!(prompts(json!({"corpus": "c: ", "passage": "p: "}), none.clone()), pair("", "p: "));
    assert_eq!(prompts(json!({"corpus": "c: "}), none.clone()), pair("", "c: "));
    assert_eq!(prompts(json!({"document": "", "passage": "p: "}), none.clone()), pair("", ""), "an empty one is one");
    assert_eq!(prompts(json!({"document": null, "query": null}), none), pair("", ""));
    assert_eq!(prompts(json!({"query": "q: "}), json!("query")), pair("q: ", ""), "the default is for neither side");
}

#[test]
fn of_a_huge_text_only_the_front_is_tokenised() {
    let model = load(&fixture()).unwrap();
    let (words, front) = ("the cat sat ".repeat(200_000), "the cat sat ".repeat(20));
    assert!(words.len() > 2 * MOST_BYTES && head(&words).len() <= MOST_BYTES);
    let whole = model.tokenize(&words).unwrap();
    assert_eq!((&whole.ids, whole.truncated), (&model.tokenize(&front).unwrap().ids, true));
    // What the front leaves no token of is reported too.
    let blanks = format!("the cat{}sat", " ".repeat(MOST_BYTES));
    let cut = model.tokenize(&blanks).unwrap();
    assert_eq!((&cut.ids, cut.truncated), (&model.tokenize("the cat").unwrap().ids, true));
    let embedded = model.embed(&[&blanks, "the cat"], TextKind::Passage, &Cancel::never()).unwrap();
    assert_eq!(embedded.truncated, [true, false]);
}

#[test]
fn a_text_is_cut_between_words_or_else_between_characters() {
    assert_eq!(head("the cat"), "the cat");
    let full = "x".repeat(MOST_BYTES);
    assert_eq!(head(&full).len(), MOST_BYTES);
    let words = format!("{} word{}", &full[10..], "y".repeat(20));
    assert_eq!(head(&words).len(), MOST_BYTES - 10);
    let ideographs = "中".repeat(MOST_BYTES / 2);
    assert_eq!(head(&ideographs).len(), MOST_BYTES / 3 * 3);
}

#[test]
fn devices_that_the_build_lacks_are_unsupported() {
    for device in [Device::Cuda(0), Device::Metal(0)] {
        let lacks = !cfg!(feature = "cuda") && !cfg!(feature = "metal");
        let error = TransformerModel::load(&fixture(), &ModelOptions::new().with_device(device));
        assert!(!lacks || error.is_err_and(|error| error.kind() == ErrorKind::Unsupported), "{device}");
    }
}

#[test]
fn a_folder_that_is_wrong_is_refused_by_the_name_of_its_file() {
    let refused = |damage: &dyn Fn(&Path), kind: ErrorKind, names: &str| {
        let folder = copy();
        damage(folder.path());
        let error = load(folder.path()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(names), "{error} does not name {names}");
    };
    for name in ["config.json", "tokenizer.json", "model.safetensors", "1_Pooling/config.json"] {
        refused(&|folder| std::fs::remove_file(folder.join(name)).unwrap(), ErrorKind::NotFound, name);
    }
    for name in ["config.json", "tokenizer.json", "modules.json", "sentence_bert_config.json"] {
        refused(&|folder| std::fs::write(folder.join(name), "{").unwrap(), ErrorKind::InvalidArgument, name);
    }
    let cut = |folder: &Path| {
        let path = folder.join("model.safetensors");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    };
    refused(&cut, ErrorKind::Corruption, "model.safetensors");
    let change = |file: &'static str, field: &'static str, value: Json| {
        move |folder: &Path| set(folder, file, field, value.clone())
    };
    let config = "config.json";
    refused(&change(config, "hidden_size", json!(32)), ErrorKind::Corruption, "model.safetensors");
    refused(&change(config, "num_attention_heads", json!(3)), ErrorKind::InvalidArgument, "num_attention_heads");
    refused(&change(config, "model_type", json!("t5")), ErrorKind::Unsupported, "t5");
    refused(&change(config, "position_embedding_type", json!("relative_key")), ErrorKind::Unsupported, "relative_key");
    refused(&change(config, "vocab_size", json!(20)), ErrorKind::Corruption, "model.safetensors");
    let more_tokens = |folder: &Path| {
        let text = std::fs::read_to_string(folder.join("tokenizer.json")).unwrap();
        std::fs::write(folder.join("tokenizer.json"), text.replace("\"mat\":11", "\"mat\":99")).unwrap();
    };
    refused(&more_tokens, ErrorKind::InvalidArgument, "tokenizer.json");
    let max = change("1_Pooling/config.json", "pooling_mode_max_tokens", json!(true));
    refused(&max, ErrorKind::Unsupported, "pooling_mode_max_tokens, pooling_mode_mean_tokens");
    let module = |kind: &str, path: &str| json!({"idx": 0, "name": "0", "path": path, "type": kind}).to_string();
    let modules =
        |list: String| move |folder: &Path| std::fs::write(folder.join("modules.json"), format!("[{list}]")).unwrap();
    refused(&modules(module("a.Dense", "")), ErrorKind::Unsupported, "Dense");
    refused(&modules(String::new()), ErrorKind::InvalidArgument, "Transformer");
    refused(&modules(module("a.Transformer", "../x")), ErrorKind::InvalidArgument, "modules.json");
    refused(
        &|folder| std::fs::rename(folder.join("model.safetensors"), folder.join("pytorch_model.bin")).unwrap(),
        ErrorKind::Unsupported,
        "pytorch_model.bin",
    );
}

/// The vectors of SciFact that sentence-transformers gives; set `RAG_TEST_MINILM` to the folder of all-MiniLM-L6-v2.
#[test]
#[ignore = "embeds 5,183 documents with a model that is not part of the clone"]
fn minilm_gives_the_reference_vectors_of_scifact() {
    let Some(folder) = std::env::var_os("RAG_TEST_MINILM") else {
        return eprintln!("skipped: RAG_TEST_MINILM does not name the folder of all-MiniLM-L6-v2");
    };
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if !data.join("ann/scifact-minilm384").exists() {
        return eprintln!("skipped: there is no ann/scifact-minilm384 in {}", data.display());
    }
    let model = load(Path::new(&folder)).unwrap();
    let ids: Json =
        serde_json::from_slice(&std::fs::read(data.join("ann/scifact-minilm384/ids.json")).unwrap()).unwrap();
    for (file, kind, ids, vectors) in [
        ("corpus.jsonl.gz", TextKind::Passage, &ids["docs"], "base.fvecs"),
        ("queries.jsonl.gz", TextKind::Query, &ids["queries"], "query.fvecs"),
    ] {
        let texts = texts(&data.join("ir/scifact").join(file));
        let texts: Vec<&str> = ids.as_array().unwrap().iter().map(|id| texts[id.as_str().unwrap()].as_str()).collect();
        let bytes = std::fs::read(data.join("ann/scifact-minilm384").join(vectors)).unwrap();
        let rows: Vec<Vec<f32>> = bytes
            .chunks_exact(4 + 4 * model.dimension())
            .map(|row| row[4..].as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect())
            .collect();
        assert_eq!(rows.len(), texts.len());
        let embedded = model.embed(&texts, kind, &Cancel::never()).unwrap();
        let cosine = |i: usize| -> f32 { embedded.get(i).unwrap().iter().zip(&rows[i]).map(|(a, b)| a * b).sum() };
        let worst = (0..rows.len()).map(cosine).fold(f32::INFINITY, f32::min);
        eprintln!("{vectors}: {} vectors, lowest cosine {worst:.7}", rows.len());
        assert!(worst >= 0.9999, "{vectors}: {worst}");
    }
}

fn texts(path: &Path) -> std::collections::HashMap<String, String> {
    use std::io::BufRead;
    let file = std::io::BufReader::new(flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()));
    let part = |line: &Json, name: &str| line[name].as_str().unwrap_or("").to_owned();
    let read = |line: std::io::Result<String>| {
        let line: Json = serde_json::from_str(&line.unwrap()).unwrap();
        let text = format!("{} {}", part(&line, "title"), part(&line, "text"));
        (part(&line, "_id"), text.trim_start().to_owned())
    };
    file.lines().map(read).collect()
}
