//! Scores to an order.

use std::cmp::Ordering;

/// Digits of a pass, in bits.
const BITS: u32 = 11;
const BUCKETS: usize = 1 << BITS;
/// Fewer scores are sorted sooner by comparing than the buckets are counted.
const FEW: usize = 64;

/// The positions of finite scores, the highest first; equal scores as `ties` has them.
///
/// The scores are cut into four million steps between the least and the greatest, and the positions sorted by these in two
/// passes of counting; what falls on one step, which is little unless scores lie very unevenly, is sorted by comparing.
pub(crate) fn ranked(scores: &[f64], ties: impl Fn(u32, u32) -> Ordering) -> Vec<u32> {
    let compare = |one: &u32, other: &u32| {
        let by_score = crate::run::descending(scores[*one as usize], scores[*other as usize]);
        by_score.then_with(|| ties(*one, *other))
    };
    let mut order: Vec<u32> = (0..scores.len() as u32).collect();
    let (least, greatest) = scores.iter().fold((f64::MAX, f64::MIN), |(least, greatest), &score| {
        (if score < least { score } else { least }, if score > greatest { score } else { greatest })
    });
    let width = greatest - least;
    let steps = f64::from((1u32 << (2 * BITS)) - 1);
    let per_step = steps / width;
    if scores.len() < FEW || !width.is_finite() || !per_step.is_finite() {
        order.sort_unstable_by(compare);
        return order;
    }
    // From the greatest down. Rounding may put two scores on one step, never in the wrong order.
    let step = |score: f64| ((greatest - score) * per_step).min(steps) as u32;
    let steps: Vec<u32> = scores.iter().map(|&score| step(score)).collect();
    let mut counts = [[0u32; BUCKETS]; 2];
    for &step in &steps {
        counts[0][step as usize % BUCKETS] += 1;
        counts[1][step as usize / BUCKETS] += 1;
    }
    for counts in &mut counts {
        let mut before = 0;
        for count in counts.iter_mut() {
            before += std::mem::replace(count, before);
        }
    }
    let mut half = vec![0u32; scores.len()];
    for document in 0..scores.len() as u32 {
        let place = &mut counts[0][steps[document as usize] as usize % BUCKETS];
        half[*place as usize] = document;
        *place += 1;
    }
    for document in half {
        let place = &mut counts[1][steps[document as usize] as usize / BUCKETS];
        order[*place as usize] = document;
        *place += 1;
    }
    let mut begin = 0;
    while begin < order.len() {
        let of = steps[order[begin] as usize];
        let mut end = begin + 1;
        while end < order.len() && steps[order[end] as usize] == of {
            end += 1;
        }
        if end - begin > 1 {
            order[begin..end].sort_unstable_by(compare);
        }
        begin = end;
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_order_is_that_of_comparing(
            scores in prop::collection::vec(prop_oneof![
                any::<f64>().prop_filter("finite", |score| score.is_finite()),
                (0..20i32).prop_map(f64::from),
                (0..1000i32).prop_map(|rank| 1.0 / f64::from(60 + rank)),
                Just(-0.0),
            ], 0..300),
        ) {
            let mut plain: Vec<u32> = (0..scores.len() as u32).collect();
            plain.sort_by(|&a, &b| crate::run::descending(scores[a as usize], scores[b as usize]).then(b.cmp(&a)));
            prop_assert_eq!(ranked(&scores, |a, b| b.cmp(&a)), plain);
        }
    }
}
