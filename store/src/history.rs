//! `hist.db` and its sealed segments: what may be lost by one commit interval. `synchronous=NORMAL`: a power cut may
//! take the last commits, never the consistency.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bellwether_domain::{AssetId, TagId, Timestamp};
use sqlx::sqlite::SqliteSynchronous;

use crate::{
    HistoryBatch, Names, StoreError, StoreOptions, adoption,
    codes::quality_code,
    database::{Database, Kind},
    health, losses, raw, retention, rollups, sealing,
    segments::RawRow,
    startup::{self, Opened},
    text::Text,
};

/// The file and its tables.
pub(crate) const KIND: Kind = Kind {
    file: "hist.db",
    synchronous: SqliteSynchronous::Normal,
    migrator: sqlx::migrate!("migrations/history"),
};

/// Raw history, rollups, health points and losses. Clones share one writer connection.
#[derive(Clone, Debug)]
pub struct History {
    pub(crate) database: Database,
    pub(crate) options: StoreOptions,
    pub(crate) segments: PathBuf,
    pub(crate) segment_bytes: Arc<AtomicU64>,
    ids: Arc<Mutex<HashMap<String, i64>>>,
    is_checked: Arc<AtomicBool>,
    /// The gaps that last on disk are those of this process.
    is_open_ours: Arc<AtomicBool>,
}

/// What one round of maintenance did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Readings sealed into segments.
    pub sealed_rows: u64,
    /// Segments written.
    pub segments: u64,
    /// Segments taken over that an earlier, lost database had written.
    pub adopted_segments: u64,
    /// Segments deleted because history outgrew its budget.
    pub dropped_segments: u64,
    /// Rollup buckets, health points and open readings deleted for the same reason.
    pub dropped_rows: u64,
}

impl History {
    /// Takes over the open database.
    pub(crate) async fn new(opened: Opened, options: StoreOptions) -> Result<Self, StoreError> {
        let Opened { database, is_checked, is_new } = opened;
        let segments = database.path.with_file_name("segments");
        fs::create_dir_all(&segments)
            .map_err(|source| StoreError::Directory { path: segments.clone(), source })?;
        let history = Self {
            database,
            options,
            segments,
            segment_bytes: Arc::default(),
            ids: Arc::default(),
            is_checked: Arc::new(AtomicBool::new(is_checked)),
            is_open_ours: Arc::default(),
        };
        adoption::tidy(&history, is_new).await?;
        Ok(history)
    }

    /// Newest time of a health point: the engine's own time, not a device's.
    pub(crate) async fn newest(&self) -> Result<Option<Timestamp>, StoreError> {
        let at: Option<i64> = sqlx::query_scalar(NEWEST)
            .fetch_optional(self.database.readers())
            .await
            .map_err(self.database.sql("it was opened"))?;
        Ok(at.map(Timestamp::from_micros))
    }

    /// Writes everything in one transaction; to be called every five seconds or so.
    ///
    /// # Errors
    /// [`StoreError::Full`] and others: nothing of the batch is on disk. Keep it and try again, or drop it and put a
    /// [`LossCause::StoreBehind`](bellwether_domain::LossCause::StoreBehind) in the next one.
    pub async fn append(&self, names: &Names, batch: &HistoryBatch) -> Result<(), StoreError> {
        self.remember_damage(self.write(names, batch).await)
    }

    async fn write(&self, names: &Names, batch: &HistoryBatch) -> Result<(), StoreError> {
        let doing = "history was written";
        let sql = self.database.sql(doing);
        let ids = self.ids_of(names, batch).await?;
        let rows = rows_of(batch, &ids);
        let mut write = self.database.begin(doing).await?;
        raw::add(&mut write, &rows).await.map_err(sql)?;
        rollups::add(&mut write, &rows).await.map_err(sql)?;
        for report in &batch.health {
            health::add_health(&mut write, ids.assets[&report.asset], report).await.map_err(sql)?;
        }
        for loss in &batch.losses {
            losses::add(&mut write, loss, &ids.tags, false).await.map_err(sql)?;
        }
        if let Some(open) = &batch.open_losses {
            // Gaps that lasted when the process before ended without warning: how they went on, nobody has seen.
            if !self.is_open_ours.load(Ordering::Relaxed) {
                sqlx::query(losses::CLOSE_OPEN).execute(&mut *write).await.map_err(sql)?;
            }
            losses::replace_open(&mut write, open, &ids.tags).await.map_err(sql)?;
        }
        write.commit().await?;
        self.is_open_ours.fetch_or(batch.open_losses.is_some(), Ordering::Relaxed);
        Ok(())
    }

