//! Several runs to one ranking.

use std::hash::Hash;
use std::sync::{Arc, OnceLock};

use crate::error::{Error, Result};
use crate::learned::{LEAST_ODDS, segment_end};
use crate::method::Method;
use crate::normalize::{Normalization, Scaled, scale};
use crate::rank::ranked;
use crate::run::{Run, RunHit};
use crate::table::Table;
use crate::votes::majorities;

/// The number of a document that no run that counts has.
const UNKNOWN: u32 = u32::MAX;

/// A run and how much it counts.
#[derive(Debug)]
pub struct Weighted<'a, Id = u64> {
    /// The run.
    pub run: &'a Run<Id>,
    /// Finite, at least 0.
    pub weight: f64,
}

impl<'a, Id> Weighted<'a, Id> {
    /// `run`, counted `weight` times.
    pub fn new(run: &'a Run<Id>, weight: f64) -> Self {
        Weighted { run, weight }
    }
}

/// What one run adds to a fused score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contribution {
    /// 1-based rank of the document in the run; `None`: it is not there, and `score` is 0.
    pub rank: Option<usize>,
    /// Its score there.
    pub score: f64,
    /// What the method takes of it before the weight: the normalised score, `1 / (k + rank)`, points; for a document that is
    /// not there what the method gives to such, mostly 0.
    pub normalized: f64,
    /// The weight of the run, also where the document is absent.
    pub weight: f64,
    /// `weight · normalized`. Those of all runs add up to the score, where the formula of the [`Method`] is such a sum; where
    /// it goes on (by the number of runs, the median, majorities), this is what it goes on with.
    pub value: f64,
}

/// A document of the fused ranking.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FusedHit<Id = u64> {
    /// The document.
    pub id: Id,
    /// Its score; finite.
    pub score: f64,
    /// Number among the documents of all runs, in the order in which they first appear.
    pub(crate) document: u32,
}

/// A fused ranking, and how it came about.
#[derive(Debug, Clone)]
pub struct Fused<Id = u64> {
    hits: Vec<FusedHit<Id>>,
    /// The runs, as they were given.
    runs: Vec<Arc<Vec<RunHit<Id>>>>,
    sides: Vec<Side>,
    /// As [`ranks`] has them, once they are asked for.
    ranks: OnceLock<Vec<u32>>,
}

/// What a run gives its documents.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Side {
    pub(crate) weight: f64,
    /// Its documents, by number; [`UNKNOWN`] in a run that does not count.
    documents: Vec<u32>,
    /// How many documents there are in this run and those before.
    end: u32,
    /// What each rank brings.
    pub(crate) values: Vec<f64>,
    /// What a document brings that the run lacks; `None`: it is not there.
    pub(crate) absent: Option<f64>,
}

impl<Id: PartialEq> PartialEq for Fused<Id> {
    /// Whether they came about in the same way, whatever was asked of them since.
    fn eq(&self, other: &Self) -> bool {
        (&self.hits, &self.runs, &self.sides) == (&other.hits, &other.runs, &other.sides)
    }
}

impl<Id> Fused<Id> {
    /// Best first.
    pub fn hits(&self) -> &[FusedHit<Id>] {
        &self.hits
    }

    /// The ranking alone.
    pub fn into_hits(self) -> Vec<FusedHit<Id>> {
        self.hits
    }

    /// What each run adds to a hit of this ranking, in run order.
    pub fn contributions(&self, hit: &FusedHit<Id>) -> impl ExactSizeIterator<Item = Contribution> {
        self.runs.iter().zip(&self.sides).zip(self.ranks_of(hit.document)).map(|((run, side), &rank)| {
            let at = (rank as usize).checked_sub(1);
            let normalized = at.map_or(side.absent.unwrap_or(0.0), |at| side.values[at]);
            Contribution {
                rank: at.map(|at| at + 1),
                score: at.map_or(0.0, |at| run[at].score),
                normalized,
                weight: side.weight,
                value: finite(side.weight * normalized),
            }
        })
    }

    /// Position of the first run that counts and has the document.
    pub fn first_run(&self, hit: &FusedHit<Id>) -> usize {
        first_run(&self.sides, hit.document)
    }

