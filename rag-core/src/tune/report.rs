//! What a tuning found.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::FusionChoice;

/// A ranking and its mean over the queries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Named {
    /// `lexical`, `dense`, `rrf` (k 60, both runs alike), `in use`, `tuned`.
    pub name: String,
    /// Mean of the metric.
    pub mean: f64,
}

/// A ranking compared with another one, query by query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The other one.
    pub against: String,
    /// Mean of this one minus that of the other.
    pub difference: f64,
    /// The interval of the mean difference that has 95 % (paired bootstrap).
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Two-sided p of the paired randomisation test.
    pub p: f64,
}

/// One formula at the weight that suits it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FormulaReport {
    /// The formula with the weight that all queries chose.
    pub choice: FusionChoice,
    /// Mean over queries that had no part in the choice of their weight.
    pub held_out: f64,
    /// Mean of all queries at `choice`: it was chosen with these, so it promises too much.
    pub best: f64,
}

/// A weight of the dense run and what it gives.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// The weight.
    pub dense_weight: f64,
    /// Mean over all queries.
    pub mean: f64,
}

/// What a weight for each query would give, in the place of one for all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdaptiveReport {
    /// The formula whose weight is adapted.
    pub formula: String,
    /// Mean over queries that had no part in the fit; the formula was chosen with all of them.
    pub held_out: f64,
    /// Queries that were given another weight than the one for all.
    pub moved: usize,
    /// The least predicted gain for which a query leaves the one weight; none: the features do not say enough.
    pub margin: Option<f64>,
    /// Against one weight for all, chosen with the same queries.
    pub global: Comparison,
    /// Against what was tuned.
    pub tuned: Comparison,
}

/// What a tuning found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TuneReport {
    /// What was measured.
    pub metric: String,
    /// Judged queries.
    pub queries: usize,
    /// Parts, each held out once.
    pub folds: usize,
    /// What the parts follow from.
    pub seed: u64,
    /// Relevant documents that were judged, counted for each query.
    pub relevant: usize,
    /// Those of them that the folder does not have: they count as never found.
    pub missing: usize,
    /// Whether there were so few queries that the configuration in use is kept where the judgments do not speak against it.
    pub few_queries: bool,
    /// The fusion to use, chosen with all queries.
    pub chosen: FusionChoice,
    /// Its mean over all queries: it was chosen with these, so it promises too much.
    pub chosen_mean: f64,
    /// What the procedure gives for queries that it has not seen: the figure to report.
    pub held_out: Named,
    /// What each fold would have chosen.
    pub of_folds: Vec<FusionChoice>,
    /// The fusion of the engine's configuration.
    pub in_use: FusionChoice,
    /// Each retriever alone, reciprocal rank fusion, and the configuration in use.
    pub baselines: Vec<Named>,
    /// `held_out` against each of them.
    pub comparisons: Vec<Comparison>,
    /// Each formula, best first.
    pub formulas: Vec<FormulaReport>,
    /// The weights of the chosen formula.
    pub curve: Vec<CurvePoint>,
    /// A weight for each query.
    pub adaptive: Option<AdaptiveReport>,
}

impl TuneReport {
    /// Whether the fusion to use is the one in use: no other was clearly better.
    pub fn keeps(&self) -> bool {
        self.chosen == self.in_use
    }

    /// The chosen fusion as a piece of the configuration file, with where it comes from in comments. `about`: the data, the
    /// model, the date, in a line.
    pub fn to_toml(&self, about: &str) -> String {
        let FusionChoice { method, normalization, k, sigma, gamma, phi, dense_weight, .. } = &self.chosen;
        let mut text = String::new();
        let mut line = |line: String| {
            text.push_str(&line);
            text.push('\n');
        };
        line(format!("# Chosen by tuning on {} judged queries: {}", self.queries, about.replace(['\n', '\r'], " ")));
        if self.keeps() {
            // What the procedure gives with other choices in its folds says nothing of this one.
            line("# What was in use stays: nothing was clearly better.".to_owned());
            line(format!("# {}: {:.4} over all of them.", self.metric, self.chosen_mean));
        } else {
            let TuneReport { metric, folds, seed, held_out, .. } = self;
            line(format!("# {metric}, {folds} folds, seed {seed}: {:.4} on queries held out.", held_out.mean));
            for Comparison { against, difference, low, high, p } in &self.comparisons {
                line(format!("# {difference:+.4} against {against} (95 %: {low:+.4} to {high:+.4}; p {p:.4})"));
            }
        }
        line("[engine.fusion]".to_owned());
        line(format!("method = {method:?}"));
        line(format!("normalization = {normalization:?}"));
        for (name, value) in [("k", k), ("sigma", sigma), ("gamma", gamma), ("phi", phi)] {
            if let Some(value) = value {
                line(format!("{name} = {value:?}"));
            }
        }
        let _ = writeln!(text, "dense_weight = {dense_weight:?}");
        text
    }
}
