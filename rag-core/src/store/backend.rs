//! The store's file behind the seam where tests make the disk fail.

use std::fs::File;
use std::io;
use std::path::Path;

use redb::StorageBackend;
use redb::backends::FileBackend;

use super::redb_error;
use crate::error::{Error, Result};
use crate::format::disk::Disk;

#[derive(Debug)]
pub(super) struct WatchedFile {
    inner: FileBackend,
    disk: Disk,
}

impl WatchedFile {
    pub(super) fn open(path: &Path, disk: Disk) -> Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| Error::io("open", path, error))?;
        Ok(WatchedFile { inner: FileBackend::new(file).map_err(redb_error)?, disk })
    }
}

impl StorageBackend for WatchedFile {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.step()?;
        self.inner.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.disk.step()?;
        self.inner.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.step()?;
        self.inner.write(offset, data)
    }
    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }
}
