//! What every target shares. The bodies are in `rag_core::testing::fuzz`, where ordinary tests run them too.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

/// libFuzzer ends the process at the first panic, also at one that the library catches and turns into an error. From here
/// on a panic is only noted.
pub fn init() {
    std::panic::set_hook(Box::new(|panic| {
        if let Ok(mut last) = LAST_PANIC.lock() {
            *last = panic.to_string(); // no backtrace: it takes longer than thousands of inputs
        }
    }));
}

/// Runs a body; a panic that reaches this place is a finding.
pub fn run(body: fn(&[u8]), data: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| body(data))).is_err() {
        eprintln!("{}", LAST_PANIC.lock().map(|last| last.clone()).unwrap_or_default());
        std::process::abort();
    }
}
