//! The tests of the example `scale`, which stand beside its code.

#![allow(dead_code, reason = "only what the tests need is used")]

#[path = "../examples/scale/arguments.rs"]
mod arguments;
#[path = "../examples/scale/corpus.rs"]
mod corpus;
