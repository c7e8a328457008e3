//! Alarms, journal, repairs, snapshots: what a commit leaves behind.

use bellwether_domain::{AlarmId, AlarmState, Timestamp, Transition};
use sqlx::query_scalar;

use super::{
    FLOW, PUMP, alert, at, health, message, names, open, options, plant, raised, readings,
};
use crate::{
    AlarmFilter, Class, CoreCommit, HistoryBatch, Maintenance, MarkKind, Names, Store, StoreError,
    StoreOptions,
};

const ACTIVE: AlarmFilter = AlarmFilter { active_only: true, asset: None };
const ANY: AlarmFilter = AlarmFilter { active_only: false, asset: None };

fn commit_of(alerts: Vec<bellwether_domain::Alert>) -> CoreCommit {
    CoreCommit { at: at(1), alerts, ..CoreCommit::default() }
}

async fn count(store: &Store, sql: &'static str) -> i64 {
    query_scalar(sql).fetch_one(store.core.database.readers()).await.unwrap()
}

#[tokio::test]
async fn an_alarm_its_journal_and_its_message_are_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut commit = commit_of(vec![raised(7)]);
    commit.outgoing = vec![message(Class::Alert, "alert", r#"{"a":1}"#)];
    store.core.commit(&names(), &commit).await.unwrap();
    store.close().await;

    let store = open(dir.path()).await;
    assert!(store.notices.is_empty(), "{:?}", store.notices);
    let alarms = store.reader().alarms(&ACTIVE, 10).await.unwrap();
    let [alarm] = &alarms[..] else { panic!("{alarms:?}") };
    assert_eq!((alarm.id.0, alarm.asset.as_str()), (7, PUMP));
    assert_eq!(alarm.tag.as_deref(), Some("pump-1.vibration"));
    assert_eq!(alarm.state, AlarmState::UnackedAlarm);
    assert_eq!(alarm.condition[0].tag, FLOW);
    assert_eq!(alarm.contributions[0].expected_std_dev.to_bits(), (0.1_f64 + 0.2).to_bits());
    assert_eq!(count(&store, "SELECT count(*) FROM alarm_journal").await, 1);
    assert_eq!(store.core.outbox_stats("scada").await.unwrap().rows, 1);
}

#[tokio::test]
async fn alarms_that_nobody_watches_are_closed_and_the_journal_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    store.core.commit(&names(), &commit_of(vec![raised(7), raised(8)])).await.unwrap();
    assert_eq!(store.core.close_orphaned_alarms(&[AlarmId(8)], at(60)).await.unwrap(), 1);
    let active = store.reader().alarms(&ACTIVE, 10).await.unwrap();
    assert_eq!(active.iter().map(|alarm| alarm.id.0).collect::<Vec<_>>(), [8]);
    let closed =
        "SELECT count(*) FROM alarm_journal WHERE alarm_id = 7 AND transition = 'returned'";
    assert_eq!(count(&store, closed).await, 1);
    assert_eq!(store.core.close_orphaned_alarms(&[AlarmId(8)], at(61)).await.unwrap(), 0);
}

#[tokio::test]
async fn an_alarm_and_the_state_that_knows_of_it_are_one_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut commit = commit_of(vec![raised(7)]);
    commit.snapshot = Some(b"knows of 7".to_vec());
    store.core.commit(&names(), &commit).await.unwrap();
    let (saved_at, bytes) = store.core.load_snapshot().await.unwrap().expect("it was saved");
    assert_eq!((saved_at, &bytes[..]), (at(1), &b"knows of 7"[..]));
}

