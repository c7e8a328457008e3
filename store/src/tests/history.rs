//! Raw history, segments, health and losses.

use std::{fs, path::Path, time::Duration};

use bellwether_domain::{AssetId, HealthState, Prognosis, Quality, Reading, Reason, TagId};

use super::{FLOW, PUMP, at, health, names, open, options, reading, readings};
use crate::{HistoryBatch, Level, Store, StoreError, StoreOptions, TagHistory};

const HOUR: i64 = 3_600;

async fn append(store: &Store, values: Vec<Reading>) {
    store.history.append(&names(), &readings(values)).await.unwrap();
}

async fn flow(store: &Store, from: i64, to: i64, points: usize) -> TagHistory {
    store.reader().tag_history(FLOW, at(from), at(to), points).await.unwrap()
}

fn segments(dir: &Path) -> usize {
    fs::read_dir(dir.join("segments")).unwrap().count()
}

async fn open_rows(store: &Store) -> i64 {
    let sql = "SELECT count(*) FROM raw";
    sqlx::query_scalar(sql).fetch_one(store.history.database.readers()).await.unwrap()
}

#[tokio::test]
async fn readings_come_back_with_time_value_and_quality() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut stuck = reading(0, 2, 2.0);
    stuck.quality = Quality::Uncertain(Reason::Stuck);
    let bad = Reading::bad(TagId(0), at(3), Reason::Timeout);
    append(&store, vec![reading(0, 1, 0.1 + 0.2), reading(1, 1, 9.0), stuck, bad]).await;
    let history = flow(&store, 1, 3, 100).await;
    assert_eq!((history.level, history.bucket), (Level::Raw, Duration::ZERO));
    assert_eq!(history.at, [at(1), at(2), at(3)]);
    assert_eq!(history.mean, [Some(0.1 + 0.2), Some(2.0), None]);
    assert_eq!(history.quality, [Quality::Good, stuck.quality, bad.quality]);
    assert_eq!(flow(&store, 2, 2, 100).await.at, [at(2)], "both ends are included");
    assert!(store.reader().tag_history("nobody", at(0), at(9), 9).await.unwrap().at.is_empty());
    assert!(flow(&store, 9, 0, 9).await.at.is_empty());
}

#[tokio::test]
async fn a_second_value_of_the_same_time_replaces_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    append(&store, vec![reading(0, 1, 1.0), reading(0, 1, 2.0)]).await;
    assert_eq!(flow(&store, 0, 9, 9).await.mean, [Some(2.0)]);
    append(&store, vec![reading(0, 1, 3.0)]).await;
    assert_eq!(flow(&store, 0, 9, 9).await.mean, [Some(3.0)]);
}

#[tokio::test]
async fn closed_hours_are_sealed_and_read_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for tag in 0..3 {
        append(&store, (0..180).map(|i| reading(tag, i * 60, f64::from(tag) + 0.1)).collect())
            .await;
    }
    let before = flow(&store, 0, 3 * HOUR, 200).await;
    assert_eq!(before.at.len(), 180);
    // The times begin within an hour, so the last stretch is open until an hour after its end.
    let done = store.history.maintain(at(4 * HOUR)).await.unwrap();
    assert!(done.sealed_rows > 300 && done.sealed_rows < 540, "{done:?}");
    assert_eq!(segments(dir.path()), usize::try_from(done.segments).unwrap());
    assert_eq!(open_rows(&store).await, 540 - i64::try_from(done.sealed_rows).unwrap());
    assert_eq!(flow(&store, 0, 3 * HOUR, 200).await, before);
    assert_eq!(store.history.maintain(at(4 * HOUR)).await.unwrap().segments, 0, "once only");
    store.history.maintain(at(9 * HOUR)).await.unwrap();
    assert_eq!(open_rows(&store).await, 0);
    store.close().await;
    let store = open(dir.path()).await;
    assert_eq!(flow(&store, 0, 3 * HOUR, 200).await, before);
    assert!(store.history.bytes() > 0);
}

