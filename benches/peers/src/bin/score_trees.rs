//! Times the scoring of rows, for `score_trees.py`: `score_trees MODEL ROWS COLUMNS`, rows as 32-bit floats. For each
//! number of rows a call that it reads from its input it scores all rows once and answers with nanoseconds a row.

use std::hint::black_box;
use std::io::{BufRead, Write};
use std::time::Instant;

use anyhow::{Context, Result};
use rag_ltr::Rows;
use rag_ltr::model::Ensemble;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, model, rows, columns] = &arguments[..] else { anyhow::bail!("give MODEL ROWS COLUMNS") };
    let begin = Instant::now();
    let ensemble = Ensemble::checked(serde_json::from_slice(&std::fs::read(model)?)?)?;
    let loaded = begin.elapsed();
    let bytes = std::fs::read(rows)?;
    let floats: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let rows = Rows::new(&floats, columns.parse().context("COLUMNS")?)?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", loaded.as_nanos())?;
    for line in std::io::stdin().lock().lines() {
        let batch: usize = line?.trim().parse().context("rows a call")?;
        let begin = Instant::now();
        for start in (0..rows.len()).step_by(batch) {
            black_box(ensemble.margins(rows.slice(start..rows.len().min(start + batch)))?);
        }
        writeln!(out, "{}", begin.elapsed().as_nanos() as f64 / rows.len() as f64)?;
        out.flush()?;
    }
    Ok(())
}
