//! Everything that is read.

use std::{path::Path, sync::Arc};

use bellwether_domain::{
    AlarmState, AssetId, ConnectorState, Derived, HealthState, Plant, TagId, Timestamp,
    WaveformFeature,
};
use serde_json::{Value, json};

use super::{
    Gateway,
    plant::{CANARY, PUMP, status},
    request,
};

#[tokio::test]
async fn the_status_says_what_the_gateway_is_doing() {
    let status = Gateway::start().await.get("/api/v1/status").await.ok();
    assert_eq!(status["build"], "0.1.0+abc");
    assert_eq!(status["at"], "2026-11-23T08:00:00.000Z");
    assert_eq!(status["uptime_s"], 166.5);
    assert_eq!(status["speed"], 600.0);
    assert_eq!(status["state"], "attention");
    assert_eq!(status["message"], "1 asset needs attention");
    assert_eq!((&status["assets"], &status["tags"]), (&json!(2), &json!(3)));
    assert_eq!((&status["alarms_active"], &status["alarms_unacked"]), (&json!(1), &json!(1)));
    let source = &status["connectors"][0];
    assert_eq!(source["state"], "backing_off");
    assert_eq!(source["last_error"], "no answer within 800 ms");
    assert_eq!(
        (&source["round_trip_p50_ms"], &source["round_trip_p99_ms"]),
        (&json!(2.5), &Value::Null)
    );
    assert_eq!(status["uplinks"][0]["recent"][0]["bytes"], 200);
    assert_eq!(status["store"]["core_bytes"], 4096);
}

#[tokio::test]
async fn an_alarm_that_has_returned_waits_but_is_not_active() {
    let mut now = status();
    now.state.alarms[0].state = AlarmState::RtnUnacked;
    let gateway = Gateway::with(now).await;
    let status = gateway.get("/api/v1/status").await.ok();
    assert_eq!((&status["alarms_active"], &status["alarms_unacked"]), (&json!(0), &json!(1)));
    assert_eq!(gateway.get("/api/v1/assets").await.ok()["assets"][0]["alarms"], 0);
    let metrics = gateway.get("/metrics").await.text;
    assert!(metrics.contains("bellwether_active_alarms_count 0\n"), "{metrics}");
    let listed = gateway.get("/api/v1/alarms").await.ok();
    assert_eq!(listed["alarms"][0]["state"], "rtn_unacked");
}

#[tokio::test]
async fn uplinks_are_added_up_but_the_readings_they_spare_are_counted_once() {
    let status = Gateway::start().await.get("/api/v1/status").await.ok();
    let total = json!({
        "connected": false, "backlog": 10, "sent": 20, "acked": 18,
        "bytes_sent": 4_000, "bytes_raw_equivalent": 1_000_000,
    });
    assert_eq!(status["uplink"], total);
}

#[tokio::test]
async fn the_gateways_word_names_the_worst_thing_first() {
    #[track_caller]
    fn check(status: &Value, state: &str, message: &str) {
        assert_eq!((&status["state"], &status["message"]), (&json!(state), &json!(message)));
    }
    let mut now = status();
    now.store.healthy = false;
    now.store.last_error = Some("no space left".to_owned());
    let gateway = Gateway::with(now.clone()).await;
    let told = |mut now: bellwether_domain::GatewayStatus, at: i64| {
        now.state.at = Timestamp::from_secs(at);
        gateway.status.send_replace(std::sync::Arc::new(now));
    };
    let first = gateway.get("/api/v1/status").await.ok();
    check(&first, "attention", "the disk does not take data: no space left");
    now.store.healthy = true;
    now.state.assets[0].state = HealthState::Acceptable;
    told(now.clone(), 1);
    let source = gateway.get("/api/v1/status").await.ok();
    let why = "source plc-1 is not fully connected: no answer within 800 ms";
    check(&source, "attention", why);
    now.connectors[0].state = ConnectorState::Connected;
    told(now.clone(), 2);
    let uplink = gateway.get("/api/v1/status").await.ok();
    check(&uplink, "attention", "uplink cloud is not connected: connecting");
    now.uplinks.pop();
    told(now.clone(), 3);
    let alarm = gateway.get("/api/v1/status").await.ok();
    check(&alarm, "attention", "1 alarm waits for acknowledgement");
    now.state.alarms.clear();
    now.state.assets[0].state = HealthState::Learning;
    told(now.clone(), 4);
    let learning = gateway.get("/api/v1/status").await.ok();
    check(&learning, "learning", "1 of 2 assets are acceptable, the others are being learnt");
    now.state.assets[0].state = HealthState::Acceptable;
    told(now, 5);
    check(&gateway.get("/api/v1/status").await.ok(), "ok", "all quiet");
}

