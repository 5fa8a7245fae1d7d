//! What may be tuned: named parameters, the grid they span, and the points on it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::random::SplitMix64;
use crate::tune::error::{Result, TuneError};
use crate::tune::parameter::{Parameter, Value};

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
