//! What was shown, and what was clicked.

use std::collections::{BTreeSet, HashMap};

use crate::error::{Error, Result};

/// The last rank that a log may have.
pub const MAX_RANK: u32 = 10_000;

/// Most documents of one impression.
pub const MAX_SHOWN: usize = 10_000;

/// Most bytes of an id: of a query, a document, a session or a ranker.
pub const MAX_ID_BYTES: usize = 4096;

/// One document of an impression.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// The document.
    pub document: String,
    /// Where it stood: 1 is the top, [`MAX_RANK`] the last.
    pub rank: u32,
    /// Whether it was clicked, however often.
    pub clicked: bool,
    /// How likely a document at this place is looked at, relative to one at the top, above 0 and at most 1, where the
    /// system that wrote the log knows it. It takes precedence over an estimated one.
    pub propensity: Option<f64>,
}

impl Shown {
    /// A document at a rank, of unknown propensity.
    pub fn new(document: impl Into<String>, rank: u32, clicked: bool) -> Shown {
        Shown { document: document.into(), rank, clicked, propensity: None }
    }
}

/// One answer that a user saw. Documents that were retrieved and not shown are left out.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub struct Impression {
    /// The query: its id, or its text made comparable (case, white space). Equal ones are one query.
    pub query: String,
    /// The visit that it belongs to. Impressions of one session are not independent of each other, so intervals draw
    /// sessions; an impression without one stands for itself.
    pub session: Option<String>,
    /// When, as RFC 3339: `2024-05-17T09:30:00Z`.
    pub time: Option<String>,
    /// What ranked it.
    pub ranker: Option<String>,
    /// The documents, each once and each at its own rank, in any order.
    pub shown: Vec<Shown>,
}

impl Impression {
    /// What a query showed.
    pub fn new(query: impl Into<String>, shown: Vec<Shown>) -> Impression {
        Impression { query: query.into(), session: None, time: None, ranker: None, shown }
    }

    /// Sets the session.
    #[must_use]
    pub fn with_session(self, session: impl Into<String>) -> Self {
        Impression { session: Some(session.into()), ..self }
    }

    /// Sets the time.
    #[must_use]
    pub fn with_time(self, time: impl Into<String>) -> Self {
        Impression { time: Some(time.into()), ..self }
    }

    /// Sets the ranker.
    #[must_use]
    pub fn with_ranker(self, ranker: impl Into<String>) -> Self {
        Impression { ranker: Some(ranker.into()), ..self }
    }

    fn check(&self) -> Result<()> {
        check_id("query", &self.query)?;
        self.session.as_deref().map_or(Ok(()), |session| check_id("session", session))?;
        self.ranker.as_deref().map_or(Ok(()), |ranker| check_id("ranker", ranker))?;
        if let Some(time) = self.time.as_deref().filter(|time| !is_rfc_3339(time)) {
            return Err(Error::impression(
                "time",
                format!("is `{}`; write RFC 3339, such as 2024-05-17T09:30:00Z", start_of(time)),
            ));
        }
        if self.shown.is_empty() || self.shown.len() > MAX_SHOWN {
            let problem = format!("has {} documents; give 1 to {MAX_SHOWN}", self.shown.len());
            return Err(Error::impression("shown", problem));
        }
        let (mut documents, mut ranks) = (BTreeSet::new(), BTreeSet::new());
        for (place, shown) in self.shown.iter().enumerate() {
            let wrong =
                |field: &str, problem: String| Err(Error::impression(format!("shown[{place}].{field}"), problem));
            check_id(&format!("shown[{place}].doc"), &shown.document)?;
            if shown.rank == 0 || shown.rank > MAX_RANK {
                return wrong("rank", format!("is {}; ranks go from 1 to {MAX_RANK}", shown.rank));
            }
            if let Some(propensity) = shown.propensity.filter(|&propensity| !(propensity > 0.0 && propensity <= 1.0)) {
                return wrong(
                    "propensity",
                    format!("is {propensity}; give a number above 0 and at most 1, or leave it out"),
                );
            }
            if !documents.insert(shown.document.as_str()) {
                return wrong("doc", format!("is `{}` a second time; show a document once", start_of(&shown.document)));
            }
            if !ranks.insert(shown.rank) {
                return wrong(
                    "rank",
                    format!("is {} a second time; give every document a rank of its own", shown.rank),
                );
            }
        }
        Ok(())
    }
}

