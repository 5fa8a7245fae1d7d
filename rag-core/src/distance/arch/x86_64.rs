//! AVX-512 (F, BW, VL, VNNI) and AVX2 + FMA.

// Every load and store of a cast pointer here is an unaligned one (`loadu`, `storeu`).
#![allow(clippy::cast_ptr_alignment)]

use crate::distance::Kernels;

pub(super) fn available() -> Vec<Kernels> {
    [avx512::detect(), avx2::detect()].into_iter().flatten().collect()
}

mod avx512 {
    use std::arch::x86_64::{
        __m128i, __m512i, _mm_add_epi32, _mm_storeu_si128, _mm256_add_epi32, _mm256_castsi256_si128,
        _mm256_extracti128_si256, _mm256_hadd_epi32, _mm512_add_ps, _mm512_castsi512_si256, _mm512_dpbusd_epi32,
        _mm512_extracti64x4_epi64, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_maskz_loadu_epi8,
        _mm512_maskz_loadu_ps, _mm512_reduce_add_epi32, _mm512_reduce_add_ps, _mm512_set1_epi8, _mm512_setzero_ps,
        _mm512_setzero_si512, _mm512_sub_epi32, _mm512_xor_si512,
    };

    use crate::distance::Kernels;

    pub(super) fn detect() -> Option<Kernels> {
        let present = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx2");
        present.then_some(Kernels { name: "avx512-vnni", dot_f32, dot_i8, dot_i8_rows })
    }

    fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
        // SAFETY: this function is reachable only through the value made by `detect`, which found the features.
        unsafe { dot_f32_kernel(a, b) }
    }

    fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
        // SAFETY: as in `dot_f32`.
        unsafe { dot_i8_kernel(a, b) }
    }

    fn dot_i8_rows(query: &[i8], rows: &[i8], out: &mut [i32]) {
        // SAFETY: as in `dot_f32`.
        unsafe { dot_i8_rows_kernel(query, rows, out) }
    }

    #[target_feature(enable = "avx512f")]
    fn dot_f32_kernel(a: &[f32], b: &[f32]) -> f32 {
        let mut sums = [_mm512_setzero_ps(); 4];
        let (a_blocks, a_tail) = a.as_chunks::<64>();
        let (b_blocks, b_tail) = b.as_chunks::<64>();
        for (x, y) in a_blocks.iter().zip(b_blocks) {
            for (lane, sum) in sums.iter_mut().enumerate() {
                // SAFETY: 16 floats at `16 · lane`, with `lane` below 4, lie inside an array of 64.
                let (x, y) = unsafe { (load_ps(x.as_ptr().add(16 * lane)), load_ps(y.as_ptr().add(16 * lane))) };
                *sum = _mm512_fmadd_ps(x, y, *sum);
            }
        }
        for (x, y) in a_tail.chunks(16).zip(b_tail.chunks(16)) {
            let mask = low_bits(x.len().min(y.len())) as u16;
            // SAFETY: the mask lets through no more floats than the shorter chunk has; masked lanes are not read.
            let (x, y) = unsafe { (_mm512_maskz_loadu_ps(mask, x.as_ptr()), _mm512_maskz_loadu_ps(mask, y.as_ptr())) };
            sums[0] = _mm512_fmadd_ps(x, y, sums[0]);
        }
        _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3])))
    }

    /// `vpdpbusd` multiplies unsigned by signed bytes, so `a` is moved up by 128 (a flip of its sign bits) and
    /// `128 · Σ b` is taken off again: `Σ (a + 128)·b − Σ 128·b`. All of it is modulo 2³².
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn dot_i8_kernel(a: &[i8], b: &[i8]) -> i32 {
        let flip = _mm512_set1_epi8(i8::MIN);
        let mut sum = _mm512_setzero_si512();
        let mut surplus = _mm512_setzero_si512();
        for (x, y) in a.chunks(64).zip(b.chunks(64)) {
            let mask = low_bits(x.len().min(y.len()));
            // SAFETY: the mask lets through no more bytes than the shorter chunk has; masked lanes are not read.
            let (x, y) =
                unsafe { (_mm512_maskz_loadu_epi8(mask, x.as_ptr()), _mm512_maskz_loadu_epi8(mask, y.as_ptr())) };
            sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(x, flip), y);
            surplus = _mm512_dpbusd_epi32(surplus, flip, y);
        }
        _mm512_reduce_add_epi32(_mm512_sub_epi32(sum, surplus))
    }

    /// Four rows at a time against one load of the query; the surplus of the offset is the same for every row.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2")]
    fn dot_i8_rows_kernel(query: &[i8], rows: &[i8], out: &mut [i32]) {
        let surplus = query.iter().fold(0i32, |sum, &q| sum.wrapping_add(i32::from(q) << 7));
        let width = query.len();
        let flip = _mm512_set1_epi8(i8::MIN);
        let tail_mask = low_bits(width % 64);
        let whole = width - width % 64;

        let mut quads = rows.chunks_exact(4 * width);
        let (out_quads, out_rest) = out.as_chunks_mut::<4>();
        for (quad, out) in quads.by_ref().zip(out_quads) {
            let mut sums = [_mm512_setzero_si512(); 4];
            let mut at = 0;
            while at < whole {
                // SAFETY: `at + 64 <= whole <= width`, the length of the query.
                let q = unsafe { load_bytes(query.as_ptr().add(at)) };
                for (row, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: `row < 4` and `at + 64 <= width`, so this ends inside the `4 · width` bytes of `quad`.
                    let x = unsafe { load_bytes(quad.as_ptr().add(row * width + at)) };
                    *sum = _mm512_dpbusd_epi32(*sum, _mm512_xor_si512(x, flip), q);
                }
                at += 64;
            }
            if tail_mask != 0 {
                // SAFETY: the mask lets through the `width - whole` bytes that are left of the query.
                let q = unsafe { _mm512_maskz_loadu_epi8(tail_mask, query.as_ptr().add(whole)) };
                for (row, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: the mask lets through the last `width - whole` bytes of row `row`, inside `quad`.
                    let x = unsafe { _mm512_maskz_loadu_epi8(tail_mask, quad.as_ptr().add(row * width + whole)) };
                    *sum = _mm512_dpbusd_epi32(*sum, _mm512_xor_si512(x, flip), q);
                }
            }
            let mut totals = [0i32; 4];
            // SAFETY: the target has room for the 16 bytes that are written; it need not be aligned.
            unsafe { _mm_storeu_si128(totals.as_mut_ptr().cast::<__m128i>(), reduce_four(sums)) };
            for (out, total) in out.iter_mut().zip(totals) {
                *out = total.wrapping_sub(surplus);
            }
        }
        for (row, out) in quads.remainder().chunks_exact(width).zip(out_rest) {
            *out = dot_i8_kernel(row, query);
        }
    }

    /// The four sums over 16 lanes each, side by side.
    #[target_feature(enable = "avx512f,avx2")]
    fn reduce_four(sums: [__m512i; 4]) -> __m128i {
        let [a, b, c, d] =
            sums.map(|sum| _mm256_add_epi32(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64::<1>(sum)));
        let pairs = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
        _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256::<1>(pairs))
    }

    /// # Safety
    /// 16 floats can be read at `from`.
    #[target_feature(enable = "avx512f")]
    unsafe fn load_ps(from: *const f32) -> std::arch::x86_64::__m512 {
        // SAFETY: what the caller promised; the load needs no alignment.
        unsafe { _mm512_loadu_ps(from) }
    }

    /// # Safety
    /// 64 bytes can be read at `from`.
    #[target_feature(enable = "avx512f")]
    unsafe fn load_bytes(from: *const i8) -> __m512i {
        // SAFETY: what the caller promised; the load needs no alignment.
        unsafe { _mm512_loadu_si512(from.cast::<__m512i>()) }
    }

    /// The lowest `count` bits set, for up to 64.
    fn low_bits(count: usize) -> u64 {
        if count >= 64 { u64::MAX } else { (1 << count) - 1 }
    }
}

