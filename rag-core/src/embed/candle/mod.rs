//! BERT encoders by candle, from a folder in the layout of sentence-transformers, without touching the network.

mod folder;
mod pooling;

use std::path::Path;

use candle_core::{DType, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use rag_governance::{ModelIdentity, Quantization};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use tokenizers::{Encoding, PostProcessor, Tokenizer};

use super::{Device, Embedder, Embeddings, ModelOptions, TextKind, check_batch_tokens, normalize};
use crate::error::{Error, ErrorKind, Result};
use crate::fork;
use crate::pool::Pool;
use crate::types::Cancel;
use folder::ModelFolder;
pub(crate) use pooling::pool;

/// Tokens of one batch, padding included: enough for the matrix kernels, little enough for the caches.
pub(crate) const BATCH_TOKENS: usize = 2048;

/// Bytes of a text that are tokenised: some hundred for each token that any model here has room for, in a text of words.
const MOST_BYTES: usize = 1 << 20;

/// Bytes before [`MOST_BYTES`] where white space is looked for; what a tokeniser calls a word is hardly longer.
const WORD_BYTES: usize = 512;

/// A transformer encoder (BERT; Devlin et al. 2019) with mean, CLS or last-token pooling.
///
/// Reads `config.json`, `tokenizer.json` and `model.safetensors`, and where they are there `modules.json`,
/// `sentence_bert_config.json` and `tokenizer_config.json` (most tokens), `config_sentence_transformers.json` (prompts) and
/// the pooling's `config.json`. A text has the same vector alone as in a batch, but for the rounding of its last bits.
///
/// Prompts are those of `encode_query` and `encode_document` of sentence-transformers 5: that named `query`, and the first
/// of `document`, `passage` and `corpus`. `default_prompt_name` speaks of neither side and is not used, as it is not there;
/// give such a prompt by [`ModelOptions::with_prompts`].
///
/// ```no_run
/// use rag_core::embed::{Embedder, ModelOptions, TextKind, TransformerModel};
/// use rag_core::Cancel;
/// let model = TransformerModel::load("models/all-MiniLM-L6-v2".as_ref(), &ModelOptions::new())?;
/// let embedded = model.embed(&["a question"], TextKind::Query, &Cancel::never())?;
/// assert_eq!(embedded.dimension, model.dimension());
/// # Ok::<(), rag_core::Error>(())
/// ```
pub struct TransformerModel {
    identity: ModelIdentity,
    network: BertModel,
    device: candle_core::Device,
    tokenizer: Tokenizer,
    /// Most tokens of a text, special ones included, and how many special ones there are.
    max_tokens: usize,
    special_tokens: usize,
    lower_case: bool,
    prompt_tokens: PromptTokens,
    /// Whether the tokens of a prompt take part in the mean.
    include_prompt: bool,
    /// For callers that are in no pool: rayon's global one would be lost in a forked child, and with it whoever waits.
    pool: Pool,
}

/// Tokens of the prompts, special ones not counted.
#[derive(Debug, Default, Clone, Copy)]
struct PromptTokens {
    query: usize,
    passage: usize,
}

impl std::fmt::Debug for TransformerModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TransformerModel").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// The tokens of a text as the network reads them.
#[derive(Debug, Clone, Default)]
pub(crate) struct TokenIds {
    pub(crate) ids: Vec<u32>,
    pub(crate) truncated: bool,
}

impl TransformerModel {
    /// Loads the model in `folder`.
    ///
    /// # Errors
    /// `NotFound` for a file that is missing, `InvalidArgument` or `Corruption` for one that is wrong, `Unsupported` for
    /// a network, pooling or device that this build does not have; each names the file and what it would take.
    pub fn load(folder: &Path, options: &ModelOptions) -> Result<TransformerModel> {
        let device = open(options.device)?;
        let files = ModelFolder::read(folder, options)?;
        let wrong = |file: &str, error: &dyn std::fmt::Display| {
            Error::invalid(format!("{file} of the model in {} is not understood: {error}", folder.display()))
        };
        let config: Config =
            serde_json::from_slice(&files.config).map_err(|error| wrong("config.json", &error).with_source(error))?;
        check_shape(&config).map_err(|problem| wrong("config.json", &problem))?;
        let network = VarBuilder::from_buffered_safetensors(files.weights, DType::F32, &device)
            .and_then(|weights| BertModel::load(weights, &config))
            .map_err(|error| {
                let message = format!("model.safetensors in {} does not fit its config.json", folder.display());
                Error::corruption(message).with_source(error)
            })?;
        let mut tokenizer = Tokenizer::from_bytes(&files.tokenizer).map_err(|error| wrong("tokenizer.json", &error))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| wrong("tokenizer.json", &error))?;
        let highest = tokenizer.get_vocab(true).into_values().max().unwrap_or(0) as usize;
        if highest >= config.vocab_size {
            let problem = format!("it has the token {highest}, the network {}", config.vocab_size);
            return Err(wrong("tokenizer.json", &problem));
        }
        let special_tokens = tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(false));
        let mut model = TransformerModel {
            identity: ModelIdentity {
                name: files.name,
                quantization: Quantization::F32,
                source_hash: files.source_hash,
                dimension: config.hidden_size,
                pooling: files.pooling,
                prompts: files.prompts,
            },
            network,
            device,
            tokenizer,
            max_tokens: files.max_tokens,
            special_tokens,
            lower_case: files.lower_case,
            prompt_tokens: PromptTokens::default(),
            include_prompt: files.include_prompt,
            pool: Pool::new("rag-embed", 0),
        };
        let query = model.encode(&model.identity.prompts.query)?.len();
        model.prompt_tokens = PromptTokens { query, passage: model.encode(&model.identity.prompts.passage)?.len() };
        Ok(model)
    }

    /// Threads are those of the pool that it is called in.
    fn embed_in_pool(
        &self,
        texts: &[&str],
        kind: TextKind,
        batch_tokens: usize,
        cancel: &Cancel,
    ) -> Result<Embeddings> {
        let dimension = self.identity.dimension;
        let (prompt, prompt_tokens) = match kind {
            TextKind::Query => (&self.identity.prompts.query, self.prompt_tokens.query),
            TextKind::Passage => (&self.identity.prompts.passage, self.prompt_tokens.passage),
        };
        let skip = self.skipped(prompt_tokens);
        let tokenize = |text: &&str| {
            cancel.check()?;
            if prompt.is_empty() { self.tokenize(text) } else { self.tokenize(&[prompt.as_str(), text].concat()) }
        };
        let tokens = texts.par_iter().map(tokenize).collect::<Result<Vec<TokenIds>>>()?;
        let mut vectors = vec![0f32; texts.len() * dimension];
        self.outputs(&tokens, batch_tokens, cancel, |at, outputs| {
            let mut vector = pool(outputs, dimension, self.identity.pooling, skip);
            normalize(&mut vector);
            if let Some(row) = vectors.get_mut(at * dimension..(at + 1) * dimension) {
                row.copy_from_slice(&vector);
            }
        })?;
        let truncated = tokens.iter().map(|text| text.truncated).collect();
        Ok(Embeddings { dimension, vectors, truncated })
    }

    /// Tokens of a text that the model has room for, special ones not counted.
    fn room(&self) -> usize {
        self.max_tokens.saturating_sub(self.special_tokens)
    }

    /// Tokens at the front that take no part in the mean, for a prompt of `tokens`: the special ones before it (all but
    /// the one at the end), and its own.
    fn skipped(&self, tokens: usize) -> usize {
        if self.include_prompt || tokens == 0 {
            0
        } else {
            self.special_tokens.saturating_sub(1) + tokens.min(self.room())
        }
    }

    /// The tokens of `text` without the special ones, however many.
    fn encode(&self, text: &str) -> Result<Encoding> {
        if self.lower_case {
            self.tokenizer.encode_fast(text.to_lowercase(), false)
        } else {
            self.tokenizer.encode_fast(text, false)
        }
        .map_err(|error| tokenizer_error(&error))
    }

    /// The tokens of `text` with the special ones, cut to the limit of the model.
    pub(crate) fn tokenize(&self, text: &str) -> Result<TokenIds> {
        let head = head(text);
        let mut encoding = self.encode(head)?;
        let room = self.room();
        let truncated = encoding.len() > room || head.len() < text.len();
        if encoding.len() > room {
            encoding.truncate(room, 0, tokenizers::TruncationDirection::Right);
        }
        let encoding = self.tokenizer.post_process(encoding, None, true).map_err(|error| tokenizer_error(&error))?;
        Ok(TokenIds { ids: encoding.get_ids().to_vec(), truncated })
    }

    /// The tokeniser as its own file describes it.
    #[cfg(feature = "distill")]
    pub(crate) fn describe_tokenizer(&self) -> Result<serde_json::Value> {
        let text = self.tokenizer.to_string(false).map_err(|error| tokenizer_error(&error))?;
        serde_json::from_str(&text).map_err(|error| tokenizer_error(&error.into()))
    }

    /// Runs the network over texts of similar length and gives each one's outputs (`tokens × dimension`) to `each`, with
    /// its position in `texts`.
    pub(crate) fn outputs(
        &self,
        texts: &[TokenIds],
        batch_tokens: usize,
        cancel: &Cancel,
        mut each: impl FnMut(usize, &[f32]),
    ) -> Result<()> {
        let dimension = self.identity.dimension;
        for batch in batches(texts, batch_tokens) {
            cancel.check()?;
            let longest = batch.iter().map(|&at| texts[at].ids.len()).max().unwrap_or(0);
            let outputs = self.run(texts, &batch, longest).map_err(|error| {
                Error::internal(format!("the model `{}` failed: {error}", self.identity.name)).with_source(error)
            })?;
            for (&at, rows) in batch.iter().zip(outputs.chunks_exact(longest * dimension)) {
                each(at, &rows[..texts[at].ids.len() * dimension]);
            }
        }
        Ok(())
    }

    /// The outputs of one batch, padded to `longest`.
    fn run(&self, texts: &[TokenIds], batch: &[usize], longest: usize) -> candle_core::Result<Vec<f32>> {
        let shape = (batch.len(), longest);
        let (mut ids, mut mask) = (Vec::with_capacity(batch.len() * longest), Vec::new());
        for &at in batch {
            let text = &texts[at].ids;
            ids.extend_from_slice(text);
            ids.resize(ids.len() + longest - text.len(), 0);
            mask.resize(mask.len() + text.len(), 1u32);
            mask.resize(ids.len(), 0);
        }
        let ids = Tensor::from_vec(ids, shape, &self.device)?;
        let mask = Tensor::from_vec(mask, shape, &self.device)?;
        let outputs = self.network.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
        outputs.flatten_all()?.to_vec1()
    }
}

