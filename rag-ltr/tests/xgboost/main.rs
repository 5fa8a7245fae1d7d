//! Models of the real XGBoost, read and scored: equal to the last bit of 32. `fixtures/make_xgboost.py` makes what is compared
//! with. What would be scored otherwise is refused, and so are damaged files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod cases;
mod damage;
mod parity;
mod random;

/// A number that the environment sets.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}
