//! Secured OPC UA servers: every policy, every kind of user, and a person's trust as the only way in.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bellwether::{config::SourceSetup, sources};
use bellwether_connectors::{Batch, Now, SessionError, Sink, StatusCell, opcua};
use bellwether_domain::{ConnectorStatus, TagId, Timestamp};
use bellwether_fixtures::{OpcUaServer, Secured};
use tempfile::TempDir;
use tokio::{select, sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);

#[expect(clippy::disallowed_methods, reason = "certificates are made in real time")]
fn wall() -> Now {
    Arc::new(|| {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let micros = since_epoch.unwrap_or_default().as_micros();
        Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    })
}

/// A server and the gateway's side of the trust.
struct Bench {
    scratch: TempDir,
    secured: Secured,
    pki: opcua::Pki,
}

impl Bench {
    fn new() -> Self {
        let scratch = tempfile::tempdir().expect("room for scratch files");
        let pki = opcua::Pki::below(scratch.path());
        pki.ensure_own().expect("a writable folder");
        let secured = Secured {
            pki: scratch.path().join("server"),
            username: "reader".to_owned(),
            password: "secret1".to_owned(),
            user_certificate: Some(pki.folder().join("own/cert.der")),
            trusts_everybody: true,
        };
        Self { scratch, secured, pki }
    }

    fn bind(&self, address: SocketAddr, stop: &CancellationToken) -> OpcUaServer {
        OpcUaServer::bind_as(address, stop.clone(), Some(&self.secured)).expect("a free port")
    }

    fn password_file(&self, password: &str) -> String {
        let file = self.scratch.path().join("password");
        fs::write(&file, password).expect("a writable folder");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("our file");
        format!("username = \"reader\"\npassword_file = \"{}\"", file.display())
    }

    fn user_certificate(&self) -> String {
        let file = |name: &str| self.pki.folder().join(name).display().to_string();
        format!(
            "user_certificate_file = \"{}\"\nuser_key_file = \"{}\"",
            file("own/cert.der"),
            file("private/private.pem")
        )
    }

    fn source(&self, url: &str, keys: &str) -> opcua::Source {
        let text = format!(
            "name = \"s\"\nendpoint = \"{url}\"\npublishing_interval_ms = 100\n{keys}\n[[tag]]\nname = \"t\"\n\
             asset = \"a/b/c\"\nnode = \"nsu={};s={}.speed\"\n",
            bellwether_fixtures::OPCUA_NAMESPACE,
            bellwether_fixtures::OPCUA_MACHINE,
        );
        let config: opcua::OpcuaConfig = toml::from_str(&text).expect("the form is right");
        assert_eq!(config.problems(), [""; 0]);
        config.source(&[TagId(0)])
    }

    /// Runs one session until the first good value comes or it ends.
    async fn session(&self, url: &str, keys: &str) -> Result<f64, SessionError> {
        let source = self.source(url, keys);
        let (sender, mut batches) = mpsc::channel(1_000);
        let status = StatusCell::new(ConnectorStatus::default());
        let sink = Sink::new(sender, status.clone());
        let value = first_good(&mut batches);
        let now = wall();
        let ended = async {
            select! {
                Err(error) = opcua::run(&source, &self.pki, &sink, &status, &now) => Err(error),
                value = value => Ok(value),
            }
        };
        timeout(PATIENCE, ended).await.expect("a value or an error within a minute")
    }
}

async fn first_good(batches: &mut mpsc::Receiver<Batch>) -> f64 {
    loop {
        let Some(Batch::Readings(readings)) = batches.recv().await else { continue };
        if let Some(good) = readings.iter().find(|reading| reading.quality.reason().is_none()) {
            return good.value;
        }
    }
}

