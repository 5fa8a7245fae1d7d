//! The rows of a training with bins in the place of values, in the two orders that growing reads.

use std::ops::Range;

use crate::error::Result;
use crate::random::SplitMix64;
use crate::threads::Threads;
use crate::train::bins::Feature;
use crate::train::dataset::Dataset;
use crate::train::histogram::Sum;
use crate::train::parameters::LambdaMart;

/// About how many bins a shard has, or fewer: their sums stay in the fastest cache of a processor.
const SHARD_BINS: usize = 4096;
/// Columns that are read from the rows at once: a line of the cache has 16 values.
const COLUMNS_AT_ONCE: usize = 16;

/// Rows in bins.
pub(crate) struct Table {
    /// The features that some split can use.
    pub(crate) features: Vec<Feature>,
    /// Feature by feature the bin of every row: what rows are parted by.
    pub(crate) columns: Vec<Vec<u16>>,
    /// Row by row the bins of some features each: what sums are made from.
    pub(crate) shards: Vec<Shard>,
}

/// Neighbouring features. For each row their bins, but those that most rows are in: the sums of these are what the others
/// lack of the total.
pub(crate) struct Shard {
    pub(crate) features: Range<usize>,
    /// Where the bins of each feature start among those of the shard, and where the last end.
    pub(crate) starts: Vec<usize>,
    /// Where the bins of each row start in `bins`, and where the last end.
    offsets: Vec<u32>,
    bins: Vec<u16>,
}

/// Some columns of the rows on their way into the table.
struct Block {
    columns: Range<usize>,
    found: Result<Vec<(Feature, Vec<u16>)>>,
}

impl Table {
    /// # Errors
    /// As [`Feature::find`].
    pub(crate) fn new(dataset: &Dataset<'_>, parameters: &LambdaMart, threads: &Threads) -> Result<Table> {
        let columns = dataset.rows.columns();
        let sample = sample(dataset.rows.len(), parameters);
        let starts = (0..columns).step_by(COLUMNS_AT_ONCE);
        let mut blocks: Vec<Block> = starts
            .map(|start| Block { columns: start..(start + COLUMNS_AT_ONCE).min(columns), found: Ok(Vec::new()) })
            .collect();
        threads.for_each(&mut blocks, |block| {
            block.found = block_of_features(block.columns.clone(), dataset, sample.as_deref(), parameters);
        });
        let mut table = Table { features: Vec::new(), columns: Vec::new(), shards: Vec::new() };
        for block in blocks {
            for (feature, bins) in block.found? {
                table.features.push(feature);
                table.columns.push(bins);
            }
        }
        let mut shards = plan(&table.features, dataset.rows.len(), threads.count());
        threads.for_each(&mut shards, |shard| shard.fill(&table.features, &table.columns, dataset.rows.len()));
        table.shards = shards;
        Ok(table)
    }
}

/// The rows that bins are made from, ascending; `None`: all.
fn sample(rows: usize, parameters: &LambdaMart) -> Option<Vec<usize>> {
    let wanted = parameters.bin_construct_sample_cnt;
    if rows <= wanted {
        return None;
    }
    // Each row with the chance that is left (Knuth, algorithm S).
    let mut random = SplitMix64::new(parameters.seed);
    let mut picked = Vec::with_capacity(wanted);
    for row in 0..rows {
        if random.below(rows - row) < wanted - picked.len() {
            picked.push(row);
        }
    }
    Some(picked)
}

fn block_of_features(
    columns: Range<usize>,
    dataset: &Dataset<'_>,
    sample: Option<&[usize]>,
    parameters: &LambdaMart,
) -> Result<Vec<(Feature, Vec<u16>)>> {
    let rows = dataset.rows;
    let mut values: Vec<Vec<f32>> = columns.clone().map(|_| Vec::with_capacity(rows.len())).collect();
    for row in rows.iter() {
        for (values, &value) in values.iter_mut().zip(&row[columns.clone()]) {
            values.push(value);
        }
    }
    let mut found = Vec::new();
    for (column, values) in columns.zip(values) {
        let mut sampled: Vec<f32> = match sample {
            None => values.clone(),
            Some(sample) => sample.iter().map(|&row| values[row]).collect(),
        };
        if let Some(feature) = Feature::find(column, &mut sampled, rows.len(), parameters)? {
            let bins = feature.bins_of(&values);
            found.push((feature, bins));
        }
    }
    Ok(found)
}

/// Which features share a shard, such that shards have about as many bins as one another and each thread as many shards.
/// The sums and so the trees are the same in any case.
fn plan(features: &[Feature], rows: usize, threads: usize) -> Vec<Shard> {
    let total: usize = features.iter().map(|feature| feature.bins).sum();
    let count = total.div_ceil(SHARD_BINS).next_multiple_of(threads);
    let mut shards: Vec<Shard> = Vec::new();
    let (mut before, mut share) = (0, 0);
    for (position, feature) in features.iter().enumerate() {
        let share_before = std::mem::replace(&mut share, before * count / total);
        before += feature.bins;
        // A bin is 16 bits in the shard, an offset 32.
        let fits = |shard: &Shard| {
            let (bins, entries) = (shard.width() + feature.bins, (shard.features.len() + 1) * rows);
            share == share_before && bins <= 1 << 16 && u32::try_from(entries).is_ok()
        };
        match shards.last_mut() {
            Some(shard) if fits(shard) => {
                shard.features.end += 1;
                shard.starts.push(shard.width() + feature.bins);
            }
            _ => shards.push(Shard {
                features: position..position + 1,
                starts: vec![0, feature.bins],
                offsets: Vec::new(),
                bins: Vec::new(),
            }),
        }
    }
    shards
}

impl Shard {
    /// Bins of all of its features.
    pub(crate) fn width(&self) -> usize {
        self.starts.last().copied().unwrap_or_default()
    }

    fn fill(&mut self, features: &[Feature], columns: &[Vec<u16>], rows: usize) {
        let (features, columns) = (&features[self.features.clone()], &columns[self.features.clone()]);
        self.offsets.reserve_exact(rows + 1);
        self.offsets.push(0);
        for row in 0..rows {
            for ((feature, column), &start) in features.iter().zip(columns).zip(&self.starts) {
                let bin = usize::from(column[row]);
                if bin != feature.frequent {
                    self.bins.push((start + bin) as u16);
                }
            }
            self.offsets.push(self.bins.len() as u32);
        }
    }

    /// Adds the derivatives of rows to the sums of their bins.
    pub(crate) fn accumulate(&self, rows: &[u32], derivatives: &[Sum], histogram: &mut [Sum]) {
        for &row in rows {
            let row = row as usize;
            let sum = derivatives[row];
            for &bin in &self.bins[self.offsets[row] as usize..self.offsets[row + 1] as usize] {
                let bin = &mut histogram[usize::from(bin)];
                *bin = bin.plus(sum);
            }
        }
    }
}
