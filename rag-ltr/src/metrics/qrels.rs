//! Relevance judgments.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// Relevance judgments: query → document → grade.
///
/// A grade of 1 or more is relevant, the higher the more; 0 is judged and not relevant; a negative one stands for a
/// document that was in the pool but not assessed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Qrels {
    queries: BTreeMap<String, BTreeMap<String, i32>>,
}

impl Qrels {
    /// No judgment.
    pub fn new() -> Self {
        Qrels::default()
    }

    /// Adds a judgment.
    ///
    /// # Errors
    /// [`Error::Duplicate`]: the document is judged for this query already; nothing changes.
    pub fn insert(&mut self, query: &str, document: &str, grade: i32) -> Result<()> {
        if self.grade(query, document).is_some() {
            return Err(Error::Duplicate { query: query.to_owned(), document: document.to_owned() });
        }
        self.queries.entry(query.to_owned()).or_default().insert(document.to_owned(), grade);
        Ok(())
    }

    /// Grade of a document; `None`: not judged for this query.
    pub fn grade(&self, query: &str, document: &str) -> Option<i32> {
        self.queries.get(query)?.get(document).copied()
    }

    /// The judged documents of a query and their grades; `None`: no judgment.
    pub fn get(&self, query: &str) -> Option<&BTreeMap<String, i32>> {
        self.queries.get(query)
    }

    /// The queries with a relevant document, one of this grade or more, and all of their judgments: those that BEIR's
    /// figures are over. For the others every ranking is worth 0.
    ///
    /// ```
    /// let qrels = rag_ltr::trec::read_qrels("q1 0 d1 2\nq1 0 d2 0\nq2 0 d1 0\nq3 0 d1 1\n")?;
    /// assert_eq!(qrels.clone().with_relevant(1).iter().map(|(query, _)| query).collect::<Vec<_>>(), ["q1", "q3"]);
    /// assert_eq!(qrels.with_relevant(2).grade("q1", "d2"), Some(0));
    /// # Ok::<(), rag_ltr::Error>(())
    /// ```
    #[must_use]
    pub fn with_relevant(mut self, relevance_level: u32) -> Self {
        let is_relevant = |&grade: &i32| i64::from(grade) >= i64::from(relevance_level);
        self.queries.retain(|_, documents| documents.values().any(is_relevant));
        self
    }

    /// Every query, ascending, with its judged documents.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &BTreeMap<String, i32>)> {
        self.queries.iter().map(|(query, documents)| (query.as_str(), documents))
    }

    /// Number of queries with a judgment.
    pub fn len(&self) -> usize {
        self.queries.len()
    }

    /// Whether there is no judgment.
    pub fn is_empty(&self) -> bool {
        self.queries.is_empty()
    }
}
