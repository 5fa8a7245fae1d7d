//! Bodies of the fuzz targets: one function for each parser and each state machine that reads bytes from outside. A body
//! takes any bytes and panics when a promise is broken. The targets in `fuzz/` run them under libFuzzer, the tests of
//! this crate over the seeds and over random bytes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc, reason = "a panic is how a body reports")]

mod files;
mod store;
mod text;

pub use files::{manifest, model_file, record, segment, vectors};
pub use store::{store, store_open};
pub use text::{chunk, filter, lightgbm, query, tokenizer, trec};

/// What a target does with its bytes.
pub type Body = fn(&[u8]);

/// Every target, by name.
pub const TARGETS: [(&str, Body); 13] = [
    ("chunk", chunk),
    ("filter", filter),
    ("lightgbm", lightgbm),
    ("manifest", manifest),
    ("model_file", model_file),
    ("query", query),
    ("record", record),
    ("segment", segment),
    ("store", store),
    ("store_open", store_open),
    ("tokenizer", tokenizer),
    ("trec", trec),
    ("vectors", vectors),
];

/// Reads decisions from the bytes of an input; past the end every decision is 0.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    /// A number below `bound`, from as many bytes as that takes.
    fn below(&mut self, bound: usize) -> usize {
        let (mut number, mut reach) = (0usize, 1usize);
        while reach < bound {
            number = number << 8 | usize::from(self.byte());
            reach <<= 8;
        }
        number % bound.max(1)
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

/// Damages `file` as the input says: some bytes overwritten, flipped, filled, copied, cut off or appended. Places are
/// chosen among the bytes that are not zero, since a file may be free space for the most part.
fn damage(file: &mut Vec<u8>, input: &mut Bytes<'_>) {
    const BLOCK: usize = 4096;
    while let Some(kind) = input.next() {
        let at = place(file, input);
        let end = |length: usize| file.len().min(at + length);
        match kind % 8 {
            0 | 1 => {
                let length = usize::from(input.byte() % 16);
                let bytes = input.take(length);
                let range = at..end(bytes.len());
                let length = range.len();
                file[range].copy_from_slice(&bytes[..length]);
            }
            2 | 3 => {
                let (range, mask) = (at..end(1), input.byte().max(1));
                file[range].iter_mut().for_each(|byte| *byte ^= mask);
            }
            4 => {
                let (range, filling) = (at / BLOCK * BLOCK..end(BLOCK), input.byte());
                file[range].fill(filling);
            }
            5 => {
                let from = place(file, input) / BLOCK * BLOCK;
                let to = at / BLOCK * BLOCK;
                let length = BLOCK.min(file.len() - from).min(file.len() - to);
                file.copy_within(from..from + length, to);
            }
            6 => file.truncate(at),
            _ => {
                let length = file.len() + 512 * usize::from(input.byte());
                file.resize(length, 0);
            }
        }
    }
}

/// A byte that is not zero, the first from where the input says.
fn place(file: &[u8], input: &mut Bytes<'_>) -> usize {
    let from = input.below(file.len());
    let used = |bytes: &[u8]| bytes.iter().position(|&byte| byte != 0);
    used(&file[from..]).map(|at| from + at).or_else(|| used(&file[..from])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use rand::rngs::SmallRng;
    use rand::{Rng, RngCore, SeedableRng};

    use super::*;

    fn fuzz_folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
    }

    fn seeds(target: &str) -> Vec<Vec<u8>> {
        let folder = fuzz_folder().join("seeds").join(target);
        let mut files: Vec<PathBuf> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.iter().map(|file| std::fs::read(file).unwrap()).collect()
    }

    /// The seeds, and `variations` inputs made of them and of random bytes.
    fn run(target: &str, variations: usize) {
        run_from(target, variations, 0x5eed);
    }

    fn run_from(target: &str, variations: usize, seed: u64) {
        let body = TARGETS.iter().find(|(name, _)| *name == target).unwrap().1;
        let seeds = seeds(target);
        assert!(!seeds.is_empty());
        for seed in &seeds {
            body(seed);
        }
        body(&[]);
        let mut random = SmallRng::seed_from_u64(seed);
        for round in 0..variations {
            let mut input = match round % 3 {
                0 => Vec::new(),
                _ => seeds[random.random_range(0..seeds.len())].clone(),
            };
            if round % 3 == 0 {
                input.resize(random.random_range(0..400), 0);
                random.fill_bytes(&mut input);
            } else {
                let mut changes = vec![0; random.random_range(1..24)];
                random.fill_bytes(&mut changes);
                damage(&mut input, &mut Bytes(&changes));
                input.truncate(1 << 16);
            }
            body(&input);
        }
    }

    #[test]
    fn every_body_has_a_target_and_every_target_a_body() {
        let sources = fuzz_folder().join("fuzz_targets").read_dir().unwrap();
        let targets: BTreeSet<String> =
            sources.map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect();
        assert_eq!(targets, TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect());
    }

    #[test]
    fn chunk_holds() {
        run("chunk", 300);
    }

    #[test]
    fn filter_holds() {
        run("filter", 2000);
    }

    #[test]
    fn lightgbm_holds() {
        run("lightgbm", 5000);
    }

    #[test]
    fn manifest_holds() {
        run("manifest", 2000);
    }

    #[test]
    fn model_file_holds() {
        run("model_file", 2000);
    }

    #[test]
    fn query_holds() {
        run("query", 1000);
    }

    #[test]
    fn record_holds() {
        run("record", 2000);
    }

    #[test]
    fn segment_holds() {
        run("segment", 2000);
    }

    #[test]
    fn vectors_holds() {
        run("vectors", 2000);
    }

    #[test]
    fn store_holds() {
        run("store", 15);
    }

    #[test]
    fn store_open_holds() {
        run("store_open", 20);
    }

    #[test]
    fn tokenizer_holds() {
        run("tokenizer", 1000);
    }

    #[test]
    fn trec_holds() {
        run("trec", 2000);
    }

    #[test]
    #[ignore = "takes minutes; the extended lane runs it"]
    fn parsers_hold_over_many_inputs() {
        for target in ["chunk", "filter", "manifest", "model_file", "query", "record", "segment", "trec", "vectors"] {
            run_from(target, 20_000, 1);
        }
    }

    #[test]
    #[ignore = "takes minutes; the extended lane runs it"]
    fn tokenizer_holds_over_many_inputs() {
        run_from("tokenizer", 200_000, 1);
    }

    #[test]
    #[ignore = "takes minutes; the extended lane runs it"]
    fn store_holds_over_many_inputs() {
        run_from("store", 3_000, 1);
    }

    #[test]
    #[ignore = "takes minutes; the extended lane runs it"]
    fn store_open_holds_over_many_inputs() {
        run_from("store_open", 3_000, 1);
    }
}
