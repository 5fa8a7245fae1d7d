//! One parameter: its values, and what lies beside what.

use serde::{Deserialize, Serialize};

use crate::random::SplitMix64;

/// Most values of one parameter, and most parts a weight of 1 is cut into.
const MAX_STEPS: f64 = 1e6;

/// One parameter and the values to try.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields, tag = "kind")]
pub enum Parameter {
    /// One weight for each run, each a multiple of `step` and their sum 1: the lattice on the simplex. With a step of `1/m`
    /// and `n` runs it has `C(m + n − 1, n − 1)` points (ranx's `wsum` tries the same ones).
    Weights {
        /// Names of the runs, each once; the weights of a point stand in this order.
        runs: Vec<String>,
        /// One part of a weight; 1 divided by it is a whole number.
        step: f64,
    },
    /// `low`, `low + step`, … up to `high`.
    Linear {
        /// The least value.
        low: f64,
        /// No value is above it.
        high: f64,
        /// Above 0.
        step: f64,
    },
    /// `count` values from `low` to `high`, each the same multiple of the one before.
    Logarithmic {
        /// The least value, above 0.
        low: f64,
        /// The greatest value.
        high: f64,
        /// At least 2.
        count: usize,
    },
    /// One of several names.
    Choice {
        /// The names, each once.
        values: Vec<String>,
    },
}

/// Value of one parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Of [`Parameter::Linear`] and [`Parameter::Logarithmic`].
    Number(f64),
    /// Of [`Parameter::Weights`], in the order of its runs.
    Weights(Vec<f64>),
    /// Of [`Parameter::Choice`].
    Choice(String),
}