    fn ranks_of(&self, document: u32) -> &[u32] {
        let runs = self.sides.len();
        &self.ranks.get_or_init(|| ranks(&self.sides))[document as usize * runs..][..runs]
    }
}

/// Fuses runs and keeps the best `depth` documents.
///
/// Equal scores rank by the first run that has the document, in the order given, then by ascending id. So the scores of a
/// fusion do not depend on the order of the runs, but the ranks of equal ones do: put the run you trust most first. Sums are
/// carried with twice the digits of an `f64`, so that what is equal by the formula is equal. No score of the answer is
/// infinite or NaN. A run of weight 0 is explained, but brings no document of its own, and does not count as having one.
///
/// ```
/// use rag_fusion::{Method, Normalization, Run, Weighted, fuse};
/// let dense = Run::new("dense", [("a", 0.9), ("b", 0.7)])?;
/// let lexical = Run::new("lexical", [("b", 12.0), ("c", 4.0)])?;
/// let runs = [Weighted::new(&dense, 1.0), Weighted::new(&lexical, 1.0)];
/// let fused = fuse(&runs, &Method::Mnz, &Normalization::Rank, 10)?;
/// assert_eq!((fused.hits()[0].id, fused.hits()[0].score), ("b", 2.0 * (0.5 + 1.0)));
/// # Ok::<(), rag_fusion::Error>(())
/// ```
///
/// # Errors
/// [`Error::Weight`], [`Error::NoWeight`], [`Error::Parameter`], [`Error::Runs`].
pub fn fuse<Id: Clone + Eq + Hash + Ord>(
    runs: &[Weighted<'_, Id>],
    method: &Method,
    normalization: &Normalization,
    depth: usize,
) -> Result<Fused<Id>> {
    check(runs, method, normalization)?;
    let (ids, numbers) = documents(runs);
    let mut sides = Vec::with_capacity(runs.len());
    for (position, (Weighted { run, weight }, (documents, end))) in runs.iter().zip(numbers).enumerate() {
        let Scaled { scores: values, absent } = scaled(run, method, normalization, (position, ids.len()));
        sides.push(Side { weight: *weight, documents, end, values, absent });
    }
    let of_ranks = OnceLock::new();
    let ranks = || of_ranks.get_or_init(|| ranks(&sides));
    let scores = match method {
        Method::Condorcet => majorities(&sides, ranks(), ids.len()),
        Method::Max | Method::Min | Method::Med => {
            let mut values = Vec::new();
            ranks().chunks_exact(runs.len().max(1)).map(|ranks| middle(method, &sides, ranks, &mut values)).collect()
        }
        _ => totals(method, &sides, ids.len(), ranks),
    };
    let is_before = |one: u32, other: u32| {
        let by_run = first_run(&sides, one).cmp(&first_run(&sides, other));
        by_run.then_with(|| ids[one as usize].cmp(ids[other as usize]))
    };
    let mut order = ranked(&scores, is_before);
    order.truncate(depth);
    let hit = |document: u32| {
        let position = document as usize;
        FusedHit { id: ids[position].clone(), score: scores[position], document }
    };
    let hits = order.into_iter().map(hit).collect();
    Ok(Fused { hits, runs: runs.iter().map(|run| run.run.shared_hits()).collect(), ranks: of_ranks, sides })
}

/// The documents of the runs that count, in the order in which they first appear; and for each run its documents by number,
/// and how many there are in it and those before.
fn documents<'a, Id: Eq + Hash>(runs: &[Weighted<'a, Id>]) -> (Vec<&'a Id>, Vec<(Vec<u32>, u32)>) {
    let most = runs.iter().filter(|run| run.weight > 0.0).map(|run| run.run.len()).sum();
    let mut table = Table::with_capacity(most);
    let mut numbers = vec![(Vec::new(), 0); runs.len()];
    for (Weighted { run, weight }, (documents, end)) in runs.iter().zip(&mut numbers) {
        if *weight > 0.0 {
            *documents = table.add(run.ids(), run.hashes());
        }
        *end = table.ids().len() as u32;
    }
    for (Weighted { run, .. }, (documents, _)) in runs.iter().zip(&mut numbers).filter(|(run, _)| run.weight == 0.0) {
        let hashed = run.ids().zip(run.hashes());
        *documents = hashed.map(|(id, &hash)| table.find(id, hash).unwrap_or(UNKNOWN)).collect();
    }
    (table.into_ids(), numbers)
}

