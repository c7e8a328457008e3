//! What a person sees who looks for a fault at a device.

use std::{sync::Arc, time::Duration};

use bellwether_domain::{
    ConnectorState, Exchange, GapStatus, GatewayStatus, Quality, Reason, TagId, UnitStatus,
};
use serde_json::{Value, json};

use super::{
    Gateway,
    plant::{NOW, status},
};

/// One unit answers, one is silent; two tags read the same registers.
fn troubled() -> GatewayStatus {
    let mut status = status();
    let source = &mut status.connectors[0];
    source.state = ConnectorState::Degraded;
    source.silent = vec!["unit 4".to_owned()];
    source.sessions = 3;
    let unit = |name: &str, condition: &str| UnitStatus {
        name: name.to_owned(),
        condition: condition.to_owned(),
        requests: 40,
        requests_per_s: 1.5,
        ..UnitStatus::default()
    };
    source.units = vec![
        UnitStatus {
            refusals: vec![(2, 7)],
            lateness_p99: Some(Duration::from_millis(12)),
            ..unit("unit 1", "answers")
        },
        UnitStatus { timeouts: 9, ..unit("unit 4", "silent, asked again in 12 s") },
    ];
    let exchange = |second, answer: &str| {
        Arc::new(Exchange {
            at: NOW.saturating_sub(Duration::from_secs(second)),
            unit: "unit 1".to_owned(),
            request: "read 2 holding registers from 256".to_owned(),
            request_bytes: vec![1, 3, 1, 0, 0, 2],
            answer: answer.to_owned(),
            answer_bytes: vec![0x01, 0x83, 0x02],
            round_trip: Duration::from_micros(2_500),
        })
    };
    source.exchanges = vec![exchange(9, "first"), exchange(1, "exception 02")];
    let shared = "unit 1, holding 256, f32".to_owned();
    source.addresses = Arc::new(vec![(TagId(0), shared.clone()), (TagId(1), shared)]);
    status.gaps = Arc::new(GapStatus { repeating: vec![TagId(2)], ..GapStatus::default() });
    status
}

#[tokio::test]
async fn the_list_tells_state_rates_and_how_many_tags_are_suspicious() {
    let body = Gateway::with(troubled()).await.get("/api/v1/connectors").await.ok();
    let source = &body["connectors"][0];
    assert_eq!((&source["name"], &source["state"]), (&json!("plc-1"), &json!("degraded")));
    assert_eq!(source["condition"], "connected, but without an answer from unit 4");
    assert_eq!((&source["requests_per_s"], &source["reconnects"]), (&json!(3.0), &json!(2)));
    assert_eq!((&source["lateness_p99_ms"], &source["unit_count"]), (&json!(12.0), &json!(2)));
    assert_eq!(source["flagged"], 3);
}

#[tokio::test]
async fn one_connector_tells_its_units_and_its_last_exchanges_newest_first() {
    let gateway = Gateway::with(troubled()).await;
    let body = gateway.get("/api/v1/connectors/plc-1").await.ok();
    let [first, second] = [0, 1].map(|at| &body["units"][at]);
    let refusal = &first["refusals"][0];
    assert_eq!((&refusal["text"], &refusal["count"]), (&json!("02"), &json!(7)));
    assert!(refusal["words"].as_str().unwrap().starts_with("illegal data address"));
    assert_eq!(
        (&second["condition"], &second["timeouts"]),
        (&json!("silent, asked again in 12 s"), &json!(9))
    );
    assert_eq!(second["lateness_p99_ms"], Value::Null);
    let newest = &body["exchanges"][0];
    assert_eq!(newest["answer"], "exception 02");
    assert_eq!(
        (&newest["request_hex"], &newest["answer_hex"]),
        (&json!("01 03 01 00 00 02"), &json!("01 83 02"))
    );
    assert_eq!(newest["round_trip_ms"], 2.5);
    let text = gateway.get("/api/v1/connectors/plc-2").await.problem(404, "not_found");
    assert!(text.contains("there is no connector `plc-2`"), "{text}");
}

#[tokio::test]
async fn a_tag_says_what_is_suspicious_about_it() {
    let mut status = troubled();
    status.state.tags[1].quality = Quality::Uncertain(Reason::Stuck);
    status.state.tags[2].quality = Quality::Bad(Reason::OutOfRange);
    let body = Gateway::with(status).await.get("/api/v1/tags").await.ok();
    let codes = |at: usize| {
        let flags = body["tags"][at]["flags"].as_array().unwrap().iter();
        flags.map(|flag| flag["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(codes(0), ["duplicate_address"]);
    assert_eq!(codes(1), ["duplicate_address", "frozen"]);
    assert_eq!(codes(2), ["duplicate_time", "out_of_range"]);
    let words = body["tags"][0]["flags"][0]["words"].as_str().unwrap();
    assert!(words.starts_with("reads the same address as pump-1.motor_load (unit 1"), "{words}");
    assert_eq!(body["tags"][0]["address"], "unit 1, holding 256, f32");
    assert_eq!(body["tags"][2]["address"], Value::Null);
}