#[tokio::test]
async fn assets_carry_state_reason_interval_and_worst_quality() {
    let body = Gateway::start().await.get("/api/v1/assets").await.ok();
    let pump = &body["assets"][0];
    assert_eq!(pump["id"], PUMP);
    assert_eq!(pump["path"], "acme/lyon/utilities/water/pump-1");
    assert_eq!(
        (&pump["name"], &pump["area"], &pump["work_center"]),
        (&json!("pump-1"), &json!("utilities"), &json!("water"))
    );
    assert_eq!(
        (&pump["kind"], &pump["state"], &pump["operation"]),
        (&json!("pump"), &json!("plan"), &json!("steady"))
    );
    assert_eq!((&pump["health"], &pump["score"]), (&json!(0.42), &json!(0.75)));
    assert_eq!((&pump["alarms"], &pump["quality"]), (&json!(1), &json!("uncertain")));
    assert!(pump["spark"].is_array());
    let rul = &pump["rul"];
    assert_eq!((&rul["available"], &rul["tag"]), (&json!(true), &json!("pump-1.vibration")));
    assert_eq!(
        (&rul["p05_h"], &rul["p50_h"], &rul["p95_h"]),
        (&json!(20.0), &json!(40.0), &Value::Null)
    );
    assert_eq!((&rul["limit"], &rul["unit"]), (&json!(7.1), &json!("mm/s")));
    let fan = &body["assets"][1];
    let refused = json!({"available": false, "code": "no_degradation", "reason": "no degradation"});
    assert_eq!((&fan["rul"], &fan["quality"]), (&refused, &json!("bad")));
}

#[tokio::test]
async fn one_asset_explains_itself() {
    let pump = Gateway::start().await.get(&format!("/api/v1/assets/{PUMP}")).await.ok();
    assert_eq!(pump["id"], PUMP);
    assert_eq!(pump["tags"].as_array().unwrap().len(), 2);
    assert_eq!(pump["contributions"][0]["signal"], "vibration");
    assert_eq!(pump["contributions"][0]["expected_std_dev"], 0.3);
    let load =
        json!([{"tag": "pump-1.motor_load", "signal": "motor load", "value": 80.0, "unit": "%"}]);
    assert_eq!(pump["condition"], load);
    assert_eq!(pump["left_out"], json!(["pump-1.motor_load"]));
    assert!(pump["marks"].is_array());
}

#[tokio::test]
async fn an_unknown_asset_is_answered_with_the_nearest_ids() {
    let gateway = Gateway::start().await;
    for rest in ["", "/rul", "/anomaly"] {
        let answer = gateway.get(&format!("/api/v1/assets/pump-1{rest}")).await;
        let text = answer.problem(404, "not_found");
        let start = "there is no asset `pump-1`: GET /api/v1/assets lists them, among them ";
        assert!(text.starts_with(&format!("{start}`{PUMP}`")), "{text}");
    }
}

#[tokio::test]
async fn the_anomaly_and_the_remaining_life_come_with_their_past() {
    let gateway = Gateway::start().await;
    let anomaly = gateway.get(&format!("/api/v1/assets/{PUMP}/anomaly")).await.ok();
    assert_eq!((&anomaly["score"], &anomaly["threshold"]), (&json!(0.75), &json!(0.5)));
    assert!(anomaly["history"].is_array() && anomaly["contributions"].is_array());
    let rul = gateway.get(&format!("/api/v1/assets/{PUMP}/rul?points=100")).await.ok();
    assert_eq!(rul["available"], true);
    assert!(rul["history"].is_array() && rul["health"].is_array());
}

