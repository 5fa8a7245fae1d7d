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
        let tokens =
            Tokens { base: text.as_ptr() as usize, length: text.len(), starts: self.embedder.token_starts(text)? };
        let capacity = self.capacity(&document.title)?;
        if tokens.starts.len() <= capacity {
            return Ok(vec![(0, length)]);
        }
        let overlap = self.config.overlap_tokens.min(capacity / 2);
        let ranges = split(text, format_of(&document.metadata), capacity, overlap, tokens)?;
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

fn split(text: &str, format: &str, capacity: usize, overlap: usize, tokens: Tokens) -> Result<Vec<(u32, u32)>> {
    let config = ChunkConfig::new(capacity).with_sizer(tokens).with_trim(true);
    let config = config
        .with_overlap(overlap)
        .map_err(|error| Error::invalid(format!("`chunking.overlap_tokens`: {error}")).with_source(error))?;
    let range = |(start, chunk): (usize, &str)| (start as u32, (start + chunk.len()) as u32);
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
    use crate::engine::testing::WordEmbedder;

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
