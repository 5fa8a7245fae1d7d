//! The Merkle tree of RFC 9162 (section 2.1) over the entries of a log: SHA-256, leaves and nodes told apart by a first byte.
//!
//! A tree of `size` leaves is a list of complete subtrees, the largest first. What is stored are the hashes of complete
//! subtrees alone ([`Nodes`]), which never change once they are there; every root and every proof follows from them.

use sha2::{Digest, Sha256};

/// A SHA-256.
pub type Hash = [u8; 32];

/// The hash of an entry.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// The hash of two neighbouring subtrees.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of a tree without leaves.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The hashes of complete subtrees: of `2^level` leaves from `index · 2^level` on. Level 0 are the leaves.
pub trait Nodes {
    /// Why a hash could not be had.
    type Error;

    /// The hash of a complete subtree of the tree.
    ///
    /// # Errors
    /// Those of the storage.
    fn node(&self, level: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// The right edge of a tree: what it takes to append and to know the root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// The complete subtrees that the size is made of, the largest first: one for each bit of the size that is 1.
    subtrees: Vec<Hash>,
}

impl Frontier {
    /// That of a tree of `size` leaves, which are stored.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn of<N: Nodes>(size: u64, nodes: &N) -> Result<Self, N::Error> {
        let subtrees = subtrees(0, size).map(|(level, index)| nodes.node(level, index)).collect::<Result<_, _>>()?;
        Ok(Frontier { size, subtrees })
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf, and tells the complete subtrees that come into being: (level, index, hash), the leaf first.
    pub fn append(&mut self, leaf: Hash) -> Vec<(u32, u64, Hash)> {
        let mut new = vec![(0, self.size, leaf)];
        let (mut hash, mut level, mut index) = (leaf, 0, self.size);
        while index & 1 == 1
            && let Some(left) = self.subtrees.pop()
        {
            hash = node_hash(&left, &hash);
            (level, index) = (level + 1, index >> 1);
            new.push((level, index, hash));
        }
        self.subtrees.push(hash);
        self.size += 1;
        new
    }

