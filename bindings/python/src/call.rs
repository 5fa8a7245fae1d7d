//! Calling the engine: with the interpreter released, so that Ctrl-C reaches what takes long, and so that no fork falls into a
//! call.

use std::cell::RefCell;
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use pyo3::prelude::*;
use rag_core::fork::{self, Quiet};
use rag_core::{Cancel, Error, Result};

use crate::errors::raise;

/// How often a long call looks whether somebody pressed Ctrl-C.
const LOOK: Duration = Duration::from_millis(50);

/// Runs `work` with the interpreter released, so that other threads of Python run meanwhile.
pub(crate) fn released<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    let inside = || {
        let _working = fork::enter();
        work()
    };
    py.detach(inside).map_err(|error| raise(py, &error))
}

thread_local! {
    static FORKING: RefCell<Option<Quiet>> = const { RefCell::new(None) };
}

fn is_forking() -> bool {
    FORKING.with_borrow(Option::is_some)
}

/// Lets other threads of Python and signals have their turn in the middle of long conversions.
pub(crate) fn turn(py: Python<'_>) -> PyResult<()> {
    py.detach(|| ());
    py.check_signals()
}

/// Called right before `os.fork`, which calls `after_fork` in the same thread, in parent and child.
#[pyfunction]
pub(crate) fn before_fork(py: Python<'_>) {
    py.detach(|| FORKING.set(Some(fork::quiesce())));
}

/// Called right after `os.fork`.
#[pyfunction]
pub(crate) fn after_fork() {
    FORKING.set(None);
}

/// As [`released`], for what may take long: a signal such as Ctrl-C cancels it. Python tells the main thread alone of
/// signals, so there the work goes to another thread while this one waits and looks.
pub(crate) fn interruptible<T: Send>(
    py: Python<'_>,
    cancel: &Cancel,
    work: impl FnOnce(&Cancel) -> Result<T> + Send,
) -> PyResult<T> {
    // While this thread forks, no other may begin a call.
    if is_forking() || !is_main_thread(py)? {
        return released(py, || work(cancel));
    }
    let (send, receive) = sync_channel::<()>(1);
    let work = &mut Some(work);
    std::thread::scope(|scope| {
        let run = move || {
            let _at_the_end = send; // dropped when the work is over, however it ends
            match work.take() {
                Some(work) => {
                    let _working = fork::enter();
                    work(cancel)
                }
                None => Err(Error::internal("the work was taken twice")),
            }
        };
        let worker = match std::thread::Builder::new().name("rag-call".to_owned()).spawn_scoped(scope, run) {
            Ok(worker) => worker,
            Err(error) => {
                let error =
                    Error::new(rag_core::ErrorKind::ResourceExhausted, "no thread for the call").with_source(error);
                return Err(raise(py, &error));
            }
        };
        let receive = Mutex::new(receive); // since what is released goes as if to another thread
        let mut signal = Ok(());
        loop {
            let is_over = py.detach(|| {
                let waited = receive.lock().map(|receive| receive.recv_timeout(LOOK));
                !matches!(waited, Ok(Err(RecvTimeoutError::Timeout)))
            });
            if is_over {
                break;
            }
            if signal.is_ok() {
                signal = py.check_signals();
                if signal.is_err() {
                    cancel.cancel();
                }
            }
        }
        let result = py.detach(|| worker.join());
        signal?;
        let result = result.unwrap_or_else(|_| Err(Error::internal("the call ended in a defect of this software")));
        result.map_err(|error| raise(py, &error))
    })
}

/// A deadline in seconds from now.
pub(crate) fn deadline(py: Python<'_>, timeout: Option<f64>) -> PyResult<Cancel> {
    match timeout {
        None => Ok(Cancel::never()),
        Some(seconds) => match Duration::try_from_secs_f64(seconds) {
            Ok(budget) => Ok(Cancel::after(budget)),
            Err(_) => Err(crate::errors::invalid(py, format!("`timeout` is {seconds}; give seconds, at least 0"))),
        },
    }
}

fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import("threading")?;
    threading.call_method0("get_ident")?.eq(threading.call_method0("main_thread")?.getattr("ident")?)
}
