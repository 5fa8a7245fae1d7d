//! The binomial distribution: tails, the exact test and interval, and a test that may be looked at any time.

use std::f64::consts::{LN_2, PI};

/// Logarithm of `n!`: the product up to 15, Stirling's series (Abramowitz & Stegun 6.1.41) beyond.
fn ln_factorial(n: u64) -> f64 {
    if n < 16 {
        return ((2..=n).product::<u64>() as f64).ln();
    }
    let n = n as f64;
    let square = 1.0 / (n * n);
    let series = (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0))) / n;
    n * n.ln() - n + (2.0 * PI * n).ln() / 2.0 + series
}

/// `P(X = k)` of `n` tries that each succeed with probability `p`, `0 < p < 1`.
fn mass(k: u64, n: u64, p: f64) -> f64 {
    let ways = ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
    (ways + k as f64 * p.ln() + (n - k) as f64 * (-p).ln_1p()).exp()
}

/// `P(X ≥ k)`, for `0 < p < 1`. The terms are added from `k` on away from the mean, where they fall.
pub(super) fn at_least(k: u64, n: u64, p: f64) -> f64 {
    if k == 0 {
        return 1.0;
    }
    if k > n {
        return 0.0;
    }
    if k as f64 <= n as f64 * p {
        return 1.0 - at_least(n - k + 1, n, 1.0 - p);
    }
    let (mut term, mut sum) = (mass(k, n, p), 0.0);
    for at in k..=n {
        sum += term;
        term *= (n - at) as f64 / (at + 1) as f64 * (p / (1.0 - p));
        if term <= sum * 1e-17 {
            break;
        }
    }
    sum.min(1.0)
}

/// Two-sided p-value of the exact sign test: the probability of at least so uneven wins if both sides were equal.
pub(super) fn sign_test(wins: u64, losses: u64) -> f64 {
    (2.0 * at_least(wins.max(losses), wins + losses, 0.5)).min(1.0)
}

/// The exact interval of Clopper & Pearson (1934) for the share of wins. It holds .5 just where the sign test does not
/// reject.
pub(super) fn interval(wins: u64, losses: u64, confidence: f64) -> (f64, f64) {
    let tail = (1.0 - confidence) / 2.0;
    (lowest_share(wins, wins + losses, tail), 1.0 - lowest_share(losses, wins + losses, tail))
}

/// The share at which at least `wins` of `n` have the probability `tail`.
fn lowest_share(wins: u64, n: u64, tail: f64) -> f64 {
    if wins == 0 {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if at_least(wins, n, middle) < tail { low = middle } else { high = middle }
    }
    low
}

/// A p-value that holds however often, and whenever, one looks: the inverse of the mixture likelihood ratio of all shares,
/// equally weighted, against .5 (Robbins 1970; Johari, Koomen, Pekelis & Walsh 2017), `2ⁿ · B(wins + 1, losses + 1)`. Under
/// equal sides the chance that it is ever at most α is at most α (Ville 1939).
pub(super) fn anytime_p(wins: u64, losses: u64) -> f64 {
    let n = wins + losses;
    let ratio = n as f64 * LN_2 + ln_factorial(wins) + ln_factorial(losses) - ln_factorial(n + 1);
    (-ratio).exp().min(1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::SplitMix64;

    /// Pascal's triangle.
    fn naive_at_least(k: u64, n: u64, p: f64) -> f64 {
        let mut mass = vec![1.0];
        for _ in 0..n {
            let mut next = vec![0.0; mass.len() + 1];
            for (at, value) in mass.iter().enumerate() {
                next[at] += value * (1.0 - p);
                next[at + 1] += value * p;
            }
            mass = next;
        }
        mass.iter().skip(k as usize).sum()
    }

    proptest! {
        #[test]
        fn tails_are_those_of_the_definition(n in 0u64..60, k in 0u64..62, p in 0.01..0.99f64) {
            let (fast, naive) = (at_least(k, n, p), naive_at_least(k, n, p));
            prop_assert!((fast - naive).abs() <= 1e-11 * naive.max(1e-3), "{fast} {naive}");
        }

        #[test]
        fn test_and_interval_agree(wins in 0u64..300, losses in 0u64..300, alpha in 0.001..0.2f64) {
            let p = sign_test(wins, losses);
            prop_assert_eq!(p, sign_test(losses, wins));
            let (low, high) = interval(wins, losses, 1.0 - alpha);
            let share = wins as f64 / (wins + losses).max(1) as f64;
            prop_assert!(wins + losses == 0 || (low <= share && share <= high));
            if (p - alpha).abs() > 1e-9 {
                prop_assert_eq!(p < alpha, low > 0.5 || high < 0.5);
            }
            prop_assert!(anytime_p(wins, losses) >= p || p > 0.3, "looking any time costs something");
        }
    }

    #[test]
    fn known_values() {
        let mut sum = 0.0;
        for n in 1..200u64 {
            sum += (n as f64).ln();
            assert!((ln_factorial(n) - sum).abs() < 1e-12 * (1.0 + sum), "{n}");
        }
        assert_eq!(
            (ln_factorial(0), sign_test(0, 0), interval(0, 0, 0.95), anytime_p(0, 0)),
            (0.0, 1.0, (0.0, 1.0), 1.0)
        );
        // 8 of 10 by hand: 2 · (45 + 10 + 1) / 1024.
        assert!((sign_test(8, 2) - 112.0 / 1024.0).abs() < 1e-15);
        assert!((anytime_p(8, 2) - (495.0f64 / 1024.0)).abs() < 1e-12);
        // Clopper & Pearson for 0 of 10: 1 − .025^(1/10).
        let (low, high) = interval(0, 10, 0.95);
        assert!(low == 0.0 && (high - (1.0 - 0.025f64.powf(0.1))).abs() < 1e-12);
        // Large counts: near the normal distribution, z = 2.
        assert!((sign_test(501_000, 499_000) - 0.0455).abs() < 1e-3);
    }

    #[test]
    fn looking_after_each_try_is_safe() {
        let mut random = SplitMix64::new(5);
        let (mut ever, mut ever_fixed) = (0, 0);
        for _ in 0..2000 {
            let (mut wins, mut losses, mut anytime, mut fixed) = (0, 0, 1.0f64, 1.0f64);
            for _ in 0..500 {
                let won = random.below(2) as u64;
                wins += won;
                losses += 1 - won;
                anytime = anytime.min(anytime_p(wins, losses));
                fixed = fixed.min(sign_test(wins, losses));
            }
            ever += u32::from(anytime <= 0.05);
            ever_fixed += u32::from(fixed <= 0.05);
        }
        // 5 % of 2,000 and three standard errors; the test for one look fails by far.
        assert!(ever <= 130 && ever_fixed > 400, "{ever} {ever_fixed}");
    }
}
