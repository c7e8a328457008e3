//! Points of health history.

use bellwether_domain::{HealthReport, HealthState, Timestamp};
use sqlx::{SqliteConnection, SqlitePool};

use crate::{HealthPoint, RulPoint, codes::word, text::Text};

/// Most points that are read for one chart, the newest, before they are put together.
const LIMIT: i64 = 200_000;

pub(crate) const ADD_HEALTH: &str = "
    INSERT OR REPLACE INTO health_point
      (at_us, name_id, health, score, state, rul_p05_h, rul_p50_h, rul_p95_h, no_failure_probability)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

/// Keeps a point of an asset's health.
pub(crate) async fn add_health(
    connection: &mut SqliteConnection,
    name_id: i64,
    report: &HealthReport,
) -> Result<(), sqlx::Error> {
    let prognosis = report.prognosis.as_ref().ok();
    sqlx::query(ADD_HEALTH)
        .bind(report.at.as_micros())
        .bind(name_id)
        .bind(report.health.get())
        .bind(report.score.get())
        .bind(report.state.as_str())
        .bind(prognosis.map(|prognosis| prognosis.rul_p05_h))
        .bind(prognosis.map(|prognosis| prognosis.rul_p50_h))
        .bind(prognosis.map(|prognosis| prognosis.rul_p95_h))
        .bind(prognosis.map(|prognosis| prognosis.no_failure_probability))
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) const HEALTH: &str = "
    SELECT at_us, health, score, state, rul_p05_h, rul_p50_h, rul_p95_h, no_failure_probability
    FROM health_point
    WHERE at_us BETWEEN ?1 AND ?2 AND name_id = (SELECT id FROM name WHERE name = ?3)
    ORDER BY at_us DESC LIMIT ?4";

#[derive(sqlx::FromRow)]
struct HealthRow {
    at_us: i64,
    health: f64,
    score: f64,
    state: Text,
    rul_p05_h: Option<f64>,
    rul_p50_h: Option<f64>,
    rul_p95_h: Option<f64>,
    no_failure_probability: Option<f64>,
}

impl HealthRow {
    fn point(&self) -> HealthPoint {
        let rul = || {
            Some(RulPoint {
                p05_h: self.rul_p05_h?,
                p50_h: self.rul_p50_h?,
                p95_h: self.rul_p95_h?,
                no_failure_probability: self.no_failure_probability?,
            })
        };
        HealthPoint {
            at: Timestamp::from_micros(self.at_us),
            health: self.health,
            score: self.score,
            state: word(&self.state.0).unwrap_or(HealthState::Unknown),
            rul: rul(),
        }
    }
}

/// An asset's health, oldest first; put together to the worst of each bucket if there are more points than wanted.
pub(crate) async fn health(
    pool: &SqlitePool,
    asset: &str,
    from: Timestamp,
    to: Timestamp,
    points: usize,
) -> Result<Vec<HealthPoint>, sqlx::Error> {
    let mut rows: Vec<HealthRow> = sqlx::query_as(HEALTH)
        .bind(from.as_micros())
        .bind(to.as_micros())
        .bind(asset)
        .bind(LIMIT)
        .fetch_all(pool)
        .await?;
    rows.reverse();
    let per_bucket = rows.len().div_ceil(points.max(1)).max(1);
    Ok(rows.chunks(per_bucket).filter_map(worst).collect())
}

/// The worst of consecutive points, at the time and with the prognosis of the last.
fn worst(rows: &[HealthRow]) -> Option<HealthPoint> {
    let mut points = rows.iter().map(HealthRow::point);
    let first = points.next()?;
    Some(points.fold(first, |worst, point| HealthPoint {
        at: point.at,
        health: worst.health.min(point.health),
        score: worst.score.max(point.score),
        state: worst.state.max(point.state),
        rul: point.rul,
    }))
}