    async fn ids_of(&self, names: &Names, batch: &HistoryBatch) -> Result<Ids, StoreError> {
        let gaps = batch.losses.iter().chain(batch.open_losses.iter().flatten());
        let missing = gaps.flat_map(|loss| loss.tags.iter().copied());
        let mut tags: Vec<TagId> =
            batch.readings.iter().map(|reading| reading.tag).chain(missing).collect();
        tags.sort_unstable();
        tags.dedup();
        let mut assets: Vec<AssetId> = batch.health.iter().map(|report| report.asset).collect();
        assets.sort_unstable();
        assets.dedup();
        let words = tags.iter().map(|tag| names.tag(*tag));
        let words = words.chain(assets.iter().map(|asset| names.asset(*asset)));
        let ids = self.ids(&words.collect::<Vec<_>>()).await?;
        let (tag_ids, asset_ids) = ids.split_at(tags.len());
        Ok(Ids {
            tags: tags.into_iter().zip(tag_ids.iter().copied()).collect(),
            assets: assets.into_iter().zip(asset_ids.iter().copied()).collect(),
        })
    }

    /// The short numbers of names, in the same order; new names get one.
    pub(crate) async fn ids(&self, names: &[&str]) -> Result<Vec<i64>, StoreError> {
        if let Some(ids) = self.known_ids(names) {
            return Ok(ids);
        }
        let doing = "names were written";
        let sql = self.database.sql(doing);
        let list = serde_json::Value::from(names).to_string();
        let mut write = self.database.begin(doing).await?;
        sqlx::query(ADD_NAMES).bind(&list).execute(&mut *write).await.map_err(sql)?;
        let rows: Vec<(Text, i64)> =
            sqlx::query_as(NAME_IDS).bind(&list).fetch_all(&mut *write).await.map_err(sql)?;
        // Known only once it is on disk: a number that was rolled back would be given to another name.
        write.commit().await?;
        self.ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(rows.into_iter().map(|(Text(name), id)| (name, id)));
        Ok(self.known_ids(names).expect("every name has just been given a number"))
    }

    fn known_ids(&self, names: &[&str]) -> Option<Vec<i64>> {
        let ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        names.iter().map(|name| ids.get(*name).copied()).collect()
    }

    /// A job, every ten seconds to a minute of real time: seals closed stretches of raw history into segments, keeps
    /// everything within its bytes, empties the log. Each call does a bounded amount of work. What polars does runs on a
    /// blocking thread, and the writer is held only for short transactions, so it delays no [`append`](Self::append).
    ///
    /// # Errors
    /// If any of it fails; the data stays where it was, and the next call tries again.
    pub async fn maintain(&self, now: Timestamp) -> Result<Maintained, StoreError> {
        self.remember_damage(self.maintain_steps(now).await)
    }

    async fn maintain_steps(&self, now: Timestamp) -> Result<Maintained, StoreError> {
        // A large file was not looked through at opening. Nothing is deleted from a database that may be damaged.
        if !self.is_checked.load(Ordering::Relaxed) {
            self.database.quick_check().await?;
            self.is_checked.store(true, Ordering::Relaxed);
        }
        let mut done = Maintained::default();
        adoption::adopt(self, &mut done).await?;
        sealing::seal(self, now, &mut done).await?;
        retention::shrink(self, &mut done).await?;
        self.database.compact().await?;
        Ok(done)
    }

    /// So that the next start looks through the file, however large it is.
    fn remember_damage<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Damaged { .. }) = &result {
            startup::suspect(&self.database.path);
        }
        result
    }

    /// Bytes on disk: the database with its log, and the sealed segments.
    pub fn bytes(&self) -> u64 {
        self.database.bytes() + self.segment_bytes.load(Ordering::Relaxed)
    }

    /// Where a segment lies.
    pub(crate) fn segment_path(&self, file: &str) -> PathBuf {
        segment_path(&self.segments, file)
    }
}

/// Where a segment lies. A name from a damaged database cannot lead out of the directory.
pub(crate) fn segment_path(directory: &Path, file: &str) -> PathBuf {
    directory.join(Path::new(file).file_name().unwrap_or_default())
}

struct Ids {
    tags: HashMap<TagId, i64>,
    assets: HashMap<AssetId, i64>,
}

/// The readings as they are on disk, ordered by time and name, the last of each.
fn rows_of(batch: &HistoryBatch, ids: &Ids) -> Vec<RawRow> {
    let row = |reading: &bellwether_domain::Reading| RawRow {
        at_us: reading.at.as_micros(),
        name_id: ids.tags[&reading.tag],
        // There is no usable value while quality is bad, so none is kept that somebody might use.
        value: (!matches!(reading.quality, bellwether_domain::Quality::Bad(_)))
            .then_some(reading.value)
            .filter(|value| value.is_finite()),
        quality: quality_code(reading.quality),
    };
    // Newest first, so that removing repetitions after the stable sort keeps the last.
    let mut rows: Vec<_> = batch.readings.iter().rev().map(row).collect();
    rows.sort_by_key(|row| (row.at_us, row.name_id));
    rows.dedup_by_key(|row| (row.at_us, row.name_id));
    rows
}

pub(crate) const NEWEST: &str = "SELECT at_us FROM health_point ORDER BY at_us DESC LIMIT 1";
pub(crate) const ADD_NAMES: &str =
    "INSERT INTO name (name) SELECT value FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING";
pub(crate) const NAME_IDS: &str =
    "SELECT name, id FROM name WHERE name IN (SELECT value FROM json_each(?1))";
