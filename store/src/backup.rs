//! Backups of `core.db` while it is in use, and the way back from them: `backup/core-<n>.db`, the largest number is the
//! newest.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use crate::{
    StoreError,
    core::NEW_EPOCH,
    database::Database,
    files::{remove_if_there, sync_directory_of, with_suffix},
};

const DIRECTORY: &str = "backup";

/// Copies the database as it is now into a new backup and deletes the oldest beyond `keep`.
pub(crate) async fn make(database: &Database, keep: usize) -> Result<(), StoreError> {
    let doing = "a backup was made";
    if keep == 0 {
        return Ok(());
    }
    let directory = directory_of(&database.path);
    let file_error = |path: &Path| {
        let path = path.to_owned();
        move |source| StoreError::from_io(path, doing, source)
    };
    fs::create_dir_all(&directory).map_err(file_error(&directory))?;
    let backups = list(&directory).map_err(file_error(&directory))?;
    let number = backups.last().map_or(1, |(number, _)| number + 1);
    let path = directory.join(format!("core-{number}.db"));
    let temporary = with_suffix(&path, ".tmp");
    remove_if_there(&temporary).map_err(file_error(&temporary))?;
    copy(&database.path, &temporary).await.map_err(database.sql(doing))?;
    fs::File::open(&temporary)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(&temporary, &path))
        .and_then(|()| sync_directory_of(&path))
        .map_err(file_error(&path))?;
    let surplus = (backups.len() + 1).saturating_sub(keep);
    for (_, old) in backups.iter().take(surplus) {
        remove_if_there(old).map_err(file_error(old))?;
    }
    Ok(())
}

/// Copies the database in one read transaction, so that writers go on meanwhile. On a connection of its own, as one with
/// `query_only` refuses to.
async fn copy(database: &Path, to: &Path) -> Result<(), sqlx::Error> {
    let from = SqliteConnectOptions::new().filename(database).read_only(true);
    let mut connection = from.connect().await?;
    let copied = sqlx::query("VACUUM INTO ?1")
        .bind(to.to_string_lossy().into_owned())
        .execute(&mut connection)
        .await;
    connection.close().await?;
    copied.map(drop)
}

/// Puts the newest backup that passes the integrity check in the place of `core`, which is gone. Says which, if any.
pub(crate) async fn restore(core: &Path) -> Result<Option<PathBuf>, StoreError> {
    let doing = "a backup was restored";
    let directory = directory_of(core);
    let backups = match list(&directory) {
        Ok(backups) => backups,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StoreError::from_io(directory, doing, source)),
    };
    for (_, backup) in backups.into_iter().rev() {
        let candidate = with_suffix(core, ".restore");
        let file_error = |source| StoreError::from_io(&candidate, doing, source);
        fs::copy(&backup, &candidate).map_err(file_error)?;
        // The copy gets a new epoch, so that its numbers are not taken for those given since the backup.
        let is_good = check_and_renumber(&candidate).await.is_ok();
        if is_good {
            fs::File::open(&candidate)
                .and_then(|file| file.sync_all())
                .and_then(|()| fs::rename(&candidate, core))
                .and_then(|()| sync_directory_of(core))
                .map_err(file_error)?;
            return Ok(Some(backup));
        }
        remove_if_there(&candidate).map_err(file_error)?;
    }
    Ok(None)
}

async fn check_and_renumber(path: &Path) -> Result<(), sqlx::Error> {
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await?;
    let checked = async {
        let verdict: String =
            sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut connection).await?;
        if verdict != "ok" {
            return Err(sqlx::Error::Protocol(verdict));
        }
        sqlx::query(NEW_EPOCH).execute(&mut connection).await?;
        Ok(())
    }
    .await;
    connection.close().await?;
    checked
}

fn directory_of(core: &Path) -> PathBuf {
    core.with_file_name(DIRECTORY)
}

/// All backups with their numbers, oldest first.
fn list(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut backups = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_prefix("core-")?.strip_suffix(".db")?.parse().ok());
        backups.extend(number.map(|number| (number, path)));
    }
    backups.sort();
    Ok(backups)
}
