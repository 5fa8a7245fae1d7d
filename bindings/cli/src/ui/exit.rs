//! Exit codes: one for each kind of error, so that scripts can tell them apart; docs/errors.md has the table.

use std::io;
use std::path::Path;

use rag_core::{Error, ErrorKind};

/// Done.
pub(crate) const OK: u8 = 0;

/// The command line could not be understood; clap's own code.
#[cfg(test)]
pub(crate) const USAGE: u8 = 2;

/// Done, but some files or records could not be read.
pub(crate) const SOME_SKIPPED: u8 = 20;

/// The exit code of a kind.
pub(crate) fn code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::InvalidArgument => 3,
        ErrorKind::NotFound => 4,
        ErrorKind::PermissionDenied => 5,
        ErrorKind::Unauthenticated => 6,
        ErrorKind::RateLimited => 7,
        ErrorKind::Conflict => 8,
        ErrorKind::SchemaMismatch => 9,
        ErrorKind::ModelMismatch => 10,
        ErrorKind::Corruption => 11,
        ErrorKind::Unsupported => 12,
        ErrorKind::ResourceExhausted => 13,
        ErrorKind::DeadlineExceeded => 14,
        ErrorKind::Unavailable => 15,
        ErrorKind::Cancelled => 130,
        // `Internal`, and kinds that are younger than this table.
        _ => 1,
    }
}

/// The kind of the first engine error in the chain; without one, that of the first failure of the system; else
/// `Internal`.
pub(crate) fn kind_of(error: &anyhow::Error) -> ErrorKind {
    if let Some(error) = error.chain().find_map(|cause| cause.downcast_ref::<Error>()) {
        return error.kind();
    }
    error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()).map_or(ErrorKind::Internal, kind_of_io)
}

/// The kind that the engine gives to a failure of the system.
fn kind_of_io(error: &io::Error) -> ErrorKind {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>()) {
        Some(inner) if error.kind() == io::ErrorKind::Other => kind_of_io(inner),
        _ => Error::io("use", Path::new(""), error.kind().into()).kind(),
    }
}

/// The exit code of an error.
pub(crate) fn code_of(error: &anyhow::Error) -> u8 {
    code(kind_of(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;
    use std::collections::HashMap;

    #[test]
    fn every_kind_has_a_code_of_its_own_that_is_documented() {
        let documentation = include_str!("../../../../docs/errors.md");
        let mut seen = HashMap::from([(OK, "ok"), (USAGE, "usage"), (SOME_SKIPPED, "skipped")]);
        for kind in ErrorKind::ALL {
            let code = code(kind);
            assert_eq!(seen.insert(code, kind.as_str()), None, "{kind} shares its code {code}");
            let row = documentation.lines().find(|line| line.starts_with(&format!("| `{kind}` |")));
            let cells: Vec<&str> = row.unwrap_or_default().split('|').map(str::trim).collect();
            assert_eq!(cells.get(3), Some(&&*code.to_string()), "docs/errors.md tells of {kind}: {row:?}");
            let again = if kind.is_temporary() { "yes" } else { "no" };
            assert_eq!(cells.get(5), Some(&again), "docs/errors.md tells of {kind}: {row:?}");
        }
    }

    #[test]
    fn context_does_not_hide_the_kind() {
        let error = Err::<(), _>(Error::corruption("bad checksum")).context("opening the store");
        assert_eq!(error.as_ref().map_err(code_of), Err(11));
        assert_eq!(code_of(&anyhow::anyhow!("anything")), 1);
    }

    #[test]
    fn a_failure_of_the_system_has_the_code_that_the_engine_gives_it() {
        for (kind, code) in [
            (io::ErrorKind::StorageFull, 13),
            (io::ErrorKind::PermissionDenied, 5),
            (io::ErrorKind::NotFound, 4),
            (io::ErrorKind::TimedOut, 15),
            (io::ErrorKind::Other, 1),
        ] {
            let plain = anyhow::Error::from(io::Error::from(kind)).context("making a folder");
            assert_eq!(code_of(&plain), code, "{kind}");
            let wrapped = anyhow::Error::from(io::Error::other(io::Error::from(kind)));
            assert_eq!(code_of(&wrapped), code, "{kind}");
        }
    }
}
