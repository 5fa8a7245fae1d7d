//! The truth: documents, their chunks and their vectors in one transactional file (redb).
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | name | commit number, next document number, model identity, creation time |
//! | `documents` | (tenant, id) | number of the current revision |
//! | `records` | document number | the document and its chunk boundaries |
//! | `vectors` | document number | one row of floats a chunk |
//! | `live` | document number | (tenant, number of chunks); small, read whole at open |
//!
//! Everything else in the folder is derived from it.

mod backend;
mod view;
mod write;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{Builder, Database, ReadableDatabase as _, TableDefinition};
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result, kind_of_io};
use crate::format::disk::Disk;
use crate::types::{DocNum, Metadata};

pub(crate) use view::{Live, StoreView};
pub(crate) use write::{Replaced, StoreWrite};

const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
const DOCUMENTS: TableDefinition<'static, (&str, &str), DocNum> = TableDefinition::new("documents");
const RECORDS: TableDefinition<'static, DocNum, &[u8]> = TableDefinition::new("records");
const VECTORS: TableDefinition<'static, DocNum, &[u8]> = TableDefinition::new("vectors");
const LIVE: TableDefinition<'static, DocNum, (&str, u32)> = TableDefinition::new("live");

/// Pages that redb keeps in memory.
const CACHE_BYTES: usize = 64 << 20;

/// One stored document revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) tenant: String,
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) metadata: Metadata,
    /// Byte ranges of the chunks in `text`, in order.
    pub(crate) chunks: Vec<(u32, u32)>,
    /// Fingerprint of the settings that made the chunks.
    pub(crate) chunking: u64,
}

impl Record {
    /// Text of chunk `ordinal`; `None` past the last.
    pub(crate) fn chunk(&self, ordinal: usize) -> Option<&str> {
        self.chunks.get(ordinal).and_then(|&(start, end)| self.text.get(start as usize..end as usize))
    }

    /// Texts of all chunks.
    pub(crate) fn chunk_texts(&self) -> impl Iterator<Item = &str> {
        (0..self.chunks.len()).filter_map(|ordinal| self.chunk(ordinal))
    }

    fn is_consistent(&self) -> bool {
        self.chunk_texts().count() == self.chunks.len()
    }
}

/// The open file.
pub(crate) struct Store {
    database: Database,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

/// What to do with the file before it is used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StoreCheck {
    /// Verify the checksum of every page.
    pub(crate) integrity: bool,
    /// Give unused space back to the file system.
    pub(crate) compact: bool,
}

impl Store {
    /// Opens or makes the store at `path`.
    ///
    /// # Errors
    /// `Corruption` when the file is damaged, `Conflict` when another process has it, I/O errors.
    pub(crate) fn open(path: &Path, disk: &Disk, check: StoreCheck) -> Result<Store> {
        let attempt = || {
            if !path.exists() {
                Store::create(path, disk)?;
            }
            let mut database = open_file(path, disk)?;
            if check.integrity && !database.check_integrity().map_err(redb_error)? {
                return Err(Error::corruption("the store did not match its checksums and was rolled back in part"));
            }
            if check.compact {
                database.compact().map_err(redb_error)?;
            }
            Ok(Store { database })
        };
        guard(attempt).map_err(|error| error.with("file", path.display().to_string()))
    }

    /// Makes an empty store under another name first: a crash on the way leaves nothing that looks like a store.
    fn create(path: &Path, disk: &Disk) -> Result<()> {
        let unfinished = path.with_extension("unfinished");
        disk.remove(&unfinished)?;
        StoreWrite::create_tables(&open_file(&unfinished, disk)?)?;
        disk.rename(&unfinished, path)
    }

    /// An immutable view of the last commit.
    pub(crate) fn view(&self) -> Result<StoreView> {
        guard(|| StoreView::new(&self.database.begin_read().map_err(redb_error)?))
    }

    /// Starts staging changes; waits for the previous transaction to end. New documents get numbers from `least` on.
    pub(crate) fn begin(&self, least: DocNum) -> Result<StoreWrite> {
        guard(|| StoreWrite::new(&self.database, least))
    }
}

fn open_file(path: &Path, disk: &Disk) -> Result<Database> {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    if disk.is_watched() {
        builder.create_with_backend(backend::WatchedFile::open(path, disk.clone())?).map_err(redb_error)
    } else {
        builder.create(path).map_err(redb_error)
    }
}

/// Runs one store operation; redb panics on some damaged pages, which is `Corruption` to a caller.
fn guard<T>(operation: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(operation)).unwrap_or_else(|_| {
        Err(Error::corruption("the store is damaged; restore the folder from a snapshot or index the documents again"))
    })
}

/// Whether the store takes and gives nothing any more until it is opened again: redb trusts a file no longer once reading
/// or writing it failed.
pub(crate) fn is_shut(error: &Error) -> bool {
    use std::error::Error as _;
    let cause = error.source().and_then(|source| source.downcast_ref::<redb::Error>());
    matches!(cause, Some(redb::Error::Io(_) | redb::Error::PreviousIo))
}

fn redb_error(error: impl Into<redb::Error>) -> Error {
    let error = error.into();
    let kind = match &error {
        redb::Error::DatabaseAlreadyOpen => ErrorKind::Conflict,
        redb::Error::Corrupted(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TableDoesNotExist(_)
        | redb::Error::RepairAborted => ErrorKind::Corruption,
        redb::Error::UpgradeRequired(_) => ErrorKind::Unsupported,
        redb::Error::ValueTooLarge(_) => ErrorKind::InvalidArgument,
        redb::Error::PreviousIo => ErrorKind::Unavailable,
        redb::Error::Io(error) => kind_of_io(error),
        _ => ErrorKind::Internal,
    };
    let message = match &error {
        redb::Error::PreviousIo => "store: reading or writing it failed before; open the folder again".to_owned(),
        error => format!("store: {error}"),
    };
    Error::new(kind, message).with_source(error)
}

#[cfg(test)]
mod tests;
