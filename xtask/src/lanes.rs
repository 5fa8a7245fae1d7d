//! The lanes: which commands each runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde_json::Value as Json;

use crate::runner::Runner;
use crate::tools::Tools;
use crate::{bindings, packages, tools};

/// A lane of tests.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lane {
    /// Style, lints, spelling, secrets, licences.
    Lint,
    /// Tests beside the code, and the examples of the documentation.
    Unit,
    /// The `tests/` folders and the examples.
    Integration,
    /// The Python package: stubs, types, tests.
    Python,
    /// The Node package: types, examples, tests, tarballs.
    Node,
    /// The wheel, as it is published, in every Python that is there.
    Packages,
    /// Slow tests, packages and fuzzing.
    Extended,
}

impl Lane {
    /// Runs the lane up to its first failure.
    pub(crate) fn run(self, runner: &mut Runner, fuzz_minutes: u64) -> Result<()> {
        match self {
            Lane::Lint => lint(runner, false),
            Lane::Unit => unit(runner),
            Lane::Integration => integration(runner),
            Lane::Python => bindings::python(runner),
            Lane::Node => bindings::node(runner),
            Lane::Packages => packages::wheel(runner),
            Lane::Extended => extended(runner, fuzz_minutes),
        }
    }
}

/// The lint lane; `fast` leaves out the further feature sets of clippy, and cargo-deny.
pub(crate) fn lint(runner: &mut Runner, fast: bool) -> Result<()> {
    Runner::heading("lint");
    tools::ensure(runner)?;
    runner.step("rustfmt", "cargo", &["fmt", "--all", "--check"])?;
    spelling_and_secrets(runner)?;
    python(runner)?;
    let deny_warnings = ["--", "-D", "warnings"];
    let mut clippy = |name: &str, selection: &[&str]| {
        let arguments: Vec<&str> = ["clippy"].iter().chain(selection).chain(&deny_warnings).copied().collect();
        runner.step(name, "cargo", &arguments)
    };
    clippy("clippy", &["--workspace", "--all-targets"])?;
    if fast {
        return Ok(());
    }
    clippy("clippy, rag-core without features", &["-p", "rag-core", "--no-default-features"])?;
    clippy("clippy, the graph of `cargo demo`", &["-p", "rag-cli", "--no-default-features"])?;
    licences(runner)
}

fn spelling_and_secrets(runner: &mut Runner) -> Result<()> {
    runner.step("spelling", "typos", &["--config", "typos.toml"])?;
    // Cargo.lock is checksums throughout; the entropy plugins find secrets in every table of numbers. What is left
    // knows the shapes of keys and tokens, and assignments to names such as `password`.
    let mut files = runner.files(&[])?;
    files.retain(|file| file != "Cargo.lock");
    let mut arguments = vec!["--no-verify"];
    for plugin in ["Base64HighEntropyString", "HexHighEntropyString"] {
        arguments.extend(["--disable-plugin", plugin]);
    }
    arguments.extend(files.iter().map(String::as_str));
    runner.step("secret scan", "detect-secrets-hook", &arguments)
}

fn python(runner: &mut Runner) -> Result<()> {
    let scripts = runner.files(&[".py"])?;
    if scripts.is_empty() {
        runner.skip("ruff", "there are no Python files");
        return Ok(());
    }
    let mut arguments = vec!["check", "--no-cache", "--line-length", "120", "--target-version", "py310"];
    arguments.extend(["--select", "E,F,I,B,UP"]);
    arguments.extend(scripts.iter().map(String::as_str));
    runner.step("ruff", "ruff", &arguments)
}

fn licences(runner: &mut Runner) -> Result<()> {
    let check = |what: &[&'static str]| [&["deny", "--workspace", "check", "--hide-inclusion-graph"], what].concat();
    runner.step("licences, bans, sources", "cargo", &check(&["licenses", "bans", "sources"]))?;
    if advisory_database().is_none() {
        let reason = "no advisory database on this machine; `cargo deny fetch` brings it where the network allows";
        runner.skip("advisories", reason);
        return Ok(());
    }
    let advisories = ["deny", "--workspace", "--offline", "check", "--hide-inclusion-graph", "advisories"];
    runner.step("advisories", "cargo", &advisories)
}

/// Where cargo-deny keeps the RustSec database, if it has fetched it.
fn advisory_database() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))?;
    let folder = home.join("advisory-dbs");
    folder.read_dir().ok()?.next().is_some().then_some(folder)
}

