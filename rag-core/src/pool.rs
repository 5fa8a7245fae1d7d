//! Threads of our own.

use std::sync::{Arc, Mutex};

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, ErrorKind, Result};

/// Threads, made when first needed, and again in a forked child, where those of the parent do not exist.
#[derive(Debug)]
pub(crate) struct Pool {
    name: &'static str,
    threads: usize,
    made: Mutex<Option<(u32, Arc<ThreadPool>)>>,
}

impl Pool {
    /// `threads`: 0 for as many as there are processors.
    pub(crate) fn new(name: &'static str, threads: usize) -> Self {
        Pool { name, threads, made: Mutex::new(None) }
    }

    /// Runs `work` where it may spread over these threads; on the calling one when there is but one.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match self.several() {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// Runs two pieces of work, side by side where there is more than one thread.
    pub(crate) fn both<A: Send, B: Send>(&self, a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
        match self.several() {
            Some(pool) => pool.join(a, b),
            None => (a(), b()),
        }
    }

    /// Works on every item, in the order of the items, side by side where there is more than one thread.
    pub(crate) fn map<T: Sync, U: Send>(&self, items: &[T], work: impl Fn(&T) -> U + Sync + Send) -> Vec<U> {
        match self.several() {
            Some(pool) => pool.install(|| items.par_iter().map(work).collect()),
            None => items.iter().map(work).collect(),
        }
    }

    /// Runs `work` on these threads while the calling one sleeps: for callers that hold a lock. A caller from another
    /// rayon pool would else pass the time with other work of that pool, which may want the same lock.
    ///
    /// # Errors
    /// Those of `work`; `ResourceExhausted` when the system gives no thread.
    pub(crate) fn run_apart<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let pool = self.get()?;
        if rayon::current_thread_index().is_none() {
            return pool.install(work);
        }
        let mut done = None;
        std::thread::scope(|scope| {
            let hand_over = || done = Some(pool.install(work));
            std::thread::Builder::new().name(self.name.to_owned()).spawn_scoped(scope, hand_over).map(drop)
        })
        .map_err(no_thread)?;
        done.unwrap_or_else(|| Err(Error::internal("work that was handed over did not end")))
    }

    fn several(&self) -> Option<Arc<ThreadPool>> {
        if self.threads == 1 {
            return None;
        }
        self.get().ok().filter(|pool| pool.current_num_threads() > 1)
    }

    fn get(&self) -> Result<Arc<ThreadPool>> {
        let mut made = self.made.lock().map_err(|_| Error::internal("making the threads of the engine failed"))?;
        match &*made {
            Some((process, pool)) if *process == std::process::id() => Ok(pool.clone()),
            stale => {
                if let Some((_, pool)) = stale {
                    std::mem::forget(pool.clone()); // its threads live in the parent; joining them would never end
                }
                let name = self.name;
                let builder =
                    ThreadPoolBuilder::new().num_threads(self.threads).thread_name(move |i| format!("{name}-{i}"));
                let pool = Arc::new(builder.build().map_err(no_thread)?);
                *made = Some((std::process::id(), pool.clone()));
                Ok(pool)
            }
        }
    }
}

fn no_thread(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::ResourceExhausted, "the system gives no more threads").with_source(error)
}
