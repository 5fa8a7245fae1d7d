//! Who works.

use rayon::prelude::*;

use crate::error::{Error, Result};

/// The threads of one training or scoring: the caller's alone, or a pool that lives as long as it. No other pool is
/// touched, so that nothing is left behind which a later fork would miss.
pub(crate) struct Threads(Option<rayon::ThreadPool>);

/// Most threads that may be asked for.
pub(crate) const MAX_THREADS: usize = 1024;

impl Threads {
    /// `0`: one for each processor. Never more than there are `tasks`.
    pub(crate) fn new(count: usize, tasks: usize) -> Result<Threads> {
        let available = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let count = if count == 0 { available() } else { count }.min(tasks.max(1));
        if count == 1 {
            return Ok(Threads(None));
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count).thread_name(|at| format!("rag-ltr-{at}"));
        let refused = |cause| Error::Threads(format!("{count} threads could not be started ({cause}); ask for fewer"));
        pool.build().map(|pool| Threads(Some(pool))).map_err(refused)
    }

    /// How many work.
    pub(crate) fn count(&self) -> usize {
        self.0.as_ref().map_or(1, rayon::ThreadPool::current_num_threads)
    }

    /// Runs `work` on a thread of the pool, so that what it calls here need not move there each time.
    pub(crate) fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.0 {
            None => work(),
            Some(pool) => pool.install(work),
        }
    }

    /// Does something with each item; in which order and where must not matter.
    pub(crate) fn for_each<T: Send>(&self, items: &mut [T], work: impl Fn(&mut T) + Send + Sync) {
        match &self.0 {
            Some(pool) if items.len() > 1 => pool.install(|| items.par_iter_mut().with_max_len(1).for_each(work)),
            _ => items.iter_mut().for_each(work),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn there_are_no_more_than_tasks() {
        for (count, tasks, expected) in [(64, 3, 3), (2, 3, 2), (5, 0, 1), (0, 1, 1), (1, 9, 1)] {
            assert_eq!(Threads::new(count, tasks).unwrap().count(), expected, "{count} for {tasks}");
        }
    }
}
