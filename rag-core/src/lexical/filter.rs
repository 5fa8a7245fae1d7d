//! Filters as sets of documents: exactly those that [`Filter::matches`] lets through.
//!
//! Every metadata value is one term, which begins with its field and its kind and goes on with bytes that sort as the
//! values do:
//!
//! | kind | bytes |
//! |---|---|
//! | the field is there | none |
//! | boolean | one byte |
//! | number | the number as a double; then 0, or 1 and the whole number |
//! | text | its bytes |
//! | date | microseconds |
//!
//! Equality is a look-up. A range of text or dates is a range of terms, read off the column of term ordinals, at a cost
//! of about a nanosecond per value in the index and none per distinct value. Whole numbers beyond 2^53 share a double
//! with their neighbours, so in a range of numbers the terms at the double of a bound are compared one by one.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;

use tantivy::SegmentReader;
use tantivy::columnar::BytesColumn;
use tantivy::schema::IndexRecordOption;
use xxhash_rust::xxh3::xxh3_128;

use super::guarded;
use super::schema::META;
use super::view::{LexicalView, Numbers, to_set};
use crate::error::Result;
use crate::filter::{Filter, Range, compare, parse_date};
use crate::types::{IdSet, MAX_ID_BYTES, Metadata, Value};

/// Longest text that is kept whole. Of a longer one the first bytes and a hash of 128 bits are kept: equality still
/// holds but for a collision, and a range takes it for its first bytes where a bound shares all of them.
const MAX_TEXT_BYTES: usize = 32 << 10;

const EXISTS: u8 = 0;
const BOOL: u8 = 1;
const NUMBER: u8 = 2;
const TEXT: u8 = 3;
const DATE: u8 = 4;

/// The terms of a document; one that occurs twice is given twice. Fields that no filter can name give none.
pub(super) fn metadata_terms(metadata: &Metadata) -> impl Iterator<Item = Vec<u8>> + '_ {
    metadata.iter().filter(|(field, _)| field.len() <= MAX_ID_BYTES).flat_map(|(field, value)| {
        let values = match value {
            Value::List(values) => values.as_slice(),
            single => std::slice::from_ref(single),
        };
        values.iter().filter_map(|value| term(field, value)).chain([prefix(field, EXISTS)])
    })
}

fn prefix(field: &str, kind: u8) -> Vec<u8> {
    let mut term = Vec::with_capacity(field.len() + 24);
    // The length first, so that no field is the beginning of another.
    term.extend_from_slice(&(field.len() as u16).to_be_bytes());
    term.extend_from_slice(field.as_bytes());
    term.push(kind);
    term
}

/// The term of a single value; `None` for what equals nothing (a list in a list, not-a-number).
fn term(field: &str, value: &Value) -> Option<Vec<u8>> {
    let (kind, bytes) = match value {
        Value::Bool(value) => (BOOL, vec![u8::from(*value)]),
        Value::Int(value) => {
            let mut bytes = double_bytes(*value as f64).to_vec();
            bytes.push(1);
            bytes.extend_from_slice(&whole_bytes(*value));
            (NUMBER, bytes)
        }
        Value::Float(value) if value.is_nan() => return None,
        Value::Float(value) => {
            let mut bytes = double_bytes(*value).to_vec();
            bytes.push(0);
            (NUMBER, bytes)
        }
        Value::Text(text) => match parse_date(text) {
            Some(moment) => (DATE, whole_bytes(moment).to_vec()),
            None => (TEXT, text_bytes(text)),
        },
        Value::List(_) => return None,
    };
    let mut term = prefix(field, kind);
    term.extend_from_slice(&bytes);
    Some(term)
}

/// The value of a number's bytes, and `None` if they are none.
fn number(bytes: &[u8]) -> Option<Value> {
    let (double, rest) = bytes.split_first_chunk()?;
    match rest.split_first()? {
        (0, []) => {
            let bits = u64::from_be_bytes(*double);
            let bits = if bits >> 63 == 1 { bits ^ 1 << 63 } else { !bits };
            Some(Value::Float(f64::from_bits(bits)))
        }
        (1, whole) => Some(Value::Int((u64::from_be_bytes(whole.try_into().ok()?) ^ 1 << 63) as i64)),
        _ => None,
    }
}

fn double_bytes(value: f64) -> [u8; 8] {
    // Both zeros are one number.
    let bits = (value + 0.0).to_bits();
    let sortable = if bits >> 63 == 1 { !bits } else { bits ^ 1 << 63 };
    sortable.to_be_bytes()
}

