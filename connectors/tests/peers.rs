//! OPC UA sessions against servers by other makers (Modbus: `modbus_peers`). They need Node with packages, so they run only when
//! `BELLWETHER_PEERS` names a folder in which they are installed:
//!
//! ```sh
//! peers=$(mktemp -d) && cp -r ../shared/peers/. "$peers" && (cd "$peers/node" && npm install)
//! BELLWETHER_PEERS=$peers cargo nextest run --workspace -E 'binary(peers)' --no-capture
//! ```

#![expect(clippy::print_stdout, reason = "a person who runs this looks at it")]

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc::sync_channel},
    time::{Duration, SystemTime},
};

use bellwether_connectors::{Batch, Now, SessionError, Sink, StatusCell, opcua};
use bellwether_domain::{ConnectorStatus, Reading, Reason, TagId, Timestamp};
use tokio::{sync::mpsc, time::timeout};

/// The OPC UA server makes keys first, which can take half a minute.
const STARTING: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(60);

/// The folder of the peers, or `None` with a word about it.
fn peers(needs: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("BELLWETHER_PEERS").map(PathBuf::from);
    let found = folder.filter(|folder| folder.join(needs).exists());
    if found.is_none() {
        println!("skipped: BELLWETHER_PEERS names no folder with {needs}");
    }
    found
}

/// A peer, killed at the latest when the test ends.
struct Peer(Child);

impl Peer {
    /// Starts it and waits for its line that says it is up.
    fn start(program: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the peer starts");
        let output = child.stdout.take().expect("its output is piped");
        let (up, is_up) = sync_channel(1);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                println!("peer: {line}");
                if line.contains(" up") {
                    up.try_send(()).ok();
                }
            }
        });
        let peer = Self(child);
        is_up.recv_timeout(STARTING).expect("the peer comes up");
        peer
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.0.kill().expect("the peer is ours");
        self.0.wait().expect("the peer ends");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A port nobody listens on, with the next two free as well as far as anybody knows.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound port").port()
}

#[expect(clippy::disallowed_methods, reason = "other makers' servers live in real time")]
fn wall() -> Now {
    Arc::new(|| {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let micros = since_epoch.unwrap_or_default().as_micros();
        Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    })
}

/// A queue for a source, and its status.
fn queue() -> (Sink, StatusCell, mpsc::Receiver<Batch>) {
    let (sender, batches) = mpsc::channel(10_000);
    let status = StatusCell::new(ConnectorStatus::default());
    (Sink::new(sender, status.clone()), status, batches)
}

/// Where there is no security there are no certificates.
fn no_pki() -> opcua::Pki {
    opcua::Pki::below(Path::new("/dev/null"))
}

fn ids(count: usize) -> Vec<TagId> {
    (0..).map(TagId).take(count).collect()
}

fn opcua_source(port: u16, publishing_interval_ms: u64, tags: usize) -> opcua::Source {
    let mut text = format!(
        "name = \"peer\"\nendpoint = \"opc.tcp://127.0.0.1:{port}\"\nsecurity = \"none\"\n\
         publishing_interval_ms = {publishing_interval_ms}\n"
    );
    for tag in 0..tags {
        text += &format!(
            "[[tag]]\nname = \"t.{tag}\"\nasset = \"a/b/c\"\nnode = \"nsu=urn:peer:plant;s=T{tag}\"\n"
        );
    }
    text += "[[tag]]\nname = \"t.gone\"\nasset = \"a/b/c\"\nnode = \"nsu=urn:peer:plant;s=Gone\"\n";
    text += "[[tag]]\nname = \"t.lost\"\nasset = \"a/b/c\"\nnode = \"nsu=urn:nowhere;s=T1\"\n";
    let config: opcua::OpcuaConfig = toml::from_str(&text).expect("the form is right");
    assert_eq!(config.problems(), [""; 0]);
    config.source(&ids(tags + 2))
}

/// Takes batches until every tag has had a good value of the same round `k`: T<i> = 1000 k + i.
async fn whole_round(batches: &mut mpsc::Receiver<Batch>, tags: usize) -> f64 {
    let mut rounds = vec![0.0; tags];
    loop {
        let Some(Batch::Readings(readings)) = batches.recv().await else { continue };
        // Before the first round all values are 0.
        let usable = |reading: &&Reading| reading.quality.is_good() && reading.value > 0.0;
        for reading in readings.iter().filter(usable) {
            let tag = reading.tag.index();
            let round = (reading.value - f64::from(reading.tag.0)) / 1_000.0;
            assert!(round.fract().abs() < 1e-9, "{reading:?} is the value of another node");
            rounds[tag] = round;
        }
        if rounds[0] > 0.0 && rounds.iter().all(|round| (round - rounds[0]).abs() < 0.5) {
            return rounds[0];
        }
    }
}

