//! A tag over time: the finest level that fits on the chart. Pure choosing and putting together first, reading last.

use std::{path::Path, time::Duration};

use bellwether_domain::{Quality, Reason, Timestamp};
use sqlx::SqliteConnection;
use tracing::warn;

use crate::{
    Level, StoreError, TagHistory,
    codes::quality_of,
    database::Database,
    raw, retention,
    rollups::{self, Bucket, floor},
    sealing,
    segments::{self, Expected, RawRow, TagRows, blocking},
};

/// More readings than this are not read one by one.
const RAW_READINGS: i64 = 50_000;
/// More segments than this are not opened for one chart.
const SEGMENTS: i64 = 400;
/// Points a chart may ask for.
const POINTS: usize = 5_000;
/// A distance this many times the usual one is a gap.
const GAP: i64 = 5;
const DOING: &str = "a tag's history was read";

/// The finest rollup that covers the stretch in at most `most` buckets; hours if none does.
fn rollup_for(from_us: i64, to_us: i64, most: usize) -> Level {
    let fits = |level: &Level| buckets_in(from_us, to_us, level.width_us()) <= most;
    Level::ROLLUPS.into_iter().find(fits).unwrap_or(Level::Hour)
}

fn buckets_in(from_us: i64, to_us: i64, width_us: i64) -> usize {
    let first = floor(from_us, width_us);
    usize::try_from(to_us.saturating_sub(first) / width_us + 1).unwrap_or(usize::MAX)
}

/// The narrowest bucket, a multiple of `unit_us`, that covers the stretch in at most `most` buckets.
fn width_for(from_us: i64, to_us: i64, unit_us: i64, most: usize) -> i64 {
    // One bucket more may be touched than the stretch is long.
    let slots = i64::try_from(most).unwrap_or(i64::MAX).saturating_sub(1).max(1);
    let wanted = to_us.saturating_sub(from_us).max(1);
    let units = (wanted / unit_us).saturating_add(1).div_euclid(slots).saturating_add(1);
    units.saturating_mul(unit_us)
}

/// Puts neighbours together into buckets of this width; `points` are ordered by time.
fn fold(points: impl IntoIterator<Item = Bucket>, width_us: i64) -> Vec<Bucket> {
    let mut buckets: Vec<Bucket> = Vec::new();
    for point in points {
        let at_us = floor(point.at_us, width_us);
        match buckets.last_mut() {
            Some(last) if last.at_us == at_us => last.merge(&point),
            _ => buckets.push(Bucket { at_us, ..point }),
        }
    }
    buckets
}

/// Adds a point without value to each stretch without data, so that no chart draws a line across it.
fn with_gaps(points: Vec<Bucket>, width_us: i64) -> Vec<Bucket> {
    let mut steps: Vec<i64> =
        points.windows(2).map(|pair| pair[1].at_us.saturating_sub(pair[0].at_us)).collect();
    steps.sort_unstable();
    let usual = steps.get(steps.len() / 2).copied().unwrap_or(0).max(width_us).max(1);
    let mut result: Vec<Bucket> = Vec::with_capacity(points.len());
    for point in points {
        let last_us = result.last().map(|last| last.at_us);
        if let Some(last_us) = last_us
            && point.at_us.saturating_sub(last_us) > usual.saturating_mul(GAP)
        {
            result.push(nothing(last_us.saturating_add(usual)));
        }
        result.push(point);
    }
    result
}

const fn nothing(at_us: i64) -> Bucket {
    let worst = crate::codes::quality_code(Quality::Bad(Reason::Stale));
    Bucket { at_us, range: None, sum: 0.0, good: 0, total: 0, worst }
}

fn columns(level: Level, width_us: i64, points: &[Bucket]) -> TagHistory {
    TagHistory {
        level,
        bucket: Duration::from_micros(width_us.max(0).unsigned_abs()),
        at: points.iter().map(|point| Timestamp::from_micros(point.at_us)).collect(),
        min: points.iter().map(|point| point.range.map(|(low, _)| low)).collect(),
        max: points.iter().map(|point| point.range.map(|(_, high)| high)).collect(),
        mean: points.iter().map(Bucket::mean).collect(),
        quality: points.iter().map(|point| quality_of(point.worst)).collect(),
    }
}

/// The readings as they are if they fit, in buckets otherwise.
fn from_readings(mut rows: Vec<RawRow>, from_us: i64, to_us: i64, most: usize) -> TagHistory {
    // Stable: of the same time the first counts, and those not sealed yet come first.
    rows.sort_by_key(|row| row.at_us);
    rows.dedup_by_key(|row| row.at_us);
    let single = with_gaps(rows.iter().map(Bucket::of).collect(), 0);
    if single.len() <= most {
        return columns(Level::Raw, 0, &single);
    }
    let width_us = width_for(from_us, to_us, 1, most);
    let buckets = with_gaps(fold(rows.iter().map(Bucket::of), width_us), width_us);
    columns(Level::Raw, width_us, &buckets)
}