/// For each document its 1-based rank in each run; 0: it is not there.
fn ranks(sides: &[Side]) -> Vec<u32> {
    let all = sides.last().map_or(0, |side| side.end as usize);
    let mut ranks = vec![0; all * sides.len()];
    for (number, side) in sides.iter().enumerate() {
        for (&document, rank) in side.documents.iter().zip(1..).filter(|(document, _)| **document != UNKNOWN) {
            ranks[document as usize * sides.len() + number] = rank;
        }
    }
    ranks
}

/// What each rank of a run brings by the method.
fn scaled<Id>(run: &Run<Id>, method: &Method, normalization: &Normalization, place: (usize, usize)) -> Scaled {
    let (position, all) = place;
    let n = run.len();
    let by_rank = |value: &dyn Fn(usize) -> f64| Scaled { scores: (0..n).map(value).collect(), absent: None };
    match method {
        Method::Rrf { k } => by_rank(&|at| 1.0 / (k + (at + 1) as f64)),
        Method::Isr | Method::LogIsr | Method::LognIsr { .. } => by_rank(&|at| 1.0 / ((at + 1) as f64).powi(2)),
        Method::Borda => {
            let absent = Some((all + 1 - n.min(all)) as f64 / 2.0);
            Scaled { absent, ..by_rank(&|at| all as f64 - at as f64) }
        }
        Method::Condorcet => by_rank(&|at| all as f64 - at as f64),
        Method::Rbc { phi } => by_rank(&|at| (1.0 - phi) * phi.powi(at as i32)),
        Method::BayesFuse { log_odds } => {
            let least = LEAST_ODDS.ln();
            let odds = &log_odds[position];
            Scaled { absent: Some(least), ..by_rank(&|at| odds.get(at).copied().unwrap_or(least)) }
        }
        Method::MapFuse { map_scores } => by_rank(&|at| map_scores[position] / (at + 1) as f64),
        Method::PosFuse { probs } => by_rank(&|at| probs[position].get(at).copied().unwrap_or(0.0)),
        Method::ProbFuse { probs } => {
            let probs = &probs[position];
            let size = n.div_ceil(probs.len().max(1)).max(1);
            by_rank(&|at| probs.get(at / size).map_or(0.0, |prob| prob / (at / size + 1) as f64))
        }
        Method::SegFuse { probs } => {
            // What a run lacks is in none of its segments.
            let mut scaled = Scaled { absent: None, ..scale(run, normalization, place) };
            let probs = &probs[position];
            let mut segment = 0;
            for (at, score) in scaled.scores.iter_mut().enumerate() {
                segment += u32::from(at >= segment_end(segment + 1));
                *score = probs.get(segment as usize).copied().unwrap_or(0.0) * (*score + 1.0);
            }
            scaled
        }
        Method::SlideFuse { probs, width } => {
            let probs = &probs[position];
            by_rank(&|at| {
                let (from, to) = (at.saturating_sub(*width), at.saturating_add(*width).min(n - 1));
                let known = probs.get(from..(to + 1).min(probs.len()).max(from)).unwrap_or_default();
                known.iter().sum::<f64>() / (to - from + 1) as f64
            })
        }
        _ => scale(run, normalization, place),
    }
}

/// What the runs that have a document add up to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Total {
    sum: f64,
    /// What rounding took off the sum (Knuth's two-sum).
    rest: f64,
}

impl Total {
    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        let next = self.sum + value;
        let back = next - self.sum;
        self.rest += (self.sum - (next - back)) + (value - back);
        self.sum = next;
    }

    #[inline]
    pub(crate) fn sum(&self) -> f64 {
        // Beyond the numbers that there are the rest is none.
        if self.rest.is_finite() { self.sum + self.rest } else { self.sum }
    }
}

