//! The best split of a leaf by a feature of categories.

use crate::train::histogram::Sum;
use crate::train::split::{Candidate, Cut, Node, Rules};

/// Each category against the rest where there are few; otherwise categories sorted by their mean derivative, from either
/// end (Fisher 1958, smoothed and bounded as LightGBM does).
pub(crate) fn best(position: usize, histogram: &[Sum], node: &Node, rules: &Rules<'_>) -> Option<Candidate> {
    let candidate = if histogram.len() <= rules.parameters.max_cat_to_onehot {
        one_against_rest(histogram, node, rules)
    } else {
        from_either_end(histogram, node, rules)
    };
    candidate.map(|candidate| Candidate { feature: position, ..candidate })
}

fn candidate(gain: f64, bins: Vec<usize>, left: Sum, l2: f64, node: &Node) -> Candidate {
    let cut = Cut::OneOf(bins);
    Candidate { gain: gain - node.least_gain, feature: 0, cut, missing_left: false, left, l2 }
}

fn one_against_rest(histogram: &[Sum], node: &Node, rules: &Rules<'_>) -> Option<Candidate> {
    let mut best: Option<(f64, usize)> = None;
    for (bin, &left) in histogram.iter().enumerate().skip(1) {
        let (rows, right) = (node.rows_of(left), node.sum.minus(left));
        if rules.is_too_small(rows, left) || rules.is_too_small(node.rows as i64 - rows, right) {
            continue;
        }
        let gain = rules.gain(left, right, 0.0, 0, node.bounds);
        if gain > best.map_or(node.least_gain, |(gain, _)| gain) {
            best = Some((gain, bin));
        }
    }
    best.map(|(gain, bin)| candidate(gain, vec![bin], histogram[bin], 0.0, node))
}

fn from_either_end(histogram: &[Sum], node: &Node, rules: &Rules<'_>) -> Option<Candidate> {
    let parameters = rules.parameters;
    let is_seen = |bin: &usize| node.rows_of(histogram[*bin]) as f64 >= parameters.cat_smooth;
    let mut sorted: Vec<usize> = (1..histogram.len()).filter(is_seen).collect();
    let mean = |bin: usize| {
        rules.units.gradient(histogram[bin]) / (rules.units.hessian(histogram[bin]) + parameters.cat_smooth)
    };
    sorted.sort_by(|&one, &other| mean(one).total_cmp(&mean(other)));
    let most = parameters.max_cat_threshold.min(sorted.len().div_ceil(2));
    let least_group = parameters.min_data_per_group as i64;
    let mut best: Option<(f64, usize, Sum)> = None;
    let mut best_order: Vec<usize> = Vec::new();
    for is_from_end in [false, true] {
        if is_from_end {
            sorted.reverse();
        }
        let (mut left, mut left_rows, mut group) = (Sum::default(), 0, 0);
        let mut found = false;
        for (taken, &bin) in sorted.iter().take(most).enumerate() {
            let rows = node.rows_of(histogram[bin]);
            left = left.plus(histogram[bin]);
            left_rows += rows;
            group += rows;
            if rules.is_too_small(left_rows, left) {
                continue;
            }
            let (right, right_rows) = (node.sum.minus(left), node.rows as i64 - left_rows);
            if rules.is_too_small(right_rows, right) || right_rows < least_group {
                break;
            }
            if group < least_group {
                continue;
            }
            group = 0;
            let gain = rules.gain(left, right, parameters.cat_l2, 0, node.bounds);
            if gain > best.map_or(node.least_gain, |(gain, ..)| gain) {
                best = Some((gain, taken + 1, left));
                found = true;
            }
        }
        if found {
            best_order.clone_from(&sorted);
        }
    }
    let (gain, taken, left) = best?;
    best_order.truncate(taken);
    Some(candidate(gain, best_order, left, parameters.cat_l2, node))
}
