//! The one error type of the engine.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// Result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, coarse enough to branch on. Edges (Python, Node, HTTP, CLI) map the kind and nothing else.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The caller passed something that can never work; the message names the field and the way out.
    InvalidArgument,
    /// The named document, file or model does not exist.
    NotFound,
    /// The scope of the call does not allow it.
    PermissionDenied,
    /// The caller is not known.
    Unauthenticated,
    /// Too many calls; try again later.
    RateLimited,
    /// Someone else holds what the call needs (for instance the writer lock).
    Conflict,
    /// A feature schema differs from the one that a model was made with.
    SchemaMismatch,
    /// The data was embedded by another model than the one given.
    ModelMismatch,
    /// Bytes on disk are not what was written.
    Corruption,
    /// This build or backend cannot do it.
    Unsupported,
    /// Disk, memory or a configured limit is exhausted.
    ResourceExhausted,
    /// The deadline of the call passed.
    DeadlineExceeded,
    /// The caller cancelled the call.
    Cancelled,
    /// A needed service or device does not answer; a later try may succeed.
    Unavailable,
    /// A defect of this software or an unexplained failure of the system under it.
    Internal,
}

impl ErrorKind {
    /// Every kind, for tables that must cover all of them.
    pub const ALL: [ErrorKind; 15] = [
        ErrorKind::InvalidArgument,
        ErrorKind::NotFound,
        ErrorKind::PermissionDenied,
        ErrorKind::Unauthenticated,
        ErrorKind::RateLimited,
        ErrorKind::Conflict,
        ErrorKind::SchemaMismatch,
        ErrorKind::ModelMismatch,
        ErrorKind::Corruption,
        ErrorKind::Unsupported,
        ErrorKind::ResourceExhausted,
        ErrorKind::DeadlineExceeded,
        ErrorKind::Cancelled,
        ErrorKind::Unavailable,
        ErrorKind::Internal,
    ];

    /// Stable snake_case name, the same in every binding.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorKind::InvalidArgument => "invalid_argument",
            ErrorKind::NotFound => "not_found",
            ErrorKind::PermissionDenied => "permission_denied",
            ErrorKind::Unauthenticated => "unauthenticated",
            ErrorKind::RateLimited => "rate_limited",
            ErrorKind::Conflict => "conflict",
            ErrorKind::SchemaMismatch => "schema_mismatch",
            ErrorKind::ModelMismatch => "model_mismatch",
            ErrorKind::Corruption => "corruption",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::ResourceExhausted => "resource_exhausted",
            ErrorKind::DeadlineExceeded => "deadline_exceeded",
            ErrorKind::Cancelled => "cancelled",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::Internal => "internal",
        }
    }

    /// Whether the same call may succeed later without a change.
    pub fn is_temporary(self) -> bool {
        matches!(
            self,
            ErrorKind::RateLimited | ErrorKind::Conflict | ErrorKind::DeadlineExceeded | ErrorKind::Unavailable
        )
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure: its [`ErrorKind`], a message for people, the context it happened in and the cause below it.
///
/// ```
/// use rag_core::{Error, ErrorKind};
/// let error = Error::invalid("`k` is 0; ask for at least one hit").with("stage", "search");
/// assert_eq!(error.kind(), ErrorKind::InvalidArgument);
/// assert_eq!(error.to_string(), "`k` is 0; ask for at least one hit (stage: search)");
/// ```
#[derive(Debug, Clone)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    context: Vec<(&'static str, String)>,
    source: Option<Arc<dyn StdError + Send + Sync + 'static>>,
}

impl Error {
    /// An error of `kind`; the message is lower-case and without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), context: Vec::new(), source: None }
    }

    /// [`ErrorKind::InvalidArgument`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::InvalidArgument, message)
    }

    /// [`ErrorKind::Corruption`].
    pub fn corruption(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Corruption, message)
    }

    /// [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Internal, message)
    }

    /// An I/O failure at `path`, with the kind that the operating system's error means.
    pub fn io(action: &str, path: &std::path::Path, source: std::io::Error) -> Self {
        Error::new(kind_of_io(&source), format!("cannot {action} {}: {source}", path.display())).with_source(source)
    }

    /// Adds a named fact, shown after the message.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.context.push((key, value.into()));
        self
    }

    /// Keeps the cause, reachable through [`std::error::Error::source`].
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message without its context.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The named facts, in the order in which they were added.
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.context
    }
}

/// The kind that an I/O error means.
pub(crate) fn kind_of_io(error: &std::io::Error) -> ErrorKind {
    use std::io::ErrorKind as Io;
    match error.kind() {
        Io::NotFound => ErrorKind::NotFound,
        Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::PermissionDenied,
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge | Io::OutOfMemory => ErrorKind::ResourceExhausted,
        Io::InvalidInput | Io::InvalidFilename | Io::NotADirectory | Io::IsADirectory | Io::AlreadyExists => {
            ErrorKind::InvalidArgument
        }
        Io::TimedOut | Io::Interrupted | Io::WouldBlock | Io::ResourceBusy => ErrorKind::Unavailable,
        Io::InvalidData | Io::UnexpectedEof => ErrorKind::Corruption,
        // Libraries wrap one in another and lose its kind.
        _ => match error.get_ref().and_then(|inner| inner.downcast_ref::<std::io::Error>()) {
            Some(inner) => kind_of_io(inner),
            None => ErrorKind::Internal,
        },
    }
}

/// What is wrong with runs, judgments and models is wrong with the caller's input, but for models of other features and sound
/// ones that cannot be scored here.
impl From<rag_ltr::Error> for Error {
    fn from(error: rag_ltr::Error) -> Self {
        let kind = match &error {
            rag_ltr::Error::Schema { .. } => ErrorKind::SchemaMismatch,
            rag_ltr::Error::Unsupported(_) => ErrorKind::Unsupported,
            rag_ltr::Error::Stopped => ErrorKind::Cancelled,
            _ => ErrorKind::InvalidArgument,
        };
        Error::new(kind, error.to_string()).with_source(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for (i, (key, value)) in self.context.iter().enumerate() {
            write!(f, "{}{key}: {value}", if i == 0 { " (" } else { ", " })?;
        }
        if self.context.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_name() {
        let names: std::collections::HashSet<_> = ErrorKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(names.len(), ErrorKind::ALL.len());
    }

    #[test]
    fn a_full_disk_is_resource_exhausted() {
        let error = Error::io("write", "x".as_ref(), std::io::Error::from_raw_os_error(28));
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
        assert!(StdError::source(&error).is_some());
        let wrapped = std::io::Error::other(std::io::Error::from_raw_os_error(28));
        assert_eq!(kind_of_io(&wrapped), ErrorKind::ResourceExhausted);
    }
}
