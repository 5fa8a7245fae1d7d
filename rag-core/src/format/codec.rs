//! Structured records to bytes and back. The only place that names the codec (bincode 2, little-endian, fixed order).
//!
//! | bytes | field |
//! |---|---|
//! | 0 | codec id, u8: 1 = bincode 2 standard configuration |
//! | 1..9 | XXH3-64 of the body, seeded with the key of the record, so that a record under a wrong key is found too |
//! | 9.. | body |

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::{Error, Result};

const BINCODE: u8 = 1;
const PREFIX: usize = 9;
/// No record is larger; decoding stops there whatever a damaged length says.
const LIMIT: usize = 2 << 30;

fn config<const BYTES: usize>() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<BYTES>()
}

/// Encodes one record that will be stored under `key`.
pub(crate) fn encode<T: Serialize>(key: u64, record: &T) -> Result<Vec<u8>> {
    let body = bincode::serde::encode_to_vec(record, config::<LIMIT>())
        .map_err(|error| Error::internal("a record cannot be encoded").with_source(error))?;
    Ok(seal(BINCODE, key, &body))
}

/// Decodes what [`encode`] made for the same `key`; damaged, foreign or trailing bytes are `Corruption`.
pub(crate) fn decode<T: DeserializeOwned>(key: u64, bytes: &[u8]) -> Result<T> {
    let body = unseal(BINCODE, key, bytes)?;
    // No number takes more than eight times its bytes: a short record cannot ask for much memory.
    let decoded = match body.len() {
        0..0x1_0000 => bincode::serde::decode_from_slice(body, config::<{ 1 << 20 }>()),
        0x1_0000..0x100_0000 => bincode::serde::decode_from_slice(body, config::<{ 1 << 28 }>()),
        _ => bincode::serde::decode_from_slice(body, config::<LIMIT>()),
    };
    let (record, read) =
        decoded.map_err(|error| Error::corruption(format!("record {key} cannot be decoded")).with_source(error))?;
    if read != body.len() {
        return Err(Error::corruption(format!("record {key} has {} trailing bytes", body.len() - read)));
    }
    Ok(record)
}

/// Raw little-endian floats under the same checksum; codec id 0.
pub(crate) fn encode_floats(key: u64, values: &[f32]) -> Vec<u8> {
    let body: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    seal(0, key, &body)
}

/// The inverse of [`encode_floats`].
pub(crate) fn decode_floats(key: u64, bytes: &[u8]) -> Result<Vec<f32>> {
    let body = unseal(0, key, bytes)?;
    let (words, rest) = body.as_chunks::<4>();
    if rest.is_empty() {
        Ok(words.iter().map(|word| f32::from_le_bytes(*word)).collect())
    } else {
        Err(Error::corruption(format!("the vectors of record {key} end in the middle of a number")))
    }
}

fn seal(codec: u8, key: u64, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(PREFIX + body.len());
    out.push(codec);
    out.extend_from_slice(&xxh3_64_with_seed(body, key).to_le_bytes());
    out.extend_from_slice(body);
    out
}

fn unseal(codec: u8, key: u64, bytes: &[u8]) -> Result<&[u8]> {
    match bytes.split_first().map(|(id, rest)| (id, rest.split_first_chunk::<8>())) {
        Some((id, Some((checksum, body)))) if *id == codec => {
            if u64::from_le_bytes(*checksum) == xxh3_64_with_seed(body, key) {
                Ok(body)
            } else {
                Err(Error::corruption(format!("record {key} does not match its checksum")))
            }
        }
        _ => Err(Error::corruption(format!("record {key} is not in the codec {codec}"))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn round_trip_and_damage() {
        let record = ("text".to_owned(), vec![1u32, 2, 3]);
        let bytes = encode(7, &record).unwrap();
        assert_eq!(decode::<(String, Vec<u32>)>(7, &bytes).unwrap(), record);
        assert!(decode::<(String, Vec<u32>)>(8, &bytes).is_err(), "another key");
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode::<(String, Vec<u32>)>(7, &bad).is_err(), "bit {bit}");
        }
        let floats = [1.5f32, -0.0, f32::MIN_POSITIVE];
        assert_eq!(decode_floats(1, &encode_floats(1, &floats)).unwrap(), floats);
    }
}
