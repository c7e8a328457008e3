//! Messages until their acknowledgement. Each gets the next number of its stream in the transaction that adds it, and
//! only an acknowledgement of its id deletes it.
//!
//! Full: when too many summaries wait for an uplink, the oldest are dropped and each of their streams gets one gap
//! message that says how many and which. Alerts are never dropped. A gap message has a number of its own at the end of
//! its stream, so that order holds and no number is given twice; while it waits, further losses replace it by one that
//! counts both.

use bellwether_domain::Timestamp;
use sqlx::{Row, SqliteConnection, SqlitePool, sqlite::SqliteRow};

use crate::{Class, OutboxRow, OutboxStats, Outgoing, text::Text};

/// Bounds of waiting summaries per uplink.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

const fn class_code(class: Class) -> i64 {
    match class {
        Class::Alert => 0,
        Class::Summary => 1,
    }
}

const fn class_of(code: i64) -> Class {
    if code == 0 { Class::Alert } else { Class::Summary }
}

pub(crate) const PENDING: &str = "
    SELECT id, class, stream, sequence, topic, at_us, body,
           (SELECT value FROM meta WHERE key = 'epoch') AS epoch,
           EXISTS (SELECT 1 FROM outbox_gap WHERE outbox_id = id) AS is_gap
    FROM outbox
    WHERE uplink = ?1 AND id NOT IN (SELECT value FROM json_each(?2))
    ORDER BY class, id LIMIT ?3";

/// Messages to send next: alerts first, then by age, without those in flight.
pub(crate) async fn pending(
    pool: &SqlitePool,
    uplink: &str,
    in_flight: &[i64],
    limit: u32,
) -> Result<Vec<OutboxRow>, sqlx::Error> {
    let rows = sqlx::query(PENDING)
        .bind(uplink)
        .bind(json_array(in_flight))
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await?;
    rows.iter().map(outbox_row).collect()
}

fn outbox_row(row: &SqliteRow) -> Result<OutboxRow, sqlx::Error> {
    let text = |column| row.try_get::<Text, _>(column).map(|text| text.0);
    Ok(OutboxRow {
        id: row.try_get("id")?,
        class: class_of(row.try_get("class")?),
        stream: text("stream")?,
        epoch: text("epoch")?,
        sequence: row.try_get::<i64, _>("sequence")?.unsigned_abs(),
        topic: text("topic")?,
        at: Timestamp::from_micros(row.try_get("at_us")?),
        body: text("body")?,
        is_gap: row.try_get("is_gap")?,
    })
}

pub(crate) const ACKNOWLEDGE: &str =
    "DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?1))";

/// Deletes exactly these messages.
pub(crate) async fn acknowledge(
    connection: &mut SqliteConnection,
    ids: &[i64],
) -> Result<(), sqlx::Error> {
    sqlx::query(ACKNOWLEDGE).bind(json_array(ids)).execute(connection).await?;
    Ok(())
}

pub(crate) const TOTAL: &str = "
    SELECT coalesce(sum(count), 0) AS count, coalesce(sum(bytes), 0) AS bytes
    FROM outbox_total WHERE uplink = ?1";
pub(crate) const OLDEST: &str = "
    SELECT min(at_us) FROM (
      SELECT at_us FROM (SELECT at_us FROM outbox WHERE uplink = ?1 AND class = 0 ORDER BY id LIMIT 1)
      UNION ALL
      SELECT at_us FROM (SELECT at_us FROM outbox WHERE uplink = ?1 AND class = 1 ORDER BY id LIMIT 1))";

/// What waits for one uplink.
pub(crate) async fn stats(pool: &SqlitePool, uplink: &str) -> Result<OutboxStats, sqlx::Error> {
    let (rows, bytes): (i64, i64) = sqlx::query_as(TOTAL).bind(uplink).fetch_one(pool).await?;
    let oldest: Option<i64> = sqlx::query_scalar(OLDEST).bind(uplink).fetch_one(pool).await?;
    Ok(OutboxStats {
        rows: rows.max(0).unsigned_abs(),
        bytes: bytes.max(0).unsigned_abs(),
        oldest: oldest.map(Timestamp::from_micros),
    })
}

pub(crate) const NEXT_SEQUENCE: &str = "
    INSERT INTO stream_sequence (uplink, stream, next) VALUES (?1, ?2, 2)
    ON CONFLICT DO UPDATE SET next = next + 1
    RETURNING next - 1";
pub(crate) const ADD: &str = "
    INSERT INTO outbox (uplink, class, stream, sequence, topic, at_us, body, bytes)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    RETURNING id";

/// Adds a message under the next number of its stream.
pub(crate) async fn add(
    connection: &mut SqliteConnection,
    message: &Outgoing,
) -> Result<i64, sqlx::Error> {
    let sequence: i64 = sqlx::query_scalar(NEXT_SEQUENCE)
        .bind(&message.uplink)
        .bind(&message.stream)
        .fetch_one(&mut *connection)
        .await?;
    let bytes = message.topic.len() + message.body.len();
    sqlx::query_scalar(ADD)
        .bind(&message.uplink)
        .bind(class_code(message.class))
        .bind(&message.stream)
        .bind(sequence)
        .bind(&message.topic)
        .bind(message.at.as_micros())
        .bind(&message.body)
        .bind(i64::try_from(bytes).unwrap_or(i64::MAX))
        .fetch_one(connection)
        .await
}

