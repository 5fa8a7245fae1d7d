//! Ranked search.

use std::cell::Cell;

use tantivy::columnar::Column;
use tantivy::query::{BooleanQuery, EnableScoring, Occur, Query, Scorer, Weight};
use tantivy::schema::Field;
use tantivy::{DocId, DocSet, SegmentReader, TERMINATED, Term};

use super::guarded;
use super::query::{Clause, TextQuery};
use super::schema::{CHUNK, DOC};
use super::view::{LexicalView, Numbers, to_set};
use crate::error::Result;
use crate::types::{Cancel, ChunkId, IdSet};

/// Up to this many allowed documents are looked up and scored one by one; beyond, the query's words are walked.
const MAX_LOOKED_UP: u64 = 1000;

/// Scores that tantivy sums in another order differ by less than this share.
const ROUNDING: f32 = 1e-5;

/// Candidates between two looks at the caller's [`Cancel`].
const CHECK_EVERY: u32 = 4096;

impl LexicalView {
    /// The best `k` chunks, best first, with their scores; equal scores by ascending id. With `allow`, only chunks of
    /// these documents. Fewer than `k` where fewer match.
    ///
    /// # Errors
    /// `InvalidArgument` for a query that is not understood, `Cancelled`, `DeadlineExceeded`, and `Corruption` if the
    /// index is damaged.
    pub(crate) fn search(
        &self,
        query: &TextQuery,
        k: usize,
        allow: Option<&IdSet>,
        cancel: &Cancel,
    ) -> Result<Vec<(ChunkId, f32)>> {
        cancel.check()?;
        let clauses = query.clauses(&self.fields, &self.analyser)?;
        if k == 0 || clauses.is_empty() || allow.is_some_and(IdSet::is_empty) {
            return Ok(Vec::new());
        }
        let mut hits = guarded("search the lexical index", || {
            let weighed = Weighed::new(self, &clauses)?;
            match allow.filter(|allow| allow.len() <= MAX_LOOKED_UP) {
                Some(allow) => self.look_up(&weighed, allow, cancel),
                None => self.walk(&weighed, k, allow, cancel),
            }
        })?;
        cancel.check()?;
        hits.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        hits.truncate(k);
        Ok(hits)
    }

    /// The documents that the clauses with `+` and `-` leave: some chunk has all of the former, none has any of the latter.
    /// `None` where there is no such clause.
    ///
    /// # Errors
    /// As [`LexicalView::search`].
    pub(crate) fn required(&self, query: &TextQuery) -> Result<Option<IdSet>> {
        let clauses = query.clauses(&self.fields, &self.analyser)?;
        let of = |wanted: Occur| {
            let marked = clauses.iter().filter(move |clause| clause.occur == wanted);
            marked.map(|clause| (wanted, clause.query.box_clone())).collect::<Vec<_>>()
        };
        let (with, mut without) = (of(Occur::Must), of(Occur::MustNot));
        if with.is_empty() && without.is_empty() {
            return Ok(None);
        }
        for (occur, _) in &mut without {
            *occur = Occur::Should;
        }
        guarded("search the lexical index", || {
            let mut left = if with.is_empty() { None } else { Some(self.matching(&BooleanQuery::new(with))?) };
            if !without.is_empty() {
                let excluded = self.matching(&BooleanQuery::new(without))?;
                let all = left.take().map_or_else(|| self.all_documents(), Ok)?;
                left = Some(all.difference(&excluded));
            }
            Ok(left)
        })
    }

    /// The documents of which a chunk matches.
    fn matching(&self, query: &BooleanQuery) -> tantivy::Result<IdSet> {
        let weight = query.weight(EnableScoring::enabled_from_searcher(&self.searcher))?;
        let mut docs = Vec::new();
        for segment in self.searcher.segment_readers() {
            let numbers = Numbers::of(segment)?;
            weight.for_each_no_score(segment, &mut |entries| numbers.of_live(entries, &mut docs))?;
        }
        Ok(to_set(docs))
    }

