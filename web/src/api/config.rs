//! `/config`: the configuration of the running gateway. It is changed as a whole: validated, applied without touching
//! what it leaves alone, and kept, so that a person can go back.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_TYPE, ETAG, IF_MATCH},
    },
    response::{IntoResponse, Response},
};
use bellwether_domain as domain;
use domain::{ConfigRefusal, ConfigText};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{mpsc::error::TrySendError, oneshot},
    time::timeout,
};
use utoipa::{IntoParams, ToSchema};

use super::words::Time;
use crate::{
    ConfigRequest, NewConfig,
    problem::{ConfigFault, Problem},
    state::App,
};

/// Bytes of a configuration; more get 413. Ten thousand tags take about two million.
pub(crate) const MAX_BYTES: usize = 4 << 20;

/// What became of a new configuration.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Applied {
    /// Number of the version that runs now.
    version: u64,
    /// False for a trial.
    is_applied: bool,
    /// What changed, or would.
    diff: Diff,
    /// What should be looked at all the same.
    warnings: Vec<String>,
}

/// What a new configuration changes. Names, each list sorted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Diff {
    sources: Changes,
    tags: Changes,
    /// By path.
    assets: Changes,
    /// Paths of assets that begin to learn anew, because the tags they are judged by changed.
    assets_relearning: Vec<String>,
    /// Settings that take effect at the next start only, such as `[http] listen`.
    needs_restart: Vec<String>,
}

/// By name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Changes {
    added: Vec<String>,
    removed: Vec<String>,
    /// Sources: reconnected. Tags: unit, range, role, limit or asset.
    changed: Vec<String>,
    /// Sources that went on with their connection; not told for tags and assets.
    #[serde(skip_serializing_if = "Option::is_none")]
    unchanged: Option<Vec<String>>,
}

/// A version that is kept.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Version {
    /// Counts from 1.
    version: u64,
    /// When it came into force.
    at: Time,
    /// `start`, `reload` (the file was edited) or `api`.
    origin: &'static str,
    /// Size of its text.
    bytes: u64,
}

/// The versions that are kept, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Versions {
    versions: Vec<Version>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ApplyQuery {
    /// Validate and tell what would change, and change nothing.
    #[serde(default)]
    dry_run: bool,
}

/// The running configuration as TOML. Its version is the entity tag.
#[utoipa::path(
    get, path = "/api/v1/config", operation_id = "get_config",
    responses(
        (status = 200, content_type = "application/toml", body = String),
        (status = 503, body = Problem),
    )
)]
pub(crate) async fn get_config(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let current = ask(&app, ConfigRequest::Current).await?;
    Ok(toml(current))
}

/// Puts another configuration into force. The body is the whole TOML text. Sources whose section is the same go on
/// with their connection, assets keep what they learnt; a configuration with any problem changes nothing, and all
/// problems are told at once.
#[utoipa::path(
    put, path = "/api/v1/config", operation_id = "put_config",
    params(
        ApplyQuery,
        ("X-Bellwether" = String, Header, description = "Always `1`"),
        ("If-Match" = Option<String>, Header, description = "The version this change was made to; 412 if another runs"),
    ),
    request_body(content = String, content_type = "application/toml"),
    responses(
        (status = 200, body = Applied),
        (status = 403, body = Problem),
        (status = 409, body = Problem),
        (status = 412, body = Problem),
        (status = 413, body = Problem),
        (status = 422, body = Problem, description = "`problems` tells each with its place"),
        (status = 503, body = Problem),
        (status = 507, body = Problem),
    )
)]
pub(crate) async fn put_config(
    State(app): State<Arc<App>>,
    Query(query): Query<ApplyQuery>,
    headers: HeaderMap,
    text: String,
) -> Result<Json<Applied>, Problem> {
    let expected = expected(&headers)?;
    let new = NewConfig { text, expected, is_trial: query.dry_run };
    let applied = ask(&app, |reply| ConfigRequest::Apply(new, reply)).await?.map_err(refused)?;
    Ok(Json(Applied::of(applied)))
}

/// The versions that are kept, newest first; twenty at most.
#[utoipa::path(
    get, path = "/api/v1/config/versions", operation_id = "get_config_versions",
    responses((status = 200, body = Versions), (status = 503, body = Problem), (status = 507, body = Problem))
)]
pub(crate) async fn get_versions(State(app): State<Arc<App>>) -> Result<Json<Versions>, Problem> {
    let known = ask(&app, ConfigRequest::Versions).await?.map_err(refused)?;
    let version = |known: domain::ConfigVersion| Version {
        version: known.version,
        at: Time(known.at),
        origin: known.origin.as_str(),
        bytes: known.bytes,
    };
    Ok(Json(Versions { versions: known.into_iter().map(version).collect() }))
}

