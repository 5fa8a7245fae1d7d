//! The `rag` command.

#![allow(dead_code)]

mod readers;
mod ui;

fn main() {}
