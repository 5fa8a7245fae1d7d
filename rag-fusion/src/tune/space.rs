//! What may be tuned: named parameters, the grid they span, and the points on it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::random::SplitMix64;
use crate::tune::error::{Result, TuneError};

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

/// A value for each parameter of a space.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Point(BTreeMap<String, Value>);

impl Point {
    /// A point of these values.
    pub fn new<S: Into<String>>(values: impl IntoIterator<Item = (S, Value)>) -> Self {
        Point(values.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The value of a numeric parameter.
    pub fn number(&self, name: &str) -> Option<f64> {
        if let Value::Number(number) = self.get(name)? { Some(*number) } else { None }
    }

    /// The weights of a parameter, in the order of its runs.
    pub fn weights(&self, name: &str) -> Option<&[f64]> {
        if let Value::Weights(weights) = self.get(name)? { Some(weights) } else { None }
    }

    /// The chosen name.
    pub fn choice(&self, name: &str) -> Option<&str> {
        if let Value::Choice(choice) = self.get(name)? { Some(choice) } else { None }
    }

    /// Names and values, by ascending name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (name, value)) in self.iter().enumerate() {
            f.write_str(if position == 0 { "" } else { " " })?;
            match value {
                Value::Number(number) => write!(f, "{name}={number}")?,
                Value::Weights(weights) => write!(f, "{name}={weights:?}")?,
                Value::Choice(choice) => write!(f, "{name}={choice}")?,
            }
        }
        Ok(())
    }
}

/// The parameters to tune, by name. Their grid is every combination of their values, in the order of the names.
///
/// ```
/// use rag_fusion::tune::{Parameter, Space};
/// let space = Space::new([
///     ("weights", Parameter::Weights { runs: vec!["dense".into(), "lexical".into()], step: 0.1 }),
///     ("k", Parameter::Logarithmic { low: 1.0, high: 1000.0, count: 4 }),
/// ])?;
/// assert_eq!(space.size(), 11.0 * 4.0);
/// # Ok::<(), rag_fusion::tune::TuneError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, Parameter>", into = "BTreeMap<String, Parameter>")]
pub struct Space(BTreeMap<String, Parameter>);

impl TryFrom<BTreeMap<String, Parameter>> for Space {
    type Error = TuneError;

    fn try_from(parameters: BTreeMap<String, Parameter>) -> Result<Self> {
        Space::new(parameters)
    }
}

impl From<Space> for BTreeMap<String, Parameter> {
    fn from(space: Space) -> Self {
        space.0
    }
}

/// Where a point stands on the grid: for each parameter the parts of each weight, or the position of its value.
pub(super) type Place = Vec<Vec<usize>>;

impl Space {
    /// A space of these parameters; of two with one name the later counts.
    ///
    /// # Errors
    /// [`TuneError::EmptySpace`] and [`TuneError::Parameter`].
    pub fn new<S: Into<String>>(parameters: impl IntoIterator<Item = (S, Parameter)>) -> Result<Self> {
        let parameters: BTreeMap<String, Parameter> =
            parameters.into_iter().map(|(name, parameter)| (name.into(), parameter)).collect();
        for (name, parameter) in &parameters {
            parameter.check().map_err(|reason| TuneError::Parameter { name: name.clone(), reason })?;
        }
        if parameters.is_empty() { Err(TuneError::EmptySpace) } else { Ok(Space(parameters)) }
    }

    /// Number of points of the grid.
    pub fn size(&self) -> f64 {
        self.0.values().map(Parameter::size).product()
    }

    /// The middle: equal weights, the middle value of a range (the lower of two), the first name of a choice. Equal weights
    /// need not be multiples of the step.
    pub fn centre(&self) -> Point {
        Point(self.0.iter().map(|(name, parameter)| (name.clone(), parameter.centre())).collect())
    }

    /// How far two points are from each other: the sum over the parameters of half the absolute differences of the weights,
    /// the difference of the numbers as a share of their range (of their logarithms where the scale is), and 1 for two
    /// different names.
    pub fn distance(&self, a: &Point, b: &Point) -> f64 {
        let of = |(name, parameter): (&String, &Parameter)| match (a.get(name), b.get(name)) {
            (Some(a), Some(b)) => parameter.distance(a, b),
            _ => 1.0,
        };
        self.0.iter().map(of).sum()
    }

