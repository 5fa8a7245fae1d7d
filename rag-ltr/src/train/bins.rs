//! The values of a feature, put into bins: what a split can tell apart. The bounds are LightGBM's.

use std::cmp::Reverse;

use crate::error::{Error, Result};
use crate::model::{Missing, ZERO};
use crate::train::parameters::LambdaMart;

/// Largest category: a split keeps one bit for each.
const MAX_CATEGORY: f32 = 1_048_575.0;
/// Categories that cover this share of the rows are kept, whatever their number.
const KEPT_CATEGORIES: f64 = 0.99;

/// A feature that some split can use.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Feature {
    /// Its column in the rows.
    pub(crate) column: usize,
    pub(crate) kind: Kind,
    /// Number of bins.
    pub(crate) bins: usize,
    pub(crate) missing: Missing,
    /// The bin of 0.
    pub(crate) zero: usize,
    /// The bin that most rows are in.
    pub(crate) frequent: usize,
    /// 1, 0 or −1.
    pub(crate) monotone: i8,
}

/// What the bins hold.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// Bin by bin the largest value, ascending; the last is infinite. NaN has a bin after them where it is missing.
    Numbers(Vec<f64>),
    /// The category of each bin from 1 on. Bin 0 has what is none of them.
    Categories(Vec<u32>),
}

impl Feature {
    /// The feature of a column, by a sample of its values; `None` where no split could use it. `rows` is how many rows
    /// the column has.
    ///
    /// # Errors
    /// [`Error::Training`] for a category that is too large.
    pub(crate) fn find(
        column: usize,
        sample: &mut Vec<f32>,
        rows: usize,
        parameters: &LambdaMart,
    ) -> Result<Option<Feature>> {
        let sampled = sample.len();
        let nans = sample.iter().filter(|value| value.is_nan()).count();
        sample.retain(|value| !value.is_nan() && value.abs() > ZERO);
        sample.sort_unstable_by(f32::total_cmp);
        let (kept, use_missing) = (sample.len(), parameters.use_missing);
        let is_categorical = parameters.categorical_feature.contains(&column);
        // NaN counts where `bin` puts it: with 0, unless it has a bin of its own or is one of the other categories.
        let is_apart = use_missing && (is_categorical || !parameters.zero_as_missing);
        let nans = if is_apart { nans } else { 0 };
        let distinct = distinct(sample, sampled - kept - nans);
        let (kind, missing, counts) = if is_categorical {
            let (kind, counts) = categories(column, &distinct, sampled, nans, parameters)?;
            (kind, if use_missing { Missing::Nan } else { Missing::None }, counts)
        } else {
            numbers(&distinct, sampled, nans, parameters)
        };
        let least = parameters.min_data_in_leaf as f64 * sampled as f64 / rows as f64;
        if counts.len() < 2 || !can_split(&counts, sampled, least as usize, is_categorical) {
            return Ok(None);
        }
        let most = counts.iter().copied().max().unwrap_or_default();
        let frequent = counts.iter().position(|&count| count == most).unwrap_or_default();
        let monotone = parameters.monotone_constraints.get(column).copied().unwrap_or_default();
        let mut feature = Feature { column, kind, bins: counts.len(), missing, zero: 0, frequent, monotone };
        feature.zero = feature.bin(0.0);
        Ok(Some(feature))
    }

    /// The bin of a value.
    pub(crate) fn bin(&self, value: f32) -> usize {
        if value.is_nan() && self.missing == Missing::Nan {
            return if matches!(self.kind, Kind::Numbers(_)) { self.bins - 1 } else { 0 };
        }
        let value = if value.is_nan() { 0.0 } else { value };
        match &self.kind {
            Kind::Numbers(bounds) => bounds.partition_point(|&bound| bound < f64::from(value)),
            Kind::Categories(categories) if value > -1.0 => {
                categories.iter().position(|&category| category == value as u32).map_or(0, |position| position + 1)
            }
            Kind::Categories(_) => 0,
        }
    }

