//! What the tests of the engine share: plants, noise, and a pump that wears out.

use std::{sync::Arc, time::Duration};

use bellwether_analytics::{AnalyticsConfig, Engine, Input, Output};
use bellwether_domain::{
    AlarmKind, Alert, Asset, AssetId, AssetKind, AssetPath, Limit, Plant, Quality, Reading, Role,
    RunningWhen, Tag, TagId, Timestamp, Transition,
};

/// 2026-11-23T08:00:00Z.
pub(crate) const BEGIN: Timestamp = Timestamp::from_secs(1_795_420_800);

/// Seeded noise: SplitMix64 (Steele et al. 2014) and sums of uniforms.
#[derive(Clone, Debug)]
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Close to a standard normal: the sum of twelve uniforms.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

pub(crate) fn path(name: &str) -> AssetPath {
    AssetPath {
        enterprise: "acme".into(),
        site: "lyon".into(),
        area: "utilities".into(),
        work_center: "water".into(),
        work_unit: name.into(),
    }
}

pub(crate) fn tag(asset: u32, name: &str, unit: &str, role: Role, period: Duration) -> Tag {
    Tag {
        name: name.into(),
        asset: AssetId(asset),
        source: "plc".into(),
        unit: unit.into(),
        role,
        range: None,
        failure: None,
        period,
        stale_after: period * 5,
        derived: None,
        meaning: bellwether_domain::Meaning::default(),
        is_waveform: false,
    }
}

pub(crate) fn asset(name: &str, tags: Vec<TagId>, period: Duration) -> Asset {
    Asset {
        path: path(name),
        kind: AssetKind::Pump,
        tags,
        running_when: None,
        frame_period: period,
    }
}

/// A plant of one asset whose tags are all judged.
pub(crate) fn rig(signals: &[&str], period: Duration) -> Plant {
    let tags: Vec<Tag> = signals
        .iter()
        .map(|name| tag(0, &format!("rig.{name}"), "", Role::Condition, period))
        .collect();
    let ids = (0..).map(TagId).take(tags.len()).collect();
    Plant { generation: 1, assets: vec![asset("rig", ids, period)], tags }
}

pub(crate) const LOAD: TagId = TagId(0);
pub(crate) const SPEED: TagId = TagId(1);
pub(crate) const VIBRATION: TagId = TagId(2);
pub(crate) const CURRENT: TagId = TagId(3);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// `pump-1` with drivers, a failure limit of 7.1 mm/s, and a value a minute.
pub(crate) fn pump_plant() -> Plant {
    let names = [
        ("load", "%", Role::Driver),
        ("speed", "rpm", Role::Driver),
        ("vibration", "mm/s", Role::Condition),
        ("current", "A", Role::Condition),
        ("bearing_temperature", "Cel", Role::Condition),
        ("pressure", "bar", Role::Condition),
    ];
    let mut tags: Vec<Tag> = names
        .iter()
        .map(|(name, unit, role)| tag(0, &format!("pump-1.{name}"), unit, *role, MINUTE))
        .collect();
    tags[VIBRATION.index()].failure = Some(Limit::Above(7.1));
    let mut pump = asset("pump-1", (0..6).map(TagId).collect(), MINUTE);
    pump.running_when = Some(RunningWhen { tag: SPEED, above: 100.0 });
    Plant { generation: 1, assets: vec![pump], tags }
}

/// A pump with load steps, stops, thermal lag, a daily ambient cycle and measurement noise; one step is a minute.
#[derive(Clone, Debug)]
pub(crate) struct Pump {
    pub(crate) minute: i64,
    noise: Noise,
    load: f64,
    is_running: bool,
    next_change: i64,
    heat: f64,
    /// Multiplies vibration at all loads; 0 is healthy.
    pub(crate) wear: f64,
    spin: f64,
}

impl Pump {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            minute: 0,
            noise: Noise(seed),
            load: 70.0,
            is_running: true,
            next_change: 40,
            heat: 0.5,
            wear: 0.0,
            spin: 1.0,
        }
    }

    pub(crate) const fn at(&self) -> Timestamp {
        Timestamp::from_micros(BEGIN.as_micros() + self.minute * 60_000_000)
    }

    /// The values of the next minute.
    pub(crate) fn step(&mut self) -> [f64; 6] {
        self.minute += 1;
        if self.minute >= self.next_change {
            let stops = self.is_running && self.noise.uniform() < 0.1;
            self.is_running = !stops;
            let span = if stops { 40.0 } else { 30.0 + 60.0 * self.noise.uniform() };
            #[expect(clippy::cast_possible_truncation, reason = "some minutes")]
            let span = span as i64;
            self.next_change = self.minute + span;
            self.load = 40.0 + 60.0 * self.noise.uniform();
        }
        let target = if self.is_running { 1.0 } else { 0.0 };
        self.spin += 0.7 * (target - self.spin);
        let spin = if self.spin < 0.02 { 0.0 } else { self.spin };
        let load = self.load / 100.0 * spin;
        self.heat += (load - self.heat) / 25.0;
        let day = (self.minute as f64 / 1_440.0 * std::f64::consts::TAU).sin();
        let mut noise = |size: f64| size * self.noise.normal();
        let vibration = spin * spin * (0.6 + 1.2 * load * load) * (1.0 + self.wear);
        [
            100.0 * load + noise(0.4),
            1_450.0 * spin - 20.0 * load + noise(1.5),
            (vibration * (1.0 + noise(0.04)) + noise(0.01)).abs(),
            spin * (6.0 + 9.0 * load) + noise(0.08),
            18.0 + 4.0 * day + 40.0 * self.heat + noise(0.2),
            spin * spin * (6.0 - 1.5 * load * load) + noise(0.03),
        ]
    }
}

/// An engine with what it said.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) engine: Engine,
    pub(crate) outputs: Vec<Output>,
}

impl Watched {
    pub(crate) fn new(plant: Plant) -> Self {
        Self::with(plant, AnalyticsConfig::default())
    }

    pub(crate) fn with(plant: Plant, config: AnalyticsConfig) -> Self {
        Self { engine: Engine::new(Arc::new(plant), config, None), outputs: Vec::new() }
    }

    /// One value of each tag.
    pub(crate) fn row(&mut self, at: Timestamp, values: &[f64]) {
        let readings: Vec<Reading> = (0..)
            .map(TagId)
            .zip(values)
            .map(|(tag, &value)| Reading::new(tag, at, value))
            .collect();
        self.readings(at, &readings);
    }

    pub(crate) fn readings(&mut self, at: Timestamp, readings: &[Reading]) {
        self.engine.step(at, Input::Readings(readings), &mut self.outputs);
    }

    pub(crate) fn tick(&mut self, at: Timestamp) {
        self.engine.step(at, Input::Tick, &mut self.outputs);
    }

    pub(crate) fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.outputs.iter().filter_map(|output| match output {
            Output::AlarmChanged(alert) => Some(alert),
            _ => None,
        })
    }

    pub(crate) fn raised(&self, kind: AlarmKind) -> Vec<&Alert> {
        self.alerts()
            .filter(|alert| alert.transition == Transition::Raised && alert.alarm.kind == kind)
            .collect()
    }
}

pub(crate) const fn bad(tag: TagId, at: Timestamp, reason: bellwether_domain::Reason) -> Reading {
    Reading { tag, at, value: 0.0, quality: Quality::Bad(reason) }
}
