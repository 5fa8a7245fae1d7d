//! The engine for Node. Every function here converts its arguments, calls the engine away from the event loop, and
//! converts the answer or the error; nothing is computed here. What JavaScript expects besides (abort signals, iterators,
//! classes of errors) is made of this in `ts/`.

#![allow(clippy::needless_pass_by_value, reason = "arguments as napi extracts them")]
#![allow(clippy::trivially_copy_pass_by_ref, reason = "a borrowed `Env` bounds the life of JavaScript's values")]
#![allow(unreachable_pub, reason = "what napi exports is public")]

mod answer;
mod batch;
mod call;
mod callback;
mod clicks;
mod convert;
mod embedder;
mod engine;
mod errors;
mod features;
mod floats;
mod gate;
mod ranker;
mod runs;
mod texts;
mod vectors;
