//! Reading the JSON of `dump_model`.

use super::fields::Fields;
use super::head;
use super::json_cursor::{Cursor, unquoted};
use super::nodes::{finite, snapped};
use crate::error::{Error, Result};
use crate::model::{Child, Condition, Ensemble, Leaf, LinearLeaf, Missing, Split, Tree};

/// Words of sets that a file may take without being as long itself. In JSON one category is a number, whatever its size;
/// its bit needs words up to it.
const FREE_WORDS: usize = 1 << 20;

/// How the JSON spells an infinite threshold: all numbers are on one side of such a split, NaN alone on the other.
const INFINITY: f64 = 1e300;

const KNOWN_OF_A_TREE: [&str; 4] = ["tree_index", "num_leaves", "num_cat", "shrinkage"];

const KNOWN_OF_A_NODE: [&str; 17] = [
    "split_index",
    "split_feature",
    "split_gain",
    "threshold",
    "decision_type",
    "default_left",
    "missing_type",
    "internal_value",
    "internal_weight",
    "internal_count",
    "leaf_index",
    "leaf_value",
    "leaf_weight",
    "leaf_count",
    "leaf_const",
    "leaf_features",
    "leaf_coeff",
];

pub(super) fn read(text: &str) -> Result<Ensemble> {
    let mut reader = Reader { cursor: Cursor::new(text), words: FREE_WORDS.max(text.len()) };
    let mut head = Fields::new(None);
    let mut trees = None;
    reader.cursor.expect(b'{')?;
    let mut first = true;
    while let Some(name) = reader.cursor.name(first)? {
        first = false;
        if name == "tree_info" && trees.is_none() {
            trees = Some(reader.trees()?);
        } else {
            let value = reader.cursor.value()?;
            head.insert(name, unquoted(value).unwrap_or(value), &head::KNOWN)?;
        }
    }
    if reader.cursor.peek().is_some() {
        return Err(reader.cursor.wrong("the model has ended"));
    }
    let names = serde_json::from_str(head.required("feature_names")?)
        .map_err(|_| head.wrong("feature_names", "it is not a list of strings"))?;
    let average = truth(&head, "average_output")?;
    head::ensemble(&head, average, names, trees.ok_or_else(|| head.wrong("tree_info", "it is not there"))?)
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    /// Words that are left for sets of categories.
    words: usize,
}

/// A node whose object has not ended.
struct Open<'a> {
    fields: Fields<'a>,
    is_new: bool,
    left: Option<Child>,
    right: Option<Child>,
    /// Which of the two is being read.
    reads_left: bool,
}

impl<'a> Reader<'a> {
    fn trees(&mut self) -> Result<Vec<Tree>> {
        let mut trees = Vec::new();
        self.cursor.expect(b'[')?;
        while !self.cursor.take(b']') {
            if !trees.is_empty() {
                self.cursor.expect(b',')?;
            }
            trees.push(self.tree(trees.len())?);
        }
        Ok(trees)
    }

    fn tree(&mut self, number: usize) -> Result<Tree> {
        let mut fields = Fields::new(Some(number));
        let mut tree = None;
        self.cursor.expect(b'{')?;
        let mut first = true;
        while let Some(name) = self.cursor.name(first)? {
            first = false;
            if name == "tree_structure" && tree.is_none() {
                tree = Some(self.structure(number)?);
            } else {
                let value = self.cursor.value()?;
                fields.insert(name, value, &KNOWN_OF_A_TREE)?;
            }
        }
        let tree = tree.ok_or_else(|| fields.wrong("tree_structure", "it is not there"))?;
        if fields.number::<usize>("num_leaves")? != tree.leaves.len() {
            return Err(fields.wrong("num_leaves", &format!("the tree has {}", tree.leaves.len())));
        }
        Ok(tree)
    }

    /// The nodes of a tree, by their own numbers.
    fn structure(&mut self, tree: usize) -> Result<Tree> {
        let (mut splits, mut leaves) = (Vec::new(), Vec::new());
        let mut open: Vec<Open<'a>> = Vec::new();
        let mut closed = None; // the node that has just ended
        loop {
            match (open.last_mut(), closed.take()) {
                (Some(parent), Some(child)) if parent.reads_left => parent.left = Some(child),
                (Some(parent), Some(child)) => parent.right = Some(child),
                (Some(node), None) => {
                    let name = self.cursor.name(std::mem::take(&mut node.is_new))?;
                    match name {
                        Some("left_child") if node.left.is_none() => {
                            node.reads_left = true;
                            open.push(self.open(tree)?);
                        }
                        Some("right_child") if node.right.is_none() => {
                            node.reads_left = false;
                            open.push(self.open(tree)?);
                        }
                        Some(name) => {
                            let value = self.cursor.value()?;
                            node.fields.insert(name, unquoted(value).unwrap_or(value), &KNOWN_OF_A_NODE)?;
                        }
                        None => {
                            if let Some(node) = open.pop() {
                                closed = Some(self.close(&node, &mut splits, &mut leaves)?);
                            }
                        }
                    }
                }
                (None, None) => open.push(self.open(tree)?),
                (None, Some(_)) => break,
            }
        }
        Ok(Tree { splits: in_order(splits, tree, "split_index")?, leaves: in_order(leaves, tree, "leaf_index")? })
    }

