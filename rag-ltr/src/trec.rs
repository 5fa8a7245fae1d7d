//! The files of TREC and BEIR: runs and judgments as text.
//!
//! | file | columns | separated by |
//! |---|---|---|
//! | TREC run | query, `Q0`, document, rank, score, tag | spaces or tabs |
//! | TREC qrels | query, `0`, document, grade | spaces or tabs |
//! | BEIR qrels | query, document, grade; the first line is a header | one tab |
//!
//! Lines may end in `\r\n`, empty ones are skipped, and so is a byte order mark. Queries need not stand together, nor
//! need a run be sorted: its rank column is not looked at, as in trec_eval.

use std::fmt;

use crate::error::{Error, Result};
use crate::metrics::{Qrels, ScorePrecision, TrecRun};

/// Reads a TREC run.
///
/// # Errors
/// [`Error::Line`] around [`Error::Columns`], [`Error::Score`], [`Error::NotFinite`] or [`Error::Duplicate`].
pub fn read_run(text: &str) -> Result<TrecRun> {
    let mut run = TrecRun::new();
    for_each_line(text, |line| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let [query, _, document, _, score, _] = columns[..] else {
            return Err(Error::Columns { found: columns.len(), layout: "query Q0 document rank score tag" });
        };
        let Ok(score) = score.parse() else {
            return Err(Error::Score { document: document.to_owned(), value: score.to_owned() });
        };
        run.insert(query, document, score)
    })?;
    Ok(run)
}

/// Reads TREC judgments.
///
/// # Errors
/// [`Error::Line`] around [`Error::Columns`], [`Error::Grade`] or [`Error::Duplicate`].
pub fn read_qrels(text: &str) -> Result<Qrels> {
    let mut qrels = Qrels::new();
    for_each_line(text, |line| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let [query, _, document, grade] = columns[..] else {
            return Err(Error::Columns { found: columns.len(), layout: "query 0 document grade" });
        };
        qrels.insert(query, document, grade_of(document, grade)?)
    })?;
    Ok(qrels)
}

/// Reads the judgments of a BEIR collection, `qrels/test.tsv`.
///
/// # Errors
/// [`Error::Line`] around [`Error::Header`], [`Error::Columns`], [`Error::Grade`] or [`Error::Duplicate`].
pub fn read_beir_qrels(text: &str) -> Result<Qrels> {
    let mut qrels = Qrels::new();
    let mut is_header = true;
    for_each_line(text, |line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [query, document, grade] = columns[..] else {
            return Err(Error::Columns { found: columns.len(), layout: "query-id corpus-id score" });
        };
        let grade = grade_of(document, grade);
        if std::mem::take(&mut is_header) {
            return if grade.is_ok() { Err(Error::Header) } else { Ok(()) };
        }
        qrels.insert(query, document, grade?)
    })?;
    Ok(qrels)
}

/// Writes a TREC run: queries ascending, the documents of each in the order of trec_eval 10, with 1-based ranks. Scores
/// are written so that reading them gives the same 64 bits. A query without documents leaves no trace.
///
/// # Errors
/// [`Error::Field`]: an id or the tag is empty or has white space. [`Error::Write`]: `out` refused.
pub fn write_run(run: &TrecRun, tag: &str, out: &mut impl fmt::Write) -> Result<()> {
    check("tag", tag)?;
    for (query, _) in run.iter() {
        check("query", query)?;
        for (position, (document, score)) in run.ranked(query, ScorePrecision::Double).into_iter().enumerate() {
            check("document", document)?;
            writeln!(out, "{query} Q0 {document} {} {score:?} {tag}", position + 1).map_err(|_| Error::Write)?;
        }
    }
    Ok(())
}

/// Writes TREC judgments: queries ascending, the documents of each ascending.
///
/// # Errors
/// [`Error::Field`]: an id is empty or has white space. [`Error::Write`]: `out` refused.
pub fn write_qrels(qrels: &Qrels, out: &mut impl fmt::Write) -> Result<()> {
    for (query, documents) in qrels.iter() {
        check("query", query)?;
        for (document, grade) in documents {
            check("document", document)?;
            writeln!(out, "{query} 0 {document} {grade}").map_err(|_| Error::Write)?;
        }
    }
    Ok(())
}

/// Calls `read` with each line that is not empty, and says the number of one that it refuses.
fn for_each_line(text: &str, mut read: impl FnMut(&str) -> Result<()>) -> Result<()> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (position, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        read(line).map_err(|problem| Error::Line { line: position + 1, problem: Box::new(problem) })?;
    }
    Ok(())
}

fn grade_of(document: &str, grade: &str) -> Result<i32> {
    let wrong = || Error::Grade { document: document.to_owned(), value: grade.to_owned() };
    grade.trim().parse().map_err(|_| wrong())
}

fn check(field: &'static str, value: &str) -> Result<()> {
    if value.is_empty() || value.contains(char::is_whitespace) {
        return Err(Error::Field { field, value: value.to_owned() });
    }
    Ok(())
}
