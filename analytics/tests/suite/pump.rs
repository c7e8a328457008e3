//! A simulated pump with start-ups, load steps, thermal lag and a daily cycle: quiet while healthy, loud when it wears,
//! honest about how long there is, and not fooled by a sick sensor.

use std::collections::BTreeMap;

use crate::support::{CURRENT, Pump, VIBRATION, Watched, bad, pump_plant};
use bellwether_analytics::{Input, Output};
use bellwether_domain::{
    AlarmKind, AlarmState, AssetId, Command, HealthState, Operation, Reading, Reason, Refusal,
    TagId, Transition,
};

fn healthy(seed: u64, frames: u32) -> (Watched, Pump) {
    let (mut watched, mut pump) = (Watched::new(pump_plant()), Pump::new(seed));
    for _ in 0..frames {
        let values = pump.step();
        watched.row(pump.at(), &values);
    }
    (watched, pump)
}

#[test]
fn start_ups_load_steps_and_warm_up_raise_nothing() {
    for seed in 0..10 {
        let (watched, pump) = healthy(seed, 20_000);
        let alerts: Vec<String> = watched
            .alerts()
            .map(|alert| format!("{} {}", alert.at, alert.alarm.explanation.sentence))
            .collect();
        assert_eq!(alerts, Vec::<String>::new(), "seed {seed}");
        let status = watched.engine.status(pump.at());
        assert!(status.assets[0].learning_ratio >= 1.0);
    }
}

#[test]
fn most_of_a_healthy_life_is_acceptable() {
    for seed in 0..10 {
        let (watched, _) = healthy(seed, 10_000);
        let mut states: BTreeMap<&str, u32> = BTreeMap::new();
        for output in &watched.outputs {
            if let Output::Health(report) = output {
                *states.entry(report.state.as_str()).or_default() += 1;
            }
        }
        let total: u32 = states.values().sum();
        println!("seed {seed}: {states:?}");
        assert!(f64::from(states["acceptable"]) > 0.85 * f64::from(total), "{seed} {states:?}");
    }
}

/// Wear that doubles the rise of vibration every `doubling_h` hours until the failure limit at the mean load.
struct Life {
    watched: Watched,
    contained: u32,
    forecasts: u32,
    /// Whether the first forecast contains the truth.
    is_first_right: Option<bool>,
    widths: Vec<f64>,
    alarmed_at_wear: Option<f64>,
}

fn wear_out(seed: u64, doubling_h: f64) -> Life {
    let (mut watched, mut pump) = healthy(seed, 1_500);
    // At mean load vibration is 1.19 mm/s, so the limit of 7.1 mm/s is reached at a wear of 5.
    let failing_wear = 7.1 / (0.6 + 1.2 * 0.49) - 1.0;
    let (mut wear, rate) = (0.05_f64, std::f64::consts::LN_2 / (60.0 * doubling_h));
    let (mut contained, mut forecasts, mut widths) = (0, 0, Vec::new());
    let (mut last, mut alarmed_at_wear, mut is_first_right) = (None, None, None);
    while wear < failing_wear {
        wear *= rate.exp();
        pump.wear = wear;
        let values = pump.step();
        watched.row(pump.at(), &values);
        if alarmed_at_wear.is_none() && !watched.raised(AlarmKind::MachineAnomaly).is_empty() {
            alarmed_at_wear = Some(wear);
        }
        let status = watched.engine.status(pump.at());
        let Ok(prognosis) = status.assets[0].prognosis else { continue };
        if last.replace(prognosis.at) == Some(prognosis.at) {
            continue;
        }
        let truth_h = (failing_wear / wear).ln() / rate / 60.0;
        forecasts += 1;
        let is_right = (prognosis.rul_p05_h..=prognosis.rul_p95_h).contains(&truth_h);
        is_first_right.get_or_insert(is_right);
        contained += u32::from(is_right);
        widths.push(prognosis.rul_p95_h - prognosis.rul_p05_h);
    }
    Life { watched, contained, forecasts, is_first_right, widths, alarmed_at_wear }
}

