//! Ensembles that no LightGBM made, written for it.

use rag_ltr::model::{
    Arithmetic, Child, Condition, Ensemble, EnsembleParts, Leaf, LinearLeaf, Link, Missing, Split, Tree, ZERO,
};
use rag_ltr::random::SplitMix64;
use rag_ltr::{Error, Rows};

fn pick<T: Copy>(random: &mut SplitMix64, items: &[T]) -> T {
    items[random.below(items.len())]
}

fn number(random: &mut SplitMix64) -> f64 {
    let scale = pick(random, &[1e-310, 1e-12, 0.1, 1.0, 1.0, 1.0, 1e9, 1e200]);
    (random.fraction() * 2.0 - 1.0) * scale
}

fn threshold(random: &mut SplitMix64) -> f64 {
    let whole = random.below(9) as f64 - 4.0;
    let near = f64::from(whole as f32 + random.fraction() as f32);
    // The last is how `value < threshold` of 32 bits reads.
    match random.below(5) {
        0 if whole != 0.0 => whole,
        0 | 1 => near + 1e-9,
        2 => f64::from(pick(random, &[ZERO, (-ZERO).next_down(), f32::MAX, f32::INFINITY, f32::NEG_INFINITY])),
        _ => f64::from((near as f32).next_down()),
    }
}

fn split(random: &mut SplitMix64, columns: usize, left: Child, right: Child) -> Split {
    let missing = pick(random, &[Missing::None, Missing::Zero, Missing::Nan]);
    let kind = random.below(12);
    let is_set = kind < 2;
    let words = |random: &mut SplitMix64| (0..random.below(4)).map(|_| random.next_u64() as u32 & !1).collect();
    Split {
        feature: random.below(columns) as u32,
        condition: match kind {
            0 => Condition::OneOf(words(random)),
            1 => Condition::OneOfFromZero(words(random)),
            _ => Condition::AtMost(threshold(random)),
        },
        missing,
        missing_left: !is_set && random.below(2) == 0,
        left,
        right,
        gain: number(random),
        value: number(random),
        weight: random.fraction() * 9.0,
        cover: random.fraction() * 9.0,
    }
}

fn tree(random: &mut SplitMix64, columns: usize) -> Tree {
    let count = pick(random, &[0, 1, 2, 7, 30, 80]);
    let is_linear = random.below(6) == 0;
    // Nodes are joined in pairs until one is left. The root is the first split.
    let mut open: Vec<Child> = (0..=count as u32).map(Child::Leaf).collect();
    let mut splits = Vec::new();
    for place in (0..count as u32).rev() {
        let left = open.swap_remove(random.below(open.len()));
        let right = open.swap_remove(random.below(open.len()));
        splits.push(split(random, columns, left, right));
        open.push(Child::Split(place));
    }
    splits.reverse();
    let leaf = |random: &mut SplitMix64| {
        let terms = (0..random.below(3)).map(|_| (random.below(columns) as u32, random.fraction() - 0.5)).collect();
        let linear = LinearLeaf { constant: random.fraction(), terms };
        let linear = (is_linear && random.below(3) > 0).then_some(linear);
        // LightGBM does not read every number of a linear tree.
        let value = if is_linear { random.fraction() } else { number(random) };
        Leaf { value, weight: random.fraction(), cover: random.fraction() * 9.0, linear }
    };
    Tree { splits, leaves: (0..=count).map(|_| leaf(random)).collect() }
}

/// An ensemble that LightGBM can hold, with thresholds of 32 bits, a base, and links of its own.
pub(crate) fn synthetic(random: &mut SplitMix64) -> Ensemble {
    let columns = 1 + random.below(6);
    let trees: Vec<Tree> = (0..random.below(7)).map(|_| tree(random, columns)).collect();
    let has_linear = |tree: &Tree| tree.leaves.iter().any(|leaf| leaf.linear.is_some());
    let average = random.below(4) == 0 && trees.first().is_some_and(|tree| !has_linear(tree));
    let names = if random.below(2) == 0 { Vec::new() } else { (0..columns).map(|at| format!("f={at}~ü")).collect() };
    let steepness = pick(random, &[1.0, 0.3, 2.5e-5]);
    let links = [Link::Identity, Link::Exp, Link::Softplus, Link::SignedSquare, Link::Sigmoid { steepness }];
    let base = pick(random, &[0.0, 0.5, -1.0 / 3.0, 1e-20]);
    let (arithmetic, link) = (Arithmetic::F64, pick(random, &links));
    Ensemble::checked(EnsembleParts { columns, names, trees, base, arithmetic, average, link }).unwrap()
}

/// Values for rows, hard ones among them.
pub(crate) fn values(random: &mut SplitMix64, count: usize) -> Vec<f32> {
    let hard = [f32::NAN, 0.0, -0.0, 1e-36, -1e-36, ZERO, -ZERO, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 3e9, -0.5];
    let value = |random: &mut SplitMix64| match random.below(4) {
        0 => pick(random, &hard),
        1 => random.below(100) as f32,
        _ => threshold(random) as f32,
    };
    (0..count).map(|_| value(random)).collect()
}

