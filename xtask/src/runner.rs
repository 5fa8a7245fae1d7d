//! Runs commands one after the other, prints each with its wall time, and keeps the account.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

enum Outcome {
    Passed(Duration),
    Failed(Duration),
    Skipped(String),
}

/// The account of a run.
pub(crate) struct Runner {
    root: PathBuf,
    /// Put in front of `PATH` for every command.
    tools: Option<PathBuf>,
    steps: Vec<(String, Outcome)>,
}

impl Runner {
    /// Commands run in `root`.
    pub(crate) fn new(root: &Path) -> Self {
        Runner { root: root.to_owned(), tools: None, steps: Vec::new() }
    }

    /// The folder of the workspace.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Finds programs in this folder first from now on.
    pub(crate) fn add_tools(&mut self, folder: PathBuf) {
        self.tools = Some(folder);
    }

    /// Whether the programs of [`Runner::add_tools`] are there.
    pub(crate) fn has_tools(&self) -> bool {
        self.tools.is_some()
    }

    /// Begins a lane.
    pub(crate) fn heading(lane: &str) {
        println!("\n== {lane}");
    }

    /// Runs one command and fails if it does.
    pub(crate) fn step(&mut self, name: &str, program: &str, arguments: &[&str]) -> Result<()> {
        self.step_with(name, program, arguments, &[])
    }

    /// The same with environment variables.
    pub(crate) fn step_with(
        &mut self,
        name: &str,
        program: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<()> {
        println!("\n$ {}", shown(program, arguments, environment));
        let started = Instant::now();
        let mut command = self.command(program);
        command.args(arguments).envs(environment.iter().copied());
        let status = command.status();
        let took = started.elapsed();
        let passed = status.as_ref().is_ok_and(std::process::ExitStatus::success);
        println!("  {} in {}", if passed { "passed" } else { "FAILED" }, seconds(took));
        let outcome = if passed { Outcome::Passed(took) } else { Outcome::Failed(took) };
        self.steps.push((name.to_owned(), outcome));
        match status {
            _ if passed => Ok(()),
            Ok(status) => bail!("{name}: `{program}` ended with {status}"),
            Err(error) => bail!("{name}: cannot run `{program}`: {error}"),
        }
    }

    /// Says that a step is left out, and why.
    pub(crate) fn skip(&mut self, name: &str, reason: &str) {
        println!("\nskipped: {name}: {reason}");
        self.steps.push((name.to_owned(), Outcome::Skipped(reason.to_owned())));
    }

    /// Whether a program answers to `--version`.
    pub(crate) fn has(&self, program: &str, arguments: &[&str]) -> bool {
        self.command(program).args(arguments).arg("--version").output().is_ok_and(|output| output.status.success())
    }

    /// The files that Git tracks or would track, below the root, whose names end in one of `endings`; all of them if
    /// there are none.
    pub(crate) fn files(&self, endings: &[&str]) -> Result<Vec<String>> {
        let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let output = self.command("git").args(arguments).output()?;
        if !output.status.success() {
            bail!("`git ls-files` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let mut files: Vec<String> = String::from_utf8(output.stdout)?.split('\0').map(str::to_owned).collect();
        files.retain(|file| !file.is_empty() && self.root.join(file).is_file());
        files.retain(|file| endings.is_empty() || endings.iter().any(|ending| file.ends_with(ending)));
        Ok(files)
    }

    /// Prints every step with its time.
    pub(crate) fn summary(&self) {
        println!("\n== summary");
        for (name, outcome) in &self.steps {
            match outcome {
                Outcome::Passed(took) => println!("  passed  {:>9}  {name}", seconds(*took)),
                Outcome::Failed(took) => println!("  FAILED  {:>9}  {name}", seconds(*took)),
                Outcome::Skipped(reason) => println!("  skipped {:>9}  {name}: {reason}", ""),
            }
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        if let Some(path) = self.path() {
            command.env("PATH", path);
        }
        command
    }

    fn path(&self) -> Option<OsString> {
        let tools = self.tools.clone()?;
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        std::env::join_paths(std::iter::once(tools).chain(std::env::split_paths(&inherited))).ok()
    }
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

/// The command as one would type it; long lists of files are cut.
fn shown(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let mut line: Vec<String> = environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    line.push(program.to_owned());
    line.extend(arguments.iter().take(20).map(|argument| (*argument).to_owned()));
    if arguments.len() > 20 {
        line.push(format!("… ({} more)", arguments.len() - 20));
    }
    line.join(" ")
}
