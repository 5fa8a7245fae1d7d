//! `rag gate`: the weight of the ranker while engines run.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};
use rag_core::gate::{Action, Change, Experiment, GateRecord, GateState, GateStatus, LiveGate, Running};
use rag_core::{Error, ErrorKind};
use rag_runtime::Settings;
use rag_runtime::gate::{Told, ToldRecord, ToldStatus};
use serde::de::DeserializeOwned;

use crate::ui::{Output, exit, plain, table};

/// Whose gate.
#[derive(Debug, Clone, Args)]
pub(crate) struct Folder {
    /// The data folder; a service may have it open.
    #[arg(long, default_value = "rag-data")]
    data: PathBuf,
    /// The configuration file of the service, for `engine.gate.key_file`; else what RAG_CONFIG names.
    #[arg(long)]
    config: Option<PathBuf>,
}

impl Folder {
    pub(super) fn open(&self) -> Result<LiveGate> {
        let settings = Settings::from_environment(self.config.as_deref())?;
        Ok(LiveGate::open(&self.data, &settings.engine.gate)?)
    }
}

/// Who changes it, and why: it is written down.
#[derive(Debug, Clone, Args)]
pub(crate) struct Why {
    /// Why, in a sentence.
    #[arg(long)]
    reason: String,
    /// Who; else USER, LOGNAME or USERNAME of the environment, else the number of the user.
    #[arg(long)]
    author: Option<String>,
    /// Where it is discussed: a link, or a number.
    #[arg(long)]
    issue: Option<String>,
    /// Refuse if the gate is not at this epoch any more.
    #[arg(long, value_name = "EPOCH")]
    expect: Option<u64>,
}

impl Why {
    fn change(&self) -> Result<Change> {
        let of_shell = || ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
        let author = self.author.clone().or_else(of_shell).filter(|author| !author.is_empty()).or_else(user_number);
        let author = author.ok_or_else(|| {
            Error::invalid(
                "`--author` is not given, nor any of USER, LOGNAME and USERNAME; say who you are: --author NAME",
            )
        })?;
        Ok(Change { issue: self.issue.clone(), ..Change::new(author, &*self.reason) })
    }
}

/// What to do with the gate.
#[derive(Debug, Subcommand)]
pub(crate) enum GateCommand {
    /// The weight, the experiments and the canary, and who changed them last.
    Show {
        #[command(flatten)]
        folder: Folder,
        /// Show all changes instead.
        #[arg(long)]
        history: bool,
    },
    /// Give the ranker another weight; engines that are running follow within a second.
    Set {
        /// 0 to 1: the fused score has the rest.
        weight: f32,
        #[command(flatten)]
        folder: Folder,
        #[command(flatten)]
        why: Why,
    },
    /// Take the ranker out at once: the weight 0 for everyone, and the end of a canary under way.
    Kill {
        #[command(flatten)]
        folder: Folder,
        #[command(flatten)]
        why: Why,
    },
    /// End `kill`: the weight and the experiments hold again, with what was changed meanwhile; the canary stays aborted.
    Revive {
        #[command(flatten)]
        folder: Folder,
        #[command(flatten)]
        why: Why,
    },
    /// Give shares of the traffic weights of their own.
    #[command(subcommand)]
    Experiment(ExperimentCommand),
}

/// What to do with experiments.
#[derive(Debug, Subcommand)]
pub(crate) enum ExperimentCommand {
    /// Begin one.
    ///
    /// The file is JSON: {"name": "more", "share": 0.5, "unit": "user", "group": "ranking", "shadow": false, "variants":
    /// [{"name": "control", "weight": 0.3}, {"name": "more", "weight": 0.6, "part": 1}]}. Only name and variants must be
    /// there.
    Start {
        /// The experiment; `-` for the standard input.
        file: PathBuf,
        #[command(flatten)]
        folder: Folder,
        #[command(flatten)]
        why: Why,
    },
    /// End one: its users get what all others get.
    End {
        /// Its name.
        name: String,
        #[command(flatten)]
        folder: Folder,
        #[command(flatten)]
        why: Why,
    },
}

/// The user of this process, where no variable names it, as in a container.
fn user_number() -> Option<String> {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata("/proc/self").ok().map(|own| format!("user {}", own.uid()))
    }
    #[cfg(not(target_os = "linux"))]
    None
}

pub(crate) fn run(output: Output, command: &GateCommand) -> Result<u8> {
    match command {
        GateCommand::Show { folder, history: false } => {
            let status = folder.open()?.status()?;
            output.answer(&ToldStatus::of(&status), |_| show(&status))?;
        }
        GateCommand::Show { folder, history: true } => {
            let records = folder.open()?.records()?;
            let told: Vec<ToldRecord<'_>> = records.iter().map(ToldRecord::of).collect();
            output.answer(&told, |_| history(&records))?;
        }
        GateCommand::Set { weight, folder, why } => act(output, folder, why, Action::SetWeight { weight: *weight })?,
        GateCommand::Kill { folder, why } => act(output, folder, why, Action::Kill)?,
        GateCommand::Revive { folder, why } => act(output, folder, why, Action::Revive)?,
        GateCommand::Experiment(ExperimentCommand::Start { file, folder, why }) => {
            act(output, folder, why, Action::StartExperiment(read::<Experiment>(file)?))?;
        }
        GateCommand::Experiment(ExperimentCommand::End { name, folder, why }) => {
            act(output, folder, why, Action::EndExperiment { name: name.clone() })?;
        }
    }
    Ok(exit::OK)
}

