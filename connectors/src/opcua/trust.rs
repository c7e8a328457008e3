//! What has to be settled before a secured session: that a person trusts the server's certificate, and that the gateway
//! has one of its own.

use std::sync::Arc;

use bellwether_domain::{Certificate, Trust};
use opcua::{
    crypto::CertificateStore,
    sync::RwLock,
    types::{EndpointDescription, MessageSecurityMode, StatusCode},
};
use tokio::task::spawn_blocking;

use super::{certificate, session::Connection, settings::no_certificates};
use crate::SessionError;

/// What the session shows, and to whom it believes it talks.
pub(super) struct Credentials {
    /// The gateway's certificate, if the session is secured.
    pub(super) own: Option<Certificate>,
    pub(super) store: Arc<RwLock<CertificateStore>>,
}

impl Connection<'_> {
    /// Checks the server's certificate and provides the own one, as far as the endpoint needs them.
    pub(super) async fn credentials(
        self,
        chosen: &EndpointDescription,
    ) -> Result<Credentials, SessionError> {
        let server = chosen.server_certificate.as_ref();
        if !server.is_empty() || chosen.security_mode != MessageSecurityMode::None {
            self.check_server(server)?;
        }
        if chosen.security_mode == MessageSecurityMode::None {
            return Ok(Credentials { own: None, store: no_certificates() });
        }
        let failed = |detail: String| {
            let endpoint = self.source.endpoint.clone();
            SessionError::OwnCertificate { endpoint, detail }
        };
        let pki = self.pki.clone();
        // The first time, a key is made: seconds of work on a small machine, which must not hold up other sources.
        let made = spawn_blocking(move || pki.ensure_own().map(|own| (own, pki.store()))).await;
        let made =
            made.map_err(|_| failed("making a key was interrupted; it is tried again".to_owned()))?;
        let (own, store) = made.map_err(|error| failed(in_words(&error)))?;
        if own.not_after < (self.now)() {
            let file = self.pki.folder().join("own/cert.der");
            return Err(failed(format!(
                "the gateway's certificate has expired: remove {}, restart, and trust the new one on the servers",
                file.display()
            )));
        }
        Ok(Credentials { own: Some(own), store })
    }

    fn check_server(self, der: &[u8]) -> Result<(), SessionError> {
        let endpoint = self.source.endpoint.clone();
        let unusable = |detail: &str| {
            let (endpoint, detail) = (self.source.endpoint.clone(), detail.to_owned());
            SessionError::ServerCertificate { endpoint, detail }
        };
        let certificate = certificate::read(der, Trust::Rejected).ok_or_else(|| {
            unusable("it is missing, larger than 16 KiB, a chain, or no X.509 certificate with an RSA key")
        })?;
        if !self.pki.is_trusted(der) {
            let kept = self.pki.reject(der, &certificate.sha256);
            kept.map_err(|error| {
                let detail = in_words(&error);
                SessionError::OwnCertificate { endpoint: endpoint.clone(), detail }
            })?;
            let Certificate { sha256, sha1, subject, .. } = certificate;
            return Err(SessionError::Untrusted { endpoint, subject, sha256, sha1 });
        }
        if certificate.not_after < (self.now)() {
            return Err(unusable(&format!("it has expired on {}", certificate.not_after)));
        }
        Ok(())
    }

    /// Whether the server has refused because it does not know the gateway's certificate.
    pub(super) fn not_trusted(
        self,
        status: StatusCode,
        own: Option<&Certificate>,
    ) -> Option<SessionError> {
        let is_trust = [
            StatusCode::BadSecurityChecksFailed,
            StatusCode::BadCertificateUntrusted,
            StatusCode::BadCertificateInvalid,
            StatusCode::BadCertificateUriInvalid,
            StatusCode::BadCertificateTimeInvalid,
        ]
        .contains(&status);
        own.filter(|_| is_trust).map(|own| SessionError::NotTrusted {
            endpoint: self.source.endpoint.clone(),
            detail: status.to_string(),
            sha1: own.sha1.clone(),
            file: self.pki.folder().join("own/cert.der").display().to_string(),
        })
    }
}

fn in_words(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error} ({cause})"),
        None => error.to_string(),
    }
}
