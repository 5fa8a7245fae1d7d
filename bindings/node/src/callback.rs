//! Asking functions of JavaScript from other threads: the event loop runs the function when its turn comes, and the thread
//! waits for the answer.

use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, ThreadId};
use std::time::Duration;

use napi::Status;
use napi::bindgen_prelude::*;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode, UnknownReturnValue};
use rag_core::{Cancel, Error, ErrorKind, Result};

/// How long is waited before it is looked whether there is still something to wait for.
const PATIENCE: Duration = Duration::from_millis(10);

/// A function of JavaScript. It does not keep the process alive; the promise of the call that asks it does.
pub(crate) struct Callback<T: ToNapiValue + 'static> {
    function: ThreadsafeFunction<T, UnknownReturnValue, T, Status, false, true>,
    /// The thread of JavaScript, which cannot wait for itself.
    home: ThreadId,
}

impl<T: ToNapiValue + 'static> fmt::Debug for Callback<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").finish_non_exhaustive()
    }
}

/// Where the answer to one question goes. Dropped without one, it says so.
#[derive(Debug)]
pub(crate) struct Reply<A>(Option<SyncSender<A>>);

impl<A> Reply<A> {
    /// Gives the answer. Only the first one counts.
    pub(crate) fn give(&mut self, answer: A) {
        if let Some(waiting) = self.0.take() {
            let _ = waiting.send(answer); // an error: nobody waits any more
        }
    }
}

impl<T: ToNapiValue + 'static> Callback<T> {
    /// On the thread of JavaScript.
    pub(crate) fn new(function: &Function<'_, T, UnknownReturnValue>) -> napi::Result<Self> {
        let function = function.build_threadsafe_function::<T>().callee_handled::<false>().weak::<true>().build()?;
        Ok(Callback { function, home: thread::current().id() })
    }

    /// Asks the function and waits for its answer.
    ///
    /// # Errors
    /// `Cancelled` and `DeadlineExceeded`; `Unavailable` when there will be no answer, since the thread of JavaScript ends or
    /// the question was thrown away.
    pub(crate) fn ask<A>(&self, question: impl FnOnce(Reply<A>) -> T, cancel: &Cancel) -> Result<A> {
        if thread::current().id() == self.home {
            let message = "the system gives no thread that could wait for a function of JavaScript";
            return Err(Error::new(ErrorKind::ResourceExhausted, message));
        }
        let (send, receive) = sync_channel(1);
        let question = question(Reply(Some(send)));
        if self.function.call(question, ThreadsafeFunctionCallMode::NonBlocking) != Status::Ok {
            return Err(gone());
        }
        self.answer(&receive, cancel)
    }

    fn answer<A>(&self, receive: &Receiver<A>, cancel: &Cancel) -> Result<A> {
        loop {
            match receive.recv_timeout(PATIENCE) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
                Err(RecvTimeoutError::Timeout) => cancel.check()?,
            }
            // Questions that the end of a worker thread overtakes are never thrown away.
            if self.function.aborted() {
                return Err(gone());
            }
        }
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Unavailable, "a function of JavaScript gave no answer: its thread ends")
}