    /// The bins of many values.
    pub(crate) fn bins_of(&self, values: &[f32]) -> Vec<u16> {
        let Kind::Categories(categories) = &self.kind else {
            return values.iter().map(|&value| self.bin(value) as u16).collect();
        };
        let last = categories.iter().copied().max().unwrap_or_default() as usize;
        let mut bins = vec![0; last + 1];
        for (position, &category) in categories.iter().enumerate() {
            bins[category as usize] = position as u16 + 1;
        }
        let bin = |value: f32| match value {
            _ if value.is_nan() => self.bin(value) as u16,
            _ if value > -1.0 => bins.get(value as usize).copied().unwrap_or_default(),
            _ => 0,
        };
        values.iter().map(|&value| bin(value)).collect()
    }

    /// Whether the search for a split reads the sum of the most frequent bin, which the table leaves out.
    pub(crate) fn reads_every_bin(&self) -> bool {
        self.frequent != 0 || self.missing_bin().is_some()
    }

    /// The bin that a split treats apart, as it sends missing values to the side that suits them.
    pub(crate) fn missing_bin(&self) -> Option<usize> {
        match (&self.kind, self.missing) {
            (Kind::Numbers(_), Missing::Nan) => Some(self.bins - 1),
            (Kind::Numbers(_), Missing::Zero) => Some(self.zero),
            _ => None,
        }
    }
}

/// The distinct values of a sorted sample without zeros, and how often each comes; zero among them where it comes.
fn distinct(sorted: &[f32], zeros: usize) -> Vec<(f64, usize)> {
    let mut distinct: Vec<(f64, usize)> = Vec::new();
    let negatives = sorted.partition_point(|&value| value < 0.0);
    let mut add = |values: &[f32]| {
        for &value in values {
            match distinct.last_mut() {
                Some((last, count)) if *last == f64::from(value) => *count += 1,
                _ => distinct.push((f64::from(value), 1)),
            }
        }
    };
    add(&sorted[..negatives]);
    if zeros > 0 {
        add(&[0.0]);
    }
    add(&sorted[negatives..]);
    if let Some((_, count)) = distinct.iter_mut().find(|(value, _)| *value == 0.0) {
        *count = zeros;
    }
    distinct
}

/// Bounds of numbers, what is missing among them, and the rows of each bin.
fn numbers(
    distinct: &[(f64, usize)],
    sampled: usize,
    nans: usize,
    parameters: &LambdaMart,
) -> (Kind, Missing, Vec<usize>) {
    let LambdaMart { max_bin, min_data_in_bin, use_missing, zero_as_missing, .. } = *parameters;
    let mut missing = match (use_missing, zero_as_missing, nans) {
        (false, ..) | (true, false, 0) => Missing::None,
        (true, true, _) => Missing::Zero,
        (true, false, _) => Missing::Nan,
    };
    let bounds = if missing == Missing::Nan {
        bounds_around_zero(distinct, max_bin - 1, sampled - nans, min_data_in_bin)
    } else {
        bounds_around_zero(distinct, max_bin, sampled, min_data_in_bin)
    };
    if missing == Missing::Zero && bounds.len() == 2 {
        missing = Missing::None;
    }
    let mut counts = vec![0; bounds.len()];
    let mut bin = 0;
    for &(value, count) in distinct {
        while value > bounds[bin] {
            bin += 1;
        }
        counts[bin] += count;
    }
    if missing == Missing::Nan {
        counts.push(nans);
    }
    (Kind::Numbers(bounds), missing, counts)
}

