//! A model folder in the layout of sentence-transformers: which files say what.

use std::fmt::Write as _;
use std::path::Path;

use rag_governance::{Pooling, Prompts};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::embed::ModelOptions;
use crate::error::{Error, ErrorKind, Result};

const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const WEIGHTS: &str = "model.safetensors";
const MODULES: &str = "modules.json";
const SENTENCE: &str = "sentence_bert_config.json";
const PROMPTS: &str = "config_sentence_transformers.json";

/// Everything that a folder says, checked as far as it can be without the network itself.
#[derive(Debug)]
pub(super) struct ModelFolder {
    pub(super) name: String,
    pub(super) config: Vec<u8>,
    pub(super) tokenizer: Vec<u8>,
    pub(super) weights: Vec<u8>,
    pub(super) pooling: Pooling,
    /// Whether the tokens of a prompt take part in the mean.
    pub(super) include_prompt: bool,
    pub(super) prompts: Prompts,
    /// Most tokens of a text, special ones included.
    pub(super) max_tokens: usize,
    pub(super) lower_case: bool,
    pub(super) source_hash: String,
}

/// The fields of `config.json` that decide whether the model can be loaded at all.
#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    model_type: String,
    max_position_embeddings: usize,
    #[serde(default)]
    position_embedding_type: Option<String>,
}

#[derive(Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Default, Deserialize)]
struct Sentence {
    max_seq_length: Option<usize>,
    #[serde(default)]
    do_lower_case: bool,
}

/// Where newer versions of sentence-transformers keep `max_seq_length`.
#[derive(Deserialize)]
struct Limit {
    model_max_length: Option<f64>,
}

impl Limit {
    /// Tokenisers without a limit say 1e30.
    fn tokens(self) -> usize {
        self.model_max_length.map_or(usize::MAX, |limit| limit as usize)
    }
}

#[derive(Default, Deserialize)]
struct PromptFile {
    /// `null` is no prompt.
    #[serde(default)]
    prompts: std::collections::BTreeMap<String, Option<String>>,
}

impl ModelFolder {
    /// Reads the folder; `options` have the last word.
    pub(super) fn read(folder: &Path, options: &ModelOptions) -> Result<ModelFolder> {
        let (transformer, pooling) = modules(folder)?;
        let transformer = folder.join(transformer);
        let config = required(&transformer, CONFIG)?;
        let kind: Kind = parse(&transformer.join(CONFIG), &config)?;
        refuse_other_networks(&kind, &transformer)?;
        let (pooling, include_prompt) = match pooling {
            Some(path) => read_pooling(&folder.join(path).join(CONFIG))?,
            None => (Pooling::Mean, true), // what sentence-transformers does with a bare transformer
        };
        let sentence: Sentence = optional(&transformer.join(SENTENCE))?.unwrap_or_default();
        let limit = match sentence.max_seq_length {
            Some(limit) => limit,
            None => optional::<Limit>(&transformer.join(TOKENIZER_CONFIG))?.map_or(usize::MAX, Limit::tokens),
        };
        let max_tokens = options.max_tokens.unwrap_or(limit).min(kind.max_position_embeddings);
        if max_tokens < 4 {
            return Err(Error::invalid(format!("`max_tokens` is {max_tokens}; a model needs at least 4")));
        }
        let prompts = read_prompts(folder, options)?;
        let (tokenizer, weights) = (required(&transformer, TOKENIZER)?, read_weights(&transformer)?);
        let settings =
            format!("max_tokens {max_tokens}, lower_case {}, include_prompt {include_prompt}", sentence.do_lower_case);
        let source_hash = hash(&[&weights, &tokenizer, &config, settings.as_bytes()]);
        Ok(ModelFolder {
            name: name_of(folder),
            config,
            tokenizer,
            weights,
            pooling,
            include_prompt,
            prompts,
            max_tokens,
            lower_case: sentence.do_lower_case,
            source_hash,
        })
    }
}

