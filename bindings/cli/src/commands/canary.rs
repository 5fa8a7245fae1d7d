//! `rag canary`: a weight that earns its traffic step by step.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use rag_core::Error;
use rag_core::fusion::RampPlan;
use rag_core::gate::{Action, GateStatus};
use rag_runtime::gate::ToldStatus;

use super::gate::{Folder, Why, act, read};
use crate::ui::{Output, exit};

/// What is tried.
#[derive(Debug, Args)]
pub(crate) struct Tried {
    /// The weight to be tried, 0 to 1; all else by default.
    #[arg(long, required_unless_present = "plan")]
    weight: Option<f32>,
    /// A plan in JSON, as `rag canary plan` prints it; `-` for the standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "weight")]
    plan: Option<PathBuf>,
}

impl Tried {
    fn plan(&self) -> Result<RampPlan> {
        let plan = match (&self.plan, self.weight) {
            (Some(file), _) => read(file)?,
            (None, Some(weight)) => RampPlan::new(weight),
            (None, None) => return Err(Error::invalid("give `--weight` or `--plan`").into()),
        };
        plan.validate().map_err(|error| Error::invalid(error.to_string()).with_source(error))?;
        Ok(plan)
    }
}

/// What to do with the canary.
#[derive(Debug, Subcommand)]
pub(crate) enum CanaryCommand {
    /// Print a plan, checked, with all that it leaves to the defaults: to be read, changed and started.
    Plan {
        #[command(flatten)]
        tried: Tried,
    },
    /// Begin: engines that are running give the weight its first share of the traffic within a second, watch the guardrails,
    /// and promote it or roll it back.
    Start {
        #[command(flatten)]
        tried: Tried,
        #[command(flatten)]
        folder: Folder,
        #[command(flatten)]
        why: Why,
    },
    /// Where it stands, and what its guardrails have seen; at most ten seconds old.
    Status {
        #[command(flatten)]
        folder: Folder,
    },
    /// Give a paused canary the samples and the time of its step once more.
    Resume {
        #[command(flatten)]
        folder: Folder,
        #[command(flatten)]
        why: Why,
    },
    /// End it: nobody gets the weight any more.
    Abort {
        #[command(flatten)]
        folder: Folder,
        #[command(flatten)]
        why: Why,
    },
}

pub(crate) fn run(output: Output, command: &CanaryCommand) -> Result<u8> {
    match command {
        CanaryCommand::Plan { tried } => {
            let plan = tried.plan()?;
            let text = serde_json::to_string_pretty(&plan)?;
            output.answer(&plan, |_| text)?;
        }
        CanaryCommand::Start { tried, folder, why } => act(output, folder, why, Action::StartCanary(tried.plan()?))?,
        CanaryCommand::Status { folder } => {
            let status = folder.open()?.status()?;
            output.answer(&ToldStatus::of(&status), |_| show(&status))?;
        }
        CanaryCommand::Resume { folder, why } => act(output, folder, why, Action::ResumeCanary)?,
        CanaryCommand::Abort { folder, why } => act(output, folder, why, Action::AbortCanary)?,
    }
    Ok(exit::OK)
}

fn show(status: &GateStatus) -> String {
    let Some(canary) = &status.state.canary else { return "there is and was no canary".to_owned() };
    let plan = canary.plan();
    let steps: Vec<String> = plan.steps.iter().map(|share| format!("{} %", share * 100.0)).collect();
    let mut lines = vec![
        format!("{}: weight {}, {:.0} % of the traffic", canary.status(), plan.weight, canary.share() * 100.0),
        format!(
            "steps {}; at least {} requests of each arm and {} s each",
            steps.join(" → "),
            plan.min_samples,
            plan.min_seconds
        ),
    ];
    lines.extend(status.canary.iter().map(|reading| format!("  {reading}")));
    lines.join("\n")
}
