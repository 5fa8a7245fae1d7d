//! Clicks as labels, as scripting languages ask for them.

use std::collections::HashMap;
use std::path::Path;

use rag_core::features::{ClickCounts, FeatureLog};
use rag_core::ltr::clicks::{
    ClickLog, Counterfactual, Estimate, Estimation, Labelling, Propensities, Reward, click_lists, estimate_by_em,
    estimate_by_harvesting, evaluate as evaluate_on, history as history_of, read_log, to_training,
};
use rag_core::ltr::metrics::TrecRun;
use rag_core::{Error, Result};
use serde_json::{Value, json};

use crate::maps::ByQuery;

/// How propensities are estimated unless told.
pub const METHOD: &str = "harvesting";

/// What a ranking earns unless told.
pub const REWARD: &str = "clicks";

/// Reads a click log, JSON Lines as `docs/clicks.md` has them.
///
/// # Errors
/// `NotFound` and other failures of the disk; `InvalidArgument` naming the line and the field.
pub fn load(path: &Path) -> Result<ClickLog> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::io("read", path, error))?;
    Ok(read_log(&text)?)
}

/// How likely a document at each rank is looked at, relative to the first. `method`: `harvesting` of swaps between rankers, or
/// `em`. `ranks`: the last rank that is looked at; `monotone`: whether the values shall nowhere rise. `None`: as
/// [`Estimation`] has them.
///
/// # Errors
/// `InvalidArgument` for a log that says too little, and naming the argument.
pub fn propensities(log: &ClickLog, method: &str, ranks: Option<u32>, monotone: Option<bool>) -> Result<Vec<f64>> {
    let mut settings = Estimation::default().with_resampling(None);
    settings.ranks = ranks.unwrap_or(settings.ranks);
    settings.monotone = monotone.unwrap_or(settings.monotone);
    let estimated = match method {
        "harvesting" => estimate_by_harvesting(log, &settings),
        "em" => estimate_by_em(log, &settings),
        other => return Err(Error::invalid(format!("`method` is {other:?}; give \"harvesting\" or \"em\""))),
    };
    Ok(estimated?.propensities.values().to_vec())
}

/// The relevance of each document for each query in which it was shown: how often it is clicked when it is looked at, 0 to 1.
///
/// # Errors
/// `InvalidArgument` for a log without clicks, and naming the argument.
pub fn relevance(log: &ClickLog, propensities: &[f64]) -> Result<ByQuery<f64>> {
    let mut all = ByQuery::new();
    for label in to_training(log, &Propensities::new(propensities)?, &Labelling::default())? {
        let documents: &mut HashMap<String, f64> = all.entry(label.query).or_default();
        documents.insert(label.document, label.relevance);
    }
    Ok(all)
}

/// Rows of a training on clicks: the impressions with a click as groups of rows of a feature log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClickTraining {
    /// Which row of the log each row is.
    pub rows: Vec<usize>,
    /// 1 where the document was clicked.
    pub labels: Vec<f32>,
    /// Rows of each impression.
    pub groups: Vec<usize>,
    /// What each click stands for: one divided by the chance that the document was looked at.
    pub inverse_propensities: Vec<f32>,
}

/// The rows to train on ([`click_lists`]). What the feature log does not have is left out, and so are impressions of which it
/// has nothing clicked.
///
/// # Errors
/// `InvalidArgument` for a log without clicks, and naming the argument.
pub fn training(log: &ClickLog, features: &FeatureLog, propensities: &[f64]) -> Result<ClickTraining> {
    let row_of: HashMap<(&str, &str), usize> =
        features.iter().enumerate().map(|(row, (query, document, _))| ((query, document), row)).collect();
    let listed = click_lists(log, &Propensities::new(propensities)?, &Labelling::default())?;
    let mut made = ClickTraining::default();
    for impression in listed.chunk_by(|one, other| one.impression == other.impression) {
        let logged = impression.iter().filter_map(|row| Some((row, *row_of.get(&(row.query, row.document))?)));
        let logged: Vec<_> = logged.collect();
        if !logged.iter().any(|(row, _)| row.clicked) {
            continue;
        }
        made.groups.push(logged.len());
        for (row, number) in logged {
            made.rows.push(number);
            made.labels.push(f32::from(u8::from(row.clicked)));
            made.inverse_propensities.push(row.inverse_propensity as f32);
        }
    }
    Ok(made)
}

/// How often each document was shown and clicked, for [`rag_core::Engine::set_click_history`].
///
/// # Errors
/// None for a log that was read.
pub fn history(log: &ClickLog) -> Result<Vec<ClickCounts>> {
    let history = history_of(log, &Propensities::new(&[1.0])?, 0.0)?;
    let rows = history.documents();
    Ok(rows.map(|(id, counts)| ClickCounts::new(id, counts.impressions as u64, counts.clicks as u64)).collect())
}

/// What another ranking would have earned, on the log of the rankings that served: an object of the estimates (each with
/// `value`, `standard_error`, `low` and `high`) and of what to be wary of. `reward`: `clicks` or `dcg`, of the first `k`
/// documents; `clip`: the largest weight.
///
/// # Errors
/// `InvalidArgument` for a ranking or a log that says too little, and naming the argument.
pub fn evaluate(
    log: &ClickLog,
    run: &ByQuery<f64>,
    propensities: &[f64],
    reward: &str,
    k: Option<usize>,
    clip: Option<f64>,
) -> Result<Value> {
    let reward = match reward {
        "clicks" => Reward::Clicks { k },
        "dcg" => Reward::Dcg { k },
        other => return Err(Error::invalid(format!("`reward` is {other:?}; give \"clicks\" or \"dcg\""))),
    };
    let mut settings = Counterfactual::default().with_reward(reward);
    settings.clip = clip.unwrap_or(settings.clip);
    let mut ranking = TrecRun::new();
    for (query, documents) in run {
        ranking.insert_query(query, documents.iter().map(|(document, &score)| (document, score)))?;
    }
    let found = evaluate_on(log, &Propensities::new(propensities)?, &ranking, &settings)?;
    let told = |Estimate { value, standard_error, normal: (low, high), .. }: Estimate| json!({"value": value, "standard_error": standard_error, "low": low, "high": high});
    Ok(json!({
        "logged": told(found.logged), "ips": told(found.ips), "clipped_ips": told(found.clipped_ips),
        "snips": told(found.snips), "direct": told(found.direct), "doubly_robust": told(found.doubly_robust),
        "gain": told(found.gain), "impressions": found.impressions, "left_out": found.left_out,
        "effective_sample_size": found.effective_sample_size, "largest_weight": found.largest_weight,
        "coverage": found.coverage,
        "warnings": found.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
    }))
}
