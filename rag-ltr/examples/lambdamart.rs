//! Trains LambdaMART from svmlight files and says how good it is and how long it took.
//!
//! `cargo run --release -p rag-ltr --example lambdamart -- train.txt train.group test.txt test.group '{"num_trees": 500}'`
//!
//! The parameters are JSON, with LightGBM's names. The answer is one line of JSON: seconds of each repetition (`REPEAT`
//! follows the parameters; 1 where it is missing), and the scores of the test rows.

use std::error::Error;
use std::io::Write;
use std::ops::ControlFlow;
use std::time::Instant;

use rag_ltr::svmlight::{ReadOptions, Svmlight, read, read_groups};
use rag_ltr::train::{Dataset, LambdaMart, lambdamart};

/// LightGBM counts columns as the file numbers them, from 0 on; these files have none above 300.
const COLUMNS: ReadOptions = ReadOptions { first_column: 0, columns: Some(301), max_values: 1 << 28 };

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rows, groups, test_rows, test_groups, parameters, rest @ ..] = arguments.as_slice() else {
        return Err("give: rows, groups, test rows, test groups, parameters as JSON [, repetitions]".into());
    };
    let (train, test) = (load(rows, groups)?, load(test_rows, test_groups)?);
    let parameters: LambdaMart = serde_json::from_str(parameters)?;
    let dataset = Dataset::new(train.rows()?, &train.labels, &train.groups);
    let mut seconds = Vec::new();
    let mut scores = Vec::new();
    for _ in 0..rest.first().map_or(Ok(1), |repeat| repeat.parse::<usize>())? {
        let start = Instant::now();
        let trained = lambdamart(&dataset, None, &parameters, &mut |_| ControlFlow::Continue(()))?;
        seconds.push(start.elapsed().as_secs_f64());
        scores = trained.ensemble.margins(test.rows()?)?;
    }
    let answer = serde_json::json!({ "seconds": seconds, "scores": scores });
    writeln!(std::io::stdout(), "{answer}")?;
    Ok(())
}

fn load(rows: &str, groups: &str) -> Result<Svmlight, Box<dyn Error>> {
    let mut data = read(&std::fs::read_to_string(rows)?, COLUMNS)?;
    data.groups = read_groups(&std::fs::read_to_string(groups)?)?;
    Ok(data)
}
