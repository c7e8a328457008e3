//! The pure parts of Modbus: planning a register map of 10,000 tags, and decoding registers. Criterion prints times.
//! Run it with `cargo bench -p bellwether-connectors --bench modbus`.
#![allow(missing_docs, reason = "criterion's macros make public items without words")]

use std::hint::black_box;

use bellwether_connectors::modbus::{Encoding, Limits, Order, Span, Table, ValueType, plan};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Ten units with 1,000 values each, of one to four registers, every seventh address left out, in no order.
fn map() -> Vec<(usize, Span)> {
    let mut spans = Vec::new();
    for unit in 1..=10 {
        let mut address = 0;
        for value in 0..1_000_u16 {
            let count = [1, 2, 1, 4][usize::from(value % 4)];
            spans.push(Span { unit, table: Table::Holding, address, count });
            address += count + u16::from(value % 7 == 0);
        }
    }
    // A step that has no factor in common with the length visits each place once.
    (0..spans.len()).map(|index| (index, spans[index * 7_919 % spans.len()])).collect()
}

fn planner(criterion: &mut Criterion) {
    let map = map();
    let mut group = criterion.benchmark_group("plan");
    group.throughput(Throughput::Elements(map.len() as u64));
    group.bench_function("10,000 tags", |bencher| {
        bencher.iter(|| black_box(plan(map.iter().copied(), Limits::STANDARD)));
    });
    group.finish();
}

fn decode(criterion: &mut Criterion) {
    let words: Vec<u16> = (0..1_000_u16).map(|word| word.wrapping_mul(40_503)).collect();
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(words.len() as u64 - 4));
    for (value_type, order) in [
        (ValueType::U16, Order::Abcd),
        (ValueType::F32, Order::Cdab),
        (ValueType::F64, Order::Dcba),
        (ValueType::Bcd32, Order::Abcd),
    ] {
        let encoding = Encoding { value_type, order, bit: 0 };
        let name = format!("{} {order:?}", value_type.as_str());
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for at in 0..words.len() - 4 {
                    black_box(encoding.registers(black_box(&words[at..])));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, planner, decode);
criterion_main!(benches);
