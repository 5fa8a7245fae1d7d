//! Writing files whole or not at all, and the seam where tests make the disk fail.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::{FileKind, HEADER, header};
use crate::error::{Error, ErrorKind, Result, kind_of_io};

/// When a disk dies: it takes a number of write operations, then fails every further one.
#[derive(Debug)]
pub struct FaultPlan {
    left: AtomicU64,
    writes: AtomicU64,
    tripped: AtomicBool,
    is_full: bool,
}

impl FaultPlan {
    /// Lets `writes` operations through and fails from then on, as a broken disk does. `u64::MAX` only counts.
    pub fn after(writes: u64) -> Arc<FaultPlan> {
        Arc::new(FaultPlan { left: writes.into(), writes: 0.into(), tripped: false.into(), is_full: false })
    }

    /// Lets `writes` operations through and fails from then on as a full disk does.
    pub fn full_after(writes: u64) -> Arc<FaultPlan> {
        Arc::new(FaultPlan { left: writes.into(), writes: 0.into(), tripped: false.into(), is_full: true })
    }

    /// Lets so many more operations through from now on: a disk that was mended, or that breaks later.
    pub fn break_after(&self, writes: u64) {
        self.left.store(writes, Ordering::SeqCst);
    }

    /// Write operations seen so far.
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    /// Whether the disk has died.
    pub fn tripped(&self) -> bool {
        self.tripped.load(Ordering::SeqCst)
    }

    fn step(&self) -> io::Result<()> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        let spent = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err();
        if spent {
            self.tripped.store(true, Ordering::SeqCst);
            return Err(if self.is_full {
                io::Error::new(io::ErrorKind::StorageFull, "no space left on the disk (injected)")
            } else {
                io::Error::other("the disk failed (injected)")
            });
        }
        Ok(())
    }
}

/// Where files are written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    faults: Option<Arc<FaultPlan>>,
    full: Arc<AtomicBool>,
}

impl Disk {
    /// A disk that obeys `plan`; for tests.
    pub(crate) fn failing(plan: Arc<FaultPlan>) -> Disk {
        Disk { faults: Some(plan), full: Arc::default() }
    }

    /// Passes a result on, and notes whether there was no room.
    pub(crate) fn saw<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if result.as_ref().is_err_and(|error| kind_of_io(error) == ErrorKind::ResourceExhausted) {
            self.full.store(true, Ordering::Relaxed);
        }
        result
    }

    /// Whether there was no room at some write since this was last asked. For libraries that make a mere sentence of an
    /// error of the system.
    pub(crate) fn was_full(&self) -> bool {
        self.full.swap(false, Ordering::Relaxed)
    }

    /// Whether tests watch this disk.
    pub(crate) fn is_watched(&self) -> bool {
        self.faults.is_some()
    }

    /// To be called before every change of the disk.
    pub(crate) fn step(&self) -> io::Result<()> {
        self.saw(self.faults.as_ref().map_or(Ok(()), |plan| plan.step()))
    }

    /// Writes a file of `kind` whose payload `fill` writes: temporary file in the same folder, fsync, rename, fsync of
    /// the folder. Readers see the old file or the new one, also after a crash. Gives the payload's checksum.
    ///
    /// # Errors
    /// I/O errors; the file at `path` is then as it was, or, where the last step failed, the new one without the promise
    /// that it survives a crash.
    pub(crate) fn write_atomic(
        &self,
        path: &Path,
        kind: FileKind,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<u64> {
        self.replace(path, |file| {
            let mut out = Hashed { inner: BufWriter::new(file), hash: Xxh3::new(), length: 0 };
            out.inner.write_all(&[0; HEADER])?;
            fill(&mut out)?;
            let (checksum, length) = (out.hash.digest(), out.length);
            out.inner.seek(SeekFrom::Start(0))?;
            out.inner.write_all(&header(kind, length, checksum))?;
            out.inner.flush()?;
            Ok(checksum)
        })
    }

    /// As [`Disk::write_atomic`], for a file of bytes that say themselves what they are.
    pub(crate) fn write_bytes(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        self.replace(path, |file| file.write_all(bytes))
    }

    /// Writes a file of `kind` with this payload, unless there is one already, which then stays.
    pub(crate) fn write_new(&self, path: &Path, kind: FileKind, payload: &[u8]) -> Result<()> {
        let folder = folder_of(path);
        let attempt = || -> io::Result<()> {
            self.step()?;
            let mut temporary = tempfile::Builder::new().prefix(".tmp-").tempfile_in(folder)?;
            temporary.write_all(&header(kind, payload.len() as u64, xxh3_64(payload)))?;
            temporary.write_all(payload)?;
            self.step()?;
            temporary.as_file().sync_all()?;
            match temporary.persist_noclobber(path) {
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                other => other.map_err(|error| error.error).and_then(|_| sync_folder(folder)),
            }
        };
        attempt().map_err(|error| Error::io("write", path, error))
    }

    fn replace<T>(&self, path: &Path, fill: impl FnOnce(&mut std::fs::File) -> io::Result<T>) -> Result<T> {
        let folder = folder_of(path);
        let attempt = || -> io::Result<T> {
            self.step()?;
            let mut temporary = tempfile::Builder::new().prefix(".tmp-").tempfile_in(folder)?;
            let filled = fill(temporary.as_file_mut())?;
            self.step()?;
            temporary.as_file().sync_all()?;
            self.step()?;
            temporary.persist(path).map_err(|error| error.error)?;
            self.step()?;
            sync_folder(folder)?;
            Ok(filled)
        };
        attempt().map_err(|error| Error::io("write", path, error))
    }

    /// Gives a finished file its name; readers see all of it or nothing, also after a crash.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let attempt = || {
            self.step()?;
            std::fs::rename(from, to)?;
            self.step()?;
            sync_folder(folder_of(to))
        };
        attempt().map_err(|error| Error::io("rename", from, error))
    }

    /// Removes a file that nothing refers to any more; one that is not there is fine.
    pub(crate) fn remove(&self, path: &Path) -> Result<()> {
        let attempt = || {
            self.step()?;
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        };
        attempt().map_err(|error| Error::io("remove", path, error))
    }
}

/// The folder that a file or folder lies in; that of a bare name is the working folder.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the names in a folder survive a crash.
#[cfg(unix)]
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Folders cannot be opened for syncing there; the rename itself is journalled.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

struct Hashed<'a> {
    inner: BufWriter<&'a mut File>,
    hash: Xxh3,
    length: u64,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_lies_in_the_working_folder() {
        let folders = ["name", "/name", "a/name", "./name", "/"].map(|path| folder_of(path.as_ref()));
        assert_eq!(folders, [".", "/", "a", ".", "."].map(Path::new));
    }
}
