//! The past, from the store's read-only side, in the API's shapes.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::http::StatusCode;
use bellwether_domain::{Plant, Tag, Timestamp};
use bellwether_store::{
    self as store, AlarmFilter, AlarmRecord, LossFilter, LossRecord, NamedContribution, Reader,
    StoreError,
};
use tracing::warn;

use crate::{
    api::{
        alarms::Alarm,
        assets::Mark,
        prognosis::{HealthPoint, RulPoint},
        query::Span,
        tags::TagHistory,
        words::{Contribution, Time, asset_id, finite},
    },
    problem::Problem,
};

/// How far back health, estimates and marks go if nobody asks otherwise.
pub(crate) const HEALTH_SPAN: Duration = Duration::from_secs(30 * 86_400);

/// How far back a tag goes if nobody asks otherwise.
pub(crate) const TAG_SPAN: Duration = Duration::from_secs(86_400);

/// Values of a sparkline.
const SPARK: usize = 30;

fn failed(error: &StoreError) -> Problem {
    if matches!(error, StoreError::Slow { .. }) {
        return Problem::unavailable("history_slow", &error.to_string());
    }
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    warn!(%error, cause = %cause.trim_start_matches(": "), "history cannot be read");
    let detail = format!("{error}{cause}");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "history_failed", detail)
}

/// The present must not vanish because the past cannot be read: nothing instead, and why.
pub(crate) fn or_nothing<T: Default>(past: Result<T, Problem>) -> (T, Option<String>) {
    match past {
        Ok(past) => (past, None),
        Err(problem) => (T::default(), Some(problem.detail().to_owned())),
    }
}

/// A tag in columns.
pub(crate) async fn tag(reader: &Reader, tag: &Tag, span: &Span) -> Result<TagHistory, Problem> {
    let past = reader
        .tag_history(&tag.name, span.from, span.to, span.points)
        .await
        .map_err(|error| failed(&error))?;
    Ok(TagHistory {
        id: tag.name.clone(),
        unit: tag.unit.clone(),
        level: past.level.as_str().to_owned(),
        at: past.at.iter().map(|at| at.as_millis()).collect(),
        min: past.min,
        max: past.max,
        mean: past.mean,
        quality: past.quality.into_iter().map(Into::into).collect(),
    })
}

/// An asset's health, and the estimates among it.
pub(crate) async fn health_and_rul(
    reader: &Reader,
    path: &str,
    span: &Span,
) -> Result<(Vec<HealthPoint>, Vec<RulPoint>), Problem> {
    let past = reader
        .health_history(path, span.from, span.to, span.points)
        .await
        .map_err(|error| failed(&error))?;
    let estimates = past.iter().filter_map(|point| {
        point.rul.map(|rul| RulPoint {
            at: Time(point.at),
            p05_h: finite(rul.p05_h),
            p50_h: finite(rul.p50_h),
            p95_h: finite(rul.p95_h),
        })
    });
    let health = past.iter().map(|point| HealthPoint {
        at: Time(point.at),
        health: point.health,
        score: point.score,
    });
    Ok((health.collect(), estimates.collect()))
}

/// What happened to an asset in the last 30 days, oldest first.
pub(crate) async fn marks(
    reader: &Reader,
    path: &str,
    now: Timestamp,
) -> Result<Vec<Mark>, Problem> {
    let marks = reader
        .alarm_marks(path, now.saturating_sub(HEALTH_SPAN), now)
        .await
        .map_err(|error| failed(&error))?;
    Ok(marks
        .into_iter()
        .map(|mark| Mark { at: Time(mark.at), kind: mark.kind.into(), text: mark.text })
        .collect())
}

/// Gaps that have ended, newest first.
pub(crate) async fn losses(
    reader: &Reader,
    filter: &LossFilter,
    limit: u32,
) -> Result<Vec<LossRecord>, Problem> {
    reader.losses(filter, limit).await.map_err(|error| failed(&error))
}

/// Alarms of the past and of now as they are on disk, newest first.
pub(crate) async fn alarms(
    reader: &Reader,
    plant: &Plant,
    limit: usize,
) -> Result<Vec<Alarm>, Problem> {
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let records =
        reader.alarms(&AlarmFilter::default(), limit).await.map_err(|error| failed(&error))?;
    Ok(records.into_iter().map(|record| alarm(plant, record)).collect())
}

fn alarm(plant: &Plant, record: AlarmRecord) -> Alarm {
    let name = record.asset.rsplit('/').next().unwrap_or_default().to_owned();
    Alarm {
        id: record.id.to_string(),
        asset: asset_id(&record.asset),
        asset_name: name,
        tag: record.tag,
        kind: record.kind.into(),
        state: record.state.into(),
        priority: record.priority.into(),
        severity: record.severity.into(),
        raised_at: Time(record.raised_at),
        returned_at: record.returned_at.map(Time),
        acked_at: record.acked_at.map(Time),
        acked_by: record.acked_by,
        sentence: record.sentence,
        code: record.code.into(),
        contributions: record.contributions.into_iter().map(|part| named(plant, part)).collect(),
    }
}

