//! Contributions of features: equal to LightGBM's and XGBoost's (`fixtures/make_shap.py` makes what is compared with), and
//! to Shapley values by their definition on trees that are small enough for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Read as _;
use std::path::Path;

use proptest::prelude::*;
use rag_ltr::model::{
    Arithmetic, Child, Condition, Ensemble, EnsembleParts, Leaf, LinearColumn, LinearLeaf, LinearModel, Link, Missing,
    Model, Split, Tree,
};
use rag_ltr::random::SplitMix64;
use rag_ltr::{Error, Explained, Ranker, Rows};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    model: EnsembleParts,
    rows: Vec<Vec<Option<f32>>>,
    contributions: Vec<Vec<f64>>,
    expected: f64,
    margins: Vec<f64>,
}

fn fixture(name: &str) -> Fixture {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/shap").join(format!("{name}.json.gz"));
    let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut json = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut json).unwrap();
    serde_json::from_str(&json).unwrap()
}

fn ranker(parts: EnsembleParts) -> Ranker {
    Ranker::new(Model::Trees(Ensemble::checked(parts).unwrap())).unwrap()
}

fn parts(columns: usize, trees: Vec<Tree>) -> EnsembleParts {
    let (arithmetic, link) = (Arithmetic::F64, Link::Identity);
    EnsembleParts { columns, names: Vec::new(), trees, base: 0.25, arithmetic, average: false, link }
}

/// The tolerance is relative to the largest margin.
fn assert_equal(name: &str, tolerance: f64) {
    let Fixture { model, rows, contributions, expected, margins } = fixture(name);
    let columns = model.columns;
    let values: Vec<f32> = rows.iter().flatten().map(|value| value.unwrap_or(f32::NAN)).collect();
    let rows = Rows::new(&values, columns).unwrap();
    let ranker = ranker(model);
    let explained = ranker.explain(rows).unwrap();
    let scale = margins.iter().fold(1.0, |scale: f64, margin| scale.max(margin.abs()));
    for (row, theirs) in contributions.iter().enumerate() {
        for (column, (ours, theirs)) in explained.row(row).iter().zip(theirs).enumerate() {
            let difference = (ours - theirs).abs();
            assert!(difference <= tolerance * scale, "{name}, row {row}, column {column}: {ours} instead of {theirs}");
        }
    }
    assert!((explained.expected() - expected).abs() <= tolerance * scale, "{name}: {}", explained.expected());
    for (ours, theirs) in ranker.margins(rows).unwrap().into_iter().zip(margins) {
        assert!((ours - theirs).abs() <= tolerance * scale, "{name}: the trees are those of the library");
    }
    let tolerance = if name.starts_with("xgboost") { 1e-6 } else { 1e-9 };
    assert_sums(&ranker, rows, &explained, tolerance);
}

fn assert_sums(ranker: &Ranker, rows: Rows<'_>, explained: &Explained, tolerance: f64) {
    for (row, margin) in ranker.margins(rows).unwrap().into_iter().enumerate() {
        let sum = explained.expected() + explained.row(row).iter().sum::<f64>();
        let size = explained.row(row).iter().fold(margin.abs(), |size, part| size.max(part.abs())).max(1e-3);
        assert!((sum - margin).abs() <= tolerance * size, "row {row}: the sum is {sum}, the margin {margin}");
    }
}

#[test]
fn contributions_are_those_of_lightgbm() {
    for name in ["lightgbm_lambdarank", "lightgbm_forest", "lightgbm_zero_missing", "lightgbm_deep"] {
        assert_equal(name, 1e-9);
    }
}

#[test]
fn contributions_are_those_of_xgboost_as_far_as_its_32_bits_say() {
    for name in ["xgboost_depth", "xgboost_leaves"] {
        assert_equal(name, 1e-5);
    }
}

