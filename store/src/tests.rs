//! Tests of the whole store on real temporary directories.

mod alarms;
mod damage;
mod figures;
mod history;
mod kill;
mod levels;
mod losses;
mod outbox;
mod statements;

use std::{path::Path, time::Duration};

use bellwether_domain::{
    Alarm, AlarmId, AlarmKind, AlarmState, Alert, Asset, AssetId, AssetKind, AssetPath,
    Contribution, Explanation, ExplanationCode, HealthIndex, HealthReport, HealthState, Operand,
    Plant, Priority, Reading, Refusal, Role, Score, Tag, TagId, Timestamp, Transition,
};

use crate::{Class, CoreCommit, HistoryBatch, Names, Outgoing, Store, StoreOptions};

pub(crate) const PUMP: &str = "acme/lyon/utilities/water/pump-1";
pub(crate) const FLOW: &str = "pump-1.flow";

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + seconds)
}

pub(crate) fn options() -> StoreOptions {
    StoreOptions::new(at(0))
}

pub(crate) async fn open(dir: &Path) -> Store {
    Store::open(dir, options()).await.unwrap()
}

fn asset(work_unit: &str) -> Asset {
    let word = str::to_owned;
    Asset {
        path: AssetPath {
            enterprise: word("acme"),
            site: word("lyon"),
            area: word("utilities"),
            work_center: word("water"),
            work_unit: word(work_unit),
        },
        kind: AssetKind::Pump,
        tags: Vec::new(),
        running_when: None,
        frame_period: Duration::from_secs(1),
    }
}

fn tag(name: &str, asset: u32) -> Tag {
    Tag {
        name: name.to_owned(),
        asset: AssetId(asset),
        source: "plc".to_owned(),
        unit: String::new(),
        role: Role::Condition,
        meaning: bellwether_domain::Meaning::default(),
        range: None,
        failure: None,
        period: Duration::from_secs(1),
        stale_after: Duration::from_secs(5),
        derived: None,
        is_waveform: false,
    }
}

/// Two pumps; the first has a flow and a vibration, the second a flow.
pub(crate) fn plant() -> Plant {
    Plant {
        generation: 1,
        assets: vec![asset("pump-1"), asset("pump-2")],
        tags: vec![tag(FLOW, 0), tag("pump-1.vibration", 0), tag("pump-2.flow", 1)],
    }
}

pub(crate) fn names() -> Names {
    Names::of(&plant())
}

pub(crate) fn alert(id: u64, state: AlarmState, transition: Transition, when: Timestamp) -> Alert {
    let contribution = Contribution {
        tag: TagId(1),
        share: 0.75,
        actual: 4.2,
        expected: 2.1,
        expected_std_dev: 0.1 + 0.2,
    };
    let alarm = Alarm {
        id: AlarmId(id),
        asset: AssetId(0),
        tag: Some(TagId(1)),
        kind: AlarmKind::MachineAnomaly,
        state,
        priority: Priority::High,
        severity: HealthState::Plan,
        raised_at: at(0),
        returned_at: (transition == Transition::Returned).then_some(when),
        acked_at: None,
        acked_by: None,
        explanation: Explanation {
            code: ExplanationCode::UnlikeLearnt,
            sentence: format!("vibration of pump-1 is 4.2 mm/s, alarm {id}"),
            condition: vec![Operand { tag: TagId(0), value: 80.0 }],
            contributions: vec![contribution],
        },
    };
    Alert { at: when, transition, alarm }
}

pub(crate) fn raised(id: u64) -> Alert {
    alert(id, AlarmState::UnackedAlarm, Transition::Raised, at(0))
}

pub(crate) fn message(class: Class, stream: &str, body: &str) -> Outgoing {
    Outgoing {
        uplink: "scada".to_owned(),
        class,
        stream: stream.to_owned(),
        topic: format!("acme/{stream}"),
        at: at(1),
        body: body.to_owned(),
    }
}

pub(crate) fn sending(outgoing: Vec<Outgoing>) -> CoreCommit {
    CoreCommit { at: at(1), outgoing, ..CoreCommit::default() }
}

pub(crate) fn reading(tag: u32, seconds: i64, value: f64) -> Reading {
    Reading::new(TagId(tag), at(seconds), value)
}

pub(crate) fn readings(readings: Vec<Reading>) -> HistoryBatch {
    HistoryBatch { readings, ..HistoryBatch::default() }
}

pub(crate) fn health(seconds: i64, health: f64) -> HealthReport {
    HealthReport {
        asset: AssetId(0),
        at: at(seconds),
        state: HealthState::Acceptable,
        health: HealthIndex::saturating(health),
        score: Score::saturating(1.0 - health),
        prognosis: Err(Refusal::NoDegradation),
    }
}
