//! The `rag` command: index, search, explain and check from a shell.

mod commands;
mod readers;
mod ui;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Search your own documents: words and meaning, in one process, with nothing to download.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    /// Print one JSON object instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

/// Where the data lies and whose it is.
#[derive(Debug, Clone, Args)]
#[allow(clippy::struct_field_names)] // the flag is `--data`
struct Data {
    /// The data folder.
    #[arg(long, default_value = "rag-data")]
    data: PathBuf,
    /// The tenant.
    #[arg(long, default_value = rag_core::DEFAULT_TENANT)]
    tenant: String,
    #[command(flatten)]
    setup: Setup,
}

/// Which model and which settings.
#[derive(Debug, Clone, Default, Args)]
struct Setup {
    /// The embedding model: a folder in the layout of sentence-transformers or a static model file; else what the
    /// configuration says, else the bundled one.
    #[arg(long)]
    model: Option<PathBuf>,
    /// A configuration file (TOML); else what RAG_CONFIG names. Variables such as RAG__ENGINE__FUSION__DEPTH=200 win
    /// over it.
    #[arg(long)]
    config: Option<PathBuf>,
}

/// What is asked.
#[derive(Debug, Clone, Args)]
struct Question {
    /// The words of the question.
    #[arg(required = true, value_name = "TEXT")]
    text: Vec<String>,
    /// Number of hits.
    #[arg(short, long, default_value_t = 10)]
    k: usize,
    /// A filter in JSON, such as '{"eq": {"extension": "md"}}'.
    #[arg(long)]
    filter: Option<String>,
    /// Which retrievers answer: hybrid, dense or lexical.
    #[arg(long, default_value = "hybrid", value_parser = ["hybrid", "dense", "lexical"])]
    mode: String,
    /// Read the words as query syntax: title:word, "a phrase", +must, -not.
    #[arg(long)]
    syntax: bool,
    /// A ranker, as `rag train` writes it, or a model of LightGBM or XGBoost; else what the configuration says, else none.
    #[arg(long, value_name = "FILE")]
    ranker: Option<PathBuf>,
    /// Weight of the ranker's score, 0 to 1; the fused score has the rest. Where the gate was ever set, it decides instead.
    #[arg(long, value_name = "WEIGHT")]
    ltr_weight: Option<f32>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Index this clone's documentation and sources, answer sample questions, then ask for yours.
    Demo {
        /// The folder to index.
        #[arg(default_value = ".")]
        path: PathBuf,
    },
    /// Index a file or a folder; what has not changed is left alone.
    ///
    /// Hidden files, what .gitignore names and the data folder itself are left out. What is gone from the folder stays
    /// indexed until it is deleted with `rag delete`.
    Index {
        /// Text, Markdown, HTML, PDF, JSON Lines, CSV or source files.
        path: PathBuf,
        #[command(flatten)]
        data: Data,
        /// The field of JSON and CSV records that holds the text.
        #[arg(long)]
        text_field: Option<String>,
        /// Follow links to folders.
        #[arg(long)]
        follow_links: bool,
    },
    /// Delete documents by their ids; ids that are not there are told, and no failure.
    Delete {
        /// Ids as `rag search` shows them: of a file its path below what was indexed, of a record its own id or
        /// `path#line`.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        #[command(flatten)]
        data: Data,
    },
    /// Search.
    Search {
        #[command(flatten)]
        question: Question,
        #[command(flatten)]
        data: Data,
        /// Show how each hit came about.
        #[arg(long)]
        explain: bool,
    },
    /// Show how one document fares for a question.
    Explain {
        /// Id of the document.
        id: String,
        #[command(flatten)]
        question: Question,
        #[command(flatten)]
        data: Data,
    },
    /// Numbers about a data folder.
    Stats {
        #[command(flatten)]
        data: Data,
    },
    /// Read everything; make derived files that are damaged again.
    Verify {
        #[command(flatten)]
        data: Data,
    },
    /// Give unused space back.
    Compact {
        #[command(flatten)]
        data: Data,
    },
    /// Make a static model out of a BERT model: no neural network to run, one small file. Takes some minutes.
    #[cfg(feature = "distill")]
    Distill(commands::distill::DistillArgs),
    /// Measure how well the retrievers rank, on a test collection or from runs that are there already.
    ///
    /// The figures are over the queries with at least one relevant document (grade 1 or more); one without an answer
    /// counts 0. Documents are left whole unless --whole-documents=false. Metrics and ties are those of trec_eval.
    Eval(commands::eval::EvalArgs),
    /// Write what a ranker sees of the candidates of some questions: a file to train on. Without questions, show which
    /// features there are.
    Features(commands::features::FeaturesArgs),
    /// Train a ranker: from features with labels, from judged questions to a data folder, or from what users clicked.
    Train(Box<commands::train::TrainArgs>),
    /// The weight of the ranker, changed while services run, without a restart; every change is written down.
    #[command(subcommand)]
    Gate(commands::gate::GateCommand),
    /// Let another weight of the ranker earn its traffic step by step; harm takes it back.
    #[command(subcommand)]
    Canary(commands::canary::CanaryCommand),
    /// Compare ways to fuse the retrievers on judged questions, and write the best as a configuration.
    ///
    /// What is reported is measured on questions that had no part in the choice.
    Tune(Box<commands::tune::TuneArgs>),
    /// The models at hand: the bundled one, and the configured one.
    Models {
        #[command(flatten)]
        setup: Setup,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = ui::Output::new(cli.json);
    let done = match cli.command {
        Command::Demo { path } => commands::demo::run(output, &path),
        Command::Index { path, data, text_field, follow_links } => {
            commands::index::run(output, &path, &data, text_field, follow_links)
        }
        Command::Delete { ids, data } => commands::delete::run(output, &ids, &data),
        Command::Search { question, data, explain } => commands::search::run(output, &question, &data, explain),
        Command::Explain { id, question, data } => commands::search::explain(output, &id, &question, &data),
        Command::Stats { data } => commands::maintain::stats(output, &data),
        Command::Verify { data } => commands::maintain::verify(output, &data),
        Command::Compact { data } => commands::maintain::compact(output, &data),
        #[cfg(feature = "distill")]
        Command::Distill(args) => commands::distill::run(output, args),
        Command::Eval(args) => commands::eval::run(output, &args),
        Command::Features(args) => commands::features::run(output, &args),
        Command::Train(args) => commands::train::run(output, &args),
        Command::Gate(command) => commands::gate::run(output, &command),
        Command::Canary(command) => commands::canary::run(output, &command),
        Command::Tune(args) => commands::tune::run(output, &args),
        Command::Models { setup } => commands::maintain::models(output, &setup),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output.error(&error);
            ExitCode::from(ui::exit::code_of(&error))
        }
    }
}