/// Bounds such that zero has a bin of its own, the others shared between the signs by their rows.
fn bounds_around_zero(distinct: &[(f64, usize)], max_bin: usize, rows: usize, min_data: usize) -> Vec<f64> {
    let zero = f64::from(ZERO);
    let left = distinct.partition_point(|&(value, _)| value <= -zero);
    let right = distinct.partition_point(|&(value, _)| value <= zero);
    let count = |values: &[(f64, usize)]| values.iter().map(|&(_, count)| count).sum::<usize>();
    let (lefts, zeros) = (count(&distinct[..left]), count(&distinct[left..right]));
    let mut bounds = Vec::new();
    if left > 0 && max_bin > 1 {
        let share = lefts as f64 / (rows - zeros) as f64 * (max_bin - 1) as f64;
        bounds = greedy_bounds(&distinct[..left], (share as usize).max(1), lefts, min_data);
        if let Some(last) = bounds.last_mut() {
            *last = (-zero).next_down(); // −1e-35 itself reads as 0
        }
    }
    let rest = (max_bin - 1).saturating_sub(bounds.len());
    if right < distinct.len() && rest > 0 {
        bounds.push(zero);
        bounds.extend(greedy_bounds(&distinct[right..], rest, count(&distinct[right..]), min_data));
    } else {
        bounds.push(f64::INFINITY);
    }
    bounds
}

/// Bounds such that bins have about as many rows as one another, and a value that many rows have has a bin for itself.
fn greedy_bounds(distinct: &[(f64, usize)], max_bin: usize, rows: usize, min_data: usize) -> Vec<f64> {
    let mut bounds: Vec<f64> = Vec::new();
    let mut add = |below: f64, above: f64| {
        let bound = f64::midpoint(below, above).next_up();
        let is_new = bounds.last().is_none_or(|&last| bound > last.next_up());
        if is_new {
            bounds.push(bound);
        }
        is_new
    };
    let last = distinct.len() - 1;
    if distinct.len() <= max_bin {
        let mut filled = 0;
        for position in 0..last {
            filled += distinct[position].1;
            if filled >= min_data && add(distinct[position].0, distinct[position + 1].0) {
                filled = 0;
            }
        }
        bounds.push(f64::INFINITY);
        return bounds;
    }
    let max_bin = rows.checked_div(min_data).map_or(max_bin, |most| max_bin.min(most).max(1));
    let mut mean = rows as f64 / max_bin as f64;
    let is_big: Vec<bool> = distinct.iter().map(|&(_, count)| count as f64 >= mean).collect();
    let bigs = || distinct.iter().zip(&is_big).filter(|(_, is_big)| **is_big);
    let mut rest_bins = max_bin as f64 - bigs().count() as f64;
    let mut rest_rows = rows - bigs().map(|((_, count), _)| count).sum::<usize>();
    mean = rest_rows as f64 / rest_bins;
    let (mut filled, mut made) = (0, 0);
    for position in 0..last {
        if made + 1 >= max_bin {
            break;
        }
        let count = distinct[position].1;
        if !is_big[position] {
            rest_rows -= count;
        }
        filled += count;
        let is_full = is_big[position]
            || filled as f64 >= mean
            || (is_big[position + 1] && filled as f64 >= (mean * 0.5).max(1.0));
        if !is_full {
            continue;
        }
        add(distinct[position].0, distinct[position + 1].0);
        made += 1;
        filled = 0;
        if !is_big[position] {
            rest_bins -= 1.0;
            mean = rest_rows as f64 / rest_bins;
        }
    }
    bounds.push(f64::INFINITY);
    bounds
}

