//! Position bias, estimated from a log.

use std::collections::BTreeMap;

use super::em::{Cell, Fit, fit};
use super::log::{ClickLog, MAX_RANK};
use super::propensity::{Propensities, check_least};
use crate::error::{Error, Result};
use crate::random::SplitMix64;
use crate::significance::{Resampling, quantile};

/// How position bias is estimated.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimation {
    /// The last rank that is looked at, 2 to 1,000; 100 unless told. The propensities end there.
    pub ranks: u32,
    /// Whether the propensities shall nowhere rise from one rank to the next; not unless told. Where they are known not
    /// to, this takes noise away.
    pub monotone: bool,
    /// The least propensity, 0 to 1; 0.01 unless told.
    pub least: f64,
    /// Most steps of expectation and maximisation; 2,000 unless told.
    pub steps: usize,
    /// The change of every propensity below which a step is the last, relative to rank 1; 1e-6 unless told.
    pub tolerance: f64,
    /// How intervals are drawn: 200 samples unless told, of which each costs about as much as the estimate; `None`: there
    /// are none.
    pub resampling: Option<Resampling>,
}

impl Default for Estimation {
    fn default() -> Self {
        Estimation {
            ranks: 100,
            monotone: false,
            least: 0.01,
            steps: 2000,
            tolerance: 1e-6,
            resampling: Some(Resampling::default().with_samples(200)),
        }
    }
}

impl Estimation {
    /// Sets the last rank.
    #[must_use]
    pub fn with_ranks(self, ranks: u32) -> Self {
        Estimation { ranks, ..self }
    }

    /// Sets whether propensities may not rise.
    #[must_use]
    pub fn with_monotone(self, monotone: bool) -> Self {
        Estimation { monotone, ..self }
    }

    /// Sets the least propensity.
    #[must_use]
    pub fn with_least(self, least: f64) -> Self {
        Estimation { least, ..self }
    }

    /// Sets the most steps.
    #[must_use]
    pub fn with_steps(self, steps: usize) -> Self {
        Estimation { steps, ..self }
    }

    /// Sets the change below which a step is the last.
    #[must_use]
    pub fn with_tolerance(self, tolerance: f64) -> Self {
        Estimation { tolerance, ..self }
    }

    /// Sets how intervals are drawn.
    #[must_use]
    pub fn with_resampling(self, resampling: impl Into<Option<Resampling>>) -> Self {
        Estimation { resampling: resampling.into(), ..self }
    }

    fn check(&self) -> Result<()> {
        if !(2..=1000).contains(&self.ranks) {
            return Err(Error::Setting { name: "ranks", value: self.ranks.into(), range: "2 to 1,000" });
        }
        if self.steps == 0 {
            return Err(Error::Setting { name: "steps", value: 0.0, range: "at least 1" });
        }
        if !(self.tolerance >= 0.0 && self.tolerance.is_finite()) {
            return Err(Error::Setting { name: "tolerance", value: self.tolerance, range: "a number from 0 on" });
        }
        check_least(self.least)?;
        self.resampling.map_or(Ok(()), Resampling::check)
    }
}

/// Propensities, and what they rest on.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub struct BiasEstimate {
    /// The propensities.
    pub propensities: Propensities,
    /// What is known of each rank, rank 1 first.
    pub ranks: Vec<RankEvidence>,
    /// Logarithm of the likelihood of what was used, at the estimate: of clicks for [`estimate_by_em`], of weighted rates
    /// for [`estimate_by_harvesting`]. To be compared with another estimate of the same log in the same way, and no other.
    pub log_likelihood: f64,
    /// Steps taken.
    pub steps: usize,
    /// Whether the last step was small enough. If not, allow more.
    pub converged: bool,
    /// Pairs of query and document that were seen at two or more ranks and clicked: all that says something.
    pub pairs_used: usize,
    /// All pairs of query and document.
    pub pairs: usize,
}

