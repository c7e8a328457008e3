//! `GET /certificates` and `POST /certificates/{fingerprint}/trust`: which OPC UA servers are believed.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use bellwether_domain::Certificate;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{TrustError, problem::Problem, state::App};

/// One certificate.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CertificateInfo {
    /// SHA-256, lower-case hexadecimal: its name in this API.
    sha256: String,
    /// SHA-1, lower-case hexadecimal: the thumbprint that tools of servers show.
    sha1: String,
    /// `own`, `trusted` or `rejected`.
    trust: &'static str,
    /// Distinguished name, as the other side wrote it.
    subject: String,
    /// The application's URI.
    application_uri: Option<String>,
    /// Host names and addresses.
    hosts: Vec<String>,
    /// RFC 3339, UTC.
    not_before: String,
    /// RFC 3339, UTC.
    not_after: String,
    /// Set if it has expired, or will within 30 days, in words.
    expiry: Option<String>,
}

/// The own certificate, trusted servers, and servers nobody has decided about.
#[utoipa::path(
    get, path = "/api/v1/certificates", operation_id = "get_certificates",
    responses((status = 200, body = Vec<CertificateInfo>))
)]
pub(crate) async fn get_certificates(State(app): State<Arc<App>>) -> Json<Vec<CertificateInfo>> {
    let now = app.status().state.at;
    let info = |known: Certificate| CertificateInfo {
        expiry: known.expiry_warning(now),
        trust: known.trust.as_str(),
        not_before: known.not_before.to_string(),
        not_after: known.not_after.to_string(),
        sha256: known.sha256,
        sha1: known.sha1,
        subject: known.subject,
        application_uri: known.application_uri,
        hosts: known.hosts,
    };
    Json(app.certificates().list().into_iter().map(info).collect())
}

/// Trusts a server that nobody had decided about; its source reconnects by itself.
#[utoipa::path(
    post, path = "/api/v1/certificates/{fingerprint}/trust", operation_id = "trust_certificate",
    params(
        ("fingerprint" = String, Path, description = "The certificate's `sha256`"),
        ("X-Bellwether" = String, Header, description = "Always `1`"),
    ),
    responses(
        (status = 204),
        (status = 400, body = Problem),
        (status = 403, body = Problem),
        (status = 404, body = Problem),
        (status = 503, body = Problem),
    )
)]
pub(crate) async fn trust_certificate(
    State(app): State<Arc<App>>,
    Path(fingerprint): Path<String>,
) -> Result<StatusCode, Problem> {
    // Whole fingerprints only: a page shows them all, and `all` is for the command line.
    if fingerprint.len() != 64 {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "fingerprint_incomplete",
            "give the whole SHA-256 of the certificate: 64 hexadecimal characters",
        ));
    }
    app.certificates().trust(&fingerprint).map_err(|error| match error {
        TrustError::Unknown(detail) => {
            Problem::new(StatusCode::NOT_FOUND, "certificate_unknown", detail)
        }
        TrustError::Ambiguous(detail) => {
            Problem::new(StatusCode::BAD_REQUEST, "fingerprint_incomplete", detail)
        }
        TrustError::Failed(detail) => Problem::unavailable("pki_unwritable", &detail),
    })?;
    Ok(StatusCode::NO_CONTENT)
}