/// Impressions, in the order in which they were added. Every one is checked when it comes in.
///
/// ```
/// use rag_ltr::clicks::{ClickLog, Impression, Shown};
/// let mut log = ClickLog::new();
/// log.push(Impression::new("moon", vec![Shown::new("tides", 1, false), Shown::new("apollo", 2, true)]))?;
/// assert_eq!((log.len(), log.clicks()), (1, 1));
/// assert!(log.push(Impression::new("moon", vec![Shown::new("tides", 0, false)])).is_err());
/// # Ok::<(), rag_ltr::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClickLog {
    impressions: Vec<Impression>,
}

impl ClickLog {
    /// No impression.
    pub fn new() -> ClickLog {
        ClickLog::default()
    }

    /// Adds an impression.
    ///
    /// # Errors
    /// [`Error::Impression`], naming the field; nothing changes.
    pub fn push(&mut self, impression: Impression) -> Result<()> {
        impression.check()?;
        self.impressions.push(impression);
        Ok(())
    }

    /// Keeps the impressions for which `keep` answers true: those of one ranker, or of one month.
    pub fn retain(&mut self, keep: impl FnMut(&Impression) -> bool) {
        self.impressions.retain(keep);
    }

    /// The impressions.
    pub fn iter(&self) -> std::slice::Iter<'_, Impression> {
        self.impressions.iter()
    }

    /// Number of impressions.
    pub fn len(&self) -> usize {
        self.impressions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.impressions.is_empty()
    }

    /// Number of clicked documents, over all impressions.
    pub fn clicks(&self) -> usize {
        self.impressions.iter().flat_map(|impression| &impression.shown).filter(|shown| shown.clicked).count()
    }

    /// The number of the unit that each impression belongs to, from 0 on: what is independent of the rest.
    pub(crate) fn units(&self) -> (Vec<usize>, usize) {
        let (mut sessions, mut count, mut units) = (HashMap::new(), 0, Vec::with_capacity(self.len()));
        for impression in self {
            let session = impression.session.as_deref();
            let unit = session.map_or(count, |session| *sessions.entry(session).or_insert(count));
            count = count.max(unit + 1);
            units.push(unit);
        }
        (units, count)
    }
}

