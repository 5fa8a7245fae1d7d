//! Calling the engine away from the event loop: what is quick on a thread of libuv's pool, what may take long on one of
//! its own, so that four long calls do not leave the pool without a thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use napi::bindgen_prelude::*;
use napi_derive::napi;
use rag_core::{Error, ErrorKind, Result};

use crate::errors::{invalid, raise};

/// A call on libuv's pool. What its work has captured is dropped on the thread of JavaScript, as arrays of JavaScript
/// must be.
pub struct Pooled<T> {
    work: Box<dyn FnMut() -> Result<T> + Send>,
}

/// Runs `work` on libuv's pool.
pub(crate) fn pooled<T>(work: impl FnMut() -> Result<T> + Send + 'static) -> AsyncTask<Pooled<T>>
where
    T: ToNapiValue + TypeName + Send + 'static,
{
    AsyncTask::new(Pooled { work: Box::new(work) })
}

impl<T: ToNapiValue + TypeName + Send + 'static> Task for Pooled<T> {
    type Output = Result<T>;
    type JsValue = T;

    fn compute(&mut self) -> napi::Result<Result<T>> {
        Ok(guarded(&mut self.work))
    }

    fn resolve(&mut self, env: Env, output: Result<T>) -> napi::Result<T> {
        output.map_err(|error| raise(&env, &error))
    }
}

/// Runs `work` on a thread of its own and gives the promise. What the work has captured is dropped on the thread of
/// JavaScript.
pub(crate) fn apart<T>(env: &Env, mut work: impl FnMut() -> Result<T> + Send + 'static) -> napi::Result<Object<'_>>
where
    T: ToNapiValue + Send + 'static,
{
    // The thread comes first: a promise whose thread cannot be had would wait for ever.
    let (send, receive) = sync_channel::<Box<dyn FnOnce() + Send>>(1);
    let run = move || receive.recv().map_or((), |job| job());
    std::thread::Builder::new().name("rag-call".to_owned()).spawn(run).map_err(|error| {
        raise(env, &Error::new(ErrorKind::ResourceExhausted, "no thread for the call").with_source(error))
    })?;
    let (deferred, promise) = env.create_deferred()?;
    let job = move || {
        let result = guarded(&mut work);
        deferred.resolve(move |env: Env| {
            drop(work);
            result.map_err(|error| raise(&env, &error))
        });
    };
    send.send(Box::new(job)).map_err(|_| raise(env, &Error::internal("the thread of the call is gone")))?;
    Ok(promise)
}

/// A panic must not unwind into C.
fn guarded<T>(work: &mut impl FnMut() -> Result<T>) -> Result<T> {
    let defect = |_| Err(Error::internal("the call ended in a defect of this software"));
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(defect)
}

/// A way to stop calls.
#[napi]
pub struct Cancel {
    inner: rag_core::Cancel,
}

#[napi]
impl Cancel {
    /// With a deadline in milliseconds from now, if any.
    #[napi(constructor)]
    pub fn new(env: &Env, timeout_ms: Option<f64>) -> napi::Result<Self> {
        let Some(milliseconds) = timeout_ms else { return Ok(Cancel { inner: rag_core::Cancel::never() }) };
        match Duration::try_from_secs_f64(milliseconds / 1000.0) {
            Ok(budget) => Ok(Cancel { inner: rag_core::Cancel::after(budget) }),
            Err(_) => Err(invalid(env, format!("`timeoutMs` is {milliseconds}; give milliseconds, at least 0"))),
        }
    }

    /// Stops the calls that were given it at their next check.
    #[napi]
    pub fn cancel(&self) {
        self.inner.cancel();
    }

    /// Fails once the deadline has passed, or the call was stopped.
    #[napi]
    pub fn check(&self, env: &Env) -> napi::Result<()> {
        self.inner.check().map_err(|error| raise(env, &error))
    }
}

/// What a call looks at while it works.
pub(crate) fn token(cancel: Option<&Cancel>) -> rag_core::Cancel {
    cancel.map_or_else(rag_core::Cancel::never, |cancel| cancel.inner.clone())
}
