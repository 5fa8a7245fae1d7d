//! One tree of a model file to one of ours.

use super::file;
use crate::error::{Error, Result};
use crate::model::{Child, Condition, Leaf, Missing, Split, Tree};

/// XGBoost counts categories in 32-bit floats and takes none from here on.
const MAX_CATEGORIES: i64 = 1 << 24;

/// Most 32-bit words of categories that the splits of a model may have together: 64 MiB.
pub(super) const MAX_WORDS: usize = 1 << 24;

/// Where a node stands that is not reached.
const NOWHERE: Child = Child::Leaf(u32::MAX);

/// Reads the tree with this number. `factor` multiplies its leaves; `words_left` is what is left of [`MAX_WORDS`].
pub(super) fn read(number: usize, tree: &file::Tree, factor: f32, words_left: &mut usize) -> Result<Tree> {
    let source = Source { number, tree };
    let leaf_size = tree.parameters.size_leaf_vector.as_deref().unwrap_or("0");
    if !matches!(leaf_size, "0" | "1") {
        return Err(Error::Unsupported(format!("leaves that are vectors of {leaf_size} values")));
    }
    source.check_lengths()?;
    let categories = source.categories()?;
    let (order, places) = source.places()?;
    let mut out = Tree::default();
    for node in order {
        if source.is_leaf(node) {
            out.leaves.push(source.leaf(node, factor)?);
        } else {
            out.splits.push(source.split(node, &places, categories[node].unwrap_or_default(), words_left)?);
        }
    }
    Ok(out)
}

struct Source<'a> {
    number: usize,
    tree: &'a file::Tree,
}

impl<'a> Source<'a> {
    fn damaged(&self, node: usize, field: &str, value: impl std::fmt::Display) -> Error {
        Error::model(format!("tree {}, node {node}", self.number), format!("`{field}` is {value}"))
    }

    fn finite(&self, node: usize, field: &str, values: &[f32]) -> Result<f64> {
        let value = values[node];
        if value.is_finite() { Ok(value.into()) } else { Err(self.damaged(node, field, value)) }
    }

    fn check_lengths(&self) -> Result<()> {
        let tree = self.tree;
        let nodes = tree.left_children.len();
        let lengths = [
            ("right_children", tree.right_children.len()),
            ("split_indices", tree.split_indices.len()),
            ("split_conditions", tree.split_conditions.len()),
            ("default_left", tree.default_left.len()),
            ("loss_changes", tree.loss_changes.len()),
            ("sum_hessian", tree.sum_hessian.len()),
            ("split_type", if tree.split_type.is_empty() { nodes } else { tree.split_type.len() }),
        ];
        let at = || format!("tree {}", self.number);
        if let Some((field, length)) = lengths.iter().find(|(_, length)| *length != nodes) {
            return Err(Error::model(at(), format!("`{field}` has {length} entries for {nodes} nodes")));
        }
        let of_nodes = tree.categories_nodes.len();
        if tree.categories_segments.len() != of_nodes || tree.categories_sizes.len() != of_nodes {
            let problem = "`categories_nodes`, `categories_segments` and `categories_sizes` differ in length";
            return Err(Error::model(at(), problem));
        }
        Ok(())
    }

    fn is_leaf(&self, node: usize) -> bool {
        self.tree.left_children[node] == -1
    }

    /// The nodes that are reached from the root, parents first, and where each of them comes to stand. Pruned nodes, which
    /// stay in the file, are not reached.
    fn places(&self) -> Result<(Vec<usize>, Vec<Child>)> {
        let tree = self.tree;
        let mut places = vec![NOWHERE; tree.left_children.len()];
        let (mut order, mut splits, mut leaves) = (Vec::new(), 0, 0);
        let mut open = vec![0];
        while let Some(node) = open.pop() {
            let place = usize::try_from(node).ok().and_then(|node| places.get_mut(node));
            let problem = |what| Error::model(format!("tree {}", self.number), format!("node {node} {what}"));
            let place = place.ok_or_else(|| problem("does not exist"))?;
            if *place != NOWHERE {
                return Err(problem("is reached twice"));
            }
            let node = node as usize;
            order.push(node);
            let next = if self.is_leaf(node) { &mut leaves } else { &mut splits };
            *place = if self.is_leaf(node) { Child::Leaf(*next) } else { Child::Split(*next) };
            *next += 1;
            if !self.is_leaf(node) {
                open.extend([tree.right_children[node], tree.left_children[node]]);
            }
        }
        Ok((order, places))
    }

