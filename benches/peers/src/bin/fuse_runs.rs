//! Times the fusion of runs, for `fuse_runs.py`: `fuse_runs RUNS`, a JSON list of queries, each a list of runs, each a list of
//! [id, score], best first. For each line `METHOD NORMALIZATION` that it reads from its input it fuses all queries once, with
//! ids that are numbers and with ids that are strings, and answers with microseconds a query of both, and the sum of all
//! scores.

use std::hash::Hash;
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::time::Instant;

use anyhow::{Context, Result};
use rag_fusion::{Method, Normalization, Parameters, Run, Weighted, fuse};

fn main() -> Result<()> {
    let path = std::env::args().nth(1).context("give RUNS")?;
    let queries: Vec<Vec<Vec<(String, f64)>>> = serde_json::from_slice(&std::fs::read(path)?)?;
    let number = |id: &str| id.trim_start_matches('d').parse::<u64>();
    let strings = runs(&queries, |id| Ok(id.to_owned()))?;
    let numbers = runs(&queries, |id| Ok(number(id)?))?;
    let mut out = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (method, normalization) = line.split_once(' ').context("give METHOD NORMALIZATION")?;
        let method = Method::from_name(method, Parameters::default())?;
        let normalization = Normalization::from_name(normalization).context("unknown normalisation")?;
        let (of_numbers, sum) = timed(&numbers, &method, &normalization)?;
        let (of_strings, _) = timed(&strings, &method, &normalization)?;
        writeln!(out, "{of_numbers} {of_strings} {sum}")?;
        out.flush()?;
    }
    Ok(())
}

fn runs<Id: Eq + Hash + Ord>(
    queries: &[Vec<Vec<(String, f64)>>],
    id: impl Fn(&str) -> Result<Id>,
) -> Result<Vec<Vec<Run<Id>>>> {
    let run = |hits: &Vec<(String, f64)>| -> Result<Run<Id>> {
        let hits: Vec<(Id, f64)> = hits.iter().map(|(name, score)| Ok((id(name)?, *score))).collect::<Result<_>>()?;
        Ok(Run::new("run", hits)?)
    };
    queries.iter().map(|query| query.iter().map(run).collect()).collect()
}

/// Microseconds a query, and the sum of all scores.
fn timed<Id: Clone + Eq + Hash + Ord>(
    queries: &[Vec<Run<Id>>],
    method: &Method,
    normalization: &Normalization,
) -> Result<(f64, f64)> {
    let mut sum = 0.0;
    let begin = Instant::now();
    for runs in queries {
        let weighted: Vec<Weighted<'_, Id>> =
            runs.iter().zip([0.2, 0.5, 0.3]).map(|(run, weight)| Weighted::new(run, weight)).collect();
        let fused = black_box(fuse(&weighted, method, normalization, usize::MAX)?);
        sum += fused.hits().iter().map(|hit| hit.score).sum::<f64>();
    }
    Ok((begin.elapsed().as_nanos() as f64 / 1e3 / queries.len() as f64, sum))
}
