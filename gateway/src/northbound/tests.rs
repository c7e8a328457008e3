//! Broker addresses, and an uplink against brokers that are away, silent or well.

use bellwether_domain::Timestamp;
use bellwether_store::{Class, CoreCommit, Names, Outgoing, Store, StoreOptions};
use tokio::{net::TcpListener, time::timeout};

use super::*;

/// Longest wait for anything in these tests; nothing waits that long when all is well.
const LIMIT: Duration = Duration::from_secs(4);

/// An uplink with an outbox of its own.
struct Rig {
    uplink: Uplink,
    status: watch::Receiver<UplinkStatus>,
    stop: CancellationToken,
    _gateway: watch::Sender<Arc<GatewayStatus>>,
    _dir: tempfile::TempDir,
}

impl Rig {
    async fn new(url: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store =
            Store::open(dir.path(), StoreOptions::new(Timestamp::from_secs(1))).await.unwrap();
        let (status, receiver) = watch::channel(UplinkStatus::default());
        let (gateway, picture) = watch::channel(Arc::new(GatewayStatus::default()));
        let config = format!("name = \"scada\"\nurl = \"{url}\"");
        let [enterprise, site, area, work_center, work_unit] =
            ["acme", "lyon", "gateways", "edge", "gw-7"].map(str::to_owned);
        let stop = CancellationToken::new();
        let uplink = Uplink {
            config: toml::from_str(&config).unwrap(),
            device: "gw-7".to_owned(),
            gateway_path: AssetPath { enterprise, site, area, work_center, work_unit },
            core: store.core,
            bell: Arc::new(Notify::new()),
            gateway: picture,
            clock: Clock::start(None, 1.0),
            status,
            stop: stop.clone(),
        };
        Self { uplink, status: receiver, stop, _gateway: gateway, _dir: dir }
    }

    async fn add_alert(&self) {
        let outgoing = Outgoing {
            uplink: "scada".to_owned(),
            class: Class::Alert,
            stream: "alert".to_owned(),
            topic: "acme/alert".to_owned(),
            at: Timestamp::from_secs(2),
            body: "{}".to_owned(),
        };
        let commit = CoreCommit { outgoing: vec![outgoing], ..CoreCommit::default() };
        let names = Names::of(&bellwether_domain::Plant::default());
        self.uplink.core.commit(&names, &commit).await.unwrap();
    }
}

#[tokio::test]
async fn the_backlog_is_told_while_the_broker_has_never_been_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let rig = Rig::new(&format!("mqtt://{nobody}")).await;
    rig.add_alert().await;
    let mut status = rig.status;
    tokio::select! {
        ended = run(rig.uplink) => panic!("{ended:?}"),
        counted = timeout(LIMIT, status.wait_for(|status| status.backlog == 1)) => {
            assert!(!counted.expect("counted in time").unwrap().connected);
        }
    }
}

#[track_caller]
fn check(url: &str, expected: Result<(bool, &str, u16), &str>) {
    match (BrokerUrl::parse(url), expected) {
        (Ok(url), Ok((tls, host, port))) => {
            assert_eq!(url, BrokerUrl { tls, host: host.to_owned(), port });
        }
        (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
        (got, expected) => panic!("{url}: got {got:?}, expected {expected:?}"),
    }
}

#[test]
fn broker_addresses() {
    check("mqtt://10.0.0.1:1884", Ok((false, "10.0.0.1", 1884)));
    check("mqtt://broker", Ok((false, "broker", 1883)));
    check("mqtts://broker.example/", Ok((true, "broker.example", 8883)));
    check("mqtt://[::1]:1883", Ok((false, "::1", 1883)));
    check("http://broker", Err("unknown scheme `http`"));
    check("broker:1883", Err("write mqtt://"));
    check("mqtt://me:secret@broker", Err("credentials do not belong in the url"));
    check("mqtt://broker:port", Err("`port` is no port"));
}
