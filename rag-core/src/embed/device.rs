//! Where a model computes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A processor. Every build has every variant; a build without the feature of the same name answers `Unsupported` when
/// a model is loaded there. Written `cpu`, `cuda`, `cuda:1`, `metal`.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Device {
    /// The processor of the machine.
    #[default]
    Cpu,
    /// An NVIDIA card, by its number. Needs the feature `cuda`.
    Cuda(usize),
    /// An Apple card, by its number. Needs the feature `metal`.
    Metal(usize),
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(number) => write!(f, "cuda:{number}"),
            Device::Metal(number) => write!(f, "metal:{number}"),
        }
    }
}

impl FromStr for Device {
    type Err = Error;

    fn from_str(name: &str) -> Result<Device> {
        let wrong = || Error::invalid(format!("`device` is {name:?}; give cpu, cuda, metal, cuda:N or metal:N"));
        let (kind, number) = match name.split_once(':') {
            Some((kind, number)) => (kind, number.parse().map_err(|_| wrong())?),
            None => (name, 0),
        };
        match kind {
            "cpu" if number == 0 => Ok(Device::Cpu),
            "cuda" => Ok(Device::Cuda(number)),
            "metal" => Ok(Device::Metal(number)),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for Device {
    type Error = Error;

    fn try_from(name: String) -> Result<Device> {
        name.parse()
    }
}

impl From<Device> for String {
    fn from(device: Device) -> String {
        device.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for device in [Device::Cpu, Device::Cuda(0), Device::Cuda(3), Device::Metal(1)] {
            assert_eq!(device.to_string().parse::<Device>().unwrap(), device);
        }
        assert_eq!("cuda".parse::<Device>().unwrap(), Device::Cuda(0));
        for wrong in ["", "gpu", "cpu:1", "cuda:", "cuda:-1"] {
            assert!(wrong.parse::<Device>().unwrap_err().to_string().contains("`device`"), "{wrong}");
        }
    }
}