/// The folder's own name, which says more than the name of the model that it was trained from.
fn name_of(folder: &Path) -> String {
    let full = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    full.file_name().map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Where the transformer and the pooling lie, by `modules.json`; without that file the folder is a bare transformer.
fn modules(folder: &Path) -> Result<(String, Option<String>)> {
    let path = folder.join(MODULES);
    let Some(modules) = optional::<Vec<Module>>(&path)? else { return Ok((String::new(), None)) };
    let (mut transformer, mut pooling) = (None, None);
    for module in modules {
        match module.kind.rsplit('.').next().unwrap_or_default() {
            "Transformer" => transformer = Some(module.path),
            "Pooling" => pooling = Some(module.path),
            "Normalize" => {} // every vector has length 1 here
            other => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("{} has a module `{other}`; Transformer, Pooling and Normalize are known", path.display()),
                ));
            }
        }
    }
    let transformer =
        transformer.ok_or_else(|| Error::invalid(format!("{} names no Transformer module", path.display())))?;
    for part in [Some(&transformer), pooling.as_ref()].into_iter().flatten() {
        if Path::new(part).is_absolute() || part.split(['/', '\\']).any(|step| step == "..") {
            return Err(Error::invalid(format!("{} leads out of its folder: `{part}`", path.display())));
        }
    }
    Ok((transformer, pooling))
}

fn refuse_other_networks(kind: &Kind, folder: &Path) -> Result<()> {
    let problem = match (kind.model_type.as_str(), kind.position_embedding_type.as_deref()) {
        ("bert", None | Some("absolute")) => return Ok(()),
        ("bert", Some(positions)) => format!("`position_embedding_type` {positions:?}; only \"absolute\" is known"),
        (other, _) => format!("`model_type` {other:?}; only \"bert\" is known"),
    };
    Err(Error::new(ErrorKind::Unsupported, format!("{} has {problem}", folder.join(CONFIG).display())))
}

fn read_pooling(path: &Path) -> Result<(Pooling, bool)> {
    let file: serde_json::Map<String, Json> = parse(path, &read(path)?)?;
    let is_on = |mode: &&String| mode.starts_with("pooling_mode_") && file.get(*mode) == Some(&Json::Bool(true));
    // Newer versions of sentence-transformers write a name, older ones a switch for each; the name goes first.
    let modes: Vec<&str> = match file.get("pooling_mode") {
        Some(Json::String(mode)) => vec![mode],
        Some(Json::Array(modes)) => modes.iter().filter_map(Json::as_str).collect(),
        _ => file.keys().filter(is_on).map(String::as_str).collect(),
    };
    let pooling = match modes[..] {
        ["mean" | "pooling_mode_mean_tokens"] => Pooling::Mean,
        ["cls" | "pooling_mode_cls_token"] => Pooling::Cls,
        ["lasttoken" | "pooling_mode_lasttoken"] => Pooling::LastToken,
        _ => {
            let modes = modes.join(", ");
            let message = format!("{} pools by [{modes}]; one of mean, cls and lasttoken is known", path.display());
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
    };
    Ok((pooling, file.get("include_prompt") != Some(&Json::Bool(false))))
}

/// The prompts of the folder as `encode_query` and `encode_document` of sentence-transformers choose them: the first name
/// that is there decides, also where its prompt is empty, and the default prompt is for neither of the two.
fn read_prompts(folder: &Path, options: &ModelOptions) -> Result<Prompts> {
    let file: PromptFile = optional(&folder.join(PROMPTS))?.unwrap_or_default();
    let side = |names: &[&str], given: &Option<String>| {
        let own = || names.iter().find_map(|name| file.prompts.get(*name)).cloned().flatten();
        given.clone().or_else(own).unwrap_or_default()
    };
    Ok(Prompts {
        query: side(&["query"], &options.query_prompt),
        passage: side(&["document", "passage", "corpus"], &options.passage_prompt),
    })
}

fn read_weights(folder: &Path) -> Result<Vec<u8>> {
    let path = folder.join(WEIGHTS);
    if path.exists() {
        return read(&path);
    }
    let sharded = folder.join("model.safetensors.index.json").exists();
    let (kind, why) = match (sharded, folder.join("pytorch_model.bin").exists()) {
        (true, _) => (ErrorKind::Unsupported, "the weights are in several files; save them as one"),
        (_, true) => (ErrorKind::Unsupported, "pytorch_model.bin is not read; save the weights as safetensors"),
        _ => (ErrorKind::NotFound, "a model folder holds its weights there"),
    };
    Err(Error::new(kind, format!("there is no {}: {why}", path.display())))
}

fn required(folder: &Path, name: &str) -> Result<Vec<u8>> {
    read(&folder.join(name)).map_err(|error| match error.kind() {
        ErrorKind::NotFound => error.with("way out", format!("give a model folder, which has a {name}")),
        _ => error,
    })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| Error::io("read", path, error))
}

fn optional<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        bytes => parse(path, &bytes?).map(Some),
    }
}

fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::invalid(format!("{} is not understood: {error}", path.display())).with_source(error))
}

/// SHA-256 of the parts, each behind its length, so that no two lists of parts are alike.
fn hash(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}"); // writing to a string does not fail
        hex
    })
}
