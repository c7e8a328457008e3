//! Output that nobody reads any more, as behind `| head`: the command ends quietly.

use std::{process::Stdio, time::Duration};

use crate::support::{bellwether, wait, write_config};

const LIMIT: Duration = Duration::from_secs(20);

const CONFIG: &str = r#"
[site]
enterprise = "acme"
site = "lyon"

[[asset]]
path = "utilities/water/pump-1"

[[modbus]]
name = "plc-1"
endpoint = "127.0.0.1:1"
poll_interval_ms = 1000

[[modbus.tag]]
name = "pump-1.vibration"
asset = "utilities/water/pump-1"
register = { kind = "holding", address = 0, type = "u16" }
"#;

#[track_caller]
fn check(args: &[&str]) {
    let (reader, writer) = std::io::pipe().expect("there are pipes");
    drop(reader);
    let mut command = bellwether(args);
    let child = command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()).spawn();
    let finished = wait(child.expect("the binary was built"), LIMIT);
    assert_eq!(finished.code, Some(0), "{args:?}: {finished:?}");
    assert!(!finished.stderr.contains("panicked"), "{args:?}: {finished:?}");
}

#[test]
fn a_command_that_nobody_reads_ends_quietly() {
    let dir = tempfile::tempdir().expect("there is a temporary directory");
    let config = write_config(dir.path(), CONFIG);
    let recording = dir.path().join("rig.csv");
    std::fs::write(&recording, "time,pump-1.vibration\n1,2\n").expect("the directory is ours");
    let recording = recording.to_str().expect("temporary paths are text");
    check(&["check", "--config", &config]);
    check(&["replay", "--config", &config, recording]);
}

#[test]
fn a_demo_that_nobody_watches_stops() {
    check(&["demo", "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"]);
}
