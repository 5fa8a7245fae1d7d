//! The MANIFEST: what the folder holds, written last. A missing or damaged one is made again from the store.

use std::path::Path;

use rag_governance::ModelIdentity;
use serde::{Deserialize, Serialize};

use super::disk::Disk;
use super::{FileKind, payload};
use crate::error::{Error, Result};

/// Name of the file.
pub(crate) const MANIFEST: &str = "MANIFEST";

/// The state of the derived files, and what they were made with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The commit that the derived files have.
    pub(crate) commit_seq: u64,
    /// Sealed vector segments, oldest first.
    pub(crate) segments: Vec<SegmentEntry>,
    /// The model of the vectors.
    pub(crate) model: ModelIdentity,
    /// Version of the feature schema; 0 until features exist.
    pub(crate) feature_schema: u32,
    /// What the lexical index does to words.
    pub(crate) analyser: String,
    /// Version of the software that wrote it.
    pub(crate) build: String,
    /// When the folder was made, RFC 3339.
    pub(crate) created_at: String,
}

/// One sealed segment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SegmentEntry {
    /// File name within the vectors folder.
    pub(crate) name: String,
    /// XXH3-64 of its payload.
    pub(crate) checksum: u64,
    /// Number of vectors.
    pub(crate) vectors: usize,
}

impl Manifest {
    /// Reads the MANIFEST of `folder`; `None` when there is none yet.
    ///
    /// # Errors
    /// `Corruption` or `Unsupported`; I/O errors.
    pub(crate) fn read(folder: &Path) -> Result<Option<Manifest>> {
        let path = folder.join(MANIFEST);
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| Error::io("read", &path, error))?,
        };
        Manifest::parse(&bytes).map(Some)
    }

    /// Reads the bytes of a MANIFEST.
    ///
    /// # Errors
    /// `Corruption` or `Unsupported`.
    pub(crate) fn parse(file: &[u8]) -> Result<Manifest> {
        let body = payload(file, FileKind::Manifest, true).map_err(|error| error.with("file", MANIFEST))?;
        let manifest: Manifest = serde_json::from_slice(body).map_err(|error| {
            Error::corruption(format!("the MANIFEST is not understood: {error}")).with_source(error)
        })?;
        // Files that are no longer used are removed by these names.
        if let Some(entry) = manifest.segments.iter().find(|entry| entry.name.contains(['/', '\\'])) {
            return Err(Error::corruption(format!("the MANIFEST names a file outside of its folder: {}", entry.name)));
        }
        Ok(manifest)
    }

    /// Replaces the MANIFEST of `folder`.
    pub(crate) fn write(&self, folder: &Path, disk: &Disk) -> Result<()> {
        let body = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::internal("the MANIFEST cannot be encoded").with_source(error))?;
        disk.write_atomic(&folder.join(MANIFEST), FileKind::Manifest, |out| out.write_all(&body)).map(drop)
    }
}
