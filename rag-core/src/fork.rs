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

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Who is where. A fork happens while its thread holds the lock of this.
static GATE: Mutex<Gate> = Mutex::new(Gate { inside: 0, waiting: 0 });
static CHANGED: Condvar = Condvar::new();

#[derive(Debug)]
struct Gate {
    /// Threads inside of a call.
    inside: usize,
    /// Threads that wait to fork. Nobody begins a call before they are through; whoever is in one, or aside of one, ends it,
    /// since others that are inside may wait for what it holds.
    waiting: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Outside,
    Inside,
    /// It forks: nobody else is inside, and what it calls itself passes.
    Forking,
}

thread_local! {
    static PLACE: Cell<Place> = const { Cell::new(Place::Outside) };
}

fn gate() -> MutexGuard<'static, Gate> {
    GATE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait(gate: MutexGuard<'static, Gate>) -> MutexGuard<'static, Gate> {
    CHANGED.wait(gate).unwrap_or_else(PoisonError::into_inner)
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
    gate: MutexGuard<'static, Gate>,
    before: Place,
    process: u32,
}

/// Begins a call; waits while another thread forks. Calls may be nested.
pub fn enter() -> Working {
    let is_outermost = PLACE.get() == Place::Outside;
    if is_outermost {
        let mut gate = gate();
        while gate.waiting > 0 {
            gate = wait(gate);
        }
        gate.inside += 1;
        PLACE.set(Place::Inside);
    }
    Working { is_outermost, _thread: PhantomData }
}

/// Begins the part of a call that runs on another thread than the call itself, such as a function of the caller's that the
/// engine calls from its own threads. Never waits: who waits to fork waits for the call already.
pub fn enter_part() -> Working {
    let is_outermost = PLACE.get() == Place::Outside;
    if is_outermost {
        gate().inside += 1;
        PLACE.set(Place::Inside);
    }
    Working { is_outermost, _thread: PhantomData }
}

impl Drop for Working {
    fn drop(&mut self) {
        if self.is_outermost {
            PLACE.set(Place::Outside);
            leave();
        }
    }
}

fn leave() {
    gate().inside -= 1;
    CHANGED.notify_all();
}

/// Waits until no other thread is in a call, and keeps them out until it is dropped.
pub fn quiesce() -> Quiet {
    let before = PLACE.get();
    let own = usize::from(before == Place::Inside);
    let mut gate = gate();
    gate.waiting += 1;
    while gate.inside > own {
        gate = wait(gate);
    }
    gate.waiting -= 1;
    PLACE.set(Place::Forking);
    Quiet { gate, before, process: std::process::id() }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        PLACE.set(self.before);
        if self.process != std::process::id() {
            // In the child nobody else waits.
            self.gate.waiting = 0;
        }
        CHANGED.notify_all();
    }
}

/// Does what takes long and holds no lock that a search needs, so that nobody who forks waits for it.
#[cfg_attr(not(any(feature = "engine", feature = "hnsw", feature = "candle")), allow(dead_code))]
pub(crate) fn aside<T>(work: impl FnOnce() -> T) -> T {
    struct Back;
    impl Drop for Back {
        fn drop(&mut self) {
            gate().inside += 1;
            PLACE.set(Place::Inside);
        }
    }
    let _back = (PLACE.get() == Place::Inside).then(|| {
        PLACE.set(Place::Outside);
        leave();
        Back
    });
    work()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    /// There is one gate for all tests.
    fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[test]
    fn who_forks_waits_for_calls_but_not_for_what_is_done_aside() {
        let (tell, told) = channel();
        let (go_on, wait) = channel::<()>();
        let (end_fork, fork_ends) = channel::<()>();
        let nothing = || told.recv_timeout(Duration::from_millis(50)).is_err();
        let _alone = alone();
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
            let mut both = [told.recv(), told.recv()]; // two threads tell, in either order
            both.sort_by_key(|told| told.ok());
            assert_eq!(both, [Ok("aside"), Ok("quiet")]);
            go_on.send(()).ok();
            assert!(nothing(), "the call comes back only after the fork");
            end_fork.send(()).ok();
            assert_eq!((told.recv(), told.recv()), (Ok("over"), Ok("back")));
        });
    }

    #[test]
    fn the_part_of_a_call_on_another_thread_waits_for_no_fork() {
        let (tell, told) = channel();
        let (go_on, wait) = channel::<()>();
        let _alone = alone();
        std::thread::scope(|scope| {
            let call = enter();
            let tell_of_fork = tell.clone();
            scope.spawn(move || {
                drop(quiesce());
                tell_of_fork.send("forked").ok();
            });
            while gate().waiting == 0 {
                std::thread::yield_now();
            }
            scope.spawn(move || {
                let _part = enter_part();
                drop(enter()); // what the part calls is inside of it
                tell.send("part").ok();
                wait.recv().ok();
            });
            assert_eq!(told.recv(), Ok("part"));
            drop(call);
            assert!(told.recv_timeout(Duration::from_millis(50)).is_err(), "the part is not over");
            go_on.send(()).ok();
            assert_eq!(told.recv(), Ok("forked"));
        });
    }

    #[test]
    fn a_call_that_was_aside_ends_before_a_fork_that_waits_for_another_call() {
        let (tell, told) = channel();
        let (held, begun, go_on) = (Mutex::new(()), Barrier::new(3), Barrier::new(2));
        let (held, begun, go_on) = (&held, &begun, &go_on);
        let _alone = alone();
        std::thread::scope(|scope| {
            let tell_of_first = tell.clone();
            scope.spawn(move || {
                let _working = enter();
                let _lock = held.lock();
                aside(|| {
                    begun.wait(); // the second one is inside, and soon waits for our lock
                    go_on.wait(); // somebody waits to fork
                });
                tell_of_first.send("first").ok();
            });
            let tell_of_second = tell.clone();
            scope.spawn(move || {
                let _working = enter();
                begun.wait();
                drop(held.lock());
                tell_of_second.send("second").ok();
            });
            scope.spawn(move || {
                begun.wait();
                let waits = std::thread::spawn(|| drop(quiesce()));
                while gate().waiting == 0 {}
                go_on.wait();
                waits.join().ok();
                drop(enter());
                tell.send("forked").ok();
            });
            assert_eq!((told.recv(), told.recv(), told.recv()), (Ok("first"), Ok("second"), Ok("forked")));
        });
    }

    #[test]
    fn what_the_forking_thread_calls_itself_passes() {
        let _alone = alone();
        let quiet = quiesce();
        drop(enter());
        aside(|| ());
        drop(quiet);
        let _working = enter();
        drop(quiesce());
        aside(|| drop(enter()));
    }
}