/// What the readers of model files take for the cover is what an explanation needs.
#[test]
fn models_read_from_files_are_explained() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
    for (name, tolerance) in [("lightgbm/categories", 1e-9), ("lightgbm/forest", 1e-9), ("xgboost/categories", 1e-5)] {
        let ranker = Ranker::from_bytes(&std::fs::read(seeds.join(name)).unwrap()).unwrap();
        let values = random_values(&mut SplitMix64::new(9), 20 * ranker.columns());
        let rows = Rows::new(&values, ranker.columns()).unwrap();
        let explained = ranker.explain(rows).unwrap();
        assert_sums(&ranker, rows, &explained, tolerance);
        assert!(explained.contributions().iter().any(|contribution| *contribution != 0.0), "{name}");
    }
    let linear = Ranker::from_bytes(&std::fs::read(seeds.join("lightgbm/linear")).unwrap()).unwrap();
    let refused = linear.explain(Rows::new(&[], linear.columns()).unwrap());
    assert!(matches!(refused, Err(Error::Unsupported(_))), "{refused:?}");
}

/// A tree of random shape, with categories, missing values and covers that do not add up, as XGBoost's do not quite.
fn random_tree(random: &mut SplitMix64, splits: usize, columns: usize) -> Tree {
    let leaf = |random: &mut SplitMix64| Leaf {
        value: random.fraction() * 4.0 - 2.0,
        weight: 0.0,
        cover: if random.below(12) == 0 { 0.0 } else { 1.0 + random.below(30) as f64 },
        linear: None,
    };
    let mut tree = Tree { splits: Vec::new(), leaves: vec![leaf(random)] };
    let mut owners: Vec<Option<(usize, bool)>> = vec![None];
    for position in 0..splits {
        // A leaf becomes a split whose left side is the old leaf.
        let at = random.below(tree.leaves.len());
        if let Some((owner, is_left)) = owners[at] {
            let owner: &mut Split = &mut tree.splits[owner];
            *(if is_left { &mut owner.left } else { &mut owner.right }) = Child::Split(position as u32);
        }
        tree.leaves[at].cover += 1.0;
        let new = tree.leaves.len();
        tree.leaves.push(leaf(random));
        let condition = match random.below(3) {
            0 => Condition::OneOf(vec![random.next_u64() as u32 & 15]),
            _ => Condition::AtMost(random.below(5) as f64 - 0.5),
        };
        tree.splits.push(Split {
            feature: random.below(columns) as u32,
            condition,
            missing: [Missing::None, Missing::Zero, Missing::Nan][random.below(3)],
            missing_left: random.below(2) == 0,
            left: Child::Leaf(at as u32),
            right: Child::Leaf(new as u32),
            gain: 0.0,
            value: 0.0,
            weight: 0.0,
            cover: 1.0 + random.fraction() * 50.0,
        });
        owners[at] = Some((position, true));
        owners.push(Some((position, false)));
    }
    tree
}

fn random_values(random: &mut SplitMix64, count: usize) -> Vec<f32> {
    (0..count).map(|_| if random.below(6) == 0 { f32::NAN } else { random.below(6) as f32 - 1.0 }).collect()
}

/// What a tree answers when the features of a set (as bits) are known.
fn answer(tree: &Tree, at: Child, row: &[f32], known: usize) -> f64 {
    let cover = |node: Child| match node {
        Child::Split(split) => tree.splits[split as usize].cover,
        Child::Leaf(leaf) => tree.leaves[leaf as usize].cover,
    };
    match at {
        Child::Leaf(leaf) => tree.leaves[leaf as usize].value,
        Child::Split(split) => {
            let split = &tree.splits[split as usize];
            if known >> split.feature & 1 == 1 {
                return answer(tree, split.next(row), row, known);
            }
            let (left, right) = (cover(split.left), cover(split.right));
            let sum = left * answer(tree, split.left, row, known) + right * answer(tree, split.right, row, known);
            sum / (left + right)
        }
    }
}