    /// Whether `prior` has a usable value for each parameter.
    pub(super) fn check_prior(&self, prior: &Point) -> Result<()> {
        let wrong = |name: &str, reason| TuneError::Prior { name: name.to_owned(), reason };
        for (name, parameter) in &self.0 {
            let value = prior.get(name).ok_or_else(|| wrong(name, "has no value; give one"))?;
            parameter.admits(value).map_err(|reason| wrong(name, reason))?;
        }
        match prior.iter().find(|(name, _)| !self.0.contains_key(*name)) {
            Some((name, _)) => Err(wrong(name, "is no parameter of the space; leave it out")),
            None => Ok(()),
        }
    }

    /// The whole grid. Only for a space whose size was compared.
    pub(super) fn grid(&self) -> Vec<Place> {
        let mut grid = vec![Vec::new()];
        for parameter in self.0.values() {
            let places = parameter.places();
            let longer = |place: &Place| {
                let place = place.clone();
                places.iter().map(move |at| [place.clone(), vec![at.clone()]].concat()).collect::<Vec<_>>()
            };
            grid = grid.iter().flat_map(longer).collect();
        }
        grid
    }

    /// A place of the grid, all equally likely.
    pub(super) fn draw(&self, random: &mut SplitMix64) -> Place {
        self.0.values().map(|parameter| parameter.draw(random)).collect()
    }

    /// The places that differ from `place` in one parameter by `stride`; of weights, by `stride` parts that go from one run
    /// to another; of a choice, every other name.
    pub(super) fn neighbours(&self, place: &Place, stride: usize) -> Vec<Place> {
        let mut found = Vec::new();
        for (axis, parameter) in self.0.values().enumerate() {
            for at in parameter.neighbours(&place[axis], stride) {
                let mut neighbour = place.clone();
                neighbour[axis] = at;
                found.push(neighbour);
            }
        }
        found
    }

    /// Steps along the longest parameter.
    pub(super) fn extent(&self) -> usize {
        self.0.values().map(Parameter::steps).max().unwrap_or(0)
    }

    pub(super) fn point(&self, place: &Place) -> Point {
        let value = |((name, parameter), at): ((&String, &Parameter), &Vec<usize>)| (name.clone(), parameter.value(at));
        Point(self.0.iter().zip(place).map(value).collect())
    }

    /// The place of the grid nearest to `point`, which [`Space::check_prior`] has seen.
    pub(super) fn nearest(&self, point: &Point) -> Place {
        let at = |(name, parameter): (&String, &Parameter)| point.get(name).map(|value| parameter.nearest(value));
        self.0.iter().filter_map(at).collect()
    }
}

impl Parameter {
    fn check(&self) -> Result<(), &'static str> {
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
    fn steps(&self) -> usize {
        match self {
            Parameter::Weights { step, .. } => (1.0 / step).round() as usize,
            // The small term keeps the last value where the division is a hair below a whole number.
            Parameter::Linear { low, high, step } => ((high - low) / step + 1e-9) as usize,
            Parameter::Logarithmic { count, .. } => count - 1,
            Parameter::Choice { values } => values.len() - 1,
        }
    }

    fn size(&self) -> f64 {
        match self {
            Parameter::Weights { runs, .. } => {
                let steps = self.steps() as f64;
                (1..runs.len()).fold(1.0, |size, at| size * (steps + at as f64) / at as f64).round()
            }
            _ => self.steps() as f64 + 1.0,
        }
    }

    fn places(&self) -> Vec<Vec<usize>> {
        match self {
            Parameter::Weights { runs, .. } => compositions(self.steps(), runs.len()),
            _ => (0..=self.steps()).map(|at| vec![at]).collect(),
        }
    }