impl<'a> IntoIterator for &'a ClickLog {
    type Item = &'a Impression;
    type IntoIter = std::slice::Iter<'a, Impression>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

fn check_id(field: &str, id: &str) -> Result<()> {
    if id.is_empty() {
        return Err(Error::impression(field, "is empty; give an id"));
    }
    if id.len() > MAX_ID_BYTES {
        return Err(Error::impression(field, format!("has {} bytes; give at most {MAX_ID_BYTES}", id.len())));
    }
    Ok(())
}

/// Of a value that may be long, as much as a message needs.
pub(crate) fn start_of(value: &str) -> &str {
    value.char_indices().nth(80).map_or(value, |(end, _)| value.get(..end).unwrap_or_default())
}

/// Whether this is a date and time of RFC 3339, section 5.6. A second of 60 is a leap second; letters may be small.
fn is_rfc_3339(time: &str) -> bool {
    let mut rest = time.as_bytes();
    let mut number = |digits: usize, ends: &[u8]| -> Option<u32> {
        let (head, tail) = rest.split_at_checked(digits)?;
        let value =
            head.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0')));
        rest = match tail.split_first() {
            Some((first, tail)) if ends.contains(first) => tail,
            _ if ends.is_empty() => tail,
            _ => return None,
        };
        value
    };
    let mut date_and_time = || {
        Some([
            number(4, b"-")?,
            number(2, b"-")?,
            number(2, b"Tt ")?,
            number(2, b":")?,
            number(2, b":")?,
            number(2, b"")?,
        ])
    };
    let Some([year, month, day, hour, minute, second]) = date_and_time() else { return false };
    let days = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let sound = (1..=12).contains(&month) && (1..=days).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        rest = fraction.get(digits..).filter(|_| digits > 0).unwrap_or_default();
    }
    let zone = match rest {
        b"Z" | b"z" => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            let digits = [h1, h2, m1, m2].iter().all(|byte| byte.is_ascii_digit());
            digits && (*h1, *h2) <= (b'2', b'3') && *m1 < b'6'
        }
        _ => false,
    };
    sound && zone
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_are_those_of_rfc_3339() {
        for time in [
            "1985-04-12T23:20:50.52Z",
            "1996-12-19t16:39:57-08:00",
            "2016-12-31T23:59:60z",
            "2024-02-29 00:00:00+23:59",
        ] {
            assert!(is_rfc_3339(time), "{time}");
        }
        for time in [
            "",
            "2024",
            "2024-13-01T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00+24:00",
            "2024-01-01T00:00:00Zjunk",
            "2024-01-01T00:00:0éZ",
            "+024-01-01T00:00:00Z",
            "2024-01-01T00:00:00+05:60",
            "2024-00-01T00:00:00Z",
            "2024-04-31T00:00:00Z",
        ] {
            assert!(!is_rfc_3339(time), "{time}");
        }
    }

    #[test]
    fn a_session_is_one_unit_and_an_impression_without_one_its_own() {
        let mut log = ClickLog::new();
        for session in [Some("a"), None, Some("b"), Some("a"), None] {
            let impression = Impression::new("q", vec![Shown::new("d", 1, false)]);
            log.push(session.map_or(impression.clone(), |session| impression.with_session(session))).unwrap();
        }
        assert_eq!(log.units(), (vec![0, 1, 2, 0, 3], 4));
    }

    #[test]
    fn what_an_impression_cannot_have_is_named() {
        let shown = |document: &str, rank, propensity| Shown { propensity, ..Shown::new(document, rank, false) };
        let one = |shown| Impression::new("q", vec![Shown::new("d", 1, true), shown]);
        let long = "x".repeat(MAX_ID_BYTES + 1);
        for (impression, told) in [
            (Impression::new("", vec![Shown::new("d", 1, true)]), "`query` is empty"),
            (Impression::new("q", vec![]), "`shown` has 0 documents"),
            (one(shown("e", 2, None)).with_session(""), "`session` is empty"),
            (one(shown("e", 2, None)).with_ranker(""), "`ranker` is empty"),
            (one(shown("e", 2, None)).with_time("today"), "`time` is `today`; write RFC 3339"),
            (one(shown("", 2, None)), "`shown[1].doc` is empty"),
            (one(shown(&long, 2, None)), "`shown[1].doc` has 4097 bytes"),
            (one(shown("e", 0, None)), "`shown[1].rank` is 0"),
            (one(shown("e", MAX_RANK + 1, None)), "`shown[1].rank` is 10001"),
            (one(shown("e", 1, None)), "`shown[1].rank` is 1 a second time"),
            (one(shown("d", 2, None)), "`shown[1].doc` is `d` a second time"),
            (one(shown("e", 2, Some(0.0))), "`shown[1].propensity` is 0"),
            (one(shown("e", 2, Some(1.5))), "`shown[1].propensity` is 1.5"),
            (one(shown("e", 2, Some(f64::NAN))), "`shown[1].propensity` is NaN"),
        ] {
            let mut log = ClickLog::new();
            let message = log.push(impression).unwrap_err().to_string();
            assert!(message.starts_with(told), "{message} should tell {told}");
            assert!(log.is_empty());
        }
    }
}
