//! What a new ranking would have earned, from the clicks on another.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::counts::{check_clip, check_strength};
use super::direct::DirectModel;
use super::interval::{Estimate, Quantity, Sums, estimates};
use super::log::{ClickLog, MAX_RANK};
use super::propensity::Propensities;
use crate::error::{Error, Result};
use crate::metrics::{ScorePrecision, TrecRun, discount};
use crate::significance::Resampling;

/// What a ranking earns for an attractive document at a rank, with an optional cutoff.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reward {
    /// The propensity of the rank: the sum is the expected number of clicks.
    Clicks {
        /// Documents below earn nothing; `None`: there is no such rank.
        k: Option<usize>,
    },
    /// `1 / log2(1 + rank)`: the sum is the discounted cumulative gain of the attractions.
    Dcg {
        /// Documents below earn nothing; `None`: there is no such rank.
        k: Option<usize>,
    },
}

impl Reward {
    fn cutoff(self) -> usize {
        let (Reward::Clicks { k } | Reward::Dcg { k }) = self;
        k.unwrap_or(usize::MAX)
    }

    fn at(self, rank: usize, propensities: &Propensities) -> f64 {
        match self {
            _ if rank > self.cutoff() => 0.0,
            Reward::Clicks { .. } => propensities.at(rank.min(MAX_RANK as usize) as u32),
            Reward::Dcg { .. } => discount(rank),
        }
    }
}

/// How a new ranking is evaluated.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counterfactual {
    /// What it earns; expected clicks unless told.
    pub reward: Reward,
    /// The largest `1 / propensity` of all estimates but `ips`, from 1 on; 100 unless told.
    pub clip: f64,
    /// How many impressions the mean attraction of the log is worth in the direct model, from 0 on; 1 unless told.
    pub strength: f64,
    /// In how many parts the log is cut, 2 to 20; 5 unless told. The direct model of a part is made from the others, so
    /// that no click predicts itself.
    pub folds: usize,
    /// How intervals are made: 1,000 samples unless told.
    pub resampling: Resampling,
}

impl Default for Counterfactual {
    fn default() -> Self {
        Counterfactual {
            reward: Reward::Clicks { k: None },
            clip: 100.0,
            strength: 1.0,
            folds: 5,
            resampling: Resampling::default().with_samples(1000),
        }
    }
}

impl Counterfactual {
    /// Sets what a ranking earns.
    #[must_use]
    pub fn with_reward(self, reward: Reward) -> Self {
        Counterfactual { reward, ..self }
    }

    /// Sets the largest weight.
    #[must_use]
    pub fn with_clip(self, clip: f64) -> Self {
        Counterfactual { clip, ..self }
    }

    /// Sets how many impressions the mean is worth.
    #[must_use]
    pub fn with_strength(self, strength: f64) -> Self {
        Counterfactual { strength, ..self }
    }

    /// Sets the number of parts.
    #[must_use]
    pub fn with_folds(self, folds: usize) -> Self {
        Counterfactual { folds, ..self }
    }

    /// Sets how intervals are made.
    #[must_use]
    pub fn with_resampling(self, resampling: Resampling) -> Self {
        Counterfactual { resampling, ..self }
    }

    fn check(&self) -> Result<()> {
        check_clip(self.clip)?;
        check_strength(self.strength)?;
        if !(2..=20).contains(&self.folds) {
            return Err(Error::Setting { name: "folds", value: self.folds as f64, range: "2 to 20" });
        }
        self.resampling.check()
    }
}

