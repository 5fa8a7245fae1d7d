//! The packages that are published, made and tried as a user gets them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::runner::Runner;
use crate::tools;

/// The Pythons that the wheel is tried with, where they are installed.
const PYTHONS: [&str; 4] = ["3.10", "3.11", "3.12", "3.13"];

/// The lane of packages: builds the wheel for Linux and runs the tests that need nothing but it in a new environment of every Python.
pub(crate) fn wheel(runner: &mut Runner) -> Result<()> {
    Runner::heading("packages");
    let Some(tools) = tools::wheel(runner)? else { return Ok(()) };
    let folder = std::env::current_exe()?.with_file_name("wheels");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context("the wheel of an earlier run cannot be removed")?;
    }
    let out = folder.to_str().context("the target folder is not UTF-8")?;
    let others = runner.tools().cloned();
    runner.set_tools(Some(tools));
    let manifest = "bindings/python/Cargo.toml";
    let compatibility = ["--zig", "--compatibility", "manylinux_2_17"];
    let options = ["build", "--locked", "--manifest-path", manifest, "--profile", "dist", "--out", out];
    let built = runner.step("build the wheel", "maturin", &[&options[..], &compatibility].concat());
    runner.set_tools(others);
    built?;
    let wheel = folder.read_dir()?.flatten().map(|entry| entry.path()).next().context("maturin left no wheel")?;
    inspect(runner, &wheel)?;
    let mut tried = 0;
    for version in PYTHONS {
        match python(runner, version) {
            Some(python) => {
                try_wheel(runner, &python, version, &wheel)?;
                tried += 1;
            }
            None => runner.skip(&format!("the wheel in Python {version}"), "this Python is not installed"),
        }
    }
    ensure!(tried > 0, "there is no Python to try the wheel with");
    Ok(())
}

/// Says how large the wheel is, and that the list of its parts is in it.
fn inspect(runner: &mut Runner, wheel: &Path) -> Result<()> {
    let name = wheel.file_name().and_then(|name| name.to_str()).context("the wheel's name is not UTF-8")?;
    let is_for_all = name.contains("-cp310-abi3-") && name.contains("manylinux_2_17_");
    ensure!(is_for_all, "{name} is not for every Python from 3.10 on old systems");
    let path = wheel.to_str().context("the target folder is not UTF-8")?;
    let list = String::from_utf8(runner.output("list the wheel", "python3", &["-m", "zipfile", "-l", path])?)?;
    for part in [
        ".cyclonedx.json",
        "licenses/NOTICE",
        "rag_core/py.typed",
        "rag_core/_rag_core.pyi",
        "rag_core/_rag_core.abi3.so",
    ] {
        ensure!(list.contains(part), "{name} has no {part} in it");
    }
    println!("  {name}: {:.1} MB", wheel.metadata()?.len() as f64 / 1e6);
    Ok(())
}

/// A Python of this version, on the path or of pyenv.
fn python(runner: &Runner, version: &str) -> Option<String> {
    let on_path = format!("python{version}");
    if runner.has(&on_path, &[]) {
        return Some(on_path);
    }
    let root = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
    let root = root.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".pyenv")))?;
    let mut found: Vec<PathBuf> = root.join("versions").read_dir().ok()?.flatten().map(|entry| entry.path()).collect();
    found
        .retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{version}."))));
    found.sort();
    Some(found.pop()?.join("bin/python").to_str()?.to_owned())
}

fn try_wheel(runner: &mut Runner, python: &str, version: &str, wheel: &Path) -> Result<()> {
    let environment = wheel.with_file_name(format!("python-{version}"));
    let environment = environment.to_str().context("the target folder is not UTF-8")?;
    runner.step(&format!("an environment of Python {version}"), python, &["-m", "venv", "--clear", environment])?;
    let own = &format!("{environment}/bin/python");
    let wheel = wheel.to_str().context("the target folder is not UTF-8")?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, "pytest", "pandas"];
    runner.step(&format!("install the wheel in Python {version}"), own, &install)?;
    // The sources beside the tests stay out of the path: what is tried is what was installed.
    let tests = ["engine", "parts", "parity", "processes", "readme"]
        .map(|name| format!("bindings/python/tests/test_{name}.py"));
    let mut pytest = vec!["-m", "pytest", "--quiet", "-p", "no:cacheprovider", "-o", "pythonpath="];
    pytest.extend(["--config-file", "bindings/python/pyproject.toml"]);
    pytest.extend(tests.iter().map(String::as_str));
    runner.step(&format!("the wheel in Python {version}"), own, &pytest)
}