impl Parameter {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let repeated = |names: &[String]| (1..names.len()).any(|at| names[..at].contains(&names[at]));
        match self {
            Parameter::Weights { runs, .. } if runs.is_empty() || repeated(runs) => {
                Err("name each run once, at least one")
            }
            Parameter::Weights { step, .. } => {
                let parts = (1.0 / step).round();
                let fits = (1.0..=MAX_STEPS).contains(&parts) && (parts * step - 1.0).abs() < 1e-9;
                if fits {
                    Ok(())
                } else {
                    Err("`step` must be 1 divided by a whole number up to a million, such as 0.1")
                }
            }
            Parameter::Linear { low, high, step } => {
                let fits = low.is_finite() && low < high && *step > 0.0 && (high - low) / step <= MAX_STEPS;
                if fits {
                    Ok(())
                } else {
                    Err("give finite `low` < `high` and a `step` of which at most a million fit between")
                }
            }
            Parameter::Logarithmic { low, high, count } => {
                let fits = *low > 0.0 && low < high && high.is_finite() && *count >= 2 && *count as f64 <= MAX_STEPS;
                if fits { Ok(()) } else { Err("give finite 0 < `low` < `high` and a `count` from 2 to a million") }
            }
            Parameter::Choice { values } if values.is_empty() || repeated(values) => {
                Err("name each value once, at least one")
            }
            Parameter::Choice { .. } => Ok(()),
        }
    }

    /// Number of steps from end to end.
    pub(super) fn steps(&self) -> usize {
        match self {
            Parameter::Weights { step, .. } => (1.0 / step).round() as usize,
            // The small term keeps the last value where the division is a hair below a whole number.
            Parameter::Linear { low, high, step } => ((high - low) / step + 1e-9) as usize,
            Parameter::Logarithmic { count, .. } => count - 1,
            Parameter::Choice { values } => values.len() - 1,
        }
    }

    pub(super) fn size(&self) -> f64 {
        match self {
            Parameter::Weights { runs, .. } => {
                let steps = self.steps() as f64;
                (1..runs.len()).fold(1.0, |size, at| size * (steps + at as f64) / at as f64).round()
            }
            _ => self.steps() as f64 + 1.0,
        }
    }

    pub(super) fn places(&self) -> Vec<Vec<usize>> {
        match self {
            Parameter::Weights { runs, .. } => compositions(self.steps(), runs.len()),
            _ => (0..=self.steps()).map(|at| vec![at]).collect(),
        }
    }

    pub(super) fn value(&self, place: &[usize]) -> Value {
        let at = place.first().copied().unwrap_or(0);
        match self {
            Parameter::Weights { .. } => {
                let parts = self.steps() as f64;
                Value::Weights(place.iter().map(|&part| part as f64 / parts).collect())
            }
            // Rounded, so that three steps of 0.1 are 0.3 and are written so.
            Parameter::Linear { low, step, .. } => {
                let raw = low + step * at as f64;
                let rounded = (raw * 1e12).round() / 1e12;
                Value::Number(if (rounded - raw).abs() < step * 1e-6 { rounded } else { raw })
            }
            Parameter::Logarithmic { high, .. } if at == self.steps() => Value::Number(*high),
            Parameter::Logarithmic { low, high, .. } => {
                Value::Number(low * (high / low).powf(at as f64 / self.steps() as f64))
            }
            Parameter::Choice { values } => Value::Choice(values.get(at).cloned().unwrap_or_default()),
        }
    }

    pub(super) fn centre(&self) -> Value {
        match self {
            Parameter::Weights { runs, .. } => Value::Weights(vec![1.0 / runs.len() as f64; runs.len()]),
            Parameter::Choice { .. } => self.value(&[0]),
            _ => self.value(&[self.steps() / 2]),
        }
    }

    /// 0 at one end of the range and 1 at the other.
    fn scaled(&self, number: f64) -> f64 {
        match self {
            Parameter::Linear { low, high, .. } => (number - low) / (high - low),
            Parameter::Logarithmic { low, high, .. } => (number / low).ln() / (high / low).ln(),
            _ => 0.0,
        }
    }

    pub(super) fn distance(&self, a: &Value, b: &Value) -> f64 {
        match (a, b) {
            (Value::Weights(a), Value::Weights(b)) => a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>() / 2.0,
            (Value::Number(a), Value::Number(b)) => (self.scaled(*a) - self.scaled(*b)).abs(),
            _ => f64::from(u8::from(a != b)),
        }
    }

    pub(super) fn admits(&self, value: &Value) -> Result<(), &'static str> {
        match (self, value) {
            (Parameter::Weights { runs, .. }, Value::Weights(weights)) => {
                let sum: f64 = weights.iter().sum();
                let fits = weights.len() == runs.len() && weights.iter().all(|&weight| weight >= 0.0);
                if fits && (sum - 1.0).abs() < 1e-6 {
                    Ok(())
                } else {
                    Err("give each run a weight of at least 0, in sum 1")
                }
            }
            (Parameter::Linear { low, high, .. } | Parameter::Logarithmic { low, high, .. }, Value::Number(number)) => {
                if low <= number && number <= high {
                    Ok(())
                } else {
                    Err("is not between `low` and `high`")
                }
            }
            (Parameter::Choice { values }, Value::Choice(choice)) => {
                if values.contains(choice) {
                    Ok(())
                } else {
                    Err("is none of the names of the choice")
                }
            }
            _ => Err("is of another kind than the parameter"),
        }
    }

    pub(super) fn nearest(&self, value: &Value) -> Vec<usize> {
        match (self, value) {
            (Parameter::Weights { .. }, Value::Weights(weights)) => apportion(weights, self.steps()),
            (Parameter::Linear { low, step, .. }, Value::Number(number)) => {
                vec![(((number - low) / step).round() as usize).min(self.steps())]
            }
            (Parameter::Logarithmic { .. }, Value::Number(number)) => {
                vec![(self.scaled(*number) * self.steps() as f64).round() as usize]
            }
            (Parameter::Choice { values }, Value::Choice(choice)) => {
                vec![values.iter().position(|value| value == choice).unwrap_or(0)]
            }
            _ => vec![0],
        }
    }

    pub(super) fn draw(&self, random: &mut SplitMix64) -> Vec<usize> {
        let Parameter::Weights { runs, .. } = self else { return vec![random.below(self.steps() + 1)] };
        // Stars and bars: the bars stand at `runs − 1` different places of the row, the parts are the gaps between them.
        let length = self.steps() + runs.len() - 1;
        let mut bars: Vec<usize> = Vec::new();
        while bars.len() + 1 < runs.len() {
            let bar = random.below(length);
            if let Err(at) = bars.binary_search(&bar) {
                bars.insert(at, bar);
            }
        }
        bars.push(length);
        let mut next = 0;
        let gap = |bar: usize| {
            let gap = bar - next;
            next = bar + 1;
            gap
        };
        bars.into_iter().map(gap).collect()
    }

    pub(super) fn neighbours(&self, at: &[usize], stride: usize) -> Vec<Vec<usize>> {
        match self {
            Parameter::Weights { .. } => {
                let mut found = Vec::new();
                for (from, to) in (0..at.len()).flat_map(|from| (0..at.len()).map(move |to| (from, to))) {
                    let moved = stride.min(at[from]);
                    if from != to && moved > 0 {
                        let mut parts = at.to_vec();
                        parts[from] -= moved;
                        parts[to] += moved;
                        found.push(parts);
                    }
                }
                found
            }
            Parameter::Choice { values } => {
                (0..values.len()).filter(|&other| other != at[0]).map(|at| vec![at]).collect()
            }
            _ => {
                let both = [at[0].saturating_sub(stride), (at[0] + stride).min(self.steps())];
                both.into_iter().filter(|&other| other != at[0]).map(|at| vec![at]).collect()
            }
        }
    }
}

/// Every way to give `parts` parts to `runs` runs, the first run getting the fewest first.
fn compositions(parts: usize, runs: usize) -> Vec<Vec<usize>> {
    if runs <= 1 {
        return vec![vec![parts]];
    }
    let rest =
        |first: usize| compositions(parts - first, runs - 1).into_iter().map(move |rest| [vec![first], rest].concat());
    (0..=parts).flat_map(rest).collect()
}

/// Whole parts as near to the weights as can be: rounded down, the rest to the largest remainders, the first of equal ones.
pub(super) fn apportion(weights: &[f64], parts: usize) -> Vec<usize> {
    let exact: Vec<f64> = weights.iter().map(|weight| weight * parts as f64).collect();
    let mut whole: Vec<usize> = exact.iter().map(|share| (share + 1e-9) as usize).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&a, &b| (exact[b] - whole[b] as f64).total_cmp(&(exact[a] - whole[a] as f64)));
    let missing = parts.saturating_sub(whole.iter().sum());
    order.into_iter().take(missing).for_each(|run| whole[run] += 1);
    whole
}