/// What is known of the propensity of one rank.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankEvidence {
    /// The rank, from 1 on.
    pub rank: u32,
    /// How often a used pair was shown there.
    pub impressions: usize,
    /// How often it was clicked there.
    pub clicks: usize,
    /// Whether the log says nothing that would connect this rank to rank 1; the propensity is then that of the rank above.
    pub guessed: bool,
    /// Standard deviation and percentile interval of the estimate over samples of queries drawn with replacement, before
    /// it is made monotone and clipped. `None` for rank 1, guessed ranks, fewer than two queries, or where not asked for.
    pub spread: Option<Spread>,
}

/// How far an estimate may be off by chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Standard error.
    pub standard_error: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Estimates position bias by expectation maximisation of the position-based model: a document is clicked when its place
/// is looked at *and* it attracts, `P(click) = propensity[rank] · attraction[query, document]` (Richardson, Dominowska &
/// Ragno 2007; Craswell et al., WSDM 2008; the EM of Wang et al., WSDM 2018, without its regression).
///
/// Every query–document pair has an attraction of its own, so only pairs that were shown at two ranks or more say
/// something. With few impressions a pair, [`estimate_by_harvesting`] has fewer unknowns.
///
/// ```
/// use rag_ltr::clicks::{ClickLog, Estimation, Impression, Shown, estimate_by_em};
/// // Two documents change places; at rank 1 each is clicked every second time, at rank 2 every fourth.
/// let mut log = ClickLog::new();
/// for visit in 0..80 {
///     let shown = if visit % 2 == 0 { ["a", "b"] } else { ["b", "a"] };
///     let clicked = [visit % 4 < 2, visit % 8 < 2];
///     let shown = (0..2).map(|at| Shown::new(shown[at], at as u32 + 1, clicked[at])).collect();
///     log.push(Impression::new("q", shown))?;
/// }
/// let estimate = estimate_by_em(&log, &Estimation::default().with_ranks(2))?;
/// assert!((estimate.propensities.at(2) - 0.5).abs() < 1e-3 && estimate.converged);
/// # Ok::<(), rag_ltr::Error>(())
/// ```
///
/// # Errors
/// [`Error::Clicks`] where nothing connects rank 1 to another rank; [`Error::Setting`].
pub fn estimate_by_em(log: &ClickLog, estimation: &Estimation) -> Result<BiasEstimate> {
    estimation.check()?;
    let evidence = Evidence::of(log, estimation.ranks);
    let mut cells = Vec::new();
    for (item, pair) in evidence.used.iter().enumerate() {
        let of_rank = |&(rank, (shown, clicked)): &(usize, (usize, usize))| Cell {
            item,
            rank,
            cluster: pair.query,
            shown: shown as f64,
            clicked: clicked as f64,
        };
        cells.extend(pair.ranks.iter().map(of_rank));
    }
    evidence.estimate(&cells, estimation)
}

/// Estimates position bias by harvesting interventions: where a document of a query was shown at rank `k` at one time and
/// at `k'` at another, because rankers differ or changed, its click-through rates at the two places differ by their
/// propensities alone. AllPairs of Agarwal et al. (WSDM 2019, "Estimating Position Bias without Intrusive
/// Interventions"): for every pair of ranks the rates of all documents that were seen at both are added up, and
/// `P(click at k | {k, k'}) = propensity[k] · attraction[{k, k'}]` is fitted to the sums of all pairs of ranks at once.
///
/// Each document is weighted with `n·n' / (n + n')` of its impressions at the two ranks (Mantel & Haenszel 1959), where
/// the paper has the traffic of its rankers. The answer is right if what moved a document was not its clicks' own
/// relevance at that time: take a log of rankers that served at the same time, not of before and after a document changed.
///
/// # Errors
/// [`Error::Clicks`] where nothing connects rank 1 to another rank; [`Error::Setting`].
pub fn estimate_by_harvesting(log: &ClickLog, estimation: &Estimation) -> Result<BiasEstimate> {
    estimation.check()?;
    let evidence = Evidence::of(log, estimation.ranks);
    let mut items = BTreeMap::new();
    let mut cells = Vec::new();
    for of_query in evidence.used.chunk_by(|one, two| one.query == two.query) {
        // (ranks of the pair, this rank) → impressions and clicks, weighted.
        let mut sums: BTreeMap<((usize, usize), usize), (f64, f64)> = BTreeMap::new();
        for pair in of_query {
            for (at, &(high, (shown_high, clicked_high))) in pair.ranks.iter().enumerate() {
                for &(low, (shown_low, clicked_low)) in pair.ranks.iter().skip(at + 1) {
                    let (shown_high, shown_low) = (shown_high as f64, shown_low as f64);
                    let weight = shown_high * shown_low / (shown_high + shown_low);
                    for (rank, shown, clicked) in [(high, shown_high, clicked_high), (low, shown_low, clicked_low)] {
                        let sum = sums.entry(((high, low), rank)).or_default();
                        *sum = (sum.0 + weight, sum.1 + weight * clicked as f64 / shown);
                    }
                }
            }
        }
        for ((ranks, rank), (shown, clicked)) in sums {
            let count = items.len();
            let item = *items.entry(ranks).or_insert(count);
            let cluster = of_query.first().map_or(0, |pair| pair.query);
            cells.push(Cell { item, rank, cluster, shown, clicked });
        }
    }
    evidence.estimate(&cells, estimation)
}