/// What a new ranking would have earned for each impression, as several estimators see it.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub struct CounterfactualEvaluation {
    /// What the logged rankings earned themselves, by inverse propensities. For the reward of clicks without a cutoff
    /// those are the clicks that were counted, unless the log states propensities of its own.
    pub logged: Estimate,
    /// Inverse propensity scores (Horvitz & Thompson 1952; Joachims, Swaminathan & Schnabel, WSDM 2017; the estimator by
    /// the position-based model of Li et al., KDD 2018): `Σ click · reward(new rank) / propensity(logged rank)`. Unbiased
    /// where every document that the new ranking shows was shown in every impression; what was not shown counts 0.
    pub ips: Estimate,
    /// The same with clipped weights: never above `ips`, with less variance.
    pub clipped_ips: Estimate,
    /// `clipped_ips` divided by the share of the reward that its weights account for (self-normalisation; Swaminathan &
    /// Joachims, NeurIPS 2015): as if what was not shown or was clipped away were as attractive as the rest.
    pub snips: Estimate,
    /// The direct model alone: each document's attraction, shrunk towards the mean of the log.
    pub direct: Estimate,
    /// The direct model, corrected by the clipped inverse propensity scores of what it got wrong (Dudík, Langford & Li,
    /// ICML 2011; Oosterhuis, TOIS 2023 for position bias). Right where the propensities are, or where the model is right
    /// on what was not shown.
    pub doubly_robust: Estimate,
    /// `doubly_robust − logged`, impression by impression: above 0, the new ranking is better.
    pub gain: Estimate,
    /// Impressions of queries that the new ranking answers.
    pub impressions: usize,
    /// Impressions of the others; they are left out.
    pub left_out: usize,
    /// `(Σ weight)² / Σ weight²` over the shown documents that the new ranking shows too (Kish 1965): so many documents
    /// of equal weights say as much.
    pub effective_sample_size: f64,
    /// How many documents that is the size of.
    pub weighted_documents: usize,
    /// The largest weight, `reward(new rank) / propensity(logged rank)`.
    pub largest_weight: f64,
    /// The share of the new ranking's reward that documents have which the impressions did show, 0 to 1.
    pub coverage: f64,
    /// What to be wary of.
    pub warnings: Vec<Warning>,
}

/// What makes an evaluation doubtful.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Warning {
    /// Fewer than a tenth of the weighted documents, or than 100, count in effect.
    FewEffective {
        /// The effective sample size.
        effective: f64,
    },
    /// One document has a hundredth of all weight or more.
    ExtremeWeight {
        /// Its share.
        share: f64,
    },
    /// More than a tenth of the new ranking's reward is on documents that the impressions did not show.
    Uncovered {
        /// The share.
        share: f64,
    },
    /// Clipping takes more than a tenth off.
    Clipped {
        /// The share that it takes.
        share: f64,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::FewEffective { effective } => write!(
                formatter,
                "the weighted documents say as much as {effective:.0} of equal weights; log more impressions or clip lower"
            ),
            Warning::ExtremeWeight { share } => {
                write!(formatter, "one document has {:.1} % of all weight; clip lower", share * 100.0)
            }
            Warning::Uncovered { share } => write!(
                formatter,
                "{:.1} % of the new ranking's reward is on documents that were not shown; ips counts them 0, look at \
                 doubly_robust, or log a ranker that shows them",
                share * 100.0
            ),
            Warning::Clipped { share } => {
                write!(formatter, "clipping takes {:.1} % off ips; allow larger weights", share * 100.0)
            }
        }
    }
}

/// The sums of one session.
mod sum {
    pub(super) const IMPRESSIONS: usize = 0;
    pub(super) const LOGGED: usize = 1;
    pub(super) const IPS: usize = 2;
    pub(super) const CLIPPED: usize = 3;
    /// The reward that the clipped weights account for.
    pub(super) const ACCOUNTED: usize = 4;
    /// The reward of all places of the new ranking.
    pub(super) const REWARD: usize = 5;
    pub(super) const DIRECT: usize = 6;
    /// What the direct model got wrong, weighted.
    pub(super) const CORRECTION: usize = 7;
    pub(super) const COUNT: usize = 8;
}

