//! NEON, which every 64-bit ARM target has.

use std::arch::aarch64::{
    int32x4_t, vaddq_f32, vaddq_s32, vaddvq_f32, vaddvq_s32, vdupq_n_f32, vdupq_n_s32, vfmaq_f32, vget_low_s8,
    vld1q_f32, vld1q_s8, vmull_high_s8, vmull_s8, vpadalq_s16,
};
use std::arch::is_aarch64_feature_detected;

use crate::distance::Kernels;

pub(super) fn available() -> Vec<Kernels> {
    let kernels = Kernels { name: "neon", dot_f32, dot_i8, dot_i8_rows };
    is_aarch64_feature_detected!("neon").then_some(kernels).into_iter().collect()
}

fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: this function is reachable only through the value made by `available`, which found NEON.
    unsafe { dot_f32_kernel(a, b) }
}

fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    // SAFETY: as in `dot_f32`.
    unsafe { dot_i8_kernel(a, b) }
}

fn dot_i8_rows(query: &[i8], rows: &[i8], out: &mut [i32]) {
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        // SAFETY: as in `dot_f32`.
        *out = unsafe { dot_i8_kernel(query, row) };
    }
}

#[target_feature(enable = "neon")]
fn dot_f32_kernel(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [vdupq_n_f32(0.0); 4];
    let (a_blocks, a_tail) = a.as_chunks::<16>();
    let (b_blocks, b_tail) = b.as_chunks::<16>();
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            // SAFETY: 4 floats at `4 · lane`, with `lane` below 4, lie inside an array of 16.
            let (x, y) = unsafe { (vld1q_f32(x.as_ptr().add(4 * lane)), vld1q_f32(y.as_ptr().add(4 * lane))) };
            *sum = vfmaq_f32(*sum, x, y);
        }
    }
    let tail: f32 = a_tail.iter().zip(b_tail).map(|(x, y)| x * y).sum();
    vaddvq_f32(vaddq_f32(vaddq_f32(sums[0], sums[1]), vaddq_f32(sums[2], sums[3]))) + tail
}

#[target_feature(enable = "neon")]
fn dot_i8_kernel(a: &[i8], b: &[i8]) -> i32 {
    let mut sums = [vdupq_n_s32(0); 2];
    let (a_blocks, a_tail) = a.as_chunks::<32>();
    let (b_blocks, b_tail) = b.as_chunks::<32>();
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for (half, sum) in sums.iter_mut().enumerate() {
            // SAFETY: 16 bytes at `16 · half`, with `half` below 2, lie inside an array of 32.
            *sum = unsafe { add_products(*sum, x.as_ptr().add(16 * half), y.as_ptr().add(16 * half)) };
        }
    }
    let (a_blocks, a_tail) = a_tail.as_chunks::<16>();
    let (b_blocks, b_tail) = b_tail.as_chunks::<16>();
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        // SAFETY: both arrays have 16 bytes.
        sums[0] = unsafe { add_products(sums[0], x.as_ptr(), y.as_ptr()) };
    }
    let tail = a_tail.iter().zip(b_tail).fold(0i32, |sum, (&x, &y)| sum.wrapping_add(i32::from(x) * i32::from(y)));
    vaddvq_s32(vaddq_s32(sums[0], sums[1])).wrapping_add(tail)
}

/// A product of two bytes is at most 2¹⁴ and fits 16 bits; pairs of them are added into 32 bits.
///
/// # Safety
/// 16 bytes can be read at `x` and at `y`.
#[target_feature(enable = "neon")]
unsafe fn add_products(sum: int32x4_t, x: *const i8, y: *const i8) -> int32x4_t {
    // SAFETY: what the caller promised; the loads need no alignment.
    let (x, y) = unsafe { (vld1q_s8(x), vld1q_s8(y)) };
    let low = vmull_s8(vget_low_s8(x), vget_low_s8(y));
    vpadalq_s16(vpadalq_s16(sum, low), vmull_high_s8(x, y))
}