#[test]
fn wear_is_alarmed_early_and_the_forecast_contains_the_truth_and_narrows() {
    let (mut contained, mut forecasts, mut first_right) = (0, 0, 0);
    for seed in 0..12 {
        let doubling_h = [2.0, 4.0, 8.0][usize::try_from(seed % 3).unwrap()];
        let life = wear_out(seed, doubling_h);
        println!(
            "seed {seed}, doubling in {doubling_h} h: {} of {} forecasts contain the truth, \
             alarm at wear {:?}, widths {:?} … {:?} h",
            life.contained,
            life.forecasts,
            life.alarmed_at_wear,
            life.widths.first(),
            life.widths.last()
        );
        contained += life.contained;
        forecasts += life.forecasts;
        first_right += u32::from(life.is_first_right == Some(true));
        assert!(life.alarmed_at_wear.is_some_and(|wear| wear < 2.0), "seed {seed}");
        let half = life.widths.len() / 2;
        assert!(life.widths[life.widths.len() - 1] < life.widths[half / 2], "seed {seed}");
        let sentence = &life.watched.raised(AlarmKind::MachineAnomaly)[0].alarm.explanation;
        assert!(sentence.sentence.starts_with("vibration of pump-1 is "), "{sentence:?}");
        assert_eq!(sentence.contributions[0].tag, VIBRATION);
    }
    assert!(f64::from(contained) >= 0.8 * f64::from(forecasts), "{contained} of {forecasts}");
    assert!(first_right >= 11, "{first_right} of 12 first forecasts contain the truth");
}

#[test]
fn beyond_its_failure_limit_an_asset_must_be_acted_on_and_a_repair_ends_it() {
    let mut life = wear_out(3, 2.0);
    let mut pump = Pump::new(77);
    pump.minute = 1_000_000;
    pump.wear = 9.0;
    for _ in 0..60 {
        let values = pump.step();
        life.watched.row(pump.at(), &values);
    }
    let limits = life.watched.raised(AlarmKind::FailureLimit);
    assert!(!limits.is_empty());
    let sentence = &limits[0].alarm.explanation.sentence;
    assert!(sentence.contains("above its failure limit of 7.1 mm/s"), "{sentence}");
    let status = life.watched.engine.status(pump.at());
    assert_eq!(status.assets[0].state, HealthState::Act);
    assert_eq!(status.assets[0].prognosis, Err(Refusal::LimitExceeded));
    let command = Command::MaintenanceDone {
        asset: AssetId(0),
        actor: "ann".into(),
        note: "bearing replaced".into(),
    };
    life.watched.engine.step(pump.at(), Input::Command(&command), &mut life.watched.outputs);
    pump.wear = 0.0;
    for _ in 0..300 {
        let values = pump.step();
        life.watched.row(pump.at(), &values);
    }
    let status = life.watched.engine.status(pump.at());
    assert_eq!(status.assets[0].prognosis, Err(Refusal::NoDegradation));
    assert!(status.assets[0].maintained_at.is_some());
    assert!(status.assets[0].state <= HealthState::Monitor, "{:?}", status.assets[0]);
    assert!(status.alarms.iter().all(|alarm| alarm.state == AlarmState::RtnUnacked));
}

#[test]
fn a_stuck_sensor_is_a_sensor_fault_and_no_machine_alarm() {
    for seed in 0..10 {
        let (mut watched, mut pump) = healthy(seed, 1_000);
        let mut stuck = None;
        for _ in 0..600 {
            let mut values = pump.step();
            values[CURRENT.index()] = *stuck.get_or_insert(values[CURRENT.index()]);
            watched.row(pump.at(), &values);
        }
        let faults = watched.raised(AlarmKind::SensorFault);
        assert_eq!(faults.len(), 1, "seed {seed}: {faults:?}");
        let sentence = &faults[0].alarm.explanation.sentence;
        assert!(sentence.starts_with("current of pump-1 is stuck at "), "{sentence}");
        assert_eq!(watched.raised(AlarmKind::MachineAnomaly).len(), 0, "seed {seed}");
        for _ in 0..200 {
            let values = pump.step();
            watched.row(pump.at(), &values);
        }
        let returned =
            watched.alerts().filter(|alert| alert.transition == Transition::Returned).count();
        assert_eq!(returned, 1, "seed {seed}");
        assert_eq!(watched.raised(AlarmKind::MachineAnomaly).len(), 0, "seed {seed}");
    }
}

#[test]
fn a_machine_alarm_does_not_return_because_its_sensor_dies() {
    let (mut watched, mut pump) = healthy(7, 1_000);
    pump.wear = 2.0;
    for _ in 0..60 {
        let values = pump.step();
        watched.row(pump.at(), &values);
    }
    assert_eq!(watched.raised(AlarmKind::MachineAnomaly).len(), 1);
    for _ in 0..300 {
        let readings = row_without(&mut pump, &[VIBRATION], Reason::SensorFailure);
        watched.readings(pump.at(), &readings);
    }
    let is_machine = |kind| kind == AlarmKind::MachineAnomaly;
    assert!(
        !watched.alerts().any(|alert| {
            alert.transition == Transition::Returned && is_machine(alert.alarm.kind)
        })
    );
    assert_eq!(watched.raised(AlarmKind::SensorFault).len(), 1);
}