#[tokio::test]
async fn tags_never_show_a_bad_value() {
    let body = Gateway::start().await.get("/api/v1/tags").await.ok();
    let [vibration, load, temperature] = [0, 1, 2].map(|at| &body["tags"][at]);
    assert_eq!((&vibration["value"], &vibration["age_s"]), (&json!(4.2), &json!(30.0)));
    assert_eq!(
        (&vibration["failure"], &vibration["range"]),
        (&json!({"above": 7.1}), &json!([0.0, 50.0]))
    );
    assert_eq!(
        (&vibration["quality"], &vibration["quality_reason"]),
        (&json!("good"), &Value::Null)
    );
    assert_eq!((&load["value"], &load["quality"]), (&json!(80.0), &json!("uncertain")));
    assert_eq!(load["quality_reason"], "the value is too old");
    assert_eq!((&temperature["value"], &temperature["quality"]), (&Value::Null, &json!("bad")));
    assert_eq!(temperature["asset"], "acme.lyon.utilities.water.fan-1");
}

#[tokio::test]
async fn a_burst_has_no_value_but_names_the_tags_computed_from_it() {
    let mut now = status();
    let mut plant = Plant::clone(&now.plant);
    plant.tags[0].is_waveform = true;
    plant.tags[1].derived = Some(Derived { from: TagId(0), feature: WaveformFeature::Rms });
    now.plant = Arc::new(plant);
    let body = Gateway::with(now).await.get("/api/v1/tags").await.ok();
    let (burst, rms) = (&body["tags"][0], &body["tags"][1]);
    assert_eq!((&burst["is_waveform"], &burst["value"]), (&json!(true), &Value::Null));
    assert_eq!((&burst["quality"], &burst["age_s"]), (&json!("good"), &json!(30.0)));
    assert_eq!(burst["features"], json!(["pump-1.motor_load"]));
    assert_eq!((&rms["value"], &rms["features"]), (&json!(80.0), &json!([])));
}

#[tokio::test]
async fn history_refuses_what_it_cannot_answer_and_says_why() {
    let gateway = Gateway::start().await;
    let address = |query: &str| format!("/api/v1/tags/pump-1.vibration/history{query}");
    let body = gateway.get(&address("?points=10")).await.ok();
    assert_eq!((&body["id"], &body["unit"]), (&json!("pump-1.vibration"), &json!("mm/s")));
    let text = gateway.get(&address("?points=none")).await.problem(400, "bad_parameter");
    assert!(text.starts_with("`points` must be a whole number"), "{text}");
    let text = gateway.get(&address("?from=now")).await.problem(400, "bad_parameter");
    assert!(text.starts_with("`from` must be RFC 3339"), "{text}");
    let text = gateway.get(&address("?form=1")).await.problem(400, "bad_request");
    assert!(text.contains("`form`") && text.contains("`from`"), "{text}");
    let text = gateway.get("/api/v1/tags/pump-1.vibratoin/history").await.problem(404, "not_found");
    assert!(text.contains("there is no tag `pump-1.vibratoin`"), "{text}");
}

#[tokio::test]
async fn active_alarms_carry_their_sentence_and_an_id_no_script_rounds() {
    let gateway = Gateway::start().await;
    for query in ["", "?state=active", "?state=all&limit=5"] {
        let body = gateway.get(&format!("/api/v1/alarms{query}")).await.ok();
        assert_eq!(body["alarms"].as_array().unwrap().len(), 1, "{query}");
        let alarm = &body["alarms"][0];
        assert_eq!(alarm["id"], u64::MAX.to_string());
        assert_eq!((&alarm["asset"], &alarm["asset_name"]), (&json!(PUMP), &json!("pump-1")));
        assert_eq!(
            (&alarm["state"], &alarm["priority"]),
            (&json!("unacked_alarm"), &json!("medium"))
        );
        assert!(alarm["sentence"].as_str().unwrap().contains("4.2 mm/s"));
    }
    let text = gateway.get("/api/v1/alarms?state=old").await.problem(400, "bad_parameter");
    assert_eq!(text, "`state` must be `active` or `all`, not `old`");
    gateway.get("/api/v1/alarms?limit=0").await.problem(400, "bad_parameter");
}

