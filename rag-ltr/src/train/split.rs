//! The best split of a leaf by one feature.

use crate::train::bins::{Feature, Kind};
use crate::train::categories;
use crate::train::histogram::{Sum, Units};
use crate::train::parameters::LambdaMart;

/// A leaf whose best split is looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    pub(crate) sum: Sum,
    /// Its rows.
    pub(crate) rows: usize,
    /// Rows for one unit of second derivatives, in steps of `2^-32`.
    rows_per_hessian: u64,
    /// The gain that a split must pass.
    pub(crate) least_gain: f64,
    /// What its value may be, by the constraints above it.
    pub(crate) bounds: (f64, f64),
}

/// What holds for all splits of a tree.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) parameters: &'a LambdaMart,
    pub(crate) units: Units,
    /// `min_sum_hessian_in_leaf` in units.
    least_hessian: u32,
    /// `min_data_in_leaf`.
    least_rows: i64,
    /// Whether gains have the plain form: no L1 and no constraints.
    is_plain: bool,
    /// `lambda_l2` in units.
    l2: f64,
}

/// A split that could be made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Candidate {
    /// How much it improves the objective beyond what it must.
    pub(crate) gain: f64,
    /// Position of the feature in the table.
    pub(crate) feature: usize,
    pub(crate) cut: Cut,
    /// Whether missing values go left.
    pub(crate) missing_left: bool,
    /// Sum of the rows that go left.
    pub(crate) left: Sum,
    /// Additional L2 regularisation of the two values.
    pub(crate) l2: f64,
}

/// Which bins go left.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cut {
    /// Up to this one.
    AtMost(usize),
    /// These.
    OneOf(Vec<usize>),
}

impl Candidate {
    /// Whether it is better than another: by gain, then by the order of the features.
    pub(crate) fn beats(&self, other: Option<&Candidate>) -> bool {
        other.is_none_or(|other| self.gain > other.gain || self.gain == other.gain && self.feature < other.feature)
    }
}

impl Node {
    /// `None` where it has nothing to split by.
    pub(crate) fn new(sum: Sum, rows: usize, bounds: (f64, f64), rules: &Rules<'_>) -> Option<Node> {
        if sum.hessian() == 0 {
            return None;
        }
        let rows_per_hessian = ((rows as u64) << 32) / u64::from(sum.hessian());
        let least_gain = rules.leaf_gain(sum, 0.0) + rules.parameters.min_gain_to_split;
        Some(Node { sum, rows, rows_per_hessian, least_gain, bounds })
    }

    /// About how many rows have these second derivatives (LightGBM's estimate, bin by bin).
    #[inline]
    pub(crate) fn rows_of(&self, bin: Sum) -> i64 {
        (u64::from(bin.hessian()).wrapping_mul(self.rows_per_hessian).wrapping_add(1 << 31) >> 32) as i64
    }
}

impl<'a> Rules<'a> {
    pub(crate) fn new(parameters: &'a LambdaMart, units: Units) -> Self {
        let least_hessian = (parameters.min_sum_hessian_in_leaf / units.hessian).ceil() as u32;
        let is_plain = parameters.lambda_l1 == 0.0 && !parameters.is_monotone();
        Rules {
            parameters,
            units,
            least_hessian: least_hessian.max(1),
            least_rows: i64::try_from(parameters.min_data_in_leaf).unwrap_or(i64::MAX),
            is_plain,
            l2: parameters.lambda_l2 / units.hessian,
        }
    }

    /// Whether a side has too few rows or too small a sum of second derivatives.
    #[inline]
    pub(crate) fn is_too_small(&self, rows: i64, sum: Sum) -> bool {
        rows < self.least_rows || sum.hessian() < self.least_hessian
    }

    /// The value of a leaf with these derivatives: what minimises the loss to the second order.
    pub(crate) fn value(&self, gradient: f64, hessian: f64, l2: f64, bounds: (f64, f64)) -> f64 {
        let value = -self.shrunk(gradient) / (hessian + self.parameters.lambda_l2 + l2);
        value.max(bounds.0).min(bounds.1)
    }

    /// The value of a sum.
    pub(crate) fn value_of(&self, sum: Sum, l2: f64, bounds: (f64, f64)) -> f64 {
        self.value(self.units.gradient(sum), self.units.hessian(sum), l2, bounds)
    }

    /// L1 regularisation.
    fn shrunk(&self, gradient: f64) -> f64 {
        let l1 = self.parameters.lambda_l1;
        if l1 == 0.0 { gradient } else { gradient.signum() * (gradient.abs() - l1).max(0.0) }
    }

    /// How much a leaf with the best value improves the objective, times two.
    fn leaf_gain(&self, sum: Sum, l2: f64) -> f64 {
        let gradient = self.shrunk(self.units.gradient(sum));
        gradient * gradient / (self.units.hessian(sum) + self.parameters.lambda_l2 + l2)
    }

