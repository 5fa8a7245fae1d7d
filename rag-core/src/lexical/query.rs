//! What is searched for.

use std::borrow::Cow;
use std::collections::BTreeMap;

use tantivy::Term;
use tantivy::query::{BoostQuery, Occur, PhraseQuery, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};

use super::analyser::Analyser;
use super::schema::Fields;
use crate::error::{Error, Result};

/// Most distinct words of a query; of more, the first in the text count.
pub(crate) const MAX_QUERY_WORDS: usize = 1024;

/// A query of the lexical retriever.
///
/// ```
/// use rag_core::TextQuery;
/// let plain = TextQuery::from("why do glaciers melt?");
/// let exact = TextQuery::Syntax(r#"+glacier "melting ice"^2 title:alps -snow"#.to_owned());
/// assert_ne!(plain, exact);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextQuery {
    /// Words in any order, ranked by how well they match (BM25); every other sign only parts words, so any text is a
    /// query. A text of stop words and signs alone finds nothing.
    Words(String),
    /// Clauses, parted by spaces:
    ///
    /// | clause | finds |
    /// |---|---|
    /// | `word` | the word, as in [`TextQuery::Words`] |
    /// | `"two words"` | the words side by side, in this order |
    /// | `title:word`, `text:"two words"` | in that part alone |
    /// | `+clause` | only what this clause finds |
    /// | `-clause` | nothing that this clause finds |
    /// | `clause^2` | and counts twice as much; any number from 0.001 to 1000 |
    ///
    /// A backslash takes the meaning from the sign after it.
    Syntax(String),
}

impl From<&str> for TextQuery {
    fn from(words: &str) -> Self {
        TextQuery::Words(words.to_owned())
    }
}

impl From<String> for TextQuery {
    fn from(words: String) -> Self {
        TextQuery::Words(words)
    }
}

/// One part of a query.
pub(super) struct Clause {
    pub(super) occur: Occur,
    pub(super) field: Field,
    pub(super) query: Box<dyn Query>,
}

impl TextQuery {
    /// The clauses, in an order that does not depend on the order of the words.
    ///
    /// # Errors
    /// `InvalidArgument`, naming the position (in characters, from 1) of what is not understood.
    pub(super) fn clauses(&self, fields: &Fields, analyser: &Analyser) -> Result<Vec<Clause>> {
        match self {
            TextQuery::Words(text) => Ok(words(text, fields, analyser)),
            TextQuery::Syntax(text) => {
                let mut words = 0;
                let clauses: Vec<Clause> = parse(text)?
                    .into_iter()
                    .filter_map(|clause| {
                        let field = match clause.field {
                            None => fields.body,
                            Some(Part::Title) => fields.title,
                            Some(Part::Text) => fields.text,
                        };
                        let terms = analyser.terms(&clause.text);
                        words += terms.len();
                        if words > MAX_QUERY_WORDS {
                            return None;
                        }
                        let query = boosted(terms_in_order(field, terms)?, clause.boost);
                        Some(Clause { occur: clause.occur, field, query })
                    })
                    .collect();
                if words > MAX_QUERY_WORDS {
                    return Err(Error::invalid(format!(
                        "the query has {words} words, those of its phrases counted; at most {MAX_QUERY_WORDS} are allowed"
                    )));
                }
                Ok(clauses)
            }
        }
    }
}

impl TextQuery {
    /// What is asked for, as plain words: of query syntax everything but the clauses with `-`.
    ///
    /// # Errors
    /// As [`TextQuery::clauses`].
    pub(super) fn wanted(&self) -> Result<Cow<'_, str>> {
        match self {
            TextQuery::Words(text) => Ok(Cow::Borrowed(text)),
            TextQuery::Syntax(text) => {
                let wanted = parse(text)?.into_iter().filter(|clause| clause.occur != Occur::MustNot);
                Ok(Cow::Owned(wanted.map(|clause| clause.text).collect::<Vec<_>>().join(" ")))
            }
        }
    }
}

fn words(text: &str, fields: &Fields, analyser: &Analyser) -> Vec<Clause> {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for (_, word) in analyser.terms(text) {
        if counts.len() < MAX_QUERY_WORDS || counts.contains_key(&word) {
            *counts.entry(word).or_default() += 1;
        }
    }
    counts
        .into_iter()
        .map(|(word, count)| {
            let term = Term::from_field_text(fields.body, &word);
            let query = Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs));
            Clause { occur: Occur::Should, field: fields.body, query: boosted(query, count as f32) }
        })
        .collect()
}

/// A word, or a phrase of several; `None` if there is none.
fn terms_in_order(field: Field, terms: Vec<(usize, String)>) -> Option<Box<dyn Query>> {
    let mut terms: Vec<(usize, Term)> =
        terms.into_iter().map(|(at, word)| (at, Term::from_field_text(field, &word))).collect();
    match terms.len() {
        0 => None,
        1 => {
            terms.pop().map(|(_, term)| Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs)) as Box<dyn Query>)
        }
        _ => Some(Box::new(PhraseQuery::new_with_offset(terms))),
    }
}

fn boosted(query: Box<dyn Query>, boost: f32) -> Box<dyn Query> {
    if boost == 1.0 { query } else { Box::new(BoostQuery::new(query, boost)) }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Title,
    Text,
}

