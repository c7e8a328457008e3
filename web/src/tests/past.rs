//! What the store remembers, through the API.

use std::time::Duration;

use bellwether_domain::{
    Alarm, AlarmId, AlarmState, Alert, AssetId, HealthIndex, HealthReport, HealthState, Prognosis,
    Reading, Reason, Score, TagId, Timestamp, Transition,
};
use bellwether_store::{CoreCommit, HistoryBatch, Maintenance, Names};
use serde_json::{Value, json};

use super::{
    Gateway,
    plant::{NOW, PUMP, alarm, plant, status},
};

fn before(seconds: u64) -> Timestamp {
    NOW.saturating_sub(Duration::from_secs(seconds))
}

fn health(age: u64, health: f64, prognosis: Option<Prognosis>) -> HealthReport {
    HealthReport {
        asset: AssetId(0),
        at: before(age),
        state: HealthState::Plan,
        health: HealthIndex::saturating(health),
        score: Score::saturating(1.0 - health),
        prognosis: prognosis.ok_or(bellwether_domain::Refusal::NoDegradation),
    }
}

/// A gateway that remembers three values and a gap of one, a decline over two hours, a repair, and an alarm that is over.
async fn with_past() -> Gateway {
    let gateway = Gateway::start().await;
    let names = Names::of(&plant());
    let readings = vec![
        Reading::new(TagId(0), before(240), 2.0),
        Reading::new(TagId(0), before(180), 3.5),
        Reading::bad(TagId(0), before(120), Reason::Timeout),
        Reading::new(TagId(0), before(60), 4.25),
    ];
    let made = status().state.assets[0].prognosis.unwrap();
    let health =
        vec![health(7_200, 1.0, None), health(3_600, 0.7, None), health(0, 0.42, Some(made))];
    let batch = HistoryBatch { readings, health, ..HistoryBatch::default() };
    gateway.store.history.append(&names, &batch).await.unwrap();
    let over = Alarm {
        id: AlarmId(3),
        state: AlarmState::Normal,
        raised_at: before(9_000),
        returned_at: Some(before(8_000)),
        acked_at: Some(before(8_500)),
        acked_by: Some("Zoë".to_owned()),
        ..alarm()
    };
    let alert = |transition, alarm: Alarm, at| Alert { at, transition, alarm };
    let raised = Alarm { state: AlarmState::UnackedAlarm, returned_at: None, ..over.clone() };
    let repair = Maintenance {
        asset: "acme/lyon/utilities/water/pump-1".to_owned(),
        at: before(5_000),
        actor: "Zoë".to_owned(),
        note: "bearing changed".to_owned(),
    };
    let commit = CoreCommit {
        at: NOW,
        alerts: vec![
            alert(Transition::Raised, raised, before(9_000)),
            alert(Transition::Returned, over, before(8_000)),
        ],
        maintenance: vec![repair],
        ..CoreCommit::default()
    };
    gateway.store.core.commit(&names, &commit).await.unwrap();
    gateway
}

#[tokio::test]
async fn a_tags_past_keeps_its_gaps() {
    let gateway = with_past().await;
    let (from, to) = (before(250), NOW.as_millis());
    let address = format!("/api/v1/tags/pump-1.vibration/history?from={from}&to={to}&points=100");
    let past = gateway.get(&address).await.ok();
    assert_eq!(past["level"], "raw");
    let column = |name: &str| past[name].as_array().unwrap().clone();
    let index = |age| column("at").iter().position(|at| *at == before(age).as_millis()).unwrap();
    for (age, value) in [(240, 2.0), (180, 3.5), (60, 4.25)] {
        for name in ["min", "max", "mean"] {
            assert_eq!(column(name)[index(age)], value, "{past}");
        }
    }
    assert_eq!(column("mean")[index(120)], Value::Null);
    assert_eq!(
        (&column("quality")[index(120)], &column("quality")[index(60)]),
        (&json!("bad"), &json!("good"))
    );
}

#[tokio::test]
async fn estimates_of_the_past_stand_beside_health() {
    let gateway = with_past().await;
    let rul = gateway.get(&format!("/api/v1/assets/{PUMP}/rul")).await.ok();
    assert_eq!(rul.get("history_error"), None);
    let points = rul["history"].as_array().unwrap();
    assert_eq!(points.len(), 1, "{rul}");
    assert_eq!(
        (&points[0]["p05_h"], &points[0]["p50_h"], &points[0]["p95_h"]),
        (&json!(20.0), &json!(40.0), &Value::Null)
    );
    let lowest = rul["health"].as_array().unwrap().last().unwrap();
    assert_eq!(lowest["health"], 0.42);
    let anomaly = gateway.get(&format!("/api/v1/assets/{PUMP}/anomaly")).await.ok();
    let scores: Vec<f64> = anomaly["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|at| at["score"].as_f64().unwrap())
        .collect();
    assert!(scores.is_sorted() && scores.len() >= 2, "{scores:?}");
}

#[tokio::test]
async fn the_list_of_all_alarms_joins_present_and_past_without_repeating() {
    let gateway = with_past().await;
    let all = gateway.get("/api/v1/alarms?state=all").await.ok();
    let ids: Vec<&str> = all["alarms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|alarm| alarm["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, [u64::MAX.to_string().as_str(), "3"]);
    let over = &all["alarms"][1];
    assert_eq!((&over["asset"], &over["asset_name"]), (&json!(PUMP), &json!("pump-1")));
    assert_eq!((&over["state"], &over["acked_by"]), (&json!("normal"), &json!("Zoë")));
    assert_eq!(
        (&over["contributions"][0]["signal"], &over["contributions"][0]["unit"]),
        (&json!("vibration"), &json!("mm/s"))
    );
    let active = gateway.get("/api/v1/alarms?state=active").await.ok();
    assert_eq!(active["alarms"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn marks_and_sparkline_tell_what_happened() {
    let gateway = with_past().await;
    let pump = gateway.get(&format!("/api/v1/assets/{PUMP}")).await.ok();
    let kinds: Vec<&str> = pump["marks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mark| mark["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["alarm", "returned", "repair"], "{pump}");
    let spark = pump["spark"].as_array().unwrap();
    assert_eq!(spark.len(), 30, "{pump}");
    assert_eq!(spark[29], 0.42);
    assert!(spark.iter().any(Value::is_null));
}

#[tokio::test]
async fn without_a_readable_past_the_present_is_still_shown() {
    let mut gateway = with_past().await;
    gateway.close_store().await;
    let assets = gateway.get("/api/v1/assets").await.ok();
    assert_eq!(
        (&assets["assets"][0]["state"], assets["assets"][0].get("spark")),
        (&json!("plan"), None)
    );
    for rest in ["", "/rul", "/anomaly"] {
        let body = gateway.get(&format!("/api/v1/assets/{PUMP}{rest}")).await.ok();
        assert!(body["history_error"].is_string(), "{rest}: {body}");
    }
    gateway.get("/api/v1/alarms").await.ok();
    gateway.get("/api/v1/alarms?state=all").await.problem(500, "history_failed");
    gateway.get("/api/v1/tags/pump-1.vibration/history").await.problem(500, "history_failed");
}