    /// A gain in units, less what rounding could have taken from it.
    fn in_units(&self, gain: f64) -> f64 {
        gain * self.units.hessian / (self.units.gradient * self.units.gradient) * (1.0 - 1e-9)
    }

    /// Whether the gain of two leaves is below another in units, told without the divisions that most splits are not
    /// worth; `false` where it is not known.
    #[inline]
    fn is_surely_below(&self, one: Sum, other: Sum, least: f64) -> bool {
        let [one_gradient, other_gradient] = [one, other].map(|sum| f64::from(sum.gradient()));
        let [one_hessian, other_hessian] = [one, other].map(|sum| f64::from(sum.hessian()) + self.l2);
        let gain = one_gradient * one_gradient * other_hessian + other_gradient * other_gradient * one_hessian;
        self.is_plain && gain < least * (one_hessian * other_hessian)
    }

    /// How much two leaves improve it. −∞ where they break the constraint of the feature.
    pub(crate) fn gain(&self, left: Sum, right: Sum, l2: f64, monotone: i8, bounds: (f64, f64)) -> f64 {
        if self.is_plain {
            let (left_gradient, right_gradient) = (self.units.gradient(left), self.units.gradient(right));
            let l2 = self.parameters.lambda_l2 + l2;
            let (left_hessian, right_hessian) = (self.units.hessian(left) + l2, self.units.hessian(right) + l2);
            return left_gradient * left_gradient / left_hessian + right_gradient * right_gradient / right_hessian;
        }
        let values = [left, right].map(|sum| self.value_of(sum, l2, bounds));
        let rise = values[1] - values[0];
        if monotone > 0 && rise < 0.0 || monotone < 0 && rise > 0.0 {
            return f64::NEG_INFINITY;
        }
        let gain = |sum: Sum, value: f64| {
            let hessian = self.units.hessian(sum) + self.parameters.lambda_l2 + l2;
            -(2.0 * self.shrunk(self.units.gradient(sum)) * value + hessian * value * value)
        };
        gain(left, values[0]) + gain(right, values[1])
    }
}

/// The best split of a leaf by a feature, given the sums of its bins; `None` where none is good enough.
pub(crate) fn best(
    position: usize,
    feature: &Feature,
    histogram: &[Sum],
    node: &Node,
    rules: &Rules<'_>,
) -> Option<Candidate> {
    if matches!(feature.kind, Kind::Categories(_)) {
        return categories::best(position, histogram, node, rules);
    }
    // With two bins one of which is NaN there is one split: NaN goes right.
    let missing = feature.missing_bin().filter(|_| feature.bins > 2);
    let sweep = Sweep { feature, histogram: &histogram[..feature.bins], missing, node, rules };
    // From the last bin down, what is missing stays left; from the first bin up, it stays right.
    let start = Best { gain: node.least_gain, bin: 0, left: None };
    let down = sweep.run::<false>((1..feature.bins).rev(), start);
    let (mut found, mut missing_left) = (down, feature.missing_bin().is_none());
    if missing.is_some() {
        found = sweep.run::<true>(0..feature.bins - 1, down);
        missing_left = found.gain == down.gain;
    }
    let left = found.left?;
    let gain = found.gain - node.least_gain;
    Some(Candidate { gain, feature: position, cut: Cut::AtMost(found.bin), missing_left, left, l2: 0.0 })
}

/// The best split so far.
#[derive(Debug, Clone, Copy)]
struct Best {
    gain: f64,
    bin: usize,
    left: Option<Sum>,
}

/// What the thresholds of a feature of numbers are tried with.
struct Sweep<'a> {
    feature: &'a Feature,
    histogram: &'a [Sum],
    missing: Option<usize>,
    node: &'a Node,
    rules: &'a Rules<'a>,
}

impl Sweep<'_> {
    /// Takes bin after bin to one side, the left one if `UP`, and answers the best split, which may be the one given.
    fn run<const UP: bool>(&self, bins: impl Iterator<Item = usize>, mut best: Best) -> Best {
        let Sweep { node, rules, .. } = *self;
        let missing = self.missing.unwrap_or(usize::MAX);
        let (mut side, mut rows) = (Sum::default(), 0);
        let mut least = rules.in_units(best.gain);
        for bin in bins {
            if bin == missing {
                continue;
            }
            let sum = self.histogram[bin];
            side = side.plus(sum);
            rows += node.rows_of(sum);
            // An empty bin changes nothing: the split before it is as good.
            if rules.is_too_small(rows, side) || sum == Sum::default() {
                continue;
            }
            let other = node.sum.minus(side);
            if rules.is_too_small(node.rows as i64 - rows, other) {
                break;
            }
            if rules.is_surely_below(side, other, least) {
                continue;
            }
            let (left, right) = if UP { (side, other) } else { (other, side) };
            let gain = rules.gain(left, right, 0.0, self.feature.monotone, node.bounds);
            if gain > best.gain {
                best = Best { gain, bin: if UP { bin } else { bin - 1 }, left: Some(left) };
                least = rules.in_units(gain);
            }
        }
        best
    }
}