#[tokio::test]
async fn an_alarm_is_one_record_and_each_transition_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let returned = alert(7, AlarmState::RtnUnacked, Transition::Returned, at(60));
    let over = alert(7, AlarmState::Normal, Transition::Acknowledged, at(90));
    for alert in [raised(7), returned, over] {
        store.core.commit(&names(), &commit_of(vec![alert])).await.unwrap();
    }
    assert_eq!(store.reader().alarms(&ACTIVE, 10).await.unwrap(), []);
    assert_eq!(store.reader().alarms(&ANY, 10).await.unwrap().len(), 1);
    assert_eq!(count(&store, "SELECT count(*) FROM alarm_journal").await, 3);
}

#[tokio::test]
async fn a_repeated_commit_adds_no_transition_and_no_repair_twice() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let repair = Maintenance {
        asset: PUMP.to_owned(),
        at: at(5),
        actor: "ana".to_owned(),
        note: "new bearing".to_owned(),
    };
    let mut commit = commit_of(vec![raised(7)]);
    commit.maintenance = vec![repair.clone()];
    for _ in 0..2 {
        store.core.commit(&names(), &commit).await.unwrap();
    }
    assert_eq!(count(&store, "SELECT count(*) FROM alarm_journal").await, 1);
    assert_eq!(store.reader().maintenance(PUMP, 10).await.unwrap(), [repair]);
    assert_eq!(store.reader().maintenance("acme/other", 10).await.unwrap(), []);
}

#[tokio::test]
async fn alarms_keep_their_names_when_a_changed_plant_numbers_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    store.core.commit(&names(), &commit_of(vec![raised(1)])).await.unwrap();
    let mut changed = plant();
    changed.assets.reverse();
    changed.tags.reverse();
    store.core.commit(&Names::of(&changed), &commit_of(vec![raised(2)])).await.unwrap();
    let of_pump = |path: &str| AlarmFilter { active_only: false, asset: Some(path.to_owned()) };
    let reader = store.reader();
    let ids = async |filter: AlarmFilter| -> Vec<u64> {
        reader.alarms(&filter, 10).await.unwrap().iter().map(|alarm| alarm.id.0).collect()
    };
    assert_eq!(ids(of_pump(PUMP)).await, [1]);
    assert_eq!(ids(of_pump("acme/lyon/utilities/water/pump-2")).await, [2]);
    assert_eq!(ids(AlarmFilter { active_only: true, ..of_pump(PUMP) }).await, [1]);
    assert_eq!(ids(ANY).await, [2, 1]);
}

#[tokio::test]
async fn marks_tell_alarms_returns_and_repairs_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let returned = alert(7, AlarmState::RtnUnacked, Transition::Returned, at(60));
    let mut commit = commit_of(vec![raised(7), returned]);
    commit.maintenance = vec![Maintenance {
        asset: PUMP.to_owned(),
        at: at(30),
        actor: "ana".to_owned(),
        note: String::new(),
    }];
    store.core.commit(&names(), &commit).await.unwrap();
    let reader = store.reader();
    let kinds = async |from, to| -> Vec<MarkKind> {
        let marks = reader.alarm_marks(PUMP, from, to).await.unwrap();
        marks.iter().map(|mark| mark.kind).collect()
    };
    let all = [MarkKind::Alarm, MarkKind::Repair, MarkKind::Returned];
    assert_eq!(kinds(at(0), at(60)).await, all);
    assert_eq!(kinds(at(1), at(59)).await, [MarkKind::Repair]);
}

#[tokio::test]
async fn old_alarms_are_forgotten_but_never_active_ones() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions { closed_alarms: 2, ..options() };
    let store = Store::open(dir.path(), options).await.unwrap();
    let mut alerts = vec![raised(1)];
    alerts.extend((2..=6).map(|id| alert(id, AlarmState::Normal, Transition::Returned, at(1))));
    store.core.commit(&names(), &commit_of(alerts)).await.unwrap();
    store.core.maintain().await.unwrap();
    let left = store.reader().alarms(&ANY, 10).await.unwrap();
    assert_eq!(left.iter().map(|alarm| alarm.id.0).collect::<Vec<_>>(), [6, 5, 1]);
    assert_eq!(count(&store, "SELECT count(*) FROM alarm_journal").await, 3);
}

