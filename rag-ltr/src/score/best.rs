//! The best rows, without asking all trees about the others.

use super::Sum;
use super::words::Words;
use crate::matrix::Rows;
use crate::model::Tree;

/// The `k` rows with the largest sums, best first, equal ones in their order. After each step a row leaves that cannot
/// come within `tolerance` above the `k`-th any more, whatever the trees that are left answer.
pub(super) fn best<S: Sum>(
    words: &Words,
    rows: Rows<'_>,
    trees: &[Tree],
    base: f64,
    k: usize,
    tolerance: f64,
) -> Vec<(usize, f64)> {
    let mut left: Vec<usize> = (0..rows.len()).collect();
    let mut sums = vec![S::of(base); rows.len()];
    let mut gathered: Vec<f32> = Vec::new();
    for (position, step) in words.steps.iter().enumerate() {
        let all_are_left = left.len() == rows.len();
        let of_left = if all_are_left { rows } else { Rows::of(&gathered, rows.columns()) };
        words.add_up(of_left, trees, &words.steps[position..=position], &mut sums, S::kernel());
        let mut order: Vec<usize> = (0..left.len()).collect();
        if left.len() <= k || k == 0 {
            continue;
        }
        order.select_nth_unstable_by(k - 1, |&a, &b| sums[b].to_f64().total_cmp(&sums[a].to_f64()).then(a.cmp(&b)));
        let largest = sums.iter().fold(step.reach, |largest, sum| (sum.to_f64().abs() + step.reach).max(largest));
        let rounding = trees.len() as f64 * S::EPSILON * largest;
        let enough = sums[order[k - 1]].to_f64() + step.least - rounding + tolerance;
        let mut keeps: Vec<bool> = sums.iter().map(|sum| sum.to_f64() + step.most + rounding >= enough).collect();
        order[..k].iter().for_each(|&best| keeps[best] = true);
        if keeps.iter().filter(|&&keep| keep).count() * 4 > left.len() * 3 {
            continue; // too few leave for what copying the others costs
        }
        let mut at = keeps.iter();
        left.retain(|_| at.next() == Some(&true));
        let mut at = keeps.iter();
        sums.retain(|_| at.next() == Some(&true));
        gathered = left.iter().flat_map(|&row| rows.row(row)).copied().collect();
    }
    let mut found: Vec<(usize, f64)> = left.into_iter().zip(sums.into_iter().map(Sum::to_f64)).collect();
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    found.truncate(k);
    found
}