/// Rank (from 0 on) → shown and clicked.
type Ranks = BTreeMap<usize, (usize, usize)>;

/// The clicks on one document for one query, rank by rank.
struct Pair {
    query: usize,
    ranks: Vec<(usize, (usize, usize))>,
}

/// What a log says about position bias. Pairs without a click are left out: whatever the propensities are, an attraction
/// of 0 explains them.
struct Evidence {
    /// Ascending by query.
    used: Vec<Pair>,
    pairs: usize,
    queries: usize,
    /// Impressions and clicks of the used pairs at each rank.
    by_rank: Vec<(usize, usize)>,
}

impl Evidence {
    fn of(log: &ClickLog, last_rank: u32) -> Evidence {
        let last_rank = last_rank.min(MAX_RANK);
        let mut by_query: BTreeMap<&str, BTreeMap<&str, Ranks>> = BTreeMap::new();
        for impression in log {
            let documents = by_query.entry(&impression.query).or_default();
            let usable = |shown: &&super::Shown| shown.rank <= last_rank && shown.propensity.is_none();
            for shown in impression.shown.iter().filter(usable) {
                let ranks = documents.entry(&shown.document).or_default();
                let (times, clicks) = ranks.entry(shown.rank as usize - 1).or_default();
                *times += 1;
                *clicks += usize::from(shown.clicked);
            }
        }
        let mut evidence = Evidence { used: Vec::new(), pairs: 0, queries: by_query.len(), by_rank: Vec::new() };
        for (query, documents) in by_query.into_values().enumerate() {
            evidence.pairs += documents.len();
            for ranks in documents.into_values() {
                let last = ranks.last_key_value().map_or(0, |(&rank, _)| rank);
                evidence.by_rank.resize(evidence.by_rank.len().max(last + 1), (0, 0));
                if ranks.len() < 2 || ranks.values().all(|&(_, clicked)| clicked == 0) {
                    continue;
                }
                for (&rank, &(shown, clicked)) in &ranks {
                    if let Some(sum) = evidence.by_rank.get_mut(rank) {
                        *sum = (sum.0 + shown, sum.1 + clicked);
                    }
                }
                evidence.used.push(Pair { query, ranks: ranks.into_iter().collect() });
            }
        }
        evidence
    }

