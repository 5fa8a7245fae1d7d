//! The points that are looked at, and which of them is chosen.

use std::cmp::Ordering;
use std::collections::HashMap;

use rayon::prelude::*;

use crate::random::SplitMix64;
use crate::tune::error::{Result, TuneError};
use crate::tune::space::{Place, Point, Space};
use crate::tune::{Progress, Watch};

/// Points that are evaluated between two looks at whether the caller has stopped, for each thread.
const BLOCK: usize = 4;

/// Where two candidates differ in one query alone, the loss is exactly one standard error. What is added up in another order
/// must not decide then.
pub(super) const ROUNDING: f64 = 1e-9;

/// A point with the objective of every query.
pub(super) struct Candidate {
    pub(super) point: Point,
    /// Distance from the prior.
    pub(super) distance: f64,
    pub(super) values: Vec<f64>,
}

/// Every point that was evaluated, each once. The prior is the first.
pub(super) struct Table<'a, F> {
    space: &'a Space,
    prior: &'a Point,
    queries: usize,
    objective: &'a F,
    watch: &'a Watch<'a>,
    pool: Option<rayon::ThreadPool>,
    /// Evaluations there can be at most.
    limit: usize,
    by_place: HashMap<Place, usize>,
    pub(super) candidates: Vec<Candidate>,
}

impl<'a, F: Fn(&Point, usize) -> f64 + Sync> Table<'a, F> {
    pub(super) fn new(
        space: &'a Space,
        prior: &'a Point,
        queries: usize,
        objective: &'a F,
        watch: &'a Watch<'a>,
        threads: usize,
        limit: usize,
    ) -> Result<Self> {
        let available = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = if threads == 0 { available() } else { threads };
        let build =
            || rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|at| format!("rag-fusion-{at}"));
        let pool = (threads > 1).then(|| build().build().map_err(|_| TuneError::Threads(threads))).transpose()?;
        let by_place = HashMap::new();
        let mut table =
            Table { space, prior, queries, objective, watch, pool, limit, by_place, candidates: Vec::new() };
        let at = table.space.nearest(prior);
        if table.space.point(&at) == *prior {
            table.by_place.insert(at, 0);
        }
        table.add(std::slice::from_ref(prior))?;
        Ok(table)
    }

    /// Number of calls of the objective.
    pub(super) fn evaluations(&self) -> usize {
        self.candidates.len() * self.queries
    }

    /// The prior and every point of the grid.
    pub(super) fn exhaust(&mut self) -> Result<Vec<usize>> {
        let mut seen = vec![0];
        self.visit(&self.space.grid(), &mut seen)?;
        Ok(seen)
    }

    /// A search of at most `budget` points by the mean over `queries`: the prior and points drawn from the grid for half of
    /// the budget (the same for every set of queries), then a pattern search from the best of them.
    pub(super) fn search(&mut self, queries: &[usize], budget: usize, seed: u64) -> Result<Vec<usize>> {
        let mut random = SplitMix64::new(seed);
        let mut seen = vec![0];
        let drawn: Vec<Place> = (0..budget / 2).map(|_| self.space.draw(&mut random)).collect();
        self.visit(&drawn, &mut seen)?;
        let mut stride = (self.space.extent() / 4).max(1).next_power_of_two();
        while stride > 0 && seen.len() < budget {
            let best = best_of(&self.candidates, &seen, queries);
            let mut around = self.space.neighbours(&self.place_of(best), stride);
            around.truncate(budget - seen.len());
            self.visit(&around, &mut seen)?;
            if best_of(&self.candidates, &seen, queries) == best {
                stride /= 2;
            }
        }
        Ok(seen)
    }

    /// Where a candidate stands; the prior may stand beside the grid and counts as the nearest place then.
    fn place_of(&self, candidate: usize) -> Place {
        self.space.nearest(&self.candidates[candidate].point)
    }

    /// Evaluates the places that are new and adds all of them to `seen`, each once.
    fn visit(&mut self, places: &[Place], seen: &mut Vec<usize>) -> Result<()> {
        let mut fresh = Vec::new();
        for place in places {
            if !self.by_place.contains_key(place) {
                self.by_place.insert(place.clone(), self.candidates.len() + fresh.len());
                fresh.push(self.space.point(place));
            }
        }
        self.add(&fresh)?;
        let mut known = vec![false; self.candidates.len()];
        for &candidate in seen.iter() {
            known[candidate] = true;
        }
        for place in places {
            let candidate = self.by_place[place];
            if !std::mem::replace(&mut known[candidate], true) {
                seen.push(candidate);
            }
        }
        Ok(())
    }

    /// Evaluates points block by block, on the threads of the pool; the caller is asked and told on its own thread.
    fn add(&mut self, points: &[Point]) -> Result<()> {
        let threads = self.pool.as_ref().map_or(1, rayon::ThreadPool::current_num_threads);
        for block in points.chunks(threads * BLOCK) {
            if (self.watch.is_stopped)() {
                return Err(TuneError::Stopped);
            }
            let (objective, queries) = (self.objective, self.queries);
            let row = |point: &Point| (0..queries).map(|query| objective(point, query)).collect::<Vec<f64>>();
            let rows: Vec<Vec<f64>> = match &self.pool {
                Some(pool) => pool.install(|| block.par_iter().map(row).collect()),
                None => block.iter().map(row).collect(),
            };
            for (point, values) in block.iter().zip(rows) {
                if let Some((query, &value)) = values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
                    return Err(TuneError::NotFinite { point: Box::new(point.clone()), query, value });
                }
                let distance = self.space.distance(point, self.prior);
                self.candidates.push(Candidate { point: point.clone(), distance, values });
            }
            (self.watch.progress)(Progress { evaluations: self.evaluations(), limit: self.limit });
        }
        Ok(())
    }
}