#[tokio::test]
async fn a_killed_opc_ua_server_comes_back_with_all_its_values() {
    const TAGS: usize = 900;
    let Some(folder) = peers("node/node_modules") else { return };
    let port = free_port();
    let script = folder.join("node/opcua_server.js");
    let pki = folder.join("pki-of-test");
    let (port_text, count) = (port.to_string(), TAGS.to_string());
    let arguments = [script.to_str(), Some(&port_text), Some(&count), pki.to_str()];
    let arguments = arguments.map(|argument| argument.expect("a plain path"));
    let peer = Peer::start(Path::new("node"), &arguments);

    let source = opcua_source(port, 500, TAGS);
    let (sink, status, mut batches) = queue();
    let now = wall();
    let folder_before = std::fs::read_dir(".").expect("a folder").count();
    let pki_of_ours = no_pki();
    let first = async {
        let session = opcua::run(&source, &pki_of_ours, &sink, &status, &now);
        let round = whole_round(&mut batches, TAGS);
        let mut session = std::pin::pin!(session);
        let round = tokio::select! {
            Err(error) = &mut session => panic!("{error}"),
            round = round => round,
        };
        println!("round {round}: {:?}", status.get());
        assert_eq!(status.get().silent.len(), 2, "{:?}", status.get().silent);
        peer.kill();
        let Err(error) = session.await;
        println!("{}", error.in_words());
        error
    };
    let error = timeout(PATIENCE, first).await.expect("a killed server is noticed");
    assert!(!error.is_permanent());
    let mut last = Vec::new();
    while let Ok(batch) = batches.try_recv() {
        if let Batch::Readings(readings) = batch {
            last = readings;
        }
    }
    assert_eq!(last.len(), TAGS + 2, "all tags are bad");
    assert!(last.iter().all(|reading| reading.quality.reason() == Some(Reason::NotConnected)));

    let Err(error) = opcua::run(&source, &no_pki(), &sink, &status, &now).await;
    assert!(matches!(error, SessionError::Connect { .. }), "{error:?}");

    let _peer = Peer::start(Path::new("node"), &arguments);
    let second = async {
        tokio::select! {
            Err(error) = opcua::run(&source, &pki_of_ours, &sink, &status, &now) => panic!("{error}"),
            round = whole_round(&mut batches, TAGS) => round,
        }
    };
    let round = timeout(PATIENCE, second).await.expect("the values come back");
    println!("round {round}: {:?}", status.get());
    let folder_after = std::fs::read_dir(".").expect("a folder").count();
    assert_eq!(folder_before, folder_after, "nothing was littered");
}

#[tokio::test]
async fn an_opc_ua_server_that_hangs_is_noticed_by_its_silence() {
    let Some(folder) = peers("node/node_modules") else { return };
    let port = free_port();
    let script = folder.join("node/opcua_server.js");
    let pki = folder.join("pki-of-hanging-server");
    let port_text = port.to_string();
    let arguments = [script.to_str(), Some(&port_text), Some("10"), pki.to_str()];
    let arguments = arguments.map(|argument| argument.expect("a plain path"));
    let peer = Peer::start(Path::new("node"), &arguments);

    let source = opcua_source(port, 100, 10);
    let (sink, status, mut batches) = queue();
    let now = wall();
    let pki = no_pki();
    let mut session = std::pin::pin!(opcua::run(&source, &pki, &sink, &status, &now));
    let values = async {
        tokio::select! {
            Err(error) = &mut session => panic!("{error}"),
            round = whole_round(&mut batches, 10) => round,
        }
    };
    timeout(PATIENCE, values).await.expect("values come");
    let stopped = Command::new("kill").args(["-STOP", &peer.0.id().to_string()]).status();
    assert!(stopped.is_ok_and(|status| status.success()));
    let Err(error) = timeout(PATIENCE, session).await.expect("the silence is noticed");
    println!("{}", error.in_words());
    assert!(matches!(error, SessionError::Unpublished { silence_ms: 3_000, .. }), "{error:?}");
}
