//! AVX-512 (F, CD) and AVX2.

use super::Kernels;

pub(super) fn available() -> Vec<(&'static str, Kernels)> {
    [avx512::detect(), avx2::detect()].into_iter().flatten().collect()
}

mod avx512 {
    use std::arch::x86_64::{
        __m512, __m512d, __m512i, __mmask16, _CMP_GT_OQ, _CMP_NLE_UQ, _CMP_UNORD_Q, _mm_loadu_si128, _mm512_add_epi32,
        _mm512_and_si512, _mm512_castsi512_ps, _mm512_castsi512_si256, _mm512_cmp_ps_mask, _mm512_cvtepu8_epi32,
        _mm512_cvtepu32_epi64, _mm512_extracti64x4_epi64, _mm512_i32gather_epi64, _mm512_i32gather_ps, _mm512_loadu_pd,
        _mm512_loadu_ps, _mm512_loadu_si512, _mm512_lzcnt_epi32, _mm512_mask_add_epi32, _mm512_mask_add_pd,
        _mm512_mask_add_ps, _mm512_mask_and_epi32, _mm512_mask_cmp_ps_mask, _mm512_mask_mov_pd,
        _mm512_mask_storeu_epi32, _mm512_or_si512, _mm512_permutex2var_epi32, _mm512_permutex2var_pd,
        _mm512_permutex2var_ps, _mm512_set1_epi32, _mm512_set1_epi64, _mm512_set1_ps, _mm512_setr_epi32,
        _mm512_setzero_si512, _mm512_srli_epi32, _mm512_storeu_pd, _mm512_storeu_ps, _mm512_storeu_si512,
        _mm512_test_epi32_mask, _mm512_test_epi64_mask,
    };
    use std::ops::Range;

    use super::Kernels;
    use crate::score::single::{Bundles, COLUMNS};
    use crate::score::walk::{COLUMN, DISTANCE, MISSING_RIGHT, Node, Walk};
    use crate::score::words::{GROUPS, LEAVES, Question, Word, Words};
    use crate::score::{LANES, Sum, portable};

    pub(super) fn detect() -> Option<(&'static str, Kernels)> {
        let present = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512cd");
        // Before there was this, processors had gathers that are slow since they no longer tell what others have read.
        let gathers_well = is_x86_feature_detected!("avx512bf16");
        let walk = if gathers_well { walk } else { portable::walk };
        present.then_some(("avx512", Kernels { f64: add_up::<f64>, f32: add_up::<f32>, walk, single: Some(single) }))
    }

    /// What a kernel does with the leaves that it found.
    trait Add: Sum {
        /// Adds to 16 sums the values of the leaves with these numbers, in the lanes of the mask.
        fn add(values: &[Self; LEAVES], leaves: __m512i, lanes: __mmask16, sums: &mut [Self; LANES]);
    }

