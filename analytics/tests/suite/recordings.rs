//! The sixteen recordings of a real pump rig (`../shared/data/skab/valve1`): an alarm inside the labelled anomaly and
//! none before it, on at least fourteen, with the default settings and without ever seeing a label.

use std::{fs, path::PathBuf, time::Duration};

use crate::support::{BEGIN, Watched, rig};
use bellwether_domain::{AlarmKind, Timestamp};

/// Number of label columns at the end of each row.
const LABELS: usize = 2;

struct Recording {
    signals: Vec<String>,
    rows: Vec<Vec<f64>>,
    seconds: Vec<i64>,
    anomaly: Vec<bool>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/skab/valve1")
}

fn parse(text: &str) -> Recording {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(';').collect();
    let signals = &header[1..header.len() - LABELS];
    let mut recording = Recording {
        signals: signals.iter().map(|name| name.to_lowercase().replace(' ', "_")).collect(),
        rows: Vec::new(),
        seconds: Vec::new(),
        anomaly: Vec::new(),
    };
    for line in lines {
        let fields: Vec<&str> = line.split(';').collect();
        let at: Timestamp = format!("{}Z", fields[0].replace(' ', "T")).parse().unwrap();
        recording.seconds.push(at.as_millis() / 1_000);
        let numbers: Vec<f64> = fields[1..].iter().map(|text| text.parse().unwrap()).collect();
        recording.rows.push(numbers[..signals.len()].to_vec());
        recording.anomaly.push(numbers[signals.len()] > 0.5);
    }
    recording
}

/// Row of each first machine alarm, its sentence, and the number of sensor alarms before the anomaly.
fn watch(recording: &Recording) -> (Option<(usize, String)>, usize) {
    let names: Vec<&str> = recording.signals.iter().map(String::as_str).collect();
    let mut watched = Watched::new(rig(&names, Duration::from_secs(1)));
    let start = recording.seconds[0];
    let mut alarm = None;
    for (index, (row, second)) in recording.rows.iter().zip(&recording.seconds).enumerate() {
        let at = Timestamp::from_micros(BEGIN.as_micros() + (second - start) * 1_000_000);
        watched.row(at, row);
        if alarm.is_none()
            && let Some(alert) = watched.raised(AlarmKind::MachineAnomaly).first()
        {
            alarm = Some((index, alert.alarm.explanation.sentence.clone()));
        }
    }
    (alarm, watched.raised(AlarmKind::SensorFault).len())
}

#[test]
fn at_least_fourteen_of_sixteen_faults_of_a_real_pump_rig_are_caught_and_none_is_cried_early() {
    if !folder().is_dir() {
        println!("notice: {} is absent, the recordings are not tested", folder().display());
        return;
    }
    let (mut caught, mut sensor_alarms) = (0, 0);
    for number in 0..16 {
        let text = fs::read_to_string(folder().join(format!("{number}.csv"))).unwrap();
        let recording = parse(&text);
        let onset = recording.anomaly.iter().position(|&label| label).unwrap();
        let end = recording.anomaly.iter().rposition(|&label| label).unwrap();
        let (alarm, sick) = watch(&recording);
        sensor_alarms += sick;
        let is_caught = alarm.as_ref().is_some_and(|(row, _)| (onset..=end).contains(row));
        caught += usize::from(is_caught);
        println!("{number:>2}: labelled {onset}..={end}, alarm {alarm:?}, sensor alarms {sick}");
    }
    println!("{caught} of 16 caught");
    assert!(caught >= 14, "only {caught} of 16");
    // In recording 7 the flow meter rests on 29.0 for over a minute while the valve is closed, and is called stuck.
    assert!(sensor_alarms <= 1, "{sensor_alarms} sensor alarms where every sensor works");
}
