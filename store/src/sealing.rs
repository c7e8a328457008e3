//! Sealing: closed stretches of raw history become Parquet segments.
//!
//! A stretch is closed an hour after its end. What comes late for a sealed stretch, or from a device whose clock is ahead,
//! waits in the open part until there is enough of it; it is read from there all the same, so order never matters.
//!
//! The file is on disk before the transaction that lists it and deletes its rows. A crash in between leaves a file that
//! is not listed, and its rows where they were: the next start deletes the file. After the loss of `hist.db`, files that
//! are not listed are all there is, so they are taken over instead.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    path::PathBuf,
    sync::atomic::Ordering,
};

use bellwether_domain::Timestamp;
use sqlx::SqliteConnection;
use tracing::warn;

use crate::{
    History, Maintained, StoreError,
    files::{crc32c, remove_if_there, write_atomic},
    raw,
    rollups::{self, floor},
    segments::{self, Expected, RawRow, TagRows, blocking},
};

/// A stretch is sealed this long after its end.
const CLOSED_AFTER_US: i64 = 3_600_000_000;
/// Readings in one segment at most: bounds memory to some tens of MB.
const SEGMENT_ROWS: i64 = 250_000;
/// Late or early readings are worth a segment of their own from here on.
const STRAGGLERS: i64 = 5_000;
/// Stretches looked at, and segments written, in one round.
const ROUND: usize = 64;
/// Segments taken over in one round.
const ADOPT_ROUND: usize = 8;

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
    list_segment(&mut write, &segment, true).await.map_err(sql)?;
    write.commit().await?;
    history.segment_bytes.fetch_add(segment.bytes, Ordering::Relaxed);
    Ok(Some(u64::try_from(count).unwrap_or(u64::MAX)))
}

const DOING: &str = "raw history was sealed";

/// A segment on disk.
struct Segment {
    file: String,
    from_us: i64,
    to_us: i64,
    count: usize,
    bytes: u64,
    crc32c: u32,
    tags: Vec<TagRows>,
}

fn write_segment(
    directory: &std::path::Path,
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

fn extent(rows: &[RawRow]) -> (i64, i64) {
    let times = || rows.iter().map(|row| row.at_us);
    (times().min().unwrap_or_default(), times().max().unwrap_or_default())
}

pub(crate) const LIST_SEGMENT: &str = "
    INSERT INTO segment (file, from_us, to_us, count, bytes, crc32c, rolled, tags)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

async fn list_segment(
    connection: &mut SqliteConnection,
    segment: &Segment,
    is_rolled: bool,
) -> Result<(), sqlx::Error> {
    let tags = postcard::to_allocvec(&segment.tags).expect("numbers have a postcard form");
    sqlx::query(LIST_SEGMENT)
        .bind(&segment.file)
        .bind(segment.from_us)
        .bind(segment.to_us)
        .bind(i64::try_from(segment.count).unwrap_or(i64::MAX))
        .bind(segment.bytes.cast_signed())
        .bind(i64::from(segment.crc32c))
        .bind(is_rolled)
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
    let rows: Vec<(i64, String)> = sqlx::query_as(NAMES)
        .fetch_all(history.database.readers())
        .await
        .map_err(history.database.sql(DOING))?;
    Ok(rows.into_iter().collect())
}

pub(crate) const LISTED: &str = "SELECT file, bytes FROM segment";
pub(crate) const ADOPTING: &str = "
    SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'adopting' AND value = 1)";
pub(crate) const SET_ADOPTING: &str = "
    INSERT INTO meta (key, value) VALUES ('adopting', ?1)
    ON CONFLICT DO UPDATE SET value = excluded.value";

/// At opening: counts the bytes of the segments and deletes what a crash has left, or, beside a new database, marks the
/// segments of the lost one for being taken over.
pub(crate) async fn tidy(history: &History, is_new: bool) -> Result<(), StoreError> {
    let doing = "it was opened";
    let sql = history.database.sql(doing);
    let listed: Vec<(String, i64)> =
        sqlx::query_as(LISTED).fetch_all(history.database.readers()).await.map_err(sql)?;
    let bytes = listed.iter().map(|(_, bytes)| bytes.max(&0).unsigned_abs()).sum();
    history.segment_bytes.store(bytes, Ordering::Relaxed);
    let listed: HashSet<String> = listed.into_iter().map(|(file, _)| file).collect();
    let stray = stray_files(history, &listed)?;
    if is_new && !stray.is_empty() {
        return set_adopting(history, true).await;
    }
    if !is_adopting(history).await? {
        for path in stray {
            remove_if_there(&path).map_err(|source| StoreError::from_io(&path, doing, source))?;
        }
    }
    Ok(())
}

async fn is_adopting(history: &History) -> Result<bool, StoreError> {
    sqlx::query_scalar(ADOPTING)
        .fetch_one(history.database.readers())
        .await
        .map_err(history.database.sql("it was opened"))
}