#[tokio::test]
async fn late_and_early_readings_break_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    append(&store, (0..60).map(|i| reading(0, i * 60, 1.0)).collect()).await;
    store.history.maintain(at(5 * HOUR)).await.unwrap();
    let sealed = segments(dir.path());
    assert!(sealed > 0);
    // A device whose clock is behind, one whose clock is years ahead, and our own clock set back.
    append(&store, vec![reading(0, 30, 2.0), reading(0, 99_999_999, 3.0)]).await;
    let done = store.history.maintain(at(0)).await.unwrap();
    assert_eq!(done.segments, 0, "a few stragglers are not worth a file");
    let done = store.history.maintain(at(5 * HOUR)).await.unwrap();
    assert_eq!((done.segments, open_rows(&store).await), (0, 2));
    let history = flow(&store, 0, 60, 100).await;
    assert_eq!(history.at, [at(0), at(30), at(60)]);
    // Many of them are.
    for tag in [0, 2] {
        append(&store, (0..2_700).map(|i| reading(tag, i, 4.0)).collect()).await;
        append(&store, (0..2_700).map(|i| reading(tag, 99_990_000 + i, 5.0)).collect()).await;
    }
    let before = flow(&store, 0, 600, 1_000).await;
    let mut rounds = 0;
    while store.history.maintain(at(5 * HOUR)).await.unwrap().segments > 0 {
        rounds += 1;
        assert!(rounds < 10);
    }
    assert_eq!(segments(dir.path()), sealed + 2);
    assert_eq!(flow(&store, 0, 600, 1_000).await, before);
}

#[tokio::test]
async fn a_file_that_a_crash_has_left_is_deleted_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    append(&store, (0..60).map(|i| reading(0, i * 60, 1.0)).collect()).await;
    store.history.maintain(at(9 * HOUR)).await.unwrap();
    let sealed = segments(dir.path());
    store.close().await;
    fs::write(dir.path().join("segments/1-2.parquet"), b"half").unwrap();
    fs::write(dir.path().join("segments/1-3.parquet.tmp"), b"half").unwrap();
    let store = open(dir.path()).await;
    assert_eq!(segments(dir.path()), sealed);
    assert_eq!(flow(&store, 0, HOUR, 100).await.at.len(), 60);
}

#[tokio::test]
async fn sealed_history_outlives_the_loss_of_its_database() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for tag in [0, 1] {
        append(&store, (0..600).map(|i| reading(tag, i * 60, f64::from(tag))).collect()).await;
    }
    store.history.maintain(at(20 * HOUR)).await.unwrap();
    assert_eq!(open_rows(&store).await, 0);
    let raw = flow(&store, 0, 10 * HOUR, 300).await;
    let rolled = flow(&store, 0, 10 * HOUR, 100).await;
    assert_ne!(raw.level, rolled.level);
    store.close().await;
    fs::write(dir.path().join("hist.db"), vec![0x5a; 8_192]).unwrap();
    fs::write(dir.path().join("segments/0-0.parquet"), b"no segment").unwrap();
    let store = open(dir.path()).await;
    store.close().await;
    // Taking over goes on after a restart.
    let store = open(dir.path()).await;
    let mut adopted = 0;
    for _ in 0..20 {
        adopted += store.history.maintain(at(20 * HOUR)).await.unwrap().adopted_segments;
    }
    assert_eq!(adopted, u64::try_from(segments(dir.path())).unwrap());
    assert_eq!(flow(&store, 0, 10 * HOUR, 300).await, raw);
    assert_eq!(flow(&store, 0, 10 * HOUR, 100).await, rolled);
}

#[tokio::test]
async fn a_damaged_segment_is_a_gap_not_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    append(&store, (0..300).map(|i| reading(0, i * 60, 1.0)).collect()).await;
    store.history.maintain(at(20 * HOUR)).await.unwrap();
    let first = fs::read_dir(dir.path().join("segments")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&first).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&first, bytes).unwrap();
    let history = flow(&store, 0, 5 * HOUR, 300).await;
    assert!(history.at.len() > 100 && history.at.len() < 300, "{}", history.at.len());
}

