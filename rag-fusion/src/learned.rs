//! Methods that learn from judgments how far each run can be trusted at each rank.
//!
//! Each function takes, for each run, its answers to the training queries; [`fuse`](crate::fuse) is then given the runs in
//! the same order.

use crate::error::{Error, Result};
use crate::method::Method;

/// The answer of a run to a judged query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// For each rank, whether the document there is relevant.
    pub hits: Vec<bool>,
    /// Relevant documents that there are, found or not.
    pub relevant: usize,
}

/// Ends of the segments of Bayes-fuse.
const BAYES_ENDS: [usize; 9] = [5, 10, 15, 20, 30, 100, 200, 500, 1000];
/// Log-odds where nothing is known: of 0.001.
pub(crate) const LEAST_ODDS: f64 = 0.001 / 0.999;
/// Most segments of Prob-fuse: those beyond the longest answer say nothing.
const MAX_SEGMENTS: usize = 10_000;
/// Segments of Seg-fuse.
const SEGMENTS: u32 = 10;

/// Learns [`Method::BayesFuse`]: the log-odds of the mean precision in ranks 1–5, 6–10, 11–15, 16–20, 21–30, 31–100, 101–200,
/// 201–500 and 501–1000. A precision of 0 counts as 0.001, and so does what is left of one of 1.
///
/// # Errors
/// [`Error::Training`] without runs or queries.
pub fn bayes_fuse(runs: &[Vec<Judged>]) -> Result<Method> {
    check(runs)?;
    let log_odds = |answers: &Vec<Judged>| {
        let mut odds = Vec::with_capacity(BAYES_ENDS[BAYES_ENDS.len() - 1]);
        for end in BAYES_ENDS {
            let size = end - odds.len();
            let precision = mean(answers, |answer| hits_within(answer, odds.len()..end) / size as f64);
            let precision = if precision == 0.0 { 0.001 } else { precision };
            let rest = if precision == 1.0 { 0.001 } else { 1.0 - precision };
            odds.resize(end, (precision / rest).ln());
        }
        odds
    };
    Ok(Method::BayesFuse { log_odds: runs.iter().map(log_odds).collect() })
}

/// Learns [`Method::MapFuse`]: mean average precision; a query without a relevant document counts 0.
///
/// # Errors
/// As [`bayes_fuse`].
pub fn map_fuse(runs: &[Vec<Judged>]) -> Result<Method> {
    check(runs)?;
    let average_precision = |answer: &Judged| {
        let (mut found, mut sum) = (0.0, 0.0);
        for (position, _) in answer.hits.iter().enumerate().filter(|(_, hit)| **hit) {
            found += 1.0;
            sum += found / (position + 1) as f64;
        }
        if answer.relevant == 0 { 0.0 } else { sum / answer.relevant as f64 }
    };
    Ok(Method::MapFuse { map_scores: runs.iter().map(|answers| mean(answers, average_precision)).collect() })
}

/// Learns [`Method::PosFuse`]: at each rank the share of relevant documents among the queries whose answer is that long.
///
/// # Errors
/// As [`bayes_fuse`].
pub fn pos_fuse(runs: &[Vec<Judged>]) -> Result<Method> {
    check(runs)?;
    Ok(Method::PosFuse { probs: runs.iter().map(|answers| at_ranks(answers)).collect() })
}

/// Learns [`Method::SlideFuse`]; `width`: ranks to each side.
///
/// # Errors
/// As [`bayes_fuse`]; [`Error::Parameter`] for a width above 1,000.
pub fn slide_fuse(runs: &[Vec<Judged>], width: usize) -> Result<Method> {
    check(runs)?;
    let method = Method::SlideFuse { probs: runs.iter().map(|answers| at_ranks(answers)).collect(), width };
    method.check().map(|()| method)
}

/// Learns [`Method::ProbFuse`]: each answer is cut into this many segments of equal size, and the precision of each is
/// averaged over the queries.
///
/// # Errors
/// As [`bayes_fuse`]; [`Error::Training`] for no segments, and for more than 10,000.
pub fn prob_fuse(runs: &[Vec<Judged>], segments: usize) -> Result<Method> {
    check(runs)?;
    if !(1..=MAX_SEGMENTS).contains(&segments) {
        return Err(Error::Training(format!("{segments} `segments`; give 1 to {MAX_SEGMENTS}")));
    }
    let of_segment = |answers: &Vec<Judged>, segment: usize| {
        mean(answers, |answer| {
            let size = answer.hits.len().div_ceil(segments);
            let range = (segment * size).min(answer.hits.len())..((segment + 1) * size).min(answer.hits.len());
            if range.is_empty() { 0.0 } else { hits_within(answer, range.clone()) / range.len() as f64 }
        })
    };
    let probs = runs.iter().map(|answers| (0..segments).map(|segment| of_segment(answers, segment)).collect());
    Ok(Method::ProbFuse { probs: probs.collect() })
}

/// Learns [`Method::SegFuse`]: the precision in ranks 1–5, 6–15, 16–35, 36–75 and so on, ten segments in all.
///
/// # Errors
/// As [`bayes_fuse`].
pub fn seg_fuse(runs: &[Vec<Judged>]) -> Result<Method> {
    check(runs)?;
    let of_segment = |answers: &Vec<Judged>, segment: u32| {
        let range = segment_end(segment)..segment_end(segment + 1);
        mean(answers, |answer| hits_within(answer, range.clone()) / range.len() as f64)
    };
    let probs = runs.iter().map(|answers| (0..SEGMENTS).map(|segment| of_segment(answers, segment)).collect());
    Ok(Method::SegFuse { probs: probs.collect() })
}

/// Where the first `segments` segments of Seg-fuse end: 0, 5, 15, 35, 75, …
pub(crate) fn segment_end(segments: u32) -> usize {
    5 * 2usize.saturating_pow(segments) - 5
}

fn check(runs: &[Vec<Judged>]) -> Result<()> {
    if runs.is_empty() || runs.iter().any(Vec::is_empty) {
        return Err(Error::Training("no queries; give each run's answers to some judged queries".to_owned()));
    }
    Ok(())
}

fn mean(answers: &[Judged], of: impl Fn(&Judged) -> f64) -> f64 {
    answers.iter().map(of).sum::<f64>() / answers.len() as f64
}

fn hits_within(answer: &Judged, ranks: std::ops::Range<usize>) -> f64 {
    let end = ranks.end.min(answer.hits.len());
    answer.hits[ranks.start.min(end)..end].iter().filter(|hit| **hit).count() as f64
}

/// The share of relevant documents at each rank.
fn at_ranks(answers: &[Judged]) -> Vec<f64> {
    let longest = answers.iter().map(|answer| answer.hits.len()).max().unwrap_or(0);
    let share = |rank: usize| {
        let at: Vec<bool> = answers.iter().filter_map(|answer| answer.hits.get(rank).copied()).collect();
        at.iter().filter(|hit| **hit).count() as f64 / at.len() as f64
    };
    (0..longest).map(share).collect()
}