fn whole_bytes(value: i64) -> [u8; 8] {
    (value as u64 ^ 1 << 63).to_be_bytes()
}

fn text_bytes(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    if bytes.len() <= MAX_TEXT_BYTES {
        return bytes.to_vec();
    }
    let mut kept = bytes[..MAX_TEXT_BYTES].to_vec();
    kept.extend_from_slice(&xxh3_128(bytes).to_be_bytes());
    kept
}

impl LexicalView {
    /// The documents of all tenants that pass `filter`: those of [`Filter::matches`].
    ///
    /// # Errors
    /// `InvalidArgument` as [`Filter::validate`]; `Corruption` if the index is damaged.
    pub(crate) fn evaluate(&self, filter: &Filter) -> Result<IdSet> {
        filter.validate()?;
        self.passing(filter)
    }

    fn passing(&self, filter: &Filter) -> Result<IdSet> {
        match filter {
            Filter::Eq(field, value) => self.collect(equal(field, value).as_slice()),
            Filter::In(field, values) => {
                // Each value once: what a look-up finds is held until all are done.
                let wanted: BTreeMap<Vec<u8>, &Value> =
                    values.iter().filter_map(|value| Some((term(field, value)?, value))).collect();
                let lookups: Vec<Lookup> = wanted.into_values().filter_map(|value| equal(field, value)).collect();
                self.collect(&lookups)
            }
            Filter::Range(field, range) => self.collect(&within(field, range)),
            Filter::Exists(field) => self.collect(&[Lookup::Term(prefix(field, EXISTS))]),
            Filter::And(filters) => {
                let mut passing: Option<IdSet> = None;
                for filter in filters {
                    let these = self.passing(filter)?;
                    let both = passing.as_ref().map_or_else(|| these.clone(), |all| all.intersection(&these));
                    if both.is_empty() {
                        return Ok(both);
                    }
                    passing = Some(both);
                }
                passing.map_or_else(|| self.live_documents().cloned(), Ok)
            }
            Filter::Or(filters) => {
                filters.iter().try_fold(IdSet::new(), |all, filter| Ok(all.union(&self.passing(filter)?)))
            }
            Filter::Not(filter) => Ok(self.live_documents()?.difference(&self.passing(filter)?)),
        }
    }

    fn collect(&self, lookups: &[Lookup]) -> Result<IdSet> {
        guarded("filter the lexical index", || {
            let mut docs = Vec::new();
            for segment in self.searcher.segment_readers() {
                let numbers = Numbers::of(segment)?;
                for lookup in lookups {
                    lookup.collect(self, segment, &numbers, &mut docs)?;
                }
            }
            Ok(to_set(docs))
        })
    }
}

/// One way to find terms; what it finds in a segment are entries.
enum Lookup<'a> {
    /// One term.
    Term(Vec<u8>),
    /// All terms from the first on and before the second, by the column.
    Terms(Vec<u8>, Vec<u8>),
    /// Numbers whose term begins with these bytes (a field, a kind and a double) and that pass.
    Numbers(Vec<u8>, Box<dyn Fn(&Value) -> bool + 'a>),
}

/// What finds the values that equal one.
fn equal<'a>(field: &str, wanted: &'a Value) -> Option<Lookup<'a>> {
    match wanted {
        Value::Int(_) | Value::Float(_) => {
            let bucket = bucket(field, wanted)?;
            Some(Lookup::Numbers(bucket, Box::new(|value| compare(value, wanted) == Some(Ordering::Equal))))
        }
        _ => term(field, wanted).map(Lookup::Term),
    }
}

/// Beginning of the terms of all numbers with the double of this one.
fn bucket(field: &str, number: &Value) -> Option<Vec<u8>> {
    let mut bucket = term(field, number)?;
    bucket.truncate(prefix(field, NUMBER).len() + 8);
    Some(bucket)
}

