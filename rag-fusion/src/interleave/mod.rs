//! Rankers compared by the clicks of users.
//!
//! A service asks each ranker, shows one list that [`team_draft`] mixes from their answers, logs an [`Impression`] and adds the
//! clicks when they come. [`compare`] says which ranker users prefer, [`impressions_needed`] how long that takes, and
//! [`replay`] estimates a ranker that was never shown from a log with exploration.
//!
//! ```
//! use rag_fusion::interleave::{Impression, compare, impression_seed, team_draft};
//! let mut log = Vec::new();
//! for query in 0..20 {
//!     let id = format!("query-{query}");
//!     let rankings: [&[u64]; 2] = [&[1, 2, 3, 4], &[3, 5, 6, 1]];
//!     let shown = team_draft(&rankings, 4, impression_seed("dense-or-lexical", &id))?;
//!     log.push(Impression { id, teams: vec!["dense".into(), "lexical".into()], shown, clicked: vec![2] });
//! }
//! let answer = compare(&log, 0.95)?;
//! // Document 2 is the dense ranker's wherever it was shown.
//! assert_eq!(answer.preferences[0].losses, 0);
//! # Ok::<(), rag_fusion::interleave::InterleaveError>(())
//! ```

mod binomial;
mod compare;
mod draft;
mod error;
mod power;
mod replay;

pub use compare::{Comparison, Preference, compare};
pub use draft::{impression_seed, team_draft};
pub use error::{InterleaveError, Result};
pub use power::{impressions_needed, power};
pub use replay::{Logged, LoggedSlot, Replayed, replay};

use std::collections::HashMap;
use std::hash::Hash;

use serde::{Deserialize, Serialize};

/// A document of a mixed list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Shown<D = u64> {
    /// The document.
    pub document: D,
    /// 0-based number of the ranking that a click on it counts for; `None`: for none.
    pub team: Option<usize>,
}

/// One list as it was shown, and what was clicked: a line of a log. Fields that are not named here are ignored when it is
/// read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Impression<D = u64> {
    /// What tells it from the others, and what the mix was drawn from ([`impression_seed`]).
    pub id: String,
    /// Names of the rankers, in the order in which they were given to [`team_draft`].
    pub teams: Vec<String>,
    /// The list, best first.
    pub shown: Vec<Shown<D>>,
    /// Documents that were clicked, in any order; a second click on one adds nothing.
    #[serde(default = "Vec::new")]
    pub clicked: Vec<D>,
}

impl<D: Eq + Hash> Impression<D> {
    /// For each team the number of its documents that were clicked.
    ///
    /// # Errors
    /// [`InterleaveError::UnknownTeam`], [`InterleaveError::UnknownClick`].
    pub fn credit(&self) -> Result<Vec<u32>> {
        let mut credit = vec![0; self.teams.len()];
        let mut team_of: HashMap<&D, Option<usize>> = HashMap::new();
        for shown in &self.shown {
            if let Some(team) = shown.team.filter(|&team| team >= credit.len()) {
                return Err(InterleaveError::UnknownTeam { id: self.id.clone(), team, teams: credit.len() });
            }
            team_of.insert(&shown.document, shown.team);
        }
        for (click, document) in self.clicked.iter().enumerate() {
            // Once its click has counted, a document is of no team.
            match team_of.get_mut(document) {
                Some(team) => team.take().into_iter().for_each(|team| credit[team] += 1),
                None => return Err(InterleaveError::UnknownClick { id: self.id.clone(), click }),
            }
        }
        Ok(credit)
    }
}