impl Embedder for TransformerModel {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    fn max_tokens(&self) -> Option<usize> {
        Some(self.room().saturating_sub(self.prompt_tokens.passage))
    }

    fn token_starts(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.tokenizer.encode(text, false).map_err(|error| tokenizer_error(&error))?;
        Ok(encoding.get_offsets().iter().map(|&(start, _)| start as u32).collect())
    }

    fn embed(&self, texts: &[&str], kind: TextKind, cancel: &Cancel) -> Result<Embeddings> {
        self.embed_batched(texts, kind, None, cancel)
    }

    fn embed_batched(
        &self,
        texts: &[&str],
        kind: TextKind,
        batch_tokens: Option<usize>,
        cancel: &Cancel,
    ) -> Result<Embeddings> {
        check_batch_tokens(batch_tokens)?;
        let batch_tokens = batch_tokens.unwrap_or(BATCH_TOKENS);
        let embed = || self.embed_in_pool(texts, kind, batch_tokens, cancel);
        match rayon::current_thread_index() {
            Some(_) => embed(),
            None => fork::aside(|| self.pool.run_apart(embed)),
        }
    }
}

/// The part of a text that is tokenised: a tokeniser takes many times the memory of its text, and a text of 64 MiB is cut
/// to some hundred tokens in the end. What lies past [`MOST_BYTES`] would only reach the model if what comes before were
/// less than a token in thousands of bytes: blanks, or letters without a break, which are one unknown word. Such a text is
/// reported as truncated, as is every other that is cut.
fn head(text: &str) -> &str {
    if text.len() <= MOST_BYTES {
        return text;
    }
    let boundary = |most: usize| (0..=most).rev().find(|&at| text.is_char_boundary(at)).unwrap_or_default();
    let head = &text[..boundary(MOST_BYTES)];
    let last_word = boundary(MOST_BYTES - WORD_BYTES);
    match head[last_word..].rfind(char::is_whitespace) {
        Some(at) => &head[..last_word + at],
        None => head,
    }
}