/// A clause as written.
#[derive(Debug, PartialEq)]
struct Written {
    occur: Occur,
    field: Option<Part>,
    text: String,
    boost: f32,
}

fn parse(text: &str) -> Result<Vec<Written>> {
    let mut reader = Reader { letters: text.chars().collect(), at: 0 };
    let mut clauses = Vec::new();
    while reader.skip_spaces() {
        clauses.push(reader.clause()?);
    }
    let excludes = |clause: &Written| clause.occur == Occur::MustNot;
    if !clauses.is_empty() && clauses.iter().all(excludes) {
        return Err(Error::invalid("the query only says what not to find; add a word to find"));
    }
    Ok(clauses)
}

/// `at` counts characters from 0.
fn problem<T>(at: usize, what: &str) -> Result<T> {
    Err(Error::invalid(format!("query, position {}: {what}", at + 1)))
}

struct Reader {
    letters: Vec<char>,
    at: usize,
}

impl Reader {
    /// Whether something follows.
    fn skip_spaces(&mut self) -> bool {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        self.peek().is_some()
    }

    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    fn take(&mut self, letter: char) -> bool {
        let there = self.peek() == Some(letter);
        self.at += usize::from(there);
        there
    }

    fn clause(&mut self) -> Result<Written> {
        let start = self.at;
        let occur = if self.take('+') {
            Occur::Must
        } else if self.take('-') {
            Occur::MustNot
        } else {
            Occur::Should
        };
        let mut field = None;
        let mut text = if self.peek() == Some('"') { self.phrase()? } else { self.word() };
        if self.peek() == Some(':') {
            field = Some(match text.as_str() {
                "title" => Part::Title,
                "text" => Part::Text,
                other => {
                    let what = format!("`{other}` is no field; use title or text, or write `\\:` for the sign itself");
                    return problem(start, &what);
                }
            });
            self.at += 1;
            text = if self.peek() == Some('"') { self.phrase()? } else { self.word() };
        }
        let boost = if self.take('^') { self.boost()? } else { 1.0 };
        if text.is_empty() {
            return problem(start, "a word or a quoted phrase is missing here");
        }
        match self.peek() {
            Some(next) if !next.is_whitespace() => {
                problem(self.at, &format!("`{next}` does not fit here; put a space before it"))
            }
            _ => Ok(Written { occur, field, text, boost }),
        }
    }

    fn phrase(&mut self) -> Result<String> {
        let open = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.letter() {
                None => return problem(open, "this quotation mark is never closed"),
                Some(('"', false)) => return Ok(text),
                Some((letter, _)) => text.push(letter),
            }
        }
    }

    fn word(&mut self) -> String {
        let mut text = String::new();
        while let Some(letter) = self.peek() {
            if letter.is_whitespace() || matches!(letter, '"' | ':' | '^') {
                break;
            }
            text.extend(self.letter().map(|(letter, _)| letter));
        }
        text
    }

    /// The next letter, and whether a backslash stood before it.
    fn letter(&mut self) -> Option<(char, bool)> {
        let letter = self.peek()?;
        self.at += 1;
        match self.peek() {
            Some(escaped) if letter == '\\' => {
                self.at += 1;
                Some((escaped, true))
            }
            _ => Some((letter, false)),
        }
    }

    fn boost(&mut self) -> Result<f32> {
        let start = self.at;
        while self.peek().is_some_and(|letter| letter.is_ascii_digit() || letter == '.') {
            self.at += 1;
        }
        let written: String = self.letters[start..self.at].iter().collect();
        match written.parse::<f32>() {
            Ok(boost) if (0.001..=1000.0).contains(&boost) => Ok(boost),
            _ => problem(start, "after `^` comes a number from 0.001 to 1000"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::error::ErrorKind;

    fn clause(occur: Occur, field: Option<Part>, text: &str, boost: f32) -> Written {
        Written { occur, field, text: text.to_owned(), boost }
    }

    #[test]
    fn each_form_of_clause_is_read() {
        let written = r#"  one +two -three^1.5 title:four +text:"five six"^2 "a \"b\"" c\:d x-y  "#;
        let read = [
            clause(Occur::Should, None, "one", 1.0),
            clause(Occur::Must, None, "two", 1.0),
            clause(Occur::MustNot, None, "three", 1.5),
            clause(Occur::Should, Some(Part::Title), "four", 1.0),
            clause(Occur::Must, Some(Part::Text), "five six", 2.0),
            clause(Occur::Should, None, r#"a "b""#, 1.0),
            clause(Occur::Should, None, "c:d", 1.0),
            clause(Occur::Should, None, "x-y", 1.0),
        ];
        assert_eq!(parse(written).unwrap(), read);
        assert_eq!(parse("  ").unwrap(), []);
    }

    #[test]
    fn what_is_not_understood_is_pointed_at() {
        for (written, named) in [
            (r#"a "b"#, "position 3"),
            ("ü author:b", "position 3"),
            ("a +", "position 3"),
            ("a^", "position 3"),
            ("a^0", "position 3"),
            ("a^1e9", "position 4"),
            (r#"a"b""#, "position 2"),
            ("title:", "position 1"),
            ("-a -b", "only says what not"),
        ] {
            let error = parse(written).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.to_string().contains(named), "{written}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn reading_never_panics(text in r#"[ab "+:^\\.1\-]{0,24}"#) {
            let _ = parse(&text);
        }
    }
}
