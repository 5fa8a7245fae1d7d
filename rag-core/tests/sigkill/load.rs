//! The load: what every commit changes, as a function of a seed and the number of the commit, so that whoever knows the
//! two knows the state.

use std::collections::BTreeMap;

use rag_core::{Document, Engine, Result, Scope};
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

/// Ids in use, there or not.
pub(crate) const IDS: usize = 400;
/// A word of every document.
pub(crate) const COMMON: &str = "common";
/// Id of documents that are staged and rolled back.
pub(crate) const ABANDONED: &str = "abandoned";

/// What is there: id → text.
pub(crate) type State = BTreeMap<String, String>;

enum Change {
    Upsert(Vec<(String, String)>),
    Delete(Vec<String>),
    /// Stages something and drops it with everything staged before.
    Abandon,
}

/// One commit.
pub(crate) struct Step {
    changes: Vec<Change>,
    /// Whether a compaction follows.
    pub(crate) compact: bool,
}

pub(crate) fn id(number: usize) -> String {
    format!("document {number}")
}

/// The word that only this revision of a document has.
pub(crate) fn mark(text: &str) -> &str {
    text.split(' ').nth(1).unwrap_or_default()
}

impl Step {
    /// The changes of commit `seq`; never none, so that every step is a commit.
    pub(crate) fn of(seed: u64, seq: u64) -> Step {
        let mut random = SmallRng::seed_from_u64(seed.wrapping_add(seq.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        let mut numbers: Vec<usize> = (0..IDS).collect();
        numbers.shuffle(&mut random);
        let mut pick = |random: &mut SmallRng, from: usize, to: usize| {
            let count = random.random_range(from..to);
            numbers.rotate_left(count);
            numbers[..count].to_vec()
        };
        let mut revision = 0;
        let mut upsert = |random: &mut SmallRng, numbers: &[usize]| {
            let texts = numbers.iter().map(|&number| {
                revision += 1;
                (id(number), text(random, seq, revision))
            });
            Change::Upsert(texts.collect())
        };
        let mut changes = Vec::new();
        if seq % 5 == 2 {
            changes.push(Change::Abandon);
        }
        let first = pick(&mut random, 30, 80);
        changes.push(upsert(&mut random, &first));
        // One commit in seven takes most of the documents out, so that segments become mostly dead.
        let gone = if seq % 7 == 6 { pick(&mut random, 200, 300) } else { pick(&mut random, 10, 40) };
        changes.push(Change::Delete(gone.iter().map(|&number| id(number)).collect()));
        let again: Vec<usize> = first.iter().chain(&gone).copied().filter(|number| number % 8 == 0).collect();
        changes.push(upsert(&mut random, &again));
        let last = pick(&mut random, 10, 40);
        changes.push(upsert(&mut random, &last));
        Step { changes, compact: seq % 11 == 10 }
    }

    /// The state after the step. Revisions that went are added to `gone` by their marks.
    pub(crate) fn apply(&self, state: &mut State, gone: &mut Vec<String>) {
        for change in &self.changes {
            match change {
                Change::Upsert(texts) => {
                    for (id, text) in texts {
                        gone.extend(state.insert(id.clone(), text.clone()).map(|old| mark(&old).to_owned()));
                    }
                }
                Change::Delete(ids) => {
                    gone.extend(ids.iter().filter_map(|id| state.remove(id)).map(|old| mark(&old).to_owned()));
                }
                Change::Abandon => {}
            }
        }
    }

    /// Does the step; gives the number of the commit.
    pub(crate) fn carry_out(self, engine: &Engine) -> Result<u64> {
        let scope = Scope::default();
        for change in self.changes {
            match change {
                Change::Upsert(texts) => {
                    let documents = texts.into_iter().map(|(id, text)| Document::new(id, text));
                    engine.upsert(&scope, documents.collect())?;
                }
                Change::Delete(ids) => {
                    engine.delete(&scope, &ids.iter().map(String::as_str).collect::<Vec<_>>())?;
                }
                Change::Abandon => {
                    engine.upsert(&scope, vec![Document::new(ABANDONED, "common words that were never committed")])?;
                    engine.delete(&scope, &[&id(1), &id(2), &id(3)])?;
                    engine.rollback()?;
                }
            }
        }
        engine.commit()
    }
}

/// About twenty chunks of eight words.
fn text(random: &mut SmallRng, seq: u64, revision: usize) -> String {
    let mut text = format!("{COMMON} c{seq}r{revision}x");
    for _ in 0..random.random_range(100..200) {
        text.push_str(&format!(" w{}", random.random_range(0..3000)));
    }
    text
}