    fn value(&self, place: &[usize]) -> Value {
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

    fn centre(&self) -> Value {
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

    fn distance(&self, a: &Value, b: &Value) -> f64 {
        match (a, b) {
            (Value::Weights(a), Value::Weights(b)) => a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>() / 2.0,
            (Value::Number(a), Value::Number(b)) => (self.scaled(*a) - self.scaled(*b)).abs(),
            _ => f64::from(u8::from(a != b)),
        }
    }

    fn admits(&self, value: &Value) -> Result<(), &'static str> {
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

    fn nearest(&self, value: &Value) -> Vec<usize> {
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

    fn draw(&self, random: &mut SplitMix64) -> Vec<usize> {
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

    fn neighbours(&self, at: &[usize], stride: usize) -> Vec<Vec<usize>> {
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
fn apportion(weights: &[f64], parts: usize) -> Vec<usize> {
    let exact: Vec<f64> = weights.iter().map(|weight| weight * parts as f64).collect();
    let mut whole: Vec<usize> = exact.iter().map(|share| (share + 1e-9) as usize).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&a, &b| (exact[b] - whole[b] as f64).total_cmp(&(exact[a] - whole[a] as f64)));
    let missing = parts.saturating_sub(whole.iter().sum());
    order.into_iter().take(missing).for_each(|run| whole[run] += 1);
    whole
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn weights(runs: usize, parts: usize) -> Parameter {
        Parameter::Weights { runs: (0..runs).map(|run| run.to_string()).collect(), step: 1.0 / parts as f64 }
    }

    fn any_space() -> impl Strategy<Value = Space> {
        let axes = (1usize..5, 1usize..9, 2usize..6, 1usize..4);
        axes.prop_map(|(runs, parts, count, choices)| {
            Space::new([
                ("w", weights(runs, parts)),
                ("a", Parameter::Linear { low: -1.0, high: 1.0, step: 0.3 }),
                ("k", Parameter::Logarithmic { low: 1.0, high: 100.0, count }),
                ("n", Parameter::Choice { values: (0..choices).map(|at| at.to_string()).collect() }),
            ])
            .unwrap()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn the_grid_is_complete_and_closed(space in any_space(), seed in any::<u64>()) {
            let grid: BTreeSet<Place> = space.grid().into_iter().collect();
            prop_assert_eq!(grid.len() as f64, space.size());
            let mut random = SplitMix64::new(seed);
            for stride in [1, 3] {
                let place = space.draw(&mut random);
                prop_assert!(grid.contains(&place));
                prop_assert_eq!(&space.nearest(&space.point(&place)), &place);
                prop_assert!(space.check_prior(&space.point(&place)).is_ok());
                for neighbour in space.neighbours(&place, stride) {
                    prop_assert!(neighbour != place && grid.contains(&neighbour));
                }
            }
            prop_assert!(space.check_prior(&space.centre()).is_ok());
            prop_assert!(grid.contains(&space.nearest(&space.centre())));
        }

        #[test]
        fn distance_is_a_metric(space in any_space(), seed in any::<u64>()) {
            let mut random = SplitMix64::new(seed);
            let [a, b, c] = [(); 3].map(|()| space.point(&space.draw(&mut random)));
            prop_assert_eq!(space.distance(&a, &a), 0.0);
            prop_assert_eq!(space.distance(&a, &b), space.distance(&b, &a));
            prop_assert!((a == b) == (space.distance(&a, &b) == 0.0));
            prop_assert!(space.distance(&a, &c) <= space.distance(&a, &b) + space.distance(&b, &c) + 1e-12);
            prop_assert!(space.distance(&a, &b) <= 4.0);
        }
    }

    #[test]
    fn draws_of_weights_are_even() {
        let parameter = weights(3, 4);
        let places = parameter.places();
        let mut random = SplitMix64::new(1);
        let mut counts = vec![0f64; places.len()];
        for _ in 0..15_000 {
            let drawn = parameter.draw(&mut random);
            counts[places.iter().position(|place| *place == drawn).unwrap()] += 1.0;
        }
        let chi: f64 = counts.iter().map(|count| (count - 1000.0).powi(2) / 1000.0).sum();
        assert!(places.len() == 15 && chi < 36.1, "{counts:?}"); // .999 quantile at 14 degrees
    }

    #[test]
    fn neighbours_connect_the_grid() {
        let space =
            Space::new([("w", weights(4, 5)), ("a", Parameter::Linear { low: 0.0, high: 1.0, step: 0.5 })]).unwrap();
        let mut reached = BTreeSet::from([space.grid()[0].clone()]);
        let mut open: Vec<Place> = reached.iter().cloned().collect();
        while let Some(place) = open.pop() {
            open.extend(space.neighbours(&place, 1).into_iter().filter(|next| reached.insert(next.clone())));
        }
        assert_eq!(reached.len() as f64, space.size());
    }

    #[test]
    fn values_are_those_of_the_definition() {
        let linear = Parameter::Linear { low: 0.0, high: 0.35, step: 0.1 };
        let numbers: Vec<Value> = linear.places().iter().map(|place| linear.value(place)).collect();
        assert_eq!(numbers, [0.0, 0.1, 0.2, 0.3].map(Value::Number));
        let tiny = Parameter::Linear { low: 0.0, high: 1e-13, step: 5e-14 };
        assert_eq!(tiny.value(&[1]), Value::Number(5e-14));
        let log = Parameter::Logarithmic { low: 1.0, high: 1000.0, count: 4 };
        let Value::Number(ten) = log.value(&[1]) else { unreachable!() };
        assert!((ten - 10.0).abs() < 1e-12 && log.value(&[3]) == Value::Number(1000.0));
        assert_eq!(weights(2, 10).value(&[3, 7]), Value::Weights(vec![0.3, 0.7]));
        assert_eq!(apportion(&[1.0 / 3.0; 3], 10), [4, 3, 3]);
        let space = Space::new([("w", weights(3, 10)), ("a", linear)]).unwrap();
        assert_eq!(space.centre().to_string(), format!("a=0.1 w={:?}", [1.0 / 3.0; 3]));
    }

    #[test]
    fn wrong_spaces_and_priors_are_named() {
        let wrong = [
            Parameter::Weights { runs: vec![], step: 0.1 },
            Parameter::Weights { runs: vec!["a".into(), "a".into()], step: 0.1 },
            Parameter::Weights { runs: vec!["a".into()], step: 0.3 },
            Parameter::Weights { runs: vec!["a".into()], step: f64::NAN },
            Parameter::Weights { runs: vec!["a".into()], step: 0.0 },
            Parameter::Linear { low: 1.0, high: 1.0, step: 0.1 },
            Parameter::Linear { low: 0.0, high: f64::INFINITY, step: 0.1 },
            Parameter::Linear { low: 0.0, high: 1.0, step: 0.0 },
            Parameter::Logarithmic { low: 0.0, high: 1.0, count: 3 },
            Parameter::Logarithmic { low: 1.0, high: 2.0, count: 1 },
            Parameter::Choice { values: vec![] },
        ];
        for parameter in wrong {
            let error = Space::new([("p", parameter.clone())]).unwrap_err();
            assert!(matches!(&error, TuneError::Parameter { name, .. } if name == "p"), "{parameter:?}");
        }
        assert!(matches!(Space::new::<String>([]), Err(TuneError::EmptySpace)));
        let space =
            Space::new([("w", weights(2, 4)), ("k", Parameter::Linear { low: 0.0, high: 9.0, step: 1.0 })]).unwrap();
        let prior = |w: Value, k: Value| Point::new([("w", w), ("k", k)]);
        let fits = Value::Weights(vec![0.1, 0.9]);
        assert!(space.check_prior(&prior(fits.clone(), Value::Number(0.5))).is_ok());
        for (w, k) in [
            (Value::Weights(vec![1.0]), Value::Number(1.0)),
            (Value::Weights(vec![-0.5, 1.5]), Value::Number(1.0)),
            (Value::Weights(vec![0.5, 0.6]), Value::Number(1.0)),
            (fits.clone(), Value::Number(f64::NAN)),
            (fits.clone(), Value::Number(10.0)),
            (fits.clone(), Value::Choice("x".into())),
        ] {
            assert!(matches!(space.check_prior(&prior(w, k)), Err(TuneError::Prior { .. })));
        }
        assert!(space.check_prior(&Point::new([("w", fits)])).is_err());
    }

    #[test]
    fn spaces_are_read_from_configuration() {
        let text =
            r#"{"k":{"kind":"logarithmic","low":1.0,"high":100.0,"count":3},"n":{"kind":"choice","values":["max"]}}"#;
        let space: Space = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&space).unwrap(), text);
        assert_eq!(serde_json::to_string(&space.centre()).unwrap(), r#"{"k":10.0,"n":"max"}"#);
        let read: Point = serde_json::from_str(r#"{"k":10,"n":"max","w":[0.5,0.5]}"#).unwrap();
        assert_eq!(
            (read.number("k"), read.choice("n"), read.weights("w")),
            (Some(10.0), Some("max"), Some(&[0.5, 0.5][..]))
        );
        assert_eq!((read.number("n"), read.choice("w"), read.weights("k")), (None, None, None));
        for wrong in
            [r#"{}"#, r#"{"k":{"kind":"choice","values":[]}}"#, r#"{"k":{"kind":"choice","values":["a"],"x":1}}"#]
        {
            assert!(serde_json::from_str::<Space>(wrong).is_err(), "{wrong}");
        }
    }
}