    fn leaf(&self, node: usize, factor: f32) -> Result<Leaf> {
        let weight = self.finite(node, "sum_hessian", &self.tree.sum_hessian)?;
        let value = self.finite(node, "split_conditions", &self.tree.split_conditions)? as f32 * factor;
        Ok(Leaf { value: value.into(), weight, cover: weight, linear: None })
    }

    fn split(&self, node: usize, places: &[Child], members: &[i64], words_left: &mut usize) -> Result<Split> {
        let tree = self.tree;
        let feature = tree.split_indices[node];
        let feature = u32::try_from(feature).map_err(|_| self.damaged(node, "split_indices", feature))?;
        let mut left = places[tree.left_children[node] as usize];
        let mut right = places[tree.right_children[node] as usize];
        let mut missing_left = tree.default_left[node].0;
        let condition = match tree.split_type.get(node).copied().unwrap_or(0) {
            0 => self.below(node)?,
            1 => {
                // The members of a set go right there and left here.
                (left, right, missing_left) = (right, left, !missing_left);
                Condition::OneOfFromZero(self.words(node, members, words_left)?)
            }
            other => return Err(self.damaged(node, "split_type", other)),
        };
        // The gain of a split is nothing to refuse a model for: a sum of squares may have overflowed.
        let gain = tree.loss_changes[node].clamp(f32::MIN, f32::MAX);
        let gain = if gain.is_nan() { 0.0 } else { gain.into() };
        let weight = self.finite(node, "sum_hessian", &tree.sum_hessian)?;
        let value = 0.0; // `base_weights` lacks the learning rate that leaves have
        let missing = Missing::Nan;
        Ok(Split { feature, condition, missing, missing_left, left, right, gain, value, weight, cover: weight })
    }

    /// `value < threshold` as `value ≤` the next float below. Nothing is below minus infinity.
    fn below(&self, node: usize) -> Result<Condition> {
        let threshold = self.tree.split_conditions[node];
        if threshold.is_nan() {
            return Err(self.damaged(node, "split_conditions", threshold));
        }
        if threshold == f32::NEG_INFINITY {
            return Ok(Condition::OneOfFromZero(Vec::new()));
        }
        Ok(Condition::AtMost(threshold.next_down().into()))
    }

    /// The categories of each node that has some.
    fn categories(&self) -> Result<Vec<Option<&'a [i64]>>> {
        let tree = self.tree;
        let mut categories = vec![None; tree.left_children.len()];
        let segments = tree.categories_segments.iter().zip(&tree.categories_sizes);
        for (&node, (&start, &size)) in tree.categories_nodes.iter().zip(segments) {
            let problem = |what: &str| Error::model(format!("tree {}", self.number), format!("{what} of node {node}"));
            let place = usize::try_from(node).ok().and_then(|node| categories.get_mut(node));
            let place = place.ok_or_else(|| problem("there are categories"))?;
            let range = usize::try_from(start).ok().zip(usize::try_from(size).ok());
            let range = range.and_then(|(start, size)| Some(start..start.checked_add(size)?));
            let members = range.and_then(|range| tree.categories.get(range));
            *place = Some(members.ok_or_else(|| problem("`categories` ends before those"))?);
        }
        Ok(categories)
    }

    /// The bits of a set of categories.
    fn words(&self, node: usize, members: &[i64], words_left: &mut usize) -> Result<Vec<u32>> {
        let is_category = |category: &i64| (0..MAX_CATEGORIES).contains(category);
        if let Some(category) = members.iter().find(|category| !is_category(category)) {
            return Err(self.damaged(node, "categories", category));
        }
        let Some(highest) = members.iter().max() else {
            return Err(self.damaged(node, "categories", "empty"));
        };
        let count = *highest as usize / 32 + 1;
        *words_left = words_left.checked_sub(count).ok_or_else(|| {
            Error::Unsupported(format!("more than {} MiB of categories in its splits", MAX_WORDS >> 18))
        })?;
        let mut words = vec![0; count];
        for &category in members {
            words[category as usize / 32] |= 1 << (category % 32);
        }
        Ok(words)
    }
}