    fn add_up<S: Add>(words: &Words, range: Range<usize>, block: &[f32], groups: usize, sums: &mut [S]) {
        // SAFETY: this function is reachable only through the value made by `detect`, which found the features.
        unsafe {
            match groups {
                1 => kernel::<S, 1>(words, range, block, sums),
                2 => kernel::<S, 2>(words, range, block, sums),
                3 => kernel::<S, 3>(words, range, block, sums),
                _ => kernel::<S, GROUPS>(words, range, block, sums),
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512cd")]
    fn kernel<S: Add, const G: usize>(words: &Words, range: Range<usize>, block: &[f32], sums: &mut [S]) {
        let (values, _) = S::values(words).as_chunks::<LEAVES>();
        let (block, _) = block.as_chunks::<LANES>();
        let (block, _) = block.as_chunks::<G>();
        let (sums, _) = sums.as_chunks_mut::<LANES>();
        let mut found = [0; G];
        for (word, values) in words.all[range.clone()].iter().zip(&values[range]) {
            let bits = bits::<G>(words, word, block);
            for ((bits, sums), found) in bits.into_iter().zip(sums.iter_mut()).zip(&mut found) {
                let has_one = _mm512_test_epi32_mask(bits, bits);
                S::add(values, _mm512_lzcnt_epi32(bits), has_one & !*found, sums);
                *found = if word.continues { *found | has_one } else { 0 };
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512cd")]
    fn bits<const G: usize>(words: &Words, word: &Word, block: &[[[f32; LANES]; G]]) -> [__m512i; G] {
        let mut bits = [_mm512_set1_epi32(word.leaves as i32); G];
        for question in &words.questions[word.missing_left.clone()] {
            ask::<G, _CMP_GT_OQ>(question, block, &mut bits);
        }
        for question in &words.questions[word.missing_right.clone()] {
            ask::<G, _CMP_NLE_UQ>(question, block, &mut bits);
        }
        bits
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512cd")]
    fn ask<const G: usize, const GOES_RIGHT: i32>(
        question: &Question,
        block: &[[[f32; LANES]; G]],
        bits: &mut [__m512i; G],
    ) {
        let threshold = _mm512_set1_ps(question.threshold);
        let not_left = _mm512_set1_epi32(!question.left as i32);
        for (values, bits) in block[question.slot as usize].iter().zip(bits) {
            let goes_right = _mm512_cmp_ps_mask::<GOES_RIGHT>(load_ps(values), threshold);
            *bits = _mm512_mask_and_epi32(*bits, goes_right, *bits, not_left);
        }
    }

    fn single(bundles: &Bundles, values: &[f32], has_missing: bool, bits: &mut [u32]) {
        // SAFETY: as in `add_up`.
        unsafe {
            if has_missing {
                single_kernel::<true>(bundles, values, bits);
            } else {
                single_kernel::<false>(bundles, values, bits);
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512cd")]
    fn single_kernel<const MISSING: bool>(bundles: &Bundles, values: &[f32], out: &mut [u32]) {
        let (values, _) = values.as_chunks::<LANES>();
        for ((segments, leaves), out) in bundles.all.iter().zip(out.chunks_mut(LANES)) {
            let mut bits = load_epi32(leaves);
            for segment in &bundles.segments[segments.clone()] {
                let at = segment.columns * (COLUMNS / LANES);
                let (low, high) = (load_ps(&values[at]), load_ps(&values[at + 1]));
                for slot in &bundles.slots[segment.slots.clone()] {
                    // SAFETY: 16 bytes in an array of 16.
                    let columns = unsafe { _mm_loadu_si128(slot.columns.as_ptr().cast()) };
                    let value = _mm512_permutex2var_ps(low, _mm512_cvtepu8_epi32(columns), high);
                    let mut goes_right = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(value, load_ps(&slot.thresholds));
                    if MISSING {
                        goes_right &= !(_mm512_cmp_ps_mask::<_CMP_UNORD_Q>(value, value) & slot.missing_left);
                    }
                    bits = _mm512_mask_and_epi32(bits, goes_right, bits, load_epi32(&slot.keeps));
                }
            }
            let mask = (1u32 << out.len()).wrapping_sub(1) as u16;
            // SAFETY: the mask lets through as many numbers as the chunk has.
            unsafe { _mm512_mask_storeu_epi32(out.as_mut_ptr().cast(), mask, bits) };
        }
    }

    /// Groups of 16 trees that are walked together, so that there is something to do while values are gathered.
    const TOGETHER: usize = 4;

    fn walk(walk: &Walk, row: &[f32], leaves: &mut [[u32; LANES]]) {
        assert!(row.len() >= walk.columns && leaves.len() == walk.roots.len());
        for (roots, leaves) in walk.roots.chunks(TOGETHER).zip(leaves.chunks_mut(TOGETHER)) {
            // SAFETY: as in `add_up`; and the row has the columns of the nodes.
            unsafe {
                match roots.len() {
                    1 => walk_together::<1>(&walk.nodes, roots, row, leaves),
                    2 => walk_together::<2>(&walk.nodes, roots, row, leaves),
                    3 => walk_together::<3>(&walk.nodes, roots, row, leaves),
                    _ => walk_together::<TOGETHER>(&walk.nodes, roots, row, leaves),
                }
            }
        }
    }

    /// # Safety
    ///
    /// The nodes and roots are those of a [`Walk`], and the row has its columns.
    #[target_feature(enable = "avx512f")]
    unsafe fn walk_together<const G: usize>(
        nodes: &[Node],
        roots: &[[u32; LANES]],
        row: &[f32],
        leaves: &mut [[u32; LANES]],
    ) {
        let evens = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        let odds = _mm512_or_si512(evens, _mm512_set1_epi32(1));
        let distance = _mm512_set1_epi32(DISTANCE as i32);
        let mut at = [_mm512_setzero_si512(); G];
        for (at, roots) in at.iter_mut().zip(roots) {
            *at = load_epi32(roots);
        }
        let mut found = [_mm512_setzero_si512(); G];
        let mut moves = u16::MAX;
        while moves != 0 {
            moves = 0;
            for (at, found) in at.iter_mut().zip(&mut found) {
                // SAFETY: roots are nodes, and a node's distance, as well as one more, leads to a node.
                let (low, high) = unsafe {
                    let (low, high) = (_mm512_castsi512_si256(*at), _mm512_extracti64x4_epi64::<1>(*at));
                    let nodes = nodes.as_ptr().cast();
                    (_mm512_i32gather_epi64::<8>(low, nodes), _mm512_i32gather_epi64::<8>(high, nodes))
                };
                let below = _mm512_permutex2var_epi32(low, evens, high);
                *found = _mm512_permutex2var_epi32(low, odds, high);
                let columns = _mm512_srli_epi32::<COLUMN>(below);
                // SAFETY: the row has the columns that nodes ask for; a leaf asks for the first.
                let value = unsafe { _mm512_i32gather_ps::<4>(columns, row.as_ptr().cast()) };
                let missing_right = _mm512_test_epi32_mask(below, _mm512_set1_epi32(MISSING_RIGHT as i32));
                let goes_right = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(value, _mm512_castsi512_ps(*found))
                    | _mm512_mask_cmp_ps_mask::<_CMP_UNORD_Q>(missing_right, value, value);
                moves |= _mm512_test_epi32_mask(below, distance);
                let left = _mm512_add_epi32(*at, _mm512_and_si512(below, distance));
                *at = _mm512_mask_add_epi32(left, goes_right, left, _mm512_set1_epi32(1));
            }
        }
        for (found, leaves) in found.into_iter().zip(leaves) {
            // SAFETY: 16 numbers in an array of 16.
            unsafe { _mm512_storeu_si512(leaves.as_mut_ptr().cast(), found) };
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load_epi32(values: &[u32; LANES]) -> __m512i {
        // SAFETY: 16 numbers in an array of 16.
        unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
    }

    impl Add for f64 {
        #[inline]
        fn add(values: &[f64; LEAVES], leaves: __m512i, lanes: __mmask16, sums: &mut [f64; LANES]) {
            // SAFETY: only `kernel` calls this, which runs where the features are.
            unsafe { add_f64(values, leaves, lanes, sums) }
        }
    }

    impl Add for f32 {
        #[inline]
        fn add(values: &[f32; LEAVES], leaves: __m512i, lanes: __mmask16, sums: &mut [f32; LANES]) {
            // SAFETY: as above.
            unsafe { add_f32(values, leaves, lanes, sums) }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512cd")]
    fn add_f64(values: &[f64; LEAVES], leaves: __m512i, lanes: __mmask16, sums: &mut [f64; LANES]) {
        let (table, _) = values.as_chunks::<8>();
        let table = [load_pd(&table[0]), load_pd(&table[1]), load_pd(&table[2]), load_pd(&table[3])];
        let (halves, _) = sums.as_chunks_mut::<8>();
        let leaves = [_mm512_castsi512_si256(leaves), _mm512_extracti64x4_epi64::<1>(leaves)];
        for (half, (leaves, sums)) in leaves.into_iter().zip(halves).enumerate() {
            let leaves = _mm512_cvtepu32_epi64(leaves);
            let low = _mm512_permutex2var_pd(table[0], leaves, table[1]);
            let high = _mm512_permutex2var_pd(table[2], leaves, table[3]);
            let is_high = _mm512_test_epi64_mask(leaves, _mm512_set1_epi64(16));
            let value = _mm512_mask_mov_pd(low, is_high, high);
            let sum = load_pd(sums);
            let sum = _mm512_mask_add_pd(sum, (lanes >> (8 * half)) as u8, sum, value);
            // SAFETY: 8 floats in an array of 8.
            unsafe { _mm512_storeu_pd(sums.as_mut_ptr(), sum) };
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512cd")]
    fn add_f32(values: &[f32; LEAVES], leaves: __m512i, lanes: __mmask16, sums: &mut [f32; LANES]) {
        let (table, _) = values.as_chunks::<LANES>();
        let value = _mm512_permutex2var_ps(load_ps(&table[0]), leaves, load_ps(&table[1]));
        let sum = load_ps(sums);
        let sum = _mm512_mask_add_ps(sum, lanes, sum, value);
        // SAFETY: 16 floats in an array of 16.
        unsafe { _mm512_storeu_ps(sums.as_mut_ptr(), sum) };
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load_ps(values: &[f32; LANES]) -> __m512 {
        // SAFETY: 16 floats in an array of 16.
        unsafe { _mm512_loadu_ps(values.as_ptr()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load_pd(values: &[f64; 8]) -> __m512d {
        // SAFETY: 8 floats in an array of 8.
        unsafe { _mm512_loadu_pd(values.as_ptr()) }
    }
}

/// The portable kernel, compiled for AVX2: eight rows an instruction.
mod avx2 {
    use std::ops::Range;

    use super::Kernels;
    use crate::score::words::Words;
    use crate::score::{Sum, portable};

    pub(super) fn detect() -> Option<(&'static str, Kernels)> {
        let present = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("lzcnt");
        present
            .then_some(("avx2", Kernels { f64: add_up::<f64>, f32: add_up::<f32>, walk: portable::walk, single: None }))
    }

    fn add_up<S: Sum>(words: &Words, range: Range<usize>, block: &[f32], groups: usize, sums: &mut [S]) {
        // SAFETY: this function is reachable only through the value made by `detect`, which found the features.
        unsafe { kernel::<S>(words, range, block, groups, sums) }
    }

    #[target_feature(enable = "avx2,lzcnt")]
    fn kernel<S: Sum>(words: &Words, range: Range<usize>, block: &[f32], groups: usize, sums: &mut [S]) {
        portable::add_up::<S>(words, range, block, groups, sums);
    }
}