fn from_rollups(
    buckets: Vec<Bucket>,
    level: Level,
    from_us: i64,
    to_us: i64,
    most: usize,
) -> TagHistory {
    let width_us = if buckets_in(from_us, to_us, level.width_us()) <= most {
        level.width_us()
    } else {
        width_for(from_us, to_us, level.width_us(), most)
    };
    columns(level, width_us, &with_gaps(fold(buckets, width_us), width_us))
}

/// Whether single readings are worth reading: they all fit, or rollups would use less than half of the chart.
fn wants_readings(readings: i64, rollup_buckets: usize, most: usize) -> bool {
    let fits = usize::try_from(readings).is_ok_and(|readings| readings <= most);
    fits || (readings <= RAW_READINGS && rollup_buckets < most / 4)
}

pub(crate) const NAME_ID: &str = "SELECT id FROM name WHERE name = ?1";

/// A tag from `from` to `to`, both included, in at most `2 × points` points.
pub(crate) async fn read(
    database: &Database,
    segments: &Path,
    tag: &str,
    (from, to): (Timestamp, Timestamp),
    points: usize,
) -> Result<TagHistory, StoreError> {
    let most = points.clamp(1, POINTS) * 2;
    let sql = database.sql(DOING);
    // One state of the database for all: sealing moves rows from one place to another.
    let mut read = database.begin_read(DOING).await?;
    let name_id: Option<i64> =
        sqlx::query_scalar(NAME_ID).bind(tag).fetch_optional(&mut *read).await.map_err(sql)?;
    let extent = rollups::extent(&mut read).await.map_err(sql)?;
    let (Some(name_id), Some((first, last))) = (name_id, extent) else {
        return Ok(TagHistory::empty(Level::Raw));
    };
    let (from_us, to_us) = (from.as_micros().max(first), to.as_micros().min(last));
    if from_us > to_us {
        return Ok(TagHistory::empty(Level::Raw));
    }
    let level = level_for(&mut read, (from_us, to_us), most).await.map_err(sql)?;
    let buckets = rollups::read(&mut read, name_id, level, from_us, to_us).await.map_err(sql)?;
    let readings = buckets.iter().map(|bucket| bucket.total).sum();
    if wants_readings(readings, buckets_in(from_us, to_us, level.width_us()), most)
        && let Some(sources) =
            sources(&mut read, segments, name_id, (from_us, to_us)).await.map_err(sql)?
    {
        drop(read);
        let rows = blocking(DOING, move || Ok(collect(sources, from_us, to_us))).await?;
        return Ok(from_readings(rows, from_us, to_us, most));
    }
    Ok(from_rollups(buckets, level, from_us, to_us, most))
}

/// The finest rollup that fits and has not been thinned within the stretch.
async fn level_for(
    connection: &mut SqliteConnection,
    (from_us, to_us): (i64, i64),
    most: usize,
) -> Result<Level, sqlx::Error> {
    let finest = rollup_for(from_us, to_us, most);
    let first_hour = rollups::first(connection, Level::Hour).await?.unwrap_or(i64::MAX);
    for level in Level::ROLLUPS.into_iter().filter(|level| *level >= finest) {
        // Something was read in the first hour, so a rollup that begins later has lost its beginning.
        let first = rollups::first(connection, level).await?.unwrap_or(i64::MAX);
        if first < first_hour.saturating_add(Level::Hour.width_us()) || from_us >= first {
            return Ok(level);
        }
    }
    Ok(Level::Hour)
}

/// Where a tag's readings are.
struct Sources {
    open: Vec<RawRow>,
    sealed: Vec<(Expected, TagRows)>,
}

/// `None` if part of the readings is gone, or if they lie in too many files.
async fn sources(
    connection: &mut SqliteConnection,
    segments: &Path,
    name_id: i64,
    (from_us, to_us): (i64, i64),
) -> Result<Option<Sources>, sqlx::Error> {
    let floor_us: i64 =
        sqlx::query_scalar(retention::RAW_FLOOR).fetch_one(&mut *connection).await?;
    if from_us <= floor_us {
        return Ok(None);
    }
    let sealed =
        sealing::parts(&mut *connection, segments, name_id, (from_us, to_us), SEGMENTS).await?;
    let Some(sealed) = sealed else { return Ok(None) };
    let open = raw::of_tag(connection, name_id, from_us, to_us, RAW_READINGS).await?;
    Ok(Some(Sources { open, sealed }))
}

/// Reads the segments. One that is damaged is left out: a gap is better than no chart.
fn collect(sources: Sources, from_us: i64, to_us: i64) -> Vec<RawRow> {
    let mut rows = sources.open;
    for (expected, tag) in sources.sealed {
        let sealed = segments::load(&expected).and_then(|bytes| match bytes {
            Some(bytes) => segments::decode(&bytes, tag)
                .map_err(|error| segments::damaged(&expected.path, error)),
            None => Ok(Vec::new()),
        });
        match sealed {
            Ok(sealed) => rows.extend(sealed),
            Err(error) => warn!(%error, "a segment is left out of a chart"),
        }
    }
    rows.retain(|row| (from_us..=to_us).contains(&row.at_us));
    rows
}
