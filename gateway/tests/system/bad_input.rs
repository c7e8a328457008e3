//! Wrong configurations and wrong surroundings: one clear line each, the right exit code, never a panic.

use std::{net::TcpListener, time::Duration};

use crate::support::{bellwether, finish, write_config};

const LIMIT: Duration = Duration::from_secs(20);

const GOOD: &str = r#"
[site]
enterprise = "acme"
site = "lyon"

[[asset]]
path = "utilities/water/pump-1"
kind = "pump"

[[modbus]]
name = "plc-1"
endpoint = "127.0.0.1:1"
poll_interval_ms = 100
timeout_ms = 50

[[modbus.tag]]
name = "pump-1.vibration"
asset = "utilities/water/pump-1"
unit = "mm/s"
register = { kind = "holding", address = 0, type = "f32", order = "CDAB" }

[[modbus.tag]]
name = "pump-1.current"
asset = "utilities/water/pump-1"
unit = "A"
register = { kind = "holding", address = 2, type = "u16" }
scale = 0.1
"#;

/// `check` of the good configuration with one text replaced: exit code 78 and these words, all of them.
#[track_caller]
fn check(find: &str, replace: &str, expected: &[&str]) {
    assert!(GOOD.contains(find), "the good configuration should contain `{find}`");
    let dir = tempfile::tempdir().expect("there is a temporary directory");
    let config = write_config(dir.path(), &GOOD.replace(find, replace));
    let finished = finish(&mut bellwether(&["check", "--config", &config]), LIMIT);
    assert_eq!(finished.code, Some(78), "{finished:?}");
    for expected in expected {
        assert!(
            finished.stderr.contains(expected),
            "should contain `{expected}`:\n{}",
            finished.stderr
        );
    }
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
}

#[test]
fn a_right_configuration_is_called_right() {
    let dir = tempfile::tempdir().expect("there is a temporary directory");
    let config = write_config(dir.path(), GOOD);
    let finished = finish(&mut bellwether(&["check", "--config", &config]), LIMIT);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(
        finished.stdout.contains("is right: 1 asset, 2 tags, 1 source, 0 uplinks"),
        "{finished:?}"
    );
}

#[test]
fn an_unknown_key_is_named_with_the_valid_ones() {
    check(
        "timeout_ms",
        "timeout",
        &["in [[modbus]] `plc-1`: unknown key `timeout`", "`timeout_ms`"],
    );
}

#[test]
fn a_wrong_type_is_named_with_its_place() {
    check(
        "poll_interval_ms = 100",
        "poll_interval_ms = \"fast\"",
        &["line 13", "invalid type: string \"fast\""],
    );
}

#[test]
fn an_unknown_asset_is_named_with_the_known_ones() {
    check(
        "asset = \"utilities/water/pump-1\"\nunit = \"A\"",
        "asset = \"utilities/water/pump-2\"\nunit = \"A\"",
        &[
            "tag `pump-1.current`: unknown asset `utilities/water/pump-2`: the assets are utilities/water/pump-1",
        ],
    );
}

#[test]
fn an_unknown_tag_is_named_with_the_known_ones() {
    check(
        "kind = \"pump\"",
        "running_when = { tag = \"pump-1.speed\", above = 1.0 }",
        &["`running_when` names `pump-1.speed`", "its tags are pump-1.vibration, pump-1.current"],
    );
}

#[test]
fn a_tag_that_is_there_twice_is_named() {
    check(
        "name = \"pump-1.current\"",
        "name = \"pump-1.vibration\"",
        &["`pump-1.vibration`", "2 times"],
    );
}

#[test]
fn registers_that_overlap_with_different_types_are_named() {
    check(
        "address = 2",
        "address = 1",
        &["pump-1.vibration", "pump-1.current", "both read holding register 1 (40002) of unit 1"],
    );
}

#[test]
fn every_problem_is_reported_at_once() {
    check(
        "site = \"lyon\"",
        "site = \"lyon\"\ncountry = \"fr\"\n[store]\nhistory_mib = 5\n[http]\nlisten = \"nowhere\"",
        &[
            "3 problems",
            "unknown key `country`, expected `enterprise` or `site`",
            "unknown key `history_mib`, expected `history_max_mib` or `outbox_max_summaries`",
            "in [http]: invalid socket address syntax: listen = \"nowhere\"",
        ],
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let finished =
        finish(&mut bellwether(&["check", "--config", "/nonexistent/bellwether.toml"]), LIMIT);
    assert_eq!(finished.code, Some(78), "{finished:?}");
    assert!(finished.stderr.contains("/nonexistent/bellwether.toml"), "{finished:?}");
    assert!(finished.stderr.contains("cannot be read"), "{finished:?}");
}

#[test]
fn a_wrong_command_line_ends_with_64() {
    for args in [
        &["run", "--cofnig", "x"][..],
        &["fly"],
        &["demo", "--speed", "5000"],
        &["demo", "--http", "0.0.0.0:0"],
        &["demo", "--recording", "rig.csv", "--speed", "100"],
        &["demo", "--recording", "rig.csv", "--seed", "2"],
        &["demo", "--recording", "rig.csv", "--mqtt", "127.0.0.1:0"],
    ] {
        let finished = finish(&mut bellwether(args), LIMIT);
        assert_eq!(finished.code, Some(64), "{args:?}: {finished:?}");
    }
}

#[test]
fn a_recording_has_its_own_speed_and_says_so() {
    let args = ["demo", "--recording", "rig.csv", "--speed", "100"];
    let finished = finish(&mut bellwether(&args), LIMIT);
    let words = "'--recording <FILE>' cannot be used with '--speed <SPEED>'";
    assert!(finished.stderr.contains(words), "{finished:?}");
}

#[test]
fn an_address_that_others_can_reach_is_refused() {
    let dir = tempfile::tempdir().expect("there is a temporary directory");
    let config = write_config(dir.path(), &format!("{GOOD}\n[http]\nlisten = \"0.0.0.0:0\"\n"));
    let data = dir.path().join("data");
    let data = data.to_str().expect("temporary paths are text");
    let finished =
        finish(&mut bellwether(&["run", "--config", &config, "--data-dir", data]), LIMIT);
    assert_eq!(finished.code, Some(78), "{finished:?}");
    assert!(finished.stderr.contains("can be reached by others"), "{finished:?}");
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    let dir = tempfile::tempdir().expect("there is a temporary directory");
    let config = write_config(dir.path(), GOOD);
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let address = taken.local_addr().expect("it is bound").to_string();
    let data = dir.path().join("data");
    let data = data.to_str().expect("temporary paths are text");
    let args = ["run", "--config", &config, "--data-dir", data, "--http", &address];
    let finished = finish(&mut bellwether(&args), LIMIT);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(
        finished.stderr.contains(&format!("the dashboard cannot listen on {address}")),
        "{finished:?}"
    );
}

#[test]
fn a_data_directory_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().expect("there is a temporary directory");
    let config = write_config(dir.path(), GOOD);
    let file = dir.path().join("data");
    std::fs::write(&file, "not a directory").expect("the directory is ours");
    for data in [file.to_str().expect("temporary paths are text"), "/proc/bellwether"] {
        let args = ["run", "--config", &config, "--data-dir", data, "--http", "127.0.0.1:0"];
        let finished = finish(&mut bellwether(&args), LIMIT);
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(finished.stderr.contains(data), "{finished:?}");
        assert!(!finished.stderr.contains("panicked"), "{finished:?}");
    }
}
