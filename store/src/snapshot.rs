//! The engine's working state as an opaque blob with its length and checksum; the two newest are kept.

use bellwether_domain::Timestamp;
use sqlx::{Row, SqliteConnection, SqlitePool, sqlite::SqliteRow};

use crate::{StoreError, database::Database, files::crc32c};

pub(crate) const SAVE: &str =
    "INSERT INTO snapshot (at_us, length, crc32c, body) VALUES (?1, ?2, ?3, ?4)";
pub(crate) const KEEP_TWO: &str =
    "DELETE FROM snapshot WHERE id <= (SELECT id FROM snapshot ORDER BY id DESC LIMIT 1 OFFSET 2)";

/// Keeps a snapshot and deletes all but the two newest.
pub(crate) async fn save(
    connection: &mut SqliteConnection,
    bytes: &[u8],
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(SAVE)
        .bind(at.as_micros())
        .bind(i64::try_from(bytes.len()).unwrap_or(i64::MAX))
        .bind(i64::from(crc32c(bytes)))
        .bind(bytes)
        .execute(&mut *connection)
        .await?;
    sqlx::query(KEEP_TWO).execute(connection).await?;
    Ok(())
}

pub(crate) const NEWEST: &str =
    "SELECT id, at_us, length, crc32c, body FROM snapshot ORDER BY id DESC LIMIT 2";

/// The newest undamaged snapshot.
pub(crate) async fn load(pool: &SqlitePool) -> Result<Option<(Timestamp, Vec<u8>)>, sqlx::Error> {
    let rows = sqlx::query(NEWEST).fetch_all(pool).await?;
    for row in &rows {
        if is_intact(row)? {
            return Ok(Some((Timestamp::from_micros(row.try_get("at_us")?), row.try_get("body")?)));
        }
    }
    Ok(None)
}

fn is_intact(row: &SqliteRow) -> Result<bool, sqlx::Error> {
    let body: &[u8] = row.try_get("body")?;
    let (length, crc): (i64, i64) = (row.try_get("length")?, row.try_get("crc32c")?);
    Ok(i64::try_from(body.len()) == Ok(length) && i64::from(crc32c(body)) == crc)
}

pub(crate) const DISCARD: &str = "DELETE FROM snapshot WHERE id = ?1";

/// Deletes damaged snapshots; says so in words if there were any.
pub(crate) async fn verify(database: &Database) -> Result<Option<String>, StoreError> {
    let doing = "saved states were checked";
    let sql = database.sql(doing);
    let rows = sqlx::query(NEWEST).fetch_all(database.readers()).await.map_err(sql)?;
    let mut damaged: Vec<i64> = Vec::new();
    for row in &rows {
        if !is_intact(row).map_err(sql)? {
            damaged.push(row.try_get("id").map_err(sql)?);
        }
    }
    if damaged.is_empty() {
        return Ok(None);
    }
    let mut write = database.begin(doing).await?;
    for id in &damaged {
        sqlx::query(DISCARD).bind(id).execute(&mut *write).await.map_err(sql)?;
    }
    write.commit().await?;
    let rest =
        if damaged.len() < rows.len() { "an older one is used" } else { "every asset learns anew" };
    Ok(Some(format!(
        "the saved state of the analysis is damaged and was discarded: {rest}; check the disk"
    )))
}