#[test]
fn lone_spikes_raise_nothing_and_many_are_a_sensor_fault() {
    let (mut watched, mut pump) = healthy(5, 1_000);
    for minute in 0..600 {
        let mut values = pump.step();
        if minute % 200 == 100 {
            values[VIBRATION.index()] += 40.0;
        }
        watched.row(pump.at(), &values);
    }
    assert_eq!(watched.alerts().count(), 0);
    for minute in 0..200 {
        let mut values = pump.step();
        if minute % 10 == 5 {
            values[VIBRATION.index()] += 40.0;
        }
        watched.row(pump.at(), &values);
    }
    let faults = watched.raised(AlarmKind::SensorFault);
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].alarm.tag, Some(VIBRATION));
    assert_eq!(watched.raised(AlarmKind::MachineAnomaly).len(), 0);
}

fn row_without(pump: &mut Pump, missing: &[TagId], reason: Reason) -> Vec<Reading> {
    let values = pump.step();
    (0..)
        .map(TagId)
        .zip(values)
        .map(|(tag, value)| {
            if missing.contains(&tag) {
                bad(tag, pump.at(), reason)
            } else {
                Reading::new(tag, pump.at(), value)
            }
        })
        .collect()
}

#[test]
fn one_missing_sensor_is_a_sensor_fault_and_a_silent_unit_is_missing_data() {
    let (mut watched, mut pump) = healthy(6, 1_000);
    for _ in 0..60 {
        let readings = row_without(&mut pump, &[CURRENT], Reason::SensorFailure);
        watched.readings(pump.at(), &readings);
    }
    let faults = watched.raised(AlarmKind::SensorFault);
    assert_eq!(faults.len(), 1);
    assert!(faults[0].alarm.explanation.sentence.contains("the sensor reports a failure"));
    for _ in 0..60 {
        let values = pump.step();
        watched.row(pump.at(), &values);
    }
    let all: Vec<TagId> = (0..6).map(TagId).collect();
    for _ in 0..60 {
        let readings = row_without(&mut pump, &all, Reason::Timeout);
        watched.readings(pump.at(), &readings);
        watched.tick(pump.at());
    }
    assert_eq!(watched.raised(AlarmKind::SensorFault).len(), 1);
    let missing = watched.raised(AlarmKind::NoData);
    assert_eq!(missing.len(), 1);
    assert!(missing[0].alarm.explanation.sentence.contains("the device does not answer"));
    let status = watched.engine.status(pump.at());
    assert_eq!(status.assets[0].state, HealthState::Unknown);
    assert_eq!(status.assets[0].operation, Operation::Unknown);
    for _ in 0..60 {
        let values = pump.step();
        watched.row(pump.at(), &values);
    }
    let status = watched.engine.status(pump.at());
    assert!(status.assets[0].state >= HealthState::Acceptable);
    assert_eq!(watched.raised(AlarmKind::MachineAnomaly).len(), 0);
}

/// Requests go out one after the other, so the tags of a device that was away return one after the other.
#[test]
fn tags_that_return_one_after_the_other_are_no_sensor_faults() {
    let (mut watched, mut pump) = healthy(6, 1_000);
    for minute in 0..120_u32 {
        let returned = minute.saturating_sub(60);
        let missing: Vec<TagId> = (returned..6).map(TagId).collect();
        let readings = row_without(&mut pump, &missing, Reason::Timeout);
        watched.readings(pump.at(), &readings);
        watched.tick(pump.at());
    }
    assert_eq!(watched.raised(AlarmKind::NoData).len(), 1);
    assert_eq!(watched.raised(AlarmKind::SensorFault).len(), 0);
    assert_eq!(watched.raised(AlarmKind::MachineAnomaly).len(), 0);
}

#[test]
fn reasons_are_sentences_in_every_phase() {
    let (mut watched, mut pump) = (Watched::new(pump_plant()), Pump::new(1));
    let mut reasons = Vec::new();
    for _ in 0..1_200 {
        let values = pump.step();
        watched.row(pump.at(), &values);
        let reason = watched.engine.status(pump.at()).assets[0].reason.clone();
        let shape: String = reason.chars().filter(|c| !c.is_ascii_digit()).collect();
        if !reasons.iter().any(|(known, _)| *known == shape) {
            reasons.push((shape, reason));
        }
    }
    for (_, reason) in &reasons {
        println!("{reason}");
        assert!(!reason.is_empty() && !reason.ends_with('.'));
    }
    assert!(reasons.iter().any(|(_, reason)| reason.starts_with("learning: ")));
    assert!(reasons.iter().any(|(_, reason)| reason.starts_with("nothing unusual; ")));
    assert!(reasons.iter().any(|(_, reason)| reason.starts_with("off since ")));
}