fn unit(runner: &mut Runner) -> Result<()> {
    Runner::heading("unit");
    test(runner, "unit tests", &["--lib", "--bins"], false, &[])?;
    runner.step("documentation examples", "cargo", &["test", "--workspace", "--doc"])
}

fn integration(runner: &mut Runner) -> Result<()> {
    Runner::heading("integration");
    if has_integration_tests(runner.root())? {
        test(runner, "integration tests", &["--test", "*"], false, &[])?;
    } else {
        runner.skip("integration tests", "no crate has a tests/ folder with a test in it");
    }
    // Built with the whole workspace: alone, they would want their dependencies with other features, and anew.
    let build = ["build", "--workspace", "--examples", "--message-format", "json-render-diagnostics"];
    let messages = runner.output("build the examples", "cargo", &build)?;
    for (example, program) in examples(&String::from_utf8(messages)?)? {
        // The figures of `scale` want many documents and a release build; here it only has to work.
        let few = ["--documents", "400", "--queries", "40", "--batch", "100", "--commit-every", "200"];
        runner.step(&format!("example {example}"), &program, if example == "scale" { &few } else { &[] })?;
    }
    Ok(())
}

/// The examples that cargo says it built, with the program of each, in the order of their names. Only cargo knows where it
/// builds: variables, its configuration and the target triple have a say.
fn examples(messages: &str) -> Result<BTreeMap<String, String>> {
    let mut examples = BTreeMap::new();
    for message in artifacts(messages)? {
        let target = &message["target"];
        let is_example = target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "example"));
        if let (true, Some(name), Some(program)) = (is_example, target["name"].as_str(), message["executable"].as_str())
        {
            examples.insert(name.to_owned(), program.to_owned());
        }
    }
    Ok(examples)
}

/// What cargo says of everything that it built.
pub(crate) fn artifacts(messages: &str) -> Result<Vec<Json>> {
    let lines = messages.lines().filter(|line| line.starts_with('{'));
    let parsed = lines.map(|line| serde_json::from_str(line).context("cargo's message is not understood"));
    let mut messages = parsed.collect::<Result<Vec<Json>>>()?;
    messages.retain(|message| message["reason"] == "compiler-artifact");
    Ok(messages)
}

/// Tests of the workspace by cargo-nextest where it is installed, else by cargo.
fn test(runner: &mut Runner, name: &str, targets: &[&str], ignored: bool, environment: &[(&str, &str)]) -> Result<()> {
    let nextest = runner.has("cargo", &["nextest"]);
    let (front, back): (&[&str], &[&str]) = match (nextest, ignored) {
        (true, false) => (&["nextest", "run", "--workspace", "--no-fail-fast", "--no-tests", "warn"], &[]),
        (true, true) => {
            (&["nextest", "run", "--workspace", "--no-fail-fast", "--no-tests", "warn", "--run-ignored", "only"], &[])
        }
        (false, false) => (&["test", "--workspace", "--no-fail-fast"], &[]),
        (false, true) => (&["test", "--workspace", "--no-fail-fast"], &["--", "--ignored"]),
    };
    runner.step_with(name, "cargo", &[front, targets, back].concat(), environment)
}

/// Whether any `tests/*.rs` belongs to a crate of the workspace (cargo fails when asked for none).
fn has_integration_tests(root: &Path) -> Result<bool> {
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().with_context(|| format!("cannot read {}", folder.display()))? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if !path.is_dir() || name.starts_with('.') || ["target", "src", "fuzz", "node_modules"].contains(&name) {
                continue;
            }
            let is_test = |path: &Path| path.extension().is_some_and(|extension| extension == "rs");
            if name == "tests"
                && folder.join("Cargo.toml").is_file()
                && path.read_dir()?.flatten().any(|entry| is_test(&entry.path()))
            {
                return Ok(true);
            }
            folders.push(path);
        }
    }
    Ok(false)
}

fn extended(runner: &mut Runner, fuzz_minutes: u64) -> Result<()> {
    Runner::heading("extended");
    let minilm = tools::minilm(runner).map(|folder| folder.to_string_lossy().into_owned());
    let mut environment = Vec::new();
    match &minilm {
        Ok(folder) => environment.push(("RAG_TEST_MINILM", folder.as_str())),
        Err(error) => runner.skip("tests with all-MiniLM-L6-v2", &format!("it could not be had: {error:#}")),
    }
    let ranking = tools::ranking(runner);
    match &ranking {
        // Packages that lie beside the environment are found by nobody who starts its Python by name.
        Ok(Some(Tools { python, packages: None, .. })) => environment.push(("RAG_TEST_PYTHON", python)),
        Ok(_) => runner.skip("comparisons with LightGBM and XGBoost", "they need Python 3.11 with its venv module"),
        Err(error) => runner.skip("comparisons with LightGBM and XGBoost", &format!("not to be had: {error:#}")),
    }
    test(runner, "slow tests", &["--lib", "--bins", "--tests"], true, &environment)?;
    packages::wheel(runner)?;
    fuzz(runner, fuzz_minutes)
}

