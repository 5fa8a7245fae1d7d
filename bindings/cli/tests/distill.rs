//! `rag distill` from outside.

#![cfg(feature = "distill")]
#![allow(clippy::unwrap_used)]

mod common;

use common::Place;

#[test]
fn a_place_that_cannot_be_written_is_told_before_the_work() {
    let place = Place::with(&[("file", b"x")]);
    // Were the model looked at first, this one would be told.
    for (out, code) in [("gone/model", 4), ("in/file/model", 3), ("in", 3)] {
        place.rag(&["distill", "no-model", "--out", out]).must_fail(code, &["`--out`"]);
    }
    place.rag(&["distill", "no-model", "--out", "model"]).must_fail(4, &["no-model"]);
}
