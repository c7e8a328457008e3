//! `core.db`: what must not be lost. `synchronous=FULL`: when a call returns, it is on disk.

use bellwether_domain::{AlarmId, Timestamp};
use sqlx::{SqliteConnection, sqlite::SqliteSynchronous};

use crate::{
    Class, CoreCommit, Names, OutboxRow, OutboxStats, StoreError, StoreOptions, alarms, backup,
    database::{Database, Kind, within_limit},
    outbox, snapshot,
    text::Text,
};

/// The file and its tables.
pub(crate) const KIND: Kind = Kind {
    file: "core.db",
    synchronous: SqliteSynchronous::Full,
    migrator: sqlx::migrate!("migrations/core"),
};

/// Alarms, outbox, repairs and the engine's snapshot. Clones share one writer connection.
#[derive(Clone, Debug)]
pub struct Core {
    pub(crate) database: Database,
    options: StoreOptions,
    last_plant_time: Option<Timestamp>,
}

impl Core {
    /// Takes over the open database; `history` is the newest time known there.
    pub(crate) async fn new(
        database: Database,
        options: StoreOptions,
        history: Option<Timestamp>,
        notices: &mut Vec<String>,
    ) -> Result<Self, StoreError> {
        let doing = "it was opened";
        let sql = database.sql(doing);
        let readers = database.readers();
        // Nothing is written unless it must be: with a full disk the gateway still starts and watches.
        let epoch: Option<Text> =
            sqlx::query_scalar(EPOCH).fetch_optional(readers).await.map_err(sql)?;
        if epoch.is_none() {
            let mut write = database.begin(doing).await?;
            sqlx::query(NEW_EPOCH).execute(&mut *write).await.map_err(sql)?;
            write.commit().await?;
        }
        notices.extend(snapshot::verify(&database).await?);
        let core: Option<i64> =
            sqlx::query_scalar(LAST_TIME).fetch_one(readers).await.map_err(sql)?;
        let last_plant_time = core.map(Timestamp::from_micros).max(history);
        Ok(Self { database, options, last_plant_time })
    }

    /// Writes everything in one transaction: all of it is on disk when this returns, or nothing. Repeating a commit that
    /// failed adds no transition and no repair twice; a message that was written nevertheless is sent twice.
    ///
    /// # Errors
    /// [`StoreError::Full`] and others; keep the commit and try again later.
    pub async fn commit(&self, names: &Names, commit: &CoreCommit) -> Result<(), StoreError> {
        let doing = "alarms and messages were written";
        let sql = self.database.sql(doing);
        let mut write = self.database.begin(doing).await?;
        self.write(&mut write, names, commit).await.map_err(sql)?;
        write.commit().await
    }

    async fn write(
        &self,
        connection: &mut SqliteConnection,
        names: &Names,
        commit: &CoreCommit,
    ) -> Result<(), sqlx::Error> {
        for alert in &commit.alerts {
            alarms::write(connection, names, alert).await?;
        }
        for repair in &commit.maintenance {
            alarms::add_maintenance(connection, repair).await?;
        }
        for message in &commit.outgoing {
            outbox::add(connection, message).await?;
        }
        if let Some(bytes) = &commit.snapshot {
            snapshot::save(connection, bytes, commit.at).await?;
        }
        let bounds =
            outbox::Bounds { rows: self.options.summary_rows, bytes: self.options.summary_bytes };
        for uplink in uplinks_with_summaries(commit) {
            outbox::trim(connection, uplink, bounds).await?;
        }
        note_time(connection, commit.at).await
    }

