//! Times the training of LambdaMART, for `train_lambdamart.py`: `train_lambdamart FOLDER`, a folder with `rank.train`,
//! `rank.test` and their group files. For each line of JSON with parameters that it reads from its input it trains once and
//! answers with a line of JSON: the seconds, binning included, and the margins of the test rows.

use std::io::{BufRead, Write};
use std::ops::ControlFlow;
use std::time::Instant;

use anyhow::{Context, Result};
use rag_ltr::svmlight::{ReadOptions, Svmlight, read, read_groups};
use rag_ltr::train::{Dataset, LambdaMart, lambdamart};

/// LightGBM takes the numbers of columns as they are, so that column 0 is empty.
const COLUMNS: ReadOptions = ReadOptions { first_column: 0, columns: Some(301), max_values: 1 << 28 };

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).context("give FOLDER")?;
    let load = |name: &str| -> Result<Svmlight> {
        let mut data = read(&std::fs::read_to_string(format!("{folder}/{name}"))?, COLUMNS)?;
        data.groups = read_groups(&std::fs::read_to_string(format!("{folder}/{name}.query"))?)?;
        Ok(data)
    };
    let (train, test) = (load("rank.train")?, load("rank.test")?);
    let dataset = Dataset::new(train.rows()?, &train.labels, &train.groups);
    let mut out = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let parameters: LambdaMart = serde_json::from_str(&line?)?;
        let begin = Instant::now();
        let trained = lambdamart(&dataset, None, &parameters, &mut |_| ControlFlow::Continue(()))?;
        let seconds = begin.elapsed().as_secs_f64();
        let margins = trained.ensemble.margins(test.rows()?)?;
        writeln!(out, "{}", serde_json::json!({ "seconds": seconds, "margins": margins }))?;
        out.flush()?;
    }
    Ok(())
}
