//! Browsing a real server, and reading from it what browsing has found.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bellwether_connectors::{
    Batch, Now, Sink, StatusCell,
    opcua::{self, BrowseLimits, Kind, OpcuaConfig, Pki},
};
use bellwether_domain::{ConnectorStatus, TagId, Timestamp};
use bellwether_fixtures::OpcUaServer;
use tokio::{select, sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::support::{bellwether, finish};

const PATIENCE: Duration = Duration::from_secs(60);
/// Plant time of the server and of the gateway.
const AT_S: i64 = 1_800_000_000;

fn now() -> Now {
    Arc::new(|| Timestamp::from_secs(AT_S))
}

fn section(url: &str, tag: &str) -> OpcuaConfig {
    let text = format!(
        "name = \"s\"\nendpoint = \"{url}\"\nsecurity = \"none\"\npublishing_interval_ms = 100\n{tag}"
    );
    let section: OpcuaConfig = toml::from_str(&text).expect("the form is right");
    if !tag.is_empty() {
        assert_eq!(section.problems(), [""; 0]);
    }
    section
}

/// Runs `client` beside a server all of whose channels show 7.
async fn with_server<T>(client: impl AsyncFnOnce(String) -> T) -> T {
    let stop = CancellationToken::new();
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = OpcUaServer::bind(any_port, stop.clone()).expect("a free port");
    server.nodes.set_channels(AT_S * 1_000_000, &[Some(7.0); 16]);
    let url = server.url.clone();
    let client = async {
        let result = timeout(PATIENCE, client(url)).await.expect("done within a minute");
        stop.cancel();
        result
    };
    tokio::join!(server.run(), client).1
}

fn nowhere() -> Pki {
    Pki::below(&std::env::temp_dir())
}

#[tokio::test]
async fn a_server_shows_its_values_with_units_and_ranges() {
    let tree = with_server(async |url| {
        let source = section(&url, "").source(&[]);
        opcua::browse(&source, &nowhere(), &now(), BrowseLimits::default()).await
    });
    let tree = tree.await.expect("the server is open");
    assert!(!tree.is_cut);
    let spindle = tree.nodes.first().expect("a machine");
    assert_eq!((spindle.kind, spindle.name(), spindle.depth()), (Kind::Object, "spindle-1", 1));
    let speed = tree.nodes.iter().find(|node| node.name() == "speed").expect("a speed");
    assert_eq!(speed.kind, Kind::Number);
    assert_eq!(speed.data_type.as_deref(), Some("Double"));
    assert_eq!(speed.unit.as_deref(), Some("/min"));
    assert!(speed.range.is_some());
    assert_eq!(speed.sample.as_deref(), Some("7"));
    let expected = format!("nsu={};s=spindle-1.speed", bellwether_fixtures::OPCUA_NAMESPACE);
    assert_eq!(speed.address.to_string(), expected);
    let burst = tree.nodes.iter().find(|node| node.name() == "acceleration").expect("a burst");
    assert_eq!(burst.kind, Kind::Array);
    assert!(!tree.nodes.iter().any(|node| node.name() == "EURange"), "properties are no nodes");
}

#[tokio::test]
async fn a_browse_ends_at_its_limits_and_says_so() {
    with_server(async |url| {
        let source = section(&url, "").source(&[]);
        for (depth, nodes, expected, is_cut) in [(1, 1_000, 1, false), (5, 3, 3, true)] {
            let limits = BrowseLimits { depth, nodes, ..BrowseLimits::default() };
            let tree = opcua::browse(&source, &nowhere(), &now(), limits).await;
            let tree = tree.expect("the server is open");
            assert_eq!((tree.nodes.len(), tree.is_cut), (expected, is_cut), "{depth} {nodes}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_browse_prints_as_configuration_passes_the_check_unchanged() {
    let folder = tempfile::tempdir().expect("room for scratch files");
    let file = folder.path().join("browsed.toml");
    let browsed = with_server(async |url| {
        let run = move || {
            finish(&mut bellwether(&["browse", &url, "--toml", "--filter", "spindle"]), PATIENCE)
        };
        tokio::task::spawn_blocking(run).await.expect("it runs")
    });
    let browsed = browsed.await;
    assert_eq!(browsed.code, Some(0), "{}", browsed.stderr);
    let text = &browsed.stdout;
    assert!(text.contains("unit = \"/min\"") && text.contains("range = ["), "{text}");
    std::fs::write(&file, text).expect("a writable folder");
    let file = file.to_str().expect("a plain path");
    let checked = finish(&mut bellwether(&["check", "--config", file]), PATIENCE);
    assert_eq!(checked.code, Some(0), "{}\n{text}", checked.stderr);
}

#[tokio::test]
async fn a_tag_is_read_by_its_browse_path_and_with_a_deadband() {
    let place = format!(
        "path = \"/Objects/{{{0}}}spindle-1/{{{0}}}speed\"",
        bellwether_fixtures::OPCUA_NAMESPACE
    );
    for deadband in ["", "deadband = 0.5", "deadband_percent = 1.0"] {
        let tag = format!("[[tag]]\nname = \"t\"\nasset = \"a/b/c\"\n{place}\n{deadband}\n");
        let value = with_server(async |url| {
            let source = section(&url, &tag).source(&[TagId(0)]);
            let (sender, mut batches) = mpsc::channel(1_000);
            let status = StatusCell::new(ConnectorStatus::default());
            let sink = Sink::new(sender, status.clone());
            let good = async {
                loop {
                    let Some(Batch::Readings(readings)) = batches.recv().await else { continue };
                    let good = readings.iter().find(|reading| reading.quality.reason().is_none());
                    if let Some(good) = good {
                        return good.value;
                    }
                }
            };
            let (pki, now) = (nowhere(), now());
            select! {
                Err(error) = opcua::run(&source, &pki, &sink, &status, &now) => panic!("{error}"),
                value = good => value,
            }
        });
        assert!((value.await - 7.0).abs() < 1e-9, "{deadband}");
    }
}
