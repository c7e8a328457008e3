//! Every statement can be prepared, and none walks through a whole table.

use sqlx::{Row, SqlitePool, migrate::Migrator, sqlite::SqlitePoolOptions};

use super::{FLOW, at, names, open, options, raised};
use crate::{
    AlarmFilter, CoreCommit, Store, alarms, core, health, history, losses, outbox, raw, retention,
    rollups, sealing, snapshot,
};

const CORE: [&str; 35] = [
    outbox::PENDING,
    outbox::ACKNOWLEDGE,
    outbox::TOTAL,
    outbox::OLDEST,
    outbox::NEXT_SEQUENCE,
    outbox::ADD,
    outbox::SUMMARIES,
    outbox::CUT,
    outbox::LOST,
    outbox::DROP_OLD_GAPS,
    outbox::DROP_OLDEST,
    outbox::ADD_GAP,
    alarms::UPSERT,
    alarms::JOURNAL,
    alarms::JOURNAL_ORPHANS,
    alarms::CLOSE_ORPHANS,
    alarms::ALL,
    alarms::ACTIVE,
    alarms::OF_ASSET,
    alarms::ACTIVE_OF_ASSET,
    alarms::MARKS_OF_ALARMS,
    alarms::MARKS_OF_REPAIRS,
    alarms::ADD_MAINTENANCE,
    alarms::MAINTENANCE,
    alarms::FORGET,
    snapshot::SAVE,
    snapshot::KEEP_TWO,
    snapshot::NEWEST,
    snapshot::DISCARD,
    core::EPOCH,
    core::NEW_EPOCH,
    core::NOTE_TIME,
    core::LAST_TIME,
    "DELETE FROM alarm_journal WHERE alarm_id = ?1",
    "DELETE FROM outbox_gap WHERE outbox_id = ?1",
];

const HISTORY: [&str; 37] = [
    raw::OF_TAG,
    raw::FIRST,
    raw::STRETCH,
    raw::COUNT_UP_TO,
    raw::REMOVE_UP_TO,
    rollups::READ,
    rollups::FIRST,
    rollups::LAST,
    health::ADD_HEALTH,
    health::HEALTH,
    losses::ADD,
    losses::FIND_SET,
    losses::ADD_SET,
    losses::ADD_MEMBERS,
    losses::DROP_OPEN,
    losses::CLOSE_OPEN,
    losses::LIST,
    losses::COUNT,
    losses::MEMBERS,
    history::NEWEST,
    history::ADD_NAMES,
    history::NAME_IDS,
    crate::tag_history::NAME_ID,
    sealing::IS_SEALED,
    sealing::HAS_STRAGGLERS,
    sealing::LIST_SEGMENT,
    crate::adoption::ADOPTING,
    crate::adoption::SET_ADOPTING,
    sealing::OF_STRETCH,
    retention::RAW_FLOOR,
    retention::SET_RAW_FLOOR,
    retention::FORGET_LOSSES,
    retention::FORGET_LOSSES_OF_SETS,
    retention::FORGET_SETS,
    retention::OLDEST_SEGMENT,
    retention::DROP_SEGMENT,
    "SELECT 1 FROM raw WHERE at_us = ?1 AND name_id = ?2",
];

/// Whole tables that may be read: they are small, or all of them is wanted, in the order of an index.
fn is_fine(step: &str) -> bool {
    let scans = step.starts_with("SCAN ");
    let in_order_of_an_index =
        step.contains("USING INDEX") || step.contains("USING COVERING INDEX");
    let is_small = ["json_each", "(subquery", "lost", "concerned", "CONSTANT", "g"]
        .iter()
        .any(|name| step.split(' ').nth(1).is_some_and(|table| table.starts_with(name)));
    // A table in the order of its own key, up to a limit.
    let by_key = [
        "SCAN snapshot",
        "SCAN raw",
        "SCAN health_point",
        "SCAN loss",
        "SCAN outbox_gap",
        "SCAN tag_set",
    ]
    .contains(&step);
    !scans || in_order_of_an_index || is_small || by_key
}