/// Changes the gate and tells what holds now.
pub(super) fn act(output: Output, folder: &Folder, why: &Why, action: Action) -> Result<()> {
    let record = folder.open()?.change(action, why.change()?, why.expect)?;
    Ok(output.answer(&Told::of(&record.state), |_| state(&record.state))?)
}

/// A JSON file, or the standard input.
pub(super) fn read<T: DeserializeOwned>(file: &Path) -> Result<T> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(|error| Error::io("read", file, error))?;
        text
    } else {
        std::fs::read_to_string(file).map_err(|error| Error::io("read", file, error))?
    };
    serde_json::from_str(&text).map_err(|error| {
        Error::new(ErrorKind::InvalidArgument, format!("{}: {error}", file.display())).with_source(error).into()
    })
}

fn show(status: &GateStatus) -> String {
    let mut lines = vec![state(&status.state)];
    for (name, seen) in &status.shadows {
        lines.push(format!(
            "shadow {name}: {} requests, overlap {:.3}, rank-biased overlap {:.3}, another first one in {:.1} %",
            seen.requests,
            seen.overlap,
            seen.rbo,
            seen.first_differs * 100.0
        ));
    }
    if status.state.canary_under_way().is_some() {
        lines.extend(status.canary.iter().map(|reading| format!("  {reading}")));
    }
    lines.push(format!("key of the buckets: {}", status.key));
    lines.join("\n")
}

/// What holds.
fn state(state: &GateState) -> String {
    let weight = match (state.killed, state.weight) {
        (true, None) => "0, killed".to_owned(),
        (true, Some(weight)) => format!("0, killed ({weight} when revived)"),
        (false, Some(weight)) => weight.to_string(),
        (false, None) => "that of the ranker (`ltr.weight`)".to_owned(),
    };
    let mut lines = vec![format!("epoch {}: weight {weight}", state.epoch)];
    if let Some(changed) = &state.changed {
        let issue = changed.issue.as_ref().map(|issue| format!(" ({issue})")).unwrap_or_default();
        let said = format!("{}: {}{issue}", changed.author, changed.reason);
        lines.push(format!("{} by {}", time(changed.at_us), plain::line(&said)));
    }
    lines.extend(state.experiments.iter().map(experiment));
    if let Some(canary) = &state.canary {
        let share = canary.share() * 100.0;
        lines.push(format!(
            "canary of weight {}: {}, {share:.0} % of the traffic",
            canary.plan().weight,
            canary.status()
        ));
    }
    lines.join("\n")
}

fn experiment(running: &Running) -> String {
    let Experiment { name, unit, group, share, variants, shadow } = &running.experiment;
    let variants = variants.iter().map(|variant| format!("{} {} ×{}", variant.name, variant.weight, variant.part));
    let group = group.as_ref().map(|group| format!(" of group {group}")).unwrap_or_default();
    let kind = if *shadow { "shadow" } else { "experiment" };
    let unit = format!("{unit:?}").to_lowercase();
    let variants = variants.collect::<Vec<_>>().join(", ");
    format!("{kind} {name}{group}: {} % by {unit}: {variants}", share * 100.0)
}

fn history(records: &[GateRecord]) -> String {
    let rows = records.iter().map(|record| {
        let state = &record.state;
        let changed = state.changed.as_ref();
        let said = |text: Option<&String>| plain::line(text.map_or("", String::as_str)).into_owned();
        let weight = match (state.killed, state.weight) {
            (true, _) => "killed".to_owned(),
            (false, weight) => weight.map_or_else(|| "ranker's".to_owned(), |weight| weight.to_string()),
        };
        vec![
            state.epoch.to_string(),
            plain::line(&done(&record.action)).into_owned(),
            changed.map_or_else(String::new, |changed| time(changed.at_us)),
            weight,
            said(changed.map(|changed| &changed.author)),
            said(changed.map(|changed| &changed.reason)),
            said(changed.and_then(|changed| changed.issue.as_ref())),
        ]
    });
    table::render(&["epoch", "change", "when", "weight", "author", "reason", "issue"], &rows.collect::<Vec<_>>())
}

/// A change in a few words.
fn done(action: &Action) -> String {
    match action {
        Action::SetWeight { weight } => format!("set {weight}"),
        Action::Kill => "kill".to_owned(),
        Action::Revive => "revive".to_owned(),
        Action::StartExperiment(experiment) => format!("start experiment {}", experiment.name),
        Action::EndExperiment { name } => format!("end experiment {name}"),
        Action::StartCanary(plan) => format!("start canary {}", plan.weight),
        Action::ResumeCanary => "resume canary".to_owned(),
        Action::AbortCanary => "abort canary".to_owned(),
        Action::FollowCanary { canary, .. } => format!("canary {}: {}", canary.plan().weight, canary.status()),
        other => format!("{other:?}").chars().take(40).collect(),
    }
}

fn time(at_us: u64) -> String {
    let at = i64::try_from(at_us).ok().and_then(|at| jiff::Timestamp::from_microsecond(at).ok());
    at.map_or_else(String::new, |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}
