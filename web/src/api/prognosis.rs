//! `/assets/{id}/rul` and `/assets/{id}/anomaly`: how long there is and what is unusual, with the past of both.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use bellwether_domain::{Plant, Prognosis, Refusal};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    assets::{find, path_of},
    query::Window,
    words::{Contribution, Operand, Time, contributions, finite, operands},
};
use crate::{history, problem::Problem, state::App};

/// The score at which an asset counts as unusual.
const THRESHOLD: f64 = 0.5;

/// Remaining useful life as an interval (ISO 13381-1), or why there is none. Never a lone number.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Rul {
    Estimate(Estimate),
    Refused(Refused),
}

/// An interval.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Estimate {
    /// Always true.
    #[schema(example = true)]
    available: bool,
    /// When it was made.
    at: Time,
    /// The tag that will cross its limit first.
    tag: String,
    /// With 5 % probability it fails within this many hours.
    #[schema(required)]
    p05_h: Option<f64>,
    /// As likely to fail before as after; null if that lies at "never".
    #[schema(required)]
    p50_h: Option<f64>,
    /// With 95 % probability it fails within this many hours; null if that lies at "never".
    #[schema(required)]
    p95_h: Option<f64>,
    /// Probability that no failure is in sight at all.
    no_failure_probability: f64,
    /// When the degradation began.
    onset: Time,
    /// Present value at reference conditions, in `unit`.
    indicator: f64,
    /// Failure limit, in `unit`.
    limit: f64,
    unit: String,
}

/// No interval, and why.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Refused {
    /// Always false.
    #[schema(example = false)]
    available: bool,
    /// Stable.
    code: &'static str,
    /// In words, to stand after "no estimate:".
    reason: &'static str,
}

/// The present estimate and its past.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RulHistory {
    #[serde(flatten)]
    rul: Rul,
    /// Past estimates, oldest first; times without one are left out.
    history: Vec<RulPoint>,
    /// Past health, oldest first.
    health: Vec<HealthPoint>,
    /// Why the past is missing; absent if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    history_error: Option<String>,
}

/// One past estimate.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RulPoint {
    pub(crate) at: Time,
    #[schema(required)]
    pub(crate) p05_h: Option<f64>,
    #[schema(required)]
    pub(crate) p50_h: Option<f64>,
    #[schema(required)]
    pub(crate) p95_h: Option<f64>,
}

/// One past judgement.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct HealthPoint {
    pub(crate) at: Time,
    pub(crate) health: f64,
    pub(crate) score: f64,
}

/// How unusual an asset is, which tags make it so, and how it was before.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Anomaly<'a> {
    score: f64,
    /// At and above this score it counts as unusual.
    threshold: f64,
    /// The operating condition it is judged in.
    condition: Vec<Operand>,
    /// Of all judged tags, largest first.
    contributions: Vec<Contribution>,
    /// Tags that are judged on their own because they drift by nature.
    left_out: Vec<&'a str>,
    /// Past scores, oldest first.
    history: Vec<ScorePoint>,
    /// Why the past is missing; absent if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    history_error: Option<String>,
}

/// One past score.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ScorePoint {
    at: Time,
    score: f64,
}

impl Rul {
    pub(crate) fn of(plant: &Plant, prognosis: &Result<Prognosis, Refusal>) -> Self {
        match prognosis {
            Err(refusal) => Self::Refused(Refused {
                available: false,
                code: refusal.as_str(),
                reason: refusal.words(),
            }),
            Ok(made) => {
                let tag = plant.tags.get(made.tag.index());
                Self::Estimate(Estimate {
                    available: true,
                    at: Time(made.at),
                    tag: tag.map(|tag| tag.name.clone()).unwrap_or_default(),
                    p05_h: finite(made.rul_p05_h),
                    p50_h: finite(made.rul_p50_h),
                    p95_h: finite(made.rul_p95_h),
                    no_failure_probability: made.no_failure_probability,
                    onset: Time(made.onset),
                    indicator: made.indicator,
                    limit: made.limit,
                    unit: tag.map(|tag| tag.unit.clone()).unwrap_or_default(),
                })
            }
        }
    }
}

/// Remaining useful life now and before; the last 30 days if no window is given.
#[utoipa::path(
    get, path = "/api/v1/assets/{id}/rul", operation_id = "rul",
    params(("id" = String, Path, description = "The asset's `id`"), Window),
    responses(
        (status = 200, body = RulHistory),
        (status = 400, body = Problem),
        (status = 404, body = Problem),
    )
)]
pub(crate) async fn get_rul(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(window): Query<Window>,
) -> Result<Response, Problem> {
    let status = app.status();
    let asset = find(&status, &id)?;
    let span = window.span(status.state.at, history::HEALTH_SPAN)?;
    let path = path_of(&status.plant, asset.asset).unwrap_or_default();
    let past = history::health_and_rul(app.reader(), &path, &span).await;
    let ((health, history), history_error) = history::or_nothing(past);
    let rul = Rul::of(&status.plant, &asset.prognosis);
    Ok(Json(RulHistory { rul, history, health, history_error }).into_response())
}

/// What is unusual, now and before; the last 30 days if no window is given.
#[utoipa::path(
    get, path = "/api/v1/assets/{id}/anomaly", operation_id = "anomaly",
    params(("id" = String, Path, description = "The asset's `id`"), Window),
    responses(
        (status = 200, body = Anomaly<'_>),
        (status = 400, body = Problem),
        (status = 404, body = Problem),
    )
)]
pub(crate) async fn get_anomaly(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(window): Query<Window>,
) -> Result<Response, Problem> {
    let status = app.status();
    let asset = find(&status, &id)?;
    let span = window.span(status.state.at, history::HEALTH_SPAN)?;
    let plant = &status.plant;
    let path = path_of(plant, asset.asset).unwrap_or_default();
    let past = history::health_and_rul(app.reader(), &path, &span).await;
    let ((health, _), history_error) = history::or_nothing(past);
    let name =
        |tag: &bellwether_domain::TagId| plant.tags.get(tag.index()).map(|tag| tag.name.as_str());
    let anomaly = Anomaly {
        score: asset.anomaly.score.get(),
        threshold: THRESHOLD,
        condition: operands(plant, &asset.anomaly.condition),
        contributions: contributions(plant, &asset.anomaly.contributions),
        left_out: asset.anomaly.left_out.iter().filter_map(name).collect(),
        history: health.iter().map(|at| ScorePoint { at: at.at, score: at.score }).collect(),
        history_error,
    };
    Ok(Json(anomaly).into_response())
}
