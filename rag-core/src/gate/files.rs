//! The files beside the log.

use std::path::Path;
use std::time::UNIX_EPOCH;

use rag_fusion::gate::{Action, BucketKey, Change};
use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, ErrorKind, Result};
use crate::format::disk::Disk;
use crate::format::{FileKind, payload};

/// Whether there is such a file.
pub(super) fn exists(path: &Path) -> Result<bool> {
    path.try_exists().map_err(|error| Error::io("read", path, error))
}

/// The key of the caller's file, else that of the folder, which is made when it is not there.
pub(super) fn key(given: Option<&Path>, own: &Path, disk: &Disk) -> Result<BucketKey> {
    let Some(path) = given else { return own_key(own, disk) };
    let secret = std::fs::read(path).map_err(|error| Error::io("read", path, error))?;
    BucketKey::new(secret.trim_ascii())
        .map_err(|error| Error::invalid(format!("`gate.key_file` {}: {error}", path.display())).with_source(error))
}

fn own_key(path: &Path, disk: &Disk) -> Result<BucketKey> {
    if !exists(path)? {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| {
            Error::new(ErrorKind::Unavailable, "the system gives no random numbers").with_source(error)
        })?;
        disk.write_new(path, FileKind::GateKey, &secret)?; // or another process has written one meanwhile
    }
    let file = std::fs::read(path).map_err(|error| Error::io("read", path, error))?;
    let damaged = |error: Error| {
        let way_out = "bring it back from a copy, or remove it, and users change sides in experiments";
        error.with("file", format!("{}; {way_out}", path.display()))
    };
    let secret = payload(&file, FileKind::GateKey, true).map_err(damaged)?;
    BucketKey::new(secret).map_err(|error| damaged(Error::corruption(error.to_string()).with_source(error)))
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

/// What a watched file wants, if it is another than the one that was obeyed last; a file that is not there wants nothing.
pub(super) fn wanted(path: &Path, obeyed: Option<&str>) -> Result<Option<(Action, Change)>> {
    let written = match std::fs::metadata(path).and_then(|metadata| metadata.modified()) {
        Ok(written) => written.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", path, error)),
    };
    let text = std::fs::read_to_string(path).map_err(|error| Error::io("read", path, error))?;
    // Its time too, so that the same may be said again.
    let version = format!("{written}:{:016x}", xxh3_64(text.as_bytes()));
    if obeyed == Some(&*version) {
        return Ok(None);
    }
    let Said { action, author, reason, issue } = serde_json::from_str(&text).map_err(|error| {
        Error::invalid(format!("`gate.watch` {} is not understood: {error}", path.display())).with_source(error)
    })?;
    let change = Change { issue, source: Some(version), ..Change::new(author, reason) };
    Ok(Some((action, change)))
}
