//! Sealing: closed stretches of raw history become Parquet segments.
//!
//! A stretch is closed an hour after its end. What comes late for a sealed stretch, or from a device whose clock is ahead,
//! waits in the open part until there is enough of it; it is read from there all the same, so order never matters.
//!
//! The file is on disk before the transaction that lists it and deletes its rows. A crash in between leaves a file that
//! is not listed, and its rows where they were: the next start deletes the file (`adoption`).

use std::{collections::HashMap, path::Path, sync::atomic::Ordering};

use bellwether_domain::Timestamp;
use sqlx::SqliteConnection;
use tracing::warn;

use crate::{
    History, Maintained, StoreError,
    files::{crc32c, remove_if_there, write_atomic},
    raw,
    rollups::floor,
    segments::{self, Expected, RawRow, TagRows, blocking},
    text::Text,
};

/// A stretch is sealed this long after its end.
const CLOSED_AFTER_US: i64 = 3_600_000_000;
/// Readings in one segment at most: bounds memory to some tens of MB.
const SEGMENT_ROWS: i64 = 250_000;
/// Late or early readings are worth a segment of their own from here on.
const STRAGGLERS: i64 = 5_000;
/// Stretches looked at, and segments written, in one round.
const ROUND: usize = 64;

/// Seals what is closed.
pub(crate) async fn seal(
    history: &History,
    now: Timestamp,
    done: &mut Maintained,
) -> Result<(), StoreError> {
    let span = i64::try_from(history.options.segment.as_micros()).unwrap_or(i64::MAX).max(1);
    let mut from_us = i64::MIN;
    for _ in 0..ROUND {
        let Some(first) = first_open(history, from_us).await? else { return Ok(()) };
        let start = floor(first, span);
        let last = start.saturating_add(span - 1);
        // Beyond an early device's stretch lies nothing of interest; beyond the open one may lie such a stretch.
        from_us = last.saturating_add(1);
        while is_due(history, now, first, last).await? {
            let rows = stretch(history, first, last).await?;
            let Some(sealed) = seal_rows(history, rows).await? else { break };
            done.sealed_rows += sealed;
            done.segments += 1;
            if i64::try_from(sealed).is_ok_and(|sealed| sealed < SEGMENT_ROWS) {
                break;
            }
        }
        if from_us == i64::MAX {
            return Ok(());
        }
    }
    Ok(())
}

async fn first_open(history: &History, from_us: i64) -> Result<Option<i64>, StoreError> {
    let sql = history.database.sql(DOING);
    let mut read = history.database.begin_read(DOING).await?;
    raw::first(&mut read, from_us).await.map_err(sql)
}

async fn stretch(history: &History, first: i64, last: i64) -> Result<Vec<RawRow>, StoreError> {
    let sql = history.database.sql(DOING);
    let mut read = history.database.begin_read(DOING).await?;
    raw::stretch(&mut read, first, last, SEGMENT_ROWS).await.map_err(sql)
}

pub(crate) const IS_SEALED: &str =
    "SELECT EXISTS (SELECT 1 FROM segment WHERE to_us >= ?1 AND from_us <= ?2)";
pub(crate) const HAS_STRAGGLERS: &str =
    "SELECT count(*) FROM (SELECT 1 FROM raw WHERE at_us BETWEEN ?1 AND ?2 LIMIT ?3)";

/// Whether the stretch is closed and not sealed yet, or has many readings at an odd time.
async fn is_due(
    history: &History,
    now: Timestamp,
    first: i64,
    last: i64,
) -> Result<bool, StoreError> {
    let now = now.as_micros();
    let is_closed = last <= now.saturating_sub(CLOSED_AFTER_US);
    let is_early = first > now.saturating_add(CLOSED_AFTER_US);
    if !is_closed && !is_early {
        return Ok(false);
    }
    let sql = history.database.sql(DOING);
    let mut read = history.database.begin_read(DOING).await?;
    let count: i64 = sqlx::query_scalar(HAS_STRAGGLERS)
        .bind(first)
        .bind(last)
        .bind(STRAGGLERS)
        .fetch_one(&mut *read)
        .await
        .map_err(sql)?;
    if count == 0 || count >= STRAGGLERS {
        return Ok(count > 0);
    }
    let is_sealed: bool = sqlx::query_scalar(IS_SEALED)
        .bind(first)
        .bind(last)
        .fetch_one(&mut *read)
        .await
        .map_err(sql)?;
    Ok(is_closed && !is_sealed)
}

