//! Scores to an order.

use std::cmp::Ordering;

/// Digits of a pass, in bits.
const BITS: u32 = 10;
const BUCKETS: usize = 1 << BITS;
/// Fewer scores are sorted sooner by comparing than the buckets are counted.
const FEW: usize = 64;

/// The positions of finite scores, the highest first; equal scores as `ties` has them.
///
/// The scores are cut into a million steps between the least and the greatest, and the positions sorted by these in two
/// passes of counting; what falls on one step, which is little unless scores lie very unevenly, is sorted by comparing.
pub(crate) fn ranked(scores: &[f64], ties: impl Fn(u32, u32) -> Ordering) -> Vec<u32> {
    let compare = |one: u32, other: u32| {
        let by_score = crate::run::descending(scores[one as usize], scores[other as usize]);
        by_score.then_with(|| ties(one, other))
    };
    let (least, greatest) = scores.iter().fold((f64::MAX, f64::MIN), |(least, greatest), &score| {
        (if score < least { score } else { least }, if score > greatest { score } else { greatest })
    });
    let width = greatest - least;
    let steps = f64::from((1u32 << (2 * BITS)) - 1);
    let per_step = steps / width;
    if scores.len() < FEW || !width.is_finite() || !per_step.is_finite() {
        let mut order: Vec<u32> = (0..scores.len() as u32).collect();
        order.sort_unstable_by(|one, other| compare(*one, *other));
        return order;
    }
    // The step in the upper half, from the greatest score down, and the position in the lower. Rounding may put two scores on
    // one step, never in the wrong order.
    let step = |score: f64| ((greatest - score) * per_step).min(steps) as u64;
    let mut keys: Vec<u64> = scores.iter().zip(0..).map(|(&score, at)| step(score) << 32 | at).collect();
    let digit = |key: u64, pass: usize| (key >> (32 + pass as u32 * BITS)) as usize % BUCKETS;
    let mut counts = [[0u32; BUCKETS]; 2];
    for &key in &keys {
        counts[0][digit(key, 0)] += 1;
        counts[1][digit(key, 1)] += 1;
    }
    let mut sorted = vec![0; keys.len()];
    for (pass, counts) in counts.iter_mut().enumerate() {
        let mut before = 0;
        for count in counts.iter_mut() {
            before += std::mem::replace(count, before);
        }
        for &key in &keys {
            let place = &mut counts[digit(key, pass)];
            sorted[*place as usize] = key;
            *place += 1;
        }
        std::mem::swap(&mut keys, &mut sorted);
    }
    for of_step in keys.chunk_by_mut(|one, other| one >> 32 == other >> 32).filter(|of_step| of_step.len() > 1) {
        of_step.sort_unstable_by(|&one, &other| compare(one as u32, other as u32));
    }
    keys.into_iter().map(|key| key as u32).collect()
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