/// Mean over some queries.
pub(super) fn mean_of(values: &[f64], queries: &[usize]) -> f64 {
    queries.iter().map(|&query| values[query]).sum::<f64>() / queries.len() as f64
}

/// The candidate of the highest mean; of equal ones the nearest to the prior, then the first.
pub(super) fn best_of(candidates: &[Candidate], seen: &[usize], queries: &[usize]) -> usize {
    let means: Vec<f64> = seen.iter().map(|&at| mean_of(&candidates[at].values, queries)).collect();
    let better = |&a: &usize, &b: &usize| -> Ordering {
        let nearer = candidates[seen[a]].distance.total_cmp(&candidates[seen[b]].distance);
        means[b].total_cmp(&means[a]).then(nearer).then(seen[a].cmp(&seen[b]))
    };
    (0..seen.len()).min_by(better).map_or(0, |at| seen[at])
}

/// The candidate nearest to the prior of those that are not worse than the best by more than one standard error of the
/// difference, nor worse than what is nearest of all, such as the prior itself; of equally near ones the better. The standard error is that of paired differences, since every candidate was
/// measured with the same queries; of one query it is unknown, and the prior stays.
pub(super) fn one_standard_error(candidates: &[Candidate], seen: &[usize], queries: &[usize]) -> usize {
    let best = &candidates[best_of(candidates, seen, queries)].values;
    let loss_and_error = |at: usize| {
        let losses: Vec<f64> = queries.iter().map(|&query| best[query] - candidates[at].values[query]).collect();
        mean_and_error(&losses)
    };
    let mean = |at: usize| mean_of(&candidates[at].values, queries);
    let nearer = |&a: &usize, &b: &usize| candidates[a].distance.total_cmp(&candidates[b].distance);
    let rank = |a: &usize, b: &usize| nearer(a, b).then(mean(*b).total_cmp(&mean(*a))).then(a.cmp(b));
    // What is not clearly worse than the best may still be worse than the prior, which is.
    let floor = seen.iter().copied().min_by(nearer).map_or(f64::MIN, mean);
    let admissible = seen.iter().copied().filter(|&at| {
        let (loss, error) = loss_and_error(at);
        loss <= error * (1.0 + ROUNDING) && mean(at) >= floor
    });
    admissible.min_by(rank).unwrap_or(0)
}

/// Mean and its standard error; of one value the error is infinite.
pub(super) fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    if values.len() < 2 {
        return (mean, f64::INFINITY);
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0) / count).sqrt())
}
