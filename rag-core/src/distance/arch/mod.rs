//! The only home of intrinsics. Each instruction set offers its kernels as a value that exists only after detection.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use super::Kernels;

/// What this machine can run, fastest first.
pub(super) fn available() -> Vec<Kernels> {
    #[cfg(target_arch = "x86_64")]
    let found = x86_64::available();
    #[cfg(target_arch = "aarch64")]
    let found = aarch64::available();
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let found = Vec::new();
    found
}
