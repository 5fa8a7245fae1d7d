//! Configuration as users write it.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use rag_core::ErrorKind;
use rag_core::config::VectorConfig;
use rag_core::embed::Device;
use rag_runtime::Settings;

fn read(toml: &str, variables: &[(&str, &str)]) -> rag_core::Result<Settings> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rag.toml");
    std::fs::write(&path, toml).unwrap();
    Settings::read(Some(&path), variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

#[test]
fn a_file_is_overlaid_by_the_environment() {
    let toml = "[model]\ndevice = 'cuda:1'\n[engine.vectors]\nbackend = 'hnsw'\nm = 24\n[engine.fusion]\ndepth = 7\n";
    let variables = [
        ("RAG__ENGINE__FUSION__DEPTH", "200"),
        ("RAG__MODEL__QUERY_PROMPT", "query: "),
        ("RAG__ENGINE__RUNTIME__VERIFY_ON_OPEN", "false"),
        ("RAG__ENGINE__FUSION__METHOD", "rrf"),
        ("HOME", "elsewhere"),
        ("RAG_API_KEY", "somebody else's"),
    ];
    let settings = read(toml, &variables).unwrap();
    assert_eq!(settings.engine.fusion.depth, 200);
    assert_eq!(settings.engine.vectors, VectorConfig::Hnsw { m: 24, ef_construction: 200, ef_search: 100 });
    assert_eq!(settings.model.device, Device::Cuda(1));
    assert_eq!(settings.model.query_prompt.as_deref(), Some("query: "));
    assert!(!settings.engine.runtime.verify_on_open);
    assert_eq!(Settings::read(None, []).unwrap(), Settings::default());
}

#[test]
fn a_string_may_look_like_another_value() {
    for text in ["42", "-0.5", "true", "2024-05-01", "[]", "{a = 1}", "inf"] {
        let settings = read("", &[("RAG__MODEL__QUERY_PROMPT", text), ("RAG__MODEL__MAX_TOKENS", "7")]).unwrap();
        assert_eq!((settings.model.query_prompt.as_deref(), settings.model.max_tokens), (Some(text), Some(7)));
    }
    let quoted = read("", &[("RAG__MODEL__QUERY_PROMPT", "\"42\"")]).unwrap();
    assert_eq!(quoted.model.query_prompt.as_deref(), Some("42"));
    // A mistake elsewhere is told as such, whatever the order.
    let mut variables = [("RAG__MODEL__QUERY_PROMPT", "42"), ("RAG__ENGINE__FUSION__DEPTH", "true")];
    for _ in 0..2 {
        let message = read("", &variables).unwrap_err().to_string();
        assert!(message.contains("depth") && !message.contains("query_prompt"), "{message}");
        variables.reverse();
    }
}

#[test]
fn mistakes_are_named_with_their_place() {
    let refused = |toml: &str, variables: &[(&str, &str)], names: &[&str]| {
        let error = read(toml, variables).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        for name in names {
            assert!(error.to_string().contains(name), "{error} does not name {name}");
        }
    };
    refused("[engine.fusion]\ndeep = 3\n", &[], &["rag.toml", "line 2", "deep"]);
    refused("[engine.fusion]\ndepth = 0\n", &[], &["fusion.depth"]);
    refused("[model]\ndevice = 'gpu'\n", &[], &["rag.toml", "gpu"]);
    refused("engine = 3", &[], &["rag.toml"]);
    refused("", &[("RAG__ENGINE__FUSION__DEEP", "3")], &["environment", "deep"]);
    refused("", &[("RAG__ENGINE__FUSION__DEPTH", "many")], &["environment", "depth"]);
    refused("", &[("RAG__MODEL__DEVICE__X", "3"), ("RAG__", "3")], &["RAG__"]);
    refused("[model]\npath = 'x'\n", &[("RAG__MODEL__PATH__X", "3")], &["RAG__MODEL__PATH__X", "path"]);
    let missing = Settings::read(Some(Path::new("no/such.toml")), []).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

#[test]
fn the_model_is_loaded_as_configured() {
    let bundled = Settings::default().embedder().unwrap();
    assert_eq!(bundled.dimension(), 256);
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rag-core/tests/fixtures/tiny-bert");
    let path = fixture.to_str().unwrap();
    let settings = read("", &[("RAG__MODEL__PATH", path), ("RAG__MODEL__MAX_TOKENS", "8")]).unwrap();
    match settings.embedder() {
        Ok(model) => assert_eq!((model.dimension(), model.max_tokens()), (16, Some(6))),
        Err(error) => assert!(!cfg!(feature = "candle") && error.kind() == ErrorKind::Unsupported, "{error}"),
    }
    let relative = read("[model]\npath = 'nowhere'\n", &[]).unwrap();
    assert!(relative.model.path.clone().unwrap().is_absolute(), "relative to the file");
    assert_eq!(relative.embedder().unwrap_err().kind(), ErrorKind::NotFound);
    let ranker = read("[engine.ltr]\nmodel = 'nowhere'\n", &[]).unwrap();
    assert!(ranker.engine.ltr.model.clone().unwrap().is_absolute(), "relative to the file");
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(ranker.open(folder.path()).unwrap_err().kind(), ErrorKind::NotFound);
    let without = read("", &[("RAG__MODEL__MAX_TOKENS", "8")]).unwrap();
    assert!(without.embedder().unwrap_err().to_string().contains("`path`"));
}

#[test]
fn an_engine_opens_from_settings() {
    let folder = tempfile::tempdir().unwrap();
    let settings = read("", &[("RAG__ENGINE__FUSION__DEPTH", "9")]).unwrap();
    assert_eq!(settings.open(folder.path()).unwrap().config().fusion.depth, 9);
}
