//! Files that only grow: one record a line, each with its checksum, durable before anyone hears of it.
//!
//! A line is the XXH3-64 of the record in 16 hexadecimal digits, a space, the record, and a line feed. Several processes may
//! append to one file: each takes the file's lock, reads what the others have written, and appends. A line that a crash
//! left unfinished at the end was never told to anyone; the next append writes over it.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::disk::{Disk, folder_of, sync_folder};
use crate::error::{Error, ErrorKind, Result};

/// Most bytes of a record.
const MOST: usize = 4 << 20;

/// A file of records.
#[derive(Debug)]
pub(crate) struct RecordLog {
    path: PathBuf,
    file: File,
    disk: Disk,
    /// Where the first unread record begins.
    end: u64,
    is_broken: bool,
}

impl RecordLog {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// I/O errors.
    pub(crate) fn open(path: &Path, disk: Disk) -> Result<RecordLog> {
        let open = || {
            let is_new = !path.try_exists()?;
            let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
            if is_new {
                sync_folder(folder_of(path))?;
            }
            Ok(file)
        };
        let file = open().map_err(|error| Error::io("open", path, error))?;
        Ok(RecordLog { path: path.to_owned(), file, disk, end: 0, is_broken: false })
    }

    /// Whether the file has more than was read; one question to the file system.
    pub(crate) fn has_more(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.len() > self.end)
    }

    /// The whole records that were not read yet, durable; they are read once `take` has taken them. Somebody who is just
    /// appending goes first: unless told to `wait`, there is nothing then.
    ///
    /// # Errors
    /// As [`Held::take`].
    pub(crate) fn take(&mut self, wait: bool, take: impl FnOnce(&[String]) -> Result<()>) -> Result<()> {
        let locked =
            if wait { self.file.lock_shared().map_err(TryLockError::Error) } else { self.file.try_lock_shared() };
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", &self.path, error)),
        }
        // Who appended may have died before it was durable.
        let synced = self.file.sync_data().map_err(|error| Error::io("write", &self.path, error));
        let taken = synced.and_then(|()| self.take_locked(take));
        let _ = self.file.unlock();
        taken
    }

    fn take_locked(&mut self, take: impl FnOnce(&[String]) -> Result<()>) -> Result<()> {
        let (records, end) = self.unread()?;
        take(&records)?;
        self.end = end;
        Ok(())
    }

    /// All records of a file.
    ///
    /// # Errors
    /// `Corruption` for a damaged record, I/O errors.
    pub(crate) fn read(path: &Path, disk: Disk) -> Result<Vec<String>> {
        RecordLog::open(path, disk)?.unread().map(|(records, _)| records)
    }

    /// The whole records that were not read yet, and where they end.
    fn unread(&mut self) -> Result<(Vec<String>, u64)> {
        let mut bytes = Vec::new();
        let length = self.file.metadata().map_err(|error| Error::io("read", &self.path, error))?.len();
        if length < self.end {
            let path = self.path.display();
            return Err(Error::corruption(format!("{path} has lost records; bring it back from a copy")));
        }
        self.file
            .seek(SeekFrom::Start(self.end))
            .and_then(|_| self.file.read_to_end(&mut bytes))
            .map_err(|error| Error::io("read", &self.path, error))?;
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        let lines = bytes[..whole].split_inclusive(|&byte| byte == b'\n');
        let mut at = self.end;
        let mut records = Vec::new();
        for line in lines {
            let Some(record) = record_of(line) else {
                let path = self.path.display();
                return Err(Error::corruption(format!("{path} is damaged at byte {at}; restore it from a copy")));
            };
            records.push(record.to_owned());
            at += line.len() as u64;
        }
        Ok((records, at))
    }

    /// Takes the file for this process until the guard is dropped; other processes wait.
    ///
    /// # Errors
    /// I/O errors; `Unavailable` after a write that failed in a way that leaves the file's end unknown.
    pub(crate) fn lock(&mut self) -> Result<Held<'_>> {
        if self.is_broken {
            let message = format!("an earlier write of {} failed; open the folder again to go on", self.path.display());
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        self.file.lock().map_err(|error| Error::io("lock", &self.path, error))?;
        Ok(Held { log: self })
    }
}

/// The right to append.
pub(crate) struct Held<'a> {
    log: &'a mut RecordLog,
}

