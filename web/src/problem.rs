//! Errors as RFC 9457 problem details: a stable `code` for programs, a sentence for people.

use axum::{
    body::{Body, to_bytes},
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use bellwether_domain::ConfigProblem;
use serde::Serialize;
use utoipa::ToSchema;

const MEDIA_TYPE: &str = "application/problem+json";

/// What went wrong, to what, and what to do (RFC 9457).
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Always `about:blank`: `code` tells the kinds apart.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The HTTP status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What went wrong, and what to do.
    detail: String,
    /// What is wrong with a configuration, place by place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<ConfigFault>,
    /// Stable, for programs and translation: `bad_parameter`, `bad_request`, `not_json`, `too_large`, `not_found`,
    /// `method_not_allowed`, `host_not_allowed`, `header_missing`, `cross_site`, `alarm_not_active`, `actor_missing`,
    /// `busy`, `no_reply`, `stopping`, `timeout`, `too_many_streams`, `history_slow`, `history_failed`,
    /// `config_invalid`, `config_outdated`, `config_edited`, `config_locked`, `config_not_kept` or `internal`.
    code: &'static str,
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct ConfigFault {
    /// A register map beside the configuration; null for the configuration itself.
    file: Option<String>,
    /// From 1; null if it is about no line.
    line: Option<usize>,
    /// From 1; null if only the line is known.
    column: Option<usize>,
    /// The key at fault, as far as there is one.
    key: Option<String>,
    /// What is wrong, with what, and what to do.
    message: String,
}

impl ConfigFault {
    pub(crate) fn of(problem: ConfigProblem) -> Self {
        let message = match &problem.table {
            Some(table) => format!("in {table}: {}", problem.message),
            None => problem.message,
        };
        let ConfigProblem { file, line, column, key, .. } = problem;
        Self { file, line, column, key, message }
    }
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            problems: Vec::new(),
            code,
        }
    }

    /// With what is wrong with a configuration, place by place.
    pub(crate) fn with_faults(self, problems: Vec<ConfigFault>) -> Self {
        Self { problems, ..self }
    }

    /// 400: this parameter is wrong, and what is right.
    pub(crate) fn parameter(name: &str, right: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_parameter", format!("`{name}` {right}"))
    }

    /// 503, worth trying again.
    pub(crate) fn unavailable(code: &'static str, detail: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
    }

    /// What went wrong, in words.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// 404 for a name that is not in the running plant, with the nearest names that are.
    pub(crate) fn unknown<'a>(
        what: &str,
        name: &str,
        list: &str,
        known: impl Iterator<Item = &'a str>,
    ) -> Self {
        let some = some_of(name, known);
        let examples = if some.is_empty() { String::new() } else { format!(", among them {some}") };
        let detail = format!("there is no {what} `{name}`: GET {list} lists them{examples}");
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }
}

/// At most five known names, those with the longest common ending first: a person mistypes the path, not the machine.
fn some_of<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let common = |other: &str| {
        name.bytes().rev().zip(other.bytes().rev()).take_while(|(a, b)| a == b).count()
    };
    let mut known: Vec<&str> = known.collect();
    known.sort_by_key(|other| std::cmp::Reverse(common(other)));
    known.iter().take(5).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, [(CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// Gives errors that axum answers in plain text (wrong method, wrong body, wrong query) the common form.
pub(crate) async fn uniform(response: Response) -> Response {
    let status = response.status();
    let done = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(MEDIA_TYPE.as_bytes()));
    if done || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = text_of(body).await;
    let detail = if text.is_empty() { hint(status).to_owned() } else { text };
    let mut wrapped = Problem::new(status, code_of(status), detail).into_response();
    for (name, value) in &parts.headers {
        if name == axum::http::header::ALLOW {
            wrapped.headers_mut().insert(name, value.clone());
        }
    }
    wrapped
}

async fn text_of(body: Body) -> String {
    let bytes = to_bytes(body, 4_096).await.unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn code_of(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => "bad_request",
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
        StatusCode::PAYLOAD_TOO_LARGE => "too_large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "not_json",
        _ => "internal",
    }
}

fn hint(status: StatusCode) -> &'static str {
    match status {
        StatusCode::METHOD_NOT_ALLOWED => "this address has no such method: see header `Allow`",
        StatusCode::PAYLOAD_TOO_LARGE => "the body is too large: at most 64 KiB",
        _ => "see the gateway's log",
    }
}