/// The categories that get a bin, the most frequent first, and the rows of each bin.
fn categories(
    column: usize,
    distinct: &[(f64, usize)],
    sampled: usize,
    nans: usize,
    parameters: &LambdaMart,
) -> Result<(Kind, Vec<usize>)> {
    let mut found: Vec<(u32, usize)> = Vec::new();
    let mut others = nans;
    for &(value, count) in distinct {
        if value > f64::from(MAX_CATEGORY) {
            let way_out = "number the categories from 0 on without gaps";
            return Err(Error::Training(format!(
                "column {column} has the category {value}, above {MAX_CATEGORY}; {way_out}"
            )));
        }
        match found.last_mut() {
            _ if value <= -1.0 => others += count,
            Some((last, rows)) if *last == value as u32 => *rows += count,
            _ => found.push((value as u32, count)),
        }
    }
    found.sort_by_key(|&(_, count)| Reverse(count));
    let wanted = ((sampled - others) as f64 * KEPT_CATEGORIES).round() as usize;
    let most = parameters.max_bin.min(found.len() + usize::from(others > 0));
    let (mut kept, mut counts, mut covered) = (Vec::new(), vec![0], 0);
    for (position, &(category, count)) in found.iter().enumerate() {
        let is_enough = covered >= wanted && counts.len() >= most;
        let is_rare = count < parameters.min_data_in_bin && position > 1;
        if is_enough || is_rare || counts.len() > usize::from(u16::MAX) {
            break;
        }
        kept.push(category);
        counts.push(count);
        covered += count;
    }
    counts[0] = sampled - covered;
    Ok((Kind::Categories(kept), counts))
}

/// Whether some split would leave enough rows on both sides.
fn can_split(counts: &[usize], rows: usize, least: usize, is_categorical: bool) -> bool {
    let is_enough = |left: usize| left >= least && rows - left >= least;
    if is_categorical {
        return counts.len() > 2 || is_enough(counts[0]);
    }
    let sums = counts[..counts.len() - 1].iter().scan(0, |sum, &count| {
        *sum += count;
        Some(*sum)
    });
    sums.into_iter().any(is_enough)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn feature(values: &[f32], parameters: LambdaMart) -> Feature {
        let parameters = LambdaMart { min_data_in_leaf: 1, ..parameters };
        Feature::find(0, &mut values.to_vec(), values.len(), &parameters).unwrap().unwrap()
    }

    #[test]
    fn zero_and_what_is_missing_have_bins_of_their_own() {
        let values = [-2.0, -2.0, -1.0, 0.0, -0.0, 0.0, 3.0, 3.0, f32::NAN];
        let feature = feature(&values, LambdaMart { min_data_in_bin: 1, ..LambdaMart::default() });
        let bins: Vec<usize> = values.iter().map(|&value| feature.bin(value)).collect();
        assert_eq!(bins, [0, 0, 1, 2, 2, 2, 3, 3, 4]);
        assert_eq!(
            (feature.zero, feature.missing, feature.frequent, feature.missing_bin()),
            (2, Missing::Nan, 2, Some(4))
        );
        assert_eq!((feature.bin(f32::INFINITY), feature.bin(f32::NEG_INFINITY), feature.bin(1e-36)), (3, 0, 2));
    }

    #[test]
    fn frequent_categories_come_first_and_others_have_none() {
        let values = [7.0, 7.0, 7.0, 7.0, 2.0, 2.0, 2.0, 0.0, 0.0, 0.0, 5.0, -3.0, f32::NAN];
        let feature = feature(&values, LambdaMart { categorical_feature: vec![0], ..LambdaMart::default() });
        assert_eq!(feature.kind, Kind::Categories(vec![7, 0, 2]));
        let more = [7.9, 5.0, 1e9, f32::INFINITY, -0.5, f32::NEG_INFINITY, f32::NAN];
        for values in [&values[..], &more] {
            let one_by_one: Vec<u16> = values.iter().map(|&value| feature.bin(value) as u16).collect();
            assert_eq!(feature.bins_of(values), one_by_one);
        }
        assert_eq!(feature.bins_of(&more), [1, 0, 0, 0, 2, 0, 0]);
    }

    #[test]
    fn what_cannot_be_split_is_no_feature() {
        let parameters = LambdaMart::default();
        let find = |values: &[f32]| Feature::find(0, &mut values.to_vec(), values.len(), &parameters).unwrap();
        assert_eq!(find(&[1.0; 100]), None);
        assert_eq!(find(&[f32::NAN; 100]), None);
        let mut few = [0.0; 100];
        few[..19].fill(1.0);
        assert_eq!(find(&few), None);
        few[19] = 1.0;
        assert!(find(&few).is_some());
    }
}
