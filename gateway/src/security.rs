//! OPC UA certificates between the folder that holds them, the log and the dashboard.

use bellwether_connectors::opcua::{Pki, PkiError};
use bellwether_domain::Timestamp;
use bellwether_web::{CertificateDesk, TrustError};
use tracing::warn;

use crate::config::Config;

/// What a person should know when the gateway starts: who can overhear, and which certificate ends soon. It is logged
/// as well.
pub(crate) fn notices(config: &Config, pki: &Pki, now: Timestamp) -> Vec<String> {
    for warning in config.opcua.iter().flat_map(|source| source.warnings()) {
        warn!("{warning}");
    }
    let ending = expiring(pki, now);
    ending.iter().for_each(|warning| warn!("{warning}"));
    ending
}

/// Certificates that have expired or will soon, in words. Those nobody trusts do not matter.
pub(crate) fn expiring(pki: &Pki, now: Timestamp) -> Vec<String> {
    let all = pki.certificates().into_iter();
    let used = all.filter(|known| known.trust != bellwether_domain::Trust::Rejected);
    used.filter_map(|known| known.expiry_warning(now)).collect()
}

/// What the API may do with the folder.
pub(crate) fn desk(pki: Pki) -> CertificateDesk {
    let list = pki.clone();
    CertificateDesk::new(
        move || list.certificates(),
        move |fingerprint| {
            pki.trust(fingerprint).map(drop).map_err(|error| match error {
                PkiError::Unknown(_) => TrustError::Unknown(error.to_string()),
                PkiError::Ambiguous(_) => TrustError::Ambiguous(error.to_string()),
                PkiError::File { .. } | PkiError::Make(_) | PkiError::Form { .. } => {
                    TrustError::Failed(format!("{:#}", anyhow::Error::new(error)))
                }
            })
        },
    )
}