    /// Scores every chunk of few documents.
    fn look_up(&self, weighed: &Weighed, allow: &IdSet, cancel: &Cancel) -> tantivy::Result<Vec<(ChunkId, f32)>> {
        let mut hits = Vec::new();
        for segment in self.searcher.segment_readers() {
            if cancel.check().is_err() {
                break;
            }
            let index = segment.inverted_index(self.fields.doc)?;
            let mut entries = Vec::new();
            for doc in allow.iter() {
                let term = Term::from_field_u64(self.fields.doc, doc);
                if let Some(mut postings) = index.read_postings(&term, tantivy::schema::IndexRecordOption::Basic)? {
                    while postings.doc() != TERMINATED {
                        entries.push(postings.doc());
                        postings.advance();
                    }
                }
            }
            entries.retain(|entry| segment.alive_bitset().is_none_or(|alive| alive.is_alive(*entry)));
            entries.sort_unstable();
            weighed.score(segment, &entries, &mut hits)?;
        }
        Ok(hits)
    }

    /// Walks the chunks that match, passing over blocks of them that cannot be among the best (block-max WAND, Ding &
    /// Suel 2011), and scores what is left exactly.
    fn walk(
        &self,
        weighed: &Weighed,
        k: usize,
        allow: Option<&IdSet>,
        cancel: &Cancel,
    ) -> tantivy::Result<Vec<(ChunkId, f32)>> {
        let mut best = Best::new(k);
        for (ordinal, segment) in self.searcher.segment_readers().iter().enumerate() {
            let slack = weighed.slack(segment)?;
            let alive = segment.alive_bitset();
            let docs = allow.map(|allow| Ok::<_, tantivy::TantivyError>((allow, segment.fast_fields().u64(DOC)?)));
            let docs = docs.transpose()?;
            let seen = Cell::new(0u32);
            weighed.all.for_each_pruning(best.floor / slack, segment, &mut |entry, score| {
                seen.set(seen.get().wrapping_add(1));
                if seen.get().is_multiple_of(CHECK_EVERY) && cancel.check().is_err() {
                    return f32::INFINITY;
                }
                let allowed =
                    |(allow, docs): &(&IdSet, Column<u64>)| docs.first(entry).is_some_and(|doc| allow.contains(doc));
                if score > best.floor
                    && alive.is_none_or(|alive| alive.is_alive(entry))
                    && docs.as_ref().is_none_or(allowed)
                {
                    best.push(score, ordinal, entry);
                }
                best.floor / slack
            })?;
            if cancel.check().is_err() {
                break;
            }
        }
        let mut hits = Vec::new();
        let found = best.finish();
        for (ordinal, segment) in self.searcher.segment_readers().iter().enumerate() {
            let mut entries: Vec<DocId> =
                found.iter().filter(|(_, of, _)| *of == ordinal).map(|(_, _, entry)| *entry).collect();
            entries.sort_unstable();
            weighed.score(segment, &entries, &mut hits)?;
        }
        Ok(hits)
    }
}

/// The best candidates so far, and every other that rounding or a tie may still put among them.
struct Best {
    k: usize,
    found: Vec<(f32, usize, DocId)>,
    /// Nothing at or below it can be among the best.
    floor: f32,
    trim_at: usize,
}

impl Best {
    fn new(k: usize) -> Self {
        Best { k, found: Vec::new(), floor: f32::MIN, trim_at: (2 * k).max(64) }
    }

    fn push(&mut self, score: f32, segment: usize, entry: DocId) {
        self.found.push((score, segment, entry));
        if self.found.len() >= self.trim_at {
            self.trim();
            self.trim_at = (2 * self.found.len()).max(64);
        }
    }

    fn trim(&mut self) {
        if self.found.len() < self.k {
            return;
        }
        let (_, kth, _) = self.found.select_nth_unstable_by(self.k - 1, |a, b| b.0.total_cmp(&a.0));
        self.floor = kth.0 - kth.0.abs() * ROUNDING - f32::MIN_POSITIVE;
        let floor = self.floor;
        self.found.retain(|(score, _, _)| *score > floor);
    }

