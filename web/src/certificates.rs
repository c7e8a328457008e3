//! The desk between the API and the folder of certificates, which the gateway hands in: the web knows no connectors.

use std::{fmt, sync::Arc};

use bellwether_domain::Certificate;

/// Why a certificate could not be trusted, in words for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustError {
    /// Nobody waits for a decision under that name.
    Unknown(String),
    /// Several do, or too little was given.
    Ambiguous(String),
    /// The disk.
    Failed(String),
}

type List = dyn Fn() -> Vec<Certificate> + Send + Sync;
type Decide = dyn Fn(&str) -> Result<(), TrustError> + Send + Sync;

/// Shows the certificates of OPC UA servers and trusts one. Both read a small folder, at most a few milliseconds.
#[derive(Clone)]
pub struct CertificateDesk {
    list: Arc<List>,
    trust: Arc<Decide>,
}

impl CertificateDesk {
    /// From what shows and what trusts.
    pub fn new(
        list: impl Fn() -> Vec<Certificate> + Send + Sync + 'static,
        trust: impl Fn(&str) -> Result<(), TrustError> + Send + Sync + 'static,
    ) -> Self {
        Self { list: Arc::new(list), trust: Arc::new(trust) }
    }

    pub(crate) fn list(&self) -> Vec<Certificate> {
        (self.list)()
    }

    pub(crate) fn trust(&self, fingerprint: &str) -> Result<(), TrustError> {
        (self.trust)(fingerprint)
    }
}

impl fmt::Debug for CertificateDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateDesk").finish_non_exhaustive()
    }
}