mod avx2 {
    use std::arch::x86_64::{
        __m128i, __m256, __m256i, _mm_add_epi32, _mm_add_ps, _mm_cvtsi128_si32, _mm_cvtss_f32, _mm_loadu_si128,
        _mm_movehl_ps, _mm_shuffle_epi32, _mm_shuffle_ps, _mm_storeu_si128, _mm256_add_epi32, _mm256_add_ps,
        _mm256_castps256_ps128, _mm256_castsi256_si128, _mm256_cvtepi8_epi16, _mm256_extractf128_ps,
        _mm256_extracti128_si256, _mm256_fmadd_ps, _mm256_hadd_epi32, _mm256_loadu_ps, _mm256_madd_epi16,
        _mm256_setzero_ps, _mm256_setzero_si256,
    };

    use crate::distance::Kernels;

    pub(super) fn detect() -> Option<Kernels> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Kernels {
            name: "avx2",
            dot_f32,
            dot_i8,
            dot_i8_rows,
        })
    }

    fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
        // SAFETY: this function is reachable only through the value made by `detect`, which found the features.
        unsafe { dot_f32_kernel(a, b) }
    }

    fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
        // SAFETY: as in `dot_f32`.
        unsafe { dot_i8_kernel(a, b) }
    }

    fn dot_i8_rows(query: &[i8], rows: &[i8], out: &mut [i32]) {
        // SAFETY: as in `dot_f32`.
        unsafe { dot_i8_rows_kernel(query, rows, out) }
    }

    #[target_feature(enable = "avx2,fma")]
    fn dot_f32_kernel(a: &[f32], b: &[f32]) -> f32 {
        let mut sums = [_mm256_setzero_ps(); 4];
        let (a_blocks, a_tail) = a.as_chunks::<32>();
        let (b_blocks, b_tail) = b.as_chunks::<32>();
        for (x, y) in a_blocks.iter().zip(b_blocks) {
            for (lane, sum) in sums.iter_mut().enumerate() {
                // SAFETY: 8 floats at `8 · lane`, with `lane` below 4, lie inside an array of 32.
                let (x, y) =
                    unsafe { (_mm256_loadu_ps(x.as_ptr().add(8 * lane)), _mm256_loadu_ps(y.as_ptr().add(8 * lane))) };
                *sum = _mm256_fmadd_ps(x, y, *sum);
            }
        }
        let (a_blocks, a_tail) = a_tail.as_chunks::<8>();
        let (b_blocks, b_tail) = b_tail.as_chunks::<8>();
        for (x, y) in a_blocks.iter().zip(b_blocks) {
            // SAFETY: both arrays have 8 floats.
            let (x, y) = unsafe { (_mm256_loadu_ps(x.as_ptr()), _mm256_loadu_ps(y.as_ptr())) };
            sums[0] = _mm256_fmadd_ps(x, y, sums[0]);
        }
        let tail: f32 = a_tail.iter().zip(b_tail).map(|(x, y)| x * y).sum();
        reduce_ps(_mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]))) + tail
    }

    #[target_feature(enable = "avx2")]
    fn dot_i8_kernel(a: &[i8], b: &[i8]) -> i32 {
        let mut sum = _mm256_setzero_si256();
        let (a_blocks, a_tail) = a.as_chunks::<16>();
        let (b_blocks, b_tail) = b.as_chunks::<16>();
        for (x, y) in a_blocks.iter().zip(b_blocks) {
            // SAFETY: both arrays have 16 bytes.
            let (x, y) = unsafe { (widen(x.as_ptr()), widen(y.as_ptr())) };
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(x, y));
        }
        reduce_epi32(sum).wrapping_add(tail_i8(a_tail, b_tail))
    }

    /// Four rows at a time against one widened load of the query.
    #[target_feature(enable = "avx2")]
    fn dot_i8_rows_kernel(query: &[i8], rows: &[i8], out: &mut [i32]) {
        let width = query.len();
        let whole = width - width % 16;
        let mut quads = rows.chunks_exact(4 * width);
        let (out_quads, out_rest) = out.as_chunks_mut::<4>();
        for (quad, out) in quads.by_ref().zip(out_quads) {
            let mut sums = [_mm256_setzero_si256(); 4];
            let mut at = 0;
            while at < whole {
                // SAFETY: `at + 16 <= whole <= width`, the length of the query.
                let q = unsafe { widen(query.as_ptr().add(at)) };
                for (row, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: `row < 4` and `at + 16 <= width`, so this ends inside the `4 · width` bytes of `quad`.
                    let x = unsafe { widen(quad.as_ptr().add(row * width + at)) };
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(x, q));
                }
                at += 16;
            }
            let [a, b, c, d] = sums;
            let pairs = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
            let totals = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256::<1>(pairs));
            // SAFETY: `out` has room for the 16 bytes that are written; it need not be aligned.
            unsafe { _mm_storeu_si128(out.as_mut_ptr().cast::<__m128i>(), totals) };
            if whole < width {
                for (row, out) in quad.chunks_exact(width).zip(out) {
                    *out = out.wrapping_add(tail_i8(&row[whole..], &query[whole..]));
                }
            }
        }
        for (row, out) in quads.remainder().chunks_exact(width).zip(out_rest) {
            *out = dot_i8_kernel(row, query);
        }
    }

    fn tail_i8(a: &[i8], b: &[i8]) -> i32 {
        a.iter().zip(b).fold(0i32, |sum, (&x, &y)| sum.wrapping_add(i32::from(x) * i32::from(y)))
    }

    /// Sixteen bytes as sixteen 16-bit numbers.
    ///
    /// # Safety
    /// 16 bytes can be read at `from`.
    #[target_feature(enable = "avx2")]
    unsafe fn widen(from: *const i8) -> __m256i {
        // SAFETY: what the caller promised; the load needs no alignment.
        _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(from.cast::<__m128i>()) })
    }

    #[target_feature(enable = "avx2")]
    fn reduce_ps(sum: __m256) -> f32 {
        let four = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ps(two, _mm_shuffle_ps::<1>(two, two)))
    }

    #[target_feature(enable = "avx2")]
    fn reduce_epi32(sum: __m256i) -> i32 {
        let four = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
        let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b00_00_11_10>(four));
        _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b00_00_00_01>(two)))
    }
}
