//! Alarms (the living record), their journal (every transition), and repairs.

use bellwether_domain::{AlarmId, Alert, ExplanationCode, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::{Row, SqliteConnection, SqlitePool, sqlite::SqliteRow};
use tracing::warn;

use crate::{
    AlarmFilter, AlarmRecord, Maintenance, Mark, MarkKind, NamedContribution, NamedOperand, Names,
    codes::word, text::Text,
};

/// Most marks on one chart.
const MARKS: i64 = 1_000;

/// What belongs to the sentence, in data. Version 1.
#[derive(Serialize, Deserialize)]
struct Detail {
    v: u32,
    condition: Vec<NamedOperand>,
    contributions: Vec<NamedContribution>,
}

pub(crate) const UPSERT: &str = "
    INSERT INTO alarm (id, asset, tag, kind, state, priority, severity, raised_at_us, returned_at_us,
                       acked_at_us, acked_by, code, sentence, detail)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
    ON CONFLICT (id) DO UPDATE SET
      asset = ?2, tag = ?3, kind = ?4, state = ?5, priority = ?6, severity = ?7, raised_at_us = ?8,
      returned_at_us = ?9, acked_at_us = ?10, acked_by = ?11, code = ?12, sentence = ?13, detail = ?14";
pub(crate) const JOURNAL: &str = "
    INSERT INTO alarm_journal (alarm_id, asset, at_us, transition, state, severity, actor, sentence)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT DO NOTHING";

/// Updates the alarm's record and adds the transition to the journal.
pub(crate) async fn write(
    connection: &mut SqliteConnection,
    names: &Names,
    alert: &Alert,
) -> Result<(), sqlx::Error> {
    let alarm = &alert.alarm;
    let asset = names.asset(alarm.asset);
    sqlx::query(UPSERT)
        .bind(alarm.id.0.cast_signed())
        .bind(asset)
        .bind(alarm.tag.map(|tag| names.tag(tag)))
        .bind(alarm.kind.as_str())
        .bind(alarm.state.as_str())
        .bind(alarm.priority.as_str())
        .bind(alarm.severity.as_str())
        .bind(alarm.raised_at.as_micros())
        .bind(alarm.returned_at.map(Timestamp::as_micros))
        .bind(alarm.acked_at.map(Timestamp::as_micros))
        .bind(alarm.acked_by.as_deref())
        .bind(code_word(alarm.explanation.code))
        .bind(&alarm.explanation.sentence)
        .bind(detail(names, alert))
        .execute(&mut *connection)
        .await?;
    sqlx::query(JOURNAL)
        .bind(alarm.id.0.cast_signed())
        .bind(asset)
        .bind(alert.at.as_micros())
        .bind(alert.transition.as_str())
        .bind(alarm.state.as_str())
        .bind(alarm.severity.as_str())
        .bind(alarm.acked_by.as_deref())
        .bind(&alarm.explanation.sentence)
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) const JOURNAL_ORPHANS: &str = "
    INSERT INTO alarm_journal (alarm_id, asset, at_us, transition, state, severity, actor, sentence)
    SELECT id, asset, ?2, 'returned', 'normal', severity, NULL, sentence FROM alarm
    WHERE state <> 'normal' AND id NOT IN (SELECT value FROM json_each(?1))
    ON CONFLICT DO NOTHING";
pub(crate) const CLOSE_ORPHANS: &str = "
    UPDATE alarm SET state = 'normal', returned_at_us = COALESCE(returned_at_us, ?2)
    WHERE state <> 'normal' AND id NOT IN (SELECT value FROM json_each(?1))";

/// Closes the alarms that nobody watches any more; how many those were.
pub(crate) async fn close_orphans(
    connection: &mut SqliteConnection,
    watched: &[AlarmId],
    at: Timestamp,
) -> Result<u64, sqlx::Error> {
    let watched: Vec<u64> = watched.iter().map(|id| id.0).collect();
    let watched = serde_json::to_string(&watched).expect("numbers have a JSON form");
    let at = at.as_micros();
    sqlx::query(JOURNAL_ORPHANS).bind(&watched).bind(at).execute(&mut *connection).await?;
    let closed = sqlx::query(CLOSE_ORPHANS).bind(&watched).bind(at).execute(connection).await?;
    Ok(closed.rows_affected())
}

const fn code_word(code: ExplanationCode) -> &'static str {
    match code {
        ExplanationCode::UnlikeLearnt => "unlike_learnt",
        ExplanationCode::BeyondLimit => "beyond_limit",
        ExplanationCode::SensorNotBelieved => "sensor_not_believed",
        ExplanationCode::DataMissing => "data_missing",
    }
}

