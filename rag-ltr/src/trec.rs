//! The files of TREC and BEIR: runs and judgments as text.
//!
//! | file | columns | separated by |
//! |---|---|---|
//! | TREC run | query, `Q0`, document, rank, score, tag | spaces or tabs |
//! | TREC qrels | query, `0`, document, grade | spaces or tabs |
//! | BEIR qrels | query, document, grade; the first line may be a header | one tab |
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
            return Err(columns_error(&columns, "query Q0 document rank score tag", "spaces or tabs"));
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
            return Err(columns_error(&columns, "query 0 document grade", "spaces or tabs"));
        };
        qrels.insert(query, document, grade_of(document, grade)?)
    })?;
    Ok(qrels)
}

/// Reads the judgments of a BEIR collection, `qrels/test.tsv`. A first line whose third column is no number at all is the
/// header `query-id corpus-id score`; a file without it is read from its first line on, of which BEIR's own reader loses
/// that line.
///
/// # Errors
/// [`Error::Line`] around [`Error::Columns`], [`Error::Grade`] or [`Error::Duplicate`].
pub fn read_beir_qrels(text: &str) -> Result<Qrels> {
    let mut qrels = Qrels::new();
    let mut is_first = true;
    for_each_line(text, |line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [query, document, grade] = columns[..] else {
            return Err(columns_error(&columns, "query-id corpus-id score", "tabs"));
        };
        if std::mem::take(&mut is_first) && grade.trim().parse::<f64>().is_err() {
            return Ok(());
        }
        qrels.insert(query, document, grade_of(document, grade)?)
    })?;
    Ok(qrels)
}

/// Writes a TREC run: queries ascending, the documents of each in the order of trec_eval 10, with 1-based ranks. Scores
/// are written so that reading them gives the same 64 bits. A query without documents leaves no trace.
///
/// # Errors
/// [`Error::Field`]: an id or the tag is empty or has white space. [`Error::Write`]: `out` refused.
pub fn write_run(run: &TrecRun, tag: &str, out: &mut impl fmt::Write) -> Result<()> {
    check_id("tag", tag)?;
    for (query, _) in run.iter() {
        check_id("query", query)?;
        for (position, (document, score)) in run.ranked(query, ScorePrecision::Double).into_iter().enumerate() {
            check_id("document", document)?;
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
        check_id("query", query)?;
        for (document, grade) in documents {
            check_id("document", document)?;
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

fn columns_error(found: &[&str], layout: &'static str, separator: &'static str) -> Error {
    Error::Columns { found: found.len(), layout, separator }
}

fn grade_of(document: &str, grade: &str) -> Result<i32> {
    let wrong = || Error::Grade { document: document.to_owned(), value: grade.to_owned() };
    grade.trim().parse().map_err(|_| wrong())
}

/// Whether an id or a tag fits between the columns of these files; `field` names it in the message. [`write_run`] and
/// [`write_qrels`] ask this of everything that they write; asked before, no work is done in vain.
///
/// ```
/// use rag_ltr::trec::check_id;
/// assert!(check_id("document", "d1").is_ok());
/// assert!(check_id("document", "d 1").is_err());
/// ```
///
/// # Errors
/// [`Error::Field`]: it is empty or has white space.
pub fn check_id(field: &'static str, value: &str) -> Result<()> {
    if value.is_empty() || value.contains(char::is_whitespace) {
        return Err(Error::Field { field, value: value.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_header_of_beir_is_optional() {
        let lines = "q1\td1\t2\nq1\td 2\t0\r\n";
        for text in [lines.to_owned(), format!("\u{feff}query-id\tcorpus-id\tscore\n\n{lines}")] {
            let qrels = read_beir_qrels(&text).unwrap();
            assert_eq!((qrels.len(), qrels.grade("q1", "d1"), qrels.grade("q1", "d 2")), (1, Some(2), Some(0)));
        }
    }

    #[test]
    fn wrong_lines_are_numbered_and_say_the_way_out() {
        for (text, told) in [
            ("q\td\t1.5\n", "line 1: grade `1.5` of document `d` is not an integer"),
            ("q\td\t1\nq\td\thigh\n", "line 2: grade `high`"),
            ("\nq d 1\n", "line 2: 1 columns instead of 3; write `query-id corpus-id score`, separated by tabs"),
            ("q\td\t1\nq\td\t2\n", "line 2: document `d` stands twice for query `q`"),
        ] {
            let message = read_beir_qrels(text).unwrap_err().to_string();
            assert!(message.starts_with(told), "{message} should tell {told}");
        }
        let message = read_run("q Q0 d 1 0.5 tag\nq Q0 d 1 0.5\n").unwrap_err().to_string();
        assert!(
            message.starts_with("line 2: 5 columns instead of 6") && message.ends_with("spaces or tabs"),
            "{message}"
        );
        let message = read_run("q Q0 d 1 NaN tag\n").unwrap_err().to_string();
        assert!(message.contains("is not finite"), "{message}");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut run = TrecRun::new();
        run.insert_query("q2", [("b", 0.1 + 0.2), ("a", 1e300), ("c", -0.0)]).unwrap();
        run.insert_query("q1", [("a", f64::from(0.1f32))]).unwrap();
        let mut text = String::new();
        write_run(&run, "tag", &mut text).unwrap();
        assert_eq!(read_run(&text).unwrap(), run);
        assert!(text.starts_with("q1 Q0 a 1 "), "{text}");
        let mut text = String::new();
        let qrels = read_qrels("q 0 b -1\nq 0 a 3\n").unwrap();
        write_qrels(&qrels, &mut text).unwrap();
        assert_eq!(text, "q 0 a 3\nq 0 b -1\n");
        let error = write_run(&run, "two words", &mut String::new()).unwrap_err();
        assert!(matches!(error, Error::Field { field: "tag", .. }));
    }
}