/// Equal to the bit but for the sign of a zero.
pub(crate) fn assert_same(name: &str, ours: &[f64], theirs: &[f64]) {
    let plain = |values: &[f64]| -> Vec<f64> { values.iter().map(|value| value + 0.0).collect() };
    crate::cases::assert_same_bits(name, &plain(ours), &plain(theirs));
}

#[test]
fn what_is_written_scores_the_same() {
    let mut random = SplitMix64::new(11);
    for round in 0..1500 {
        let ensemble = synthetic(&mut random);
        let columns = ensemble.parts().columns;
        let text = ensemble.to_lightgbm().unwrap();
        let again = Ensemble::from_lightgbm(text.as_bytes()).unwrap_or_else(|error| panic!("{round}: {error}\n{text}"));
        let values = values(&mut random, 40 * columns);
        let rows = Rows::new(&values, columns).unwrap();
        let name = format!("round {round}");
        assert_same(&name, &again.margins(rows).unwrap(), &ensemble.margins(rows).unwrap());
        assert_eq!(again.parts().link, ensemble.parts().link);
        assert_eq!(again.to_lightgbm().unwrap(), text);
    }
}

fn parts() -> EnsembleParts {
    EnsembleParts {
        columns: 2,
        names: Vec::new(),
        trees: vec![Tree {
            splits: vec![Split {
                feature: 1,
                condition: Condition::AtMost(0.5),
                missing: Missing::Nan,
                missing_left: true,
                left: Child::Leaf(0),
                right: Child::Leaf(1),
                gain: f64::NAN,
                value: 0.0,
                weight: 0.0,
                cover: 3.4,
            }],
            leaves: vec![
                Leaf { value: 1.0, cover: 0.2, ..Leaf::default() },
                Leaf { value: 0.1, cover: 3.2, ..Leaf::default() },
            ],
        }],
        base: 0.0,
        arithmetic: Arithmetic::F64,
        average: false,
        link: Link::Identity,
    }
}

#[test]
fn covers_are_whole_rows_and_a_base_is_in_the_first_tree() {
    let text = Ensemble::checked(EnsembleParts { base: 0.2, ..parts() }).unwrap().to_lightgbm().unwrap();
    for line in ["leaf_count=1 3", "internal_count=3", "split_gain=0.0", "feature_names=Column_0 Column_1"] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    assert!(text.contains(&format!("leaf_value=1.2 {:?}\n", 0.1 + 0.2)), "{text}");
    assert!(text.contains("feature_infos=none [0.5:0.5]\n"), "{text}");
    let size = text.find("end of trees").unwrap() - text.find("Tree=0").unwrap();
    assert!(text.contains(&format!("tree_sizes={size}\n")), "{text}");
}

#[test]
fn what_lightgbm_has_not_is_refused() {
    let refused = |what: &str, change: &dyn Fn(&mut EnsembleParts)| {
        let mut parts = parts();
        change(&mut parts);
        let answer = Ensemble::checked(parts).unwrap().to_lightgbm();
        assert!(
            matches!(&answer, Err(Error::Unsupported(found)) if found.contains(what)),
            "{answer:?} is not about {what}"
        );
    };
    refused("32 bits", &|parts| parts.arithmetic = Arithmetic::F32);
    refused("binary:hinge", &|parts| parts.link = Link::Step);
    refused("steepness", &|parts| parts.link = Link::Sigmoid { steepness: -1.0 });
    for threshold in [0.0, 1e-36, -1e-36, -f64::from(ZERO)] {
        refused("reads values that close to 0", &|parts| {
            parts.trees[0].splits[0].condition = Condition::AtMost(threshold);
        });
    }
    for (missing, missing_left, word) in [(Missing::Nan, true, 2), (Missing::None, false, 1), (Missing::Zero, false, 1)]
    {
        refused("a missing value sent to a set", &|parts| {
            let split = &mut parts.trees[0].splits[0];
            (split.condition, split.missing, split.missing_left) =
                (Condition::OneOf(vec![word]), missing, missing_left);
        });
    }
    refused("the category 0", &|parts| {
        let split = &mut parts.trees[0].splits[0];
        (split.condition, split.missing_left) = (Condition::OneOfFromZero(vec![1]), false);
    });
    refused("an average of no trees", &|parts| (parts.average, parts.trees) = (true, Vec::new()));
    refused("no longer finite", &|parts| (parts.base, parts.trees[0].leaves[0].value) = (f64::MAX, f64::MAX));
    refused("cover of 1e20", &|parts| parts.trees[0].leaves[0].cover = 1e20);
    let linear = |constant| Some(LinearLeaf { constant, terms: vec![(0, 1.0)] });
    refused("closer to 0 than", &|parts| parts.trees[0].leaves[0].linear = linear(1e-310));
    refused("average of linear leaves", &|parts| {
        (parts.base, parts.average, parts.trees[0].leaves[0].linear) = (1.0, true, linear(1.0));
    });
    for name in ["", "a b", "a\u{a0}", "=a", "a=", "a\n"] {
        refused("the feature name", &|parts| parts.names = vec!["a".to_owned(), name.to_owned()]);
    }
}
