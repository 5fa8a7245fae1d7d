//! Kernels for the instruction sets of one architecture each.

use std::sync::OnceLock;

use super::{single, walk, words::Kernel};

#[cfg(target_arch = "x86_64")]
mod x86_64;

/// One set of kernels. A value of this type exists only for instruction sets that the machine has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kernels {
    pub f64: Kernel<f64>,
    pub f32: Kernel<f32>,
    pub walk: walk::Kernel,
    /// `None`: walk.
    pub single: Option<single::Kernel>,
}

/// The fastest ones that this machine can run; `None`: the portable ones.
pub(super) fn kernels() -> Option<Kernels> {
    static CHOSEN: OnceLock<Option<Kernels>> = OnceLock::new();
    *CHOSEN.get_or_init(|| available().first().map(|&(_, kernels)| kernels))
}

/// All that this machine can run, fastest first.
pub(super) fn available() -> Vec<(&'static str, Kernels)> {
    #[cfg(target_arch = "x86_64")]
    return x86_64::available();
    #[cfg(not(target_arch = "x86_64"))]
    Vec::new()
}
