//! Modbus sessions against servers by other makers: pymodbus over TCP, RTU over TCP and a serial line, and a device in
//! plain Python that answers late, short and under another id. `make test` installs what they need: pymodbus into
//! `$BELLWETHER_TOOLS/pymodbus`, and socat. A test that does not find it says so and passes over.

#![expect(clippy::print_stdout, reason = "a person who runs this looks at it")]

use std::{
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
        mpsc::sync_channel,
    },
    time::Duration,
};

use bellwether_connectors::{
    Batch, Now, SessionError, Sink, StatusCell,
    modbus::{self, Table, probe},
};
use bellwether_domain::{ConnectorStatus, Reading, Reason, TagId, Timestamp};
use tokio::{sync::mpsc, time::timeout};

/// How long a peer may take to come up on a busy machine.
const STARTING: Duration = Duration::from_secs(60);

fn tools() -> Option<PathBuf> {
    let folder = std::env::var_os("BELLWETHER_TOOLS").map(PathBuf::from);
    let found = folder.filter(|it| it.join("pymodbus/pymodbus").exists());
    if found.is_none() {
        println!("skipped: no pymodbus in $BELLWETHER_TOOLS: `make test` installs it");
    }
    found
}

fn has(program: &str) -> bool {
    let found =
        Command::new(program).arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_err() {
        println!("skipped: no {program} on this machine: `make test` installs it");
    }
    found.is_ok()
}

/// A process, killed at the latest when the test ends.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Peer {
    /// Starts a script of this folder and waits until it says that it is up.
    fn python(script: &str, arguments: &[&str]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modbus_peers");
        let mut command = Command::new("python3");
        command.arg(folder.join(script)).args(arguments);
        if let Some(tools) = std::env::var_os("BELLWETHER_TOOLS").map(PathBuf::from) {
            command.env("PYTHONPATH", tools.join("pymodbus"));
        }
        let mut child = command
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let output = child.stdout.take().expect("its output is piped");
        let (up, is_up) = sync_channel(1);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if line.contains("peer up") {
                    up.try_send(()).ok();
                }
            }
        });
        let peer = Self(child);
        is_up.recv_timeout(STARTING).expect("the peer comes up");
        peer
    }

    /// Two ends of a serial line.
    fn line(folder: &Path) -> (Self, PathBuf, PathBuf) {
        let (ours, theirs) = (folder.join("ours"), folder.join("theirs"));
        let end = |path: &Path| format!("pty,raw,echo=0,link={}", path.display());
        let child = Command::new("socat").args([end(&ours), end(&theirs)]).spawn();
        let peer = Self(child.expect("socat starts"));
        until(|| ours.exists() && theirs.exists(), "the line is there");
        (peer, ours, theirs)
    }
}

/// Looks again and again, for as long as a busy machine may need.
fn until(mut is_so: impl FnMut() -> bool, what: &str) {
    let is_it = (0..3_000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        is_so()
    });
    assert!(is_it, "{what}");
}

/// A port nobody listens on, with the next one free as well as far as anybody knows.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound port").port()
}

fn listening(port: u16) {
    until(|| TcpStream::connect(("127.0.0.1", port)).is_ok(), "somebody listens");
}

/// A source with u16 holding registers; `way` leads to it.
fn source(way: &str, timeout_ms: u64, tags: &[(u8, u16)]) -> modbus::Source {
    let mut text =
        format!("name = \"peer\"\n{way}\npoll_interval_ms = 150\ntimeout_ms = {timeout_ms}\n");
    for (unit, address) in tags {
        text += &format!(
            "[[tag]]\nname = \"t{unit}.{address}\"\nasset = \"a/b/c\"\nunit_id = {unit}\n\
             register = {{ kind = \"holding\", address = {address}, type = \"u16\" }}\n"
        );
    }
    let config: modbus::ModbusConfig = toml::from_str(&text).expect("the form is right");
    assert_eq!(config.problems(), [""; 0]);
    let ids: Vec<_> = (0..).map(TagId).take(tags.len()).collect();
    config.source(&ids)
}

