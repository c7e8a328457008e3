//! The open stretch of raw history: appended, read by tag, and taken away in one piece when it is sealed.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use crate::segments::RawRow;

/// Rows of one statement: 4 values each, below SQLite's 32,766.
const ROWS: usize = 1_000;

/// Adds readings, ordered as the table is. A second value of the same tag and time replaces the first.
pub(crate) async fn add(
    connection: &mut SqliteConnection,
    rows: &[RawRow],
) -> Result<(), sqlx::Error> {
    for chunk in rows.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT OR REPLACE INTO raw (at_us, name_id, value, quality) ",
        );
        query.push_values(chunk, |mut values, row| {
            values
                .push_bind(row.at_us)
                .push_bind(row.name_id)
                .push_bind(row.value)
                .push_bind(row.quality);
        });
        // Only full statements come again.
        query.build().persistent(chunk.len() == ROWS).execute(&mut *connection).await?;
    }
    Ok(())
}

pub(crate) const OF_TAG: &str = "
    SELECT at_us, value, quality FROM raw
    WHERE at_us BETWEEN ?1 AND ?2 AND name_id = ?3 ORDER BY at_us LIMIT ?4";

/// A tag's readings that are not sealed, oldest first.
pub(crate) async fn of_tag(
    connection: &mut SqliteConnection,
    name_id: i64,
    from_us: i64,
    to_us: i64,
    limit: i64,
) -> Result<Vec<RawRow>, sqlx::Error> {
    let rows: Vec<(i64, Option<f64>, i64)> = sqlx::query_as(OF_TAG)
        .bind(from_us)
        .bind(to_us)
        .bind(name_id)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    let row = |(at_us, value, quality)| RawRow { at_us, name_id, value, quality };
    Ok(rows.into_iter().map(row).collect())
}

pub(crate) const FIRST: &str = "SELECT at_us FROM raw WHERE at_us >= ?1 ORDER BY at_us LIMIT 1";

/// Time of the first reading that is not sealed, from `from_us` on.
pub(crate) async fn first(
    connection: &mut SqliteConnection,
    from_us: i64,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(FIRST).bind(from_us).fetch_optional(connection).await
}

pub(crate) const STRETCH: &str = "
    SELECT at_us, name_id, value, quality FROM raw
    WHERE at_us BETWEEN ?1 AND ?2 ORDER BY at_us, name_id LIMIT ?3";

/// All readings of a stretch, both ends included, by time and name.
pub(crate) async fn stretch(
    connection: &mut SqliteConnection,
    from_us: i64,
    to_us: i64,
    limit: i64,
) -> Result<Vec<RawRow>, sqlx::Error> {
    let rows: Vec<(i64, i64, Option<f64>, i64)> =
        sqlx::query_as(STRETCH).bind(from_us).bind(to_us).bind(limit).fetch_all(connection).await?;
    let row = |(at_us, name_id, value, quality)| RawRow { at_us, name_id, value, quality };
    Ok(rows.into_iter().map(row).collect())
}

pub(crate) const COUNT_UP_TO: &str =
    "SELECT count(*) FROM raw WHERE at_us >= ?1 AND (at_us, name_id) <= (?2, ?3)";
pub(crate) const REMOVE_UP_TO: &str =
    "DELETE FROM raw WHERE at_us >= ?1 AND (at_us, name_id) <= (?2, ?3)";

/// Deletes the readings from `from_us` up to and with `last`, if they are still `count`. Late ones may have come in
/// between since the count, and those are sealed nowhere.
pub(crate) async fn remove_up_to(
    connection: &mut SqliteConnection,
    from_us: i64,
    last: &RawRow,
    count: usize,
) -> Result<bool, sqlx::Error> {
    let actual: i64 = sqlx::query_scalar(COUNT_UP_TO)
        .bind(from_us)
        .bind(last.at_us)
        .bind(last.name_id)
        .fetch_one(&mut *connection)
        .await?;
    if i64::try_from(count) != Ok(actual) {
        return Ok(false);
    }
    sqlx::query(REMOVE_UP_TO)
        .bind(from_us)
        .bind(last.at_us)
        .bind(last.name_id)
        .execute(connection)
        .await?;
    Ok(true)
}
