//! What the demo must show, in virtual time: the simulated plant straight into the engine, sampled as the demo's
//! connectors sample it. No sockets, no waiting; the same code judges as in the running gateway.

use std::sync::Arc;

use bellwether::config::Config;
use bellwether_analytics::{Engine, Input, Output};
use bellwether_domain::{
    AlarmKind, Alert, AssetId, Command, HealthState, Plant, Reading, Reason, TagId, Timestamp,
    Transition, Waveform,
};
use bellwether_fixtures::{
    DEMO_CONFIG,
    physics::{MachineSnapshot, Simulation, Truth},
};

const SPEED: f64 = 600.0;

/// Plant time between two polls: 100 ms of wall time at the demo's speed.
const POLL_US: i64 = 60_000_000;

/// Three minutes of wall time.
const POLLS: i64 = 1_800;

/// Bursts come every ten seconds of wall time.
const POLLS_PER_BURST: i64 = 100;

/// All that happened, for the assertions below.
#[derive(Debug, Default)]
struct Story {
    alerts: Vec<Alert>,
    /// Poll, asset, state at each change.
    states: Vec<(i64, AssetId, HealthState)>,
    /// Poll, asset name, p05, p95 and the truth, twenty polls apart.
    forecasts: Vec<(i64, String, f64, f64, f64)>,
    repairs: Vec<(i64, String)>,
}

struct Run {
    plant: Arc<Plant>,
    engine: Engine,
    simulation: Simulation,
    /// By machine, by channel.
    tags: Vec<Vec<Option<TagId>>>,
    burst_tag: Option<TagId>,
    origin: Timestamp,
    story: Story,
}

impl Run {
    fn new(seed: u64) -> Self {
        let file = "the demo's configuration".as_ref();
        let config = Config::parse(file, DEMO_CONFIG).expect("the demo's configuration is right");
        let plant = config.setup(file, SPEED).expect("the demo's configuration is right").plant;
        let origin = Timestamp::from_secs(1_795_420_800);
        let simulation = Simulation::new(seed, origin.as_micros());
        let tags = simulation
            .machines()
            .iter()
            .map(|machine| {
                let name = |channel: &str| plant.tag_named(&format!("{}.{channel}", machine.name));
                machine.channels().iter().map(|channel| name(channel.name)).collect()
            })
            .collect();
        let burst_tag = plant.tags().find(|(_, tag)| tag.is_waveform).map(|(id, _)| id);
        let engine = Engine::new(Arc::clone(&plant), config.analytics, None);
        Self { plant, engine, simulation, tags, burst_tag, origin, story: Story::default() }
    }

    fn poll(&mut self, poll: i64) {
        let at = Timestamp::from_micros(self.origin.as_micros() + poll * POLL_US);
        self.simulation.advance_to(at.as_micros());
        let snapshot = self.simulation.snapshot();
        let mut outputs = Vec::new();
        for (machine, tags) in snapshot.machines.iter().zip(&self.tags) {
            let reading = |(value, tag): (&Option<f64>, &Option<TagId>)| {
                let tag = (*tag)?;
                Some(match value {
                    _ if machine.is_silent => Reading::bad(tag, at, Reason::Timeout),
                    Some(value) => Reading::new(tag, at, *value),
                    None => Reading::bad(tag, at, Reason::SensorFailure),
                })
            };
            let mut readings: Vec<_> =
                machine.values.iter().zip(tags).filter_map(reading).collect();
            readings.extend(self.extras(machine, tags).into_iter().map(|(tag, value)| {
                if machine.is_silent {
                    Reading::bad(tag, at, Reason::Timeout)
                } else {
                    Reading::new(tag, at, value)
                }
            }));
            self.engine.step(at, Input::Readings(&readings), &mut outputs);
        }
        if poll % POLLS_PER_BURST == 0 {
            self.burst(at, &mut outputs);
        }
        self.engine.step(at, Input::Tick, &mut outputs);
        self.log_repairs(poll, at, &mut outputs);
        self.take(poll, outputs);
        if poll % 20 == 0 {
            self.compare(poll, at);
        }
    }

    /// What the units tell beside their channels: contactor and operating time.
    fn extras(&self, machine: &MachineSnapshot, tags: &[Option<TagId>]) -> Vec<(TagId, f64)> {
        let Some(name) = tags.iter().flatten().next().map(|tag| &self.plant.tag(*tag).name) else {
            return Vec::new();
        };
        let asset = name.split('.').next().unwrap_or_default();
        let extras = [
            ("contactor", f64::from(u8::from(machine.is_turning))),
            ("operating_time", machine.running_s),
        ];
        let tag = |signal: &str| self.plant.tag_named(&format!("{asset}.{signal}"));
        extras.into_iter().filter_map(|(signal, value)| Some((tag(signal)?, value))).collect()
    }

    fn burst(&mut self, at: Timestamp, outputs: &mut Vec<Output>) {
        let Some(tag) = self.burst_tag else { return };
        for samples in self.simulation.machines().iter().filter_map(|machine| machine.burst()) {
            let waveform = Waveform { tag, at, sample_rate_hz: 12_800.0, samples };
            self.engine.step(at, Input::Waveform(&waveform), outputs);
        }
    }

