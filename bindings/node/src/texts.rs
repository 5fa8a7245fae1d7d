//! Strings on their way between JavaScript and the engine: ids and questions.

use std::collections::VecDeque;

use napi_derive::napi;

/// How many are converted at once on the way out.
const SLICE: usize = 1024;

/// Strings that come or go in slices, so that the event loop waits for one slice at most.
#[napi]
#[derive(Default)]
pub struct Texts {
    inner: VecDeque<String>,
}

#[napi]
impl Texts {
    #[napi(constructor)]
    pub fn new() -> Self {
        Texts::default()
    }

    /// Puts some behind the others.
    #[napi]
    pub fn extend(&mut self, texts: Vec<String>) {
        self.inner.extend(texts);
    }

    /// The next ones; none after the last.
    #[napi]
    pub fn next(&mut self) -> Vec<String> {
        self.inner.drain(..self.inner.len().min(SLICE)).collect()
    }

    /// All of them; nothing is left.
    pub(crate) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.inner).into()
    }
}

impl From<Vec<String>> for Texts {
    fn from(texts: Vec<String>) -> Self {
        Texts { inner: texts.into() }
    }
}
