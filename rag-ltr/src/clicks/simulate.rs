//! Clicks of simulated users over known relevance.

use super::log::{ClickLog, Impression, MAX_SHOWN, Shown};
use super::propensity::Propensities;
use crate::error::{Error, Result};
use crate::metrics::{Gain, Qrels, ScorePrecision, TrecRun};
use crate::random::SplitMix64;

/// A user of the position-based model, and how often it comes.
///
/// Each impression draws a query and a ranker, shows the ranker's first `cutoff` documents, looks at each place with its
/// propensity and clicks a document that it looks at with the chance [`Simulation::attraction`] of its grade.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub struct Simulation {
    /// How likely each place is looked at; the top always is. Values above 1 count as 1.
    pub propensities: Propensities,
    /// How often a document of grade 0 is clicked where it is looked at, 0 to 1; 0.1 unless told.
    pub noise: f64,
    /// The grade that is always clicked where it is looked at, 1 to 30; 4 unless told.
    pub top_grade: i32,
    /// How many documents are shown, 1 to [`MAX_SHOWN`]; 10 unless told.
    pub cutoff: usize,
    /// How many impressions there are.
    pub impressions: usize,
    /// Start of the random numbers, any. Equal ones give equal logs, on every machine.
    pub seed: u64,
}

impl Simulation {
    /// A user with these propensities, so many times.
    pub fn new(propensities: Propensities, impressions: usize) -> Simulation {
        Simulation { propensities, noise: 0.1, top_grade: 4, cutoff: 10, impressions, seed: 0 }
    }

    /// Sets how often a document of grade 0 is clicked.
    #[must_use]
    pub fn with_noise(self, noise: f64) -> Self {
        Simulation { noise, ..self }
    }

    /// Sets the grade that is always clicked.
    #[must_use]
    pub fn with_top_grade(self, top_grade: i32) -> Self {
        Simulation { top_grade, ..self }
    }

    /// Sets how many documents are shown.
    #[must_use]
    pub fn with_cutoff(self, cutoff: usize) -> Self {
        Simulation { cutoff, ..self }
    }

    /// Sets the start of the random numbers.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Simulation { seed, ..self }
    }

    /// The chance that a document of this grade is clicked where it is looked at: `noise + (1 − noise) · (2^grade − 1) /
    /// (2^top − 1)`, the relevance of expected reciprocal rank (Chapelle et al., CIKM 2009) with the noise of Ai et al.
    /// (SIGIR 2018).
    pub fn attraction(&self, grade: i32) -> f64 {
        let share = Gain::Exponential.of(grade.min(self.top_grade)) / Gain::Exponential.of(self.top_grade);
        self.noise + (1.0 - self.noise) * share
    }

    fn check(&self) -> Result<()> {
        let settings = [
            ("noise", self.noise, (0.0..=1.0).contains(&self.noise), "a chance from 0 to 1"),
            ("top_grade", self.top_grade.into(), (1..=30).contains(&self.top_grade), "a grade from 1 to 30"),
            ("cutoff", self.cutoff as f64, (1..=MAX_SHOWN).contains(&self.cutoff), "1 to 10,000"),
        ];
        match settings.into_iter().find(|&(_, _, sound, _)| !sound) {
            Some((name, value, _, range)) => Err(Error::Setting { name, value, range }),
            None => Ok(()),
        }
    }
}

/// Simulates a log of the rankers, each with its name, over the queries that have judgments and that all of them answer.
/// Documents without a judgment count as grade 0. Several rankers make interventions, which position bias can be
/// estimated from.
///
/// ```
/// use rag_ltr::clicks::{Propensities, simulate::{Simulation, simulate}};
/// use rag_ltr::trec::{read_qrels, read_run};
/// let qrels = read_qrels("moon 0 apollo 4\nmoon 0 tides 1\n")?;
/// let old = read_run("moon Q0 tides 1 2.0 old\nmoon Q0 apollo 2 1.0 old\n")?;
/// let users = Simulation::new(Propensities::power_law(1.0, 10)?, 1000);
/// let log = simulate(&qrels, &[("old", &old)], &users)?;
/// assert_eq!(log.len(), 1000);
/// assert!((600..760).contains(&log.clicks()), "{} of 1000 · (.1 + .9 / 15 + 1 / 2)", log.clicks());
/// # Ok::<(), rag_ltr::Error>(())
/// ```
///
/// # Errors
/// [`Error::Clicks`] where no query has judgments and documents of every ranker; [`Error::Setting`].
pub fn simulate(qrels: &Qrels, rankers: &[(&str, &TrecRun)], simulation: &Simulation) -> Result<ClickLog> {
    simulation.check()?;
    let answers = |query: &str| rankers.iter().all(|(_, run)| run.get(query).is_some_and(|run| !run.is_empty()));
    let queries: Vec<&str> = qrels.iter().map(|(query, _)| query).filter(|query| answers(query)).collect();
    if queries.is_empty() || rankers.is_empty() {
        let lack = "no query has judgments and an answer of every ranker";
        return Err(Error::Clicks(format!("a simulation: {lack}; give runs of judged queries")));
    }
    let shown_by = |run: &TrecRun, query: &str| -> Vec<(String, f64)> {
        let ranked = run.ranked(query, ScorePrecision::Double).into_iter().take(simulation.cutoff);
        let attraction = |document| simulation.attraction(qrels.grade(query, document).unwrap_or_default());
        ranked.map(|(document, _)| (document.to_owned(), attraction(document))).collect()
    };
    let rankings: Vec<Vec<Vec<(String, f64)>>> =
        rankers.iter().map(|(_, run)| queries.iter().map(|query| shown_by(run, query)).collect()).collect();
    let mut random = SplitMix64::new(simulation.seed);
    let mut log = ClickLog::new();
    for _ in 0..simulation.impressions {
        let (ranker, query) = (random.below(rankers.len()), random.below(queries.len()));
        let ranking = rankings.get(ranker).and_then(|rankings| rankings.get(query)).map_or(&[][..], Vec::as_slice);
        let shown = ranking.iter().zip(1..).map(|((document, attraction), rank)| {
            let looked_at = random.fraction() < simulation.propensities.at(rank);
            let attracted = random.fraction() < *attraction;
            Shown::new(document.as_str(), rank, looked_at && attracted)
        });
        let shown = shown.collect();
        let (Some(&query), Some(&(ranker, _))) = (queries.get(query), rankers.get(ranker)) else { continue };
        log.push(Impression::new(query, shown).with_ranker(ranker))?;
    }
    Ok(log)
}
