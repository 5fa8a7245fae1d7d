//! Documents, identifiers, scopes and cancellation: the words that every other module speaks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use roaring::RoaringTreemap;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::filter::Filter;

/// The tenant of every call that names none.
pub const DEFAULT_TENANT: &str = "default";

/// Longest document id and longest tenant name, in bytes.
pub const MAX_ID_BYTES: usize = 512;

/// Longest title, in bytes: each chunk is embedded and indexed with it.
pub const MAX_TITLE_BYTES: usize = 4096;

/// Number of low bits of a [`ChunkId`] that count the chunks of one document.
const ORDINAL_BITS: u32 = 20;

/// Most chunks that one document may have.
pub const MAX_CHUNKS: usize = 1 << ORDINAL_BITS;

/// A metadata value. Dates are RFC 3339 strings (`2024-05-01` or `2024-05-01T12:00:00Z`), as in JSON; filters compare
/// two such strings as moments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A finite number.
    Float(f64),
    /// A string, or a date.
    Text(String),
    /// Several values, none of them a list; a filter holds if it holds for any of them.
    List(#[serde(deserialize_with = "singles")] Vec<Value>),
}

/// The variants of [`Value`] but the list, in their order: reading cannot recurse, however a damaged record nests.
#[derive(Deserialize)]
#[serde(rename = "Value")]
enum Single {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

fn singles<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<Value>, D::Error> {
    let singles = Vec::<Single>::deserialize(deserializer)?;
    Ok(singles
        .into_iter()
        .map(|single| match single {
            Single::Bool(value) => Value::Bool(value),
            Single::Int(value) => Value::Int(value),
            Single::Float(value) => Value::Float(value),
            Single::Text(value) => Value::Text(value),
        })
        .collect())
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}
impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}
impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Float(value)
    }
}
impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(value.to_owned())
    }
}
impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::Text(value)
    }
}
impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Value::List(values.into_iter().map(Into::into).collect())
    }
}

/// Metadata of a document: flat, by field name. Nested objects use dotted names (`author.name`).
pub type Metadata = BTreeMap<String, Value>;

/// What a caller hands in: one document.
///
/// ```
/// use rag_core::Document;
/// let document = Document::new("a1", "Alpine passes are closed in winter.")
///     .with_title("Alpine passes")
///     .with_metadata("year", 2024i64);
/// assert_eq!(document.id, "a1");
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Unique within the tenant; 1 to [`MAX_ID_BYTES`] bytes.
    pub id: String,
    /// At most [`MAX_TITLE_BYTES`] bytes; may be empty. Searched together with the text, and apart in field queries.
    pub title: String,
    /// The body.
    pub text: String,
    /// What filters look at.
    pub metadata: Metadata,
    /// `None`: the tenant of the call's [`Scope`]. Any other tenant than that is refused.
    pub tenant: Option<String>,
}

impl Document {
    /// A document without title and metadata.
    pub fn new(id: impl Into<String>, text: impl Into<String>) -> Self {
        Document { id: id.into(), title: String::new(), text: text.into(), metadata: Metadata::new(), tenant: None }
    }

    /// Sets the title.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Sets one metadata field.
    #[must_use]
    pub fn with_metadata(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(field.into(), value.into());
        self
    }

    /// About how many bytes it takes: names and texts as they are, every other value eight.
    pub fn bytes(&self) -> usize {
        self.id.len() + self.title.len() + self.text.len() + metadata_bytes(&self.metadata)
    }

    /// Names the tenant.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }
}

/// As [`Document::bytes`].
pub(crate) fn metadata_bytes(metadata: &Metadata) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::Text(text) => text.len(),
            Value::List(values) => values.iter().map(of).sum(),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => 8,
        }
    }
    metadata.iter().map(|(field, value)| field.len() + of(value)).sum()
}

/// Who asks, and what they may see. Every call carries one; there is no unscoped read.
///
/// ```
/// use rag_core::{Filter, Scope};
/// let scope = Scope::tenant("acme")?.restricted_to(Filter::eq("public", true));
/// assert_eq!(scope.tenant_name(), "acme");
/// # Ok::<(), rag_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Scope {
    tenant: Arc<str>,
    filter: Option<Filter>,
}

