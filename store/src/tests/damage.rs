//! Whatever state the files are in, the gateway starts, or says in one sentence why not.

use std::{fs, path::Path};

use super::{FLOW, at, message, names, open, options, raised, reading, readings, sending};
use crate::{AlarmFilter, Class, CoreCommit, Store, StoreError};

const ANY: AlarmFilter = AlarmFilter { active_only: false, asset: None };

async fn filled(dir: &Path) -> Store {
    let store = open(dir).await;
    let commit = CoreCommit { at: at(1), alerts: vec![raised(1)], ..CoreCommit::default() };
    store.core.commit(&names(), &commit).await.unwrap();
    let values = (0..500).map(|second| reading(0, second, 1.5)).collect();
    store.history.append(&names(), &readings(values)).await.unwrap();
    store
}

fn quarantined(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir.join("quarantine")) else { return Vec::new() };
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.ends_with("-wal") && !name.ends_with("-shm"));
    names.sort();
    names
}

/// Damages a file of a closed store, opens it again and returns it.
async fn reopened(dir: &Path, file: &str, damage: impl Fn(&mut Vec<u8>)) -> Store {
    filled(dir).await.close().await;
    let path = dir.join(file);
    let mut bytes = fs::read(&path).unwrap();
    damage(&mut bytes);
    fs::write(&path, bytes).unwrap();
    open(dir).await
}

async fn check_history_begins_anew(damage: impl Fn(&mut Vec<u8>)) {
    let dir = tempfile::tempdir().unwrap();
    let store = reopened(dir.path(), "hist.db", damage).await;
    let [notice] = &store.notices[..] else { panic!("{:?}", store.notices) };
    assert!(notice.starts_with("hist.db was damaged"), "{notice}");
    assert!(notice.contains("check the disk"), "{notice}");
    assert_eq!(quarantined(dir.path()), [format!("hist.db.{}", at(0).as_micros())]);
    assert_eq!(store.reader().alarms(&ANY, 9).await.unwrap().len(), 1, "alarms are untouched");
    store.history.append(&names(), &readings(vec![reading(0, 1, 2.0)])).await.unwrap();
    let history = store.reader().tag_history(FLOW, at(0), at(1_000), 100).await.unwrap();
    assert_eq!(history.mean, [Some(2.0)]);
    store.close().await;
    assert!(open(dir.path()).await.notices.is_empty(), "said once");
}

#[tokio::test]
async fn history_with_a_garbage_header_is_moved_aside() {
    check_history_begins_anew(|bytes| bytes[..64].fill(0xa5)).await;
}

#[tokio::test]
async fn truncated_history_is_moved_aside() {
    check_history_begins_anew(|bytes| bytes.truncate(bytes.len() / 2 + 100)).await;
}

#[tokio::test]
async fn history_whose_pages_are_shuffled_is_moved_aside() {
    check_history_begins_anew(|bytes| {
        let end = bytes.len();
        bytes[8_192..end].rotate_left(4_096);
    })
    .await;
}

#[tokio::test]
async fn history_whose_tables_are_not_ours_is_moved_aside() {
    check_history_begins_anew(|bytes| {
        let name = bytes.windows(13).position(|part| part == b"health_point ").unwrap();
        bytes[name] = b'w';
    })
    .await;
}

#[tokio::test]
async fn whatever_bits_flip_the_gateway_starts() {
    // xorshift, seeded; printed by the assertion.
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let rounds = if std::env::var_os("BELLWETHER_SLOW").is_some() { 1_500 } else { 24 };
    for round in 0..rounds {
        let file = if round % 2 == 0 { "hist.db" } else { "core.db" };
        let dir = tempfile::tempdir().unwrap();
        let flips: Vec<u64> = (0..1 << (round % 7))
            .map(|_| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed
            })
            .collect();
        let store = reopened(dir.path(), file, |bytes| {
            for flip in &flips {
                let bits = u64::try_from(bytes.len()).unwrap() * 8;
                let bit = usize::try_from(flip % bits).unwrap();
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        })
        .await;
        // Nothing that is shown or written afterwards may fail, whether or not the damage was found.
        let context = format!("round {round}, {file}, flips {flips:?}");
        store.reader().alarms(&ANY, 9).await.expect(&context);
        store.reader().tag_history(FLOW, at(0), at(1_000), 10).await.expect(&context);
        let commit = CoreCommit { at: at(2), alerts: vec![raised(2)], ..CoreCommit::default() };
        store.core.commit(&names(), &commit).await.expect(&context);
        let batch = readings(vec![reading(0, 1, 2.0)]);
        store.history.append(&names(), &batch).await.expect(&context);
        store.close().await;
    }
}

