//! How likely a place is looked at.

use serde::{Deserialize, Serialize};

use super::log::{MAX_RANK, Shown};
use crate::error::{Error, Result};

/// How likely a document at each rank is looked at, relative to one at rank 1, whose value is 1. Every value is above 0
/// and finite; one above 1 says that the place is seen more than the top. Written and read as an array, rank 1 first.
///
/// ```
/// use rag_ltr::clicks::Propensities;
/// let propensities = Propensities::new(&[0.8, 0.4, 0.2])?;
/// assert_eq!((propensities.at(1), propensities.at(2), propensities.at(99)), (1.0, 0.5, 0.25));
/// assert_eq!(Propensities::power_law(1.0, 10)?.at(4), 0.25);
/// # Ok::<(), rag_ltr::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f64>", into = "Vec<f64>")]
pub struct Propensities {
    by_rank: Vec<f64>,
}

impl Propensities {
    /// Takes one value a rank, from rank 1 on, in any unit: all are divided by the first.
    ///
    /// # Errors
    /// [`Error::Setting`] for none, more than [`MAX_RANK`], or a value that is not above 0 and finite.
    pub fn new(by_rank: &[f64]) -> Result<Propensities> {
        let first = by_rank.first().copied().filter(|_| by_rank.len() <= MAX_RANK as usize);
        let Some(first) = first else {
            let value = by_rank.len() as f64;
            return Err(Error::Setting {
                name: "propensities",
                value,
                range: "one value a rank, for 1 to 10,000 ranks",
            });
        };
        let relative: Vec<f64> = by_rank.iter().map(|value| value / first).collect();
        let sound = |value: f64| value > 0.0 && value.is_finite();
        match by_rank.iter().zip(&relative).find(|&(&value, &relative)| !sound(value) || !sound(relative)) {
            Some((&value, _)) => {
                Err(Error::Setting { name: "propensities", value, range: "numbers above 0, comparable in size" })
            }
            None => Ok(Propensities { by_rank: relative }),
        }
    }

    /// `(1 / rank)^steepness`, the usual shape in simulations (Joachims, Swaminathan & Schnabel, WSDM 2017).
    ///
    /// # Errors
    /// As [`Propensities::new`].
    pub fn power_law(steepness: f64, ranks: u32) -> Result<Propensities> {
        let by_rank: Vec<f64> = (1..=ranks.min(MAX_RANK + 1)).map(|rank| f64::from(rank).powf(-steepness)).collect();
        Propensities::new(&by_rank)
    }

    /// The value of a 1-based rank; below the last rank that there is a value for, that of the last.
    pub fn at(&self, rank: u32) -> f64 {
        let place = (rank.max(1) as usize - 1).min(self.by_rank.len() - 1);
        self.by_rank.get(place).copied().unwrap_or(1.0)
    }

    /// What the log says of a document, else the value of its rank.
    pub fn of(&self, shown: &Shown) -> f64 {
        shown.propensity.unwrap_or_else(|| self.at(shown.rank))
    }

    /// The values, rank 1 first.
    pub fn values(&self) -> &[f64] {
        &self.by_rank
    }

    /// None below `least`: no click is weighted with more than `1 / least`. That trades a bias for variance.
    ///
    /// # Errors
    /// [`Error::Setting`] for a `least` that is not in `[0, 1]`.
    pub fn clipped(&self, least: f64) -> Result<Propensities> {
        check_least(least)?;
        Ok(Propensities { by_rank: self.by_rank.iter().map(|value| value.max(least)).collect() })
    }

    /// The closest values that nowhere rise from one rank to the next: least squares with a weight a rank (isotonic
    /// regression by pooling adjacent violators; Ayer et al. 1955), then divided by that of rank 1. Weights are what each
    /// value rests on, such as its impressions; ranks without a weight count as little as can be.
    #[must_use]
    pub fn monotone(&self, weights: &[f64]) -> Propensities {
        // Blocks of (mean, weight, ranks); a block that is above the one before it joins it.
        let mut blocks: Vec<(f64, f64, usize)> = Vec::with_capacity(self.by_rank.len());
        for (place, &value) in self.by_rank.iter().enumerate() {
            let weight = weights.get(place).copied().filter(|weight| weight.is_finite()).unwrap_or_default().max(1e-9);
            let mut block = (value, weight, 1);
            while let Some(before) = blocks.pop_if(|before| before.0 < block.0) {
                let weight = before.1 + block.1;
                block = ((before.0 * before.1 + block.0 * block.1) / weight, weight, before.2 + block.2);
            }
            blocks.push(block);
        }
        let first = blocks.first().map_or(1.0, |block| block.0);
        let by_rank = blocks.iter().flat_map(|block| std::iter::repeat_n(block.0 / first, block.2)).collect();
        Propensities { by_rank }
    }
}

/// Whether this can be the least propensity.
pub(crate) fn check_least(least: f64) -> Result<()> {
    if (0.0..=1.0).contains(&least) {
        return Ok(());
    }
    Err(Error::Setting { name: "least", value: least, range: "a propensity from 0 to 1" })
}

impl TryFrom<Vec<f64>> for Propensities {
    type Error = Error;

    fn try_from(by_rank: Vec<f64>) -> Result<Self> {
        Propensities::new(&by_rank)
    }
}

impl From<Propensities> for Vec<f64> {
    fn from(propensities: Propensities) -> Self {
        propensities.by_rank
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_cannot_be_a_propensity_is_refused() {
        for wrong in
            [vec![], vec![0.0, 1.0], vec![1.0, -0.1], vec![1.0, f64::NAN], vec![1e-300, 1e300], vec![1.0; 10_001]]
        {
            assert!(matches!(Propensities::new(&wrong), Err(Error::Setting { name: "propensities", .. })));
        }
        assert!(Propensities::power_law(f64::NAN, 3).is_err());
        assert!(Propensities::power_law(1.0, u32::MAX).is_err());
        assert!(Propensities::new(&[1.0]).unwrap().clipped(1.1).is_err());
    }

    #[test]
    fn monotone_pools_what_rises() {
        let rising = Propensities::new(&[1.0, 0.5, 0.7, 0.2, 0.3, 0.1]).unwrap();
        let monotone = rising.monotone(&[1.0, 1.0, 3.0, 1.0, 1.0, 0.0]);
        let expected = [1.0, 0.65, 0.65, 0.25, 0.25, 0.1];
        assert!(monotone.values().iter().zip(expected).all(|(value, expected)| (value - expected).abs() < 1e-12));
        // A pool that takes in rank 1 is the new unit.
        let top = Propensities::new(&[1.0, 3.0, 1.0]).unwrap().monotone(&[1.0; 3]);
        assert_eq!(top.values(), [1.0, 1.0, 0.5]);
    }

    #[test]
    fn json_is_an_array() {
        let propensities: Propensities = serde_json::from_str("[2, 1, 0.5]").unwrap();
        assert_eq!(serde_json::to_string(&propensities.clipped(0.4).unwrap()).unwrap(), "[1.0,0.5,0.4]");
        assert!(serde_json::from_str::<Propensities>("[0]").is_err());
    }
}
