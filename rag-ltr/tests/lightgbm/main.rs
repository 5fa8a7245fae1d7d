//! Models of the real LightGBM, read, scored and written again: equal to the bit. `fixtures/make_lightgbm.py` makes what
//! is compared with.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::format_collect)]

mod cases;
mod damage;
mod parity;
mod random;
mod refusals;
mod written;
