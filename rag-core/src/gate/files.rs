//! The files beside the log.

use std::path::Path;
use std::time::UNIX_EPOCH;

use rag_fusion::gate::{Action, BucketKey, Change};
use serde::Deserialize;

use crate::error::{Error, ErrorKind, Result};
use crate::format::disk::Disk;

/// Whether there is such a file.
pub(super) fn exists(path: &Path) -> Result<bool> {
    path.try_exists().map_err(|error| Error::io("read", path, error))
}

/// The key of the caller's file, else that of the folder, which is made when it is not there.
pub(super) fn key(given: Option<&Path>, own: &Path, disk: &Disk) -> Result<BucketKey> {
    let path = given.unwrap_or(own);
    if given.is_none() && !exists(own)? {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| {
            Error::new(ErrorKind::Unavailable, "the system gives no random numbers").with_source(error)
        })?;
        let hex = secret.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        disk.write_new(own, hex.as_bytes())?; // or what another process has written meanwhile
    }
    let secret = std::fs::read(path).map_err(|error| Error::io("read", path, error))?;
    BucketKey::new(secret.trim_ascii())
        .map_err(|error| Error::invalid(format!("`gate.key_file` {}: {error}", path.display())).with_source(error))
}

/// What a watched file says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    action: Action,
    author: String,
    reason: String,
    #[serde(default)]
    issue: Option<String>,
}

/// What a watched file wants, if it was written after `since_us` (microseconds since 1970); a file that is not there wants
/// nothing.
pub(super) fn wanted(path: &Path, since_us: u64) -> Result<Option<(Action, Change)>> {
    let written = match std::fs::metadata(path).and_then(|metadata| metadata.modified()) {
        Ok(written) => written.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", path, error)),
    };
    if written <= u128::from(since_us) {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path).map_err(|error| Error::io("read", path, error))?;
    let Said { action, author, reason, issue } = serde_json::from_str(&text).map_err(|error| {
        Error::invalid(format!("`gate.watch` {} is not understood: {error}", path.display())).with_source(error)
    })?;
    let change = Change { issue, ..Change::new(author, reason) };
    Ok(Some((action, change)))
}