    fn log_repairs(&mut self, poll: i64, at: Timestamp, outputs: &mut Vec<Output>) {
        let Truth { machines, .. } = self.simulation.truth();
        for machine in machines.iter().filter(|machine| machine.repaired_at.is_some()) {
            if self.story.repairs.iter().any(|(_, name)| name == machine.name) {
                continue;
            }
            let asset = self.plant.assets().find(|(_, asset)| asset.name() == machine.name);
            let (asset, _) = asset.expect("the demo's machines are its assets");
            let command =
                Command::MaintenanceDone { asset, actor: "test".to_owned(), note: String::new() };
            self.engine.step(at, Input::Command(&command), outputs);
            self.story.repairs.push((poll, machine.name.to_owned()));
        }
    }

    fn take(&mut self, poll: i64, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::AlarmChanged(alert) => self.story.alerts.push(alert),
                Output::Health(report) => {
                    let last =
                        self.story.states.iter().rev().find(|(_, asset, _)| *asset == report.asset);
                    if last.is_none_or(|(_, _, state)| *state != report.state) {
                        self.story.states.push((poll, report.asset, report.state));
                    }
                }
                Output::Summary(_) | Output::Refused(_) => {}
            }
        }
    }

    fn compare(&mut self, poll: i64, at: Timestamp) {
        let truth = self.simulation.truth();
        for asset in self.engine.status(at).assets {
            let name = self.plant.asset(asset.asset).name();
            let remaining = truth
                .machines
                .iter()
                .find(|machine| machine.name == name)
                .and_then(|m| m.remaining_h);
            if let (Ok(prognosis), Some(remaining)) = (asset.prognosis, remaining) {
                let (p05, p95) = (prognosis.rul_p05_h, prognosis.rul_p95_h);
                self.story.forecasts.push((poll, name.to_owned(), p05, p95, remaining));
            }
        }
    }
}

fn tell(seed: u64) -> (Arc<Plant>, Story) {
    let mut run = Run::new(seed);
    (0..POLLS).for_each(|poll| run.poll(poll));
    (run.plant, run.story)
}

fn raised<'a>(story: &'a Story, kinds: &'a [AlarmKind]) -> impl Iterator<Item = &'a Alert> {
    story.alerts.iter().filter(move |alert| {
        alert.transition == Transition::Raised && kinds.contains(&alert.alarm.kind)
    })
}

const MACHINE: &[AlarmKind] = &[AlarmKind::MachineAnomaly, AlarmKind::FailureLimit];

#[test]
fn every_asset_learns_and_then_is_acceptable() {
    let (plant, story) = tell(1);
    for (asset, _) in plant.assets() {
        let states: Vec<_> =
            story.states.iter().filter(|(_, a, _)| *a == asset).map(|(_, _, s)| *s).collect();
        let learning = states.iter().position(|state| *state == HealthState::Learning);
        let acceptable = states.iter().position(|state| *state == HealthState::Acceptable);
        assert!(
            learning.is_some() && learning < acceptable,
            "{}: {states:?}",
            plant.asset(asset).name()
        );
    }
}

#[test]
fn the_alarm_names_the_machine_that_wears_and_its_sensor() {
    let (plant, story) = tell(1);
    let first = raised(&story, MACHINE).next().expect("one machine wears out");
    assert_eq!(plant.asset(first.alarm.asset).name(), "pump-1");
    let sentence = &first.alarm.explanation.sentence;
    assert!(sentence.starts_with("vibration of pump-1 is "), "{sentence}");
}

#[test]
fn start_ups_and_load_changes_raise_nothing() {
    let (plant, story) = tell(1);
    let wearing = ["pump-1"];
    for alert in raised(&story, MACHINE) {
        let name = plant.asset(alert.alarm.asset).name();
        assert!(wearing.contains(&name), "{name}: {}", alert.alarm.explanation.sentence);
    }
}

#[test]
fn a_sensor_fault_is_a_sensor_fault_and_no_machine_alarm() {
    let (plant, story) = tell(1);
    let faults: Vec<_> = raised(&story, &[AlarmKind::SensorFault]).collect();
    assert!(
        faults.iter().any(|alert| plant.asset(alert.alarm.asset).name() == "fan-1"),
        "{faults:#?}"
    );
    assert!(!raised(&story, MACHINE).any(|alert| plant.asset(alert.alarm.asset).name() == "fan-1"));
}

#[test]
fn the_remaining_life_narrows_and_contains_the_truth() {
    let (_, story) = tell(1);
    let pump: Vec<_> = story.forecasts.iter().filter(|(_, name, ..)| name == "pump-1").collect();
    assert!(pump.len() >= 10, "{pump:?}");
    let inside = pump.iter().filter(|(_, _, p05, p95, truth)| (p05..=p95).contains(&truth)).count();
    assert!(inside * 10 >= pump.len() * 8, "{inside} of {}: {pump:#?}", pump.len());
    let width = |(_, _, p05, p95, _): &(i64, String, f64, f64, f64)| p95 - p05;
    let (early, late) = (width(pump[0]), width(pump[pump.len() - 1]));
    assert!(late < early / 2.0, "{early} h, later {late} h");
}