#[tokio::test]
async fn text_from_the_plant_stays_json() {
    let answer = Gateway::start().await.get("/api/v1/assets").await;
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    let reason = answer.ok()["assets"][0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.ends_with(CANARY), "{reason}");
    let echoed = Gateway::start().await.get("/api/v1/assets/%3Cscript%3E").await;
    assert!(echoed.problem(404, "not_found").contains("<script>"));
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let gateway = Gateway::start().await;
    for address in ["/", "/api/v1/status", "/api/v1/nothing", "/metrics", "/healthz", "/x.js"] {
        let headers = gateway.get(address).await.headers;
        assert_eq!(headers["content-security-policy"], crate::guard::POLICY, "{address}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        let stored = headers["cache-control"] != "no-store";
        assert_eq!(stored, address == "/", "{address}");
    }
}

#[tokio::test]
async fn unknown_addresses_are_pages_but_not_under_api() {
    let gateway = Gateway::start().await;
    for page in ["/", "/alarms", &format!("/assets/{PUMP}")] {
        let answer = gateway.get(page).await;
        assert_eq!(answer.status, 200, "{page}");
        assert!(answer.text.contains("<html"), "{}", answer.text);
        assert_eq!(answer.headers["cache-control"], "no-cache");
    }
    let text = gateway.get("/api/v1/asset").await.problem(404, "not_found");
    assert_eq!(text, "there is no `/api/v1/asset`: see /api/v1/openapi.json");
    gateway.get("/api").await.problem(404, "not_found");
    assert_eq!(gateway.get("/assets/gone-12345678.js").await.status, 404);
}

#[tokio::test]
async fn a_foreign_host_name_gets_nothing() {
    let gateway = Gateway::start().await;
    for address in ["/api/v1/status", "/"] {
        let foreign = axum::http::Request::builder().uri(address).header("host", "evil.example");
        let answer = gateway.send(foreign.body(axum::body::Body::empty()).unwrap()).await;
        answer.problem(421, "host_not_allowed");
    }
}

#[tokio::test]
async fn a_wrong_method_says_which_are_right() {
    let gateway = Gateway::start().await;
    let wrong = request("DELETE", "/api/v1/status").header("x-bellwether", "1");
    let answer = gateway.send(wrong.body(axum::body::Body::empty()).unwrap()).await;
    answer.problem(405, "method_not_allowed");
    assert_eq!(answer.headers["allow"], "GET,HEAD");
}

#[tokio::test]
async fn a_status_of_another_generation_is_no_panic() {
    let mut odd = status();
    odd.state.assets[1].asset = AssetId(77);
    odd.state.tags[2].tag = bellwether_domain::TagId(77);
    odd.state.alarms[0].asset = AssetId(77);
    odd.state.assets[0].anomaly.contributions[0].tag = bellwether_domain::TagId(77);
    let gateway = Gateway::with(odd).await;
    for address in ["/api/v1/status", "/api/v1/assets", "/api/v1/tags", "/api/v1/alarms"] {
        gateway.get(address).await.ok();
    }
    gateway.get(&format!("/api/v1/assets/{PUMP}")).await.ok();
    assert_eq!(gateway.get("/metrics").await.status, 200);
}

#[tokio::test]
async fn health_ends_with_the_engine() {
    let mut gateway = Gateway::start().await;
    assert_eq!(gateway.get("/healthz").await.text, "ok\n");
    let (sender, _) = tokio::sync::watch::channel(std::sync::Arc::new(status()));
    drop(std::mem::replace(&mut gateway.status, sender));
    gateway.get("/healthz").await.problem(503, "stopping");
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let answer = Gateway::start().await.get("/metrics").await;
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(answer.text.contains("bellwether_source_readings_total{source=\"plc-1\"} 1234\n"));
}

/// `UPDATE_OPENAPI=1 cargo nextest run --workspace -E 'test(openapi)'` rewrites the file.
#[tokio::test]
async fn the_committed_openapi_document_is_the_served_one() {
    let served = Gateway::start().await.get("/api/v1/openapi.json").await;
    assert_eq!(served.ok()["openapi"], "3.1.0");
    assert_eq!(served.text, crate::openapi());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&path, &served.text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == served.text, "web/openapi.json is out of date: run with UPDATE_OPENAPI=1");
}
