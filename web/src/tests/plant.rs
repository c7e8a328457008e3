//! A pump that wears out and a fan that is well, at one moment.

use std::{sync::Arc, time::Duration};

use bellwether_domain::*;

/// The moment.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_795_420_800);

/// The pump's id in addresses.
pub(crate) const PUMP: &str = "acme.lyon.utilities.water.pump-1";

/// Text that would run as a script if any page took it for HTML.
pub(crate) const CANARY: &str = "<img src=x onerror=alert(1)>\"'</script>";

fn before(seconds: u64) -> Timestamp {
    NOW.saturating_sub(Duration::from_secs(seconds))
}

fn asset(name: &str, kind: AssetKind, tags: &[u32]) -> Asset {
    let [enterprise, site, area, work_center, work_unit] =
        ["acme", "lyon", "utilities", "water", name].map(str::to_owned);
    Asset {
        path: AssetPath { enterprise, site, area, work_center, work_unit },
        kind,
        tags: tags.iter().copied().map(TagId).collect(),
        running_when: None,
        frame_period: Duration::from_secs(60),
    }
}

fn tag(name: &str, asset: u32, unit: &str, role: Role) -> Tag {
    Tag {
        name: name.to_owned(),
        asset: AssetId(asset),
        source: "plc-1".to_owned(),
        unit: unit.to_owned(),
        role,
        range: Some(Range { low: 0.0, high: 50.0 }),
        failure: None,
        period: Duration::from_secs(60),
        stale_after: Duration::from_secs(180),
        derived: None,
        meaning: bellwether_domain::Meaning::default(),
        is_waveform: false,
    }
}

/// Pump with vibration and load, fan with temperature.
pub(crate) fn plant() -> Plant {
    let mut vibration = tag("pump-1.vibration", 0, "mm/s", Role::Condition);
    vibration.failure = Some(Limit::Above(7.1));
    Plant {
        generation: 1,
        assets: vec![
            asset("pump-1", AssetKind::Pump, &[0, 1]),
            asset("fan-1", AssetKind::Fan, &[2]),
        ],
        tags: vec![
            vibration,
            tag("pump-1.motor_load", 0, "%", Role::Driver),
            tag("fan-1.temperature", 1, "Cel", Role::Condition),
        ],
    }
}

fn contribution() -> Contribution {
    Contribution { tag: TagId(0), share: 0.9, actual: 4.2, expected: 2.1, expected_std_dev: 0.3 }
}

fn assets() -> Vec<AssetStatus> {
    let pump = AssetStatus {
        asset: AssetId(0),
        state: HealthState::Plan,
        since: before(7_200),
        reason: format!("vibration is high {CANARY}"),
        health: HealthIndex::saturating(0.42),
        operation: Operation::Steady,
        learning_ratio: 1.0,
        anomaly: AnomalyStatus {
            score: Score::saturating(0.75),
            condition: vec![Operand { tag: TagId(1), value: 80.0 }],
            contributions: vec![contribution()],
            left_out: vec![TagId(1)],
        },
        prognosis: Ok(Prognosis {
            at: before(60),
            tag: TagId(0),
            rul_p05_h: 20.0,
            rul_p50_h: 40.0,
            rul_p95_h: f64::INFINITY,
            no_failure_probability: 0.1,
            onset: before(86_400),
            indicator: 4.4,
            limit: 7.1,
        }),
        maintained_at: Some(before(1_000_000)),
    };
    let fan = AssetStatus {
        asset: AssetId(1),
        state: HealthState::Acceptable,
        since: before(3_600),
        reason: "as learnt".to_owned(),
        health: HealthIndex::FULL,
        operation: Operation::Off,
        learning_ratio: 1.0,
        anomaly: AnomalyStatus::default(),
        prognosis: Err(Refusal::NoDegradation),
        maintained_at: None,
    };
    vec![pump, fan]
}

fn tags() -> Vec<TagStatus> {
    let now = |tag, value, age, quality| TagStatus {
        tag: TagId(tag),
        value,
        at: Some(before(age)),
        quality,
        score: Score::ORDINARY,
    };
    vec![
        now(0, 4.2, 30, Quality::Good),
        now(1, 80.0, 90, Quality::Uncertain(Reason::Stale)),
        now(2, 999.0, 60, Quality::Bad(Reason::SensorFailure)),
    ]
}

/// The pump's alarm.
pub(crate) fn alarm() -> Alarm {
    Alarm {
        id: AlarmId(u64::MAX),
        asset: AssetId(0),
        tag: Some(TagId(0)),
        kind: AlarmKind::MachineAnomaly,
        state: AlarmState::UnackedAlarm,
        priority: Priority::Medium,
        severity: HealthState::Plan,
        raised_at: before(7_200),
        returned_at: None,
        acked_at: None,
        acked_by: None,
        explanation: Explanation {
            code: ExplanationCode::UnlikeLearnt,
            sentence: "vibration of pump-1 is 4.2 mm/s at motor load 80 %, expected 2.1 ± 0.3"
                .to_owned(),
            condition: vec![Operand { tag: TagId(1), value: 80.0 }],
            contributions: vec![contribution()],
        },
    }
}

fn connector() -> ConnectorStatus {
    ConnectorStatus {
        name: "plc-1".to_owned(),
        protocol: "modbus",
        endpoint: "127.0.0.1:502".to_owned(),
        state: ConnectorState::BackingOff,
        since: before(10),
        last_error: Some("no answer within 800 ms".to_owned()),
        last_error_at: Some(before(10)),
        tags: 3,
        readings: 1_234,
        round_trip_p50: Some(Duration::from_micros(2_500)),
        ..ConnectorStatus::default()
    }
}

fn uplink(name: &str, connected: bool) -> UplinkStatus {
    UplinkStatus {
        name: name.to_owned(),
        endpoint: "mqtts://broker.example:8883".to_owned(),
        connected,
        since: before(500),
        backlog: 5,
        sent: 10,
        acked: 9,
        bytes_sent: 2_000,
        bytes_raw_equivalent: 1_000_000,
        recent: vec![(before(5), "acme/lyon/status".to_owned(), 200)],
        ..UplinkStatus::default()
    }
}

/// Everything at the moment.
pub(crate) fn status() -> GatewayStatus {
    GatewayStatus {
        build: "0.1.0+abc".to_owned(),
        device: "gw-7".to_owned(),
        started_at: before(100_000),
        uptime: Duration::from_millis(166_500),
        speed: 600.0,
        plant: Arc::new(plant()),
        state: PlantStatus {
            at: NOW,
            plant: Arc::default(),
            assets: assets(),
            tags: tags(),
            alarms: vec![alarm()],
        },
        gaps: Arc::default(),
        connectors: vec![connector()],
        uplinks: vec![uplink("scada", true), uplink("cloud", false)],
        store: StoreStatus { healthy: true, core_bytes: 4_096, ..StoreStatus::default() },
    }
}