fn detail(names: &Names, alert: &Alert) -> String {
    let explanation = &alert.alarm.explanation;
    let condition = explanation.condition.iter().map(|operand| NamedOperand {
        tag: names.tag(operand.tag).to_owned(),
        value: operand.value,
    });
    let contributions = explanation.contributions.iter().map(|part| NamedContribution {
        tag: names.tag(part.tag).to_owned(),
        share: part.share,
        actual: part.actual,
        expected: part.expected,
        expected_std_dev: part.expected_std_dev,
    });
    let detail =
        Detail { v: 1, condition: condition.collect(), contributions: contributions.collect() };
    serde_json::to_string(&detail).expect("plain numbers and text have a JSON form")
}

pub(crate) const ALL: &str = "
    SELECT * FROM alarm ORDER BY raised_at_us DESC, id DESC LIMIT ?1";
pub(crate) const ACTIVE: &str = "
    SELECT * FROM alarm WHERE state <> 'normal' ORDER BY raised_at_us DESC, id DESC LIMIT ?1";
pub(crate) const OF_ASSET: &str = "
    SELECT * FROM alarm WHERE asset = ?2 ORDER BY raised_at_us DESC, id DESC LIMIT ?1";
pub(crate) const ACTIVE_OF_ASSET: &str = "
    SELECT * FROM alarm WHERE asset = ?2 AND state <> 'normal'
    ORDER BY raised_at_us DESC, id DESC LIMIT ?1";

/// Alarms, newest first. A record that cannot be read any more is left out with a warning.
pub(crate) async fn list(
    pool: &SqlitePool,
    filter: &AlarmFilter,
    limit: u32,
) -> Result<Vec<AlarmRecord>, sqlx::Error> {
    let statement = match (&filter.asset, filter.active_only) {
        (None, false) => ALL,
        (None, true) => ACTIVE,
        (Some(_), false) => OF_ASSET,
        (Some(_), true) => ACTIVE_OF_ASSET,
    };
    let query = sqlx::query(statement).bind(i64::from(limit));
    let query = match &filter.asset {
        Some(asset) => query.bind(asset),
        None => query,
    };
    let rows = query.fetch_all(pool).await?;
    Ok(rows.iter().filter_map(readable).collect())
}

fn readable(row: &SqliteRow) -> Option<AlarmRecord> {
    let id: i64 = row.try_get("id").ok()?;
    let record = record(row, AlarmId(id.cast_unsigned()));
    if record.is_none() {
        warn!(alarm = id, "an alarm's record cannot be read and is left out");
    }
    record
}

fn record(row: &SqliteRow, id: AlarmId) -> Option<AlarmRecord> {
    let text = |column| row.try_get::<&str, _>(column).ok();
    let time = |column| row.try_get::<Option<i64>, _>(column).ok();
    let detail: Detail = serde_json::from_str(text("detail")?).ok()?;
    Some(AlarmRecord {
        id,
        asset: row.try_get("asset").ok()?,
        tag: row.try_get("tag").ok()?,
        kind: word(text("kind")?)?,
        state: word(text("state")?)?,
        priority: word(text("priority")?)?,
        severity: word(text("severity")?)?,
        raised_at: Timestamp::from_micros(time("raised_at_us")??),
        returned_at: time("returned_at_us")?.map(Timestamp::from_micros),
        acked_at: time("acked_at_us")?.map(Timestamp::from_micros),
        acked_by: row.try_get("acked_by").ok()?,
        code: word(text("code")?)?,
        sentence: row.try_get("sentence").ok()?,
        condition: detail.condition,
        contributions: detail.contributions,
    })
}