    /// Closes the active alarms that the engine does not know of, because what it knew could not be read: without this
    /// they would stand for ever. Each leaves a `returned` in the journal.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub async fn close_orphaned_alarms(
        &self,
        watched: &[AlarmId],
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        let doing = "alarms that nobody watches were closed";
        let sql = self.database.sql(doing);
        let mut write = self.database.begin(doing).await?;
        let closed = alarms::close_orphans(&mut write, watched, at).await.map_err(sql)?;
        write.commit().await?;
        Ok(closed)
    }

    /// Keeps the engine's snapshot; the two newest stay.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub async fn save_snapshot(&self, bytes: &[u8], at: Timestamp) -> Result<(), StoreError> {
        let doing = "the analysis' state was saved";
        let sql = self.database.sql(doing);
        let mut write = self.database.begin(doing).await?;
        snapshot::save(&mut write, bytes, at).await.map_err(sql)?;
        note_time(&mut write, at).await.map_err(sql)?;
        write.commit().await
    }

    /// The newest undamaged snapshot; damaged ones were discarded, with a notice, at opening.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn load_snapshot(&self) -> Result<Option<(Timestamp, Vec<u8>)>, StoreError> {
        let doing = "the analysis' state was read";
        let sql = self.database.sql(doing);
        within_limit(doing, async { snapshot::load(self.database.readers()).await.map_err(sql) })
            .await
    }

    /// Random text that no other database has: consumers count messages within it, and it tells this gateway from
    /// others of the same name. A database restored from its backup gets another one.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn epoch(&self) -> Result<String, StoreError> {
        let doing = "the epoch was read";
        let sql = self.database.sql(doing);
        within_limit(doing, async {
            let epoch: Text =
                sqlx::query_scalar(EPOCH).fetch_one(self.database.readers()).await.map_err(sql)?;
            Ok(epoch.0)
        })
        .await
    }

    /// Messages to send next: alerts first, then by age, without those in flight.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn outbox_pending(
        &self,
        uplink: &str,
        in_flight: &[i64],
        limit: u32,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let doing = "waiting messages were read";
        let sql = self.database.sql(doing);
        let readers = self.database.readers();
        within_limit(doing, async {
            outbox::pending(readers, uplink, in_flight, limit).await.map_err(sql)
        })
        .await
    }

    /// Deletes exactly these messages; ids that are gone are fine.
    ///
    /// # Errors
    /// As [`commit`](Self::commit); the messages will then be sent again.
    pub async fn outbox_acknowledge(&self, ids: &[i64]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let doing = "acknowledged messages were deleted";
        let sql = self.database.sql(doing);
        let mut write = self.database.begin(doing).await?;
        outbox::acknowledge(&mut write, ids).await.map_err(sql)?;
        write.commit().await
    }

    /// What waits for one uplink.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn outbox_stats(&self, uplink: &str) -> Result<OutboxStats, StoreError> {
        let doing = "waiting messages were counted";
        let sql = self.database.sql(doing);
        within_limit(doing, async {
            outbox::stats(self.database.readers(), uplink).await.map_err(sql)
        })
        .await
    }

    /// Newest plant time that was on disk, in either database, when the store was opened: plant time goes on after it.
    /// Times that devices sent do not count, as a device's clock may be years ahead.
    pub const fn last_plant_time(&self) -> Option<Timestamp> {
        self.last_plant_time
    }

    /// A job, once an hour of real time: bounds the record of closed alarms, makes a backup, empties the log.
    ///
    /// # Errors
    /// If any of it fails; nothing that matters is lost.
    pub async fn maintain(&self) -> Result<(), StoreError> {
        let doing = "old alarms were deleted";
        let sql = self.database.sql(doing);
        let mut write = self.database.begin(doing).await?;
        alarms::forget(&mut write, self.options.closed_alarms).await.map_err(sql)?;
        write.commit().await?;
        backup::make(&self.database, self.options.backups).await?;
        self.database.compact().await
    }

    /// Bytes on disk, without backups.
    pub fn bytes(&self) -> u64 {
        self.database.bytes()
    }
}

fn uplinks_with_summaries(commit: &CoreCommit) -> Vec<&str> {
    let mut uplinks: Vec<_> = commit
        .outgoing
        .iter()
        .filter(|message| message.class == Class::Summary)
        .map(|message| message.uplink.as_str())
        .collect();
    uplinks.sort_unstable();
    uplinks.dedup();
    uplinks
}

pub(crate) const EPOCH: &str = "SELECT value FROM meta WHERE key = 'epoch'";
/// For a new database, and after a restore: numbers that were given since the backup will be given again, so consumers
/// must see new streams.
pub(crate) const NEW_EPOCH: &str = "
    INSERT INTO meta (key, value) VALUES ('epoch', lower(hex(randomblob(6))))
    ON CONFLICT DO UPDATE SET value = excluded.value";
pub(crate) const NOTE_TIME: &str = "
    INSERT INTO meta (key, value) VALUES ('last_plant_time_us', ?1)
    ON CONFLICT DO UPDATE SET value = max(CAST(value AS INTEGER), ?1)";
pub(crate) const LAST_TIME: &str =
    "SELECT (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'last_plant_time_us')";

async fn note_time(connection: &mut SqliteConnection, at: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query(NOTE_TIME).bind(at.as_micros()).execute(connection).await?;
    Ok(())
}
