#![allow(clippy::print_stderr)]

use proptest::prelude::*;

use super::*;

fn oracle_f32(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
}

fn oracle_i8(a: &[i8], b: &[i8]) -> i64 {
    a.iter().zip(b).map(|(&x, &y)| i64::from(x) * i64::from(y)).sum()
}

/// The documented bound of a floating-point sum.
fn bound_f32(a: &[f32], b: &[f32]) -> f64 {
    a.len() as f64 * 2f64.powi(-23) * norm_f32(a) * norm_f32(b) + f64::from(f32::MIN_POSITIVE)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_f32_kernel_stays_within_its_bound(
        pool in prop::collection::vec(-1e3f32..1e3, 2 * 80), a_from in 0usize..13, b_from in 0usize..13,
    ) {
        for kernels in available() {
            for len in 0..=67 {
                let (a, b) = (&pool[a_from..][..len], &pool[80 + b_from..][..len]);
                let (found, wanted) = (f64::from((kernels.dot_f32)(a, b)), oracle_f32(a, b));
                prop_assert!((found - wanted).abs() <= bound_f32(a, b), "{kernels:?} {len}: {found} {wanted}");
            }
        }
    }

    #[test]
    fn every_i8_kernel_is_exact(
        pool in prop::collection::vec(any::<i8>(), 2 * 80), a_from in 0usize..13, b_from in 0usize..13,
    ) {
        for kernels in available() {
            for len in 0..=67 {
                let (a, b) = (&pool[a_from..][..len], &pool[80 + b_from..][..len]);
                prop_assert_eq!(i64::from((kernels.dot_i8)(a, b)), oracle_i8(a, b), "{:?} {}", kernels, len);
            }
        }
    }

    #[test]
    fn every_row_kernel_is_exact(
        pool in prop::collection::vec(any::<i8>(), 67 * 12 + 20), from in 0usize..7, rows in 0usize..11,
    ) {
        for kernels in available() {
            for width in 1..=67 {
                let query = &pool[from..][..width];
                let matrix = &pool[from + 3..][..rows * width];
                let mut out = vec![0; rows];
                (kernels.dot_i8_rows)(query, matrix, &mut out);
                for (row, &found) in matrix.chunks_exact(width).zip(&out) {
                    prop_assert_eq!(i64::from(found), oracle_i8(query, row), "{:?} {}", kernels, width);
                }
            }
        }
    }

    #[test]
    fn normalised_vectors_have_length_one(mut vector in prop::collection::vec(-1e30f32..1e30, 1..300)) {
        let before = normalize(&mut vector);
        prop_assert!(before == 0.0 || (norm_f32(&vector) - 1.0).abs() < 1e-6);
    }
}

#[test]
fn long_vectors_and_extreme_codes_are_exact() {
    for kernels in available() {
        for len in [256, 384, 768, 1000, 4096, MAX_DOT_I8] {
            for (x, y) in [(i8::MIN, i8::MIN), (i8::MIN, i8::MAX), (i8::MAX, i8::MAX), (0, i8::MIN)] {
                let (a, b) = (vec![x; len], vec![y; len]);
                assert_eq!(i64::from((kernels.dot_i8)(&a, &b)), oracle_i8(&a, &b), "{kernels:?} {len} {x} {y}");
                let mut out = [0; 5];
                (kernels.dot_i8_rows)(&a, &b.repeat(5), &mut out);
                assert!(out.iter().all(|&found| i64::from(found) == oracle_i8(&a, &b)), "{kernels:?} {len}");
            }
        }
    }
}

#[test]
fn different_lengths_count_their_common_prefix() {
    assert_eq!(dot_f32(&[1.0, 2.0, 3.0], &[4.0, 5.0]), 14.0);
    assert_eq!(dot_i8(&[1, 2], &[4, 5, 6]), 14);
    let mut out = [7; 3];
    assert_eq!(dot_i8_rows(&[1, 2], &[1, 1, 2, 2, 9], &mut out), 2);
    assert_eq!(out, [3, 6, 7]);
    assert_eq!(dot_i8_rows(&[], &[1], &mut out), 3);
}

#[test]
fn the_portable_kernels_are_always_there() {
    let names: Vec<_> = available().iter().map(|kernels| kernels.name).collect();
    assert_eq!(names.last(), Some(&"scalar"));
    assert_eq!(names.first(), Some(&kernel_name()));
    eprintln!("kernels of this machine: {names:?}");
}

#[test]
fn zero_vectors_stay_zero() {
    let mut zero = [0.0f32; 5];
    assert_eq!((normalize(&mut zero), zero), (0.0, [0.0; 5]));
    assert_eq!(norm_f32(&[]), 0.0);
}
