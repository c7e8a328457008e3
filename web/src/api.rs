//! `/api/v1`: one resource a file. DTOs are separate from the domain's types, so that those stay free to change;
//! `/api/v1` only ever grows.

pub(crate) mod alarms;
pub(crate) mod assets;
pub(crate) mod certificates;
pub(crate) mod config;
pub(crate) mod connectors;
pub(crate) mod flags;
pub(crate) mod losses;
pub(crate) mod maintenance;
pub(crate) mod metrics;
pub(crate) mod prognosis;
pub(crate) mod query;
pub(crate) mod refusals;
pub(crate) mod status;
pub(crate) mod stream;
pub(crate) mod tags;
pub(crate) mod words;

use std::sync::{Arc, LazyLock};

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, header::CONTENT_TYPE},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::get,
};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{frames::Frame, guard::guard, pages, problem::Problem, state::App};

/// The document's head; the paths come from the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Bellwether",
        description = "The local API of the predictive-maintenance gateway. Times are RFC 3339 UTC in plant time; \
            errors are RFC 9457 problems with a stable `code`; a change needs the header `X-Bellwether: 1`."
    ),
    components(schemas(Problem, Frame<'_>, stream::Hello))
)]
struct Head;

fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Head::openapi())
        .routes(routes!(status::get_status))
        .routes(routes!(assets::get_assets))
        .routes(routes!(assets::get_asset))
        .routes(routes!(prognosis::get_rul))
        .routes(routes!(prognosis::get_anomaly))
        .routes(routes!(maintenance::log_maintenance))
        .routes(routes!(alarms::get_alarms))
        .routes(routes!(alarms::acknowledge))
        .routes(routes!(tags::get_tags))
        .routes(routes!(tags::get_history))
        .routes(routes!(losses::get_losses))
        .routes(routes!(connectors::get_connectors))
        .routes(routes!(connectors::get_connector))
        .routes(routes!(stream::get_stream))
        .routes(routes!(certificates::get_certificates))
        .routes(routes!(certificates::trust_certificate))
        .routes(routes!(config::get_config))
        .routes(routes!(config::get_versions))
        .routes(routes!(config::get_version))
}

/// The only request whose body may be large.
fn config_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(config::put_config))
        .layer(DefaultBodyLimit::max(config::MAX_BYTES))
}

/// Everything the server answers.
pub(crate) fn router(app: Arc<App>) -> Router {
    let (routes, _) = routes().split_for_parts();
    let (config, _) = config_routes().split_for_parts();
    routes
        .layer(DefaultBodyLimit::max(app.limits.body_bytes))
        .merge(config)
        .route("/api/v1/openapi.json", get(get_document))
        .route("/metrics", get(metrics::get_metrics))
        .route("/healthz", get(get_health))
        .fallback(pages::fallback)
        .layer(from_fn_with_state(app.clone(), guard))
        .with_state(app)
}

/// The `OpenAPI` document, stable from build to build.
pub(crate) fn document() -> String {
    let (_, document) = routes().merge(config_routes()).split_for_parts();
    let mut text =
        document.to_pretty_json().expect("the document has only string keys and no failing field");
    text.push('\n');
    text
}

async fn get_document() -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(document);
    ([(CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}

/// For load balancers and container hosts: the process answers and its engine publishes.
async fn get_health(State(app): State<Arc<App>>) -> Response {
    if app.is_alive() {
        (StatusCode::OK, "ok\n").into_response()
    } else {
        Problem::unavailable("stopping", "the engine publishes nothing any more").into_response()
    }
}
