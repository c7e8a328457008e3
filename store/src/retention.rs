//! Keeping history within its bytes. Raw history and `hist.db` (rollups, health, the open stretch) may each use half;
//! what one leaves free the other may take. Too much of it: the oldest segment goes, and if `hist.db` alone is beyond its
//! half, the oldest of the finest rollups, so that the hours are what remains longest.
//!
//! Everything is judged by the order of what is there, never by the age: a clock that is wrong for a minute deletes
//! nothing.

use std::sync::atomic::Ordering;

use sqlx::{SqliteConnection, query, query_scalar};

use crate::{History, Maintained, StoreError, files::remove_if_there, text::Text};

/// Deletions in one round; each is a short transaction.
const ROUND: usize = 64;
/// Rows deleted at a time.
const ROWS: i64 = 5_000;
/// Gaps in the data that are kept.
const LOSSES: i64 = 100_000;
/// Different sets of tags among them; the gaps of older sets go.
const SETS: i64 = 2_000;
const DOING: &str = "old history was deleted";

/// Where raw history is complete from; set by deletions.
pub(crate) const RAW_FLOOR: &str = "
    SELECT coalesce((SELECT value FROM meta WHERE key = 'raw_floor_us'), -9223372036854775808)";
pub(crate) const SET_RAW_FLOOR: &str = "
    INSERT INTO meta (key, value) VALUES ('raw_floor_us', ?1)
    ON CONFLICT DO UPDATE SET value = max(value, excluded.value)";

/// Deletes old history until the rest is within bounds.
pub(crate) async fn shrink(history: &History, done: &mut Maintained) -> Result<(), StoreError> {
    let sql = history.database.sql(DOING);
    let mut write = history.database.begin(DOING).await?;
    query(FORGET_LOSSES).bind(LOSSES).execute(&mut *write).await.map_err(sql)?;
    query(FORGET_LOSSES_OF_SETS).bind(SETS).execute(&mut *write).await.map_err(sql)?;
    query(FORGET_SETS).execute(&mut *write).await.map_err(sql)?;
    write.commit().await?;
    let budget = history.options.history_bytes;
    for _ in 0..ROUND {
        let database = history.database.live_bytes().await?;
        let sealed = history.segment_bytes.load(Ordering::Relaxed);
        if database.saturating_add(sealed) <= budget {
            return Ok(());
        }
        let is_enough = if database > budget / 2 || sealed == 0 {
            drop_rows(history, done).await?
        } else {
            drop_segment(history, done).await?
        };
        if !is_enough {
            return Ok(());
        }
    }
    Ok(())
}

pub(crate) const FORGET_LOSSES: &str =
    "DELETE FROM loss WHERE id <= (SELECT id FROM loss ORDER BY id DESC LIMIT 1 OFFSET ?1)";
pub(crate) const FORGET_LOSSES_OF_SETS: &str = "
    DELETE FROM loss
    WHERE tag_set_id <= (SELECT id FROM tag_set ORDER BY id DESC LIMIT 1 OFFSET ?1)";
pub(crate) const FORGET_SETS: &str = "
    DELETE FROM tag_set
    WHERE NOT EXISTS (SELECT 1 FROM loss WHERE loss.tag_set_id = tag_set.id)";
pub(crate) const OLDEST_SEGMENT: &str =
    "SELECT id, file, to_us, bytes FROM segment ORDER BY to_us LIMIT 1";
pub(crate) const DROP_SEGMENT: &str = "DELETE FROM segment WHERE id = ?1";

async fn drop_segment(history: &History, done: &mut Maintained) -> Result<bool, StoreError> {
    let sql = history.database.sql(DOING);
    let mut write = history.database.begin(DOING).await?;
    let oldest: Option<(i64, Text, i64, i64)> =
        sqlx::query_as(OLDEST_SEGMENT).fetch_optional(&mut *write).await.map_err(sql)?;
    let Some((id, Text(file), to_us, bytes)) = oldest else {
        write.undo().await?;
        return Ok(false);
    };
    query(DROP_SEGMENT).bind(id).execute(&mut *write).await.map_err(sql)?;
    query(SET_RAW_FLOOR).bind(to_us).execute(&mut *write).await.map_err(sql)?;
    write.commit().await?;
    // If this is interrupted, the next start deletes a file that is not listed.
    let path = history.segment_path(&file);
    remove_if_there(&path).map_err(|source| StoreError::from_io(path, DOING, source))?;
    history.segment_bytes.fetch_sub(bytes.max(0).unsigned_abs(), Ordering::Relaxed);
    done.dropped_segments += 1;
    Ok(true)
}