/// The Shapley value of a feature, by its definition.
fn shapley(trees: &[Tree], row: &[f32], feature: usize) -> f64 {
    let columns = row.len();
    let factorial = |n: usize| (1..=n).product::<usize>() as f64;
    let sets = (0..1usize << columns).filter(|set| set >> feature & 1 == 0);
    let terms = sets.map(|set| {
        let size = set.count_ones() as usize;
        let weight = factorial(size) * factorial(columns - size - 1) / factorial(columns);
        let total = |set| trees.iter().map(|tree| answer(tree, tree.root(), row, set)).sum::<f64>();
        weight * (total(set | 1 << feature) - total(set))
    });
    terms.sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn contributions_are_shapley_values(seed in any::<u64>(), columns in 1usize..7, splits in 0usize..24) {
        let mut random = SplitMix64::new(seed);
        let trees: Vec<Tree> = (0..3).map(|_| random_tree(&mut random, splits, columns)).collect();
        let values = random_values(&mut random, 5 * columns);
        let rows = Rows::new(&values, columns).unwrap();
        let ranker = ranker(parts(columns, trees.clone()));
        let explained = ranker.explain(rows).unwrap();
        for (row, values) in rows.iter().enumerate() {
            for (feature, contribution) in explained.row(row).iter().enumerate() {
                let defined = shapley(&trees, values, feature);
                prop_assert!((contribution - defined).abs() < 1e-12, "{contribution} instead of {defined}");
            }
        }
        assert_sums(&ranker, rows, &explained, 1e-12);
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn contributions_of_large_trees_sum_to_the_margin(seed in any::<u64>(), splits in 100usize..600) {
        let mut random = SplitMix64::new(seed);
        let trees: Vec<Tree> = (0..4).map(|_| random_tree(&mut random, splits, 40)).collect();
        // More rows than walk together, and an average.
        let values = random_values(&mut random, 150 * 40);
        let rows = Rows::new(&values, 40).unwrap();
        let ranker = ranker(EnsembleParts { average: true, ..parts(40, trees) });
        let explained = ranker.explain(rows).unwrap();
        assert_sums(&ranker, rows, &explained, 1e-9);
        let last = ranker.explain(rows.slice(149..150)).unwrap();
        prop_assert_eq!(last.row(0), explained.row(149), "a row is explained alike alone and among others");
    }
}

/// A tree that is one long path, each split with a feature of its own.
fn chain(depth: usize, columns: usize) -> Tree {
    let splits = (0..depth).map(|position| Split {
        feature: (position % columns) as u32,
        condition: Condition::AtMost(0.0),
        missing: Missing::Nan,
        missing_left: true,
        left: Child::Leaf(position as u32),
        right: if position + 1 < depth { Child::Split(position as u32 + 1) } else { Child::Leaf(depth as u32) },
        gain: 0.0,
        value: 0.0,
        weight: 0.0,
        cover: (depth + 1 - position) as f64,
    });
    let leaf = |position: usize| Leaf { value: position as f64 / depth as f64, cover: 1.0, ..Leaf::default() };
    Tree { splits: splits.collect(), leaves: (0..=depth).map(leaf).collect() }
}

#[test]
fn deep_trees_are_explained_without_deep_recursion() {
    let (depth, columns) = (20_000, 30);
    let ranker = ranker(parts(columns, vec![chain(depth, columns)]));
    let values = vec![1.0; columns];
    let rows = Rows::new(&values, columns).unwrap();
    assert_sums(&ranker, rows, &ranker.explain(rows).unwrap(), 1e-9);
}

#[test]
fn long_paths_of_different_features_are_explained_exactly_or_refused() {
    let depth = 300;
    let long = ranker(parts(depth, vec![chain(depth, depth)]));
    let values: Vec<f32> = (0..depth).map(|column| if column == 250 { -1.0 } else { 1.0 }).collect();
    let rows = Rows::new(&values, depth).unwrap();
    assert_sums(&long, rows, &long.explain(rows).unwrap(), 1e-9);

    let too_long = ranker(parts(1100, vec![chain(1100, 1100)]));
    let values = vec![1.0; 1100];
    let refused = too_long.explain(Rows::new(&values, 1100).unwrap());
    assert!(matches!(&refused, Err(Error::Unsupported(what)) if what.contains("1024 features")), "{refused:?}");
}

#[test]
fn a_constant_tree_and_no_row_leave_the_expected_value() {
    let tree = random_tree(&mut SplitMix64::new(5), 6, 2);
    let ranker = ranker(parts(2, vec![Tree::constant(1.5), tree]));
    let none = ranker.explain(Rows::new(&[], 2).unwrap()).unwrap();
    assert!(none.is_empty());
    let one = ranker.explain(Rows::new(&[0.0, 3.0], 2).unwrap()).unwrap();
    assert_eq!((one.len(), one.expected()), (1, none.expected()));
}

#[test]
fn trees_that_say_too_little_are_refused() {
    let mut tree = chain(3, 3);
    tree.splits[2].cover = 0.0;
    tree.leaves[1].cover = 0.0;
    let refused = ranker(parts(3, vec![Tree::constant(0.0), tree.clone()])).explain(Rows::new(&[], 3).unwrap());
    assert!(matches!(&refused, Err(Error::Unsupported(what)) if what.contains("split 1 of tree 1")), "{refused:?}");
    tree.leaves[1].cover = 1.0;
    let no_part_of_the_training = ranker(parts(3, vec![tree.clone()]));
    let rows = Rows::new(&[1.0, 1.0, 1.0], 3).unwrap();
    assert_sums(&no_part_of_the_training, rows, &no_part_of_the_training.explain(rows).unwrap(), 1e-12);
    tree.leaves[0].linear = Some(LinearLeaf { constant: 1.0, terms: vec![(0, 2.0)] });
    let refused = ranker(parts(3, vec![tree])).explain(rows);
    assert!(matches!(&refused, Err(Error::Unsupported(what)) if what.contains("linear models")), "{refused:?}");
    let refused = no_part_of_the_training.explain(Rows::new(&[1.0, 1.0], 2).unwrap());
    assert!(matches!(refused, Err(Error::Shape(_))), "{refused:?}");
}

#[test]
fn a_linear_model_is_explained_by_its_terms() {
    let column = |weight, center, scale, fill| LinearColumn { weight, center, scale, fill };
    let columns = vec![column(2.0, 1.0, 4.0, 5.0), column(-1.0, 0.5, 0.5, 0.5)];
    let (arithmetic, link) = (Arithmetic::F64, Link::Identity);
    let linear = LinearModel { names: Vec::new(), bias: 3.0, columns, arithmetic, link };
    let ranker = Ranker::new(Model::Linear(linear)).unwrap();
    let rows = Rows::new(&[3.0, 1.0, f32::NAN, f32::NAN], 2).unwrap();
    let explained = ranker.explain(rows).unwrap();
    assert_eq!((explained.row(0), explained.row(1), explained.expected()), (&[1.0, -1.0][..], &[2.0, 0.0][..], 3.0));
    assert_sums(&ranker, rows, &explained, 1e-15);
}

/// 10 rows, 46 features, 500 trees of 31 leaves: what a page of hits asks for.
#[test]
#[ignore = "a measurement; run with --ignored --nocapture"]
#[allow(clippy::print_stderr)]
fn time_of_a_page_of_hits() {
    let mut random = SplitMix64::new(1);
    let trees: Vec<Tree> = (0..500).map(|_| random_tree(&mut random, 30, 46)).collect();
    let ranker = ranker(parts(46, trees));
    let values = random_values(&mut random, 460);
    let rows = Rows::new(&values, 46).unwrap();
    let times = (0..20).map(|_| {
        let start = std::time::Instant::now();
        std::hint::black_box(ranker.explain(rows).unwrap());
        start.elapsed()
    });
    eprintln!("{:?}", times.min().unwrap());
}
