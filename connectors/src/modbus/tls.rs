//! Modbus/TCP Security (MODBUS/TCP Security Protocol Specification, 2018): the same frames in TLS 1.2 or 1.3, with
//! rustls and ring. The device's certificate is always verified; our own is shown if there is one.

use std::{io, path::Path, sync::Arc};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    },
};

use super::transport::{TlsFiles, Wire};
use crate::SessionError;

/// Shakes hands over a fresh connection.
pub(super) async fn wrap(
    stream: TcpStream,
    endpoint: &str,
    files: &TlsFiles,
) -> Result<Box<dyn Wire>, SessionError> {
    let rejected = |detail: String| SessionError::Tls { endpoint: endpoint.to_owned(), detail };
    let config = config(files).map_err(rejected)?;
    let host = endpoint.rsplit_once(':').map_or(endpoint, |(host, _)| host);
    let name = files.server_name.as_deref().unwrap_or(host).trim_matches(['[', ']']);
    let name = ServerName::try_from(name.to_owned())
        .map_err(|_| rejected(format!("`{name}` is no name a certificate can bear")))?;
    match TlsConnector::from(Arc::new(config)).connect(name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        // What rustls objects to does not go away by itself; a connection that breaks does.
        Err(cause) if cause.kind() == io::ErrorKind::InvalidData => {
            Err(rejected(cause.to_string()))
        }
        Err(source) => Err(SessionError::Broken { endpoint: endpoint.to_owned(), source }),
    }
}

fn config(files: &TlsFiles) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&files.ca_file)? {
        roots.add(certificate).map_err(|cause| {
            format!("`ca_file` {} holds no usable certificate: {cause}", files.ca_file.display())
        })?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|cause| cause.to_string())?
        .with_root_certificates(roots);
    match (&files.certificate_file, &files.key_file) {
        (Some(certificate), Some(key)) => {
            let key = PrivateKeyDer::from_pem_file(key).map_err(|cause| unread(key, &cause))?;
            builder.with_client_auth_cert(certificates(certificate)?, key).map_err(|cause| {
                format!("`certificate_file` and `key_file` do not go together: {cause}")
            })
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|cause| unread(path, &cause))?;
    if read.is_empty() {
        return Err(format!("{} holds no PEM certificate", path.display()));
    }
    Ok(read)
}

fn unread(path: &Path, cause: &impl std::fmt::Display) -> String {
    format!("{} cannot be read: {cause}", path.display())
}
