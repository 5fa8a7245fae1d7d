//! The attraction of each document, for an evaluation that no click may enter twice.

use std::collections::HashMap;

use super::counts::{Counts, Prior, mean_rate};
use super::log::ClickLog;
use super::propensity::Propensities;

/// The attraction of each document, made without the clicks of the part that it is asked for.
pub(super) struct DirectModel<'a> {
    pairs: HashMap<(&'a str, &'a str), Folded>,
    all: Folded,
    strength: f64,
}

/// Clicks and exposure: of all parts, and part by part.
#[derive(Clone)]
struct Folded {
    all: (usize, f64),
    parts: Vec<(usize, f64)>,
}

impl Folded {
    fn add(&mut self, fold: usize, clicked: bool, propensity: f64) {
        for sum in std::iter::once(&mut self.all).chain(self.parts.get_mut(fold)) {
            *sum = (sum.0 + usize::from(clicked), sum.1 + propensity);
        }
    }

    /// Of all parts but one.
    fn without(&self, fold: usize) -> Counts {
        let part = self.parts.get(fold).copied().unwrap_or_default();
        // Where the part is all there is, the difference of the exposures may be a rounding error.
        let exposure = if self.all.1 - part.1 > self.all.1 * 1e-12 { self.all.1 - part.1 } else { 0.0 };
        Counts { clicks: self.all.0 - part.0, exposure, ..Counts::default() }
    }
}

impl<'a> DirectModel<'a> {
    pub(super) fn of(
        log: &'a ClickLog,
        propensities: &Propensities,
        folds: usize,
        strength: f64,
        unit_of: &[usize],
    ) -> DirectModel<'a> {
        let none = Folded { all: (0, 0.0), parts: vec![(0, 0.0); folds] };
        let mut model = DirectModel { pairs: HashMap::new(), all: none.clone(), strength };
        for (impression, unit) in log.iter().zip(unit_of) {
            for shown in &impression.shown {
                let key = (impression.query.as_str(), shown.document.as_str());
                let (fold, propensity) = (unit % folds, propensities.of(shown));
                model.all.add(fold, shown.clicked, propensity);
                model.pairs.entry(key).or_insert_with(|| none.clone()).add(fold, shown.clicked, propensity);
            }
        }
        model
    }

    pub(super) fn attraction(&self, query: &str, document: &str, fold: usize) -> f64 {
        let all = self.all.without(fold);
        let prior = Prior { mean: mean_rate(all.clicks, all.exposure), strength: self.strength };
        let of_pair = self.pairs.get(&(query, document)).map_or_else(Counts::default, |folded| folded.without(fold));
        of_pair.attraction(prior)
    }
}
