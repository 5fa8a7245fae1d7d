//! The lexical retriever: words, phrases and fields ranked by BM25, and metadata filters, over a tantivy index.
//!
//! The index is derived data: it holds no text, can be thrown away at any time and is built again from the store. One
//! entry stands for one chunk; metadata and tenant hang on the first chunk of each document.
//!
//! **Scores** are BM25 (Robertson & Zaragoza 2009, in Lucene's form) with k1 = 1.2 and b = 0.75. The length of a chunk
//! is kept in one byte, exact to 40 words and at most an eighth short above. The statistics (number of chunks, mean
//! length, chunks that hold a word) are those of the whole index, all tenants together, and a deleted chunk counts until
//! its segment is merged. So scores are comparable within one answer; between two commits they may move a little.
//!
//! **Order** depends on nothing but the statistics: scores are summed word by word in one fixed order, in double
//! precision, and equal scores are ranked by ascending [`ChunkId`](crate::ChunkId), however the chunks lie in segments.

mod analyser;
mod directory;
mod filter;
mod index;
mod query;
mod schema;
mod search;
mod statistics;
#[cfg(test)]
mod tests;
mod view;

use std::panic::{AssertUnwindSafe, catch_unwind};

use tantivy::TantivyError;
use tantivy::directory::error::{LockError, OpenReadError, OpenWriteError};

use crate::error::{Error, ErrorKind, Result, kind_of_io};

pub(crate) use analyser::Analyser;
pub(crate) use index::{LexicalIndex, Opened};
pub use query::TextQuery;
pub(crate) use statistics::{BODY, ChunkWords, FIELDS, FieldStatistics, Occurrences, QueryWords, TEXT, TITLE};
pub(crate) use view::LexicalView;

/// Runs a call into tantivy: its errors become ours, and a panic, which is how it answers to damaged files, becomes
/// [`ErrorKind::Corruption`].
fn guarded<T>(action: &str, call: impl FnOnce() -> tantivy::Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error_of(action, error)),
        Err(panic) => {
            let message = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            Err(Error::corruption(format!("cannot {action}: the lexical index is damaged ({message}); rebuild it")))
        }
    }
}

fn error_of(action: &str, error: TantivyError) -> Error {
    let kind = match &error {
        TantivyError::IoError(io)
        | TantivyError::LockFailure(LockError::IoError(io), _)
        | TantivyError::OpenWriteError(OpenWriteError::IoError { io_error: io, .. })
        | TantivyError::OpenReadError(OpenReadError::IoError { io_error: io, .. }) => match kind_of_io(io) {
            // A file that the index lists is gone.
            ErrorKind::NotFound => ErrorKind::Corruption,
            kind => kind,
        },
        TantivyError::LockFailure(LockError::LockBusy, _) => ErrorKind::Conflict,
        TantivyError::DataCorruption(_)
        | TantivyError::OpenReadError(_)
        | TantivyError::IncompatibleIndex(_)
        | TantivyError::SchemaError(_)
        | TantivyError::DeserializeError(_) => ErrorKind::Corruption,
        _ => ErrorKind::Internal,
    };
    Error::new(kind, format!("cannot {action}: {error}")).with_source(error)
}
