//! Documents on their way from JavaScript to the engine.

use std::time::{Duration, Instant};

use napi::bindgen_prelude::*;
use napi_derive::napi;
use rag_core::Document;

use crate::convert;

/// How long documents are converted before the event loop gets its turn.
const SLICE: Duration = Duration::from_millis(4);

/// Documents that wait to be handed over together.
#[napi]
#[derive(Default)]
pub struct Batch {
    inner: rag_runtime::Batch,
    /// Documents that came before those.
    before: usize,
}

#[napi]
impl Batch {
    #[napi(constructor)]
    pub fn new() -> Self {
        Batch::default()
    }

    /// Converts documents from position `start` on until the event loop wants its turn; gives the position of the next.
    #[napi(ts_args_type = "documents: ReadonlyArray<unknown>, start: number")]
    pub fn extend(&mut self, env: &Env, documents: Array<'_>, start: u32) -> Result<u32> {
        let begin = Instant::now();
        let mut at = start;
        while at < documents.len() {
            self.push(env, documents.get_element(at)?)?;
            at += 1;
            if begin.elapsed() >= SLICE {
                break;
            }
        }
        Ok(at)
    }

    /// Converts a document; gives whether it is time to hand them over.
    #[napi(ts_args_type = "document: unknown")]
    pub fn push(&mut self, env: &Env, document: Unknown<'_>) -> Result<bool> {
        let position = self.before + self.inner.len();
        self.inner.push(convert::document(env, document, position)?);
        Ok(self.inner.is_full())
    }

    /// Whether there are none.
    #[napi(getter)]
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    /// The documents; the batch is empty again.
    pub(crate) fn take(&mut self) -> Vec<Document> {
        self.before += self.inner.len();
        self.inner.take()
    }
}
