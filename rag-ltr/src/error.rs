//! What can be wrong with runs, judgments and samples.

/// Result of the calls of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What is wrong with the input; each message names the field and the way out.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// What is wrong with one line of a file.
    #[error("line {line}: {problem}")]
    Line {
        /// 1-based number of the line.
        line: usize,
        /// What is wrong with it.
        problem: Box<Error>,
    },
    /// A line that has another shape than its format says.
    #[error("{found} columns instead of {}; write `{layout}`, separated by {separator}", layout.split_whitespace().count())]
    Columns {
        /// Number of columns found.
        found: usize,
        /// The columns of the format, separated by spaces.
        layout: &'static str,
        /// What separates them in the file.
        separator: &'static str,
    },
    /// A score that no number can be read from.
    #[error("score `{value}` of document `{document}` is not a number; write one such as 12.5 or 1e-3")]
    Score {
        /// The document.
        document: String,
        /// What stands in the score column.
        value: String,
    },
    /// A score that is not a number cannot be ranked.
    #[error(
        "score of document `{document}` for query `{query}` is not finite; drop the document or repair its retriever"
    )]
    NotFinite {
        /// The query.
        query: String,
        /// The document.
        document: String,
    },
    /// A grade that no 32-bit integer can be read from.
    #[error("grade `{value}` of document `{document}` is not an integer; write one such as 0 or 2")]
    Grade {
        /// The document.
        document: String,
        /// What stands in the grade column.
        value: String,
    },
    /// One document twice for a query: which of the two counts would be a guess.
    #[error("document `{document}` stands twice for query `{query}`; keep one of the two")]
    Duplicate {
        /// The query.
        query: String,
        /// The document.
        document: String,
    },
    /// An id or tag that would break the columns of the file.
    #[error("{field} `{value}` is empty or has white space, which separates the columns; give it another name")]
    Field {
        /// `query`, `document` or `tag`.
        field: &'static str,
        /// The value.
        value: String,
    },
    /// The sink of a writer refused.
    #[error("the output could not be written; see what its `std::fmt::Write` refuses")]
    Write,
    /// A metric that is not known.
    #[error(
        "metric `{0}` is not known; write ndcg, ndcg_exp, map, mrr, p, recall, success or judged, with a cutoff of at least 1 such as ndcg@10 or without one"
    )]
    Metric(String),
    /// Two evaluations that do not cover the same queries, or not this metric.
    #[error("`{0}` is evaluated for one of the two systems only; evaluate both with the same queries and metrics")]
    Unpaired(String),
    /// Two samples that do not pair up.
    #[error("samples of {0} and {1} values do not pair up; give one value of each system for every query")]
    Lengths(usize, usize),
    /// Too few pairs for a test.
    #[error("{0} pairs are too few; a test needs at least 2 queries")]
    TooFew(usize),
    /// A sample with an infinite value or none.
    #[error("value at position {0} of a sample is not finite; drop the query from both samples")]
    Sample(usize),
    /// Numbers that do not make rows, or rows that do not fit: the message says which and how many.
    #[error("{0}; give every row the same features, in the model's order")]
    Shape(String),
    /// A model that cannot be one.
    #[error("the model is damaged at {at}: {problem}; save it again with the library that made it")]
    Model {
        /// Where in the file or in the model.
        at: String,
        /// What is wrong there.
        problem: String,
    },
    /// A model that is sound, but has something that would be scored wrongly here.
    #[error("the model has {0}, which is not supported; it is refused rather than scored nearly right")]
    Unsupported(String),
    /// A model that was made for other features.
    #[error("the model was made for feature schema {model}, the rows have {rows}; {way_out}")]
    Schema {
        /// What the model wants.
        model: String,
        /// What there is.
        rows: String,
        /// What can be done about it.
        way_out: String,
    },
    /// A migration between feature schemas that does not lead from the one to the other.
    #[error("the migration from feature schema {from} to {to} does not fit: {problem}")]
    Migration {
        /// The schema that it starts from.
        from: String,
        /// The schema that it should end at.
        to: String,
        /// What does not fit, and at which step.
        problem: String,
    },
    /// A model file of a later version.
    #[error(
        "the model file has version {found}, written by {writer}; this library reads version {readable}: update it, or save the model again with the older one"
    )]
    Version {
        /// The version of the file.
        found: u64,
        /// The library that wrote it, as the file says.
        writer: String,
        /// The version that is read here.
        readable: u64,
    },
    /// Threads that the system does not give.
    #[error("{0}")]
    Threads(String),
    /// The caller ended the training before there was a ranker.
    #[error("the training was stopped before there was a ranker")]
    Stopped,
    /// Training data that nothing can be learnt from, or labels that are none.
    #[error("training: {0}")]
    Training(String),
    /// An impression of a click log with something that it cannot have.
    #[error("`{field}` {problem}")]
    Impression {
        /// Where in the impression, such as `shown[2].rank`.
        field: String,
        /// What is wrong there, and what it may be.
        problem: String,
    },
    /// A click log that cannot answer what is asked of it: the message says what it lacks.
    #[error("the click log cannot tell: {0}")]
    Clicks(String),
    /// An option of a test that is out of range.
    #[error("`{name}` is {value}; give {range}")]
    Setting {
        /// Name of the option.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
}

impl Error {
    pub(crate) fn model(at: impl Into<String>, problem: impl Into<String>) -> Error {
        Error::Model { at: at.into(), problem: problem.into() }
    }

    pub(crate) fn impression(field: impl Into<String>, problem: impl Into<String>) -> Error {
        Error::Impression { field: field.into(), problem: problem.into() }
    }
}