/// Positions of the texts, longest first, in groups of at most `batch_tokens` tokens with the padding, or of one text.
fn batches(texts: &[TokenIds], batch_tokens: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..texts.len()).filter(|&at| !texts[at].ids.is_empty()).collect();
    order.sort_by_key(|&at| (std::cmp::Reverse(texts[at].ids.len()), at));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for at in order {
        match batches.last_mut() {
            Some(batch) if (batch.len() + 1) * texts[batch[0]].ids.len() <= batch_tokens => batch.push(at),
            _ => batches.push(vec![at]),
        }
    }
    batches
}

/// What the network would otherwise answer with a panic or nonsense.
fn check_shape(config: &Config) -> std::result::Result<(), String> {
    let Config { hidden_size, num_attention_heads: heads, vocab_size, .. } = *config;
    if heads == 0 || hidden_size == 0 || vocab_size == 0 || !hidden_size.is_multiple_of(heads) {
        return Err(format!("`hidden_size` {hidden_size} and `num_attention_heads` {heads} do not fit each other"));
    }
    Ok(())
}

fn open(device: Device) -> Result<candle_core::Device> {
    let without = |feature: &str| {
        Error::new(ErrorKind::Unsupported, format!("the device {device} needs a build with the feature `{feature}`"))
    };
    let opened = match device {
        Device::Cpu => return Ok(candle_core::Device::Cpu),
        Device::Cuda(_) if !cfg!(feature = "cuda") => return Err(without("cuda")),
        Device::Metal(_) if !cfg!(feature = "metal") => return Err(without("metal")),
        Device::Cuda(number) => candle_core::Device::new_cuda(number),
        Device::Metal(number) => candle_core::Device::new_metal(number),
    };
    opened.map_err(|error| {
        Error::new(ErrorKind::Unavailable, format!("the device {device} does not open: {error}")).with_source(error)
    })
}

fn tokenizer_error(error: &tokenizers::Error) -> Error {
    Error::internal(format!("the tokeniser failed: {error}"))
}

#[cfg(test)]
mod tests;