/// The tag may have left the configuration since: then its name has to do.
fn named(plant: &Plant, part: NamedContribution) -> Contribution {
    let tag = plant.tags.iter().find(|tag| tag.name == part.tag);
    Contribution {
        signal: tag.map_or_else(|| part.tag.clone(), Tag::signal),
        unit: tag.map(|tag| tag.unit.clone()).unwrap_or_default(),
        tag: part.tag,
        share: part.share,
        actual: part.actual,
        expected: part.expected,
        expected_std_dev: part.expected_std_dev,
    }
}

/// Sparklines by asset path, kept while a new one would look the same.
#[derive(Debug, Default)]
pub(crate) struct Sparks {
    made: Mutex<BTreeMap<String, Spark>>,
}

#[derive(Clone, Debug)]
struct Spark {
    at: Timestamp,
    slot: Duration,
    values: Vec<Option<f64>>,
}

impl Sparks {
    /// Health over the last 30 days, or since the first point if that is less: a young gateway shows what it has.
    pub(crate) async fn of(
        &self,
        reader: &Reader,
        path: &str,
        now: Timestamp,
    ) -> Result<Vec<Option<f64>>, Problem> {
        if let Some(known) = self.known(path, now) {
            return Ok(known);
        }
        let read = |from, points| async move {
            reader.health_history(path, from, now, points).await.map_err(|error| failed(&error))
        };
        let earliest = now.saturating_sub(HEALTH_SPAN);
        // Hours: fine enough to find the beginning.
        let coarse = read(earliest, 720).await?;
        let hour = Duration::from_secs(3_600);
        let begin = coarse.first().map_or(earliest, |first| first.at.saturating_sub(hour));
        let begin = begin.max(earliest);
        let past = if now.since(begin) < HEALTH_SPAN / 10 {
            read(begin, SPARK * 2).await?
        } else {
            coarse
        };
        let begin = past.first().map_or(begin, |first| first.at.min(now));
        let spark = Spark {
            at: now,
            slot: now.since(begin) / u32::try_from(SPARK).unwrap_or(u32::MAX),
            values: resample(&past, begin, now),
        };
        let values = spark.values.clone();
        self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), spark);
        Ok(values)
    }

    fn known(&self, path: &str, now: Timestamp) -> Option<Vec<Option<f64>>> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let spark = made.get(path)?;
        let fresh = now >= spark.at && now.since(spark.at) < spark.slot / 2;
        fresh.then(|| spark.values.clone())
    }
}

/// The lowest health in each of [`SPARK`] equal slots: a dip must not vanish. Empty if there is no point at all.
fn resample(past: &[store::HealthPoint], begin: Timestamp, end: Timestamp) -> Vec<Option<f64>> {
    if past.is_empty() {
        return Vec::new();
    }
    let mut slots = vec![None; SPARK];
    let width = end.seconds_since(begin).max(1e-6);
    for point in past {
        let share = (point.at.seconds_since(begin) / width).clamp(0.0, 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of 0..=1 times a small number"
        )]
        let slot = ((share * SPARK as f64) as usize).min(SPARK - 1);
        let lowest = slots[slot].map_or(point.health, |lowest: f64| lowest.min(point.health));
        slots[slot] = Some(lowest);
    }
    slots
}

#[cfg(test)]
mod tests {
    use bellwether_domain::HealthState;

    use super::*;

    fn point(at: i64, health: f64) -> store::HealthPoint {
        let at = Timestamp::from_secs(at);
        store::HealthPoint { at, health, score: 0.0, state: HealthState::Acceptable, rul: None }
    }

    #[test]
    fn a_sparkline_keeps_dips_and_gaps() {
        let past =
            [point(0, 1.0), point(10, 0.4), point(12, 0.9), point(299, 0.8), point(300, 0.7)];
        let slots = resample(&past, Timestamp::from_secs(0), Timestamp::from_secs(300));
        assert_eq!(slots.len(), SPARK);
        assert_eq!((slots[0], slots[1], slots[2]), (Some(1.0), Some(0.4), None));
        assert_eq!(slots[SPARK - 1], Some(0.7));
        assert!(resample(&[], Timestamp::from_secs(0), Timestamp::from_secs(300)).is_empty());
    }

    #[test]
    fn one_point_is_a_sparkline_too() {
        let now = Timestamp::from_secs(5);
        let slots = resample(&[point(5, 0.5)], now, now);
        assert_eq!(slots.iter().flatten().collect::<Vec<_>>(), [&0.5]);
    }
}