/// What finds the values of a range.
fn within<'a>(field: &str, range: &'a Range) -> Vec<Lookup<'a>> {
    let Some((bound, _)) = range.lower.as_ref().or(range.upper.as_ref()) else { return Vec::new() };
    match bound {
        Value::Int(_) | Value::Float(_) => numbers_within(field, range),
        Value::Text(text) => {
            let kind = if parse_date(text).is_some() { DATE } else { TEXT };
            let end = |bound: &Option<(Value, bool)>| {
                bound.as_ref().and_then(|(value, inclusive)| Some((term(field, value)?, *inclusive)))
            };
            let from = match end(&range.lower) {
                None => prefix(field, kind),
                Some((term, true)) => term,
                Some((term, false)) => after(term),
            };
            let to = match end(&range.upper) {
                None => prefix(field, kind + 1),
                Some((term, true)) => after(term),
                Some((term, false)) => term,
            };
            vec![Lookup::Terms(from, to)]
        }
        Value::Bool(_) | Value::List(_) => Vec::new(),
    }
}

/// The very next string of bytes.
fn after(mut term: Vec<u8>) -> Vec<u8> {
    term.push(0);
    term
}

fn numbers_within<'a>(field: &str, range: &'a Range) -> Vec<Lookup<'a>> {
    let end = |bound: &Option<(Value, bool)>| bound.as_ref().and_then(|(value, _)| bucket(field, value));
    let (lower, upper) = (end(&range.lower), end(&range.upper));
    // Behind the bucket of the lower bound: the byte after a double is 0 or 1.
    let from = lower.clone().map_or_else(
        || prefix(field, NUMBER),
        |mut bucket| {
            bucket.push(2);
            bucket
        },
    );
    let to = upper.clone().unwrap_or_else(|| prefix(field, NUMBER + 1));
    let mut lookups = vec![Lookup::Terms(from, to)];
    let upper = upper.filter(|bucket| lower.as_ref() != Some(bucket));
    for bucket in [lower, upper].into_iter().flatten() {
        lookups.push(Lookup::Numbers(bucket, Box::new(|value| contains(range, value))));
    }
    lookups
}

fn contains(range: &Range, value: &Value) -> bool {
    let beyond = |bound: &Option<(Value, bool)>, side: Ordering| match bound {
        None => true,
        Some((bound, inclusive)) => match compare(value, bound) {
            Some(Ordering::Equal) => *inclusive,
            Some(order) => order == side,
            None => false,
        },
    };
    beyond(&range.lower, Ordering::Greater) && beyond(&range.upper, Ordering::Less)
}

impl Lookup<'_> {
    fn collect(
        &self,
        view: &LexicalView,
        segment: &SegmentReader,
        numbers: &Numbers<'_>,
        docs: &mut Vec<u64>,
    ) -> tantivy::Result<()> {
        let index = segment.inverted_index(view.fields.meta)?;
        let mut read = |term: &tantivy::postings::TermInfo| -> tantivy::Result<()> {
            let mut postings = index.read_block_postings_from_terminfo(term, IndexRecordOption::Basic)?;
            while !postings.docs().is_empty() {
                numbers.of_live(postings.docs(), docs);
                postings.advance();
            }
            Ok(())
        };
        match self {
            Lookup::Term(term) => match index.terms().get(term)? {
                Some(found) => read(&found),
                None => Ok(()),
            },
            Lookup::Numbers(bucket, passes) => {
                let mut end = bucket.clone();
                end.push(2);
                let mut terms = index.terms().range().ge(bucket).lt(end).into_stream()?;
                let value_at = bucket.len() - 8;
                while terms.advance() {
                    if terms.key().get(value_at..).and_then(number).is_some_and(|value| passes(&value)) {
                        read(terms.value())?;
                    }
                }
                Ok(())
            }
            Lookup::Terms(from, to) => {
                if from >= to {
                    return Ok(());
                }
                let Some(column) = segment.fast_fields().bytes(META)? else { return Ok(()) };
                let mut entries = Vec::new();
                entries_between(&column, from, to, segment.max_doc(), &mut entries)?;
                numbers.of_live(&entries, docs);
                Ok(())
            }
        }
    }
}

/// Entries that have a term from `from` on and before `to`.
fn entries_between(
    column: &BytesColumn,
    from: &[u8],
    to: &[u8],
    entries: u32,
    found: &mut Vec<u32>,
) -> tantivy::Result<()> {
    let bounds = column.dictionary().term_bounds_to_ord(Bound::Included(from), Bound::Excluded(to))?;
    let (Bound::Included(first), Bound::Excluded(end)) = bounds else {
        return Err(tantivy::TantivyError::InternalError("a bound of terms changed its side".to_owned()));
    };
    let end = end.min(column.num_terms() as u64);
    if first < end {
        column.ords().get_docids_for_value_range(first..=end - 1, 0..entries, found);
    }
    Ok(())
}
