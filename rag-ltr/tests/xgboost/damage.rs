//! Damaged model files are refused or read, never a panic and never more memory than the file accounts for.
//!
//! `RAG_TEST_ITERATIONS` says how many files a test damages (3,000 without it), `RAG_TEST_SECONDS` for how long at least,
//! `RAG_TEST_SEED` where the random numbers start.

use std::time::{Duration, Instant};

use rag_ltr::random::SplitMix64;

use crate::cases::{Fixture, from_hex, read_and_score};
use crate::setting;

/// Pieces that parsers trip over, of both forms.
const PIECES: [&[u8]; 22] = [
    b"-1",
    b"0",
    b"1e999",
    b"99999999999999999999",
    b"2147483648",
    b"NaN",
    b"-Infinity",
    b"null",
    b"\"\"",
    b"{}",
    b"[]",
    b"[[",
    b"\xff\xff",
    b"L\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"L\xff\xff\xff\xff\xff\xff\xff\xff",
    b"L\0\0\0\0\0\xff\xff\xff",
    b"[$Z#L\0\0\0\x7f\xff\xff\xff\xff",
    b"[$d#l\x10\0\0\0",
    b"[#i\x05",
    b"SL\0\0\0\0\0\0\0\x01x",
    b"\x7f\xc0\0\0",
    b"\x7f\x80\0\0",
];

/// Damages a file in one to four places.
fn damage(file: &mut Vec<u8>, random: &mut SplitMix64) {
    for _ in 0..=random.below(4) {
        let at = random.below(file.len() + 1);
        let end = (at + random.below(24)).min(file.len());
        match random.below(10) {
            0 => file.truncate(at),
            1 | 2 if at < file.len() => file[at] ^= 1 << random.below(8),
            3 if at < file.len() => file[at] = random.next_u64() as u8,
            4 => {
                file.drain(at..end);
            }
            5 => {
                let copy = file[at..end].to_vec();
                let to = random.below(file.len() + 1);
                file.splice(to..to, copy);
            }
            6 => {
                let nested = vec![b"[{"[random.below(2)]; 1 + random.below(5000)];
                file.splice(at..at, nested);
            }
            7 | 8 => {
                let piece = PIECES[random.below(PIECES.len())];
                let end = (at + random.below(piece.len() + 1)).min(file.len());
                file.splice(at..end, piece.iter().copied());
            }
            _ => replace_number(file, at, random),
        }
    }
}

/// Writes another number over the next one of a JSON text, so that the file often stays well formed.
fn replace_number(file: &mut Vec<u8>, at: usize, random: &mut SplitMix64) {
    let Some(start) = file[at..].iter().position(u8::is_ascii_digit).map(|start| at + start) else { return };
    let length = file[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let numbers = ["0", "1", "2", "7", "16777215", "2147483647", "4294967295", "9223372036854775807"];
    file.splice(start..start + length, numbers[random.below(numbers.len())].bytes());
}

/// The most memory that the process has had, in KiB.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok())
}

fn survives(form: &str, files: &[Vec<u8>]) {
    assert!(files.len() > 10 && files.iter().all(|file| read_and_score(file).is_ok()));
    let seed = setting("RAG_TEST_SEED", 1);
    let (iterations, seconds) = (setting("RAG_TEST_ITERATIONS", 3_000), setting("RAG_TEST_SECONDS", 0));
    let (start, mut tried, mut read) = (Instant::now(), 0, 0);
    while tried < iterations || start.elapsed() < Duration::from_secs(seconds) {
        let mut random = SplitMix64::new(seed.wrapping_mul(0x9E37_79B9).wrapping_add(tried));
        let mut file = files[random.below(files.len())].clone();
        damage(&mut file, &mut random);
        let outcome = std::panic::catch_unwind(|| read_and_score(&file));
        let outcome = outcome.unwrap_or_else(|_| panic!("{form}: panic at seed {seed}, file {tried}"));
        tried += 1;
        read += u64::from(outcome.is_ok());
    }
    assert!(read > 0 && read < tried, "the damage is neither too small nor too large");
    let peak = peak_memory();
    eprintln!("{form}: {tried} files damaged, {read} of them read all the same; {peak:?} KiB at most");
    assert!(peak.is_none_or(|peak| peak < 512 << 10));
}

#[test]
fn damaged_json_is_survived() {
    let files: Vec<Vec<u8>> =
        Fixture::read().cases.iter().filter_map(|case| case.json.clone()).map(String::into_bytes).collect();
    survives("JSON", &files);
}

#[test]
fn damaged_ubjson_is_survived() {
    let fixture = Fixture::read();
    let files = fixture.cases.iter().filter_map(|case| case.ubjson.as_deref());
    survives("UBJSON", &files.map(from_hex).collect::<Vec<_>>());
}
