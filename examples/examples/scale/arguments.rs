//! What is asked on the command line.

use std::path::PathBuf;

use clap::Parser;
use clap::builder::RangedU64ValueParser;

#[derive(Debug, Parser)]
#[command(about = "Indexes synthetic documents made of real text, searches them and prints what it took")]
pub(crate) struct Arguments {
    /// Number of documents.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) documents: usize,
    /// Number of queries of each mode.
    #[arg(long, default_value_t = 1000, value_parser = at_least_one())]
    pub(crate) queries: usize,
    /// File or folder with real text (.txt, .md, .rs, .jsonl, .jsonl.gz); may be repeated. Default: this repository.
    #[arg(long)]
    pub(crate) text: Vec<PathBuf>,
    /// Documents of one upsert.
    #[arg(long, default_value_t = 1000, value_parser = at_least_one())]
    pub(crate) batch: usize,
    /// Documents of one commit.
    #[arg(long, default_value_t = 10_000, value_parser = at_least_one())]
    pub(crate) commit_every: usize,
    /// Threads that index; 0: as many as the machine has. Queries are measured on one.
    #[arg(long, default_value_t = 0)]
    pub(crate) threads: usize,
    /// Data folder, which stays. Default: a temporary one.
    #[arg(long)]
    pub(crate) data: Option<PathBuf>,
    /// Leaves out the indexing; needs --data.
    #[arg(long, requires = "data")]
    pub(crate) search_only: bool,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Steps of nothing would never come to an end.
fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_nothing_are_refused() {
        for option in ["--batch", "--commit-every", "--queries"] {
            assert!(Arguments::try_parse_from(["scale", option, "0"]).is_err(), "{option}");
            assert!(Arguments::try_parse_from(["scale", option, "1"]).is_ok(), "{option}");
        }
    }
}
