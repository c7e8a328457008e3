//! The load of issue 2: 1,000 tags in 100 assets, all detectors on, learning finished. The benchmark times it and a test
//! counts its allocations.

use std::{sync::Arc, time::Duration};

use bellwether_analytics::{AnalyticsConfig, Engine, Input, Output};
use bellwether_domain::{
    Asset, AssetId, AssetKind, AssetPath, Limit, Plant, Reading, Role, RunningWhen, Tag, TagId,
    Timestamp,
};

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

/// An engine at work: each step is one second with one value of each tag.
#[derive(Debug)]
pub(crate) struct Load {
    engine: Engine,
    rows: Vec<Vec<Reading>>,
    second: i64,
    out: Vec<Output>,
}

impl Load {
    /// The engine after its learning.
    pub(crate) fn learnt() -> Self {
        let engine = Engine::new(Arc::new(plant()), AnalyticsConfig::default(), None);
        let mut load = Self { engine, rows: rows(600), second: 0, out: Vec::new() };
        for _ in 0..600 {
            load.step();
        }
        let learnt = load.engine.status(Timestamp::default());
        let is_judged =
            learnt.assets.iter().all(|asset| asset.reason.starts_with("nothing unusual; 8"));
        assert!(
            is_judged,
            "learning is over and all signals are judged: {}",
            learnt.assets[0].reason
        );
        load
    }

    /// Readings in one step.
    pub(crate) const READINGS: u32 = ASSETS * TAGS_EACH;

    /// Runs one second; what the engine says about it.
    pub(crate) fn step(&mut self) -> &[Output] {
        self.second += 1;
        let now = Timestamp::from_secs(self.second);
        let index = usize::try_from(self.second).unwrap_or(0) % self.rows.len();
        let row = &mut self.rows[index];
        row.iter_mut().for_each(|reading| reading.at = now);
        self.out.clear();
        self.engine.step(now, Input::Readings(row), &mut self.out);
        &self.out
    }
}