/// Evaluates a new ranking on a log that other rankings made. Documents of equal scores rank as [`TrecRun::ranked`] has
/// them.
///
/// Under the position-based model a click says `attraction · propensity[logged rank]`, so a click divided by the propensity
/// of where it was made, times the reward of where the new ranking has the document, is in expectation what the document
/// would earn there. Values are means over the impressions.
///
/// ```
/// use rag_ltr::clicks::{Counterfactual, Propensities, evaluate, simulate::{Simulation, simulate}};
/// use rag_ltr::trec::{read_qrels, read_run};
/// let qrels = read_qrels("moon 0 apollo 4\nmoon 0 tides 0\n")?;
/// let old = read_run("moon Q0 tides 1 2.0 old\nmoon Q0 apollo 2 1.0 old\n")?;
/// let new = read_run("moon Q0 apollo 1 2.0 new\nmoon Q0 tides 2 1.0 new\n")?;
/// let propensities = Propensities::new(&[1.0, 0.5])?;
/// let users = Simulation::new(propensities.clone(), 2000).with_noise(0.0);
/// let log = simulate(&qrels, &[("old", &old)], &users)?;
/// // The old ranking gets a click every second time, the new one would get one every time.
/// let evaluation = evaluate(&log, &propensities, &new, &Counterfactual::default())?;
/// assert!((evaluation.logged.value - 0.5).abs() < 0.05 && (evaluation.ips.value - 1.0).abs() < 0.1);
/// assert!(evaluation.gain.normal.0 > 0.0 && evaluation.warnings.is_empty());
/// # Ok::<(), rag_ltr::Error>(())
/// ```
///
/// # Errors
/// [`Error::Clicks`] where fewer than two sessions are of queries that the new ranking answers, or nothing that it ranks
/// was shown; [`Error::Setting`].
pub fn evaluate(
    log: &ClickLog,
    propensities: &Propensities,
    ranking: &TrecRun,
    settings: &Counterfactual,
) -> Result<CounterfactualEvaluation> {
    settings.check()?;
    let new = NewRanking::of(log, ranking, propensities, settings.reward);
    let (unit_of, count) = log.units();
    let direct = DirectModel::of(log, propensities, settings.folds, settings.strength, &unit_of);
    let mut units: Vec<Sums<{ sum::COUNT }>> = vec![[0.0; sum::COUNT]; count];
    let mut weights = Weights::default();
    let mut worth: HashMap<(&str, usize), f64> = HashMap::new();
    for (impression, &unit) in log.iter().zip(&unit_of) {
        let query = impression.query.as_str();
        let (Some(new), Some(sums)) = (new.queries.get(query), units.get_mut(unit)) else { continue };
        let fold = unit % settings.folds;
        let worth = worth.entry((query, fold)).or_insert_with(|| {
            new.rewards.iter().map(|(document, reward)| reward * direct.attraction(query, document, fold)).sum()
        });
        sums[sum::IMPRESSIONS] += 1.0;
        sums[sum::REWARD] += new.total;
        sums[sum::DIRECT] += *worth;
        for shown in &impression.shown {
            let propensity = propensities.of(shown);
            let click = f64::from(u8::from(shown.clicked));
            sums[sum::LOGGED] += click * settings.reward.at(shown.rank as usize, propensities) / propensity;
            let Some(&reward) = new.rewards.get(shown.document.as_str()).filter(|&&reward| reward > 0.0) else {
                continue;
            };
            let (weight, clipped) = (reward / propensity, reward * (1.0 / propensity).min(settings.clip));
            weights.add(weight, reward);
            let expected = propensity * direct.attraction(query, &shown.document, fold);
            sums[sum::IPS] += click * weight;
            sums[sum::CLIPPED] += click * clipped;
            sums[sum::ACCOUNTED] += clipped * propensity;
            sums[sum::CORRECTION] += clipped * (click - expected);
        }
    }
    units.retain(|unit| unit[sum::IMPRESSIONS] > 0.0);
    if units.len() < 2 {
        let lack =
            "fewer than two sessions are of queries that the new ranking answers; give its run the log's queries";
        return Err(Error::Clicks(format!("what the new ranking earns: {lack}")));
    }
    if weights.count == 0 {
        let lack = "no document of the new ranking was shown to its query; log a ranker that shows some";
        return Err(Error::Clicks(format!("what the new ranking earns: {lack}")));
    }
    Ok(summary(&units, &weights, log, settings))
}

