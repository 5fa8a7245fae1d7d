//! Documents and questions of any number, made from real text: sentences in a shuffled order, so that words are as
//! common as they are in the text, and the same arguments give the same documents on every machine.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rag_core::Document;

/// Words of a document.
const WORDS: std::ops::RangeInclusive<u64> = 100..=200;

/// Words of a question.
const QUESTION_WORDS: std::ops::RangeInclusive<u64> = 3..=8;

/// Sentences of real text.
pub(crate) struct Corpus {
    sentences: Vec<String>,
}

impl Corpus {
    /// Reads `.txt`, `.md`, `.rs`, `.jsonl` and `.jsonl.gz` files; of JSON Lines, the fields `title` and `text`.
    pub(crate) fn read(roots: &[PathBuf]) -> Result<Corpus> {
        let mut sentences = Vec::new();
        for root in roots {
            for file in files(root)? {
                let text = text_of(&file).with_context(|| format!("cannot read {}", file.display()))?;
                text.split("\n\n").for_each(|paragraph| split(paragraph, &mut sentences));
            }
        }
        if sentences.len() < 100 {
            bail!("{} sentences are too few to make documents of; give more --text", sentences.len());
        }
        Ok(Corpus { sentences })
    }

    pub(crate) fn sentences(&self) -> usize {
        self.sentences.len()
    }

    /// Endless documents; the first of them are the same whatever number is taken.
    pub(crate) fn documents(&self) -> Documents<'_> {
        let order = (0..self.sentences.len()).collect();
        Documents { corpus: self, random: Random(1), order, at: usize::MAX, made: 0 }
    }

    /// Pieces of sentences.
    pub(crate) fn questions(&self, count: usize) -> Vec<String> {
        let mut random = Random(2);
        let question = || {
            let sentence = &self.sentences[random.below(self.sentences.len() as u64) as usize];
            let words: Vec<&str> = sentence.split(' ').collect();
            let length = (random.within(QUESTION_WORDS) as usize).min(words.len());
            let start = random.below((words.len() - length + 1) as u64) as usize;
            words[start..start + length].join(" ")
        };
        std::iter::repeat_with(question).take(count).collect()
    }
}

/// See [`Corpus::documents`].
pub(crate) struct Documents<'a> {
    corpus: &'a Corpus,
    random: Random,
    /// Every sentence comes once before any comes again.
    order: Vec<usize>,
    at: usize,
    made: usize,
}

impl<'a> Documents<'a> {
    fn sentence(&mut self) -> &'a str {
        if self.at >= self.order.len() {
            for last in (1..self.order.len()).rev() {
                self.order.swap(last, self.random.below(last as u64 + 1) as usize);
            }
            self.at = 0;
        }
        self.at += 1;
        &self.corpus.sentences[self.order[self.at - 1]]
    }
}

impl Iterator for Documents<'_> {
    type Item = Document;

    fn next(&mut self) -> Option<Document> {
        let title: Vec<&str> = self.sentence().split(' ').take(8).collect();
        let wanted = self.random.within(WORDS) as usize;
        let (mut text, mut words) = (String::new(), 0);
        while words < wanted {
            let sentence = self.sentence();
            words += sentence.split(' ').count();
            text.push_str(sentence);
            text.push(' ');
        }
        self.made += 1;
        let source = ["news", "paper", "manual", "letter"][self.random.below(4) as usize];
        let document = Document::new(format!("doc-{:07}", self.made), text.trim_end())
            .with_title(title.join(" "))
            .with_metadata("source", source)
            .with_metadata("year", 1990 + self.random.below(35) as i64);
        Some(document)
    }
}

/// SplitMix64 (Steele, Lea & Flood 2014): the same numbers for ever, which random crates do not promise.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn within(&mut self, range: std::ops::RangeInclusive<u64>) -> u64 {
        range.start() + self.below(range.end() - range.start() + 1)
    }
}

/// The readable files of a folder, by name; questions of test collections are left out, and so are symbolic links to
/// folders, which may lead round in a circle.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    if root.is_file() {
        return Ok(vec![root.to_owned()]);
    }
    let mut found = Vec::new();
    let entries = root.read_dir().with_context(|| format!("cannot read the folder {}", root.display()))?;
    let mut entries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with('.') || name.starts_with("queries") || name == "target" {
            continue;
        }
        let is_folder = path.is_dir();
        if is_folder && !path.is_symlink() {
            found.extend(files(&path)?);
        } else if !is_folder
            && [".txt", ".md", ".rs", ".jsonl", ".jsonl.gz"].iter().any(|ending| name.ends_with(ending))
        {
            found.push(path);
        }
    }
    Ok(found)
}

fn text_of(file: &Path) -> Result<String> {
    let mut bytes = std::fs::read(file)?;
    let is_compressed = file.extension().is_some_and(|extension| extension == "gz");
    if is_compressed {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut plain)?;
        bytes = plain;
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let plain_name = if is_compressed { file.with_extension("") } else { file.to_owned() };
    if plain_name.extension().is_none_or(|extension| extension != "jsonl") {
        return Ok(text);
    }
    let mut out = String::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let record: serde_json::Value = serde_json::from_str(line)?;
        for field in ["title", "text"] {
            out.push_str(record[field].as_str().unwrap_or_default());
            out.push_str("\n\n");
        }
    }
    Ok(out)
}

/// Sentences of 4 to 60 words; longer ones are cut.
fn split(paragraph: &str, sentences: &mut Vec<String>) {
    let mut words: Vec<&str> = Vec::new();
    let mut close = |words: &mut Vec<&str>| {
        if words.len() >= 4 {
            sentences.push(words.join(" "));
        }
        words.clear();
    };
    for word in paragraph.split_whitespace() {
        words.push(word);
        if words.len() == 60 || (word.len() > 2 && word.ends_with(['.', '?', '!'])) {
            close(&mut words);
        }
    }
    close(&mut words);
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_to_folders_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("a")).unwrap();
        std::fs::write(root.join("a/b.txt"), "text").unwrap();
        symlink("..", root.join("a/up")).unwrap();
        symlink("a", root.join("c.md")).unwrap();
        symlink("a/b.txt", root.join("d.txt")).unwrap();
        assert_eq!(files(root).unwrap(), [root.join("a/b.txt"), root.join("d.txt")]);
    }
}
