//! The index's files: tantivy's own, with a checksum on the two that it writes without one (`meta.json` and
//! `.managed.json`), and behind the seam where tests make the disk fail.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, Directory, DirectoryLock, FileHandle, Lock, MmapDirectory, TerminatingWrite, WatchCallback,
    WatchHandle, WritePtr,
};

use super::error_of;
use crate::error::Result;
use crate::format::disk::Disk;
use crate::format::{self, FileKind};

/// The files of the folder `path`, which must exist.
pub(crate) fn open(path: &Path, disk: &Disk) -> Result<Box<dyn Directory>> {
    let inner = MmapDirectory::open(path).map_err(|error| error_of("open the lexical index", error.into()))?;
    Ok(Box::new(IndexFiles { inner, path: path.to_owned(), disk: disk.clone() }))
}

#[derive(Debug, Clone)]
struct IndexFiles {
    inner: MmapDirectory,
    path: PathBuf,
    disk: Disk,
}

impl Directory for IndexFiles {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.inner.get_file_handle(path)
    }
    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        let failed = |error| DeleteError::IoError { io_error: Arc::new(error), filepath: path.to_owned() };
        self.disk.step().map_err(failed)?;
        self.inner.delete(path)
    }
    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.inner.exists(path)
    }
    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        self.disk.step().map_err(|error| OpenWriteError::wrap_io_error(error, path.to_owned()))?;
        let inner = match self.inner.open_write(path) {
            // Left by a commit that was cut off. The next one counts from the same place and comes to the same name.
            Err(OpenWriteError::FileAlreadyExists(_)) => {
                self.inner.delete(path).map_err(|error| {
                    OpenWriteError::wrap_io_error(io::Error::other(error.to_string()), path.to_owned())
                })?;
                self.inner.open_write(path)?
            }
            opened => opened?,
        };
        Ok(BufWriter::new(Box::new(WatchedFile { inner, disk: self.disk.clone() })))
    }
    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        let file = self.inner.atomic_read(path)?;
        let body = format::payload(&file, FileKind::LexicalMeta, true).map_err(|error| {
            OpenReadError::wrap_io_error(io::Error::new(io::ErrorKind::InvalidData, error), path.to_owned())
        })?;
        Ok(body.to_vec())
    }
    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        let path = self.path.join(path);
        self.disk.write_atomic(&path, FileKind::LexicalMeta, |out| out.write_all(data)).map_err(|error| {
            let io = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
            io::Error::new(io.map_or(io::ErrorKind::Other, io::Error::kind), error)
        })?;
        Ok(())
    }
    fn sync_directory(&self) -> io::Result<()> {
        self.disk.step()?;
        self.inner.sync_directory()
    }
    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.inner.acquire_lock(lock)
    }
    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.inner.watch(callback)
    }
}

struct WatchedFile {
    inner: WritePtr,
    disk: Disk,
}

impl Write for WatchedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.step()?;
        self.disk.saw(self.inner.write(bytes))
    }
    fn flush(&mut self) -> io::Result<()> {
        self.disk.saw(self.inner.flush())
    }
}

impl TerminatingWrite for WatchedFile {
    fn terminate_ref(&mut self, token: AntiCallToken) -> io::Result<()> {
        self.disk.step()?;
        self.disk.saw(self.inner.terminate_ref(token))
    }
}