    /// The root.
    pub fn root(&self) -> Hash {
        joined(&self.subtrees).unwrap_or_else(empty_root)
    }
}

/// The path by which a leaf of a tree of `size` leaves leads to the root (RFC 9162, 2.1.3.1), the nearest first.
///
/// # Errors
/// Those of the storage. `index` must be below `size`.
pub fn inclusion_proof<N: Nodes>(index: u64, size: u64, nodes: &N) -> Result<Vec<Hash>, N::Error> {
    let (mut begin, mut end, mut path) = (0, size, Vec::new());
    while end - begin > 1 {
        let middle = begin + split(end - begin);
        let (next, other) =
            if index < middle { ((begin, middle), (middle, end)) } else { ((middle, end), (begin, middle)) };
        path.push(range_hash(other.0, other.1, nodes)?);
        (begin, end) = next;
    }
    path.reverse();
    Ok(path)
}

/// What shows that a tree of `old` leaves is the beginning of one of `new` leaves (RFC 9162, 2.1.4.1). Empty for `old` 0 and
/// for equal sizes.
///
/// # Errors
/// Those of the storage. `old` must not be above `new`.
pub fn consistency_proof<N: Nodes>(old: u64, new: u64, nodes: &N) -> Result<Vec<Hash>, N::Error> {
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut begin, mut end, mut proof) = (0, new, Vec::new());
    // Down to the subtree that ends where the old tree ends.
    while end != old {
        let middle = begin + split(end - begin);
        let (next, other) =
            if old <= middle { ((begin, middle), (middle, end)) } else { ((middle, end), (begin, middle)) };
        proof.push(range_hash(other.0, other.1, nodes)?);
        (begin, end) = next;
    }
    if begin > 0 {
        proof.push(range_hash(begin, end, nodes)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Whether `proof` leads from a leaf to the root (RFC 9162, 2.1.3.2).
pub fn includes(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Whether `proof` shows that the tree of `old` leaves is the beginning of that of `new` (RFC 9162, 2.1.4.2).
pub fn extends(old: u64, new: u64, proof: &[Hash], old_root: &Hash, new_root: &Hash) -> bool {
    if old > new || (old == 0 && *old_root != empty_root()) {
        return false;
    }
    if old == 0 || old == new {
        return proof.is_empty() && (old == 0 || old_root == new_root);
    }
    let mut proof = proof.iter();
    let (mut at, mut last) = (old - 1, new - 1);
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    // A tree of a power of two leaves is its own first subtree.
    let first = if at == 0 { Some(old_root) } else { proof.next() };
    let Some(&first) = first else { return false };
    let (mut of_old, mut of_new) = (first, first);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            of_old = node_hash(sibling, &of_old);
            of_new = node_hash(sibling, &of_new);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            of_new = node_hash(&of_new, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && of_old == *old_root && of_new == *new_root
}

/// The root of the leaves `begin..end`, a range that stands in the tree.
fn range_hash<N: Nodes>(begin: u64, end: u64, nodes: &N) -> Result<Hash, N::Error> {
    let hashes = subtrees(begin, end).map(|(level, index)| nodes.node(level, index)).collect::<Result<Vec<_>, _>>()?;
    Ok(joined(&hashes).unwrap_or_else(empty_root))
}

/// The complete subtrees that a range of leaves is made of, the largest first: (level, index). The range begins at a multiple
/// of the largest power of two that it holds.
fn subtrees(mut begin: u64, end: u64) -> impl Iterator<Item = (u32, u64)> {
    std::iter::from_fn(move || {
        let level = (end - begin).checked_ilog2()?;
        let index = begin >> level;
        begin += 1 << level;
        Some((level, index))
    })
}

/// The root above subtrees, the smallest of which come last.
fn joined(subtrees: &[Hash]) -> Option<Hash> {
    let (last, rest) = subtrees.split_last()?;
    Some(rest.iter().rev().fold(*last, |right, left| node_hash(left, &right)))
}

/// The largest power of two below `size`, which is at least 2.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashMap;
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    #[derive(Default)]
    struct Stored(HashMap<(u32, u64), Hash>);

    impl Nodes for Stored {
        type Error = Infallible;

        fn node(&self, level: u32, index: u64) -> Result<Hash, Infallible> {
            Ok(self.0[&(level, index)])
        }
    }

    fn tree(leaves: &[Hash]) -> (Stored, Vec<Hash>) {
        let (mut stored, mut frontier) = (Stored::default(), Frontier::default());
        let mut roots = vec![frontier.root()];
        for &leaf in leaves {
            stored.0.extend(frontier.append(leaf).into_iter().map(|(level, index, hash)| ((level, index), hash)));
            roots.push(frontier.root());
        }
        assert_eq!(Frontier::of(leaves.len() as u64, &stored).unwrap(), frontier);
        (stored, roots)
    }

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|entry| leaf_hash(&entry.to_be_bytes())).collect()
    }

    /// MTH of the RFC.
    fn naive_root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(leaves.len().div_ceil(2).next_power_of_two());
                node_hash(&naive_root(left), &naive_root(right))
            }
        }
    }

    /// PATH of the RFC.
    fn naive_path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() < 2 {
            return Vec::new();
        }
        let middle = leaves.len().div_ceil(2).next_power_of_two();
        let (left, right) = leaves.split_at(middle);
        let (mut path, other) =
            if index < middle { (naive_path(index, left), right) } else { (naive_path(index - middle, right), left) };
        path.push(naive_root(other));
        path
    }

    /// The examples of Certificate Transparency's tests.
    #[test]
    fn known_roots() {
        let entries =
            ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
        let bytes = |hex: &str| -> Vec<u8> {
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
        };
        let (_, roots) = tree(&entries.map(|hex| leaf_hash(&bytes(hex))));
        let hash = |hex: &str| Hash::try_from(bytes(hex)).unwrap();
        assert_eq!(roots[0], hash("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
        assert_eq!(roots[1], hash("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"));
        assert_eq!(roots[8], hash("5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"));
    }

    #[test]
    fn every_proof_of_small_trees_holds_and_no_other() {
        let all = leaves(40);
        let (stored, roots) = tree(&all);
        for size in 0..=40u64 {
            assert_eq!(roots[size as usize], naive_root(&all[..size as usize]));
            for index in 0..size {
                let proof = inclusion_proof(index, size, &stored).unwrap();
                assert_eq!(proof, naive_path(index as usize, &all[..size as usize]));
                for (other, leaf) in all.iter().enumerate() {
                    let holds = includes(leaf, index, size, &proof, &roots[size as usize]);
                    assert_eq!(holds, other as u64 == index, "{index} of {size} with {other}");
                }
                for other in (0..=40).filter(|&other| other != index) {
                    assert!(!includes(&all[index as usize], other, size, &proof, &roots[size as usize]));
                }
                assert!(size == 1 || !includes(&all[index as usize], index, size, &proof[1..], &roots[size as usize]));
                let longer = [&proof[..], &[empty_root()]].concat();
                assert!(!includes(&all[index as usize], index, size, &longer, &roots[size as usize]));
            }
            for old in 0..=size {
                let proof = consistency_proof(old, size, &stored).unwrap();
                for (other, root) in roots.iter().enumerate() {
                    let holds = extends(old, size, &proof, root, &roots[size as usize]);
                    assert_eq!(holds, other as u64 == old, "{old} of {size} with the root of {other}");
                }
                let longer = [&proof[..], &[empty_root()]].concat();
                assert!(!extends(old, size, &longer, &roots[old as usize], &roots[size as usize]));
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_changed_is_found(size in 1u64..300, at in any::<prop::sample::Index>(), byte in 0usize..32, bit in 0u8..8) {
            let all = leaves(size);
            let (stored, roots) = tree(&all);
            let at = at.index(all.len());
            let mut changed = all.clone();
            changed[at][byte] ^= 1 << bit;
            let root = &roots[all.len()];
            prop_assert_ne!(&naive_root(&changed), root);
            let proof = inclusion_proof(at as u64, size, &stored).unwrap();
            prop_assert!(includes(&all[at], at as u64, size, &proof, root));
            prop_assert!(!includes(&changed[at], at as u64, size, &proof, root));
            let old = at as u64;
            let mut proof = consistency_proof(old, size, &stored).unwrap();
            prop_assert!(extends(old, size, &proof, &roots[at], root));
            let which = byte % proof.len().max(1);
            if let Some(hash) = proof.get_mut(which) {
                hash[byte] ^= 1 << bit;
                prop_assert!(!extends(old, size, &proof, &roots[at], root));
            }
        }
    }
}