/// One version as TOML, to compare with or to put back.
#[utoipa::path(
    get, path = "/api/v1/config/versions/{version}", operation_id = "get_config_version",
    params(("version" = u64, Path, description = "Its number")),
    responses(
        (status = 200, content_type = "application/toml", body = String),
        (status = 404, body = Problem),
        (status = 503, body = Problem),
        (status = 507, body = Problem),
    )
)]
pub(crate) async fn get_version(
    State(app): State<Arc<App>>,
    Path(version): Path<u64>,
) -> Result<Response, Problem> {
    let known =
        ask(&app, |reply| ConfigRequest::Version(version, reply)).await?.map_err(refused)?;
    known.map(toml).ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!(
                "version {version} is not kept: GET /api/v1/config/versions lists those that are"
            ),
        )
    })
}

fn toml(ConfigText { version, text }: ConfigText) -> Response {
    let tag = format!("\"{version}\"");
    ([(CONTENT_TYPE, "application/toml".to_owned()), (ETAG, tag)], text).into_response()
}

/// The version named by `If-Match`, if it names one.
fn expected(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(tag) = headers.get(IF_MATCH) else { return Ok(None) };
    let tag = tag.to_str().unwrap_or_default().trim();
    if tag == "*" {
        return Ok(None);
    }
    let version = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag);
    version.parse().map(Some).map_err(|_| {
        Problem::parameter(
            "If-Match",
            "must be the entity tag of GET /api/v1/config, such as \"12\"",
        )
    })
}

/// Asks the task that owns the configuration.
async fn ask<T>(
    app: &App,
    request: impl FnOnce(oneshot::Sender<T>) -> ConfigRequest,
) -> Result<T, Problem> {
    let (reply, answer) = oneshot::channel();
    app.configs().try_send(request(reply)).map_err(|error| match error {
        TrySendError::Full(_) => Problem::unavailable(
            "busy",
            "other changes of the configuration are waiting: try again in a second",
        ),
        TrySendError::Closed(_) => stopping(),
    })?;
    match timeout(app.limits.request, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(stopping()),
        Err(_) => Err(Problem::unavailable(
            "no_reply",
            "the configuration was not applied in time: reload to see whether it runs",
        )),
    }
}

fn stopping() -> Problem {
    Problem::unavailable("stopping", "the gateway is stopping: try again when it is back")
}

fn refused(refusal: ConfigRefusal) -> Problem {
    let detail = refusal.to_string();
    let (status, code) = match &refusal {
        ConfigRefusal::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "config_invalid"),
        ConfigRefusal::Outdated { .. } => (StatusCode::PRECONDITION_FAILED, "config_outdated"),
        ConfigRefusal::Edited { .. } => (StatusCode::CONFLICT, "config_edited"),
        ConfigRefusal::Locked => (StatusCode::FORBIDDEN, "config_locked"),
        ConfigRefusal::Disk(_) => (StatusCode::INSUFFICIENT_STORAGE, "config_not_kept"),
        ConfigRefusal::Busy(_) => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
    };
    let problem = Problem::new(status, code, detail);
    match refusal {
        ConfigRefusal::Invalid(faults) => {
            problem.with_faults(faults.into_iter().map(ConfigFault::of).collect())
        }
        _ => problem,
    }
}

impl Applied {
    fn of(applied: domain::ConfigApplied) -> Self {
        let domain::ConfigApplied { version, is_applied, diff, warnings } = applied;
        Self { version, is_applied, diff: Diff::of(diff), warnings }
    }
}

impl Diff {
    fn of(diff: domain::ConfigDiff) -> Self {
        Self {
            sources: Changes {
                added: diff.sources_added,
                removed: diff.sources_removed,
                changed: diff.sources_changed,
                unchanged: Some(diff.sources_unchanged),
            },
            tags: Changes {
                added: diff.tags_added,
                removed: diff.tags_removed,
                changed: diff.tags_changed,
                unchanged: None,
            },
            assets: Changes {
                added: diff.assets_added,
                removed: diff.assets_removed,
                changed: Vec::new(),
                unchanged: None,
            },
            assets_relearning: diff.assets_relearning,
            needs_restart: diff.needs_restart,
        }
    }
}