async fn set_adopting(history: &History, is_adopting: bool) -> Result<(), StoreError> {
    let doing = "segments were taken over";
    let sql = history.database.sql(doing);
    let mut write = history.database.begin(doing).await?;
    sqlx::query(SET_ADOPTING).bind(is_adopting).execute(&mut *write).await.map_err(sql)?;
    write.commit().await
}

/// Files in the segment directory that the database does not list, newest name first.
fn stray_files(history: &History, listed: &HashSet<String>) -> Result<Vec<PathBuf>, StoreError> {
    let file_error =
        |source| StoreError::from_io(&history.segments, "segments were listed", source);
    let mut stray = Vec::new();
    for entry in fs::read_dir(&history.segments).map_err(file_error)? {
        let entry = entry.map_err(file_error)?;
        if entry.file_name().to_str().is_none_or(|name| !listed.contains(name)) {
            stray.push(entry.path());
        }
    }
    stray.sort();
    stray.reverse();
    Ok(stray)
}

/// Takes over some of the segments that a lost database had written, and makes their rollups.
pub(crate) async fn adopt(history: &History, done: &mut Maintained) -> Result<(), StoreError> {
    if !is_adopting(history).await? {
        return Ok(());
    }
    let doing = "segments were taken over";
    let sql = history.database.sql(doing);
    let listed: Vec<(String, i64)> =
        sqlx::query_as(LISTED).fetch_all(history.database.readers()).await.map_err(sql)?;
    let listed = listed.into_iter().map(|(file, _)| file).collect();
    let stray = stray_files(history, &listed)?;
    for path in stray.iter().take(ADOPT_ROUND) {
        let file = path.clone();
        match blocking(doing, move || read_whole(file)).await {
            Ok((segment, names, rows)) => {
                adopt_segment(history, segment, &names, rows).await?;
                done.adopted_segments += 1;
            }
            Err(error) => {
                warn!(%error, path = %path.display(), "a file among the segments is none and is deleted");
                remove_if_there(path).map_err(|source| StoreError::from_io(path, doing, source))?;
            }
        }
    }
    if stray.len() <= ADOPT_ROUND { set_adopting(history, false).await } else { Ok(()) }
}

type Whole = (Segment, Vec<String>, Vec<RawRow>);

fn read_whole(path: PathBuf) -> Result<Whole, StoreError> {
    let bytes = fs::read(&path)
        .map_err(|source| StoreError::from_io(&path, "segments were taken over", source))?;
    let (names, rows) =
        segments::decode_all(&bytes).map_err(|error| segments::damaged(&path, error))?;
    let (from_us, to_us) = extent(&rows);
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let segment = Segment {
        file,
        from_us,
        to_us,
        count: rows.len(),
        bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        crc32c: crc32c(&bytes),
        tags: segments::index(&rows),
    };
    Ok((segment, names, rows))
}

async fn adopt_segment(
    history: &History,
    mut segment: Segment,
    names: &[String],
    mut rows: Vec<RawRow>,
) -> Result<(), StoreError> {
    let doing = "segments were taken over";
    let sql = history.database.sql(doing);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let ids = history.ids(&names).await?;
    // Until here a name's id was its position in the file.
    let ids: BTreeMap<i64, i64> = (0..).zip(ids).collect();
    for rows in &mut segment.tags {
        rows.name_id = ids[&rows.name_id];
    }
    for row in &mut rows {
        row.name_id = ids[&row.name_id];
    }
    let mut write = history.database.begin(doing).await?;
    rollups::add(&mut write, &rows).await.map_err(sql)?;
    list_segment(&mut write, &segment, true).await.map_err(sql)?;
    write.commit().await?;
    history.segment_bytes.fetch_add(segment.bytes, Ordering::Relaxed);
    Ok(())
}

pub(crate) const OF_STRETCH: &str = "
    SELECT file, bytes, crc32c, tags FROM segment
    WHERE to_us >= ?1 AND from_us <= ?2 ORDER BY to_us LIMIT ?3";

/// Where one tag's sealed readings of a stretch lie; `None` if in more files than `limit`.
pub(crate) async fn parts(
    connection: &mut SqliteConnection,
    directory: &std::path::Path,
    name_id: i64,
    (from_us, to_us): (i64, i64),
    limit: i64,
) -> Result<Option<Vec<(Expected, TagRows)>>, sqlx::Error> {
    let rows: Vec<(String, i64, i64, Vec<u8>)> = sqlx::query_as(OF_STRETCH)
        .bind(from_us)
        .bind(to_us)
        .bind(limit + 1)
        .fetch_all(connection)
        .await?;
    if i64::try_from(rows.len()).is_ok_and(|count| count > limit) {
        return Ok(None);
    }
    let mut parts = Vec::new();
    for (file, length, crc32c, tags) in rows {
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
