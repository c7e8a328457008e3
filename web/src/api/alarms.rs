//! `/alarms`: the list of ISA-18.2, and its one verb so far.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use bellwether_domain::{self as domain, AlarmId, Command, GatewayStatus};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    assets::path_of,
    query::count,
    words::{
        AlarmKind, AlarmState, Contribution, ExplanationCode, HealthState, Priority, Time,
        asset_id, contributions,
    },
};
use crate::{history, problem::Problem, state::App};

/// Most alarms of one answer, and of one acknowledgement.
const MAX_ALARMS: usize = 1_000;
const DEFAULT_ALARMS: usize = 200;

/// One occurrence of an alarm.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Alarm {
    /// A number, as text because it may not fit into a JavaScript number.
    pub(crate) id: String,
    /// The asset's id.
    pub(crate) asset: String,
    /// The asset's work unit.
    pub(crate) asset_name: String,
    /// The one tag it is about, if it is about one.
    #[schema(required)]
    pub(crate) tag: Option<String>,
    pub(crate) kind: AlarmKind,
    pub(crate) state: AlarmState,
    pub(crate) priority: Priority,
    /// The asset's state when the alarm last changed.
    pub(crate) severity: HealthState,
    pub(crate) raised_at: Time,
    #[schema(required)]
    pub(crate) returned_at: Option<Time>,
    #[schema(required)]
    pub(crate) acked_at: Option<Time>,
    #[schema(required)]
    pub(crate) acked_by: Option<String>,
    /// Why, in English.
    pub(crate) sentence: String,
    /// Which sentence, for translation.
    pub(crate) code: ExplanationCode,
    /// The largest, largest first; at most three.
    pub(crate) contributions: Vec<Contribution>,
}

/// Alarms, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Alarms {
    /// Plant time.
    at: Time,
    alarms: Vec<Alarm>,
}

/// Which alarms.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlarmQuery {
    /// `active` (if left out) or `all`.
    state: Option<String>,
    /// At most this many, 1 to 1000; 200 if left out.
    limit: Option<String>,
}

/// "I have seen these."
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Acknowledge {
    /// Ids of active alarms, 1 to 1000.
    ids: Vec<AlarmRef>,
    /// Who; `dashboard` if left out.
    actor: Option<String>,
}

/// An id as it was given, or as a number for people at a command line.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum AlarmRef {
    Text(String),
    Number(u64),
}

/// What an acknowledgement has done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Acknowledged {
    /// How many alarms it has acknowledged.
    acknowledged: usize,
    /// Ids of those that had been acknowledged before.
    already: Vec<String>,
    /// Ids of those that are not active, or never were.
    unknown: Vec<String>,
}

/// Active alarms, or those of the past as well; newest first.
#[utoipa::path(
    get, path = "/api/v1/alarms", operation_id = "alarms",
    params(AlarmQuery),
    responses((status = 200, body = Alarms), (status = 400, body = Problem))
)]
pub(crate) async fn get_alarms(
    State(app): State<Arc<App>>,
    Query(query): Query<AlarmQuery>,
) -> Result<Response, Problem> {
    let status = app.status();
    let limit = match query.limit.as_deref() {
        None => DEFAULT_ALARMS,
        Some(text) => count("limit", text, MAX_ALARMS)?,
    };
    let mut alarms = active(&status);
    match query.state.as_deref() {
        None | Some("active") => {}
        Some("all") => {
            let seen: BTreeSet<String> = alarms.iter().map(|alarm| alarm.id.clone()).collect();
            let past = history::alarms(app.reader(), &status.plant, limit).await?;
            // What the engine knows is newer than what the disk knows.
            alarms.extend(past.into_iter().filter(|alarm| !seen.contains(&alarm.id)));
            alarms.sort_by_key(|alarm| std::cmp::Reverse(alarm.raised_at.0));
        }
        Some(other) => {
            let right = format!("must be `active` or `all`, not `{other}`");
            return Err(Problem::parameter("state", &right));
        }
    }
    alarms.truncate(limit);
    Ok(Json(Alarms { at: Time(status.state.at), alarms }).into_response())
}

