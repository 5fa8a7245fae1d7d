//! What the index knows of the words of a question: how rare they are, and where they stand in given documents.

use tantivy::postings::Postings;
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, DocSet, SegmentReader, TERMINATED, Term};

use super::guarded;
use super::query::{MAX_QUERY_WORDS, TextQuery};
use super::view::LexicalView;
use crate::error::Result;
use crate::types::{Cancel, DocNum};

/// The searched fields, in the order in which everything here lists them: title, text, and the two as one.
pub(crate) const FIELDS: usize = 3;
/// Position of the title among them.
pub(crate) const TITLE: usize = 0;
/// Position of the text.
pub(crate) const TEXT: usize = 1;
/// Position of title and text as one.
pub(crate) const BODY: usize = 2;

/// Places of a question, from its first word on, whose order counts: the work for each document stays within bounds.
pub(crate) const MAX_SEQUENCE: usize = 1024;

/// The words of a question.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct QueryWords {
    /// Distinct words, ascending: sums over them do not depend on the order in which they were asked.
    pub(crate) words: Vec<String>,
    /// How often each was asked.
    pub(crate) counts: Vec<u32>,
    /// The question as written: positions below [`MAX_SEQUENCE`], ascending, and which word stands there.
    pub(crate) sequence: Vec<(u32, u32)>,
}

/// What the whole index says of a field and of the words of a question in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FieldStatistics {
    /// Mean length of the field, in words.
    pub(crate) mean_length: f64,
    /// `ln(1 + (N − n + 0.5) / (n + 0.5))` of each word, as BM25 weighs it: of N chunks n have it in the field.
    pub(crate) idf: Vec<f64>,
}

/// Where the words of a question stand in the chunks of some documents.
#[derive(Debug, Default)]
pub(crate) struct Occurrences {
    /// All chunks of the documents, those without any of the words too.
    pub(crate) chunks: Vec<ChunkWords>,
    found: Vec<Found>,
    positions: Vec<u32>,
}

/// One chunk.
#[derive(Debug)]
pub(crate) struct ChunkWords {
    /// Position of its document among those that were asked for.
    pub(crate) document: usize,
    /// Length of each field as the index keeps it, in words.
    pub(crate) lengths: [u32; FIELDS],
    found: std::ops::Range<usize>,
}

/// One word in one chunk.
#[derive(Debug, Clone)]
struct Found {
    /// Position in the list of entries of the segment.
    entry: u32,
    word: u32,
    /// How many of the positions are in the title.
    in_title: u32,
    positions: std::ops::Range<usize>,
}

impl Occurrences {
    /// The words that a chunk has in a field, ascending, and their positions in it, ascending. Only differences of
    /// positions mean anything.
    pub(crate) fn of<'a>(&'a self, chunk: &ChunkWords, field: usize) -> impl Iterator<Item = (usize, &'a [u32])> {
        self.found[chunk.found.clone()].iter().filter_map(move |found| {
            let positions = &self.positions[found.positions.clone()];
            // The title comes first in what is searched as one.
            let (title, text) = positions.split_at(found.in_title as usize);
            let positions = [title, text, positions][field];
            (!positions.is_empty()).then_some((found.word as usize, positions))
        })
    }
}

impl LexicalView {
    /// The words of a question, as the index has words.
    ///
    /// # Errors
    /// `InvalidArgument` for query syntax that is not understood.
    pub(crate) fn query_words(&self, query: &TextQuery) -> Result<QueryWords> {
        let text = query.wanted()?;
        let terms = self.analyser.terms(&text);
        let mut words: Vec<String> = Vec::new();
        for (_, term) in &terms {
            if let Err(at) = words.binary_search(term)
                && words.len() < MAX_QUERY_WORDS
            {
                words.insert(at, term.clone());
            }
        }
        let mut counts = vec![0; words.len()];
        let mut sequence = Vec::with_capacity(terms.len().min(MAX_SEQUENCE));
        for (position, term) in terms {
            if let Ok(word) = words.binary_search(&term) {
                counts[word] += 1;
                if position < MAX_SEQUENCE {
                    sequence.push((position as u32, word as u32));
                }
            }
        }
        Ok(QueryWords { words, counts, sequence })
    }

    /// Terms of a text, as the index has words.
    pub(crate) fn terms(&self, text: &str) -> Vec<(usize, String)> {
        self.analyser.terms(text)
    }

    /// A number that differs whenever the statistics of the index may.
    pub(crate) fn entries(&self) -> u64 {
        self.searcher.segment_readers().iter().map(|segment| u64::from(segment.max_doc())).sum()
    }

