//! Growing one tree.

use std::ops::Range;

use crate::model::{Child, Condition, Leaf, Split, Tree};
use crate::random::SplitMix64;
use crate::threads::Threads;
use crate::train::bins::Kind;
use crate::train::histogram::{Derivatives, Sum, Units, complete, subtract};
use crate::train::parameters::{GrowPolicy, LambdaMart};
use crate::train::split::{Candidate, Cut, Node, Rules, best};
use crate::train::table::{Shard, Table};

/// What grows trees, with the memory that they share.
pub(crate) struct Grower<'a> {
    table: &'a Table,
    parameters: &'a LambdaMart,
    threads: &'a Threads,
    benches: Vec<Bench<'a>>,
    /// The rows of the tree, those of a leaf together and ascending.
    order: Vec<u32>,
    spare: Vec<u32>,
    /// The derivatives of all rows in the units of the tree.
    packed: Vec<Sum>,
    /// Positions in the benches' histograms that no leaf has.
    free: Vec<usize>,
}

/// The part of the work that one shard is: it needs nothing from the others.
struct Bench<'a> {
    shard: &'a Shard,
    /// By position: the sums of each bin for some leaf, and which features could still split it.
    histograms: Vec<(Vec<Sum>, Vec<bool>)>,
    /// The best splits of the two leaves that were looked at last.
    found: [Option<Candidate>; 2],
}

/// A leaf of a tree that grows.
struct GrowingLeaf {
    rows: Range<usize>,
    sum: Sum,
    depth: usize,
    bounds: (f64, f64),
    l2: f64,
    /// Where its histogram is, and its best split: both or none.
    next: Option<(usize, Candidate)>,
}

/// What is asked of the benches: the best splits of two leaves that were one.
struct Search<'s> {
    /// The rows of the smaller one.
    rows: &'s [u32],
    sum: Sum,
    packed: &'s [Sum],
    nodes: [Option<Node>; 2],
    /// Which features each may use.
    allowed: [Option<Vec<bool>>; 2],
    /// Where the histogram of the smaller one goes, and where that of both was and that of the larger one goes.
    places: (usize, Option<usize>),
    features: &'s [bool],
    table: &'s Table,
    rules: &'s Rules<'s>,
}

/// A grown tree and the rows of its leaves.
pub(crate) struct Grown {
    pub(crate) tree: Tree,
    pub(crate) rows: Vec<Range<usize>>,
}

impl<'a> Grower<'a> {
    pub(crate) fn new(table: &'a Table, parameters: &'a LambdaMart, threads: &'a Threads) -> Self {
        let bench = |shard| Bench { shard, histograms: Vec::new(), found: [None, None] };
        let benches = table.shards.iter().map(bench).collect();
        let (order, spare, packed, free) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Grower { table, parameters, threads, benches, order, spare, packed, free }
    }

    /// The rows of a range of a [`Grown`].
    pub(crate) fn rows(&self, range: Range<usize>) -> &[u32] {
        &self.order[range]
    }

    /// Grows a tree from rows, ascending, with the features that it may use. Its leaves have their values, times the
    /// learning rate. `None` where no split is good enough.
    pub(crate) fn grow(
        &mut self,
        rows: &[u32],
        derivatives: &[Derivatives],
        features: &[bool],
        random: &mut SplitMix64,
    ) -> Option<Grown> {
        let units = Units::of(derivatives, rows)?;
        self.order.clear();
        self.order.extend_from_slice(rows);
        self.spare.resize(rows.len(), 0);
        self.packed.clear();
        self.packed.extend(derivatives.iter().map(|&row| units.pack(row)));
        self.free = (0..self.benches.first()?.histograms.len()).rev().collect();

        let rules = Rules::new(self.parameters, units);
        let sum = rows.iter().fold(Sum::default(), |sum, &row| sum.plus(self.packed[row as usize]));
        let bounds = (f64::NEG_INFINITY, f64::INFINITY);
        let mut leaves = vec![GrowingLeaf { rows: 0..rows.len(), sum, depth: 0, bounds, l2: 0.0, next: None }];
        let mut splits: Vec<Split> = Vec::new();
        self.search(&mut leaves, 0, None, features, random, &rules);
        while leaves.len() < self.parameters.num_leaves {
            let Some(at) = self.next_leaf(&leaves) else { break };
            let Some((place, candidate)) = leaves[at].next.take() else { break };
            let left_rows = self.part(leaves[at].rows.clone(), &candidate);
            if left_rows == 0 || left_rows == leaves[at].rows.len() {
                // The estimate of the rows was wrong: all of them are on one side.
                self.free.push(place);
                continue;
            }
            splits.push(self.divide(&mut leaves, at, left_rows, &candidate, &rules));
            if leaves.len() < self.parameters.num_leaves {
                self.search(&mut leaves, at, Some(place), features, random, &rules);
            }
        }
        if splits.is_empty() {
            return None;
        }
        Some(self.finish(splits, leaves, derivatives, &rules))
    }