pub(crate) const SUMMARIES: &str =
    "SELECT count, bytes FROM outbox_total WHERE uplink = ?1 AND class = 1";

/// Drops the oldest summaries of an uplink until the rest is within bounds.
pub(crate) async fn trim(
    connection: &mut SqliteConnection,
    uplink: &str,
    bounds: Bounds,
) -> Result<(), sqlx::Error> {
    loop {
        let total: Option<(i64, i64)> =
            sqlx::query_as(SUMMARIES).bind(uplink).fetch_optional(&mut *connection).await?;
        let (rows, bytes) = total.map_or((0, 0), |(rows, bytes)| {
            (rows.max(0).unsigned_abs(), bytes.max(0).unsigned_abs())
        });
        if rows <= bounds.rows && bytes <= bounds.bytes {
            return Ok(());
        }
        // A little more than needed, so that a full outbox is not trimmed at each commit.
        let excess = rows.saturating_sub(bounds.rows) + bounds.rows / 100;
        if !drop_oldest(connection, uplink, excess.max(1)).await? {
            return Ok(());
        }
    }
}

pub(crate) const CUT: &str = "
    SELECT max(id) FROM (
      SELECT id FROM outbox
      WHERE uplink = ?1 AND class = 1 AND id NOT IN (SELECT outbox_id FROM outbox_gap)
      ORDER BY id LIMIT ?2)";
/// What is about to be dropped, together with what the stream's waiting gap message counts already.
pub(crate) const LOST: &str = "
    WITH lost (stream, topic, count, first, last, from_us, to_us) AS (
      SELECT stream, topic, 1, sequence, sequence, at_us, at_us FROM outbox
      WHERE uplink = ?1 AND class = 1 AND id <= ?2 AND id NOT IN (SELECT outbox_id FROM outbox_gap)
    ), concerned AS (SELECT DISTINCT stream FROM lost)
    SELECT stream, max(topic) AS topic, sum(count) AS count, min(first) AS first, max(last) AS last,
           min(from_us) AS from_us, max(to_us) AS to_us
    FROM (
      SELECT * FROM lost
      UNION ALL
      SELECT outbox.stream, outbox.topic, g.count, g.first_sequence, g.last_sequence, g.from_us, g.to_us
      FROM outbox_gap AS g JOIN outbox ON outbox.id = g.outbox_id
      WHERE outbox.uplink = ?1 AND outbox.stream IN (SELECT stream FROM concerned))
    GROUP BY stream ORDER BY stream";
pub(crate) const DROP_OLD_GAPS: &str = "
    DELETE FROM outbox
    WHERE uplink = ?1 AND id IN (SELECT outbox_id FROM outbox_gap) AND stream IN (
      SELECT stream FROM outbox
      WHERE uplink = ?1 AND class = 1 AND id <= ?2 AND id NOT IN (SELECT outbox_id FROM outbox_gap))";
pub(crate) const DROP_OLDEST: &str = "
    DELETE FROM outbox
    WHERE uplink = ?1 AND class = 1 AND id <= ?2 AND id NOT IN (SELECT outbox_id FROM outbox_gap)";
pub(crate) const ADD_GAP: &str = "
    INSERT INTO outbox_gap (outbox_id, count, first_sequence, last_sequence, from_us, to_us)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

/// Whether there was anything to drop.
async fn drop_oldest(
    connection: &mut SqliteConnection,
    uplink: &str,
    count: u64,
) -> Result<bool, sqlx::Error> {
    let cut: Option<i64> = sqlx::query_scalar(CUT)
        .bind(uplink)
        .bind(i64::try_from(count).unwrap_or(i64::MAX))
        .fetch_one(&mut *connection)
        .await?;
    let Some(cut) = cut else { return Ok(false) };
    let gaps: Vec<Gap> =
        sqlx::query_as(LOST).bind(uplink).bind(cut).fetch_all(&mut *connection).await?;
    for statement in [DROP_OLD_GAPS, DROP_OLDEST] {
        sqlx::query(statement).bind(uplink).bind(cut).execute(&mut *connection).await?;
    }
    for gap in gaps {
        let id = add(connection, &gap.message(uplink)).await?;
        sqlx::query(ADD_GAP)
            .bind(id)
            .bind(gap.count)
            .bind(gap.first)
            .bind(gap.last)
            .bind(gap.from_us)
            .bind(gap.to_us)
            .execute(&mut *connection)
            .await?;
    }
    Ok(true)
}

#[derive(sqlx::FromRow)]
struct Gap {
    stream: Text,
    topic: Text,
    count: i64,
    first: i64,
    last: i64,
    from_us: i64,
    to_us: i64,
}

impl Gap {
    fn message(&self, uplink: &str) -> Outgoing {
        let (from, to) = (Timestamp::from_micros(self.from_us), Timestamp::from_micros(self.to_us));
        let body = serde_json::json!({ "gap": {
            "count": self.count,
            "first_sequence": self.first,
            "last_sequence": self.last,
            "from": from.to_string(),
            "to": to.to_string(),
        }});
        Outgoing {
            uplink: uplink.to_owned(),
            class: Class::Summary,
            stream: self.stream.0.clone(),
            topic: self.topic.0.clone(),
            at: to,
            body: body.to_string(),
        }
    }
}

fn json_array(ids: &[i64]) -> String {
    serde_json::Value::from(ids).to_string()
}
