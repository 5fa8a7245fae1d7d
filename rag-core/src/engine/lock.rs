//! One writer process a folder.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, ErrorKind, Result};

/// Held as long as the engine lives; the operating system frees it when the process ends, however it ends, and with it the
/// children that it forked.
///
/// A forked child has the same open file. The process that took the lock counts its commits in the last bytes of the file, where a
/// child sees whether its view of the folder still holds.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    /// The process that took it.
    process: u32,
    /// Commits begun since, as this process knows.
    commits: AtomicU64,
}

impl Lock {
    /// Takes the lock of `folder`.
    ///
    /// # Errors
    /// `Conflict`, naming the holder; I/O errors.
    pub(crate) fn take(folder: &Path) -> Result<Lock> {
        let path = folder.join("LOCK");
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| Error::io("open", &path, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // On systems where a lock forbids reading as well, the holder stays unknown.
                let _ = (&mut file).take(COUNT_AT).read_to_string(&mut holder);
                let holder = holder.trim_end_matches('\0');
                let holder = if holder.trim().is_empty() { "another process" } else { holder.trim() };
                return Err(Error::new(
                    ErrorKind::Conflict,
                    format!("{} is in use by {holder}; close it there, or wait until it is done", folder.display()),
                ));
            }
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path, error)),
        }
        let process = std::process::id();
        let holder = format!("process {process} since {}\n", jiff::Timestamp::now());
        // Only told to others; on a full disk the holder stays unknown and the lock holds all the same.
        let _ = file.set_len(0).and_then(|()| file.write_all(holder.as_bytes()));
        Ok(Lock { file, process, commits: AtomicU64::new(0) })
    }

    /// Whether this is the process that took the lock, and not one that it forked.
    pub(crate) fn is_own(&self) -> bool {
        std::process::id() == self.process
    }

    /// Refuses to change the folder in a forked child.
    ///
    /// # Errors
    /// `Conflict`.
    pub(crate) fn may_write(&self) -> Result<()> {
        if self.is_own() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Conflict,
            format!("this process was forked from process {}, which has the folder open: write there", self.process),
        ))
    }

    /// Tells forked children that the folder is about to change.
    pub(crate) fn count_commit(&self) {
        let count = self.commits.fetch_add(1, Ordering::SeqCst) + 1;
        // On a disk that is too full for these bytes nothing is committed either.
        let _ = write_count(&self.file, count);
    }

    /// In a forked child: refuses once the parent has committed since the fork, for what the child knows of the folder may
    /// then be overwritten.
    ///
    /// # Errors
    /// `Conflict`.
    pub(crate) fn may_read(&self) -> Result<()> {
        if self.is_own() || read_count(&self.file) == Some(self.commits.load(Ordering::SeqCst)) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Conflict,
            format!("process {} has changed the folder since this one was forked from it; fork again", self.process),
        ))
    }
}

/// Where the count lies in the file: behind any text.
const COUNT_AT: u64 = 256;

#[cfg(unix)]
fn write_count(file: &File, count: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, &count.to_le_bytes(), COUNT_AT)
}

/// `None` where nothing can be read. No count yet is none.
#[cfg(unix)]
fn read_count(file: &File) -> Option<u64> {
    let mut bytes = [0; 8];
    match std::os::unix::fs::FileExt::read_at(file, &mut bytes, COUNT_AT) {
        Ok(0) => Some(0),
        Ok(8) => Some(u64::from_le_bytes(bytes)),
        _ => None,
    }
}

/// Nothing forks there.
#[cfg(not(unix))]
fn write_count(_: &File, _: u64) -> std::io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn read_count(_: &File) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_second_one_is_told_who_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let held = Lock::take(folder.path()).unwrap();
        let error = Lock::take(folder.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        held.count_commit();
        let again = Lock::take(folder.path()).unwrap_err();
        assert_eq!(again.to_string(), error.to_string(), "the count is no part of the name");
        drop(held);
        Lock::take(folder.path()).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_forked_child_reads_until_its_parent_commits_and_never_writes() {
        let folder = tempfile::tempdir().unwrap();
        let own = Lock::take(folder.path()).unwrap();
        own.count_commit();
        // What a fork leaves a child with: the open file, and the memory of that moment, of another process.
        let child = Lock { file: own.file.try_clone().unwrap(), process: u32::MAX, commits: AtomicU64::new(1) };
        assert!(own.is_own() && !child.is_own());
        assert_eq!(child.may_write().unwrap_err().kind(), ErrorKind::Conflict);
        child.may_read().unwrap();
        own.count_commit();
        assert_eq!(child.may_read().unwrap_err().kind(), ErrorKind::Conflict);
        own.may_write().unwrap();
        own.may_read().unwrap();
    }
}
