//! Damaged files: never a panic, never more memory than the file is worth.

use rag_ltr::Rows;
use rag_ltr::model::Ensemble;
use rag_ltr::random::SplitMix64;

use crate::parity::fixture;

const HUGE: [&str; 12] = [
    "99999999999999999999",
    "18446744073709551615",
    "4294967295",
    "2147483648",
    "2000000000",
    "-2147483648",
    "-1",
    "0",
    "1e999",
    "1e-320",
    "nan",
    "inf",
];

fn files() -> Vec<Vec<u8>> {
    let cases = fixture("v4").into_iter().chain(fixture("v3"));
    cases.flat_map(|case| [Some(case.text), case.json]).flatten().map(String::into_bytes).collect()
}

/// The bounds of the lines (or members) around a place.
fn piece(file: &[u8], at: usize) -> std::ops::Range<usize> {
    let is_end = |byte: &u8| matches!(byte, b'\n' | b',');
    let start = file[..at].iter().rposition(is_end).map_or(0, |end| end + 1);
    let end = file[at..].iter().position(is_end).map_or(file.len(), |length| at + length + 1);
    start..end
}

fn damage(file: &mut Vec<u8>, others: &[Vec<u8>], random: &mut SplitMix64) {
    for _ in 0..=random.below(4) {
        if file.is_empty() {
            return;
        }
        let at = random.below(file.len());
        match random.below(9) {
            0 => file.truncate(at),
            1 => file[at] ^= 1 << random.below(8),
            2 => file[at] = random.next_u64() as u8,
            3 | 4 => {
                let is_number = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'e' | b'+');
                let Some(start) = file[at..].iter().position(is_number).map(|length| at + length) else { continue };
                let end = start + file[start..].iter().take_while(|byte| is_number(byte)).count();
                file.splice(start..end, HUGE[random.below(HUGE.len())].bytes());
            }
            5 => {
                let piece = file[piece(file, at)].to_vec();
                file.splice(at..at, piece);
            }
            6 => {
                let piece = piece(file, at);
                let copy = file[piece.clone()].to_vec();
                file.splice(piece.end..piece.end, copy);
            }
            7 => {
                let piece = piece(file, at);
                file.drain(piece);
            }
            _ => {
                let other = &others[random.below(others.len())];
                let start = random.below(other.len());
                let end = other.len().min(start + random.below(300));
                let end_here = file.len().min(at + random.below(300));
                file.splice(at..end_here, other[start..end].iter().copied());
            }
        }
    }
}

/// Reads a file that may be damaged. What is read scores, and is the same when it was written and read again.
fn read(file: &[u8]) -> bool {
    let Ok(ensemble) = Ensemble::from_lightgbm(file) else { return false };
    let columns = ensemble.parts().columns;
    let mut values = vec![0.5; 2 * columns];
    values[0] = f32::NAN;
    ensemble.margins(Rows::new(&values, columns).unwrap()).unwrap();
    if let Ok(text) = ensemble.to_lightgbm() {
        assert_eq!(Ensemble::from_lightgbm(text.as_bytes()).unwrap(), ensemble);
    }
    true
}

/// The most memory, in bytes, that the process has had; `None` where the system does not say.
fn peak() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmPeak:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<usize>().ok()? << 10)
}

/// `RAG_TEST_DAMAGES` says how many files are tried, `RAG_TEST_SEED` which.
#[test]
fn damaged_files_are_refused_or_read() {
    let setting = |name: &str, default: u64| std::env::var(name).map_or(default, |value| value.parse().unwrap());
    let files = files();
    assert!(files.iter().all(|file| read(file)));
    let mut random = SplitMix64::new(setting("RAG_TEST_SEED", 5));
    let before = peak();
    let (count, mut sound) = (setting("RAG_TEST_DAMAGES", 4000), 0);
    for _ in 0..count {
        let mut file = files[random.below(files.len())].clone();
        damage(&mut file, &files, &mut random);
        sound += u64::from(read(&file));
    }
    assert!(sound > count / 50 && sound < count / 2, "{sound} of {count} are read");
    match before.zip(peak()) {
        // The largest file has 300 kB; other tests of this program run beside this one.
        Some((before, after)) => assert!(after < before + (512 << 20), "{before} bytes became {after}"),
        None => eprintln!("skipped: the system does not say how much memory is used"),
    }
}
