//! A process that serves a canary is killed with SIGKILL again and again; the next one goes on where it was.
//!
//! The test executes itself again as the process that is killed.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rag_core::config::GateConfig;
use rag_core::fusion::{CanaryStatus, Guardrail, Margin, Metric, Observation, RampPlan};
use rag_core::gate::{Action, Change, GateStatus, LiveGate};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// The folder, and the number of the first user of the process that is killed.
const ORDERS: &str = "RAG_CORE_GATE_ORDERS";
/// Users of one process; nobody comes twice.
const USERS: u64 = 1_000_000;

fn open(folder: &Path) -> LiveGate {
    LiveGate::open(folder, &GateConfig::default()).unwrap()
}

/// Serves until it is killed, or the canary ends.
#[test]
fn a_process_that_nobody_kills_serves_the_canary_to_its_end() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let (first, folder) = orders.split_once(' ').unwrap();
    let first: u64 = first.parse().unwrap();
    let gate = open(Path::new(folder));
    for user in first..first + USERS {
        let assigned = gate.assign(Some(&user.to_string()), "q");
        let Some(token) = assigned.canary() else { return };
        let seen = Observation { error: user % 100 == 0, ..Observation::new(token.arm) };
        gate.observe(token, &seen).unwrap();
        if user % 50 == 0 {
            gate.tick().unwrap();
            std::thread::sleep(Duration::from_millis(3));
        }
    }
}

fn requests(status: &GateStatus) -> u64 {
    status.canary.iter().map(|reading| reading.control.n + reading.candidate.n).sum()
}

#[test]
fn a_canary_that_is_killed_in_the_middle_of_its_ramp_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let guardrails = vec![Guardrail { metric: Metric::ErrorRate, margin: Margin::Absolute(0.05) }];
    let plan = RampPlan { guardrails, min_samples: 300, min_seconds: 0, ..RampPlan::new(0.8) };
    open(folder.path()).change(Action::StartCanary(plan), Change::new("ann", "try it"), None).unwrap();
    let mut random = SmallRng::seed_from_u64(7);
    let (mut kills, mut shares, mut before) = (0, vec![0.1], open(folder.path()).status().unwrap());
    for process in 0..400_u64 {
        let orders = format!("{} {}", process * USERS, folder.path().display());
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_process_that_nobody_kills_serves_the_canary_to_its_end"])
            .env(ORDERS, orders)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(random.random_range(0..400)));
        child.kill().unwrap();
        kills += u64::from(!child.wait().unwrap().success());

        let gate = open(folder.path());
        let status = gate.status().unwrap();
        let epochs: Vec<u64> = gate.records().unwrap().iter().map(|record| record.state.epoch).collect();
        assert_eq!(epochs, (1..=epochs.len() as u64).collect::<Vec<_>>(), "no record is lost or comes twice");
        assert!(status.state.epoch >= before.state.epoch, "what was decided stays");
        assert!(requests(&status) >= requests(&before), "what was saved stays");
        let canary = status.state.canary.as_ref().unwrap();
        if shares.last() != Some(&canary.share()) {
            shares.push(canary.share());
        }
        before = status.clone();
        if canary.status() != CanaryStatus::Running {
            break;
        }
    }
    let canary = before.state.canary.as_ref().unwrap();
    assert_eq!((canary.status(), before.state.weight), (CanaryStatus::Complete, Some(0.8)), "after {kills} kills");
    // A process may be promoted more than once before it is killed.
    assert!(shares.windows(2).all(|pair| pair[0] < pair[1]), "{shares:?}");
    assert!(kills >= 3, "{kills} kills");
}
