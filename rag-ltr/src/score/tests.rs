//! Every way of scoring against the plainest one.

#![allow(clippy::unwrap_used)]

use super::single::Bundles;
use super::walk::Walk;
use super::words::{Kernel, Words};
use super::{Few, LANES, Scorer, Sum, arch, portable, walk, words};
use crate::matrix::Rows;
use crate::model::{
    Arithmetic, Child, Condition, Ensemble, EnsembleParts, Leaf, LinearLeaf, Link, Missing, Split, Tree,
};
use crate::model::{Model, Ranker};
use crate::random::SplitMix64;

/// What random trees may have.
#[derive(Clone, Copy)]
struct Kind {
    leaves: usize,
    categories: bool,
    linear: bool,
    mixed_zero: bool,
}

const PLAIN: Kind = Kind { leaves: 31, categories: false, linear: false, mixed_zero: false };

/// A tree grown by splitting a random leaf again and again: from balanced to a chain.
fn tree(random: &mut SplitMix64, columns: usize, kind: Kind) -> Tree {
    let leaves = 1 + random.below(kind.leaves);
    let value = |random: &mut SplitMix64| random.fraction() - 0.5;
    let mut tree = Tree::constant(value(random));
    let linear = |random: &mut SplitMix64| {
        let is_linear = kind.linear && random.below(3) == 0;
        is_linear.then(|| LinearLeaf { constant: 0.5, terms: vec![(random.below(columns) as u32, 0.25), (0, -1.5)] })
    };
    while tree.leaves.len() < leaves {
        let leaf = if random.below(2) == 0 { tree.leaves.len() - 1 } else { random.below(tree.leaves.len()) };
        let (split, new) = (tree.splits.len() as u32, tree.leaves.len() as u32);
        for parent in &mut tree.splits {
            for side in [&mut parent.left, &mut parent.right] {
                if *side == Child::Leaf(leaf as u32) {
                    *side = Child::Split(split);
                }
            }
        }
        let sides = [Child::Leaf(leaf as u32), Child::Leaf(new)];
        let flip = random.below(2);
        let feature = random.below(columns);
        let condition = if kind.categories && random.below(4) == 0 {
            let words = vec![random.next_u64() as u32, random.next_u64() as u32];
            if random.below(2) == 0 { Condition::OneOf(words) } else { Condition::OneOfFromZero(words) }
        } else {
            Condition::AtMost(
                [0.0, -0.0, 1e-36, 0.1, 1.5, -3.0, random.fraction(), 1e300, f64::NEG_INFINITY, f64::INFINITY]
                    [random.below(10)],
            )
        };
        let missing = match (kind.mixed_zero, feature % 3) {
            (true, _) => [Missing::None, Missing::Zero, Missing::Nan][random.below(3)],
            (_, 0) => Missing::Zero,
            (_, 1) => Missing::Nan,
            _ => Missing::None,
        };
        tree.splits.push(Split {
            feature: feature as u32,
            condition,
            missing,
            missing_left: random.below(2) == 0,
            left: sides[flip],
            right: sides[1 - flip],
            gain: 0.0,
            value: 0.0,
            weight: 0.0,
            cover: 0.0,
        });
        tree.leaves.push(Leaf { value: value(random), linear: linear(random), ..Leaf::default() });
    }
    tree
}

fn ensemble(random: &mut SplitMix64, columns: usize, trees: usize, kind: Kind) -> EnsembleParts {
    EnsembleParts {
        columns,
        names: Vec::new(),
        trees: (0..trees).map(|_| tree(random, columns, kind)).collect(),
        base: 0.1,
        arithmetic: if random.below(2) == 0 { Arithmetic::F64 } else { Arithmetic::F32 },
        average: random.below(4) == 0,
        link: Link::Identity,
    }
}

