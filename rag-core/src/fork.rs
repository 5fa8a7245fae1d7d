//! For processes that fork: a child has the memory of its parent and none of its threads, so a lock that one of them holds
//! at that moment stays locked in the child for ever.
//!
//! The engine itself cannot see a fork coming. Who forks (or a binding of a language that does) calls [`quiesce`] right
//! before and drops what it gives right after, in parent and child; and whoever calls the engine from other threads of
//! that process holds what [`enter`] gives meanwhile. What takes long inside of a call and holds no lock, such as
//! embedding, lets a fork pass by itself.
//!
//! ```
//! let quiet = rag_core::fork::quiesce(); // waits for calls under way; those of other threads wait from now on
//! // fork here
//! drop(quiet);
//! ```

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Readers: threads inside of a call. Writer: the thread that forks.
static GATE: RwLock<()> = RwLock::new(());

thread_local! {
    static INSIDE: RefCell<Option<RwLockReadGuard<'static, ()>>> = const { RefCell::new(None) };
}

/// A call under way on this thread.
#[derive(Debug)]
#[must_use]
pub struct Working {
    is_outermost: bool,
    /// It belongs to its thread.
    _thread: PhantomData<*const ()>,
}

/// No call is under way on any other thread.
#[derive(Debug)]
#[must_use]
pub struct Quiet {
    _alone: RwLockWriteGuard<'static, ()>,
}

/// Begins a call; waits while another thread forks. Calls may be nested.
pub fn enter() -> Working {
    let is_outermost = INSIDE.with_borrow(Option::is_none);
    if is_outermost {
        go_in();
    }
    Working { is_outermost, _thread: PhantomData }
}

impl Drop for Working {
    fn drop(&mut self) {
        if self.is_outermost {
            INSIDE.set(None);
        }
    }
}

fn go_in() {
    let inside = GATE.read().unwrap_or_else(PoisonError::into_inner);
    INSIDE.set(Some(inside));
}

/// Waits until no other thread is in a call, and keeps them out until it is dropped. Not to be called inside of a call.
pub fn quiesce() -> Quiet {
    Quiet { _alone: GATE.write().unwrap_or_else(PoisonError::into_inner) }
}

/// Does what takes long and holds no lock that a search needs, so that nobody who forks waits for it.
#[cfg_attr(not(any(feature = "engine", feature = "hnsw", feature = "candle")), allow(dead_code))]
pub(crate) fn aside<T>(work: impl FnOnce() -> T) -> T {
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            if self.0 {
                go_in();
            }
        }
    }
    let _back = Back(INSIDE.take().is_some());
    work()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn who_forks_waits_for_calls_but_not_for_what_is_done_aside() {
        let (tell, told) = channel();
        let (go_on, wait) = channel::<()>();
        let (end_fork, fork_ends) = channel::<()>();
        let nothing = || told.recv_timeout(Duration::from_millis(50)).is_err();
        std::thread::scope(|scope| {
            let tell_of_call = tell.clone();
            scope.spawn(move || {
                let _outer = enter();
                drop(enter()); // an inner call that ends does not end the outer one
                tell_of_call.send("working").ok();
                wait.recv().ok();
                aside(|| {
                    tell_of_call.send("aside").ok();
                    wait.recv().ok();
                });
                tell_of_call.send("back").ok();
            });
            assert_eq!(told.recv(), Ok("working"));
            scope.spawn(move || {
                let quiet = quiesce();
                tell.send("quiet").ok();
                fork_ends.recv().ok();
                tell.send("over").ok();
                drop(quiet);
            });
            assert!(nothing(), "nobody is quiet inside of a call");
            go_on.send(()).ok();
            assert_eq!((told.recv(), told.recv()), (Ok("aside"), Ok("quiet")));
            go_on.send(()).ok();
            assert!(nothing(), "the call comes back only after the fork");
            end_fork.send(()).ok();
            assert_eq!((told.recv(), told.recv()), (Ok("over"), Ok("back")));
        });
    }
}
