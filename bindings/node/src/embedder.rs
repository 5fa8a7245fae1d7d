//! Embedding models.

use std::path::PathBuf;
use std::sync::Arc;

use napi::bindgen_prelude::*;
use napi_derive::napi;
use rag_core::embed::{self, Device, ModelOptions, TextKind};

use crate::call::{Cancel, apart, token};
use crate::convert::optional;
use crate::errors::raise;

/// A model that turns texts into vectors.
#[napi]
pub struct Embedder {
    pub(crate) inner: Arc<dyn embed::Embedder>,
}

/// How a model is loaded.
#[napi(object, object_to_js = false)]
pub struct LoadArguments {
    pub device: Option<String>,
    pub query_prompt: Option<String>,
    pub document_prompt: Option<String>,
    pub max_tokens: Option<f64>,
}

#[napi]
impl Embedder {
    #[napi(ts_return_type = "Promise<Embedder>")]
    pub fn load<'env>(env: &'env Env, path: Option<String>, arguments: LoadArguments) -> Result<Object<'env>> {
        let device = arguments.device.as_deref().map_or(Ok(Device::default()), str::parse);
        let mut options = ModelOptions::new().with_device(device.map_err(|error| raise(env, &error))?);
        options.query_prompt = arguments.query_prompt;
        options.passage_prompt = arguments.document_prompt;
        options.max_tokens = optional(env, "maxTokens", arguments.max_tokens)?;
        let path = path.map(PathBuf::from);
        apart(env, move || Ok(Embedder { inner: embed::load_or_bundled(path.as_deref(), &options)? }))
    }

    /// The vectors of some texts, row by row.
    #[napi(ts_return_type = "Promise<Float32Array>")]
    pub fn encode<'env>(
        &self,
        env: &'env Env,
        texts: Vec<String>,
        kind: Option<String>,
        batch_tokens: Option<f64>,
        cancel: Option<&Cancel>,
    ) -> Result<Object<'env>> {
        let kind = kind.as_deref().map_or(Ok(TextKind::Passage), str::parse).map_err(|error| raise(env, &error))?;
        let batch_tokens = optional(env, "batchTokens", batch_tokens)?;
        let (inner, cancel) = (self.inner.clone(), token(cancel));
        apart(env, move || {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let made = inner.embed_batched(&texts, kind, batch_tokens, &cancel)?;
            Ok(Float32Array::new(made.vectors))
        })
    }

    #[napi(getter)]
    pub fn dimension(&self) -> i64 {
        self.inner.dimension() as i64
    }

    #[napi(getter)]
    pub fn max_tokens(&self) -> Option<i64> {
        self.inner.max_tokens().map(|tokens| tokens as i64)
    }

    #[napi(getter)]
    pub fn name(&self) -> String {
        self.inner.identity().name.clone()
    }
}