fn rows(random: &mut SplitMix64, rows: usize, columns: usize) -> Vec<f32> {
    let odd = [0.0, -0.0, 1e-36, -1e-35, 0.1, 1.5, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 63.9, 64.0, -0.5, -1.0];
    let value = |random: &mut SplitMix64| match random.below(3) {
        0 => odd[random.below(odd.len())],
        1 => random.fraction() as f32,
        _ => random.below(70) as f32,
    };
    (0..rows * columns).map(|_| value(random)).collect()
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn blocks_and_walks_equal_the_plain_sum_to_the_bit() {
    let kinds = [
        PLAIN,
        Kind { leaves: 64, ..PLAIN },
        Kind { leaves: 300, ..PLAIN },
        Kind { leaves: 1, ..PLAIN },
        Kind { leaves: 3000, ..PLAIN },
        Kind { categories: true, ..PLAIN },
        Kind { linear: true, leaves: 70, ..PLAIN },
        Kind { mixed_zero: true, ..PLAIN },
        Kind { categories: true, linear: true, mixed_zero: true, leaves: 100 },
    ];
    for seed in 0..130 {
        let mut random = SplitMix64::new(seed);
        let kind = kinds[seed as usize % kinds.len()];
        let columns = 1 + random.below(if seed % 5 == 0 { 600 } else { 20 });
        let trees = random.below(40);
        let ensemble = Ensemble::checked(ensemble(&mut random, columns, trees, kind)).unwrap();
        for count in [0, 1, 4, 5, 15, 16, 17, 21, 64, 65, 100, 150] {
            let values = rows(&mut random, count, columns);
            let rows = Rows::new(&values, columns).unwrap();
            let plain = ensemble.margins_plainly(rows).unwrap();
            assert_eq!(bits(&ensemble.margins(rows).unwrap()), bits(&plain), "seed {seed}, {count} rows");
            let parts = ensemble.parts();
            for (name, few) in each_few(parts) {
                let margins = match parts.arithmetic {
                    Arithmetic::F64 => margins_of_few::<f64>(parts, rows, few),
                    Arithmetic::F32 => margins_of_few::<f32>(parts, rows, few),
                };
                assert_eq!(bits(&margins), bits(&plain), "{name}, seed {seed}, {count} rows one by one");
            }
        }
    }
}

/// All ways of this machine to score a few rows.
fn each_few(parts: &EnsembleParts) -> Vec<(&'static str, Few)> {
    let words = || Words::new(parts);
    let mut ways: Vec<_> = each(|kernels| kernels.walk, portable::walk as walk::Kernel)
        .into_iter()
        .map(|(name, kernel)| (name, Few::Walk(Walk::new(parts, &words()), kernel)))
        .collect();
    for (name, kernels) in arch::available() {
        ways.extend(kernels.single.map(|kernel| (name, Few::Single(Bundles::new(&words()), kernel))));
    }
    ways
}

/// The margins of rows, one after the other.
fn margins_of_few<S: Sum>(parts: &EnsembleParts, rows: Rows<'_>, few: Few) -> Vec<f64> {
    let scorer = Scorer { few, ..Scorer::new(parts) };
    let sum = |row| scorer.sums::<S>(row, &parts.trees)[0];
    let one = |row| rows.slice(row..row + 1);
    (0..rows.len()).map(|row| scorer.margin(sum(one(row)).to_f64())).collect()
}

#[test]
fn chains_and_lone_leaves_walk_together() {
    let at_most = |threshold: f64, missing_left, sides: [Child; 2]| Split {
        feature: 0,
        condition: Condition::AtMost(threshold),
        missing: Missing::Nan,
        missing_left,
        left: sides[0],
        right: sides[1],
        gain: 0.0,
        value: 0.0,
        weight: 0.0,
        cover: 0.0,
    };
    // As many leaves as a tree of words may have, and one more.
    for leaves in [2usize, 3, 33, 1024, 1025] {
        for missing_left in [false, true] {
            let mut chain = Tree::constant(0.0);
            chain.leaves = (0..leaves).map(|leaf| Leaf { value: leaf as f64, ..Leaf::default() }).collect();
            let below = |split: usize| {
                let next = split as u32 + 1;
                if split + 2 == leaves { Child::Leaf(next) } else { Child::Split(next) }
            };
            let split = |split: usize| at_most(split as f64, missing_left, [Child::Leaf(split as u32), below(split)]);
            chain.splits = (0..leaves - 1).map(split).collect();
            let mut parts = ensemble(&mut SplitMix64::new(leaves as u64), 1, 37, PLAIN);
            parts.trees.extend([Tree::constant(0.5), chain, Tree::constant(-0.25)]);
            let values = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, 0.5, 31.0, 32.0, 1022.0, 1022.5, 1e9];
            let rows = Rows::new(&values, 1).unwrap();
            let plain = Ensemble::checked(parts.clone()).unwrap().margins_plainly(rows).unwrap();
            for (name, few) in each_few(&parts) {
                let margins = match parts.arithmetic {
                    Arithmetic::F64 => margins_of_few::<f64>(&parts, rows, few),
                    Arithmetic::F32 => margins_of_few::<f32>(&parts, rows, few),
                };
                assert_eq!(bits(&margins), bits(&plain), "{name}, {leaves} leaves, {missing_left}");
            }
        }
    }
}

/// All kernels of this machine, also those that are not chosen.
fn each<K>(of: impl Fn(&arch::Kernels) -> K, portable: K) -> Vec<(&'static str, K)> {
    let mut kernels: Vec<_> = arch::available().iter().map(|(name, kernels)| (*name, of(kernels))).collect();
    kernels.push(("portable", portable));
    kernels
}