/// Number of rows sealed; `None` if there are none, or if others came in between.
async fn seal_rows(history: &History, rows: Vec<RawRow>) -> Result<Option<u64>, StoreError> {
    let (Some(first), Some(last)) = (rows.first().copied(), rows.last().copied()) else {
        return Ok(None);
    };
    let count = rows.len();
    let names = names(history).await?;
    let directory = history.segments.clone();
    let segment = blocking(DOING, move || write_segment(&directory, rows, &names)).await?;
    let sql = history.database.sql(DOING);
    let mut write = history.database.begin(DOING).await?;
    if !raw::remove_up_to(&mut write, first.at_us, &last, count).await.map_err(sql)? {
        write.undo().await?;
        delete_file(history, &segment.file)?;
        return Ok(None);
    }
    list_segment(&mut write, &segment).await.map_err(sql)?;
    write.commit().await?;
    history.segment_bytes.fetch_add(segment.bytes, Ordering::Relaxed);
    Ok(Some(u64::try_from(count).unwrap_or(u64::MAX)))
}

const DOING: &str = "raw history was sealed";

/// A segment on disk.
pub(crate) struct Segment {
    pub(crate) file: String,
    pub(crate) from_us: i64,
    pub(crate) to_us: i64,
    pub(crate) count: usize,
    pub(crate) bytes: u64,
    pub(crate) crc32c: u32,
    pub(crate) tags: Vec<TagRows>,
}

fn write_segment(
    directory: &Path,
    mut rows: Vec<RawRow>,
    names: &HashMap<i64, String>,
) -> Result<Segment, StoreError> {
    rows.sort_unstable_by_key(|row| (row.name_id, row.at_us));
    let bytes = segments::encode(&rows, |id| names.get(&id).map_or("?", String::as_str))
        .map_err(|error| segments::damaged(directory, error))?;
    let crc32c = crc32c(&bytes);
    let (from_us, to_us) = extent(&rows);
    let file = format!("{from_us}-{crc32c:08x}.parquet");
    let path = directory.join(&file);
    write_atomic(&path, &bytes).map_err(|source| StoreError::from_io(&path, DOING, source))?;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let tags = segments::index(&rows);
    Ok(Segment { file, from_us, to_us, count: rows.len(), bytes: length, crc32c, tags })
}

pub(crate) fn extent(rows: &[RawRow]) -> (i64, i64) {
    let times = || rows.iter().map(|row| row.at_us);
    (times().min().unwrap_or_default(), times().max().unwrap_or_default())
}

pub(crate) const LIST_SEGMENT: &str = "
    INSERT INTO segment (file, from_us, to_us, count, bytes, crc32c, tags)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

pub(crate) async fn list_segment(
    connection: &mut SqliteConnection,
    segment: &Segment,
) -> Result<(), sqlx::Error> {
    let tags = postcard::to_allocvec(&segment.tags).expect("numbers have a postcard form");
    sqlx::query(LIST_SEGMENT)
        .bind(&segment.file)
        .bind(segment.from_us)
        .bind(segment.to_us)
        .bind(i64::try_from(segment.count).unwrap_or(i64::MAX))
        .bind(segment.bytes.cast_signed())
        .bind(i64::from(segment.crc32c))
        .bind(tags)
        .execute(connection)
        .await?;
    Ok(())
}

fn delete_file(history: &History, file: &str) -> Result<(), StoreError> {
    let path = history.segment_path(file);
    remove_if_there(&path)
        .map_err(|source| StoreError::from_io(path, "a segment was deleted", source))
}

pub(crate) const NAMES: &str = "SELECT id, name FROM name";

async fn names(history: &History) -> Result<HashMap<i64, String>, StoreError> {
    let rows: Vec<(i64, Text)> = sqlx::query_as(NAMES)
        .fetch_all(history.database.readers())
        .await
        .map_err(history.database.sql(DOING))?;
    Ok(rows.into_iter().map(|(id, Text(name))| (id, name)).collect())
}

pub(crate) const OF_STRETCH: &str = "
    SELECT file, bytes, crc32c, tags FROM segment
    WHERE to_us >= ?1 AND from_us <= ?2 ORDER BY to_us LIMIT ?3";

/// Where one tag's sealed readings of a stretch lie; `None` if in more files than `limit`.
pub(crate) async fn parts(
    connection: &mut SqliteConnection,
    directory: &Path,
    name_id: i64,
    (from_us, to_us): (i64, i64),
    limit: i64,
) -> Result<Option<Vec<(Expected, TagRows)>>, sqlx::Error> {
    let rows: Vec<(Text, i64, i64, Vec<u8>)> = sqlx::query_as(OF_STRETCH)
        .bind(from_us)
        .bind(to_us)
        .bind(limit + 1)
        .fetch_all(connection)
        .await?;
    if i64::try_from(rows.len()).is_ok_and(|count| count > limit) {
        return Ok(None);
    }
    let mut parts = Vec::new();
    for (Text(file), length, crc32c, tags) in rows {
        let path = crate::history::segment_path(directory, &file);
        let Ok(tags) = postcard::from_bytes::<Vec<TagRows>>(&tags) else {
            warn!(path = %path.display(), "a segment's index cannot be read: it is left out");
            continue;
        };
        let tag = tags.into_iter().find(|tag| tag.name_id == name_id);
        parts.extend(tag.map(|tag| (Expected { path, length, crc32c }, tag)));
    }
    Ok(Some(parts))
}