pub(crate) const MARKS_OF_ALARMS: &str = "
    SELECT at_us, transition, sentence FROM alarm_journal
    WHERE asset = ?1 AND at_us BETWEEN ?2 AND ?3 AND transition IN ('raised', 'returned')
    ORDER BY at_us DESC LIMIT ?4";
pub(crate) const MARKS_OF_REPAIRS: &str = "
    SELECT at_us, actor, note FROM maintenance
    WHERE asset = ?1 AND at_us BETWEEN ?2 AND ?3
    ORDER BY at_us DESC LIMIT ?4";

/// The newest thousand marks of each kind between two times, both included; oldest first.
pub(crate) async fn marks(
    pool: &SqlitePool,
    asset: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Mark>, sqlx::Error> {
    let query = |statement| {
        sqlx::query_as::<_, (i64, Text, Text)>(statement)
            .bind(asset)
            .bind(from.as_micros())
            .bind(to.as_micros())
            .bind(MARKS)
    };
    let alarms = query(MARKS_OF_ALARMS).fetch_all(pool).await?;
    let repairs = query(MARKS_OF_REPAIRS).fetch_all(pool).await?;
    let alarms = alarms.into_iter().map(|(at_us, Text(transition), Text(text))| {
        let kind = if transition == "raised" { MarkKind::Alarm } else { MarkKind::Returned };
        Mark { at: Timestamp::from_micros(at_us), kind, text }
    });
    let repairs = repairs.into_iter().map(|(at_us, Text(actor), Text(note))| {
        let text = if note.is_empty() { actor } else { format!("{note} ({actor})") };
        Mark { at: Timestamp::from_micros(at_us), kind: MarkKind::Repair, text }
    });
    let mut marks: Vec<_> = alarms.chain(repairs).collect();
    marks.sort_by_key(|mark| mark.at);
    Ok(marks)
}

pub(crate) const ADD_MAINTENANCE: &str = "
    INSERT INTO maintenance (asset, at_us, actor, note) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT DO NOTHING";

/// Keeps a repair.
pub(crate) async fn add_maintenance(
    connection: &mut SqliteConnection,
    maintenance: &Maintenance,
) -> Result<(), sqlx::Error> {
    sqlx::query(ADD_MAINTENANCE)
        .bind(&maintenance.asset)
        .bind(maintenance.at.as_micros())
        .bind(&maintenance.actor)
        .bind(&maintenance.note)
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) const MAINTENANCE: &str = "
    SELECT at_us, actor, note FROM maintenance WHERE asset = ?1 ORDER BY at_us DESC LIMIT ?2";

/// Repairs of an asset, newest first.
pub(crate) async fn maintenance(
    pool: &SqlitePool,
    asset: &str,
    limit: u32,
) -> Result<Vec<Maintenance>, sqlx::Error> {
    let rows: Vec<(i64, Text, Text)> =
        sqlx::query_as(MAINTENANCE).bind(asset).bind(i64::from(limit)).fetch_all(pool).await?;
    let repair = |(at_us, Text(actor), Text(note))| Maintenance {
        asset: asset.to_owned(),
        at: Timestamp::from_micros(at_us),
        actor,
        note,
    };
    Ok(rows.into_iter().map(repair).collect())
}

pub(crate) const FORGET: &str = "
    DELETE FROM alarm WHERE state = 'normal' AND (raised_at_us, id) <= (
      SELECT raised_at_us, id FROM alarm ORDER BY raised_at_us DESC, id DESC LIMIT 1 OFFSET ?1)";

/// Deletes the oldest alarms that are over, with their journal, beyond the newest `keep` alarms.
pub(crate) async fn forget(
    connection: &mut SqliteConnection,
    keep: u32,
) -> Result<(), sqlx::Error> {
    sqlx::query(FORGET).bind(i64::from(keep)).execute(connection).await?;
    Ok(())
}
