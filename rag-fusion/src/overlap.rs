//! How far two rankings agree.

use std::collections::HashSet;
use std::hash::Hash;

/// Persistence of rank-biased overlap: the first ten ranks have about 86 % of the weight (Webber, Moffat & Zobel 2010).
const PERSISTENCE: f64 = 0.9;

/// What two rankings have in common within a depth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Overlap {
    /// Documents that both have there.
    pub(crate) common: usize,
    /// Rank-biased overlap, extrapolated: `RBO_ext` of Webber, Moffat & Zobel (2010, equation 32 for lists of one length; a
    /// shorter list counts as if it ended there). 1 for equal rankings, 0 for disjoint ones and at depth 0.
    pub(crate) rbo: f64,
}

/// Compares the first `depth` documents, best first and without repetitions.
pub(crate) fn overlap<'a, Id: Eq + Hash + 'a>(
    one: impl IntoIterator<Item = &'a Id>,
    other: impl IntoIterator<Item = &'a Id>,
    depth: usize,
) -> Overlap {
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut seen: HashSet<&Id> = HashSet::new();
    let (mut common, mut share, mut sum, mut weight) = (0, 0.0, 0.0, 1.0);
    for rank in 1..=depth {
        // No ranking repeats a document, so what is seen again is in both.
        common += [one.next(), other.next()].into_iter().flatten().filter(|id| !seen.insert(id)).count();
        weight *= PERSISTENCE;
        share = common as f64 / rank as f64;
        sum += share * weight;
    }
    let rbo = share * weight + (1.0 - PERSISTENCE) / PERSISTENCE * sum;
    Overlap { common, rbo: rbo.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// By definition, from sets of prefixes.
    fn naive(a: &[u64], b: &[u64], depth: usize) -> Overlap {
        let common = |depth: usize| {
            let (a, b) = (&a[..depth.min(a.len())], &b[..depth.min(b.len())]);
            a.iter().filter(|id| b.contains(id)).count()
        };
        if depth == 0 {
            return Overlap { common: 0, rbo: 0.0 };
        }
        let share = |at: usize| common(at) as f64 / at as f64;
        let sum: f64 = (1..=depth).map(|at| share(at) * 0.9f64.powi(at as i32)).sum();
        Overlap { common: common(depth), rbo: share(depth) * 0.9f64.powi(depth as i32) + 0.1 / 0.9 * sum }
    }

    fn ids() -> impl Strategy<Value = Vec<u64>> {
        (0usize..15).prop_flat_map(|len| {
            Just((0..20u64).collect::<Vec<_>>()).prop_shuffle().prop_map(move |ids| ids[..len].to_vec())
        })
    }

    proptest! {
        #[test]
        fn it_is_that_of_the_definition(a in ids(), b in ids(), depth in 0usize..18) {
            let (fast, naive) = (overlap(&a, &b, depth), naive(&a, &b, depth));
            prop_assert_eq!(fast.common, naive.common);
            prop_assert!((fast.rbo - naive.rbo).abs() < 1e-12, "{fast:?} {naive:?}");
            prop_assert_eq!(fast, overlap(&b, &a, depth));
            let own = overlap(&a, &a, a.len());
            prop_assert!(a.is_empty() || (own.rbo - 1.0).abs() < 1e-12);
        }
    }
}
