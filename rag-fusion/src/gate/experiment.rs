//! Experiments: shares of the traffic that get weights of their own.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::bucket::BUCKETS;
use super::error::{GateError, check};

/// Most variants of an experiment.
const MAX_VARIANTS: usize = 20;

/// What is put into buckets, and stays in its bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// The user of a request; requests that name none are in no such experiment.
    #[default]
    User,
    /// The text of a query, without its case and outer white space.
    Query,
}

/// A weight, and its share of an experiment's traffic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Its name, such as `control`.
    pub name: String,
    /// Weight of the ranker's score, from 0 to 1.
    pub weight: f32,
    /// Its part beside the other variants; only the proportions count. Default 1.
    #[serde(default = "one")]
    pub part: u32,
}

fn one() -> u32 {
    1
}

fn all() -> f64 {
    1.0
}

/// A named experiment.
///
/// ```
/// use rag_fusion::gate::Experiment;
/// let half_of_the_users = r#"{"name": "weight-2026", "share": 0.5, "variants": [
///     {"name": "control", "weight": 0.3}, {"name": "more", "weight": 0.6}]}"#;
/// let experiment: Experiment = serde_json::from_str(half_of_the_users)?;
/// experiment.validate()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Its name: 1 to 64 letters, digits, `.`, `_` and `-`; not `canary`.
    pub name: String,
    /// What is put into buckets. Default: users.
    #[serde(default)]
    pub unit: Unit,
    /// Experiments of one group share its traffic: nobody is in two of them. Without one it is alone in a group of its own
    /// name. Somebody in two experiments of different groups is served by the one that was started first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Share of the group's traffic, above 0 and at most 1, to a millionth. Default 1.
    #[serde(default = "all")]
    pub share: f64,
    /// 1 to 20 of them.
    pub variants: Vec<Variant>,
    /// Whether to serve what would be served without it, and only to compute the variants beside it and to count how the
    /// rankings differ.
    #[serde(default)]
    pub shadow: bool,
}

impl Experiment {
    /// Whether it can be run.
    ///
    /// # Errors
    /// [`GateError::Field`] for the first field that is out of its range.
    pub fn validate(&self) -> Result<(), GateError> {
        check_name("name", &self.name)?;
        check(self.name != "canary", "name", &"canary", "that is the canary's; give another name")?;
        self.group.as_ref().map_or(Ok(()), |group| check_name("group", group))?;
        let share = "give a number above 0 and at most 1, to a millionth";
        check(self.share > 0.0 && self.share <= 1.0 && self.buckets() > 0, "share", &self.share, share)?;
        let count = self.variants.len();
        let counted = (1..=MAX_VARIANTS).contains(&count);
        check(counted, "variants", &format!("a list of {count}"), "give 1 to 20 variants")?;
        let mut names = BTreeSet::new();
        for (position, Variant { name, weight, part }) in self.variants.iter().enumerate() {
            let field = |of: &str| format!("variants[{position}].{of}");
            check_name(&field("name"), name)?;
            check(names.insert(name), &field("name"), name, "give each variant a name of its own")?;
            check((0.0..=1.0).contains(weight), &field("weight"), weight, "give a number from 0 to 1")?;
            check((1..=BUCKETS).contains(part), &field("part"), part, "give 1 to 1000000")?;
        }
        Ok(())
    }

    /// The space in which its traffic is its own.
    pub(super) fn space(&self) -> String {
        self.group.as_ref().map_or_else(|| format!("experiment/{}", self.name), |group| format!("group/{group}"))
    }

    /// Its share in buckets.
    pub(super) fn buckets(&self) -> u32 {
        (self.share * f64::from(BUCKETS)).round() as u32
    }
}

fn check_name(field: &str, name: &str) -> Result<(), GateError> {
    let is_name = (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    check(is_name, field, &format!("{name:?}"), "give 1 to 64 letters, digits, `.`, `_` and `-`")
}

/// An experiment that runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Running {
    /// What it is.
    pub experiment: Experiment,
    /// The epoch in which it began. With its name it says who gets which variant, so that an experiment that is run again
    /// mixes anew.
    pub started: u64,
    /// Its first bucket in the space of its group; it has as many as its share says.
    pub first: u32,
}

impl Running {
    /// Whether it has the bucket of its group's space.
    pub(super) fn has(&self, bucket: u32) -> bool {
        (self.first..self.end()).contains(&bucket)
    }

    pub(super) fn end(&self) -> u32 {
        self.first + self.experiment.buckets()
    }

    /// The space in which its variants share its traffic.
    pub(super) fn variant_space(&self) -> String {
        format!("variant/{}/{}", self.experiment.name, self.started)
    }

    /// The variant of a bucket of that space.
    pub(super) fn variant(&self, bucket: u32) -> usize {
        let parts = self.experiment.variants.iter().map(|variant| u64::from(variant.part));
        let total: u64 = parts.clone().sum();
        let at = u64::from(bucket) * total / u64::from(BUCKETS);
        let mut below = 0;
        parts
            .enumerate()
            .find_map(|(position, part)| {
                below += part;
                (at < below).then_some(position)
            })
            .unwrap_or(0)
    }
}
