//! Documents to chunks: token-aware, and aware of the syntax of Markdown and source code.
//!
//! The metadata field `format` says what a text is: `markdown`, `rust`, `python`, `javascript`; anything else, or
//! nothing, is plain text. A text that fits into one chunk is never split.

use text_splitter::{ChunkConfig, ChunkSizer, MarkdownSplitter, TextSplitter};
use xxhash_rust::xxh3::xxh3_64;

use crate::config::ChunkingConfig;
use crate::embed::Embedder;
use crate::error::{Error, Result};
use crate::types::{Document, MAX_CHUNKS, Metadata, Value};

/// Metadata field that names the syntax of a text.
pub const FORMAT_FIELD: &str = "format";

/// Changes when a change of this module, or of how the bundled model counts tokens, gives other chunks for the same text.
const REVISION: u32 = 2;

/// Longest text, in bytes, that is looked at as a whole; a longer one is first cut into pieces of about this length. What
/// the splitters take grows with the square of the length of a sentence, and of a source file.
const PIECE_BYTES: usize = 64 << 10;

/// Splits documents by one set of settings and the tokens of one model.
#[derive(Debug)]
pub(crate) struct Chunker<'a> {
    config: &'a ChunkingConfig,
    embedder: &'a dyn Embedder,
}

impl<'a> Chunker<'a> {
    pub(crate) fn new(config: &'a ChunkingConfig, embedder: &'a dyn Embedder) -> Self {
        Chunker { config, embedder }
    }

    /// Equal for two chunkers that split every document alike.
    pub(crate) fn fingerprint(&self) -> u64 {
        let ChunkingConfig { max_tokens, overlap_tokens } = self.config;
        let code = cfg!(feature = "code");
        let model = self.embedder.max_tokens();
        xxh3_64(format!("{REVISION} {max_tokens} {overlap_tokens} {model:?} {code}").as_bytes())
    }

    /// Byte ranges of the chunks in the document's text, in order, each at a character boundary.
    /// A document with neither title nor text has none.
    ///
    /// # Errors
    /// `InvalidArgument` for a text of 4 GiB or of more than [`MAX_CHUNKS`] chunks; what the tokeniser reports.
    pub(crate) fn chunk(&self, document: &Document) -> Result<Vec<(u32, u32)>> {
        let text = document.text.as_str();
        let Ok(length) = u32::try_from(text.len()) else {
            return Err(Error::invalid("`text` is longer than 4 GiB; split the document"));
        };
        if text.trim().is_empty() {
            return Ok(if document.title.trim().is_empty() { Vec::new() } else { vec![(0, length)] });
        }
        if self.config.max_tokens == 0 {
            return Ok(vec![(0, length)]);
        }
        let mut starts = Vec::new();
        for (start, piece) in pieces(text) {
            starts.extend(self.embedder.token_starts(piece)?.into_iter().map(|at| start as u32 + at));
        }
        let tokens = Tokens { base: text.as_ptr() as usize, length: text.len(), starts };
        let capacity = self.capacity(&document.title)?;
        if tokens.starts.len() <= capacity {
            return Ok(vec![(0, length)]);
        }
        let overlap = self.config.overlap_tokens.min(capacity / 2);
        let format = format_of(&document.metadata);
        let mut ranges = Vec::new();
        for (start, piece) in pieces(text) {
            let within = split(piece, format, capacity, overlap, &tokens)?;
            ranges.extend(within.into_iter().map(|(from, to)| ((start + from) as u32, (start + to) as u32)));
        }
        if ranges.len() > MAX_CHUNKS {
            return Err(Error::invalid(format!(
                "`text` has {} chunks; at most {MAX_CHUNKS} are allowed",
                ranges.len()
            )));
        }
        Ok(ranges)
    }

    /// Tokens that a chunk may have so that title and chunk together reach the model whole; a long title takes at
    /// most half of the model's limit.
    fn capacity(&self, title: &str) -> Result<usize> {
        let Some(limit) = self.embedder.max_tokens() else { return Ok(self.config.max_tokens) };
        let title = if title.is_empty() { 0 } else { self.embedder.token_starts(title)?.len() };
        Ok(self.config.max_tokens.min(limit.saturating_sub(title)).max(limit / 2).max(1).min(self.config.max_tokens))
    }
}

fn format_of(metadata: &Metadata) -> &str {
    match metadata.get(FORMAT_FIELD) {
        Some(Value::Text(format)) => format,
        _ => "text",
    }
}

/// The text in pieces of at most [`PIECE_BYTES`], each with its offset. They end, in their second half, at the last blank
/// line, else line, sentence or word; else at any character.
fn pieces(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let boundary = |from: usize| (0..=from).rev().find(|&at| text.is_char_boundary(at)).unwrap_or_default();
    let mut start = 0;
    std::iter::from_fn(move || {
        let from = start;
        if text.len() - from > PIECE_BYTES {
            let (half, most) = (boundary(from + PIECE_BYTES / 2), boundary(from + PIECE_BYTES));
            let last = |end: &str| text.get(half..most)?.rfind(end).map(|at| half + at + end.len());
            start = ["\n\n", "\n", ". ", " "].into_iter().find_map(last).unwrap_or(most);
        } else {
            start = text.len();
        }
        text.get(from..start).filter(|piece| !piece.is_empty()).map(|piece| (from, piece))
    })
}