    /// The leaf that is split next.
    fn next_leaf(&self, leaves: &[GrowingLeaf]) -> Option<usize> {
        let mut best: Option<usize> = None;
        for (position, leaf) in leaves.iter().enumerate() {
            let Some((_, candidate)) = &leaf.next else { continue };
            let is_better = |other: usize| {
                let is_higher = candidate.beats(leaves[other].next.as_ref().map(|(_, candidate)| candidate));
                match self.parameters.grow_policy {
                    GrowPolicy::Leafwise => is_higher,
                    GrowPolicy::Depthwise if leaf.depth == leaves[other].depth => is_higher,
                    GrowPolicy::Depthwise => leaf.depth < leaves[other].depth,
                }
            };
            if best.is_none_or(is_better) {
                best = Some(position);
            }
        }
        best
    }

    /// Parts the rows of a leaf, each side in its order; answers how many go left.
    fn part(&mut self, rows: Range<usize>, candidate: &Candidate) -> usize {
        let feature = &self.table.features[candidate.feature];
        let mut goes_left = vec![false; feature.bins];
        match &candidate.cut {
            Cut::AtMost(last) => goes_left[..=*last].fill(true),
            Cut::OneOf(bins) => bins.iter().for_each(|&bin| goes_left[bin] = true),
        }
        if let Some(missing) = feature.missing_bin() {
            goes_left[missing] = candidate.missing_left;
        }
        let column = &self.table.columns[candidate.feature];
        let order = &mut self.order[rows];
        let (mut left, mut right) = (0, 0);
        for at in 0..order.len() {
            let row = order[at];
            let is_left = usize::from(goes_left[usize::from(column[row as usize])]);
            order[left] = row;
            self.spare[right] = row;
            left += is_left;
            right += 1 - is_left;
        }
        order[left..].copy_from_slice(&self.spare[..right]);
        left
    }

    /// Makes two leaves of one: the left one in its place, the right one at the end.
    fn divide(
        &self,
        leaves: &mut Vec<GrowingLeaf>,
        at: usize,
        left_rows: usize,
        candidate: &Candidate,
        rules: &Rules<'_>,
    ) -> Split {
        let leaf = &leaves[at];
        let feature = &self.table.features[candidate.feature];
        let right = leaf.sum.minus(candidate.left);
        let values = [candidate.left, right].map(|sum| rules.value_of(sum, candidate.l2, leaf.bounds));
        let middle = f64::midpoint(values[0], values[1]);
        let (low, high) = leaf.bounds;
        let bounds = match feature.monotone {
            0 => [leaf.bounds; 2],
            1 => [(low, high.min(middle)), (low.max(middle), high)],
            _ => [(low.max(middle), high), (low, high.min(middle))],
        };
        let condition = match (&feature.kind, &candidate.cut) {
            (Kind::Numbers(limits), Cut::AtMost(bin)) => Condition::AtMost(limits[*bin]),
            (Kind::Categories(categories), Cut::OneOf(bins)) => {
                Condition::OneOf(words(bins.iter().map(|&bin| categories[bin - 1])))
            }
            _ => Condition::OneOf(Vec::new()),
        };
        let split = Split {
            feature: feature.column as u32,
            condition,
            missing: feature.missing,
            missing_left: candidate.missing_left && feature.missing != crate::model::Missing::None,
            left: Child::Leaf(at as u32),
            right: Child::Leaf(leaves.len() as u32),
            gain: candidate.gain + self.parameters.min_gain_to_split,
            value: rules.value_of(leaf.sum, leaf.l2, leaf.bounds) * self.parameters.learning_rate,
            weight: rules.units.hessian(leaf.sum),
            cover: leaf.rows.len() as f64,
        };
        let border = leaf.rows.start + left_rows;
        let (depth, l2) = (leaf.depth + 1, candidate.l2);
        let child = |rows, sum, bounds| GrowingLeaf { rows, sum, depth, bounds, l2, next: None };
        let left = child(leaf.rows.start..border, candidate.left, bounds[0]);
        let right = child(border..leaf.rows.end, right, bounds[1]);
        leaves[at] = left;
        leaves.push(right);
        split
    }