/// Acknowledges those of the alarms that are active, and says what became of each. The engine records who and when before the answer.
#[utoipa::path(
    post, path = "/api/v1/alarms/ack", operation_id = "acknowledge",
    params(("X-Bellwether" = String, Header, description = "Always `1`")),
    request_body = Acknowledge,
    responses(
        (status = 200, body = Acknowledged),
        (status = 400, body = Problem),
        (status = 403, body = Problem),
        (status = 409, body = Problem, description = "None of the alarms is active"),
        (status = 503, body = Problem),
    )
)]
pub(crate) async fn acknowledge(
    State(app): State<Arc<App>>,
    Json(body): Json<Acknowledge>,
) -> Result<Response, Problem> {
    let alarms = ids(&body.ids)?;
    let actor = actor(body.actor.as_deref())?;
    let outcome = app.command(Command::Acknowledge { alarms, actor }).await?;
    let texts = |ids: &[AlarmId]| ids.iter().map(AlarmId::to_string).collect();
    let answer = Acknowledged {
        acknowledged: outcome.acknowledged.len(),
        already: texts(&outcome.already),
        unknown: texts(&outcome.unknown),
    };
    Ok(Json(answer).into_response())
}

fn ids(refs: &[AlarmRef]) -> Result<Vec<AlarmId>, Problem> {
    if refs.is_empty() || refs.len() > MAX_ALARMS {
        let right = format!("must list 1 to {MAX_ALARMS} alarms");
        return Err(Problem::parameter("ids", &right));
    }
    let ids: Result<BTreeSet<AlarmId>, Problem> = refs
        .iter()
        .map(|given| match given {
            AlarmRef::Number(id) => Ok(AlarmId(*id)),
            AlarmRef::Text(text) => text.parse().map(AlarmId).map_err(|_| {
                let right = format!("must be ids from GET /api/v1/alarms, not `{text}`");
                Problem::parameter("ids", &right)
            }),
        })
        .collect();
    Ok(ids?.into_iter().collect())
}

/// Who asks: short and printable, because it goes to disk and to SCADA.
///
/// # Errors
/// 400 naming `actor`.
pub(crate) fn actor(given: Option<&str>) -> Result<String, Problem> {
    text("actor", given.unwrap_or("dashboard"), 1, 64)
}

/// A person's words, trimmed.
///
/// # Errors
/// 400 naming the field, if too short, too long or with control characters.
pub(crate) fn text(name: &str, given: &str, least: usize, most: usize) -> Result<String, Problem> {
    let trimmed = given.trim();
    let length = trimmed.chars().count();
    let printable = !trimmed.chars().any(|c| c.is_control() && c != '\n');
    if printable && (least..=most).contains(&length) {
        return Ok(trimmed.to_owned());
    }
    let right = format!("must be {least} to {most} printable characters");
    Err(Problem::parameter(name, &right))
}

/// Active alarms, newest first.
fn active(status: &GatewayStatus) -> Vec<Alarm> {
    let mut alarms: Vec<Alarm> =
        status.state.alarms.iter().filter_map(|alarm| Alarm::of(&status.plant, alarm)).collect();
    alarms.sort_by_key(|alarm| std::cmp::Reverse(alarm.raised_at.0));
    alarms
}

impl Alarm {
    fn of(plant: &domain::Plant, alarm: &domain::Alarm) -> Option<Self> {
        let asset = plant.assets.get(alarm.asset.index())?;
        Some(Self {
            id: alarm.id.to_string(),
            asset: asset_id(&path_of(plant, alarm.asset)?),
            asset_name: asset.name().to_owned(),
            tag: alarm.tag.and_then(|tag| plant.tags.get(tag.index())).map(|tag| tag.name.clone()),
            kind: alarm.kind.into(),
            state: alarm.state.into(),
            priority: alarm.priority.into(),
            severity: alarm.severity.into(),
            raised_at: Time(alarm.raised_at),
            returned_at: alarm.returned_at.map(Time),
            acked_at: alarm.acked_at.map(Time),
            acked_by: alarm.acked_by.clone(),
            sentence: alarm.explanation.sentence.clone(),
            code: alarm.explanation.code.into(),
            contributions: contributions(plant, &alarm.explanation.contributions),
        })
    }
}
