//! An engine that can be closed while calls are under way.

use std::convert::Infallible;
use std::ops::Deref;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use rag_core::{Engine, Error, Result};

/// An open engine, until it is closed.
#[derive(Debug)]
pub struct Handle {
    open: Mutex<Option<Open>>,
}

/// Each call under way has a sender; when all are gone the receiver is told.
#[derive(Debug)]
struct Open {
    engine: Engine,
    under_way: Sender<Infallible>,
    done: Receiver<Infallible>,
    /// The process that opened it: a forked child does not see calls of its parent end.
    process: u32,
}

/// The engine of one call.
#[derive(Debug, Clone)]
pub struct Call {
    engine: Engine,
    _under_way: Sender<Infallible>,
}

impl Deref for Call {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.engine
    }
}

impl Handle {
    /// Of an engine that nobody else has.
    pub fn new(engine: Engine) -> Self {
        let (under_way, done) = channel();
        Handle { open: Mutex::new(Some(Open { engine, under_way, done, process: std::process::id() })) }
    }

    /// The engine for one call.
    ///
    /// # Errors
    /// `InvalidArgument` once it is closed.
    pub fn call(&self) -> Result<Call> {
        match &*self.open.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(Open { engine, under_way, .. }) => Ok(Call { engine: engine.clone(), _under_way: under_way.clone() }),
            None => Err(Error::invalid("the engine is closed; open it again")),
        }
    }

    /// Whether it is still open.
    pub fn is_open(&self) -> bool {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Lets no further call begin.
    pub fn close(&self) -> Closing {
        Closing { open: self.open.lock().unwrap_or_else(PoisonError::into_inner).take() }
    }
}

/// An engine that takes no further calls.
#[derive(Debug)]
#[must_use]
pub struct Closing {
    open: Option<Open>,
}

impl Closing {
    /// Waits for the calls under way, and closes the folder.
    pub fn wait(self) {
        if let Some(Open { engine, under_way, done, process }) = self.open {
            drop(under_way);
            if process == std::process::id() {
                let _ = done.recv(); // an error: there is no sender left
            }
            let _working = rag_core::fork::enter();
            drop(engine);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Duration;

    #[test]
    fn closing_waits_for_calls_and_frees_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let handle = Handle::new(Engine::open(folder.path()).unwrap());
        let call = handle.call().unwrap();
        let (tell, told) = channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                handle.close().wait();
                tell.send(()).unwrap();
            });
            while handle.is_open() {}
            assert!(handle.call().unwrap_err().to_string().contains("closed"));
            assert!(told.recv_timeout(Duration::from_millis(50)).is_err(), "a call is under way");
            drop(call);
            told.recv().unwrap();
        });
        Engine::open(folder.path()).unwrap();
    }
}
