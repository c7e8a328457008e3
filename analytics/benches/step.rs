//! `Engine::step` at the size of issue 2: 1,000 tags in 100 assets, all detectors on, learning finished. Criterion prints
//! readings per second. Run it with `cargo bench -p bellwether-analytics`.
#![allow(missing_docs, reason = "criterion's macros make public items without words")]

use std::{hint::black_box, sync::Arc, time::Duration};

use bellwether_analytics::{AnalyticsConfig, Engine, Input};
use bellwether_domain::{
    Asset, AssetId, AssetKind, AssetPath, Limit, Plant, Reading, Role, RunningWhen, Tag, TagId,
    Timestamp,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const ASSETS: u32 = 100;
const TAGS_EACH: u32 = 10;
const SECOND: Duration = Duration::from_secs(1);

fn tag(asset: u32, index: u32) -> Tag {
    Tag {
        name: format!("pump-{asset}.signal_{index}"),
        asset: AssetId(asset),
        source: "plc".into(),
        unit: "mm/s".into(),
        role: if index < 2 { Role::Driver } else { Role::Condition },
        range: None,
        failure: (index == 2).then_some(Limit::Above(1e6)),
        period: SECOND,
        stale_after: SECOND * 5,
        derived: None,
        meaning: bellwether_domain::Meaning::default(),
        is_waveform: false,
    }
}

fn plant() -> Plant {
    let assets = (0..ASSETS).map(|asset| Asset {
        path: AssetPath {
            enterprise: "acme".into(),
            site: "lyon".into(),
            area: "utilities".into(),
            work_center: "water".into(),
            work_unit: format!("pump-{asset}"),
        },
        kind: AssetKind::Pump,
        tags: (asset * TAGS_EACH..(asset + 1) * TAGS_EACH).map(TagId).collect(),
        running_when: Some(RunningWhen { tag: TagId(asset * TAGS_EACH), above: -1e9 }),
        frame_period: SECOND,
    });
    let tags = (0..ASSETS).flat_map(|asset| (0..TAGS_EACH).map(move |index| tag(asset, index)));
    Plant { generation: 1, assets: assets.collect(), tags: tags.collect() }
}

/// Numbers that look random: SplitMix64 (Steele et al. 2014).
fn noise(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

fn rows(count: usize) -> Vec<Vec<Reading>> {
    let mut state = 1;
    (0..count)
        .map(|_| {
            (0..ASSETS * TAGS_EACH)
                .map(|id| Reading::new(TagId(id), Timestamp::default(), 10.0 + noise(&mut state)))
                .collect()
        })
        .collect()
}

fn step(criterion: &mut Criterion) {
    let mut engine = Engine::new(Arc::new(plant()), AnalyticsConfig::default(), None);
    let mut rows = rows(600);
    let mut out = Vec::new();
    let mut second = 0;
    let mut next = |engine: &mut Engine, out: &mut Vec<_>| {
        second += 1;
        let now = Timestamp::from_secs(second);
        let index = usize::try_from(second).unwrap_or(0) % rows.len();
        let row = &mut rows[index];
        row.iter_mut().for_each(|reading| reading.at = now);
        out.clear();
        engine.step(now, Input::Readings(row), out);
    };
    for _ in 0..600 {
        next(&mut engine, &mut out);
    }
    let learnt = engine.status(Timestamp::default());
    let is_judged =
        learnt.assets.iter().all(|asset| asset.reason.starts_with("nothing unusual; 8"));
    assert!(is_judged, "learning is over and all signals are judged: {}", learnt.assets[0].reason);
    let mut group = criterion.benchmark_group("engine");
    group.throughput(Throughput::Elements(u64::from(ASSETS * TAGS_EACH)));
    group.bench_function("step, 1,000 readings of 100 assets", |bencher| {
        bencher.iter(|| {
            next(&mut engine, &mut out);
            black_box(&out);
        });
    });
    group.finish();
}

criterion_group!(benches, step);
criterion_main!(benches);