    /// Statistics of the words, field by field.
    ///
    /// # Errors
    /// `Corruption` if the index is damaged.
    pub(crate) fn statistics(&self, words: &[String]) -> Result<[FieldStatistics; FIELDS]> {
        let entries = self.entries() as f64;
        let of = |field: Field| -> tantivy::Result<FieldStatistics> {
            let mut tokens = 0;
            let mut having = vec![0u64; words.len()];
            for segment in self.searcher.segment_readers() {
                let index = segment.inverted_index(field)?;
                tokens += index.total_num_tokens();
                for (word, having) in words.iter().zip(&mut having) {
                    *having += u64::from(index.doc_freq(&Term::from_field_text(field, word))?);
                }
            }
            let idf = |n: u64| (1.0 + (entries - n as f64 + 0.5) / (n as f64 + 0.5)).ln();
            let mean_length = if tokens == 0 { 1.0 } else { tokens as f64 / entries };
            Ok(FieldStatistics { mean_length, idf: having.into_iter().map(idf).collect() })
        };
        guarded("read the lexical index", || Ok([of(self.fields.title)?, of(self.fields.text)?, of(self.fields.body)?]))
    }

    /// Where the words stand in the chunks of these documents, of which each is listed once.
    ///
    /// # Errors
    /// `Cancelled`, `DeadlineExceeded`, and `Corruption` if the index is damaged.
    pub(crate) fn occurrences(&self, words: &[String], docs: &[DocNum], cancel: &Cancel) -> Result<Occurrences> {
        let mut occurrences = Occurrences::default();
        for segment in self.searcher.segment_readers() {
            cancel.check()?;
            guarded("read the lexical index", || {
                let entries = self.entries_of(segment, docs)?;
                if !entries.is_empty() {
                    self.add_words(segment, words, &entries, cancel, &mut occurrences)?;
                }
                Ok(())
            })?;
        }
        cancel.check()?;
        Ok(occurrences)
    }

    /// The entries of the documents in a segment, ascending, each with the position of its document.
    fn entries_of(&self, segment: &SegmentReader, docs: &[DocNum]) -> tantivy::Result<Vec<(DocId, usize)>> {
        let index = segment.inverted_index(self.fields.doc)?;
        let mut entries = Vec::with_capacity(docs.len());
        for (position, &doc) in docs.iter().enumerate() {
            let term = Term::from_field_u64(self.fields.doc, doc);
            if let Some(mut postings) = index.read_postings(&term, IndexRecordOption::Basic)? {
                while postings.doc() != TERMINATED {
                    entries.push((postings.doc(), position));
                    postings.advance();
                }
            }
        }
        entries.sort_unstable();
        Ok(entries)
    }

    fn add_words(
        &self,
        segment: &SegmentReader,
        words: &[String],
        entries: &[(DocId, usize)],
        cancel: &Cancel,
        into: &mut Occurrences,
    ) -> tantivy::Result<()> {
        let body = segment.inverted_index(self.fields.body)?;
        let title = segment.inverted_index(self.fields.title)?;
        let first = into.found.len();
        for (word, text) in words.iter().enumerate() {
            if cancel.check().is_err() {
                return Ok(()); // the caller checks too
            }
            let term = Term::from_field_text(self.fields.body, text);
            let Some(mut postings) = body.read_postings(&term, IndexRecordOption::WithFreqsAndPositions)? else {
                continue;
            };
            let before = into.found.len();
            for (entry, &(id, _)) in entries.iter().enumerate() {
                if postings.doc() < id && postings.seek(id) == TERMINATED {
                    break;
                }
                if postings.doc() == id {
                    let start = into.positions.len();
                    postings.append_positions_with_offset(0, &mut into.positions);
                    let positions = start..into.positions.len();
                    into.found.push(Found { entry: entry as u32, word: word as u32, in_title: 0, positions });
                }
            }
            let term = Term::from_field_text(self.fields.title, text);
            let Some(mut postings) = title.read_postings(&term, IndexRecordOption::WithFreqs)? else { continue };
            for found in &mut into.found[before..] {
                let id = entries[found.entry as usize].0;
                if postings.doc() < id && postings.seek(id) == TERMINATED {
                    break;
                }
                if postings.doc() == id {
                    found.in_title = postings.term_freq().min(found.positions.len() as u32);
                }
            }
        }
        into.found[first..].sort_unstable_by_key(|found| (found.entry, found.word));

        let fields = [self.fields.title, self.fields.text, self.fields.body];
        let lengths = fields.map(|field| segment.get_fieldnorms_reader(field));
        let [title, text, body] = lengths;
        let lengths = [title?, text?, body?];
        let mut at = first;
        for (entry, &(id, document)) in entries.iter().enumerate() {
            let start = at;
            while into.found.get(at).is_some_and(|found| found.entry as usize == entry) {
                at += 1;
            }
            let lengths = [&lengths[0], &lengths[1], &lengths[2]].map(|lengths| lengths.fieldnorm(id));
            into.chunks.push(ChunkWords { document, lengths, found: start..at });
        }
        Ok(())
    }
}
