//! Opening a file: size, age, a look for NUL bytes, gzip, and caps on what is held in memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

use super::kind::{Format, Kind};
use super::problem::Problem;
use super::walk::Found;

/// How much of a file is looked through for NUL bytes.
pub(crate) const SNIFF_BYTES: usize = 8 << 10;

/// A buffered reader that can cross threads.
pub(crate) type Input = Box<dyn BufRead + Send>;

/// An opened file.
pub(crate) struct Source {
    /// Size on disk, in bytes.
    pub(crate) bytes: u64,
    /// When it was last changed (RFC 3339, whole seconds, UTC), where the file system says so.
    pub(crate) modified: Option<String>,
    input: Input,
    limit: u64,
}

impl Source {
    /// Opens a file and refuses it if it is binary where text is due.
    pub(crate) fn open(found: &Found, format: Format, limit: u64) -> Result<Self, Problem> {
        // Before the file is opened: opening a pipe waits for a writer.
        let metadata = std::fs::metadata(&found.path)?;
        if !metadata.is_file() {
            return Err(Problem::Special);
        }
        let file = File::open(&found.path)?;
        let modified = metadata.modified().ok().and_then(rfc3339);
        let mut input: Input = Box::new(BufReader::new(file));
        if format.gzip {
            input = Box::new(BufReader::new(MultiGzDecoder::new(input)));
        }
        let mut head = Vec::new();
        input.by_ref().take(SNIFF_BYTES as u64).read_to_end(&mut head)?;
        if format.kind != Kind::Pdf && head.contains(&0) {
            return Err(Problem::Binary);
        }
        if format.kind != Kind::Pdf && head.starts_with(b"\xEF\xBB\xBF") {
            head.drain(..3);
        }
        let input = Box::new(Cursor::new(head).chain(input));
        Ok(Source { bytes: metadata.len(), modified, input, limit })
    }

    /// The content without a byte order mark, to be read piece by piece.
    pub(crate) fn reader(self) -> Input {
        self.input
    }

    /// The whole content, up to the limit.
    pub(crate) fn read_all(self) -> Result<Vec<u8>, Problem> {
        let mut content = Vec::new();
        self.input.take(self.limit.saturating_add(1)).read_to_end(&mut content)?;
        if content.len() as u64 > self.limit { Err(Problem::TooLarge { limit: self.limit }) } else { Ok(content) }
    }
}

fn rfc3339(time: std::time::SystemTime) -> Option<String> {
    let time = jiff::Timestamp::try_from(time).ok()?;
    Some(jiff::Timestamp::from_second(time.as_second()).ok()?.to_string())
}

/// Lines of bytes without their ends, numbered from 1; a line beyond the limit is passed over, not held.
pub(crate) struct ByteLines {
    input: Input,
    limit: u64,
    number: u64,
}

impl ByteLines {
    /// Lines of at most `limit` bytes.
    pub(crate) fn new(input: Input, limit: u64) -> Self {
        ByteLines { input, limit, number: 0 }
    }

    /// The number of the line handed out last.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The next line; `None` at the end.
    pub(crate) fn next_line(&mut self) -> Option<Result<Vec<u8>, Problem>> {
        let mut line = Vec::new();
        // Two more than the limit: the end of the line does not count, and one byte shows that there is more.
        let most = self.limit.saturating_add(2);
        let read = match self.input.by_ref().take(most).read_until(b'\n', &mut line) {
            Ok(read) => read,
            Err(source) => {
                self.number += 1;
                return Some(Err(Problem::Io(source)));
            }
        };
        if read == 0 {
            return None;
        }
        self.number += 1;
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if read as u64 == most
            && let Err(source) = self.pass_over_line()
        {
            return Some(Err(Problem::Io(source)));
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if line.len() as u64 > self.limit {
            return Some(Err(Problem::TooLarge { limit: self.limit }));
        }
        Some(Ok(line))
    }

    fn pass_over_line(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.input.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let (used, done) = match end {
                Some(at) => (at + 1, true),
                None => (buffer.len(), buffer.is_empty()),
            };
            self.input.consume(used);
            if done {
                return Ok(());
            }
        }
    }
}
