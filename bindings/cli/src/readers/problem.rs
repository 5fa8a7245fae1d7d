//! Why a file or a record gave no document.

use std::fmt;
use std::path::PathBuf;

/// Why a file or a record gave no document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Problem {
    /// Nothing but white space.
    #[error("it holds no text")]
    Empty,
    /// No reader for a file of that name.
    #[error("no reader for this kind of file")]
    UnknownKind,
    /// A NUL byte in the first 8 KB of what should be text.
    #[error("binary: a NUL byte among the first {} bytes", super::input::SNIFF_BYTES)]
    Binary,
    /// A symbolic link, and links are not followed.
    #[error("a symbolic link, and links are not followed")]
    Link,
    /// A socket, pipe or device.
    #[error("not a regular file")]
    Special,
    /// The build lacks the reader. Not met where every reader is built in.
    #[allow(dead_code)]
    #[error("this build cannot read it; build with the feature `{feature}`")]
    NotBuilt {
        /// The cargo feature that brings the reader.
        feature: &'static str,
    },
    /// A link to a folder that contains it.
    #[error("a symbolic link to {}, a folder that contains it", ancestor.display())]
    Cycle {
        /// The folder that contains the link.
        ancestor: PathBuf,
    },
    /// The operating system refused.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The walker could not go on below a folder.
    #[error("{0}")]
    Walk(String),
    /// Bytes that are no UTF-8.
    #[error("not UTF-8: invalid byte at offset {offset}; convert it to UTF-8")]
    NotUtf8 {
        /// Offset of the first invalid byte in the file or the record.
        offset: usize,
    },
    /// The name of the file is no UTF-8, so that it has no id.
    #[error("the file name is not UTF-8; rename it")]
    NameNotUtf8,
    /// More bytes than allowed.
    #[error("larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// Not what the format asks for.
    #[error("malformed: {0}")]
    Malformed(String),
    /// A record without the field that holds the text.
    #[error("no text: none of the fields {fields} is a string")]
    NoText {
        /// The fields that were looked for.
        fields: String,
    },
    /// A record whose id cannot be used.
    #[error("unusable id: {0}")]
    BadId(String),
}

impl Problem {
    /// Whether the file should have been read, so that the caller has to know. The others (an image, a link, an empty
    /// file) are met in every folder.
    pub(crate) fn is_failure(&self) -> bool {
        match self {
            Problem::Empty | Problem::UnknownKind | Problem::Link | Problem::Special | Problem::NotBuilt { .. } => {
                false
            }
            Problem::Binary
            | Problem::Cycle { .. }
            | Problem::Io(_)
            | Problem::Walk(_)
            | Problem::NotUtf8 { .. }
            | Problem::NameNotUtf8
            | Problem::TooLarge { .. }
            | Problem::Malformed(_)
            | Problem::NoText { .. }
            | Problem::BadId(_) => true,
        }
    }
}

/// A file or record that gave no document.
#[derive(Debug)]
pub(crate) struct Skipped {
    /// The file.
    pub(crate) path: PathBuf,
    /// The 1-based line of the record, in files of records.
    pub(crate) line: Option<u64>,
    /// Why.
    pub(crate) problem: Problem,
}

impl fmt::Display for Skipped {
    /// `path:line: why`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.problem)
    }
}