    fn estimate(&self, cells: &[Cell], estimation: &Estimation) -> Result<BiasEstimate> {
        let connected = self.connected();
        if self.used.is_empty() || connected.iter().filter(|&&connected| connected).count() < 2 {
            let lack = "no document that was clicked was shown at rank 1 and, itself or by way of others of the same \
                        kind, at another rank for the same query; log several rankers, or swap documents now and then";
            return Err(Error::Clicks(format!("position bias: {lack}")));
        }
        if self.by_rank.first().is_none_or(|&(_, clicked)| clicked == 0) {
            let lack = "no document that changed its rank was clicked at rank 1; log more impressions";
            return Err(Error::Clicks(format!("position bias: {lack}")));
        }
        let fitted = fit(cells, &vec![1.0; self.queries], None, self.by_rank.len(), estimation);
        let spreads = self.spreads(cells, &fitted, estimation);
        let relative = relative(&fitted).unwrap_or_default();
        let mut above = 1.0;
        let mut by_rank = Vec::with_capacity(relative.len());
        for (&value, &connected) in relative.iter().zip(&connected) {
            above = if connected { value.max(estimation.least).max(f64::MIN_POSITIVE) } else { above };
            by_rank.push(above);
        }
        let mut propensities = Propensities::new(&by_rank)?;
        if estimation.monotone {
            let weights: Vec<f64> = self.by_rank.iter().map(|&(shown, _)| shown as f64).collect();
            propensities = propensities.monotone(&weights).clipped(estimation.least)?;
        }
        let evidence = self.by_rank.iter().zip(&connected).zip(spreads).enumerate();
        let ranks = evidence.map(|(rank, ((&(impressions, clicks), &connected), spread))| RankEvidence {
            rank: rank as u32 + 1,
            impressions,
            clicks,
            guessed: !connected,
            spread: spread.filter(|_| connected && rank > 0),
        });
        Ok(BiasEstimate {
            propensities,
            ranks: ranks.collect(),
            log_likelihood: fitted.log_likelihood,
            steps: fitted.steps,
            converged: fitted.converged,
            pairs_used: self.used.len(),
            pairs: self.pairs,
        })
    }

    /// Which ranks are tied to rank 1 by documents that were shown at both, or at ranks so tied.
    fn connected(&self) -> Vec<bool> {
        let mut leader: Vec<usize> = (0..self.by_rank.len()).collect();
        let find = |leader: &[usize], mut rank: usize| {
            while let Some(&next) = leader.get(rank).filter(|&&next| next != rank) {
                rank = next;
            }
            rank
        };
        for pair in &self.used {
            for ranks in pair.ranks.windows(2) {
                let [(one, _), (two, _)] = ranks else { continue };
                let (one, two) = (find(&leader, *one), find(&leader, *two));
                if let Some(entry) = leader.get_mut(one.max(two)) {
                    *entry = one.min(two);
                }
            }
        }
        (0..leader.len()).map(|rank| find(&leader, rank) == 0).collect()
    }

    /// Fits samples of queries, each drawn with replacement.
    fn spreads(&self, cells: &[Cell], fitted: &Fit, estimation: &Estimation) -> Vec<Option<Spread>> {
        let none = vec![None; self.by_rank.len()];
        let mut clusters: Vec<usize> = cells.iter().map(|cell| cell.cluster).collect();
        clusters.dedup();
        let Some(resampling) = estimation.resampling.filter(|_| clusters.len() > 1) else { return none };
        let mut random = SplitMix64::new(resampling.seed);
        let mut values: Vec<Vec<f64>> = vec![Vec::new(); self.by_rank.len()];
        for _ in 0..resampling.samples {
            let mut weights = vec![0.0; self.queries];
            for _ in 0..clusters.len() {
                let drawn = clusters.get(random.below(clusters.len())).copied().unwrap_or_default();
                if let Some(weight) = weights.get_mut(drawn) {
                    *weight += 1.0;
                }
            }
            let sample = fit(cells, &weights, Some(fitted), self.by_rank.len(), estimation);
            let Some(relative) = relative(&sample) else { continue };
            for ((values, value), &seen) in values.iter_mut().zip(relative).zip(&sample.seen) {
                values.extend(seen.then_some(value));
            }
        }
        values.into_iter().map(|values| spread(values, resampling.confidence)).collect()
    }
}

/// The propensities of a fit in units of rank 1; `None` where that is 0.
fn relative(fitted: &Fit) -> Option<Vec<f64>> {
    let first = fitted.propensities.first().copied().filter(|&first| first > 0.0)?;
    Some(fitted.propensities.iter().map(|value| value / first).collect())
}

fn spread(mut values: Vec<f64>, confidence: f64) -> Option<Spread> {
    if values.len() < 2 {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let tail = (1.0 - confidence) / 2.0;
    Some(Spread {
        standard_error: (squares / (values.len() as f64 - 1.0)).sqrt(),
        low: quantile(&values, tail),
        high: quantile(&values, 1.0 - tail),
    })
}