#[tokio::test]
async fn the_oldest_raw_history_goes_first_and_hours_remain() {
    let dir = tempfile::tempdir().unwrap();
    // Room for the database but not for all segments.
    let limited = StoreOptions { history_bytes: 1_000_000, ..options() };
    let store = Store::open(dir.path(), limited).await.unwrap();
    let noise =
        |i: i64| f64::from(i32::try_from(i.wrapping_mul(2_654_435_761) % 1_000_003).unwrap());
    let mut dropped = 0;
    for hour in 0..40 {
        let values = (0..HOUR).map(|i| reading(0, hour * HOUR + i, noise(hour * HOUR + i)));
        append(&store, values.collect()).await;
        let done = store.history.maintain(at(hour * HOUR)).await.unwrap();
        dropped += done.dropped_segments;
    }
    assert!(dropped > 0);
    let beginning = flow(&store, 0, HOUR, 5_000).await;
    assert_ne!(beginning.level, Level::Raw, "what is finer does not reach back so far");
    let all = flow(&store, 0, 40 * HOUR, 1_000).await;
    assert_eq!((all.level, all.at.len()), (Level::TenMinutes, 241));
    let recent = flow(&store, 39 * HOUR, 39 * HOUR + 600, 1_000).await;
    assert_eq!((recent.level, recent.at.len()), (Level::Raw, 601));
    let live = store.history.database.live_bytes().await.unwrap();
    assert!(
        live + store.history.segment_bytes.load(std::sync::atomic::Ordering::Relaxed) <= 1_000_000
    );
}

#[tokio::test]
async fn a_full_disk_loses_the_batch_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let limited = StoreOptions { max_pages: Some(60), ..options() };
    let store = Store::open(dir.path(), limited).await.unwrap();
    append(&store, vec![reading(0, 1, 1.0)]).await;
    let many = (0..20_000).map(|i| reading(0, i, 2.0)).collect();
    let error = store.history.append(&names(), &readings(many)).await.unwrap_err();
    assert!(matches!(error, StoreError::Full { file: "hist.db", .. }), "{error:?}");
    assert_eq!(flow(&store, 0, 20_000, 2_000).await.mean, [Some(1.0)]);
    append(&store, vec![reading(0, 2, 3.0)]).await;
    assert_eq!(flow(&store, 0, 20_000, 2_000).await.mean, [Some(1.0), Some(3.0)]);
}

#[tokio::test]
async fn health_keeps_its_worst_points_and_its_prognosis() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut points: Vec<_> = (0..100).map(|second| health(second, 0.9)).collect();
    points[42].health = bellwether_domain::HealthIndex::saturating(0.2);
    points[42].state = HealthState::Act;
    points[99].prognosis = Ok(Prognosis {
        at: at(99),
        tag: TagId(0),
        rul_p05_h: 10.0,
        rul_p50_h: 20.0,
        rul_p95_h: f64::INFINITY,
        no_failure_probability: 0.25,
        onset: at(0),
        indicator: 1.0,
        limit: 2.0,
    });
    let mut other = health(42, 0.1);
    other.asset = AssetId(1);
    points.push(other);
    let batch = HistoryBatch { health: points, ..HistoryBatch::default() };
    store.history.append(&names(), &batch).await.unwrap();
    let reader = store.reader();
    let all = reader.health_history(PUMP, at(0), at(99), 1_000).await.unwrap();
    assert_eq!((all.len(), all[0].rul), (100, None));
    let few = reader.health_history(PUMP, at(0), at(99), 10).await.unwrap();
    assert_eq!(few.len(), 10);
    assert_eq!((few[4].state, few[4].health.to_bits()), (HealthState::Act, 0.2_f64.to_bits()));
    let rul = few[9].rul.unwrap();
    assert!(rul.p95_h.is_infinite() && rul.p50_h.to_bits() == 20.0_f64.to_bits());
}

#[tokio::test]
async fn a_large_file_that_was_found_damaged_is_looked_through_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    append(&store, vec![reading(0, 1, 1.0)]).await;
    crate::startup::suspect(&store.history.database.path);
    assert!(dir.path().join("hist.db.suspect").exists());
    store.close().await;
    let store = open(dir.path()).await;
    assert!(!dir.path().join("hist.db.suspect").exists());
    assert!(store.notices.is_empty(), "a sound file stays");
}
