//! Laws of the engine: total, deterministic, restored bit for bit, and no alarm without a way back.

use std::sync::Arc;

use bellwether_analytics::{AnalyticsConfig, Engine, Input, Output, Snapshot};
use bellwether_domain::{
    AlarmId, AlarmKind, AlarmState, AssetId, Command, CommandError, Derived, Plant, PlantStatus,
    Quality, Reading, Reason, Role, TagId, Timestamp, Transition, Waveform, WaveformFeature,
};
use proptest::prelude::*;

use crate::support::{BEGIN, LOAD, MINUTE, Pump, Watched, asset, pump_plant, tag};

/// A short memory, so that a test sees every phase.
fn quick() -> AnalyticsConfig {
    AnalyticsConfig {
        learning_frames: 80,
        probation_samples: 60,
        probation_s: 0,
        summary_period_s: 600,
        ..AnalyticsConfig::default()
    }
}

/// The pump, and a gearbox with a waveform and its features.
fn plant() -> Plant {
    let mut plant = pump_plant();
    let first = u32::try_from(plant.tags.len()).unwrap();
    let mut burst = tag(1, "gear.burst", "m/s2", Role::Condition, MINUTE);
    burst.is_waveform = true;
    plant.tags.push(burst);
    for feature in WaveformFeature::ALL {
        let name = format!("gear.burst_{}", feature.as_str());
        let mut derived = tag(1, &name, "", Role::Condition, MINUTE);
        derived.derived = Some(Derived { from: TagId(first), feature });
        plant.tags.push(derived);
    }
    plant.tags.push(tag(1, "gear.counter", "", Role::Information, MINUTE));
    let mut gear = asset("gear", (first..first + 5).map(TagId).collect(), MINUTE);
    gear.path.work_center = "press".into();
    plant.assets.push(gear);
    plant
}

/// Something that happens to the engine, owned.
#[derive(Clone, Debug)]
enum Event {
    Readings(Vec<Reading>),
    Waveform(Waveform),
    Tick,
    Command(Command),
}

fn play(engine: &mut Engine, now: Timestamp, event: &Event, out: &mut Vec<Output>) {
    let input = match event {
        Event::Readings(readings) => Input::Readings(readings),
        Event::Waveform(waveform) => Input::Waveform(waveform),
        Event::Tick => Input::Tick,
        Event::Command(command) => Input::Command(command),
    };
    engine.step(now, input, out);
}

fn any_quality() -> impl Strategy<Value = Quality> {
    prop_oneof![
        6 => Just(Quality::Good),
        1 => Just(Quality::Uncertain(Reason::Unspecified)),
        1 => Just(Quality::Bad(Reason::Timeout)),
    ]
}

