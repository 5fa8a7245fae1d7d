//! Calls into parsers that may panic, or recurse deeply, on bad input.

use std::cell::Cell;
use std::panic;
use std::sync::Once;

use super::problem::Problem;

/// Stack of the thread that parses: deeply nested input shall not overflow it. Only touched pages cost memory.
const STACK_BYTES: usize = 256 << 20;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `parse` on a thread of its own; a panic in it becomes [`Problem::Malformed`] and prints nothing.
pub(crate) fn guarded<T: Send>(parse: impl FnOnce() -> Result<T, Problem> + Send) -> Result<T, Problem> {
    hush_guarded_panics();
    let joined = std::thread::scope(|scope| {
        let parser = std::thread::Builder::new().name("reader".to_owned()).stack_size(STACK_BYTES);
        let spawned = parser.spawn_scoped(scope, || {
            QUIET.set(true);
            parse()
        });
        spawned.map(std::thread::ScopedJoinHandle::join)
    });
    match joined {
        Err(source) => Err(Problem::Io(source)),
        Ok(Ok(parsed)) => parsed,
        Ok(Err(payload)) => {
            let text = payload.downcast_ref::<&str>().copied();
            let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
            let first_line: String = text.lines().next().unwrap_or_default().chars().take(200).collect();
            Err(Problem::Malformed(format!("the parser gave up ({first_line})")))
        }
    }
}

/// Puts a panic hook in front of the present one, once: it swallows the message of guarded threads alone.
fn hush_guarded_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                previous(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;

    #[test]
    fn a_panic_becomes_a_problem() {
        let problem = guarded::<()>(|| panic!("bad xref {}", 7)).err().map(|problem| problem.to_string());
        assert_eq!(problem.as_deref(), Some("malformed: the parser gave up (bad xref 7)"));
        assert!(matches!(guarded(|| Ok(3)), Ok(3)));
    }
}
