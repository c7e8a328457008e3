//! Sessions with a server by another maker: node-opcua, installed by `.ci/prepare test` into the folder
//! `BELLWETHER_TOOLS`. Where it is not installed the tests say so and pass over.

#![expect(clippy::print_stdout, reason = "a person who wonders why nothing was tested looks at it")]

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc::sync_channel},
    time::{Duration, SystemTime},
};

use bellwether_connectors::{Batch, Now, SessionError, Sink, StatusCell, opcua};
use bellwether_domain::{ConnectorStatus, TagId, Timestamp};
use tokio::{select, sync::mpsc, time::timeout};

const PATIENCE: Duration = Duration::from_secs(60);

/// Where the library of the peer is, or `None` with a word about it.
fn modules() -> Option<PathBuf> {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/bellwether-tools"));
    let tools = std::env::var_os("BELLWETHER_TOOLS").map(PathBuf::from).or_else(home);
    let modules = tools.map(|tools| tools.join("node-opcua/node_modules"));
    let found = modules.filter(|modules| modules.join("node-opcua-server").exists());
    if found.is_none() {
        println!("skipped: node-opcua is not installed, `make test` does it");
    }
    found
}

/// The peer, killed at the latest when the test ends.
struct Peer {
    child: Child,
    url: String,
}

impl Peer {
    fn start(modules: &Path, pki: &Path) -> Self {
        // The server cannot choose a port by itself and say which.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = port.expect("a free port").port();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node_opcua/server.js");
        let mut child = Command::new("node")
            .args([script, &port.to_string()])
            .arg(pki)
            .env("NODE_PATH", modules)
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let output = child.stdout.take().expect("its output is piped");
        let (up, is_up) = sync_channel(1);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if line == "up" {
                    up.try_send(()).ok();
                }
            }
        });
        let peer = Self { child, url: format!("opc.tcp://127.0.0.1:{port}/plant") };
        is_up.recv_timeout(PATIENCE).expect("the peer comes up");
        peer
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[expect(clippy::disallowed_methods, reason = "another maker's server lives in real time")]
fn wall() -> Now {
    Arc::new(|| {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let micros = since_epoch.unwrap_or_default().as_micros();
        Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    })
}

/// Runs one session until two values have come, or it ends.
async fn session(url: &str, keys: &str, pki: &opcua::Pki) -> Result<(), SessionError> {
    let text = format!(
        "name = \"peer\"\nendpoint = \"{url}\"\npublishing_interval_ms = 200\n{keys}\n[[tag]]\nname = \"t\"\n\
         asset = \"a/b/c\"\nnode = \"nsu=urn:test:plant;s=Count\"\n"
    );
    let config: opcua::OpcuaConfig = toml::from_str(&text).expect("the form is right");
    assert_eq!(config.problems(), [""; 0]);
    let source = config.source(&[TagId(0)]);
    let (sender, mut batches) = mpsc::channel(1_000);
    let status = StatusCell::new(ConnectorStatus::default());
    let sink = Sink::new(sender, status.clone());
    let values = async {
        let mut seen = Vec::new();
        while seen.len() < 2 {
            let Some(Batch::Readings(readings)) = batches.recv().await else { continue };
            let good = readings.iter().filter(|reading| reading.quality.reason().is_none());
            seen.extend(good.map(|reading| reading.value));
            seen.dedup();
        }
        assert!(seen[1] > seen[0], "{seen:?}");
    };
    let now = wall();
    let ended = async {
        select! {
            Err(error) = opcua::run(&source, pki, &sink, &status, &now) => Err(error),
            () = values => Ok(()),
        }
    };
    timeout(PATIENCE, ended).await.expect("values or an error within a minute")
}

#[tokio::test]
async fn node_opcua_is_read_in_the_clear_and_secured_with_a_user() {
    let Some(modules) = modules() else { return };
    let scratch = tempfile::tempdir().expect("room for scratch files");
    let peer = Peer::start(&modules, &scratch.path().join("peer"));
    let pki = opcua::Pki::below(scratch.path());
    session(&peer.url, "security = \"none\"", &pki).await.expect("it is open");

    let password = scratch.path().join("password");
    fs::write(&password, "secret1").expect("a writable folder");
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).expect("our file");
    let user = format!("username = \"reader\"\npassword_file = \"{}\"", password.display());
    let keys = format!("security = \"sign_and_encrypt\"\n{user}");
    let error = session(&peer.url, &keys, &pki).await.expect_err("nobody trusts it yet");
    let SessionError::Untrusted { sha256, .. } = error else { panic!("{error}") };
    pki.trust(&sha256).expect("it waits");
    for keys in [keys, format!("security = \"sign\"\n{user}"), "security = \"sign\"".to_owned()] {
        session(&peer.url, &keys, &pki)
            .await
            .unwrap_or_else(|error| panic!("{keys}: {}", error.in_words()));
    }
}