    fn open(&mut self, tree: usize) -> Result<Open<'a>> {
        self.cursor.expect(b'{')?;
        Ok(Open { fields: Fields::new(Some(tree)), is_new: true, left: None, right: None, reads_left: false })
    }

    /// Keeps a node that has ended, with its number.
    fn close(
        &mut self,
        node: &Open<'a>,
        splits: &mut Vec<(u32, Split)>,
        leaves: &mut Vec<(u32, Leaf)>,
    ) -> Result<Child> {
        let fields = &node.fields;
        let Some(position) = fields.optional("split_index")? else {
            // The only leaf of a tree has no number.
            let position = fields.optional("leaf_index")?.unwrap_or_default();
            leaves.push((position, leaf(fields)?));
            return Ok(Child::Leaf(position));
        };
        let left = node.left.ok_or_else(|| fields.wrong("left_child", "it is not there"))?;
        let right = node.right.ok_or_else(|| fields.wrong("right_child", "it is not there"))?;
        splits.push((position, self.split(fields, left, right)?));
        Ok(Child::Split(position))
    }

    fn split(&mut self, fields: &Fields<'_>, left: Child, right: Child) -> Result<Split> {
        let missing = match fields.required("missing_type")? {
            "None" => Missing::None,
            "Zero" => Missing::Zero,
            "NaN" => Missing::Nan,
            _ => return Err(fields.wrong("missing_type", "it is not None, Zero or NaN")),
        };
        let missing_left = truth(fields, "default_left")?;
        let (condition, missing, missing_left) = match fields.required("decision_type")? {
            "<=" => {
                let threshold = fields.number("threshold")?;
                let threshold = if threshold == INFINITY { f64::INFINITY } else { snapped(threshold) };
                (Condition::AtMost(threshold), missing, missing_left)
            }
            // NaN is in no set of categories, whatever the fields say.
            "==" => (Condition::OneOf(self.categories(fields)?), Missing::Nan, false),
            _ => return Err(fields.wrong("decision_type", "it is neither <= nor ==")),
        };
        Ok(Split {
            feature: fields.number("split_feature")?,
            condition,
            missing,
            missing_left,
            left,
            right,
            gain: finite(fields.optional("split_gain")?.unwrap_or_default()),
            value: finite(fields.optional("internal_value")?.unwrap_or_default()),
            weight: finite(fields.optional("internal_weight")?.unwrap_or_default()),
            cover: fields.optional::<u32>("internal_count")?.unwrap_or_default().into(),
        })
    }

    /// The set of `1||5||17`, as bits.
    fn categories(&mut self, fields: &Fields<'_>) -> Result<Vec<u32>> {
        let mut words = Vec::new();
        for category in fields.required("threshold")?.split("||").filter(|category| !category.is_empty()) {
            let category: usize = category.parse().map_err(|_| fields.wrong("threshold", "a category is no number"))?;
            let more = (category / 32 + 1).saturating_sub(words.len());
            self.words = self.words.checked_sub(more).ok_or_else(|| {
                Error::Unsupported(format!(
                    "categories up to {category} in JSON, which has no room for their bits (the text format has)"
                ))
            })?;
            words.resize(words.len() + more, 0u32);
            words[category / 32] |= 1 << (category % 32);
        }
        Ok(words)
    }
}

fn leaf(fields: &Fields<'_>) -> Result<Leaf> {
    let is_linear = ["leaf_const", "leaf_features", "leaf_coeff"].iter().any(|name| fields.text(name).is_some());
    Ok(Leaf {
        value: fields.number("leaf_value")?,
        weight: finite(fields.optional("leaf_weight")?.unwrap_or_default()),
        cover: fields.optional::<u32>("leaf_count")?.unwrap_or_default().into(),
        linear: if is_linear { Some(linear(fields)?) } else { None },
    })
}

fn linear(fields: &Fields<'_>) -> Result<LinearLeaf> {
    let wrong = |name| fields.wrong(name, "it is not a list of numbers");
    let columns: Vec<u32> =
        serde_json::from_str(fields.required("leaf_features")?).map_err(|_| wrong("leaf_features"))?;
    let coefficients: Vec<f64> =
        serde_json::from_str(fields.required("leaf_coeff")?).map_err(|_| wrong("leaf_coeff"))?;
    if columns.len() != coefficients.len() {
        let problem = format!("it has {} numbers for {} features", coefficients.len(), columns.len());
        return Err(fields.wrong("leaf_coeff", &problem));
    }
    Ok(LinearLeaf { constant: fields.number("leaf_const")?, terms: columns.into_iter().zip(coefficients).collect() })
}

fn truth(fields: &Fields<'_>, name: &str) -> Result<bool> {
    match fields.required(name)? {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(fields.wrong(name, "it is neither true nor false")),
    }
}

/// Nodes at the positions that they were given.
fn in_order<T>(mut nodes: Vec<(u32, T)>, tree: usize, name: &str) -> Result<Vec<T>> {
    nodes.sort_by_key(|(position, _)| *position);
    if nodes.iter().enumerate().any(|(place, (position, _))| place != *position as usize) {
        let problem = format!("the numbers of {} nodes are not those from 0 on, once each", nodes.len());
        return Err(Error::model(format!("tree {tree}, `{name}`"), problem));
    }
    Ok(nodes.into_iter().map(|(_, node)| node).collect())
}
