//! One SQLite file: its writer connection, its read-only connections, its health.

use std::{
    future::Future,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    Executor, Sqlite, SqlitePool, Transaction,
    migrate::Migrator,
    sqlite::{
        SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions,
        SqliteSynchronous,
    },
};

use crate::{
    StoreError, StoreOptions,
    files::{DirectoryLock, size_of, with_suffix},
    text::Text,
    transaction::Write,
};

/// How long a reader may take. Writes have no limit: a cancelled write may have happened nevertheless.
const READ_LIMIT: Duration = Duration::from_secs(10);
/// How long SQLite waits for a lock before it gives up (rule of `protocols.md` 2.5).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections for reading: more would only queue at the disk.
const READERS: u32 = 4;
/// First version without the WAL-reset bug (<https://www.sqlite.org/wal.html#walresetbug>).
const SQLITE_MIN: (u32, u32, u32) = (3, 51, 3);

/// What a database file is called, how safe it is, and which tables it has.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) file: &'static str,
    pub(crate) synchronous: SqliteSynchronous,
    pub(crate) migrator: Migrator,
}

/// An open database. Clones share the connections and keep the directory locked.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pub(crate) file: &'static str,
    pub(crate) path: PathBuf,
    writer: SqlitePool,
    readers: SqlitePool,
    _lock: DirectoryLock,
}

impl Database {
    /// Opens or makes the file and brings its tables up to date. Of a damaged file nothing stays open.
    pub(crate) async fn open(
        dir: &Path,
        kind: &Kind,
        lock: &DirectoryLock,
        options: &StoreOptions,
    ) -> Result<Self, StoreError> {
        let file = kind.file;
        let path = dir.join(file);
        let sql = |error| StoreError::from_sql(file, "it was opened", error);
        // One writer: two would meet SQLITE_BUSY and, while checkpointing, worse. It lives as long as the process.
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .test_before_acquire(false)
            .connect_with(writing(&path, kind, options))
            .await
            .map_err(sql)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(reading(&path));
        let database = Self { file, path, writer, readers, _lock: lock.clone() };
        match database.prepare(kind).await {
            Ok(()) => Ok(database),
            Err(error) => {
                database.close().await;
                Err(error)
            }
        }
    }

    async fn prepare(&self, kind: &Kind) -> Result<(), StoreError> {
        let doing = "it was opened";
        let version: String = sqlx::query_scalar("SELECT sqlite_version()")
            .fetch_one(&self.writer)
            .await
            .map_err(self.sql(doing))?;
        if version_of(&version) < Some(SQLITE_MIN) {
            return Err(StoreError::OldSqlite { version });
        }
        kind.migrator
            .run(&self.writer)
            .await
            .map_err(|error| StoreError::from_migration(self.file, error))?;
        // A flipped bit in a table's definition is no damage to SQLite, but the next statement would fail.
        let actual = schema(&self.writer).await.map_err(self.sql(doing))?;
        let expected = expected_schema(kind).await.map_err(self.sql(doing))?;
        if actual == expected {
            return Ok(());
        }
        Err(self.damaged(doing, "its tables are not those of this version".to_owned()))
    }

    /// Looks through the whole file for damage.
    pub(crate) async fn quick_check(&self) -> Result<(), StoreError> {
        let doing = "it was checked";
        let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)")
            .fetch_one(&self.readers)
            .await
            .map_err(self.sql(doing))?;
        if verdict == "ok" { Ok(()) } else { Err(self.damaged(doing, verdict)) }
    }

    fn damaged(&self, doing: &'static str, verdict: String) -> StoreError {
        StoreError::Damaged { file: self.file, doing, source: verdict.into() }
    }

    /// Begins a write, as soon as the one before it has ended.
    pub(crate) async fn begin(&self, doing: &'static str) -> Result<Write, StoreError> {
        let sql = self.sql(doing);
        let connection = self.writer.acquire().await.map_err(sql)?;
        Write::begin(connection, self.file, doing).await
    }

    /// Begins a read that sees one state of the database however many statements it has.
    pub(crate) async fn begin_read(
        &self,
        doing: &'static str,
    ) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.readers.begin().await.map_err(self.sql(doing))
    }

    /// The read-only connections.
    pub(crate) const fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// Turns what sqlx says into what a person can act on.
    pub(crate) fn sql(
        &self,
        doing: &'static str,
    ) -> impl Fn(sqlx::Error) -> StoreError + Copy + use<> {
        let file = self.file;
        move |error| StoreError::from_sql(file, doing, error)
    }

    /// Bytes in use, without pages that are free for reuse.
    pub(crate) async fn live_bytes(&self) -> Result<u64, StoreError> {
        let sql = "SELECT (page_count - freelist_count) * page_size
             FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
        let bytes: i64 = sqlx::query_scalar(sql)
            .fetch_one(&self.readers)
            .await
            .map_err(self.sql("its size was asked for"))?;
        Ok(bytes.max(0).unsigned_abs())
    }

    /// Bytes on disk, with the write-ahead log.
    pub(crate) fn bytes(&self) -> u64 {
        size_of(&self.path) + size_of(&with_suffix(&self.path, "-wal"))
    }

    /// Empties the write-ahead log, as far as readers allow, and gives free pages back to the disk.
    pub(crate) async fn compact(&self) -> Result<(), StoreError> {
        let sql = self.sql("its log was emptied");
        self.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").await.map_err(sql)?;
        // Each step of the statement frees a page, so all its rows must be fetched.
        self.writer.fetch_all("PRAGMA incremental_vacuum(2000)").await.map_err(sql)?;
        Ok(())
    }

    /// Closes all connections; the last one empties the log.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Gives up on a read that takes too long, so that it cannot hold back the checkpoint. For reads only.
pub(crate) async fn within_limit<T>(
    doing: &'static str,
    read: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(READ_LIMIT, read)
        .await
        .map_err(|_| StoreError::Slow { doing, limit: READ_LIMIT })?
}

fn writing(path: &Path, kind: &Kind, options: &StoreOptions) -> SqliteConnectOptions {
    let connect = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(kind.synchronous)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("journal_size_limit", "67108864");
    match options.max_pages {
        Some(pages) => connect.pragma("max_page_count", pages.to_string()),
        None => connect,
    }
}

fn reading(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("query_only", "ON")
}

type Schema = Vec<(Text, Option<Text>)>;

async fn schema(pool: &SqlitePool) -> Result<Schema, sqlx::Error> {
    sqlx::query_as(
        "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%' ORDER BY name",
    )
    .fetch_all(pool)
    .await
}

async fn expected_schema(kind: &Kind) -> Result<Schema, sqlx::Error> {
    let memory = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(SqliteConnectOptions::new().in_memory(true))
        .await?;
    let migrated = kind.migrator.run(&memory).await;
    let schema = schema(&memory).await;
    memory.close().await;
    migrated?;
    schema
}

fn version_of(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(version_of("3.51.2") < Some(SQLITE_MIN));
        assert!(version_of("3.9.9") < Some(SQLITE_MIN));
        assert!(version_of("3.51.3") >= Some(SQLITE_MIN));
        assert!(version_of("3.100.0") >= Some(SQLITE_MIN));
        assert!(version_of("nonsense") < Some(SQLITE_MIN));
    }
}
