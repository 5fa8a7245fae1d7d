//! A model of your own: `cargo run -p rag-examples --example own_embedder`
//!
//! Anything that turns text into vectors can stand behind the `Embedder` trait. This one needs no weights: it hashes
//! groups of three letters, so that words with common parts are close, misspelt ones too.

#![allow(clippy::print_stdout)]

use std::sync::Arc;

use rag_core::embed::{Embedder, Embeddings, TextKind};
use rag_core::engine::{Mode, SearchRequest};
use rag_core::governance::{ModelIdentity, Pooling, Prompts, Quantization};
use rag_core::{Cancel, Document, Engine, ErrorKind, Result, Scope};

const DIMENSION: usize = 512;

#[derive(Debug)]
struct Trigrams {
    identity: ModelIdentity,
}

impl Trigrams {
    fn new() -> Self {
        // The identity is everything that changes the vectors. It is stored with them: a folder that was embedded with one
        // model does not open with another. For a model with weights, `source_hash` is the SHA-256 of these; for an
        // algorithm, change it whenever the algorithm changes.
        let identity = ModelIdentity {
            name: "trigrams".to_owned(),
            quantization: Quantization::F32,
            source_hash: format!("{:064x}", 1),
            dimension: DIMENSION,
            pooling: Pooling::Mean,
            prompts: Prompts::default(),
        };
        Trigrams { identity }
    }
}

impl Embedder for Trigrams {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    // Long documents are cut into chunks, measured in the tokens of the model. This model reads texts of any length …
    fn max_tokens(&self) -> Option<usize> {
        None
    }

    // … and its tokens are words; the chunker wants to know where they start.
    fn token_starts(&self, text: &str) -> Result<Vec<u32>> {
        let mut starts = Vec::new();
        let mut in_word = false;
        for (at, letter) in text.char_indices() {
            if letter.is_alphanumeric() && !in_word {
                starts.push(at as u32);
            }
            in_word = letter.is_alphanumeric();
        }
        Ok(starts)
    }

    // One row a text, finite and of length 1; a text must get the same vector alone and in any batch.
    fn embed(&self, texts: &[&str], _: TextKind, cancel: &Cancel) -> Result<Embeddings> {
        let mut vectors = Vec::with_capacity(texts.len() * DIMENSION);
        for text in texts {
            cancel.check()?; // the caller may have given up, or its time may be over
            vectors.extend(embed(text));
        }
        Ok(Embeddings { dimension: DIMENSION, vectors, truncated: vec![false; texts.len()] })
    }

    // How much the dense run counts against BM25 in the default fusion; measure it on your own questions.
    fn dense_weight(&self) -> f32 {
        0.4
    }
}

fn embed(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0f32; DIMENSION];
    for word in text.to_lowercase().split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let letters: Vec<char> = format!(" {word} ").chars().collect();
        for group in letters.windows(3) {
            // FNV-1a, a hash that is the same for ever; that of the standard library may change.
            let hash = group.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, &letter| {
                (hash ^ u64::from(u32::from(letter))).wrapping_mul(0x0100_0000_01b3)
            });
            vector[(hash % DIMENSION as u64) as usize] += 1.0;
        }
    }
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        for value in &mut vector {
            *value /= length;
        }
    }
    vector
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let engine = Engine::builder().embedder(Arc::new(Trigrams::new())).open(folder.path())?;
    let scope = Scope::default();
    engine.upsert(
        &scope,
        vec![
            Document::new("a", "Accommodation near the railway station"),
            Document::new("b", "Recommended restaurants in the old town"),
            Document::new("c", "Opening hours of the public library"),
        ],
    )?;
    engine.commit()?;

    // BM25 knows none of these words; the dense retriever finds them by their parts.
    for mode in [Mode::Lexical, Mode::Dense] {
        let question = "acomodation raillway"; // typos: ignore
        let answer = engine.search(&scope, &SearchRequest::new(question, 1).with_mode(mode))?;
        println!("{mode:?}: {:?}", answer.hits.first().map(|hit| (&hit.id, hit.score)));
        assert_eq!(answer.hits.first().map(|hit| hit.id.as_str()), (mode == Mode::Dense).then_some("a"));
    }

    // The vectors are those of this model, so the bundled one is refused, and the message tells the two apart.
    drop(engine);
    match Engine::open(folder.path()) {
        Err(error) if error.kind() == ErrorKind::ModelMismatch => println!("refused: {error}"),
        other => return Err(format!("expected a refusal, got {other:?}").into()),
    }
    Ok(())
}
