//! The lanes of the languages that the engine is bound to.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::runner::Runner;
use crate::{lanes, stubs, tools};

/// A script there, which only its full name finds.
const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };

const PYTHON: &str = "bindings/python";
const STUBS: &str = "bindings/python/python/rag_core/_rag_core.pyi";
const EXTENSION: &str = "bindings/python/python/rag_core/_rag_core.abi3.so";

/// The lane of Python: the stubs are those of the library, mypy finds nothing, every test passes.
pub(crate) fn python(runner: &mut Runner) -> Result<()> {
    Runner::heading("python");
    let Some(tools) = tools::python(runner)? else { return Ok(()) };
    let made = stubs::made(&extension(runner)?)?;
    if std::fs::read_to_string(runner.root().join(STUBS)).ok().as_deref() != Some(&made) {
        bail!("{STUBS} is not what the Rust signatures say; `cargo xtask stubs` writes it anew");
    }
    let parity = parity(runner)?;
    let others = runner.tools().cloned();
    let interpreter = tools.python.clone();
    runner.set_tools(Some(tools));
    let done = check_python(runner, &interpreter, &parity);
    runner.set_tools(others);
    done
}

fn check_python(runner: &mut Runner, python: &str, parity: &str) -> Result<()> {
    let settings = &format!("{PYTHON}/pyproject.toml");
    let typed = ["python/rag_core", "examples"].map(|folder| format!("{PYTHON}/{folder}"));
    let mypy = ["-m", "mypy", "--config-file", settings, &typed[0], &typed[1]];
    runner.step("mypy", python, &mypy)?;
    let tests = &format!("{PYTHON}/tests");
    let pytest =
        ["-m", "pytest", "--quiet", "-p", "no:cacheprovider", "--config-file", settings, "--rootdir", PYTHON, tests];
    runner.step_with("tests of Python", python, &pytest, &[("RAG_PARITY", parity)])
}

/// The lane of Node: the package builds, its examples have the right types, and every test passes, those of its tarballs
/// too.
pub(crate) fn node(runner: &mut Runner) -> Result<()> {
    Runner::heading("node");
    let is_new = ["-e", "process.exit(Number(process.versions.node.split('.')[0] < 20))", "--"];
    if !runner.has("node", &is_new) || !runner.has(NPM, &[]) {
        runner.skip("node", "it needs Node 20 or newer, with npm");
        return Ok(());
    }
    let parity = parity(runner)?;
    let npm = |what: &[&'static str]| [&["--prefix", "bindings/node"], what].concat();
    runner.step("packages of Node", NPM, &npm(&["ci", "--no-audit", "--no-fund", "--loglevel", "error"]))?;
    let build = npm(&["run", "--silent", "build:debug"]);
    runner.step_with("build the package for Node", NPM, &build, &[("RAG_BUILD_WORKSPACE", "1")])?;
    runner.step_with("tests of Node", NPM, &npm(&["test", "--silent"]), &[("RAG_PARITY", &parity)])
}

/// Writes the stubs of the Python package.
pub(crate) fn write_stubs(runner: &mut Runner) -> Result<()> {
    let made = stubs::made(&extension(runner)?)?;
    std::fs::write(runner.root().join(STUBS), made).with_context(|| format!("cannot write {STUBS}"))
}

/// Builds the extension with the features of the whole workspace, so that nothing is built for it alone, and puts it
/// where Python finds it.
fn extension(runner: &mut Runner) -> Result<PathBuf> {
    let build = [
        "build",
        "--workspace",
        "--lib",
        "--features",
        "rag-python/stubs",
        "--message-format",
        "json-render-diagnostics",
    ];
    let messages = String::from_utf8(runner.output("build the libraries", "cargo", &build)?)?;
    let library = lanes::artifacts(&messages)?
        .into_iter()
        .filter(|artifact| artifact["target"]["name"] == "_rag_core")
        .filter_map(|artifact| Some(PathBuf::from(artifact["filenames"][0].as_str()?)))
        .next_back()
        .context("cargo built no `_rag_core`")?;
    let place = runner.root().join(EXTENSION);
    // A running Python may have the old one mapped: it is replaced, not written over.
    let beside = place.with_extension("new");
    std::fs::copy(&library, &beside).with_context(|| format!("cannot copy {}", library.display()))?;
    std::fs::rename(&beside, &place).with_context(|| format!("cannot write {EXTENSION}"))?;
    Ok(library)
}

/// What Rust gives for the cases of bindings/parity on this machine, in a file.
fn parity(runner: &mut Runner) -> Result<String> {
    let file = std::env::current_exe()?.with_file_name("parity.json");
    let file = file.to_str().context("the target folder is not UTF-8")?.to_owned();
    let test = ["test", "--quiet", "--workspace", "--test", "parity"];
    runner.step_with("parity cases in Rust", "cargo", &test, &[("RAG_PARITY", &file)])?;
    Ok(file)
}
