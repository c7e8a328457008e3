//! `Engine::step` at the size of issue 2: 1,000 tags in 100 assets, all detectors on, learning finished. Criterion prints
//! readings per second. Run it with `cargo bench -p bellwether-analytics`.
#![allow(missing_docs, reason = "criterion's macros make public items without words")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use load::Load;

mod load;

fn step(criterion: &mut Criterion) {
    let mut load = Load::learnt();
    let mut group = criterion.benchmark_group("engine");
    group.throughput(Throughput::Elements(u64::from(Load::READINGS)));
    group.bench_function("step, 1,000 readings of 100 assets", |bencher| {
        bencher.iter(|| {
            black_box(load.step());
        });
    });
    group.finish();
}

criterion_group!(benches, step);
criterion_main!(benches);