    /// Looks for the best splits of a leaf and of the last one, which were one leaf with its histogram at `place`; without
    /// a place, of the root.
    fn search(
        &mut self,
        leaves: &mut [GrowingLeaf],
        at: usize,
        place: Option<usize>,
        features: &[bool],
        random: &mut SplitMix64,
        rules: &Rules<'_>,
    ) {
        let last = leaves.len() - 1;
        let (small, large) = if leaves[at].rows.len() < leaves[last].rows.len() { (at, last) } else { (last, at) };
        let fewest = self.parameters.min_data_in_leaf.saturating_mul(2).max(2);
        let node = |leaf: &GrowingLeaf| {
            let can_split = leaf.rows.len() >= fewest && leaf.depth < self.parameters.depth_limit();
            can_split.then(|| Node::new(leaf.sum, leaf.rows.len(), leaf.bounds, rules)).flatten()
        };
        let nodes = [node(&leaves[small]), place.and_then(|_| node(&leaves[large]))];
        if nodes.iter().all(Option::is_none) {
            self.free.extend(place);
            return;
        }
        let own = self.free.pop().unwrap_or_else(|| {
            for bench in &mut self.benches {
                let (bins, features) = (bench.shard.width(), bench.shard.features.len());
                bench.histograms.push((vec![Sum::default(); bins], vec![true; features]));
            }
            self.benches.first().map_or(0, |bench| bench.histograms.len() - 1)
        });
        let search = Search {
            rows: &self.order[leaves[small].rows.clone()],
            sum: leaves[small].sum,
            packed: &self.packed,
            allowed: nodes.map(|node| node.and_then(|_| self.features_of_node(features, random))),
            nodes,
            places: (own, place),
            features,
            table: self.table,
            rules,
        };
        self.threads.for_each(&mut self.benches, |bench| bench.search(&search));
        for (side, leaf, place) in [(0, small, Some(own)), (1, large, place)] {
            let mut best: Option<Candidate> = None;
            for bench in &mut self.benches {
                if let Some(candidate) = bench.found[side].take()
                    && candidate.beats(best.as_ref())
                {
                    best = Some(candidate);
                }
            }
            match (place, best) {
                (Some(place), Some(best)) => leaves[leaf].next = Some((place, best)),
                (place, _) => self.free.extend(place),
            }
        }
    }

    /// The features that one node may use; `None`: all that the tree may.
    fn features_of_node(&self, features: &[bool], random: &mut SplitMix64) -> Option<Vec<bool>> {
        let fraction = self.parameters.feature_fraction_bynode;
        (fraction < 1.0).then(|| pick(features, fraction, random))
    }

