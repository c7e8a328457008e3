//! Messages: order, numbers, acknowledgements, and what happens when too many wait.

use super::{message, names, open, options, sending};
use crate::{Class, OutboxRow, Store, StoreOptions};

async fn pending(store: &Store) -> Vec<OutboxRow> {
    store.core.outbox_pending("scada", &[], 1_000).await.unwrap()
}

async fn send(store: &Store, class: Class, stream: &str, bodies: &[&str]) {
    let messages = bodies.iter().map(|body| message(class, stream, body)).collect();
    store.core.commit(&names(), &sending(messages)).await.unwrap();
}

/// What waits, as `stream:sequence`.
async fn waiting(store: &Store) -> Vec<String> {
    pending(store).await.iter().map(|row| format!("{}:{}", row.stream, row.sequence)).collect()
}

/// The bounds are kept by triggers; this is what they must agree with.
#[track_caller]
fn check_stats(stats: crate::OutboxStats, rows: &[OutboxRow]) {
    let bytes: usize = rows.iter().map(|row| row.topic.len() + row.body.len()).sum();
    let expected = (u64::try_from(rows.len()).unwrap(), u64::try_from(bytes).unwrap());
    assert_eq!((stats.rows, stats.bytes), expected);
    assert_eq!(stats.oldest, rows.iter().map(|row| row.at).min());
}

#[tokio::test]
async fn an_acknowledgement_deletes_only_its_own_message() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    send(&store, Class::Alert, "alert", &["1", "2", "3"]).await;
    let rows = pending(&store).await;
    store.core.outbox_acknowledge(&[rows[1].id]).await.unwrap();
    assert_eq!(waiting(&store).await, ["alert:1", "alert:3"]);
    // Late, double and foreign acknowledgements harm nobody.
    store.core.outbox_acknowledge(&[rows[1].id, -1, 999_999]).await.unwrap();
    store.core.outbox_acknowledge(&[]).await.unwrap();
    assert_eq!(waiting(&store).await, ["alert:1", "alert:3"]);
    check_stats(store.core.outbox_stats("scada").await.unwrap(), &pending(&store).await);
}

#[tokio::test]
async fn alerts_go_before_summaries_and_those_in_flight_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    send(&store, Class::Summary, "summary", &["1", "2"]).await;
    send(&store, Class::Alert, "alert", &["1", "2"]).await;
    assert_eq!(waiting(&store).await, ["alert:1", "alert:2", "summary:1", "summary:2"]);
    let first = pending(&store).await[0].id;
    let next = store.core.outbox_pending("scada", &[first], 2).await.unwrap();
    let next: Vec<_> = next.iter().map(|row| (row.stream.as_str(), row.sequence)).collect();
    assert_eq!(next, [("alert", 2), ("summary", 1)]);
}

#[tokio::test]
async fn each_uplink_has_its_own_messages_and_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    send(&store, Class::Alert, "alert", &["1"]).await;
    let mut other = message(Class::Alert, "alert", "1");
    other.uplink = "cloud".to_owned();
    store.core.commit(&names(), &sending(vec![other])).await.unwrap();
    let cloud = store.core.outbox_pending("cloud", &[], 10).await.unwrap();
    assert_eq!((cloud.len(), cloud[0].sequence), (1, 1));
    assert_eq!(waiting(&store).await, ["alert:1"]);
    assert_eq!(store.core.outbox_stats("nobody").await.unwrap(), crate::OutboxStats::default());
}

#[tokio::test]
async fn a_number_is_never_given_twice() {
    let dir = tempfile::tempdir().unwrap();
    let limited = StoreOptions { summary_rows: 2, ..options() };
    let mut last = 0;
    let mut epoch = None;
    for _ in 0..3 {
        let store = Store::open(dir.path(), limited.clone()).await.unwrap();
        // Two stay, and one message says that others were dropped.
        send(&store, Class::Summary, "summary", &["1", "2", "3", "4"]).await;
        let rows = pending(&store).await;
        assert!(rows.iter().all(|row| row.sequence > last), "{rows:?}");
        assert!(rows.is_sorted_by_key(|row| row.sequence), "{rows:?}");
        assert!(rows.last().unwrap().is_gap);
        last = rows.last().unwrap().sequence;
        assert!(epoch.is_none_or(|epoch| epoch == rows[0].epoch));
        epoch = Some(rows[0].epoch.clone());
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        store.core.outbox_acknowledge(&ids).await.unwrap();
        store.close().await;
    }
}

#[tokio::test]
async fn a_message_with_a_flipped_bit_holds_up_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    send(&store, Class::Alert, "alert", &["one", "two"]).await;
    let mut write = store.core.database.begin("a test").await.unwrap();
    let flip = "UPDATE outbox SET body = CAST(x'6fee65' AS TEXT) WHERE sequence = 1";
    sqlx::query(flip).execute(&mut *write).await.unwrap();
    write.commit().await.unwrap();
    let bodies: Vec<_> = pending(&store).await.into_iter().map(|row| row.body).collect();
    assert_eq!(bodies, ["o\u{fffd}e", "two"]);
}

#[tokio::test]
async fn too_many_summaries_lose_their_oldest_and_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let limited = StoreOptions { summary_rows: 4, ..options() };
    let store = Store::open(dir.path(), limited).await.unwrap();
    send(&store, Class::Alert, "alert", &["a"; 9]).await;
    send(&store, Class::Summary, "fan", &["f"; 2]).await;
    send(&store, Class::Summary, "pump", &["p"; 4]).await;
    let rows = pending(&store).await;
    assert_eq!(rows.iter().filter(|row| row.class == Class::Alert).count(), 9, "alerts stay");
    let summaries: Vec<_> = rows.iter().filter(|row| row.class == Class::Summary).collect();
    assert!(summaries.len() <= 4, "{summaries:?}");
    let lost = |stream: &str| -> serde_json::Value {
        let gaps: Vec<_> =
            summaries.iter().filter(|row| row.is_gap && row.stream == stream).collect();
        assert_eq!(gaps.len(), 1, "{summaries:?}");
        assert_eq!(gaps[0].topic, format!("acme/{stream}"));
        serde_json::from_str(&gaps[0].body).unwrap()
    };
    assert_eq!(lost("fan")["gap"]["count"], 2);
    assert_eq!(lost("fan")["gap"]["first_sequence"], 1);
    assert_eq!(lost("fan")["gap"]["last_sequence"], 2);
    assert_eq!(lost("fan")["gap"]["from"], "2023-11-14T22:13:21.000Z");
    // Each number of the pump is either there or counted.
    let there = summaries.iter().filter(|row| !row.is_gap && row.stream == "pump").count();
    assert_eq!(lost("pump")["gap"]["count"], 4 - there);
    check_stats(store.core.outbox_stats("scada").await.unwrap(), &rows);
}

#[tokio::test]
async fn further_losses_are_counted_in_one_message() {
    let dir = tempfile::tempdir().unwrap();
    let limited = StoreOptions { summary_bytes: 200, ..options() };
    let store = Store::open(dir.path(), limited).await.unwrap();
    for _ in 0..20 {
        send(&store, Class::Summary, "pump", &["0123456789"]).await;
    }
    let rows = pending(&store).await;
    let (gaps, rest): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.is_gap);
    assert_eq!(gaps.len(), 1);
    let gap: serde_json::Value = serde_json::from_str(&gaps[0].body).unwrap();
    assert_eq!(gap["gap"]["count"], 20 - rest.len());
    assert_eq!(gap["gap"]["first_sequence"], 1);
    check_stats(store.core.outbox_stats("scada").await.unwrap(), &rows);
}
