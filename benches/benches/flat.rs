//! The exact scan over 100,000 vectors: int8 codes with proven bounds against a plain scan of the full-precision rows,
//! both on one thread. `cargo bench -p rag-benches --bench flat`
//!
//! Vectors are sentence embeddings where `../shared/data/ann/pypi-minilm384-100k` is there, clustered random ones where
//! it is not. 256 dimensions are the first 256 of 384, normalised again.

use std::hint::black_box;
use std::path::Path;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rag_core::Cancel;
use rag_core::ann::{FlatIndex, VectorIndexMut, VectorQuery};
use rag_core::distance::{dot_f32, dot_i8_rows, normalize};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const STORED: usize = 384;
const ROWS: usize = 100_000;
const QUERIES: usize = 64;

fn flat(c: &mut Criterion) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/ann/pypi-minilm384-100k");
    let (base, queries) = match (read_f16(&folder.join("base.f16.npy")), read_f16(&folder.join("query.f16.npy"))) {
        (Some(base), Some(queries)) => (base, queries),
        _ => (clustered(ROWS, 1), clustered(QUERIES, 2)),
    };
    for dimension in [256, 384] {
        let base = cut(&base, ROWS, dimension);
        let queries = cut(&queries, QUERIES, dimension);
        let mut group = c.benchmark_group(format!("flat/{dimension}"));
        group.throughput(Throughput::Elements(1)).sample_size(50);
        let view = index_of(&base, dimension);
        let cancel = Cancel::never();
        for k in [10, 100] {
            let mut next = queries.chunks_exact(dimension).cycle();
            group.bench_function(BenchmarkId::new("int8 and re-scoring", k), |b| {
                b.iter(|| {
                    let vector = next.next().unwrap_or_default();
                    view.search(&VectorQuery { vector, k, ef: None, allow: None, cancel: &cancel })
                });
            });
        }
        let mut next = queries.chunks_exact(dimension).cycle();
        group.bench_function("plain f32, best only", |b| {
            b.iter(|| {
                let vector = next.next().unwrap_or_default();
                base.chunks_exact(dimension).map(|row| dot_f32(row, vector)).fold(f32::MIN, f32::max)
            });
        });
        let codes: Vec<i8> = base.iter().map(|value| (value * 400.0) as i8).collect();
        let query = codes[..dimension].to_vec();
        let mut out = vec![0; ROWS];
        group.bench_function("int8 kernel alone", |b| {
            b.iter(|| dot_i8_rows(black_box(&query), black_box(&codes), &mut out));
        });
        group.finish();
    }
}

fn index_of(base: &[f32], dimension: usize) -> std::sync::Arc<dyn rag_core::ann::VectorIndex> {
    let made = FlatIndex::new(dimension).and_then(|mut index| {
        for (row, doc) in base.chunks_exact(dimension).zip(0..) {
            index.insert(doc, row)?;
        }
        index.publish()
    });
    made.unwrap_or_else(|error| unreachable!("unit vectors of one dimension are accepted: {error}"))
}

/// The first `dimension` values of the first `rows` rows, normalised.
fn cut(stored: &[f32], rows: usize, dimension: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(rows * dimension);
    for row in stored.chunks_exact(STORED).cycle().take(rows) {
        out.extend_from_slice(&row[..dimension]);
        let start = out.len() - dimension;
        normalize(&mut out[start..]);
    }
    out
}

/// Points around a thousand centres, so that near neighbours exist as they do in text.
fn clustered(rows: usize, seed: u64) -> Vec<f32> {
    let mut centres_rng = SmallRng::seed_from_u64(0);
    let centres: Vec<f32> = (0..1000 * STORED).map(|_| centres_rng.random_range(-1.0..1.0)).collect();
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut out = Vec::with_capacity(rows * STORED);
    for _ in 0..rows {
        let centre = rng.random_range(0..1000) * STORED;
        out.extend(centres[centre..centre + STORED].iter().map(|value| value + rng.random_range(-1.0f32..1.0)));
    }
    out
}

/// Values of a `.npy` file of little-endian half-precision numbers.
fn read_f16(path: &Path) -> Option<Vec<f32>> {
    let bytes = std::fs::read(path).ok()?;
    let header = 10 + usize::from(u16::from_le_bytes([*bytes.get(8)?, *bytes.get(9)?]));
    let halves = bytes.get(header..)?.as_chunks::<2>().0;
    Some(halves.iter().map(|&half| from_f16(u16::from_le_bytes(half))).collect())
}

/// IEEE 754 binary16.
fn from_f16(half: u16) -> f32 {
    let sign = if half >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(half >> 10 & 31), f32::from(half & 1023));
    match exponent {
        0 => sign * fraction * 2f32.powi(-24),
        31 => f32::NAN,
        _ => sign * (1024.0 + fraction) * 2f32.powi(exponent - 25),
    }
}

criterion_group!(benches, flat);
criterion_main!(benches);