fn split(text: &str, format: &str, capacity: usize, overlap: usize, tokens: &Tokens) -> Result<Vec<(usize, usize)>> {
    let config = ChunkConfig::new(capacity).with_sizer(tokens).with_trim(true);
    let config = config
        .with_overlap(overlap)
        .map_err(|error| Error::invalid(format!("`chunking.overlap_tokens`: {error}")).with_source(error))?;
    let range = |(start, chunk): (usize, &str)| (start, start + chunk.len());
    Ok(match format {
        "markdown" => MarkdownSplitter::new(config).chunk_indices(text).map(range).collect(),
        #[cfg(feature = "code")]
        "rust" | "python" | "javascript" => {
            let language = match format {
                "rust" => tree_sitter_rust::LANGUAGE,
                "python" => tree_sitter_python::LANGUAGE,
                _ => tree_sitter_javascript::LANGUAGE,
            };
            text_splitter::CodeSplitter::new(language, config)
                .map_err(|error| Error::internal(format!("the grammar of {format} does not load: {error}")))?
                .chunk_indices(text)
                .map(range)
                .collect()
        }
        _ => TextSplitter::new(config).chunk_indices(text).map(range).collect(),
    })
}

/// Counts the tokens of a piece of the text by where the piece lies in it, so that nothing is tokenised twice.
struct Tokens {
    base: usize,
    length: usize,
    starts: Vec<u32>,
}

impl ChunkSizer for Tokens {
    fn size(&self, chunk: &str) -> usize {
        let start = (chunk.as_ptr() as usize).wrapping_sub(self.base);
        if start > self.length || chunk.len() > self.length - start {
            return chunk.len().div_ceil(4); // not a piece of the text: an estimate
        }
        let before = |offset: usize| self.starts.partition_point(|&token| (token as usize) < offset);
        before(start + chunk.len()) - before(start)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::WordEmbedder;

    fn chunks(format: &str, text: &str, max_tokens: usize, overlap_tokens: usize) -> Vec<String> {
        let (config, embedder) = (ChunkingConfig { max_tokens, overlap_tokens }, WordEmbedder::new(4));
        let document = Document::new("a", text).with_metadata(FORMAT_FIELD, format);
        let ranges = Chunker::new(&config, &embedder).chunk(&document).unwrap();
        ranges.iter().map(|&(start, end)| text[start as usize..end as usize].to_owned()).collect()
    }

    #[test]
    fn a_text_that_fits_stays_whole() {
        assert_eq!(chunks("text", "one two three", 8, 2), ["one two three"]);
        assert_eq!(chunks("text", "one two three", 0, 0), ["one two three"]);
    }

    #[test]
    fn long_texts_are_cut_within_the_limit_and_nothing_is_lost() {
        let words: Vec<String> = (0..100).map(|i| format!("w{i}")).collect();
        let pieces = chunks("text", &words.join(" "), 10, 3);
        assert!(pieces.iter().all(|piece| piece.split(' ').count() <= 10));
        for word in &words {
            assert!(pieces.iter().any(|piece| piece.split(' ').any(|w| w == word)), "{word}");
        }
        assert!(pieces.windows(2).all(|pair| pair[1].split(' ').any(|w| pair[0].split(' ').any(|v| v == w))));
    }

    #[test]
    fn a_text_of_any_length_is_cut_into_pieces_that_make_it_up() {
        for text in [
            "word ".repeat(50_000),
            "ü".repeat(100_000),
            "One line of a few words.\n\n".repeat(10_000),
            "No end to it, and then an end. ".repeat(10_000),
            "x".repeat(PIECE_BYTES),
            "x".repeat(PIECE_BYTES + 1),
            String::new(),
        ] {
            let cut: Vec<(usize, &str)> = pieces(&text).collect();
            assert_eq!(cut.iter().map(|(_, piece)| *piece).collect::<String>(), text);
            assert!(cut.iter().all(|&(at, piece)| piece.len() <= PIECE_BYTES && text[at..].starts_with(piece)));
            let at_an_end = cut.iter().filter(|(_, piece)| piece.ends_with([' ', '\n']));
            assert!(at_an_end.count() == cut.len() || !text.contains(' '), "{cut:?}");
        }
        let pieces = chunks("text", &"a bc def ".repeat(20_000), 30, 5);
        assert!(pieces.iter().all(|piece| piece.split(' ').count() <= 30));
        assert!(pieces.iter().map(|piece| piece.split(' ').count()).sum::<usize>() >= 60_000);
    }

    #[test]
    fn markdown_is_cut_at_headings() {
        let text = "# One\n\nalpha beta gamma delta epsilon\n\n# Two\n\nzeta eta theta iota kappa\n";
        assert_eq!(
            chunks("markdown", text, 8, 0),
            ["# One\n\nalpha beta gamma delta epsilon", "# Two\n\nzeta eta theta iota kappa"]
        );
    }

    #[cfg(feature = "code")]
    #[test]
    fn code_is_cut_between_functions() {
        let text = "fn a() {\n    one two three four;\n}\n\nfn b() {\n    five six seven eight;\n}\n";
        let pieces = chunks("rust", text, 9, 0);
        assert!(pieces.iter().any(|piece| piece.starts_with("fn b()")), "{pieces:?}");
    }

    #[test]
    fn empty_documents_have_no_chunks_but_a_title_is_one() {
        assert!(chunks("text", " \n", 8, 0).is_empty());
        let (config, embedder) = (ChunkingConfig::default(), WordEmbedder::new(4));
        let titled = Document::new("a", "").with_title("title");
        assert_eq!(Chunker::new(&config, &embedder).chunk(&titled).unwrap(), [(0, 0)]);
    }
}