/// Serves while `client` runs, with a value to read.
async fn beside<T>(
    server: OpcUaServer,
    stop: CancellationToken,
    client: impl Future<Output = T>,
) -> T {
    let micros = wall()().as_micros();
    server.nodes.set_channels(micros, &[Some(7.0); 16]);
    let serving = server.run();
    let client = async {
        let result = client.await;
        stop.cancel();
        result
    };
    let (_, result) = tokio::join!(serving, client);
    result
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

#[tokio::test]
async fn nothing_is_read_from_a_secured_server_before_a_person_trusts_it() {
    let bench = Bench::new();
    let stop = CancellationToken::new();
    let server = bench.bind(any_port(), &stop);
    let url = server.url.clone();
    beside(server, stop, async {
        let keys = "security = \"sign_and_encrypt\"";
        let error = bench.session(&url, keys).await.expect_err("nobody trusts it yet");
        let SessionError::Untrusted { sha256, .. } = &error else { panic!("{error}") };
        assert!(
            error.to_string().contains(&format!("bellwether trust {}", &sha256[..16])),
            "{error}"
        );
        assert_eq!(bench.pki.trust(sha256).expect("it waits").len(), 1);

        for policy in ["basic256sha256", "aes128_sha256_rsaoaep", "aes256_sha256_rsapss"] {
            for security in ["sign", "sign_and_encrypt"] {
                let keys = format!("security = \"{security}\"\nsecurity_policy = \"{policy}\"");
                let value = bench.session(&url, &keys).await;
                assert!(matches!(value, Ok(7.0)), "{policy} {security}: {value:?}");
            }
        }
        for user in [bench.password_file("secret1"), bench.user_certificate()] {
            let value = bench.session(&url, &format!("{keys}\n{user}")).await;
            assert!(matches!(value, Ok(7.0)), "{user}: {value:?}");
        }
        // Over None this server would take the password unencrypted, or by a way that has been broken.
        let error = bench
            .session(&url, &format!("security = \"none\"\n{}", bench.password_file("secret1")))
            .await
            .expect_err("the password stays here");
        assert!(matches!(error, SessionError::PasswordInClear { .. }), "{error}");
        let wrong = bench.password_file("secret2");
        let error =
            bench.session(&url, &format!("{keys}\n{wrong}")).await.expect_err("a wrong password");
        assert!(error.is_permanent(), "a wrong password is not tried again and again: {error:?}");
        assert!(!error.in_words().contains("secret"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_server_with_another_certificate_is_another_server_until_a_person_says_otherwise() {
    let mut bench = Bench::new();
    let keys = "security = \"sign_and_encrypt\"";
    let stop = CancellationToken::new();
    let server = bench.bind(any_port(), &stop);
    let url = server.url.clone();
    beside(server, stop, async {
        bench.session(&url, keys).await.expect_err("nobody trusts it yet");
        bench.pki.trust("all").expect("it waits");
        assert!(bench.session(&url, keys).await.is_ok());
    })
    .await;

    // It comes back on the same port, with a new key.
    bench.secured.pki = bench.scratch.path().join("new server");
    let address =
        url.trim_start_matches("opc.tcp://").trim_end_matches('/').parse().expect("an address");
    let stop = CancellationToken::new();
    let server = bench.bind(address, &stop);
    beside(server, stop, async {
        let error = bench.session(&url, keys).await.expect_err("it could be anybody");
        assert!(matches!(error, SessionError::Untrusted { .. }), "{error}");
        bench.pki.trust("all").expect("it waits");
        assert!(bench.session(&url, keys).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_server_that_does_not_know_the_gateway_is_told_which_certificate_to_trust() {
    let mut bench = Bench::new();
    bench.secured.trusts_everybody = false;
    let stop = CancellationToken::new();
    let server = bench.bind(any_port(), &stop);
    let url = server.url.clone();
    beside(server, stop, async {
        let keys = "security = \"sign_and_encrypt\"";
        bench.session(&url, keys).await.expect_err("nobody trusts it yet");
        bench.pki.trust("all").expect("it waits");
        let error = bench.session(&url, keys).await.expect_err("the server does not trust us");
        let own = bench.pki.own().expect("there is one");
        assert!(
            error.in_words().contains(&own.sha1) || matches!(error, SessionError::Broken { .. }),
            "{error:?}"
        );
        trust_client(&bench.secured.pki);
        assert!(bench.session(&url, keys).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_source_that_waits_for_trust_goes_on_by_itself_when_it_is_given() {
    let bench = Bench::new();
    let stop = CancellationToken::new();
    let server = bench.bind(any_port(), &stop);
    let source = bench.source(&server.url, "security = \"sign_and_encrypt\"");
    let (sender, mut batches) = mpsc::channel(1_000);
    let status = StatusCell::new(ConnectorStatus::default());
    let (sink, mut seen) = (Sink::new(sender, status.clone()), status.subscribe());
    let (pki, over) = (bench.pki.clone(), CancellationToken::new());
    let setup = SourceSetup::Opcua(source);
    beside(server, stop, async {
        let running = sources::run(setup, pki, sink, status, wall(), 1, over);
        let person = async {
            let untrusted = |status: &ConnectorStatus| {
                status.last_error.as_deref().is_some_and(|error| error.contains("bellwether trust"))
            };
            seen.wait_for(untrusted).await.expect("the source runs");
            bench.pki.trust("all").expect("it waits");
            first_good(&mut batches).await
        };
        let value = async {
            select! {
                _ = running => panic!("a source never ends by itself"),
                value = person => value,
            }
        };
        let value = timeout(PATIENCE, value).await.expect("values without a restart");
        assert!((value - 7.0).abs() < 1e-9);
    })
    .await;
}

/// What a person does on the server.
fn trust_client(pki: &Path) {
    for file in fs::read_dir(pki.join("rejected")).expect("the server's folder").flatten() {
        fs::rename(file.path(), pki.join("trusted").join(file.file_name()))
            .expect("a writable folder");
    }
}