async fn plan(pool: &SqlitePool, statement: &str) -> Vec<String> {
    let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
    let rows = sqlx::query(explain).fetch_all(pool).await.expect(statement);
    rows.iter().map(|row| row.get("detail")).collect()
}

#[tokio::test]
async fn no_statement_walks_through_a_whole_table() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let core = CORE.map(|statement| (store.core.database.readers(), statement));
    let history = HISTORY.map(|statement| (store.history.database.readers(), statement));
    let retention = retention::statements().map(|it| (store.history.database.readers(), it));
    let mut slow = Vec::new();
    for (pool, statement) in core.into_iter().chain(history).chain(retention) {
        let plan = plan(pool, statement).await;
        slow.extend(plan.into_iter().filter(|step| !is_fine(step)).map(|step| (step, statement)));
    }
    assert!(slow.is_empty(), "{slow:#?}");
}

#[tokio::test]
async fn lists_come_in_the_order_of_an_index() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let lists = [
        alarms::ALL,
        alarms::ACTIVE,
        alarms::OF_ASSET,
        alarms::ACTIVE_OF_ASSET,
        alarms::MARKS_OF_ALARMS,
        outbox::PENDING,
    ];
    for list in lists {
        let plan = plan(store.core.database.readers(), list).await;
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:?}\n{list}");
    }
    for list in [raw::OF_TAG, raw::STRETCH, rollups::READ, health::HEALTH, losses::LIST] {
        let plan = plan(store.history.database.readers(), list).await;
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:?}\n{list}");
    }
}

#[tokio::test]
async fn readers_cannot_write_and_writers_are_safe() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for database in [&store.core.database, &store.history.database] {
        sqlx::query("DELETE FROM meta").execute(database.readers()).await.unwrap_err();
        let mut write = database.begin("a test").await.unwrap();
        let journal: String =
            sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *write).await.unwrap();
        let synchronous: i64 =
            sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *write).await.unwrap();
        let vacuum: i64 =
            sqlx::query_scalar("PRAGMA auto_vacuum").fetch_one(&mut *write).await.unwrap();
        let keys: i64 =
            sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(&mut *write).await.unwrap();
        let full = if database.file == "core.db" { 2 } else { 1 };
        assert_eq!((journal.as_str(), synchronous, vacuum, keys), ("wal", full, 2, 1));
    }
}

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date_with_its_data() {
    let dir = tempfile::tempdir().unwrap();
    for kind in [&core::KIND, &history::KIND] {
        let first = kind.migrator.iter().next().unwrap().clone();
        let connect = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(dir.path().join(kind.file))
            .create_if_missing(true)
            .auto_vacuum(sqlx::sqlite::SqliteAutoVacuum::Incremental);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(connect).await.unwrap();
        Migrator::with_migrations(vec![first]).run(&pool).await.unwrap();
        if kind.file == "core.db" {
            let alarm =
                "INSERT INTO alarm VALUES (7, 'acme/pump', NULL, 'no_data', 'unacked_alarm',
                'low', 'monitor', 1, NULL, NULL, NULL, 'data_missing', 'no data',
                '{\"v\":1,\"condition\":[],\"contributions\":[]}')";
            sqlx::query(alarm).execute(&pool).await.unwrap();
        }
        pool.close().await;
    }
    let store = Store::open(dir.path(), options()).await.unwrap();
    assert!(store.notices.is_empty(), "{:?}", store.notices);
    let commit = CoreCommit { at: at(1), alerts: vec![raised(8)], ..CoreCommit::default() };
    store.core.commit(&names(), &commit).await.unwrap();
    let alarms = store.reader().alarms(&AlarmFilter::default(), 9).await.unwrap();
    assert_eq!(alarms.iter().map(|alarm| alarm.id.0).collect::<Vec<_>>(), [8, 7]);
    assert!(store.reader().tag_history(FLOW, at(0), at(9), 9).await.unwrap().at.is_empty());
}