impl Default for Scope {
    /// The whole tenant [`DEFAULT_TENANT`].
    fn default() -> Self {
        Scope { tenant: DEFAULT_TENANT.into(), filter: None }
    }
}

impl Scope {
    /// Everything that belongs to one tenant, and nothing else.
    ///
    /// # Errors
    /// `InvalidArgument` for a name that is empty, longer than [`MAX_ID_BYTES`] or has control characters.
    pub fn tenant(name: &str) -> Result<Self> {
        check_name("tenant", name)?;
        Ok(Scope { tenant: name.into(), filter: None })
    }

    /// Narrows the scope: only documents that match `filter` as well are visible. Calls add up.
    #[must_use]
    pub fn restricted_to(mut self, filter: Filter) -> Self {
        self.filter = Some(match self.filter.take() {
            None => filter,
            Some(already) => Filter::and([already, filter]),
        });
        self
    }

    /// Refuses a filter that could not be evaluated: an error gives no documents, never unfiltered ones.
    #[cfg(feature = "engine")]
    pub(crate) fn validate(&self) -> Result<()> {
        self.filter.as_ref().map_or(Ok(()), Filter::validate)
    }

    /// The tenant.
    pub fn tenant_name(&self) -> &str {
        &self.tenant
    }

    /// The mandatory filter, if any.
    pub fn filter(&self) -> Option<&Filter> {
        self.filter.as_ref()
    }
}

/// Refuses names that could not be stored, printed or told apart.
pub(crate) fn check_name(field: &str, name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid(format!("`{field}` is empty; give it 1 to {MAX_ID_BYTES} bytes")));
    }
    if name.len() > MAX_ID_BYTES {
        return Err(Error::invalid(format!("`{field}` has {} bytes; at most {MAX_ID_BYTES} are allowed", name.len())));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::invalid(format!("`{field}` has control characters; remove them")));
    }
    Ok(())
}

/// Number of one revision of a document: given once, never again. An update is a new number.
pub type DocNum = u64;

/// One chunk of one document revision: the document number and the position of the chunk in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId(u64);

impl ChunkId {
    /// Chunk `ordinal` (0-based, below [`MAX_CHUNKS`]) of document `doc` (below 2^44).
    pub fn new(doc: DocNum, ordinal: u32) -> Self {
        debug_assert!((ordinal as usize) < MAX_CHUNKS && doc < 1 << (64 - ORDINAL_BITS));
        ChunkId(doc << ORDINAL_BITS | u64::from(ordinal))
    }

    /// The packed form, stored in files and indexes.
    pub fn to_u64(self) -> u64 {
        self.0
    }

    /// The inverse of [`ChunkId::to_u64`].
    pub fn from_u64(packed: u64) -> Self {
        ChunkId(packed)
    }

    /// The document revision.
    pub fn doc(self) -> DocNum {
        self.0 >> ORDINAL_BITS
    }

    /// Position of the chunk in its document, 0-based.
    pub fn ordinal(self) -> u32 {
        (self.0 & (MAX_CHUNKS as u64 - 1)) as u32
    }
}

/// A set of document numbers: what a scope and a filter let through.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IdSet(RoaringTreemap);

impl IdSet {
    /// The empty set.
    pub fn new() -> Self {
        IdSet::default()
    }

    /// Adds one; whether it was new.
    pub fn insert(&mut self, id: DocNum) -> bool {
        self.0.insert(id)
    }

    /// Takes one out; whether it was there.
    pub fn remove(&mut self, id: DocNum) -> bool {
        self.0.remove(id)
    }

    /// The largest member.
    pub fn max(&self) -> Option<DocNum> {
        self.0.max()
    }

    /// Membership.
    pub fn contains(&self, id: DocNum) -> bool {
        self.0.contains(id)
    }

    /// Number of members.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Members of both.
    #[must_use]
    pub fn intersection(&self, other: &IdSet) -> IdSet {
        IdSet(&self.0 & &other.0)
    }

    /// Members of either.
    #[must_use]
    pub fn union(&self, other: &IdSet) -> IdSet {
        IdSet(&self.0 | &other.0)
    }

    /// Members of this one that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &IdSet) -> IdSet {
        IdSet(&self.0 - &other.0)
    }

    /// Whether every member is in `other`.
    pub fn is_subset(&self, other: &IdSet) -> bool {
        self.0.is_subset(&other.0)
    }

    /// Number of members of both.
    pub fn intersection_len(&self, other: &IdSet) -> u64 {
        self.0.intersection_len(&other.0)
    }

    /// Members in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = DocNum> + '_ {
        self.0.iter()
    }
}

