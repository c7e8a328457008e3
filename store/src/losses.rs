//! Gaps in the data: written with the history they are missing from, and found by source and by tag.

use std::collections::{BTreeMap, HashMap, btree_map::Entry};

use bellwether_domain::{Loss, LossCause, TagId, Timestamp};
use sqlx::{SqliteConnection, SqlitePool};

use crate::{LossFilter, LossRecord, codes::word, text::Text};

/// Gaps that have not ended of which the disk knows; more are in memory only.
const OPEN: usize = 1_000;
/// Names of tags that a record lists; it says how many there are.
const NAMES: usize = 100;

pub(crate) const ADD: &str = "
    INSERT INTO loss (source, from_us, to_us, cause, count, tag_set_id, is_open)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

/// Keeps a gap in the data. `ids`: the numbers of its tags.
pub(crate) async fn add(
    connection: &mut SqliteConnection,
    loss: &Loss,
    ids: &HashMap<TagId, i64>,
    is_open: bool,
) -> Result<(), sqlx::Error> {
    let mut members: Vec<i64> = loss.tags.iter().filter_map(|tag| ids.get(tag).copied()).collect();
    members.sort_unstable();
    members.dedup();
    let set = if members.is_empty() { None } else { Some(set_of(connection, members).await?) };
    sqlx::query(ADD)
        .bind(&loss.source)
        .bind(loss.from.as_micros())
        .bind(loss.to.as_micros())
        .bind(loss.cause.as_str())
        .bind(i64::try_from(loss.count).unwrap_or(i64::MAX))
        .bind(set)
        .bind(is_open)
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) const FIND_SET: &str = "SELECT id FROM tag_set WHERE members = ?1";
pub(crate) const ADD_SET: &str = "INSERT INTO tag_set (members) VALUES (?1) RETURNING id";
pub(crate) const ADD_MEMBERS: &str =
    "INSERT INTO tag_set_member (name_id, set_id) SELECT value, ?2 FROM json_each(?1)";

async fn set_of(connection: &mut SqliteConnection, ids: Vec<i64>) -> Result<i64, sqlx::Error> {
    let members = serde_json::Value::from(ids).to_string();
    let known = sqlx::query_scalar(FIND_SET).bind(&members).fetch_optional(&mut *connection);
    if let Some(id) = known.await? {
        return Ok(id);
    }
    let id = sqlx::query_scalar(ADD_SET).bind(&members).fetch_one(&mut *connection).await?;
    sqlx::query(ADD_MEMBERS).bind(&members).bind(id).execute(connection).await?;
    Ok(id)
}

pub(crate) const DROP_OPEN: &str = "DELETE FROM loss WHERE is_open = 1";
pub(crate) const CLOSE_OPEN: &str = "UPDATE loss SET is_open = 0 WHERE is_open = 1";

/// These gaps last at present, and no others.
pub(crate) async fn replace_open(
    connection: &mut SqliteConnection,
    open: &[Loss],
    ids: &HashMap<TagId, i64>,
) -> Result<(), sqlx::Error> {
    sqlx::query(DROP_OPEN).execute(&mut *connection).await?;
    for loss in open.iter().take(OPEN) {
        add(connection, loss, ids, true).await?;
    }
    Ok(())
}

pub(crate) const LIST: &str = "
    SELECT source, from_us, to_us, cause, count, filled_us, tag_set_id FROM loss
    WHERE to_us >= ?1 AND from_us <= ?2 AND is_open = 0
      AND (?3 IS NULL OR source IN (?3, ''))
      AND (?4 IS NULL OR tag_set_id IS NULL OR tag_set_id IN (
        SELECT set_id FROM tag_set_member
        WHERE name_id = (SELECT id FROM name WHERE name = ?4)))
    ORDER BY to_us DESC LIMIT ?5";

#[derive(sqlx::FromRow)]
struct Row {
    source: Text,
    from_us: i64,
    to_us: i64,
    cause: Text,
    count: i64,
    filled_us: Option<i64>,
    tag_set_id: Option<i64>,
}

/// Gaps that have ended and overlap the stretch, newest first.
pub(crate) async fn list(
    pool: &SqlitePool,
    filter: &LossFilter,
    limit: u32,
) -> Result<Vec<LossRecord>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(LIST)
        .bind(filter.from.as_micros())
        .bind(filter.to.as_micros())
        .bind(&filter.source)
        .bind(&filter.tag)
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await?;
    let mut sets = BTreeMap::new();
    for id in rows.iter().filter_map(|row| row.tag_set_id) {
        if let Entry::Vacant(set) = sets.entry(id) {
            set.insert(names(pool, id).await?);
        }
    }
    Ok(rows.into_iter().map(|row| row.record(&sets)).collect())
}

type Sets = BTreeMap<i64, (Vec<String>, usize)>;

pub(crate) const COUNT: &str = "SELECT count(*) FROM tag_set_member WHERE set_id = ?1";
pub(crate) const MEMBERS: &str = "
    SELECT name.name FROM tag_set_member JOIN name ON name.id = tag_set_member.name_id
    WHERE tag_set_member.set_id = ?1 LIMIT ?2";

async fn names(pool: &SqlitePool, set: i64) -> Result<(Vec<String>, usize), sqlx::Error> {
    let count: i64 = sqlx::query_scalar(COUNT).bind(set).fetch_one(pool).await?;
    let most = i64::try_from(NAMES).unwrap_or(i64::MAX);
    let names: Vec<Text> = sqlx::query_scalar(MEMBERS).bind(set).bind(most).fetch_all(pool).await?;
    let names = names.into_iter().map(|Text(name)| name).collect();
    Ok((names, usize::try_from(count).unwrap_or_default()))
}

impl Row {
    fn record(self, sets: &Sets) -> LossRecord {
        let set = self.tag_set_id.and_then(|id| sets.get(&id)).cloned();
        let (tags, tag_count) = set.unwrap_or_default();
        LossRecord {
            source: self.source.0,
            tags,
            tag_count,
            from: Timestamp::from_micros(self.from_us),
            to: Timestamp::from_micros(self.to_us),
            // A cause that only a newer version knows: that data is missing is true nevertheless.
            cause: word(&self.cause.0).unwrap_or(LossCause::Disconnected),
            count: self.count.max(0).unsigned_abs(),
            filled_at: self.filled_us.map(Timestamp::from_micros),
        }
    }
}
