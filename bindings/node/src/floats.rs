//! Numbers on their way from JavaScript to other threads.

use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::convert::count;

/// Numbers that come in slices. They are copied, since a worker thread that ends takes its arrays with it, whoever reads them.
#[napi]
pub struct Floats {
    inner: Vec<f32>,
}

#[napi]
impl Floats {
    /// Room for so many.
    #[napi(constructor)]
    pub fn new(env: &Env, length: f64) -> Result<Self> {
        let mut inner = Vec::new();
        inner.try_reserve_exact(count(env, "length", length)?).map_err(|error| {
            let error = rag_core::Error::new(rag_core::ErrorKind::ResourceExhausted, "no memory for the values")
                .with_source(error);
            crate::errors::raise(env, &error)
        })?;
        Ok(Floats { inner })
    }

    /// Puts some behind the others.
    #[napi]
    pub fn extend(&mut self, values: Float32ArraySlice<'_>) {
        self.inner.extend_from_slice(&values);
    }

    /// All of them; nothing is left.
    pub(crate) fn take(&mut self) -> Vec<f32> {
        std::mem::take(&mut self.inner)
    }
}