fn summary(
    units: &[Sums<{ sum::COUNT }>],
    weights: &Weights,
    log: &ClickLog,
    settings: &Counterfactual,
) -> CounterfactualEvaluation {
    let clipped = [(sum::CLIPPED, 1.0)];
    let direct = [(sum::DIRECT, 1.0)];
    let doubly_robust = [(sum::DIRECT, 1.0), (sum::CORRECTION, 1.0)];
    let gain = [(sum::DIRECT, 1.0), (sum::CORRECTION, 1.0), (sum::LOGGED, -1.0)];
    let quantities = [
        mean_of(&[(sum::LOGGED, 1.0)]),
        mean_of(&[(sum::IPS, 1.0)]),
        mean_of(&clipped),
        Quantity { times: Some((sum::REWARD, sum::ACCOUNTED)), ..mean_of(&clipped) },
        mean_of(&direct),
        mean_of(&doubly_robust),
        mean_of(&gain),
    ];
    let mut found = estimates(units, &quantities, settings.resampling).into_iter();
    let mut next = || found.next().unwrap_or(Estimate::NONE);
    let total = |which: usize| units.iter().filter_map(|unit| unit.get(which)).sum::<f64>();
    let impressions = total(sum::IMPRESSIONS) as usize;
    let mut evaluation = CounterfactualEvaluation {
        logged: next(),
        ips: next(),
        clipped_ips: next(),
        snips: next(),
        direct: next(),
        doubly_robust: next(),
        gain: next(),
        impressions,
        left_out: log.len() - impressions,
        effective_sample_size: weights.effective(),
        weighted_documents: weights.count,
        largest_weight: weights.largest,
        coverage: ratio(weights.reward, total(sum::REWARD)).min(1.0),
        warnings: Vec::new(),
    };
    evaluation.warnings = warnings(&evaluation, weights);
    evaluation
}

fn warnings(evaluation: &CounterfactualEvaluation, weights: &Weights) -> Vec<Warning> {
    let effective = evaluation.effective_sample_size;
    let share = ratio(1.0, weights.sum);
    let uncovered = 1.0 - evaluation.coverage;
    let clipped = 1.0 - ratio(evaluation.clipped_ips.value, evaluation.ips.value);
    let is_clipped = evaluation.ips.value > 0.0 && clipped > 0.1;
    let few = effective < 100.0 || effective < 0.1 * weights.count as f64;
    let warnings = [
        few.then_some(Warning::FewEffective { effective }),
        (share >= 0.01).then_some(Warning::ExtremeWeight { share }),
        (uncovered > 0.1).then_some(Warning::Uncovered { share: uncovered }),
        is_clipped.then_some(Warning::Clipped { share: clipped }),
    ];
    warnings.into_iter().flatten().collect()
}

/// The mean over the impressions of a combination of sums.
fn mean_of(terms: &[(usize, f64)]) -> Quantity<{ sum::COUNT }> {
    let mut quantity = Quantity { terms: [0.0; sum::COUNT], over: sum::IMPRESSIONS, times: None };
    for &(which, factor) in terms {
        quantity.terms[which] = factor;
    }
    quantity
}

/// What the new ranking earns for each document of each query of the log.
struct NewRanking<'a> {
    queries: HashMap<&'a str, NewList<'a>>,
}

struct NewList<'a> {
    rewards: BTreeMap<&'a str, f64>,
    /// Their sum.
    total: f64,
}

impl<'a> NewRanking<'a> {
    fn of(log: &'a ClickLog, ranking: &'a TrecRun, propensities: &Propensities, reward: Reward) -> NewRanking<'a> {
        let mut queries = HashMap::new();
        for query in log.iter().map(|impression| impression.query.as_str()) {
            if ranking.get(query).is_none() || queries.contains_key(query) {
                continue;
            }
            let ranked = ranking.ranked(query, ScorePrecision::Double).into_iter().take(reward.cutoff());
            let rewards: BTreeMap<&str, f64> =
                ranked.zip(1..).map(|((document, _), rank)| (document, reward.at(rank, propensities))).collect();
            queries.insert(query, NewList { total: rewards.values().sum(), rewards });
        }
        NewRanking { queries }
    }
}

/// The weights of the shown documents that the new ranking shows too. Sums are in units of the largest weight, so that
/// they stay in the range of numbers.
#[derive(Default)]
struct Weights {
    count: usize,
    largest: f64,
    sum: f64,
    squares: f64,
    /// The reward of their new ranks.
    reward: f64,
}

impl Weights {
    fn add(&mut self, weight: f64, reward: f64) {
        let weight = weight.min(f64::MAX);
        if weight > self.largest {
            let shrink = self.largest / weight;
            self.sum *= shrink;
            self.squares *= shrink * shrink;
            self.largest = weight;
        }
        let share = weight / self.largest;
        self.count += 1;
        self.sum += share;
        self.squares += share * share;
        self.reward += reward;
    }

    fn effective(&self) -> f64 {
        ratio(self.sum * self.sum, self.squares)
    }
}

/// 0 where there is nothing to divide by.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