/// Runs sessions until the tags read so: the values, or the reasons why there are none. Each good value that came
/// meanwhile was its own address.
async fn check(source: &modbus::Source, expected: &[Result<u16, Reason>]) -> ConnectorStatus {
    let (sender, mut batches) = mpsc::channel(10_000);
    let status = StatusCell::new(ConnectorStatus::default());
    let sink = Sink::new(sender, status.clone());
    let clock = AtomicI64::new(0);
    let now: Now = Arc::new(move || Timestamp::from_secs(clock.fetch_add(1, Ordering::Relaxed)));
    let mut quarantine = modbus::Quarantine::default();
    let running = async {
        loop {
            let Err(error) = modbus::run(source, &mut quarantine, &sink, &status, &now).await;
            println!("{error}");
            // What is refused for a moment is tried again, at no great pace.
            if matches!(error, SessionError::Connect { .. }) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    };
    let mut last: Vec<Option<Reading>> = vec![None; source.tags.len()];
    let watching = async {
        loop {
            let Some(Batch::Readings(readings)) = batches.recv().await else { continue };
            for reading in readings {
                let address = f64::from(source.tags[reading.tag.index()].span.address);
                let is_true = !reading.quality.is_good() || (reading.value - address).abs() < 0.5;
                assert!(is_true, "{reading:?} is not {address}");
                last[reading.tag.index()] = Some(reading);
            }
            let is_as_expected = last.iter().zip(expected).all(|(reading, expected)| {
                reading.is_some_and(|reading| match expected {
                    Ok(value) => {
                        reading.quality.is_good() && (reading.value - f64::from(*value)).abs() < 0.5
                    }
                    Err(reason) => reading.quality.reason() == Some(*reason),
                })
            });
            if is_as_expected {
                return;
            }
        }
    };
    let both = async {
        tokio::select! {
            () = running => {}
            () = watching => {}
        }
    };
    let ended = timeout(STARTING, both).await;
    assert!(ended.is_ok(), "{expected:?} never came: {last:?}, {:?}", status.get());
    status.get()
}

/// What pymodbus must bring over any transport.
async fn check_pymodbus(way: &str) {
    let healthy = source(way, 2_000, &[(1, 10), (1, 500), (2, 20)]);
    let status = check(&healthy, &[Ok(10), Ok(500), Ok(20)]).await;
    println!("{status:?}");
    // Too impatient for unit 2: its neighbour goes on, and no late answer is taken for another.
    let impatient = source(way, 300, &[(1, 10), (2, 20), (1, 500)]);
    let expected = [Ok(10), Err(Reason::Timeout), Ok(500)];
    check(&impatient, &expected).await;
    // Beyond the 1000 there are.
    let beyond = source(way, 2_000, &[(1, 999), (1, 1_000)]);
    check(&beyond, &[Ok(999), Err(Reason::Configuration)]).await;
}

#[tokio::test]
async fn pymodbus_over_tcp_and_rtu_over_tcp() {
    if tools().is_none() {
        return;
    }
    let port = free_port();
    let _peer = Peer::python("server.py", &[&port.to_string()]);
    listening(port);
    listening(port + 1);
    check_pymodbus(&format!("endpoint = \"127.0.0.1:{port}\"")).await;
    let rtu = format!("endpoint = \"127.0.0.1:{}\"\ntransport = \"rtu_over_tcp\"", port + 1);
    check_pymodbus(&rtu).await;

    let target = probe::Target {
        transport: modbus::Transport::Tcp(format!("127.0.0.1:{port}")),
        timeout: Duration::from_millis(300),
        connect_timeout: Duration::from_secs(3),
    };
    let mut probe = probe::open(target).await.expect("it listens");
    let silent = probe.read(2, Table::Holding, 20, 2).await;
    assert_eq!(silent, Err(probe::ProbeError::Silent { timeout_ms: 300 }));
    assert_eq!(probe.read(1, Table::Holding, 10, 3).await, Ok(vec![10, 11, 12]));
    let beyond = probe.read(1, Table::Holding, 1_000, 1).await;
    assert_eq!(beyond, Err(probe::ProbeError::Exception { code: 2 }));
    let told = probe.device_identification(1).await;
    let told = told.expect("pymodbus tells about itself");
    assert!(told.contains(&(0, "Test maker".to_owned())), "{told:?}");
}

#[tokio::test]
async fn pymodbus_on_a_serial_line() {
    if tools().is_none() || !has("socat") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_line, ours, theirs) = Peer::line(folder.path());
    let theirs = theirs.to_str().expect("a plain path");
    let _peer = Peer::python("server.py", &[&free_port().to_string(), theirs]);
    check_pymodbus(&format!(
        "serial = {{ path = \"{}\", baud = 19200, parity = \"none\", stop_bits = 1 }}",
        ours.display()
    ))
    .await;
}

#[tokio::test]
async fn a_device_that_answers_late_short_and_under_another_id_gives_no_wrong_value() {
    if !has("python3") || !has("socat") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_line, ours, theirs) = Peer::line(folder.path());
    let port = free_port();
    let theirs = theirs.to_str().expect("a plain path");
    let _peer = Peer::python("slow.py", &[&port.to_string(), theirs]);
    listening(port);
    let tags = [(1, 10), (2, 20), (3, 30), (4, 40), (1, 900)];
    let silent = Err(Reason::Timeout);
    let serial = format!(
        "serial = {{ path = \"{}\", baud = 19200, parity = \"none\", stop_bits = 1 }}",
        ours.display()
    );
    for way in [format!("endpoint = \"127.0.0.1:{port}\""), serial] {
        let source = source(&way, 300, &tags);
        let status = check(&source, &[Ok(10), silent, silent, silent, Ok(900)]).await;
        println!("{status:?}");
    }
}
