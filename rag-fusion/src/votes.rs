//! Majorities between two documents at a time.

use crate::fuse::{Side, Total};

/// For each document `1 +` those that it beats, `+ ½` for each that it draws with: see
/// [`Method::Condorcet`](crate::Method::Condorcet).
pub(crate) fn majorities(sides: &[Side], ranks: &[u32], documents: usize) -> Vec<f64> {
    let runs = sides.len();
    // A run prefers what it has to what it lacks: the rank of the latter is the largest number.
    let rank = |document: usize, run: usize| ranks[document * runs + run].wrapping_sub(1);
    let counted: Vec<(usize, f64)> =
        sides.iter().enumerate().map(|(run, side)| (run, side.weight)).filter(|(_, weight)| *weight > 0.0).collect();
    let mut scores = vec![1.0; documents];
    for one in 0..documents {
        for other in one + 1..documents {
            let mut votes = Total::default();
            for &(run, weight) in &counted {
                match rank(one, run).cmp(&rank(other, run)) {
                    std::cmp::Ordering::Less => votes.add(weight),
                    std::cmp::Ordering::Equal => {}
                    std::cmp::Ordering::Greater => votes.add(-weight),
                }
            }
            let votes = votes.sum();
            let (of_one, of_other) = if votes > 0.0 {
                (1.0, 0.0)
            } else if votes < 0.0 {
                (0.0, 1.0)
            } else {
                (0.5, 0.5)
            };
            scores[one] += of_one;
            scores[other] += of_other;
        }
    }
    scores
}
