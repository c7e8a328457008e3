//! Modbus/TCP Security against a device that asks for our certificate. The keys in this folder are for this test alone.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bellwether_connectors::{
    SessionError,
    modbus::{Table, TlsFiles, Transport, probe},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::timeout,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        server::WebPkiClientVerifier,
    },
};

const PATIENCE: Duration = Duration::from_secs(20);

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/modbus_tls").join(name)
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file(name)).expect("a certificate")
}

fn acceptor() -> TlsAcceptor {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(certificate("plant-ca.pem")).expect("a certificate");
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let key = PrivateKeyDer::from_pem_file(file("device.key")).expect("a key");
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows them")
        .with_client_cert_verifier(clients.build().expect("there is a root"))
        .with_single_cert(vec![certificate("device.pem")], key)
        .expect("they go together");
    TlsAcceptor::from(Arc::new(config))
}

/// Answers each request for one register with its address, to one client after the other.
async fn serve(listener: TcpListener) {
    let acceptor = acceptor();
    loop {
        let (stream, _) = listener.accept().await.expect("a listener accepts");
        let Ok(mut stream) = acceptor.accept(stream).await else { continue };
        let mut request = [0; 12];
        while stream.read_exact(&mut request).await.is_ok() {
            let [t0, t1, _, _, _, _, unit, function, a0, a1, _, _] = request;
            let answer = [t0, t1, 0, 0, 0, 5, unit, function, 2, a0, a1];
            if stream.write_all(&answer).await.is_err() || stream.flush().await.is_err() {
                break;
            }
        }
    }
}

enum Outcome {
    Reads,
    /// Not let in, for good.
    Refused,
    /// Let go after the handshake, as TLS 1.3 has it.
    Broken,
}

async fn check(authority: &str, name: Option<&str>, has_certificate: bool, expected: Outcome) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = listener.local_addr().expect("a bound port").to_string();
    let ours = |name| has_certificate.then(|| file(name));
    let files = TlsFiles {
        ca_file: file(authority),
        server_name: name.map(str::to_owned),
        certificate_file: ours("gateway.pem"),
        key_file: ours("gateway.key"),
    };
    let target = probe::Target {
        transport: Transport::Tls(endpoint, files),
        timeout: PATIENCE,
        connect_timeout: PATIENCE,
    };
    let asking = async {
        let mut probe = match probe::open(target).await {
            Ok(probe) => probe,
            Err(error) => {
                let is_expected = matches!(expected, Outcome::Refused)
                    && matches!(error, SessionError::Tls { .. })
                    && error.is_permanent();
                assert!(is_expected, "{}", error.in_words());
                return;
            }
        };
        let answer = probe.read(1, Table::Holding, 4_711, 1).await;
        let is_expected = match expected {
            Outcome::Reads => answer == Ok(vec![4_711]),
            Outcome::Broken => matches!(answer, Err(probe::ProbeError::Broken { .. })),
            Outcome::Refused => false,
        };
        assert!(is_expected, "{answer:?}");
    };
    let both = async {
        tokio::select! {
            () = serve(listener) => {}
            () = asking => {}
        }
    };
    timeout(PATIENCE, both).await.expect("nothing hangs");
}

#[tokio::test]
async fn a_device_is_read_over_tls_if_each_trusts_the_other() {
    check("plant-ca.pem", Some("plc-7.test"), true, Outcome::Reads).await;
    check("stranger-ca.pem", Some("plc-7.test"), true, Outcome::Refused).await;
    check("plant-ca.pem", Some("plc-8.test"), true, Outcome::Refused).await;
    check("plant-ca.pem", None, true, Outcome::Refused).await;
    check("plant-ca.pem", Some("plc-7.test"), false, Outcome::Broken).await;
    check("gateway.key", Some("plc-7.test"), true, Outcome::Refused).await;
}
