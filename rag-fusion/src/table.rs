//! A table from ids to small numbers, for hashes that are known beforehand.

use std::hash::{BuildHasher, Hash};
use std::sync::OnceLock;

use foldhash::fast::RandomState;

/// The hash of an id: equal in all runs of a process, seeded anew in each, so that ids chosen to collide in one do not in
/// another.
#[inline]
pub(crate) fn hash(id: &impl Hash) -> u32 {
    static STATE: OnceLock<RandomState> = OnceLock::new();
    (STATE.get_or_init(RandomState::default).hash_one(id) >> 32) as u32
}

/// Ids numbered in the order in which they first come, by open addressing. Ids are compared where their whole hash is equal,
/// which is hardly ever in vain.
#[derive(Debug)]
pub(crate) struct Table<'a, Id> {
    /// The hash in the upper half, the number plus 1 in the lower; 0: empty.
    slots: Vec<u64>,
    ids: Vec<&'a Id>,
}

impl<'a, Id: Eq> Table<'a, Id> {
    /// For at most so many ids.
    pub(crate) fn with_capacity(most: usize) -> Self {
        Table { slots: vec![0; (most + most / 3 + 1).next_power_of_two()], ids: Vec::with_capacity(most) }
    }

    /// The numbers of ids, of which those that are not known yet get the next ones. At most as many ids come in all as the
    /// table is for.
    pub(crate) fn add(&mut self, ids: impl ExactSizeIterator<Item = &'a Id> + Clone, hashes: &[u32]) -> Vec<u32> {
        let known = self.ids.len();
        let numbers = self.add_by(ids.clone(), hashes, |_, _| true);
        // Equal hashes are equal ids, but for one run in thousands: comparing afterwards waits for nothing.
        if numbers.iter().zip(ids.clone()).all(|(&number, id)| *self.ids[number as usize] == *id) {
            return numbers;
        }
        self.ids.truncate(known);
        self.slots.iter_mut().filter(|slot| **slot as u32 as usize > known).for_each(|slot| *slot = 0);
        self.add_by(ids, hashes, |known, id| known == id)
    }

    #[allow(clippy::needless_bitwise_bool, reason = "a branch that cannot be foretold costs more")]
    fn add_by(
        &mut self,
        ids: impl ExactSizeIterator<Item = &'a Id> + Clone,
        hashes: &[u32],
        is_it: impl Fn(&Id, &Id) -> bool,
    ) -> Vec<u32> {
        let Some(first) = ids.clone().next() else { return Vec::new() };
        let mut count = self.ids.len();
        self.ids.resize(count + ids.len(), first);
        let (slots, all) = (&mut self.slots[..], &mut self.ids[..]);
        let mask = slots.len() - 1;
        let number_of = |(id, &hash): (&'a Id, &u32)| {
            // Whether an id is new cannot be foretold, so nothing branches on it: it stands at the next number, which an
            // empty slot has, and which is the next again if it was known.
            all[count] = id;
            let mut place = hash as usize & mask;
            let (number, is_new) = loop {
                let slot = slots[place];
                let is_new = slot == 0;
                let number = if is_new { count as u32 } else { slot as u32 - 1 };
                if (is_new | ((slot >> 32) as u32 == hash)) && is_it(all[number as usize], id) {
                    break (number, is_new);
                }
                place = (place + 1) & mask;
            };
            slots[place] = u64::from(hash) << 32 | u64::from(number + 1);
            count += usize::from(is_new);
            number
        };
        let numbers = ids.zip(hashes).map(number_of).collect();
        self.ids.truncate(count);
        numbers
    }

    /// The number of an id, if it has one.
    pub(crate) fn find(&self, id: &Id, hash: u32) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut place = hash as usize & mask;
        while self.slots[place] != 0 {
            let (of, number) = ((self.slots[place] >> 32) as u32, self.slots[place] as u32 - 1);
            if of == hash && *self.ids[number as usize] == *id {
                return Some(number);
            }
            place = (place + 1) & mask;
        }
        None
    }

    /// The ids by number.
    pub(crate) fn ids(&self) -> &[&'a Id] {
        &self.ids
    }

    /// The ids by number.
    pub(crate) fn into_ids(self) -> Vec<&'a Id> {
        self.ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Beside the standard map, with hashes that collide in part and in whole.
        #[test]
        fn it_finds_what_a_map_finds(ids in prop::collection::vec(0u32..60, 0..200), collide in 0u32..3, cut in 0usize..200) {
            let hash = |id: &u32| match collide {
                0 => self::hash(id),
                1 => id % 7,
                _ => u32::MAX - id % 2,
            };
            let hashes: Vec<u32> = ids.iter().map(hash).collect();
            let cut = cut.min(ids.len());
            let mut table = Table::with_capacity(ids.len());
            let mut numbers = table.add(ids[..cut].iter(), &hashes[..cut]);
            numbers.extend(table.add(ids[cut..].iter(), &hashes[cut..]));
            let mut map = std::collections::HashMap::new();
            for (id, number) in ids.iter().zip(numbers) {
                let new = map.len() as u32;
                prop_assert_eq!(number, *map.entry(id).or_insert(new));
            }
            prop_assert_eq!(table.ids().len(), map.len());
            for id in 0..60 {
                prop_assert_eq!(table.find(&id, hash(&id)), map.get(&id).copied());
            }
        }
    }
}
