//! A place in a JSON text, which moves forwards over it. Nothing here calls itself, however deep the text is nested.

use crate::error::{Error, Result};

/// A place in a JSON text.
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Cursor { text, at: 0 }
    }

    /// The next byte that is not white space.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.text.as_bytes().get(self.at).copied()
    }

    /// Goes over this byte, if it is the next one.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    pub(super) fn expect(&mut self, byte: u8) -> Result<()> {
        if self.take(byte) { Ok(()) } else { Err(self.wrong(&format!("`{}` must stand here", char::from(byte)))) }
    }

    /// The next name of an object whose brace has been taken, or `None` where the object ends. `first` says that nothing
    /// of the object has been read.
    pub(super) fn name(&mut self, first: bool) -> Result<Option<&'a str>> {
        if self.take(b'}') {
            return Ok(None);
        }
        if !first {
            self.expect(b',')?;
        }
        let name = self.value()?;
        let name = unquoted(name).ok_or_else(|| self.wrong("the name of a member must stand here"))?;
        self.expect(b':')?;
        Ok(Some(name))
    }

    /// Goes over a value of any kind and gives its text.
    pub(super) fn value(&mut self) -> Result<&'a str> {
        self.peek();
        let start = self.at;
        let mut open = Vec::new();
        loop {
            match self.peek() {
                Some(b'"') => self.string()?,
                Some(byte @ (b'{' | b'[')) => {
                    self.at += 1;
                    open.push(byte + 2); // the closing brace or bracket, in ASCII
                }
                Some(byte @ (b'}' | b']')) if open.pop() == Some(byte) => self.at += 1,
                Some(b',' | b':') if !open.is_empty() => self.at += 1,
                Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+') => {
                    let rest = &self.text.as_bytes()[self.at..];
                    let is_inside = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
                    self.at += rest.iter().take_while(is_inside).count();
                }
                _ => return Err(self.wrong("a value must stand here")),
            }
            if open.is_empty() {
                return Ok(&self.text[start..self.at]);
            }
        }
    }

    /// Goes over a string.
    fn string(&mut self) -> Result<()> {
        let bytes = self.text.as_bytes();
        let mut at = self.at + 1;
        loop {
            match bytes.get(at) {
                None => return Err(self.wrong("a string has no end")),
                Some(b'"') => break,
                Some(b'\\') => at += 2,
                Some(_) => at += 1,
            }
        }
        self.at = at + 1;
        Ok(())
    }

    pub(super) fn wrong(&self, problem: &str) -> Error {
        Error::model(format!("byte {}", self.at), problem)
    }
}

/// What stands between the quotes, or `None` for what is not a string. Escapes stay as they are: no name or word of
/// LightGBM's has one.
pub(super) fn unquoted(value: &str) -> Option<&str> {
    value.strip_prefix('"')?.strip_suffix('"')
}
