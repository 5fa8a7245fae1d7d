//! What the user sees: text or JSON on stdout, notes and progress on stderr, and the exit code.
//!
//! Colour is used only where it is seen: `anstream` takes it out unless the stream is a terminal, and obeys `NO_COLOR`.
//! What documents and paths bring along of control characters is taken out by [`plain`].

pub(crate) mod colour;
pub(crate) mod exit;
pub(crate) mod plain;
pub(crate) mod progress;
pub(crate) mod table;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

use rag_core::Error;
use serde::Serialize;

/// Where answers go: for people, or as one JSON object for programs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// With `json`, stdout gets one JSON object and nothing else.
    pub(crate) fn new(json: bool) -> Self {
        Output { json }
    }

    /// Whether programs read the answer.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Prints the answer: `value` as JSON, or what `text` makes of it.
    ///
    /// # Errors
    /// Whatever the stream says, naming stdout; a reader that went away (`rag … | head`) is no error.
    pub(crate) fn answer<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) -> rag_core::Result<()> {
        // What takes colours out would take some characters of documents out of the JSON too.
        let written = if self.json {
            put(&mut io::stdout().lock(), true, value, text)
        } else {
            put(&mut anstream::stdout().lock(), false, value, text)
        };
        written.map_err(to_stdout)
    }

    /// Prints a line for people on stdout; nothing with `--json`.
    ///
    /// # Errors
    /// As [`Output::answer`].
    pub(crate) fn line(self, line: impl Display) -> rag_core::Result<()> {
        if self.json { Ok(()) } else { forgiving(writeln!(anstream::stdout().lock(), "{line}")).map_err(to_stdout) }
    }

    /// Prints a remark of one line on stderr, with `--json` too; control characters in it are replaced.
    #[allow(clippy::unused_self)]
    pub(crate) fn note(self, line: impl Display) {
        remark(plain::line(&line.to_string()));
    }

    /// Prints an error and its causes on stderr; with `--json` as one object
    /// `{"error": {"kind", "message", "exit_code"}}`.
    pub(crate) fn error(self, error: &anyhow::Error) {
        let code = exit::code_of(error);
        let message = with_causes(error);
        if self.json {
            let kind = exit::kind_of(error).as_str();
            let object = serde_json::json!({"error": {"kind": kind, "message": message, "exit_code": code}});
            let _ = writeln!(io::stderr().lock(), "{object}");
        } else {
            remark(format_args!("{} {}", colour::paint(colour::ERROR, "error:"), plain::text(&message)));
        }
    }
}

/// The message of an error, and those of its causes that it does not tell already.
fn with_causes(error: &anyhow::Error) -> String {
    let mut message = error.to_string().trim_end().to_owned();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        let cause = cause.trim();
        if !message.contains(cause) {
            message.push_str(": ");
            message.push_str(cause);
        }
    }
    message
}

/// That stderr cannot be written to is not worth failing for.
fn remark(line: impl Display) {
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}

fn to_stdout(source: io::Error) -> Error {
    Error::io("write to", Path::new("stdout"), source)
}

fn put<T: Serialize>(
    stream: &mut impl Write,
    json: bool,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> io::Result<()> {
    let printed = if json { serde_json::to_string_pretty(value)? } else { text(value) };
    forgiving(stream.write_all(printed.as_bytes()).and_then(|()| {
        if printed.ends_with('\n') { Ok(()) } else { stream.write_all(b"\n") }?;
        stream.flush()
    }))
}

/// A reader that has seen enough closes the pipe; that is its right.
fn forgiving(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn answers_are_text_or_one_object() {
        let value = serde_json::json!({"hits": [1, 2]});
        let mut printed = Vec::new();
        put(&mut printed, true, &value, |_| "unused".to_owned()).unwrap();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&printed).unwrap(), value);
        let mut printed = Vec::new();
        put(&mut printed, false, &value, |_| "two hits".to_owned()).unwrap();
        assert_eq!(printed, b"two hits\n");
    }

    #[test]
    fn a_cause_that_is_told_already_is_not_told_again() {
        let cause = Error::invalid("unknown field `deep`\n\n");
        let told = Error::invalid("the environment: unknown field `deep`").with_source(cause);
        assert_eq!(with_causes(&told.into()), "the environment: unknown field `deep`");
        let other = Error::invalid("settings").with_source(Error::invalid("unknown field\n"));
        assert_eq!(with_causes(&other.into()), "settings: unknown field");
    }

    #[test]
    fn a_reader_may_leave() {
        assert!(put(&mut Closed, false, &1, |_| "x".to_owned()).is_ok());
    }
}
