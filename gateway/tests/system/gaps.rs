//! What is missing is on record: a device that is not there, and the time the gateway was not running.

use std::{path::Path, time::Duration};

use bellwether::{
    app::{Gateway, Ground},
    config::Loaded,
};
use bellwether_domain::{Loss, LossCause, Timestamp};
use bellwether_store::{LossFilter, Store, StoreOptions};
use tokio::{net::TcpListener, time::timeout};

use crate::support::write_config;

/// No wait of this test is longer.
const LIMIT: Duration = Duration::from_secs(60);

async fn start(dir: &Path, file: &str) -> Gateway {
    let loaded = Loaded::read(Path::new(file)).expect("the configuration is sound");
    let data = dir.join("data");
    let ground = Ground::open(&loaded.config, &data, 1.0).await.expect("the directory is ours");
    let http = "127.0.0.1:0".parse().expect("an address");
    Gateway::start(loaded, ground, http).await.expect("nothing is in the way")
}

/// Runs until the missing device is known to be missing, then stops.
async fn run_until_missing(dir: &Path, file: &str) -> Loss {
    let gateway = start(dir, file).await;
    let mut status = gateway.status.clone();
    let seen = timeout(LIMIT, status.wait_for(|status| !status.gaps.open.is_empty())).await;
    let open = seen.expect("in time").expect("the gateway runs").gaps.open.clone();
    gateway.run_until(std::future::ready(())).await.expect("it stops in order");
    assert_eq!(open.len(), 1, "{open:?}");
    open[0].clone()
}

#[tokio::test]
async fn a_missing_device_and_the_time_between_two_runs_are_gaps() {
    let dir = tempfile::tempdir().expect("a directory");
    // A port that was free a moment ago, and that nobody listens on.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = listener.local_addr().expect("an address");
    drop(listener);
    let text = format!(
        "[site]\nenterprise = \"acme\"\nsite = \"lyon\"\n[[asset]]\npath = \"hall/line/pump-1\"\n\
         [[modbus]]\nname = \"plc\"\nendpoint = \"{endpoint}\"\n\
         [[modbus.tag]]\nname = \"pump-1.flow\"\nasset = \"hall/line/pump-1\"\n\
         register = {{ kind = \"holding\", address = 0, type = \"u16\" }}\n"
    );
    let file = write_config(dir.path(), &text);
    let first = run_until_missing(dir.path(), &file).await;
    assert_eq!((first.source.as_str(), first.cause), ("plc", LossCause::Disconnected));
    assert!(first.tags.is_empty(), "all tags of the source: {first:?}");
    let second = run_until_missing(dir.path(), &file).await;

    let far = second.to.saturating_add(Duration::from_secs(3_600));
    let store = Store::open(&dir.path().join("data"), StoreOptions::new(far)).await;
    let store = store.expect("the directory is ours");
    let filter = LossFilter {
        from: Timestamp::default(),
        to: far,
        source: Some("plc".to_owned()),
        tag: Some("pump-1.flow".to_owned()),
    };
    let mut losses = store.reader().losses(&filter, 9).await.expect("a list");
    // On a busy machine the disk may be behind for a moment, which is no business of this test.
    losses.retain(|loss| loss.cause != LossCause::StoreBehind);
    losses.sort_by_key(|loss| loss.from);
    let causes: Vec<_> = losses.iter().map(|loss| loss.cause).collect();
    let expected = [LossCause::Disconnected, LossCause::GatewayStopped, LossCause::Disconnected];
    assert_eq!(causes, expected, "{losses:?}");
    assert!(losses.windows(2).all(|pair| pair[0].to <= pair[1].from), "{losses:?}");
    assert!(losses.windows(2).all(|pair| pair[0].from < pair[1].from), "{losses:?}");
}
