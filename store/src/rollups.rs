//! Rollups: buckets of 10 s, 1 min, 10 min and 1 h with lowest, highest, sum, counts and worst quality. They are updated
//! in the transaction that appends the readings, so they are never behind, need no memory, and do not mind the order in
//! which readings come.

use std::collections::BTreeMap;

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use crate::{Level, segments::RawRow};

/// One reading, or many of one tag together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    /// Time of the reading or beginning of the bucket.
    pub(crate) at_us: i64,
    /// Lowest and highest usable value, if there is one.
    pub(crate) range: Option<(f64, f64)>,
    /// Sum of the usable values.
    pub(crate) sum: f64,
    /// Number of usable values.
    pub(crate) good: i64,
    /// Number of all values.
    pub(crate) total: i64,
    /// Code of the worst quality.
    pub(crate) worst: i64,
}

impl Bucket {
    /// A bucket of one reading.
    pub(crate) fn of(row: &RawRow) -> Self {
        Self {
            at_us: row.at_us,
            range: row.value.map(|value| (value, value)),
            sum: row.value.unwrap_or(0.0),
            good: i64::from(row.value.is_some()),
            total: 1,
            worst: row.quality,
        }
    }

    /// Both together, at the time of `self`.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.range = match (self.range, other.range) {
            (Some((low, high)), Some((other_low, other_high))) => {
                Some((low.min(other_low), high.max(other_high)))
            }
            (one, other) => one.or(other),
        };
        self.sum += other.sum;
        self.good += other.good;
        self.total += other.total;
        self.worst = self.worst.max(other.worst);
    }

    /// Mean of the usable values.
    pub(crate) fn mean(&self) -> Option<f64> {
        // A stuck sensor's mean must not leave its range by rounding. No `clamp`: it panics on the crossed range of a
        // damaged file.
        self.range.map(|(low, high)| (self.sum / count(self.good)).max(low).min(high))
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody counts to 2^53 readings in one bucket")]
const fn count(n: i64) -> f64 {
    n as f64
}

/// Beginning of the bucket of this width that holds the time.
pub(crate) const fn floor(at_us: i64, width_us: i64) -> i64 {
    at_us.saturating_sub(at_us.rem_euclid(width_us))
}

/// Rows of one statement: 9 values each, below SQLite's 32,766.
const ROWS: usize = 500;

/// Adds readings to their buckets of all levels.
pub(crate) async fn add(
    connection: &mut SqliteConnection,
    rows: &[RawRow],
) -> Result<(), sqlx::Error> {
    // Ordered as the table is, so that neighbours are written together.
    let mut buckets: BTreeMap<(i64, i64, i64), Bucket> = BTreeMap::new();
    for row in rows {
        for level in Level::ROLLUPS {
            let at_us = floor(row.at_us, level.width_us());
            let one = Bucket { at_us, ..Bucket::of(row) };
            buckets
                .entry((level.seconds(), at_us, row.name_id))
                .and_modify(|bucket| bucket.merge(&one))
                .or_insert(one);
        }
    }
    let buckets: Vec<_> = buckets.into_iter().collect();
    for chunk in buckets.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO rollup (level, at_us, name_id, low, high, sum, good, total, worst) ",
        );
        query.push_values(chunk, |mut row, ((level, at_us, name_id), bucket)| {
            row.push_bind(*level)
                .push_bind(*at_us)
                .push_bind(*name_id)
                .push_bind(bucket.range.map(|(low, _)| low))
                .push_bind(bucket.range.map(|(_, high)| high))
                .push_bind(bucket.sum)
                .push_bind(bucket.good)
                .push_bind(bucket.total)
                .push_bind(bucket.worst);
        });
        // `min` and `max` of two values are NULL if one of them is.
        query.push(
            " ON CONFLICT DO UPDATE SET
                low = min(coalesce(low, excluded.low), coalesce(excluded.low, low)),
                high = max(coalesce(high, excluded.high), coalesce(excluded.high, high)),
                sum = sum + excluded.sum, good = good + excluded.good,
                total = total + excluded.total, worst = max(worst, excluded.worst)",
        );
        // Only full statements come again.
        query.build().persistent(chunk.len() == ROWS).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Most buckets that are read at once: eleven years of hours.
const LIMIT: i64 = 100_000;

pub(crate) const READ: &str = "
    SELECT at_us, low, high, sum, good, total, worst FROM rollup
    WHERE level = ?1 AND at_us BETWEEN ?2 AND ?3 AND name_id = ?4
    ORDER BY at_us LIMIT ?5";

type ReadRow = (i64, Option<f64>, Option<f64>, f64, i64, i64, i64);

/// A tag's buckets that overlap the stretch, oldest first.
pub(crate) async fn read(
    connection: &mut SqliteConnection,
    name_id: i64,
    level: Level,
    from_us: i64,
    to_us: i64,
) -> Result<Vec<Bucket>, sqlx::Error> {
    let rows: Vec<ReadRow> = sqlx::query_as(READ)
        .bind(level.seconds())
        .bind(floor(from_us, level.width_us()))
        .bind(to_us)
        .bind(name_id)
        .bind(LIMIT)
        .fetch_all(connection)
        .await?;
    let bucket = |(at_us, low, high, sum, good, total, worst): ReadRow| Bucket {
        at_us,
        range: low.zip(high),
        sum,
        good,
        total,
        worst,
    };
    Ok(rows.into_iter().map(bucket).collect())
}

pub(crate) const FIRST: &str = "SELECT at_us FROM rollup WHERE level = ?1 ORDER BY at_us LIMIT 1";
pub(crate) const LAST: &str =
    "SELECT at_us FROM rollup WHERE level = ?1 ORDER BY at_us DESC LIMIT 1";

/// Beginning of the first bucket of a level, of whatever tag.
pub(crate) async fn first(
    connection: &mut SqliteConnection,
    level: Level,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(FIRST).bind(level.seconds()).fetch_optional(connection).await
}

/// First and last microsecond that may hold anything, to the hour.
pub(crate) async fn extent(
    connection: &mut SqliteConnection,
) -> Result<Option<(i64, i64)>, sqlx::Error> {
    let level = Level::Hour;
    let first = first(connection, level).await?;
    let last: Option<i64> =
        sqlx::query_scalar(LAST).bind(level.seconds()).fetch_optional(connection).await?;
    let end = last.map(|last| last.saturating_add(level.width_us() - 1));
    Ok(first.zip(end))
}
