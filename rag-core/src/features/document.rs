//! What metadata says, whatever is asked.

use super::cached::floats;
use super::clicks::id_hash;
use super::config::{FeaturesConfig, FreshnessConfig};
use crate::filter::parse_date;
use crate::store::Record;
use crate::types::Value;

/// Categories without declared values are numbered by a hash below this.
const HASHED_CATEGORIES: u64 = 1024;

const MICROSECONDS_A_DAY: f64 = 86_400e6;

/// What is known of a document revision for every question and at every time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Facts {
    /// Under which its clicks are found.
    pub(super) id: u128,
    /// The date of each freshness field, in microseconds since 1970.
    pub(super) dates: Vec<Option<i64>>,
    /// Numbers, booleans and categories, as in the schema.
    pub(super) values: Vec<f32>,
}

/// A date that is not there, in bytes.
const NO_DATE: i64 = i64::MIN;

impl Facts {
    pub(super) fn of(record: &Record, config: &FeaturesConfig) -> Facts {
        let first = |field: &str| match record.metadata.get(field) {
            Some(Value::List(values)) => values.first(),
            single => single,
        };
        let date = |FreshnessConfig { field, .. }: &FreshnessConfig| match first(field) {
            Some(Value::Text(text)) => parse_date(text),
            _ => None,
        };
        let number = |field: &String| match first(field) {
            Some(Value::Int(number)) => *number as f32,
            // Beyond the range of 32 bits the largest number stands for it.
            Some(Value::Float(number)) => number.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32,
            _ => f32::NAN,
        };
        let flag = |field: &String| match first(field) {
            Some(Value::Bool(flag)) => f32::from(u8::from(*flag)),
            _ => f32::NAN,
        };
        let categories = config.categorical.iter().map(|category| match first(&category.field).and_then(written) {
            None => f32::NAN,
            Some(value) if category.values.is_empty() => {
                (xxhash_rust::xxh3::xxh3_64(value.as_bytes()) % HASHED_CATEGORIES) as f32
            }
            Some(value) => {
                let position = category.values.iter().position(|declared| *declared == value);
                position.unwrap_or(category.values.len()) as f32
            }
        });
        let values = config.numeric.iter().map(number).chain(config.boolean.iter().map(flag)).chain(categories);
        Facts { id: id_hash(&record.id), dates: config.freshness.iter().map(date).collect(), values: values.collect() }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.id.to_le_bytes().to_vec();
        bytes.extend(self.dates.iter().flat_map(|date| date.unwrap_or(NO_DATE).to_le_bytes()));
        bytes.extend(self.values.iter().flat_map(|value| value.to_le_bytes()));
        bytes
    }

    /// `None` for bytes that another configuration made.
    pub(super) fn from_bytes(bytes: &[u8], dates: usize, values: usize) -> Option<Facts> {
        let (id, rest) = bytes.split_first_chunk()?;
        let (moments, rest) = rest.split_at_checked(dates * 8)?;
        let date = |bytes: &[u8; 8]| Some(i64::from_le_bytes(*bytes)).filter(|date| *date != NO_DATE);
        let facts = Facts {
            id: u128::from_le_bytes(*id),
            dates: moments.as_chunks().0.iter().map(date).collect(),
            values: floats(rest)?,
        };
        (facts.values.len() == values).then_some(facts)
    }
}

/// `2^(−age / half-life)`: 1 for a date of now or later, a half after one half-life.
pub(super) fn freshness(date: i64, now: i64, config: &FreshnessConfig) -> f32 {
    let days = (now as f64 - date as f64).max(0.0) / MICROSECONDS_A_DAY;
    (-days / config.half_life_days).exp2() as f32
}

/// A single value in letters; lists have none.
pub(super) fn written(value: &Value) -> Option<String> {
    match value {
        Value::Bool(value) => Some(value.to_string()),
        Value::Int(value) => Some(value.to_string()),
        Value::Float(value) => Some(value.to_string()),
        Value::Text(value) => Some(value.clone()),
        Value::List(_) => None,
    }
}
