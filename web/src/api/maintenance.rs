//! `POST /assets/{id}/maintenance`: "this has been repaired".

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use bellwether_domain::Command;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    alarms::{actor, text},
    assets::find,
};
use crate::{problem::Problem, state::App};

/// What was done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Repair {
    /// In the person's words, at most 2000 characters; may be empty.
    #[serde(default)]
    note: String,
    /// Who; `dashboard` if left out.
    actor: Option<String>,
}

/// Logs a repair: the asset's degradation history begins anew, what healthy looks like stays.
#[utoipa::path(
    post, path = "/api/v1/assets/{id}/maintenance", operation_id = "log_maintenance",
    params(
        ("id" = String, Path, description = "The asset's `id`"),
        ("X-Bellwether" = String, Header, description = "Always `1`"),
    ),
    request_body = Repair,
    responses(
        (status = 204),
        (status = 400, body = Problem),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
        (status = 503, body = Problem),
    )
)]
pub(crate) async fn log_maintenance(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Json(body): Json<Repair>,
) -> Result<StatusCode, Problem> {
    let asset = find(&app.status(), &id)?.asset;
    let note = text("note", &body.note, 0, 2_000)?;
    let actor = actor(body.actor.as_deref())?;
    app.command(Command::MaintenanceDone { asset, actor, note }).await?;
    Ok(StatusCode::NO_CONTENT)
}
