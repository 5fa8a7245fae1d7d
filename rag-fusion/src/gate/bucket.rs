//! Who is in which bucket.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::error::GateError;
use super::experiment::Unit;

/// Buckets of each space: shares are counted in millionths.
pub const BUCKETS: u32 = 1_000_000;

/// Least bytes of a key.
const LEAST: usize = 16;

/// A secret that the buckets follow from. Who does not know it cannot choose a name that falls into a bucket of their
/// liking; who shares it, as the instances of one service, puts the same users into the same buckets.
#[derive(Clone)]
pub struct BucketKey {
    mac: Hmac<Sha256>,
    fingerprint: String,
}

impl BucketKey {
    /// # Errors
    /// [`GateError::Key`] for less than 16 bytes.
    pub fn new(secret: &[u8]) -> Result<Self, GateError> {
        if secret.len() < LEAST {
            return Err(GateError::Key { bytes: secret.len() });
        }
        let mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| GateError::Key { bytes: secret.len() })?;
        let digest = Sha256::new().chain_update(b"rag-core bucket key").chain_update(secret).finalize();
        let number = digest.iter().take(4).fold(0_u32, |number, &byte| number << 8 | u32::from(byte));
        Ok(BucketKey { mac, fingerprint: format!("{number:08x}") })
    }

    /// Tells keys apart and says nothing of them: 8 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    /// The bucket of a unit in a space, from 0 to `BUCKETS − 1`: its [`BucketKey::number`] modulo 1,000,000.
    pub fn bucket(&self, space: &str, unit: Unit, name: &str) -> u32 {
        (self.number(space, unit, name) % u64::from(BUCKETS)) as u32
    }

    /// The number of a unit in a space: the first 8 bytes (big-endian) of the HMAC-SHA256 of the space, a zero byte, `u` or
    /// `q`, and the name of the unit.
    pub fn number(&self, space: &str, unit: Unit, name: &str) -> u64 {
        let tag: &[u8] = match unit {
            Unit::User => b"\0u",
            Unit::Query => b"\0q",
        };
        let mut mac = self.mac.clone();
        mac.update(space.as_bytes());
        mac.update(tag);
        mac.update(name.as_bytes());
        let digest = mac.finalize().into_bytes();
        digest.iter().take(8).fold(0, |number, &byte| number << 8 | u64::from(byte))
    }
}

impl fmt::Debug for BucketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BucketKey({})", self.fingerprint)
    }
}