impl FromIterator<DocNum> for IdSet {
    fn from_iter<I: IntoIterator<Item = DocNum>>(ids: I) -> Self {
        IdSet(ids.into_iter().collect())
    }
}

impl Extend<DocNum> for IdSet {
    fn extend<I: IntoIterator<Item = DocNum>>(&mut self, ids: I) {
        self.0.extend(ids);
    }
}

/// The caller's way to stop a call: a flag that any thread may raise, and an optional deadline.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    flag: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

impl Cancel {
    /// Never cancelled unless [`Cancel::cancel`] is called.
    pub fn never() -> Self {
        Cancel::default()
    }

    /// Fails with `DeadlineExceeded` once `budget` has passed from now.
    pub fn after(budget: Duration) -> Self {
        Cancel { flag: Arc::default(), deadline: Instant::now().checked_add(budget) }
    }

    /// The same way to stop, with only this share of the time that is left.
    #[cfg(feature = "engine")]
    pub(crate) fn hurried(&self, share: f64) -> Self {
        let hurried = |deadline: Instant| {
            let now = Instant::now();
            now + deadline.saturating_duration_since(now).mul_f64(share)
        };
        Cancel { flag: self.flag.clone(), deadline: self.deadline.map(hurried) }
    }

    /// The same way to stop, with no more time than this from now.
    #[cfg(feature = "engine")]
    pub(crate) fn at_most(&self, budget: Option<Duration>) -> Self {
        let until = budget.and_then(|budget| Instant::now().checked_add(budget));
        let deadline = self.deadline.into_iter().chain(until).min();
        Cancel { flag: self.flag.clone(), deadline }
    }

    /// Stops the call at its next check, from any thread.
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::Relaxed);
    }

    /// # Errors
    /// `Cancelled` or `DeadlineExceeded`.
    pub fn check(&self) -> Result<()> {
        if self.flag.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Cancelled, "cancelled by the caller"));
        }
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Error::new(ErrorKind::DeadlineExceeded, "the deadline of the call passed"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn chunk_ids_pack_and_unpack() {
        let id = ChunkId::new(123_456_789_012, 1_048_575);
        assert_eq!((id.doc(), id.ordinal()), (123_456_789_012, 1_048_575));
        assert_eq!(ChunkId::from_u64(id.to_u64()), id);
        assert!(ChunkId::new(1, 5) < ChunkId::new(2, 0));
    }

    #[test]
    fn names_are_checked() {
        for bad in ["", "a\nb", &"x".repeat(MAX_ID_BYTES + 1)] {
            assert_eq!(Scope::tenant(bad).unwrap_err().kind(), ErrorKind::InvalidArgument);
        }
        assert!(Scope::tenant("ünï").is_ok());
    }

    #[test]
    fn restrictions_of_a_scope_add_up() {
        let scope = Scope::default().restricted_to(Filter::eq("a", 1i64)).restricted_to(Filter::eq("b", 2i64));
        assert_eq!(scope.filter(), Some(&Filter::and([Filter::eq("a", 1i64), Filter::eq("b", 2i64)])));
    }

    #[test]
    fn everything_that_a_document_holds_counts() {
        let long = "x".repeat(1000);
        let plain = Document::new("a", "b").bytes();
        let list = Value::List(vec![Value::from("y".repeat(10)); 100]);
        for document in [
            Document::new(&*long, "b"),
            Document::new("a", &*long),
            Document::new("a", "b").with_title(&*long),
            Document::new("a", "b").with_metadata("field", &*long),
            Document::new("a", "b").with_metadata(&*long, 1i64),
            Document::new("a", "b").with_metadata("field", list),
        ] {
            assert!(document.bytes() >= plain + 999, "{document:?}");
        }
    }

    #[test]
    fn cancel_and_deadline_are_told_apart() {
        let cancel = Cancel::never();
        assert!(cancel.check().is_ok());
        cancel.clone().cancel();
        assert_eq!(cancel.check().unwrap_err().kind(), ErrorKind::Cancelled);
        assert_eq!(Cancel::after(Duration::ZERO).check().unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    }
}
