//! Trusting a server.

use bellwether_domain::{Certificate, Timestamp, Trust};

use super::Gateway;
use crate::{CertificateDesk, TrustError};

const WAITING: &str = "aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11aa11";

/// One server waits for a decision.
pub(super) fn desk() -> CertificateDesk {
    let certificate = Certificate {
        sha256: WAITING.to_owned(),
        sha1: "bb22".to_owned(),
        subject: "CN=plc-3".to_owned(),
        application_uri: Some("urn:plc-3".to_owned()),
        hosts: vec!["plc-3".to_owned()],
        not_before: Timestamp::from_secs(0),
        not_after: Timestamp::from_secs(1),
        trust: Trust::Rejected,
    };
    CertificateDesk::new(
        move || vec![certificate.clone()],
        |fingerprint| match fingerprint {
            WAITING => Ok(()),
            other => Err(TrustError::Unknown(format!("nobody knows {other}"))),
        },
    )
}

#[tokio::test]
async fn certificates_are_listed_and_an_expired_one_says_so() {
    let gateway = Gateway::start().await;
    let list = gateway.get("/api/v1/certificates").await.ok();
    assert_eq!(list[0]["sha256"], WAITING);
    assert_eq!(list[0]["trust"], "rejected");
    assert_eq!(list[0]["not_after"], "1970-01-01T00:00:01.000Z");
    assert!(
        list[0]["expiry"].as_str().is_some_and(|words| words.contains("has expired")),
        "{list}"
    );
}

#[tokio::test]
async fn a_server_is_trusted_by_its_whole_fingerprint_only() {
    let gateway = Gateway::start().await;
    let address = |fingerprint: &str| format!("/api/v1/certificates/{fingerprint}/trust");
    assert_eq!(gateway.post(&address(WAITING), "").await.status.as_u16(), 204);
    gateway.post(&address("all"), "").await.problem(400, "fingerprint_incomplete");
    gateway.post(&address(&WAITING[..16]), "").await.problem(400, "fingerprint_incomplete");
    gateway.post(&address(&"c".repeat(64)), "").await.problem(404, "certificate_unknown");
}