    fn finish(mut self) -> Vec<(f32, usize, DocId)> {
        self.trim();
        self.found
    }
}

/// A query with the statistics of a view.
struct Weighed {
    /// All clauses as one, to walk.
    all: Box<dyn Weight>,
    /// Each clause alone, to score.
    clauses: Vec<(Occur, Box<dyn Weight>)>,
    /// The fields that the clauses look in, and their mean length in the whole index.
    lengths: Vec<(Field, f32)>,
    required: bool,
}

impl Weighed {
    fn new(view: &LexicalView, clauses: &[Clause]) -> tantivy::Result<Self> {
        let scoring = EnableScoring::enabled_from_searcher(&view.searcher);
        let all: Vec<(Occur, Box<dyn Query>)> =
            clauses.iter().map(|clause| (clause.occur, clause.query.box_clone())).collect();
        let mut fields: Vec<Field> = clauses.iter().map(|clause| clause.field).collect();
        fields.sort_unstable();
        fields.dedup();
        let segments = view.searcher.segment_readers();
        let mean = |field: &Field| {
            let mut words = 0;
            for segment in segments {
                words += segment.inverted_index(*field)?.total_num_tokens();
            }
            let entries: u64 = segments.iter().map(|segment| u64::from(segment.max_doc())).sum();
            Ok((*field, words as f32 / entries as f32))
        };
        Ok(Weighed {
            all: BooleanQuery::new(all).weight(scoring)?,
            clauses: clauses
                .iter()
                .map(|clause| Ok((clause.occur, clause.query.weight(scoring)?)))
                .collect::<tantivy::Result<_>>()?,
            lengths: fields.iter().map(mean).collect::<tantivy::Result<_>>()?,
            required: clauses.iter().any(|clause| clause.occur == Occur::Must),
        })
    }

    /// By how much the bounds that a segment keeps for its blocks may be too low. They are the best score of a block as
    /// the mean length of that segment would have it; under another mean both that score and the one that was passed
    /// over for it move by at most the ratio of the means.
    fn slack(&self, segment: &SegmentReader) -> tantivy::Result<f32> {
        let mut slack = 1.0_f32;
        for (field, mean) in &self.lengths {
            let words = segment.inverted_index(*field)?.total_num_tokens();
            let ratio = words as f32 / segment.max_doc() as f32 / mean;
            if ratio.is_finite() && ratio > 0.0 {
                let ratio = ratio.max(1.0 / ratio);
                slack = slack.max(ratio * ratio);
            }
        }
        Ok(slack)
    }

    /// Appends the score of each of the `entries`, in ascending order, that match.
    fn score(&self, segment: &SegmentReader, entries: &[DocId], hits: &mut Vec<(ChunkId, f32)>) -> tantivy::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let chunks = segment.fast_fields().u64(CHUNK)?;
        let mut scorers: Vec<(Occur, Box<dyn Scorer>)> = self
            .clauses
            .iter()
            .map(|(occur, weight)| Ok((*occur, weight.scorer(segment, 1.0)?)))
            .collect::<tantivy::Result<_>>()?;
        for entry in entries {
            if let Some(score) = self.score_of(&mut scorers, *entry)
                && let Some(chunk) = chunks.first(*entry)
            {
                hits.push((ChunkId::from_u64(chunk), score as f32));
            }
        }
        Ok(())
    }

    fn score_of(&self, scorers: &mut [(Occur, Box<dyn Scorer>)], entry: DocId) -> Option<f64> {
        let mut score = 0.0;
        let mut found = false;
        for (occur, scorer) in scorers {
            if scorer.doc() < entry {
                scorer.seek(entry);
            }
            match (occur, scorer.doc() == entry) {
                (Occur::MustNot, true) | (Occur::Must, false) => return None,
                (Occur::MustNot | Occur::Should, false) => {}
                (Occur::Must | Occur::Should, true) => {
                    score += f64::from(scorer.score());
                    found = true;
                }
            }
        }
        (found || self.required).then_some(score)
    }
}
