//! The only place that maps files into memory.
#![allow(unsafe_code)]

use std::fs::File;
use std::path::Path;

use super::{FileKind, HEADER, payload};
use crate::error::{Error, Result};

/// The payload of one immutable, checked file.
#[derive(Debug)]
pub(crate) struct Mapped(memmap2::Mmap);

impl Mapped {
    /// Maps `path`; reads and checks every byte when `full`, else the header and the length.
    ///
    /// # Errors
    /// As [`payload`], with the path; I/O errors.
    pub(crate) fn open(path: &Path, kind: FileKind, full: bool) -> Result<Mapped> {
        let file = File::open(path).map_err(|error| Error::io("open", path, error))?;
        // SAFETY: the file is immutable by contract: this software writes it once under a temporary name, renames it,
        // and afterwards only unlinks it; the writer lock of the folder keeps other processes of ours away.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(|error| Error::io("map", path, error))?;
        payload(&map, kind, full).map_err(|error| error.with("file", path.display().to_string()))?;
        Ok(Mapped(map))
    }

    /// The checksum of the payload, as the header states it.
    pub(crate) fn checksum(&self) -> u64 {
        super::stated_checksum(&self.0)
    }
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        self.0.get(HEADER..).unwrap_or_default()
    }
}