fn fuzz(runner: &mut Runner, minutes: u64) -> Result<()> {
    let targets = fuzz_targets(runner.root());
    if targets.is_empty() {
        runner.skip("fuzzing", "there are no targets in fuzz/fuzz_targets");
        return Ok(());
    }
    if let Err(error) = tools::ensure(runner) {
        runner.skip("fuzzing", &format!("cargo-fuzz could not be had: {error:#}"));
        return Ok(());
    }
    let seconds = (minutes * 60 / targets.len() as u64).max(1);
    let limit = format!("-max_total_time={seconds}");
    for target in targets {
        // What is found is kept in the first folder, which Git ignores; the second one is committed.
        let (corpus, seeds) = (format!("fuzz/corpus/{target}"), format!("fuzz/seeds/{target}"));
        std::fs::create_dir_all(runner.root().join(&corpus)).with_context(|| format!("cannot make {corpus}"))?;
        // libFuzzer needs unstable flags of the compiler; the pinned stable one takes them with this variable.
        let bootstrap = [("RUSTC_BOOTSTRAP", "1")];
        let front = ["fuzz", "run", "--fuzz-dir", "fuzz", &target, &corpus, &seeds];
        // The entropic schedule spends more time on its statistics than on inputs where a target has many features.
        let back = ["--", &limit, "-entropic=0", "-timeout=60", "-rss_limit_mb=4096"];
        let arguments = [front.as_slice(), &back].concat();
        runner.step_with(&format!("fuzz {target}"), "cargo", &arguments, &bootstrap)?;
    }
    Ok(())
}

/// The names of the files in `fuzz/fuzz_targets`, in order.
fn fuzz_targets(root: &Path) -> Vec<String> {
    let Ok(entries) = root.join("fuzz/fuzz_targets").read_dir() else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    let sources = paths.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let mut names: Vec<String> =
        sources.filter_map(|path| path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned)).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;
    use std::fs;

    #[test]
    fn integration_tests_are_looked_for_in_crates_alone() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/tests/fixtures")).unwrap();
        fs::create_dir_all(root.path().join("b/src/tests")).unwrap();
        fs::write(root.path().join("a/Cargo.toml"), "").unwrap();
        fs::write(root.path().join("b/src/tests/x.rs"), "").unwrap();
        assert!(!has_integration_tests(root.path()).unwrap());
        fs::write(root.path().join("a/tests/x.rs"), "").unwrap();
        assert!(has_integration_tests(root.path()).unwrap());
    }

    #[test]
    fn examples_are_run_from_where_cargo_built_them() {
        let message = |kind: &str, name: &str, executable: Json| {
            let target = json!({"kind": [kind], "name": name});
            json!({"reason": "compiler-artifact", "target": target, "executable": executable}).to_string()
        };
        let messages = [
            message("example", "scale", json!("/elsewhere/debug/examples/scale")),
            message("lib", "rag_core", Json::Null),
            message("bin", "rag", json!("/elsewhere/debug/rag")),
            "a line of a build script".to_owned(),
            message("example", "basic", json!("/elsewhere/triple/debug/examples/basic")),
            json!({"reason": "build-finished", "success": true}).to_string(),
        ];
        let found = examples(&messages.join("\n")).unwrap();
        let wanted =
            [("basic", "/elsewhere/triple/debug/examples/basic"), ("scale", "/elsewhere/debug/examples/scale")];
        assert!(found.iter().map(|(name, program)| (name.as_str(), program.as_str())).eq(wanted), "{found:?}");
    }

    #[test]
    fn fuzz_targets_are_sources() {
        let root = tempfile::tempdir().unwrap();
        assert!(fuzz_targets(root.path()).is_empty());
        fs::create_dir_all(root.path().join("fuzz/fuzz_targets")).unwrap();
        for name in ["z.rs", "a.rs", "notes.md"] {
            fs::write(root.path().join("fuzz/fuzz_targets").join(name), "").unwrap();
        }
        assert_eq!(fuzz_targets(root.path()), ["a", "z"]);
    }
}