#[tokio::test]
async fn a_full_disk_is_said_so_and_nothing_is_written_by_halves() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions { max_pages: Some(60), ..options() };
    let store = Store::open(dir.path(), options).await.unwrap();
    let mut written = 0;
    let error = loop {
        let mut commit = commit_of(vec![raised(written)]);
        commit.outgoing = vec![message(Class::Alert, "alert", &"x".repeat(2_000))];
        match store.core.commit(&names(), &commit).await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(error.to_string().contains("free space"), "{error}");
    assert!(!error.is_permanent());
    assert!(written > 0);
    let alarms = store.reader().alarms(&ANY, 1_000).await.unwrap().len();
    let messages = store.core.outbox_stats("scada").await.unwrap().rows;
    assert_eq!((u64::try_from(alarms).unwrap(), messages), (written, written));
    // An acknowledgement makes room, and writing goes on.
    let pending = store.core.outbox_pending("scada", &[], 10).await.unwrap();
    let ids: Vec<_> = pending.iter().map(|row| row.id).collect();
    store.core.outbox_acknowledge(&ids).await.unwrap();
    store.core.commit(&names(), &commit_of(vec![raised(written)])).await.unwrap();
}

#[tokio::test]
async fn plant_time_goes_on_after_the_newest_time_but_devices_do_not_set_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    assert_eq!(store.core.last_plant_time(), None);
    store.core.save_snapshot(b"state", at(100)).await.unwrap();
    store.core.commit(&names(), &CoreCommit { at: at(50), ..CoreCommit::default() }).await.unwrap();
    let from_the_future = readings(vec![super::reading(0, 9_999_999_999, 1.0)]);
    store.history.append(&names(), &from_the_future).await.unwrap();
    store.close().await;
    let store = open(dir.path()).await;
    assert_eq!(store.core.last_plant_time(), Some(at(100)));
    let batch = HistoryBatch { health: vec![health(200, 0.9)], ..HistoryBatch::default() };
    store.history.append(&names(), &batch).await.unwrap();
    store.close().await;
    assert_eq!(open(dir.path()).await.core.last_plant_time(), Some(at(200)));
}

#[tokio::test]
async fn the_newest_snapshot_comes_back_and_two_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    assert_eq!(store.core.load_snapshot().await.unwrap(), None);
    for second in 1..=4 {
        store.core.save_snapshot(&[u8::try_from(second).unwrap(); 9], at(second)).await.unwrap();
    }
    assert_eq!(count(&store, "SELECT count(*) FROM snapshot").await, 2);
    assert_eq!(store.core.load_snapshot().await.unwrap(), Some((at(4), vec![4; 9])));
}

#[tokio::test]
async fn a_damaged_snapshot_is_never_used_and_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected: Vec<Option<(Timestamp, Vec<u8>)>> =
        vec![Some((at(1), b"old".to_vec())), None];
    let store = open(dir.path()).await;
    store.core.save_snapshot(b"old", at(1)).await.unwrap();
    store.core.save_snapshot(b"new", at(2)).await.unwrap();
    store.close().await;
    while !expected.is_empty() {
        let store = open(dir.path()).await;
        let mut write = store.core.database.begin("a test").await.unwrap();
        sqlx::query("UPDATE snapshot SET body = x'00' WHERE id = (SELECT max(id) FROM snapshot)")
            .execute(&mut *write)
            .await
            .unwrap();
        write.commit().await.unwrap();
        store.close().await;
        let store = open(dir.path()).await;
        assert_eq!(store.core.load_snapshot().await.unwrap(), expected.remove(0));
        assert_eq!(store.notices.len(), 1);
        assert!(store.notices[0].contains("saved state"), "{:?}", store.notices);
        store.close().await;
    }
    assert!(open(dir.path()).await.notices.is_empty());
}
