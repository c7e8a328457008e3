//! Gaps through the API: those that last from memory, those that have ended from the disk.

use std::{sync::Arc, time::Duration};

use bellwether_domain::{GapStatus, Loss, LossCause, TagId, Timestamp};
use bellwether_store::{HistoryBatch, Names};
use serde_json::{Value, json};

use super::{
    Gateway,
    plant::{NOW, plant, status},
};

fn before(seconds: u64) -> Timestamp {
    NOW.saturating_sub(Duration::from_secs(seconds))
}

fn loss(source: &str, tags: &[u32], from: u64, to: u64, cause: LossCause) -> Loss {
    let tags = tags.iter().copied().map(TagId).collect();
    Loss { source: source.to_owned(), tags, from: before(from), to: before(to), cause, count: 3 }
}

/// The load is refused now, the connection was down an hour ago, and two days ago the gateway was not running.
async fn gateway() -> Gateway {
    let mut status = status();
    status.gaps = Arc::new(GapStatus {
        open: vec![loss("plc-1", &[1], 600, 0, LossCause::Refused)],
        settling: vec![loss("plc-1", &[0], 60, 30, LossCause::Silent)],
        ..GapStatus::default()
    });
    let gateway = Gateway::with(status).await;
    let losses = vec![
        loss("", &[], 200_000, 190_000, LossCause::GatewayStopped),
        loss("plc-1", &[], 3_700, 3_600, LossCause::Disconnected),
    ];
    let batch = HistoryBatch { losses, ..HistoryBatch::default() };
    gateway.store.history.append(&Names::of(&plant()), &batch).await.unwrap();
    gateway
}

#[tokio::test]
async fn gaps_are_found_by_tag_by_source_and_by_time() {
    let gateway = gateway().await;
    let check = async |query: &str, expected: &[&str]| {
        let body = gateway.get(&format!("/api/v1/losses{query}")).await.ok();
        let losses = body["losses"].as_array().unwrap().clone();
        let causes: Vec<_> = losses.iter().map(|loss| loss["cause"].as_str().unwrap()).collect();
        assert_eq!(causes, expected, "{query}");
    };
    check("", &["refused", "silent", "disconnected"]).await;
    check("?tag=pump-1.vibration", &["silent", "disconnected"]).await;
    check("?tag=pump-1.motor_load&limit=1", &["refused"]).await;
    check("?source=elsewhere", &[]).await;
    let long_ago = before(250_000).as_millis();
    check(&format!("?tag=fan-1.temperature&from={long_ago}"), &["disconnected", "gateway_stopped"])
        .await;
    check(&format!("?source=elsewhere&from={long_ago}"), &["gateway_stopped"]).await;
}

#[tokio::test]
async fn a_gap_says_in_words_what_is_missing_and_whether_it_lasts() {
    let body = gateway().await.get("/api/v1/losses").await.ok();
    let [open, over] = [0, 2].map(|at| &body["losses"][at]);
    assert_eq!((&open["to"], &open["tags"]), (&Value::Null, &json!(["pump-1.motor_load"])));
    assert_eq!(open["words"], "the device refuses the address or the item");
    assert_eq!((&over["source"], &over["tag_count"]), (&json!("plc-1"), &json!(0)));
    assert_eq!((&over["count"], &over["filled_at"]), (&json!(3), &Value::Null));
    assert!(over["to"].is_string());
}

#[tokio::test]
async fn a_wrong_question_is_refused_in_words() {
    let gateway = gateway().await;
    gateway.get("/api/v1/losses?limit=0").await.problem(400, "bad_parameter");
    let text = gateway.get("/api/v1/losses?tag=pump-1.vibratoin").await.problem(404, "not_found");
    assert!(text.contains("there is no tag `pump-1.vibratoin`"), "{text}");
}