/// Something in `hist.db` that can be thinned from its old end.
struct Victim {
    /// Oldest and newest time.
    extent: &'static str,
    /// Deletes up to `?1` rows from the old end.
    drop: &'static str,
    /// Not thinned below this stretch while something else can be, in microseconds.
    keep_us: i64,
}

const DAY_US: i64 = 86_400_000_000;

macro_rules! rollup_victim {
    ($level:literal, $keep_us:expr) => {
        Victim {
            extent: concat!(
                "SELECT (SELECT at_us FROM rollup WHERE level = ",
                $level,
                " ORDER BY at_us LIMIT 1), (SELECT at_us FROM rollup WHERE level = ",
                $level,
                " ORDER BY at_us DESC LIMIT 1)"
            ),
            drop: concat!(
                "DELETE FROM rollup WHERE level = ",
                $level,
                " AND (at_us, name_id) IN (SELECT at_us, name_id FROM rollup WHERE level = ",
                $level,
                " ORDER BY at_us, name_id LIMIT ?1)"
            ),
            keep_us: $keep_us,
        }
    };
}

/// In the order in which they are thinned: first down to what each should keep, then entirely. The open stretch and the
/// hours go only when all else is gone.
const VICTIMS: [Victim; 6] = [
    rollup_victim!("10", DAY_US),
    rollup_victim!("60", 7 * DAY_US),
    Victim {
        extent: "SELECT (SELECT at_us FROM health_point ORDER BY at_us LIMIT 1),
                        (SELECT at_us FROM health_point ORDER BY at_us DESC LIMIT 1)",
        drop: "DELETE FROM health_point WHERE (at_us, name_id) IN (
                 SELECT at_us, name_id FROM health_point ORDER BY at_us, name_id LIMIT ?1)",
        keep_us: 90 * DAY_US,
    },
    rollup_victim!("600", 90 * DAY_US),
    Victim {
        extent: "SELECT (SELECT at_us FROM raw ORDER BY at_us LIMIT 1),
                        (SELECT at_us FROM raw ORDER BY at_us DESC LIMIT 1)",
        drop: "DELETE FROM raw WHERE (at_us, name_id) IN (
                 SELECT at_us, name_id FROM raw ORDER BY at_us, name_id LIMIT ?1)",
        keep_us: i64::MAX,
    },
    rollup_victim!("3600", i64::MAX),
];
const RAW: usize = 4;

async fn drop_rows(history: &History, done: &mut Maintained) -> Result<bool, StoreError> {
    let sql = history.database.sql(DOING);
    let mut write = history.database.begin(DOING).await?;
    let Some(victim) = choose(&mut write).await.map_err(sql)? else {
        write.undo().await?;
        return Ok(false);
    };
    let dropped = query(VICTIMS[victim].drop).bind(ROWS).execute(&mut *write).await.map_err(sql)?;
    if victim == RAW {
        let first: Option<i64> = query_scalar("SELECT at_us FROM raw ORDER BY at_us LIMIT 1")
            .fetch_optional(&mut *write)
            .await
            .map_err(sql)?;
        if let Some(first) = first {
            query(SET_RAW_FLOOR).bind(first).execute(&mut *write).await.map_err(sql)?;
        }
    }
    write.commit().await?;
    done.dropped_rows += dropped.rows_affected();
    Ok(dropped.rows_affected() > 0)
}

/// The first that is longer than it should be, or else the first that is not empty.
async fn choose(connection: &mut SqliteConnection) -> Result<Option<usize>, sqlx::Error> {
    let mut fallback = None;
    for (index, victim) in VICTIMS.iter().enumerate() {
        let (first, last): (Option<i64>, Option<i64>) =
            sqlx::query_as(victim.extent).fetch_one(&mut *connection).await?;
        let Some((first, last)) = first.zip(last) else { continue };
        if last.saturating_sub(first) > victim.keep_us {
            return Ok(Some(index));
        }
        fallback = fallback.or(Some(index));
    }
    Ok(fallback)
}

/// For the test that every statement can be prepared.
#[cfg(test)]
pub(crate) fn statements() -> impl Iterator<Item = &'static str> {
    VICTIMS.iter().flat_map(|victim| [victim.extent, victim.drop])
}