fn kernels_agree<S: Sum + PartialEq>(arithmetic: Arithmetic, of: fn(&arch::Kernels) -> Kernel<S>) {
    for seed in 0..100 {
        let mut random = SplitMix64::new(seed);
        let (columns, leaves) = (1 + random.below(30), [31, 64, 200][seed as usize % 3]);
        let mut parts = ensemble(&mut random, columns, 20, Kind { leaves, ..PLAIN });
        parts.arithmetic = arithmetic;
        let count = 1 + random.below(LANES * words::GROUPS);
        let values = rows(&mut random, count, columns);
        let rows = Rows::new(&values, columns).unwrap();
        let scorer = Scorer::new(&parts);
        let sums = |kernel| {
            let mut sums = vec![S::of(0.5); count];
            scorer.words.add_up(rows, &parts.trees, &scorer.words.steps, &mut sums, kernel);
            bits(&sums.into_iter().map(Sum::to_f64).collect::<Vec<_>>())
        };
        let all = each(of, portable::add_up::<S> as Kernel<S>);
        for (name, kernel) in &all[..all.len() - 1] {
            assert_eq!(sums(*kernel), sums(portable::add_up::<S>), "{name}, seed {seed}, {count} rows");
        }
    }
}

#[test]
fn every_kernel_of_this_machine_equals_the_portable_one() {
    kernels_agree::<f64>(Arithmetic::F64, |kernels| kernels.f64);
    kernels_agree::<f32>(Arithmetic::F32, |kernels| kernels.f32);
}

#[test]
fn the_best_rows_are_those_of_a_full_ranking() {
    let kinds = [PLAIN, Kind { categories: true, leaves: 70, ..PLAIN }, Kind { linear: true, ..PLAIN }];
    for seed in 0..60 {
        let mut random = SplitMix64::new(seed);
        let columns = 1 + random.below(20);
        let mut parts = ensemble(&mut random, columns, 100, kinds[seed as usize % kinds.len()]);
        // As in boosting, later trees say less, so that bounds get narrow.
        for (position, tree) in parts.trees.iter_mut().enumerate() {
            tree.leaves.iter_mut().for_each(|leaf| leaf.value /= (1 + position * position) as f64);
        }
        let ensemble = Ensemble::checked(parts).unwrap();
        let mut values = rows(&mut random, 200, columns);
        // A linear leaf makes of an infinite value a margin that is no number, which no order has a place for.
        values.iter_mut().filter(|value| value.is_infinite()).for_each(|value| *value = 1.0);
        let rows = Rows::new(&values, columns).unwrap();
        let margins = ensemble.margins(rows).unwrap();
        let mut order: Vec<(usize, f64)> = margins.iter().copied().enumerate().collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        for k in [0, 1, 10, 100, 199, 200, 500] {
            assert_eq!(ensemble.best(rows, k, 0.0).unwrap(), order[..k.min(200)], "seed {seed}, {k}");
            let near = ensemble.best(rows, k, 0.05).unwrap();
            assert_eq!(near.len(), k.min(200));
            let tolerance = 0.05 / if ensemble.parts().average { 100.0 } else { 1.0 } + 1e-6;
            for &(row, margin) in &near {
                assert_eq!(margin, margins[row]);
                let left_out = order.iter().find(|(row, _)| near.iter().all(|(given, _)| given != row));
                assert!(left_out.is_none_or(|(_, best)| *best <= margin + tolerance), "seed {seed}, {k}");
            }
        }
    }
    let ensemble = Ensemble::checked(ensemble(&mut SplitMix64::new(1), 2, 3, PLAIN)).unwrap();
    assert!(ensemble.best(Rows::new(&[1.0, 2.0], 2).unwrap(), 1, f64::NAN).is_err());
}

#[test]
fn threads_do_not_change_a_score() {
    let mut random = SplitMix64::new(5);
    let parts = ensemble(&mut random, 7, 20, Kind { categories: true, ..PLAIN });
    let ranker = Ranker::new(Model::Trees(Ensemble::checked(parts).unwrap())).unwrap();
    let values = rows(&mut random, 10_000, 7);
    let rows = Rows::new(&values, 7).unwrap();
    for threads in [0, 1, 2, 5] {
        assert_eq!(bits(&ranker.score_with_threads(rows, threads).unwrap()), bits(&ranker.score(rows).unwrap()));
    }
    assert!(ranker.score_with_threads(Rows::new(&values, 8).unwrap(), 2).is_err());
}