#[tokio::test]
async fn a_damaged_core_without_backup_is_said_loudly() {
    let dir = tempfile::tempdir().unwrap();
    let store = reopened(dir.path(), "core.db", |bytes| bytes[..64].fill(0)).await;
    let [notice] = &store.notices[..] else { panic!("{:?}", store.notices) };
    assert!(notice.contains("ALARM HISTORY"), "{notice}");
    assert_eq!(store.reader().alarms(&ANY, 9).await.unwrap(), []);
    let history = store.reader().tag_history(FLOW, at(0), at(1_000), 1_000).await.unwrap();
    assert_eq!(history.at.len(), 500, "history is untouched");
}

#[tokio::test]
async fn a_damaged_core_comes_back_from_the_newest_good_backup_under_a_new_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let send = sending(vec![message(Class::Alert, "alert", "{}")]);
    store.core.commit(&names(), &send).await.unwrap();
    let before = store.core.outbox_pending("scada", &[], 9).await.unwrap();
    store.core.maintain().await.unwrap();
    store.core.commit(&names(), &send).await.unwrap();
    store.core.maintain().await.unwrap();
    store.close().await;
    let damage = |file: &str| {
        let path = dir.path().join(file);
        let length = usize::try_from(fs::metadata(&path).unwrap().len()).unwrap();
        fs::write(path, vec![0x5a; length]).unwrap();
    };
    damage("core.db");
    damage("backup/core-2.db");
    let store = open(dir.path()).await;
    let [notice] = &store.notices[..] else { panic!("{:?}", store.notices) };
    assert!(notice.contains("core-1.db was restored"), "{notice}");
    assert_eq!(store.reader().alarms(&ANY, 9).await.unwrap().len(), 1);
    let after = store.core.outbox_pending("scada", &[], 9).await.unwrap();
    assert_eq!((after.len(), after[0].sequence), (1, before[0].sequence));
    // Number 2 was given to a message that is lost and will be given again: the stream must be another one.
    assert_ne!(after[0].epoch, before[0].epoch);
}

#[tokio::test]
async fn only_the_newest_backups_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let options = crate::StoreOptions { backups: 2, ..options() };
    let store = Store::open(dir.path(), options).await.unwrap();
    for _ in 0..12 {
        store.core.maintain().await.unwrap();
    }
    let mut files: Vec<_> = fs::read_dir(dir.path().join("backup"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["core-11.db", "core-12.db"]);
}

#[tokio::test]
async fn only_the_newest_damaged_file_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    for seconds in [1, 2] {
        filled(dir.path()).await.close().await;
        fs::write(dir.path().join("hist.db"), vec![0x5a; 8_192]).unwrap();
        let options = crate::StoreOptions::new(at(seconds));
        Store::open(dir.path(), options).await.unwrap().close().await;
    }
    assert_eq!(quarantined(dir.path()), [format!("hist.db.{}", at(2).as_micros())]);
}

#[tokio::test]
async fn a_second_gateway_on_the_same_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let error = Store::open(dir.path(), options()).await.unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
    assert!(error.to_string().contains("in use by another gateway"), "{error}");
    assert!(error.is_permanent());
    store.close().await;
    open(dir.path()).await;
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a-file");
    fs::write(&file, b"").unwrap();
    for path in [file.clone(), file.join("below"), Path::new("/proc/bellwether").to_owned()] {
        let error = Store::open(&path, options()).await.unwrap_err();
        assert!(matches!(error, StoreError::Directory { .. }), "{error:?}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_missing_directory_is_made() {
    let dir = tempfile::tempdir().unwrap();
    open(&dir.path().join("var/lib/bellwether")).await;
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let mut write = store.core.database.begin("a test").await.unwrap();
    sqlx::query("UPDATE _sqlx_migrations SET version = 9999").execute(&mut *write).await.unwrap();
    write.commit().await.unwrap();
    store.close().await;
    let error = Store::open(dir.path(), options()).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { file: "core.db" }), "{error:?}");
    assert_eq!(quarantined(dir.path()), [""; 0]);
}
