//! Three runs to one ranking, on one thread: what a query pays to fuse its retrievers.
//! `cargo bench -p rag-benches --bench fusion`
//!
//! Half of the documents of a run are in each of the others. `new` is what it takes to sort and check three runs first.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use rag_core::fusion::{Method, Normalization, Run, Weighted, fuse};
use rand::rngs::SmallRng;
use rand::seq::index::sample;
use rand::{Rng, SeedableRng};

const WEIGHTS: [f64; 3] = [0.2, 0.5, 0.3];

fn fusion(c: &mut Criterion) {
    let methods = [
        ("rrf", Method::rrf(), Normalization::None),
        ("sum, min-max", Method::Sum, Normalization::MinMax),
        ("mnz, z-score", Method::Mnz, Normalization::ZScore),
        ("borda", Method::Borda, Normalization::None),
    ];
    for hits in [100, 1000] {
        let mut group = c.benchmark_group(format!("fusion/3x{hits}"));
        let mut random = SmallRng::seed_from_u64(1);
        let queries: Vec<[Vec<(u64, f64)>; 3]> =
            (0..50).map(|_| [(); 3].map(|()| hits_of(hits, &mut random))).collect();
        let run = |hits: &Vec<(u64, f64)>| {
            Run::new("run", hits.iter().copied()).unwrap_or_else(|error| unreachable!("{error}"))
        };
        let runs: Vec<[Run; 3]> = queries.iter().map(|query| query.each_ref().map(run)).collect();
        for (name, method, normalization) in &methods {
            let mut next = runs.iter().cycle();
            group.bench_function(BenchmarkId::from_parameter(name), |b| {
                b.iter(|| {
                    let runs = next.next().unwrap_or(&runs[0]);
                    let weighted: Vec<_> = runs.iter().zip(WEIGHTS).map(|(run, by)| Weighted::new(run, by)).collect();
                    fuse(&weighted, method, normalization, usize::MAX)
                });
            });
        }
        let mut next = queries.iter().cycle();
        group.bench_function("new", |b| b.iter(|| next.next().unwrap_or(&queries[0]).each_ref().map(run)));
        group.finish();
    }
}

/// Documents out of twice as many, with scores in any order.
fn hits_of(hits: usize, random: &mut SmallRng) -> Vec<(u64, f64)> {
    sample(random, 2 * hits, hits).into_iter().map(|id| (id as u64, -random.random::<f64>().ln())).collect()
}

criterion_group!(benches, fusion);
criterion_main!(benches);