    /// Puts the tree together. The values come from the derivatives themselves, not from their rounded sums.
    fn finish(
        &self,
        mut splits: Vec<Split>,
        leaves: Vec<GrowingLeaf>,
        derivatives: &[Derivatives],
        rules: &Rules<'_>,
    ) -> Grown {
        let mut grown = Grown { tree: Tree::default(), rows: Vec::with_capacity(leaves.len()) };
        for leaf in leaves {
            let (mut gradient, mut hessian) = (0.0, 0.0);
            for &row in &self.order[leaf.rows.clone()] {
                gradient += f64::from(derivatives[row as usize].gradient);
                hessian += f64::from(derivatives[row as usize].hessian);
            }
            let value = rules.value(gradient, hessian, leaf.l2, leaf.bounds) * self.parameters.learning_rate;
            let cover = leaf.rows.len() as f64;
            grown.tree.leaves.push(Leaf { value, weight: hessian, cover, linear: None });
            grown.rows.push(leaf.rows);
        }
        link(&mut splits);
        grown.tree.splits = splits;
        grown
    }
}

/// Turns the leaves that were split later into their splits: split `n` made leaf `n + 1`, and kept its own leaf's place.
fn link(splits: &mut [Split]) {
    // The latest side that leads to each leaf; a leaf that is split passes it on.
    let mut sides: Vec<(usize, bool)> = vec![(0, true)];
    for number in 0..splits.len() {
        let Child::Leaf(leaf) = splits[number].left else { continue };
        let leaf = leaf as usize;
        if number > 0 {
            let (above, is_left) = sides[leaf];
            let side = if is_left { &mut splits[above].left } else { &mut splits[above].right };
            *side = Child::Split(number as u32);
        }
        sides[leaf] = (number, true);
        sides.push((number, false));
    }
}

/// A share of the features, at least one.
pub(crate) fn pick(features: &[bool], fraction: f64, random: &mut SplitMix64) -> Vec<bool> {
    let all: Vec<usize> = (0..features.len()).filter(|&position| features[position]).collect();
    let mut wanted = ((all.len() as f64 * fraction).round() as usize).max(1);
    let mut picked = vec![false; features.len()];
    for (seen, &position) in all.iter().enumerate() {
        if random.below(all.len() - seen) < wanted {
            picked[position] = true;
            wanted -= 1;
        }
    }
    picked
}

/// Categories as the bits of words.
fn words(categories: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut words = Vec::new();
    for category in categories {
        let word = (category / 32) as usize;
        if words.len() <= word {
            words.resize(word + 1, 0);
        }
        words[word] |= 1 << (category % 32);
    }
    words
}

impl Bench<'_> {
    fn search(&mut self, search: &Search<'_>) {
        let (small, large) = search.places;
        let (mut sums, mut can_split) = std::mem::take(&mut self.histograms[small]);
        sums.fill(Sum::default());
        self.shard.accumulate(search.rows, search.packed, &mut sums);
        for (position, number) in self.shard.features.clone().enumerate() {
            let of_both = large.map(|place| &mut self.histograms[place]);
            let could_split = of_both.as_ref().is_none_or(|(_, can_split)| can_split[position]);
            can_split[position] = could_split && search.features[number];
            if !can_split[position] {
                continue;
            }
            let bins = self.shard.starts[position]..self.shard.starts[position + 1];
            let feature = &search.table.features[number];
            let sums = &mut sums[bins.clone()];
            let mut look = |side: usize, sums: &[Sum]| -> bool {
                let Some(node) = &search.nodes[side] else { return true };
                let Some(candidate) = best(number, feature, sums, node, search.rules) else { return false };
                let is_allowed = search.allowed[side].as_ref().is_none_or(|allowed| allowed[number]);
                if is_allowed && candidate.beats(self.found[side].as_ref()) {
                    self.found[side] = Some(candidate);
                }
                true
            };
            if feature.reads_every_bin() {
                complete(sums, feature.frequent, search.sum);
            }
            can_split[position] = look(0, sums);
            if let Some((sums_of_both, can_split)) = of_both {
                let rest = &mut sums_of_both[bins];
                subtract(rest, sums);
                can_split[position] = look(1, rest);
            }
        }
        self.histograms[small] = (sums, can_split);
    }
}