fn any_reading() -> impl Strategy<Value = Reading> {
    let value = prop_oneof![8 => -1e3..1e3_f64, 1 => any::<f64>()];
    (0..14_u32, any::<i32>(), value, any_quality()).prop_map(|(tag, offset, value, quality)| {
        let tag = if tag == 13 { TagId(u32::MAX) } else { TagId(tag) };
        let at = Timestamp::from_micros(BEGIN.as_micros() + i64::from(offset) * 1_000);
        Reading { tag, at, value, quality }
    })
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => prop::collection::vec(any_reading(), 0..20).prop_map(Event::Readings),
        1 => (prop::collection::vec(any::<f32>(), 0..64), any::<u32>()).prop_map(
            |(samples, tag)| Event::Waveform(Waveform {
                tag: TagId(tag % 12),
                at: BEGIN,
                sample_rate_hz: 12_800.0,
                samples
            })
        ),
        2 => Just(Event::Tick),
        1 => (any::<u64>(), "[a-z]{0,3}").prop_map(|(id, actor)| {
            Event::Command(Command::Acknowledge { alarms: vec![AlarmId(id)], actor })
        }),
        1 => any::<u32>().prop_map(|id| Event::Command(Command::MaintenanceDone {
            asset: AssetId(id % 4),
            actor: "ann".into(),
            note: String::new(),
        })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_in_the_engine_answers(
        events in prop::collection::vec((any::<i32>(), any_event()), 0..120),
    ) {
        let mut engine = Engine::new(Arc::new(plant()), quick(), None);
        let mut out = Vec::new();
        for (offset, event) in &events {
            let now = Timestamp::from_micros(BEGIN.as_micros() + i64::from(*offset) * 1_000);
            play(&mut engine, now, event, &mut out);
            let status = engine.status(now);
            prop_assert_eq!(status.assets.len(), 2);
        }
    }
}

/// A life with everything in it: learning, a stuck sensor, wear, an outage, a repair, bursts.
fn life(minutes: u32, seed: u64) -> Vec<(Timestamp, Event)> {
    let mut pump = Pump::new(seed);
    let mut events = Vec::new();
    let mut stuck = 0.0;
    for minute in 0..minutes {
        let mut values = pump.step();
        let now = pump.at();
        match minute {
            200 => stuck = values[3],
            201..280 => values[3] = stuck,
            400..700 => pump.wear = f64::from(minute - 400) / 60.0,
            700 => {
                pump.wear = 0.0;
                events.push((
                    now,
                    Event::Command(Command::MaintenanceDone {
                        asset: AssetId(0),
                        actor: "ann".into(),
                        note: String::new(),
                    }),
                ));
            }
            _ => {}
        }
        if (320..330).contains(&minute) {
            events.push((now, Event::Tick));
            continue;
        }
        let readings =
            (0..).map(TagId).zip(values).map(|(tag, value)| Reading::new(tag, now, value));
        events.push((now, Event::Readings(readings.collect())));
        if minute % 3 == 0 {
            let samples = (0..64_u16).map(|i| f32::from(i * pace(minute) % 97)).collect();
            let waveform = Waveform { tag: TagId(6), at: now, sample_rate_hz: 12_800.0, samples };
            events.push((now, Event::Waveform(waveform)));
        }
        if minute % 50 == 0 {
            events.push((now, Event::Tick));
        }
    }
    events
}

/// A burst that differs from minute to minute.
fn pace(minute: u32) -> u16 {
    u16::try_from(minute * 31 % 89).unwrap()
}

fn run(engine: &mut Engine, events: &[(Timestamp, Event)]) -> Vec<Output> {
    let mut out = Vec::new();
    for (now, event) in events {
        play(engine, *now, event, &mut out);
    }
    out
}

/// Equal to the last bit: debug text of a float is its shortest exact form, and NaN equals itself.
fn text(outputs: &[Output]) -> Vec<String> {
    outputs.iter().map(|output| format!("{output:?}")).collect()
}

#[test]
fn the_same_recording_gives_the_same_outputs() {
    let events = life(900, 1);
    let outputs = || {
        let mut engine = Engine::new(Arc::new(plant()), quick(), None);
        let outputs = run(&mut engine, &events);
        (text(&outputs), postcard::to_stdvec(&engine.snapshot()).unwrap())
    };
    let (first, second) = (outputs(), outputs());
    assert_eq!(first, second);
    let all = first.0.join("\n");
    for expected in ["MachineAnomaly", "FailureLimit", "SensorFault", "NoData", "Summary"] {
        assert!(all.contains(expected), "this life has no {expected}");
    }
}

#[test]
fn a_restored_engine_continues_with_identical_outputs() {
    let events = life(900, 2);
    let mut whole = Engine::new(Arc::new(plant()), quick(), None);
    for chunk in events.chunks(37) {
        let bytes = postcard::to_stdvec(&whole.snapshot()).unwrap();
        let saved: Snapshot = postcard::from_bytes(&bytes).unwrap();
        let mut restored = Engine::new(Arc::new(plant()), quick(), Some(saved));
        let again = postcard::to_stdvec(&restored.snapshot()).unwrap();
        assert_eq!(bytes, again, "a snapshot of a restored engine is the same bytes");
        let now = chunk[0].0;
        assert_eq!(format!("{:?}", restored.status(now)), format!("{:?}", whole.status(now)));
        let expected = text(&run(&mut whole, chunk));
        assert_eq!(text(&run(&mut restored, chunk)), expected);
        let bytes = |engine: &Engine| postcard::to_stdvec(&engine.snapshot()).unwrap();
        assert_eq!(bytes(&restored), bytes(&whole));
    }
}

#[test]
fn a_changed_plant_keeps_what_unchanged_assets_learnt_and_ends_the_alarms_of_the_others() {
    let mut watched = Watched::with(plant(), quick());
    for (now, event) in life(560, 1) {
        play(&mut watched.engine, now, &event, &mut watched.outputs);
    }
    let now = Timestamp::from_micros(BEGIN.as_micros() + 561 * 60_000_000);
    let open = watched.engine.status(now).alarms;
    assert!(open.iter().any(|alarm| alarm.kind == AlarmKind::MachineAnomaly), "{open:?}");
    // A new asset in front: every id moves by one.
    let mut moved = plant();
    moved.generation = 2;
    for tag in &mut moved.tags {
        tag.asset.0 += 1;
        if let Some(derived) = &mut tag.derived {
            derived.from.0 += 1;
        }
    }
    for asset in &mut moved.assets {
        asset.tags.iter_mut().for_each(|tag| tag.0 += 1);
        if let Some(running) = &mut asset.running_when {
            running.tag.0 += 1;
        }
    }
    moved.tags.insert(0, tag(0, "new.level", "m", Role::Condition, MINUTE));
    moved.assets.insert(0, asset("new", vec![TagId(0)], MINUTE));
    let mut out = Vec::new();
    watched.engine.step(now, Input::Plant(Arc::new(moved.clone())), &mut out);
    assert_eq!(out, []);
    let status = watched.engine.status(now);
    assert!((status.assets[1].learning_ratio - 1.0).abs() < 1e-12);
    assert_eq!(status.alarms.len(), open.len());
    let machine =
        status.alarms.iter().find(|alarm| alarm.kind == AlarmKind::MachineAnomaly).unwrap();
    assert_eq!(machine.asset, AssetId(1));
    assert!(machine.explanation.contributions.iter().all(|part| part.tag.0 >= 1));
    // The pump gets another tag: what it learnt no longer fits.
    moved.tags.push(tag(1, "pump-1.flow", "m3/h", Role::Condition, MINUTE));
    moved.assets[1].tags.push(TagId(u32::try_from(moved.tags.len() - 1).unwrap()));
    watched.engine.step(now, Input::Plant(Arc::new(moved)), &mut out);
    let ended = out
        .iter()
        .filter(|output| {
            matches!(output, Output::AlarmChanged(alert)
                if alert.transition == Transition::Returned
                    && alert.alarm.state == AlarmState::Normal
                    && alert.alarm.asset == AssetId(1))
        })
        .count();
    let of_pump = open.iter().filter(|alarm| alarm.asset == AssetId(0)).count();
    assert!(of_pump >= 2);
    assert_eq!(ended, of_pump);
    assert!(watched.engine.status(now).assets[1].learning_ratio < 1e-12);
}

#[test]
fn what_was_learnt_survives_another_order_of_tags_and_tags_that_are_only_shown() {
    let mut watched = Watched::with(plant(), quick());
    for (now, event) in life(560, 1) {
        play(&mut watched.engine, now, &event, &mut watched.outputs);
    }
    let now = Timestamp::from_micros(BEGIN.as_micros() + 561 * 60_000_000);
    let before = watched.engine.status(now);
    let mut next = plant();
    let id = |next: &Plant| TagId(u32::try_from(next.tags.len()).unwrap());
    let shown = id(&next);
    next.tags.push(tag(0, "pump-1.counter", "", Role::Information, MINUTE));
    next.assets[0].tags.push(shown);
    let gone = next.tag_named("gear.counter").unwrap();
    next.assets[1].tags.retain(|tag| *tag != gone);
    // The file names the first two tags of the pump the other way round.
    next.tags.swap(0, 1);
    for (old, new) in [(0, 1), (1, 0)] {
        assert_eq!(next.tags[new].name, before.plant.tags[old].name);
    }
    if let Some(running) = &mut next.assets[0].running_when {
        running.tag = match running.tag {
            TagId(0) => TagId(1),
            TagId(1) => TagId(0),
            other => other,
        };
    }
    let mut out = Vec::new();
    watched.engine.step(now, Input::Plant(Arc::new(next)), &mut out);
    assert_eq!(out, [], "nothing ends");
    let after = watched.engine.status(now);
    let bits = |value: f64| value.to_bits();
    for asset in 0..2 {
        let ratio = |status: &PlantStatus| bits(status.assets[asset].learning_ratio);
        assert_eq!(ratio(&after), ratio(&before));
    }
    assert_eq!(after.assets[0].health, before.assets[0].health);
    assert_eq!(
        after.alarms.iter().map(|alarm| alarm.id).collect::<Vec<_>>(),
        before.alarms.iter().map(|alarm| alarm.id).collect::<Vec<_>>()
    );
    assert_eq!(bits(after.tags[0].value), bits(before.tags[1].value));
    assert_eq!(bits(after.tags[1].value), bits(before.tags[0].value));
}

#[test]
fn an_asset_that_leaves_ends_its_alarms_in_the_ids_of_the_old_plant() {
    let mut watched = Watched::with(plant(), quick());
    for (now, event) in life(560, 1) {
        play(&mut watched.engine, now, &event, &mut watched.outputs);
    }
    let now = Timestamp::from_micros(BEGIN.as_micros() + 561 * 60_000_000);
    let open = watched.engine.status(now).alarms.len();
    let mut out = Vec::new();
    watched.engine.step(now, Input::Plant(Arc::default()), &mut out);
    let is_end = |output: &Output| matches!(output, Output::AlarmChanged(alert) if alert.alarm.state == AlarmState::Normal);
    assert!(open > 0 && out.len() == open && out.iter().all(is_end), "{out:?}");
    assert_eq!(watched.engine.status(now).alarms, []);
}

#[test]
fn commands_that_make_no_sense_are_refused_in_words() {
    let mut watched = Watched::new(pump_plant());
    for (alarms, actor) in [(vec![AlarmId(7)], "ann"), (vec![], " ")] {
        let command = Command::Acknowledge { alarms, actor: actor.into() };
        watched.engine.step(BEGIN, Input::Command(&command), &mut watched.outputs);
    }
    assert_eq!(
        watched.outputs,
        [
            Output::Refused(CommandError::AlarmNotActive(AlarmId(7))),
            Output::Refused(CommandError::ActorMissing)
        ]
    );
}

#[test]
fn an_acknowledged_alarm_names_who_saw_it_and_is_gone_when_it_returns() {
    let mut watched = Watched::new(pump_plant());
    let mut pump = Pump::new(4);
    for minute in 0..700 {
        pump.wear = if (600..).contains(&minute) { 3.0 } else { 0.0 };
        let values = pump.step();
        watched.row(pump.at(), &values);
    }
    let id = watched.raised(AlarmKind::MachineAnomaly)[0].alarm.id;
    let command = Command::Acknowledge { alarms: vec![id], actor: "ann".into() };
    watched.engine.step(pump.at(), Input::Command(&command), &mut watched.outputs);
    let alarms = watched.engine.status(pump.at()).alarms;
    let alarm = alarms.iter().find(|alarm| alarm.id == id).unwrap();
    assert_eq!((alarm.state, alarm.acked_by.as_deref()), (AlarmState::AckedAlarm, Some("ann")));
    pump.wear = 0.0;
    for _ in 0..200 {
        let values = pump.step();
        watched.row(pump.at(), &values);
    }
    assert!(watched.engine.status(pump.at()).alarms.iter().all(|alarm| alarm.id != id));
}

#[test]
fn summaries_count_every_value_of_the_period() {
    let mut watched = Watched::new(pump_plant());
    let mut pump = Pump::new(4);
    for _ in 0..181 {
        let values = pump.step();
        watched.row(pump.at(), &values);
    }
    let summaries: Vec<_> = watched
        .outputs
        .iter()
        .filter_map(|output| match output {
            Output::Summary(summary) => Some(summary),
            _ => None,
        })
        .collect();
    assert_eq!(summaries.len(), 3);
    assert_eq!(summaries[1].from, summaries[0].to);
    let load = summaries[1].tags[LOAD.index()];
    assert_eq!((load.good, load.total), (60, 60));
    assert!(load.min <= load.mean && load.mean <= load.max && load.std_dev > 0.0);
    assert!(summaries[1].running_h > 0.3 && summaries[1].running_h <= 1.0 + 1e-9);
    assert!((summaries[1].good_ratio - 1.0).abs() < 1e-12);
}

#[test]
fn status_is_complete_before_anything_has_happened() {
    let watched = Watched::new(plant());
    let status = watched.engine.status(BEGIN);
    assert_eq!((status.assets.len(), status.tags.len(), status.alarms.len()), (2, 11, 0));
    assert!(status.tags.iter().all(|tag| tag.at.is_none() && !tag.quality.is_good()));
    assert!(status.assets.iter().all(|asset| asset.reason == "no data yet"));
}
