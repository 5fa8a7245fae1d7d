//! How the words of a question stand in a field of a document. Pure arithmetic over positions.

use crate::lexical::{ChunkWords, FieldStatistics, Occurrences, QueryWords};

/// Names of the features of a field, in the order of [`FieldFeatures::values`].
pub(super) const NAMES: [&str; 8] = ["bm25", "tf_idf", "coverage", "idf_share", "phrase", "pairs", "span", "proximity"];

/// BM25's saturation of frequencies and its correction for length, as the lexical retriever has them.
pub(super) const K1: f64 = 1.2;
pub(super) const B: f64 = 0.75;

/// The features of one field of one document: each is the best over its chunks.
#[derive(Debug, Clone, Copy)]
pub(super) struct FieldFeatures {
    bm25: f64,
    tf_idf: f64,
    coverage: f64,
    idf_share: f64,
    phrase: f64,
    pairs: f64,
    /// Words matched and span of the chunk that matches most words, and of those with the least span.
    closest: Option<(usize, u32)>,
}

impl FieldFeatures {
    /// Of a document whose field is empty.
    pub(super) const MISSING: FieldFeatures = FieldFeatures {
        bm25: f64::NAN,
        tf_idf: f64::NAN,
        coverage: f64::NAN,
        idf_share: f64::NAN,
        phrase: f64::NAN,
        pairs: f64::NAN,
        closest: None,
    };

    /// Takes what is better in another chunk.
    fn improve(&mut self, other: FieldFeatures) {
        // The maximum of a number and NaN is the number.
        self.bm25 = self.bm25.max(other.bm25);
        self.tf_idf = self.tf_idf.max(other.tf_idf);
        self.coverage = self.coverage.max(other.coverage);
        self.idf_share = self.idf_share.max(other.idf_share);
        self.phrase = self.phrase.max(other.phrase);
        self.pairs = self.pairs.max(other.pairs);
        let is_closer = |(matched, span): (usize, u32)| {
            self.closest.is_none_or(|(most, least)| matched > most || (matched == most && span < least))
        };
        if other.closest.is_some_and(is_closer) {
            self.closest = other.closest;
        }
    }

    /// In the order of [`NAMES`].
    pub(super) fn values(&self) -> [f32; NAMES.len()] {
        let (span, proximity) = match self.closest {
            Some((matched, span)) => (f64::from(span), matched as f64 / f64::from(span)),
            None => (f64::NAN, f64::NAN),
        };
        let values = [self.bm25, self.tf_idf, self.coverage, self.idf_share, self.phrase, self.pairs, span, proximity];
        values.map(|value| value as f32)
    }
}

/// Memory that is used again for every chunk.
#[derive(Debug, Default)]
pub(super) struct Scratch<'a> {
    matched: Vec<(usize, &'a [u32])>,
    places: Vec<(u32, usize)>,
    counts: Vec<u32>,
}

impl<'a> Scratch<'a> {
    /// Adds what a chunk says of its document.
    pub(super) fn add_chunk(
        &mut self,
        document: &mut FieldFeatures,
        query: &QueryWords,
        statistics: &FieldStatistics,
        occurrences: &'a Occurrences,
        chunk: &ChunkWords,
        field: usize,
    ) {
        let length = chunk.lengths[field];
        if length == 0 || query.words.is_empty() {
            return;
        }
        self.matched.clear();
        self.matched.extend(occurrences.of(chunk, field));
        document.improve(self.features(query, statistics, length));
    }

    fn features(&mut self, query: &QueryWords, statistics: &FieldStatistics, length: u32) -> FieldFeatures {
        let norm = K1 * (1.0 - B + B * f64::from(length) / statistics.mean_length);
        let (mut bm25, mut tf_idf, mut idf) = (0.0, 0.0, 0.0);
        for &(word, positions) in &self.matched {
            let (frequency, weight) = (positions.len() as f64, statistics.idf[word]);
            let asked = f64::from(query.counts[word]);
            bm25 += asked * weight * frequency * (K1 + 1.0) / (frequency + norm);
            tf_idf += asked * weight * (1.0 + frequency.ln());
            idf += weight;
        }
        let all: f64 = statistics.idf.iter().sum();
        let (phrase, pairs) = self.in_order(query);
        FieldFeatures {
            bm25,
            tf_idf,
            coverage: self.matched.len() as f64 / query.words.len() as f64,
            idf_share: idf / all,
            phrase,
            pairs,
            closest: self.span(query.words.len()).map(|span| (self.matched.len(), span)),
        }
    }

    /// Whether the whole question stands there word for word, and the share of its neighbouring words that do; NaN for a
    /// question of one word.
    fn in_order(&self, query: &QueryWords) -> (f64, f64) {
        let pairs = query.sequence.len().saturating_sub(1);
        if pairs == 0 {
            return (f64::NAN, f64::NAN);
        }
        let positions = |word: u32| {
            let at = self.matched.binary_search_by_key(&(word as usize), |&(word, _)| word);
            at.map_or(&[][..], |at| self.matched[at].1)
        };
        let found = query.sequence.windows(2).filter(|pair| {
            let distance = pair[1].0 - pair[0].0;
            let second = positions(pair[1].1);
            !second.is_empty() && positions(pair[0].1).iter().any(|at| second.binary_search(&(at + distance)).is_ok())
        });
        let found = found.count();
        let (start, first) = query.sequence[0];
        // From the end on, since a question that goes on beyond the text shows at once.
        let stands_at = |at: &u32| {
            query
                .sequence
                .iter()
                .rev()
                .all(|(place, word)| positions(*word).binary_search(&(at + place - start)).is_ok())
        };
        let phrase = found == pairs && positions(first).iter().any(stands_at);
        (f64::from(u8::from(phrase)), found as f64 / pairs as f64)
    }

    /// Words in the shortest stretch that has each matched word at least once; `None` for fewer than two of them.
    fn span(&mut self, words: usize) -> Option<u32> {
        if self.matched.len() < 2 {
            return None;
        }
        self.places.clear();
        for &(word, positions) in &self.matched {
            self.places.extend(positions.iter().map(|&at| (at, word)));
        }
        self.places.sort_unstable();
        self.counts.clear();
        self.counts.resize(words, 0);
        let (mut start, mut distinct, mut least) = (0, 0, u32::MAX);
        for end in 0..self.places.len() {
            let (at, word) = self.places[end];
            distinct += usize::from(self.counts[word] == 0);
            self.counts[word] += 1;
            while distinct == self.matched.len() {
                let (from, first) = self.places[start];
                least = least.min(at - from + 1);
                self.counts[first] -= 1;
                distinct -= usize::from(self.counts[first] == 0);
                start += 1;
            }
        }
        Some(least)
    }
}
