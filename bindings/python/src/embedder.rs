//! Embedding models.

use std::path::PathBuf;
use std::sync::Arc;

use numpy::ndarray::Array2;
use numpy::{IntoPyArray, PyArray2};
use pyo3::prelude::*;
use rag_core::embed::{self, Device, ModelOptions, TextKind};
use rag_core::{Cancel, Error};

use crate::call::interruptible;
use crate::convert::{count, strings};
use crate::errors::raise;

/// Texts between two looks for Ctrl-C and two steps of the progress.
const STEP: usize = 1024;

/// A model that turns texts into vectors.
#[pyclass(frozen, module = "rag_core")]
pub(crate) struct Embedder {
    pub(crate) inner: Arc<dyn embed::Embedder>,
}

#[pymethods]
impl Embedder {
    /// Loads a model, offline.
    ///
    /// Args:
    ///     path: A sentence-transformers folder (config.json, tokenizer.json, model.safetensors) or a static model file;
    ///         None for the bundled model.
    ///     device: "cpu", "cuda", "cuda:1" or "metal".
    ///     query_prompt: Text put before every query, instead of what the model's files say; document_prompt alike.
    ///     max_tokens: Most tokens of a text, special tokens included.
    ///
    /// Raises:
    ///     NotFound: Names the file that is missing.
    #[staticmethod]
    #[pyo3(signature = (path: "str | os.PathLike[str] | None" = None, *, device: "str" = "cpu", query_prompt: "str | None" = None, document_prompt: "str | None" = None, max_tokens: "int | None" = None) -> "Embedder")]
    fn load(
        py: Python<'_>,
        path: Option<PathBuf>,
        device: &str,
        query_prompt: Option<String>,
        document_prompt: Option<String>,
        max_tokens: Option<usize>,
    ) -> PyResult<Embedder> {
        let device: Device = device.parse().map_err(|error: Error| raise(py, &error))?;
        let mut options = ModelOptions::new().with_device(device);
        options.query_prompt = query_prompt;
        options.passage_prompt = document_prompt;
        options.max_tokens = max_tokens;
        let inner = interruptible(py, &Cancel::never(), |_| embed::load_or_bundled(path.as_deref(), &options))?;
        Ok(Embedder { inner })
    }

    /// Embeds texts.
    ///
    /// Args:
    ///     texts: The texts.
    ///     kind: "document" or "query"; some models put different words before the two.
    ///     batch_tokens: About how many tokens go through the model at once, where it computes in batches; None for what
    ///         suits it.
    ///     progress: Show a bar on stderr, if tqdm is installed.
    ///
    /// Returns:
    ///     An array of shape (len(texts), dimension) and type float32; rows have length 1, or are zeros for a text without
    ///     a known word.
    #[pyo3(signature = (texts: "collections.abc.Sequence[str]", kind: "str" = "document", *, batch_tokens: "int | None" = None, progress: "bool" = false) -> "numpy.typing.NDArray[numpy.float32]")]
    fn encode<'py>(
        &self,
        py: Python<'py>,
        texts: &Bound<'py, PyAny>,
        kind: &str,
        batch_tokens: Option<i128>,
        progress: bool,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let kind: TextKind = kind.parse().map_err(|error: Error| raise(py, &error))?;
        let texts = strings(texts, "texts")?;
        let batch_tokens = batch_tokens.map(|tokens| count(py, "batch_tokens", tokens)).transpose()?;
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let bar = progress.then(|| bar(py, texts.len())).transpose()?.flatten();
        let mut vectors = Vec::with_capacity(texts.len() * self.inner.dimension());
        for part in texts.chunks(STEP) {
            let made = interruptible(py, &Cancel::never(), |cancel| {
                self.inner.embed_batched(part, kind, batch_tokens, cancel)
            })?;
            vectors.extend_from_slice(&made.vectors);
            if let Some(bar) = &bar {
                bar.call_method1("update", (part.len(),))?;
            }
        }
        if let Some(bar) = &bar {
            bar.call_method0("close")?;
        }
        let rows = Array2::from_shape_vec((texts.len(), self.inner.dimension()), vectors);
        let rows = rows
            .map_err(|error| raise(py, &Error::internal("the model gave rows of another length").with_source(error)))?;
        Ok(rows.into_pyarray(py))
    }

    /// Values of a vector.
    #[getter]
    fn dimension(&self) -> usize {
        self.inner.dimension()
    }

    /// Most tokens of a document that reach the model; None: no limit.
    #[getter]
    fn max_tokens(&self) -> Option<usize> {
        self.inner.max_tokens()
    }

    /// Which model this is, in words.
    #[getter]
    fn name(&self) -> String {
        self.inner.identity().name.clone()
    }

    fn __repr__(&self) -> String {
        format!("Embedder({})", self.inner.identity())
    }
}

fn bar(py: Python<'_>, total: usize) -> PyResult<Option<Bound<'_, PyAny>>> {
    let Ok(tqdm) = py.import("tqdm.auto") else { return Ok(None) };
    let arguments = pyo3::types::PyDict::new(py);
    arguments.set_item("total", total)?;
    arguments.set_item("unit", "texts")?;
    tqdm.call_method("tqdm", (), Some(&arguments)).map(Some)
}
