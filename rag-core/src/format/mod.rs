//! The project's own files: every one has the same header, is written whole or not at all, and is checked when read.
//!
//! | bytes | field |
//! |---|---|
//! | 0..8 | magic `89 52 41 47 0D 0A 1A 0A` (`.RAG`, then the bytes that text-mode transfers damage) |
//! | 8..10 | format version, u16 |
//! | 10 | kind of file, u8 ([`FileKind`]) |
//! | 11 | codec of the payload, u8: 0 raw, 1 JSON |
//! | 12..16 | flags, u32, all zero |
//! | 16..24 | length of the payload, u64 |
//! | 24..32 | XXH3-64 of the payload |
//! | 32..56 | zero |
//! | 56..64 | XXH3-64 of bytes 0..56 |
//!
//! Numbers are little-endian; the payload starts at byte 64 and ends the file.

#[cfg(feature = "engine")]
pub(crate) mod codec;
// Failing disks are for tests.
#[cfg_attr(not(feature = "testing"), allow(dead_code, unreachable_pub))]
pub(crate) mod disk;
pub(crate) mod log;
#[cfg(feature = "engine")]
pub(crate) mod manifest;
pub(crate) mod mmap;

use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, ErrorKind, Result};

/// Length of the header.
pub(crate) const HEADER: usize = 64;
const MAGIC: [u8; 8] = [0x89, b'R', b'A', b'G', 0x0D, 0x0A, 0x1A, 0x0A];
/// The format that this build writes.
pub(crate) const VERSION: u16 = 1;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Manifest = 1,
    Segment = 2,
    Model = 3,
    /// The lists of segments and files of the lexical index.
    LexicalMeta = 4,
    /// Vectors of an index on its own.
    #[cfg_attr(not(feature = "hnsw"), allow(dead_code))]
    Vectors = 5,
    /// What the live gate has seen of the requests.
    GateSeen = 6,
    /// The secret that buckets of users follow from.
    GateKey = 7,
}

impl FileKind {
    fn codec(self) -> u8 {
        match self {
            FileKind::Manifest | FileKind::LexicalMeta | FileKind::GateSeen => 1,
            FileKind::Segment | FileKind::Model | FileKind::Vectors | FileKind::GateKey => 0,
        }
    }
}

/// The header of a file with this payload length and checksum.
pub(crate) fn header(kind: FileKind, length: u64, checksum: u64) -> [u8; HEADER] {
    let mut out = [0u8; HEADER];
    out[0..8].copy_from_slice(&MAGIC);
    out[8..10].copy_from_slice(&VERSION.to_le_bytes());
    out[10] = kind as u8;
    out[11] = kind.codec();
    out[16..24].copy_from_slice(&length.to_le_bytes());
    out[24..32].copy_from_slice(&checksum.to_le_bytes());
    let own = xxh3_64(&out[..56]);
    out[56..64].copy_from_slice(&own.to_le_bytes());
    out
}

/// The checksum that the header of a checked `file` states for its payload.
fn stated_checksum(file: &[u8]) -> u64 {
    file.get(24..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Checks header and length of `file`, and the payload's bytes too when `full`; gives the payload.
///
/// # Errors
/// `Corruption` for anything that this software did not write, `Unsupported` for a newer format.
pub(crate) fn payload(file: &[u8], kind: FileKind, full: bool) -> Result<&[u8]> {
    let (head, payload) = file
        .split_first_chunk::<HEADER>()
        .ok_or_else(|| Error::corruption(format!("the file has {} bytes, less than its header", file.len())))?;
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| head[at + i]));
    if head[0..8] != MAGIC {
        return Err(Error::corruption("the file does not start with the magic of this software"));
    }
    if xxh3_64(&head[..56]) != word(56) {
        return Err(Error::corruption("the header of the file is damaged"));
    }
    let version = u16::from_le_bytes([head[8], head[9]]);
    if version > VERSION {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("the file has format {version}; this build reads up to {VERSION}, use a newer one"),
        ));
    }
    if head[10] != kind as u8 || head[11] != kind.codec() || head[12..16] != [0; 4] {
        return Err(Error::corruption("the file is of another kind than its name says"));
    }
    if word(16) != payload.len() as u64 {
        return Err(Error::corruption(format!("the file has {} bytes of payload, not {}", payload.len(), word(16))));
    }
    if full && xxh3_64(payload) != word(24) {
        return Err(Error::corruption("the payload of the file does not match its checksum"));
    }
    Ok(payload)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Format 1, for ever.
    #[test]
    fn headers_are_the_ones_that_were_always_written() {
        let written = |kind| {
            let bytes = header(kind, 12, 0x0807_0605_0403_0201);
            bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
        };
        let fixed = |kind: &str, own: &str| {
            let rest = "000000000c000000000000000102030405060708";
            format!("895241470d0a1a0a0100{kind}{rest}{}{own}", "00".repeat(24))
        };
        assert_eq!(
            [FileKind::Manifest, FileKind::Segment, FileKind::Model, FileKind::LexicalMeta].map(written),
            [
                fixed("0101", "2502a4bc8abbf734"),
                fixed("0200", "45c7572bf83bff39"),
                fixed("0300", "29e10f0d4afce6a9"),
                fixed("0401", "90da42d3b7720d47"),
            ]
        );
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let body = b"some payload";
        let mut file = header(FileKind::Segment, body.len() as u64, xxh3_64(body)).to_vec();
        file.extend_from_slice(body);
        assert_eq!(payload(&file, FileKind::Segment, true).unwrap(), body);
        assert!(payload(&file, FileKind::Manifest, true).is_err());
        for bit in 0..file.len() * 8 {
            let mut bad = file.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(payload(&bad, FileKind::Segment, true).is_err(), "bit {bit}");
        }
        for cut in 0..file.len() {
            assert!(payload(&file[..cut], FileKind::Segment, true).is_err(), "cut {cut}");
        }
    }
}
