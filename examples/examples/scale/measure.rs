//! Times and memory.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use rag_core::telemetry::{StageRecord, Telemetry};
use serde_json::{Value, json};

/// Adds up the time of each stage.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch(Mutex<BTreeMap<&'static str, Duration>>);

impl Stopwatch {
    pub(crate) fn add(&self, stage: &'static str, took: Duration) {
        if let Ok(mut sums) = self.0.lock() {
            *sums.entry(stage).or_default() += took;
        }
    }

    pub(crate) fn seconds(&self) -> Value {
        let sums = self.0.lock().map(|sums| sums.clone()).unwrap_or_default();
        sums.into_iter().map(|(stage, sum)| (stage.to_owned(), json!(sum.as_secs_f64()))).collect()
    }
}

impl Telemetry for Stopwatch {
    fn record(&self, record: &StageRecord) {
        self.add(record.stage.as_str(), record.duration);
    }
}

/// The least time that this share of the sorted `times` does not exceed.
pub(crate) fn percentile(times: &[Duration], share: f64) -> Duration {
    let rank = (times.len() as f64 * share).ceil() as usize;
    times.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// To the microsecond.
pub(crate) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// Time that the calling thread, which must be the first one, has had a processor; zero where the system does not say.
/// On a machine with other work to do it says more than the clock on the wall.
pub(crate) fn processor_time() -> Duration {
    let schedule = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    Duration::from_nanos(schedule.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}

/// The same of all threads together, in seconds.
pub(crate) fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name in brackets; user and system time are the 14th and 15th field of all, in hundredths.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// The most memory that the process has had so far; `null` where the system does not say.
pub(crate) fn peak_memory() -> Value {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kibibytes.map_or(Value::Null, |kibibytes| json!(kibibytes * 1024))
}

/// One line for each number.
#[allow(clippy::print_stdout)]
pub(crate) fn print_flat(name: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let dot = if name.is_empty() { "" } else { "." };
                print_flat(&format!("{name}{dot}{field}"), value);
            }
        }
        Value::Null => println!("{name:<40} not known"),
        Value::Number(bytes) if name.contains("bytes") => {
            println!("{name:<40} {:.1} MB", bytes.as_f64().unwrap_or_default() / 1e6);
        }
        Value::Number(number) if number.is_f64() => {
            println!("{name:<40} {:.3}", number.as_f64().unwrap_or_default());
        }
        other => println!("{name:<40} {other}"),
    }
}
