//! What the user sees: text or JSON on stdout, notes and progress on stderr, and the exit code.
//!
//! Colour is used only where it is seen: `anstream` takes it out unless the stream is a terminal, and obeys `NO_COLOR`.

pub(crate) mod colour;
pub(crate) mod exit;
pub(crate) mod progress;
pub(crate) mod table;

use std::fmt::Display;
use std::io::{self, Write};

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
    /// Whatever the stream says; a reader that went away (`rag … | head`) is no error.
    pub(crate) fn answer<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) -> io::Result<()> {
        let mut stdout = anstream::stdout().lock();
        put(&mut stdout, self.json, value, text)
    }

    /// Prints a line for people on stdout; nothing with `--json`.
    ///
    /// # Errors
    /// As [`Output::answer`].
    pub(crate) fn line(self, line: impl Display) -> io::Result<()> {
        if self.json { Ok(()) } else { forgiving(writeln!(anstream::stdout().lock(), "{line}")) }
    }

    /// Prints a remark on stderr, with `--json` too. That stderr cannot be written to is not worth failing for.
    #[allow(clippy::unused_self)]
    pub(crate) fn note(self, line: impl Display) {
        let _ = writeln!(anstream::stderr().lock(), "{line}");
    }

    /// Prints an error and its causes on stderr; with `--json` as one object
    /// `{"error": {"kind", "message", "exit_code"}}`.
    pub(crate) fn error(self, error: &anyhow::Error) {
        let code = exit::code_of(error);
        let mut message = error.to_string();
        for cause in error.chain().skip(1).map(ToString::to_string) {
            if !message.contains(&cause) {
                message.push_str(": ");
                message.push_str(&cause);
            }
        }
        if self.json {
            let kind = exit::kind_of(error).as_str();
            self.note(serde_json::json!({"error": {"kind": kind, "message": message, "exit_code": code}}));
        } else {
            self.note(format_args!("{} {message}", colour::paint(colour::ERROR, "error:")));
        }
    }
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
    fn a_reader_may_leave() {
        assert!(put(&mut Closed, false, &1, |_| "x".to_owned()).is_ok());
    }
}
