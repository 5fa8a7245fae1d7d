//! Runs commands one after the other, prints each with its wall time, and keeps the account.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::tools::Tools;

enum Outcome {
    Passed(Duration),
    Failed(Duration),
    Skipped(String),
}

/// The account of a run.
pub(crate) struct Runner {
    root: PathBuf,
    /// Every command finds them.
    tools: Option<Tools>,
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

    /// Finds these programs first from now on.
    pub(crate) fn set_tools(&mut self, tools: Option<Tools>) {
        self.tools = tools;
    }

    /// What [`Runner::set_tools`] was given.
    pub(crate) fn tools(&self) -> Option<&Tools> {
        self.tools.as_ref()
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
        self.account(name, program, started.elapsed(), status)
    }

    /// Notes how a step ended.
    fn account(&mut self, name: &str, program: &str, took: Duration, status: io::Result<ExitStatus>) -> Result<()> {
        let passed = status.as_ref().is_ok_and(ExitStatus::success);
        println!("  {} in {}", if passed { "passed" } else { "FAILED" }, seconds(took));
        let outcome = if passed { Outcome::Passed(took) } else { Outcome::Failed(took) };
        self.steps.push((name.to_owned(), outcome));
        match status {
            _ if passed => Ok(()),
            Ok(status) => bail!("{name}: `{program}` ended with {status}"),
            Err(error) => bail!("{name}: cannot run `{program}`: {error}"),
        }
    }

    /// Runs one command and tells whether it could; it is a step only then.
    pub(crate) fn attempt(&mut self, name: &str, program: &str, arguments: &[&str]) -> bool {
        println!("\n$ {}", shown(program, arguments, &[]));
        let started = Instant::now();
        let why = match self.command(program).args(arguments).output() {
            Ok(output) if output.status.success() => {
                self.steps.push((name.to_owned(), Outcome::Passed(started.elapsed())));
                println!("  passed in {}", seconds(started.elapsed()));
                return true;
            }
            Ok(output) => {
                let said = if output.stderr.is_empty() { output.stdout } else { output.stderr };
                String::from_utf8_lossy(&said).trim().replace('\n', "\n  ")
            }
            Err(error) => error.to_string(),
        };
        println!("  not possible, so another way is taken: {why}");
        false
    }

    /// Runs one command, fails if it does, and gives what it printed.
    pub(crate) fn output(&mut self, name: &str, program: &str, arguments: &[&str]) -> Result<Vec<u8>> {
        println!("\n$ {}", shown(program, arguments, &[]));
        let mut command = self.command(program);
        command.args(arguments).stderr(Stdio::inherit());
        let started = Instant::now();
        let output = command.output();
        let status = output.as_ref().map(|output| output.status).map_err(|error| io::Error::from(error.kind()));
        self.account(name, program, started.elapsed(), status)?;
        Ok(output?.stdout)
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
    /// there are none. Where Git cannot say, every file that `.gitignore` does not name, but for hidden folders.
    pub(crate) fn files(&self, endings: &[&str]) -> Result<Vec<String>> {
        let mut files = match self.tracked() {
            Ok(files) => files,
            Err(error) => {
                println!("\n{error:#}; so every file is taken, but for hidden folders and what .gitignore names");
                self.walk()?
            }
        };
        files.retain(|file| endings.is_empty() || endings.iter().any(|ending| file.ends_with(ending)));
        Ok(files)
    }

    fn tracked(&self) -> Result<Vec<String>> {
        let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let output = self.command("git").args(arguments).output().context("`git` cannot be run")?;
        if !output.status.success() {
            bail!("`git ls-files` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let mut files: Vec<String> = String::from_utf8(output.stdout)?.split('\0').map(str::to_owned).collect();
        files.retain(|file| !file.is_empty() && self.root.join(file).is_file());
        if files.is_empty() {
            bail!("`git ls-files` knows no file here"); // a copy within another repository that ignores it
        }
        Ok(files)
    }

    fn walk(&self) -> Result<Vec<String>> {
        let ignored = std::fs::read_to_string(self.root.join(".gitignore")).unwrap_or_default();
        // The lines that this workspace uses: `/path/from/the/root` and `name/`.
        let is_ignored = |path: &str, name: &str| {
            ignored.lines().map(|line| line.trim().trim_end_matches('/')).any(|line| match line.strip_prefix('/') {
                Some(line) => line == path,
                None => line == name,
            })
        };
        let (mut files, mut folders) = (Vec::new(), vec![String::new()]);
        while let Some(folder) = folders.pop() {
            let absolute = self.root.join(&folder);
            for entry in absolute.read_dir().with_context(|| format!("cannot read {}", absolute.display()))? {
                let entry = entry?;
                let Ok(name) = entry.file_name().into_string() else { continue };
                let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
                let kind = entry.file_type()?;
                if name == ".git"
                    || is_ignored(&path, &name)
                    || kind.is_dir() && (name.starts_with('.') || name == "target")
                {
                    continue;
                }
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file() {
                    files.push(path);
                }
            }
        }
        files.sort();
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
        if let Some(tools) = &self.tools {
            command.envs(in_front("PATH", &tools.programs));
            command.envs(tools.packages.as_ref().and_then(|packages| in_front("PYTHONPATH", packages)));
        }
        command
    }
}

/// A list of folders in the environment with one more in front.
fn in_front(name: &'static str, folder: &Path) -> Option<(&'static str, OsString)> {
    let inherited = std::env::var_os(name).filter(|list| !list.is_empty());
    let others = inherited.iter().flat_map(std::env::split_paths);
    Some((name, std::env::join_paths(std::iter::once(folder.to_owned()).chain(others)).ok()?))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;

    #[test]
    fn without_a_repository_the_tree_is_walked() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["src/deep", "target/debug", ".hidden", "fuzz/target", "fuzz/corpus", "data", "src/data", "venv"]
        {
            fs::create_dir_all(root.path().join(folder)).unwrap();
            fs::write(root.path().join(folder).join("x.py"), "").unwrap();
        }
        fs::write(root.path().join("src/x.rs"), "").unwrap();
        fs::write(root.path().join(".gitignore"), "/fuzz/corpus\n/data/\nvenv/\n").unwrap();
        fs::write(root.path().join(".git"), "gitdir: nowhere\n").unwrap();
        let runner = Runner::new(root.path());
        assert!(runner.tracked().unwrap_err().to_string().contains("`git"));
        assert_eq!(runner.files(&[]).unwrap(), [".gitignore", "src/data/x.py", "src/deep/x.py", "src/x.rs"]);
        assert_eq!(runner.files(&[".rs"]).unwrap(), ["src/x.rs"]);
    }
}
