//! Figures on the collections of the literature, and the index against naive oracles.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod collections;
mod filters;
mod index;
mod ranking;

use tantivy::directory::RamDirectory;

use super::{LexicalIndex, Opened};
use crate::config::LexicalConfig;
use crate::types::Metadata;

pub(super) fn config(language: &str) -> LexicalConfig {
    LexicalConfig { language: language.to_owned(), writer_memory_mib: 15 }
}

pub(super) fn open(directory: &RamDirectory, language: &str) -> LexicalIndex {
    match LexicalIndex::open(Box::new(directory.clone()), &config(language)).unwrap() {
        Opened::Ready(index) => index,
        Opened::NeedsRebuild(why) => panic!("{why}"),
    }
}

pub(super) fn empty(language: &str) -> LexicalIndex {
    open(&RamDirectory::create(), language)
}

/// Documents of one chunk each, numbered from 0, all in one commit.
pub(super) fn of_texts(language: &str, texts: &[&str]) -> LexicalIndex {
    let mut index = empty(language);
    for (doc, text) in texts.iter().enumerate() {
        index.add(doc as u64, "default", "", &[(0, text)], &Metadata::new()).unwrap();
    }
    index.commit(1).unwrap();
    index
}
