//! Errors of the engine as errors of JavaScript, with a `code` and a `context`.

use napi::bindgen_prelude::*;
use napi_derive::napi;
use rag_core::ErrorKind;

/// The error of JavaScript: the message, the kind as `code`, and the named facts as `context`. It has
/// `ofEngine`, so that it is told from errors of the caller's own code, which may have a `code` as well.
pub(crate) fn raise(env: &Env, error: &rag_core::Error) -> Error {
    let build = || {
        let mut raised = env.create_error(Error::from_reason(error.to_string()))?;
        let mut context = Object::new(env)?;
        for (name, value) in error.context() {
            context.set(name, value.as_str())?;
        }
        raised.set("code", error.kind().as_str())?;
        raised.set("context", context)?;
        raised.set("ofEngine", true)?;
        Ok(Error::from(raised.to_unknown()))
    };
    build().unwrap_or_else(|failure: Error| failure)
}

/// [`rag_core::Error::invalid`] as an error of JavaScript.
pub(crate) fn invalid(env: &Env, message: impl Into<String>) -> Error {
    raise(env, &rag_core::Error::invalid(message))
}

/// The `code` of every kind of error.
#[napi]
#[cfg_attr(test, allow(dead_code, reason = "napi exports nothing from a test program"))]
pub fn error_kinds() -> Vec<&'static str> {
    ErrorKind::ALL.iter().map(|kind| kind.as_str()).collect()
}
