//! What says later in which arm of a canary a request was.

use std::fmt;
use std::str::FromStr;

use super::error::GateError;
use crate::canary::Arm;

/// Says of a request in which arm of which canary it was, for what becomes known of it later. Its text is
/// `epoch.arm.unit`, such as `7.candidate.0123456789abcdef`; it names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CanaryToken {
    /// The epoch since which the canary stood where it stood: what is observed counts while this is so.
    pub epoch: u64,
    /// Who answered.
    pub arm: Arm,
    /// The user, or the query where no user was named: a number that follows from the secret key.
    pub unit: u64,
}

impl fmt::Display for CanaryToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{:016x}", self.epoch, self.arm.as_str(), self.unit)
    }
}

impl FromStr for CanaryToken {
    type Err = GateError;

    fn from_str(text: &str) -> Result<Self, GateError> {
        let parse = || {
            let mut parts = text.split('.');
            let (epoch, arm, unit) = (parts.next()?, parts.next()?, parts.next()?);
            let arm = [Arm::Control, Arm::Candidate].into_iter().find(|known| known.as_str() == arm)?;
            let unit = u64::from_str_radix(unit, 16).ok()?;
            parts.next().is_none().then_some(CanaryToken { epoch: epoch.parse().ok()?, arm, unit })
        };
        let wanted = "give the one of an answer, such as `7.candidate.0123456789abcdef`";
        let error = || GateError::Field { field: "token".to_owned(), value: format!("{text:?}"), wanted };
        parse().ok_or_else(error)
    }
}
