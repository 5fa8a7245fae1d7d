//! Threads of our own.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, ErrorKind, Result};

/// Threads, made when first needed, and again in a forked child, where those of the parent do not exist.
/// There is no lock in here that a fork could leave locked.
#[derive(Debug)]
pub(crate) struct Pool {
    name: &'static str,
    threads: usize,
    /// With the process whose threads they are.
    made: ArcSwapOption<(u32, ThreadPool)>,
}

impl Pool {
    /// `threads`: 0 for as many as there are processors.
    pub(crate) fn new(name: &'static str, threads: usize) -> Self {
        Pool { name, threads, made: ArcSwapOption::empty() }
    }

    /// Runs `work` where it may spread over these threads; on the calling one when there is but one.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match self.several() {
            Some(pool) => pool.1.install(work),
            None => work(),
        }
    }

    /// Runs two pieces of work, side by side where there is more than one thread.
    pub(crate) fn both<A: Send, B: Send>(&self, a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
        match self.several() {
            Some(pool) => pool.1.join(a, b),
            None => (a(), b()),
        }
    }

    /// Works on every item, in the order of the items, side by side where there is more than one thread.
    pub(crate) fn map<T: Sync, U: Send>(&self, items: &[T], work: impl Fn(&T) -> U + Sync + Send) -> Vec<U> {
        match self.several() {
            Some(pool) => pool.1.install(|| items.par_iter().map(work).collect()),
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
            return pool.1.install(work);
        }
        let mut done = None;
        std::thread::scope(|scope| {
            let hand_over = || done = Some(pool.1.install(work));
            std::thread::Builder::new().name(self.name.to_owned()).spawn_scoped(scope, hand_over).map(drop)
        })
        .map_err(no_thread)?;
        done.unwrap_or_else(|| Err(Error::internal("work that was handed over did not end")))
    }

    /// Does `work` on one of these threads while the caller goes on; before it goes on where the system gives no thread.
    pub(crate) fn spawn(&self, work: impl FnOnce() + Send + 'static) {
        match self.get() {
            Ok(pool) => pool.1.spawn(work),
            Err(_) => work(),
        }
    }

    fn several(&self) -> Option<Arc<(u32, ThreadPool)>> {
        if self.threads == 1 {
            return None;
        }
        self.get().ok().filter(|pool| pool.1.current_num_threads() > 1)
    }

    fn get(&self) -> Result<Arc<(u32, ThreadPool)>> {
        let made = self.made.load();
        if let Some(pool) = made.as_ref().filter(|pool| pool.0 == std::process::id()) {
            return Ok(pool.clone());
        }
        let name = self.name;
        let builder = ThreadPoolBuilder::new().num_threads(self.threads).thread_name(move |i| format!("{name}-{i}"));
        let pool = Arc::new((std::process::id(), builder.build().map_err(no_thread)?));
        let before = self.made.compare_and_swap(&made, Some(pool.clone()));
        match &*before {
            // Another thread was quicker.
            Some(theirs) if theirs.0 == pool.0 => return Ok(theirs.clone()),
            // Its threads live in the parent; joining them would never end.
            Some(stale) => std::mem::forget(stale.clone()),
            None => {}
        }
        Ok(pool)
    }
}

fn no_thread(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::ResourceExhausted, "the system gives no more threads").with_source(error)
}
