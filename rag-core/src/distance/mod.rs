//! Inner products of vectors, by the fastest kernel that this machine has.
//!
//! The kernel is chosen once, at the first call: AVX-512 with VNNI, AVX2 with FMA, NEON, or portable Rust. Integer
//! products are equal in all of them. Floating-point sums differ in their last bits from one kernel to another, because
//! each adds in its own order, but never between two calls on one machine.

#[allow(unsafe_code)]
mod arch;
mod scalar;

use std::fmt;
use std::sync::OnceLock;

/// Longest vectors for which [`dot_i8`] cannot overflow, whatever the codes are.
pub const MAX_DOT_I8: usize = (i32::MAX / (128 * 128)) as usize;

/// One set of kernels: plain functions for one instruction set. A value of this type exists only for instruction sets
/// that the machine has, so calling its functions is always sound.
#[derive(Clone, Copy)]
struct Kernels {
    name: &'static str,
    /// Both slices have the same length.
    dot_f32: fn(&[f32], &[f32]) -> f32,
    /// Both slices have the same length.
    dot_i8: fn(&[i8], &[i8]) -> i32,
    /// `rows` has `out.len()` rows of `query.len()` codes; `query` is not empty.
    dot_i8_rows: fn(&[i8], &[i8], &mut [i32]),
}

impl fmt::Debug for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Every set that this machine can run, fastest first; the portable one is always the last.
fn available() -> Vec<Kernels> {
    let mut found = arch::available();
    found.push(scalar::KERNELS);
    found
}

fn kernels() -> &'static Kernels {
    static CHOSEN: OnceLock<Kernels> = OnceLock::new();
    CHOSEN.get_or_init(|| available().first().copied().unwrap_or(scalar::KERNELS))
}

/// Name of the instruction set in use: `avx512-vnni`, `avx2`, `neon` or `scalar`.
pub fn kernel_name() -> &'static str {
    kernels().name
}

/// Inner product. Of slices with different lengths, the common prefix counts.
///
/// The result is at most `len · 2⁻²³ · ‖a‖·‖b‖` away from the true value.
pub fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    let len = a.len().min(b.len());
    (kernels().dot_f32)(&a[..len], &b[..len])
}

/// Exact inner product of codes, for up to [`MAX_DOT_I8`] of them; longer ones may wrap around. Of slices with
/// different lengths, the common prefix counts.
pub fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    let len = a.len().min(b.len());
    (kernels().dot_i8)(&a[..len], &b[..len])
}

/// [`dot_i8`] of `query` with each row of the row-major matrix `rows`, into `out`; one dispatch for all of them.
///
/// As many rows are done as `rows` holds whole ones and `out` has places for; the return value says how many.
pub fn dot_i8_rows(query: &[i8], rows: &[i8], out: &mut [i32]) -> usize {
    let width = query.len();
    if width == 0 {
        out.fill(0);
        return out.len();
    }
    let count = out.len().min(rows.len() / width);
    (kernels().dot_i8_rows)(query, &rows[..count * width], &mut out[..count]);
    count
}

/// Euclidean length, summed in double precision: no finite input overflows or underflows.
pub fn norm_f32(vector: &[f32]) -> f64 {
    vector.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt()
}

/// Scales `vector` to length 1 and returns its length before. A vector of length 0 stays as it is.
///
/// ```
/// let mut vector = [3.0f32, 4.0];
/// assert_eq!(rag_core::distance::normalize(&mut vector), 5.0);
/// assert_eq!(vector, [0.6, 0.8]);
/// ```
pub fn normalize(vector: &mut [f32]) -> f64 {
    let length = norm_f32(vector);
    if length > 0.0 {
        for value in vector {
            *value = (f64::from(*value) / length) as f32;
        }
    }
    length
}

#[cfg(test)]
mod tests;