impl Held<'_> {
    /// The whole records that were not read yet; they are read once `take` has taken them. Nobody appends meanwhile.
    ///
    /// # Errors
    /// `Corruption` for a damaged record, and for a file that has lost records which were read, I/O errors, and those of
    /// `take`. Then they are unread still.
    pub(crate) fn take(&mut self, take: impl FnOnce(&[String]) -> Result<()>) -> Result<()> {
        self.log.take_locked(take)
    }

    /// Appends a record and makes it durable. The records before it must have been read.
    ///
    /// # Errors
    /// `InvalidArgument` for a record that is too long or has a line feed; I/O errors, and then the record is not there.
    pub(crate) fn append(&mut self, record: &str) -> Result<()> {
        if record.len() > MOST || record.contains('\n') {
            let (length, most) = (record.len(), MOST);
            return Err(Error::invalid(format!("a record of {length} bytes; give one line of at most {most} bytes")));
        }
        let line = format!("{:016x} {record}\n", xxh3_64(record.as_bytes()));
        let RecordLog { path, file, disk, end, is_broken } = &mut *self.log;
        let mut write = || -> io::Result<()> {
            disk.step()?;
            file.set_len(*end)?; // what a crash left unfinished
            file.seek(SeekFrom::Start(*end))?;
            disk.saw(file.write_all(line.as_bytes()))?;
            disk.step()?;
            disk.saw(file.sync_data())
        };
        match write() {
            Ok(()) => *end += line.len() as u64,
            Err(error) => {
                // Whether the line is on the disk is not known; without it the file is as it was.
                *is_broken = file.set_len(*end).and_then(|()| file.sync_data()).is_err();
                return Err(Error::io("write", path, error));
            }
        }
        Ok(())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // Closing the file frees it in any case.
        let _ = self.log.file.unlock();
    }
}

/// The record of a line; `None` where the checksum is another one.
fn record_of(line: &[u8]) -> Option<&str> {
    let (sum, record) = std::str::from_utf8(line).ok()?.strip_suffix('\n')?.split_once(' ')?;
    (sum.len() == 16 && u64::from_str_radix(sum, 16).ok()? == xxh3_64(record.as_bytes())).then_some(record)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::disk::FaultPlan;
    use super::*;

    fn append(log: &mut RecordLog, record: &str) -> Result<Vec<String>> {
        let mut held = log.lock()?;
        let mut before = Vec::new();
        held.take(|records| {
            before.extend_from_slice(records);
            Ok(())
        })?;
        held.append(record).map(|()| before)
    }

    #[test]
    fn two_processes_see_each_others_records_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let open = || RecordLog::open(&path, Disk::default()).unwrap();
        let (mut one, mut two) = (open(), open());
        assert!(!one.has_more());
        assert!(append(&mut one, "a").unwrap().is_empty());
        assert!(two.has_more() && !one.has_more());
        assert_eq!(append(&mut two, "b").unwrap(), ["a"]);
        assert_eq!(append(&mut one, "c").unwrap(), ["b"]);
        assert_eq!(open().unread().unwrap().0, ["a", "b", "c"]);
        assert!(append(&mut one, "two\nlines").is_err());
    }

    #[test]
    fn an_unfinished_line_is_written_over_and_a_damaged_one_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = RecordLog::open(&path, Disk::default()).unwrap();
        append(&mut log, "first").unwrap();
        append(&mut log, "second").unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let mut log = RecordLog::open(&path, Disk::default()).unwrap();
            let mut expected = log.unread().unwrap().0;
            append(&mut log, "third").unwrap();
            expected.push("third".to_owned());
            let mut again = RecordLog::open(&path, Disk::default()).unwrap();
            assert_eq!(again.unread().unwrap().0, expected, "cut at {length}");
        }
        for at in 0..whole.len() - 1 {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            let result = RecordLog::open(&path, Disk::default()).unwrap().unread();
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Corruption, "byte {at}");
        }
    }

    #[test]
    fn a_disk_that_fails_leaves_the_records_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let plan = FaultPlan::full_after(u64::MAX);
        let mut log = RecordLog::open(&path, Disk::failing(plan.clone())).unwrap();
        append(&mut log, "kept").unwrap();
        for writes in 0..2 {
            plan.break_after(writes);
            assert_eq!(append(&mut log, "lost").unwrap_err().kind(), ErrorKind::ResourceExhausted);
            assert_eq!(RecordLog::open(&path, Disk::default()).unwrap().unread().unwrap().0, ["kept"]);
        }
        plan.break_after(u64::MAX);
        append(&mut log, "next").unwrap();
        assert_eq!(RecordLog::open(&path, Disk::default()).unwrap().unread().unwrap().0, ["kept", "next"]);
    }
}
