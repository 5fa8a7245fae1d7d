//! One list out of many, fair to each.

use std::collections::HashSet;
use std::hash::Hash;

use sha2::{Digest, Sha256};

use crate::interleave::Shown;
use crate::interleave::error::{InterleaveError, Result};
use crate::random::SplitMix64;

/// Mixes rankings into one list of at most `length` documents: team-draft interleaving of two (Radlinski, Kurup &
/// Joachims 2008), team-draft multileaving of more (Schuth, Sietsma, Whiteson, Lefortier & de Rijke 2014).
///
/// In each round the rankings, in an order drawn for the round, pick their best document that is not yet in the list. A click
/// on it counts for the ranking that picked it. Two additions to the papers keep clicks that say nothing from counting:
/// - Documents that stand at the top of all rankings in the same order are shown so, for no team (as in Lerot: Schuth,
///   Hofmann, Whiteson & de Rijke 2013): whoever picked them, a click on them would be luck.
/// - A round counts only if no ranking could run out of documents in it. Otherwise a longer ranking would be shown, and
///   clicked, more often. What is picked in such a round is shown for no team.
///
/// So the places that count are the same for every team up to one, each team is equally likely to have each of them, and
/// clicks that do not look at the documents favour none. Equal arguments give equal lists, in any version.
///
/// # Errors
/// [`InterleaveError::TooFewRankings`], [`InterleaveError::Duplicate`].
pub fn team_draft<D: Clone + Eq + Hash>(rankings: &[&[D]], length: usize, seed: u64) -> Result<Vec<Shown<D>>> {
    check(rankings)?;
    let same = common_prefix(rankings).min(length);
    let mut shown: Vec<Shown<D>> =
        rankings[0][..same].iter().map(|document| Shown { document: document.clone(), team: None }).collect();
    let mut used: HashSet<&D> = rankings[0][..same].iter().collect();
    // Where each ranking goes on: all before is used.
    let mut next = vec![same; rankings.len()];
    let mut order: Vec<usize> = (0..rankings.len()).collect();
    let mut random = SplitMix64::new(seed);
    loop {
        let picks = rankings.len().min(length - shown.len());
        let lasts = |(ranking, &next): (&&[D], &usize)| {
            ranking[next..].iter().filter(|document| !used.contains(document)).take(picks).count() == picks
        };
        let counts = rankings.iter().zip(&next).all(lasts);
        random.shuffle(&mut order);
        let before = shown.len();
        for &team in &order {
            while rankings[team].get(next[team]).is_some_and(|document| used.contains(document)) {
                next[team] += 1;
            }
            if let Some(document) = rankings[team].get(next[team]).filter(|_| shown.len() < length) {
                used.insert(document);
                shown.push(Shown { document: document.clone(), team: counts.then_some(team) });
            }
        }
        if shown.len() == before {
            return Ok(shown);
        }
    }
}

/// The seed of an impression: the first eight bytes, little-endian, of the SHA-256 of the length of `experiment` (eight
/// bytes, little-endian), `experiment` and `id`. The same impression is mixed the same way wherever and whenever it is asked
/// for, and independently in another experiment.
pub fn impression_seed(experiment: &str, id: &str) -> u64 {
    let hash = Sha256::new()
        .chain_update((experiment.len() as u64).to_le_bytes())
        .chain_update(experiment.as_bytes())
        .chain_update(id.as_bytes())
        .finalize();
    hash.iter().take(8).rev().fold(0, |seed, &byte| seed << 8 | u64::from(byte))
}

/// How many documents all rankings begin with.
fn common_prefix<D: Eq>(rankings: &[&[D]]) -> usize {
    let shortest = rankings.iter().map(|ranking| ranking.len()).min().unwrap_or(0);
    (0..shortest).take_while(|&at| rankings.iter().all(|ranking| ranking[at] == rankings[0][at])).count()
}

fn check<D: Eq + Hash>(rankings: &[&[D]]) -> Result<()> {
    if rankings.len() < 2 {
        return Err(InterleaveError::TooFewRankings(rankings.len()));
    }
    for (ranking, documents) in rankings.iter().enumerate() {
        let mut seen = HashSet::new();
        if let Some(position) = documents.iter().position(|document| !seen.insert(document)) {
            return Err(InterleaveError::Duplicate { ranking, position });
        }
    }
    Ok(())
}
