//! How a threshold stands in a model file: a number, or a string where it is infinite.

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};
use serde::ser::Serializer;

const INFINITE: &str = "inf";
const MINUS_INFINITE: &str = "-inf";

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
pub(super) fn serialize<S: Serializer>(threshold: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match *threshold {
        f64::INFINITY => serializer.serialize_str(INFINITE),
        f64::NEG_INFINITY => serializer.serialize_str(MINUS_INFINITE),
        threshold => serializer.serialize_f64(threshold),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    struct Threshold;

    impl Visitor<'_> for Threshold {
        type Value = f64;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(formatter, "a threshold: a number, \"{INFINITE}\" or \"{MINUS_INFINITE}\"")
        }

        fn visit_f64<E>(self, number: f64) -> Result<f64, E> {
            Ok(number)
        }

        fn visit_u64<E>(self, number: u64) -> Result<f64, E> {
            Ok(number as f64)
        }

        fn visit_i64<E>(self, number: i64) -> Result<f64, E> {
            Ok(number as f64)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
            match text {
                INFINITE => Ok(f64::INFINITY),
                MINUS_INFINITE => Ok(f64::NEG_INFINITY),
                _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
            }
        }
    }

    deserializer.deserialize_any(Threshold)
}