/// The scores of all documents by a method that adds up what the runs give, run after run.
fn totals<'a>(method: &Method, sides: &[Side], all: usize, ranks: impl Fn() -> &'a Vec<u32>) -> Vec<f64> {
    let goes_on = goes_on(method, 0.0, Having::default()).is_some();
    let mut totals = vec![Total::default(); all];
    let mut having = vec![Having::default(); if goes_on { all } else { 0 }];
    for (number, side) in sides.iter().enumerate().filter(|(_, side)| side.weight > 0.0) {
        let factor = if matches!(method, Method::Wmnz) { 1.0 } else { side.weight };
        for (&document, value) in side.documents.iter().zip(&side.values) {
            totals[document as usize].add(finite(factor * value));
        }
        if goes_on {
            side.documents.iter().for_each(|&document| having[document as usize].add(side.weight));
        }
        let Some(absent) = side.absent else { continue };
        let of_run = ranks().iter().skip(number).step_by(sides.len());
        for (document, _) in of_run.enumerate().filter(|(_, rank)| **rank == 0) {
            totals[document].add(finite(factor * absent));
            having.get_mut(document).into_iter().for_each(|having| having.add(side.weight));
        }
    }
    if goes_on {
        let scores = totals.into_iter().zip(having).map(|(total, having)| (total.sum(), having));
        scores.map(|(sum, having)| finite(self::goes_on(method, sum, having).unwrap_or(sum))).collect()
    } else {
        totals.into_iter().map(|total| finite(total.sum())).collect()
    }
}

/// The runs that have a document.
#[derive(Debug, Clone, Copy, Default)]
struct Having {
    runs: f64,
    weight: Total,
}

impl Having {
    #[inline]
    fn add(&mut self, weight: f64) {
        self.runs += 1.0;
        self.weight.add(weight);
    }
}

/// How a method goes on from the sum; `None`: it does not.
#[inline]
fn goes_on(method: &Method, sum: f64, Having { runs, weight }: Having) -> Option<f64> {
    Some(match method {
        Method::Isr | Method::Mnz => sum * runs,
        Method::LogIsr => sum * runs.ln(),
        Method::LognIsr { sigma } => sum * (runs + sigma).ln(),
        Method::Anz => sum / runs,
        Method::Gmnz { gamma } => sum * runs.powf(*gamma),
        Method::Wmnz => sum * weight.sum(),
        Method::Mixed => sum * runs.sqrt(),
        _ => return None,
    })
}

/// The least, the greatest or the median of what the runs give a document.
fn middle(method: &Method, sides: &[Side], ranks: &[u32], values: &mut Vec<f64>) -> f64 {
    values.clear();
    values.extend(sides.iter().zip(ranks).filter(|(side, _)| side.weight > 0.0).filter_map(|(side, &rank)| {
        let value = if rank > 0 { Some(side.values[rank as usize - 1]) } else { side.absent };
        value.map(|value| finite(side.weight * value))
    }));
    values.sort_unstable_by(f64::total_cmp);
    let half = values.len() / 2;
    match method {
        Method::Min => values[0],
        Method::Max => values[values.len() - 1],
        _ if values.len() % 2 == 1 => values[half],
        _ => values[half - 1] / 2.0 + values[half] / 2.0,
    }
}

/// Documents are numbered in the order in which the runs that count have them.
fn first_run(sides: &[Side], document: u32) -> usize {
    sides.iter().position(|side| document < side.end).unwrap_or(sides.len())
}

/// What is too large becomes the largest finite number, so that no sum of two can be NaN.
#[inline]
pub(crate) fn finite(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value.clamp(f64::MIN, f64::MAX) }
}

fn check<Id>(runs: &[Weighted<'_, Id>], method: &Method, normalization: &Normalization) -> Result<()> {
    method.check()?;
    for Weighted { run, weight } in runs {
        if !weight.is_finite() || *weight < 0.0 {
            return Err(Error::Weight { run: run.name().to_owned(), weight: *weight });
        }
    }
    if !runs.is_empty() && runs.iter().all(|run| run.weight == 0.0) {
        return Err(Error::NoWeight);
    }
    let learnt = |what, learnt: usize| {
        if learnt == runs.len() { Ok(()) } else { Err(Error::Runs { what, learnt, given: runs.len() }) }
    };
    normalization.check()?;
    if let Normalization::Calibrated(calibrations) = normalization {
        learnt("the normalisation", calibrations.len())?;
    }
    method.learnt().map_or(Ok(()), |all| learnt(method.name(), all.len()))
}
