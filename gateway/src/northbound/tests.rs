//! Broker addresses, and an uplink against brokers that are away, silent or well.

use bellwether_domain::Timestamp;
use bellwether_store::{Class, CoreCommit, Names, Outgoing, Store, StoreOptions};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

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
            raw_equivalent_bytes: Arc::new(AtomicU64::new(7_777)),
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
    let (mut status, uplink) = (rig.status, rig.uplink);
    tokio::select! {
        ended = run(uplink) => panic!("{ended:?}"),
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

/// A packet of the client: its first byte, and what follows its length.
async fn packet(socket: &mut TcpStream) -> (u8, Vec<u8>) {
    let kind = socket.read_u8().await.unwrap();
    let (mut length, mut shift) = (0, 0);
    loop {
        let byte = socket.read_u8().await.unwrap();
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            break;
        }
    }
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.unwrap();
    (kind, body)
}

/// The JSON object in a packet.
#[track_caller]
fn object(body: &[u8]) -> serde_json::Value {
    let text = String::from_utf8_lossy(body);
    let json = &text[text.find('{').unwrap()..=text.rfind('}').unwrap()];
    serde_json::from_str(json).unwrap()
}

/// Takes the next status message and acknowledges it.
async fn next_status(socket: &mut TcpStream) -> serde_json::Value {
    let (kind, body) = packet(socket).await;
    assert_eq!(kind & 0xf0, 0x30, "a PUBLISH");
    let topic = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
    socket.write_all(&[0x40, 2, body[topic], body[topic + 1]]).await.unwrap();
    object(&body)
}

#[tokio::test]
async fn status_messages_are_counted_by_themselves_and_the_will_stands_outside() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rig = Rig::new(&format!("mqtt://{}", listener.local_addr().unwrap())).await;
    let stop = rig.stop.clone();
    let broker = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let (_, connect) = packet(&mut socket).await;
        socket.write_all(&[0x20, 2, 0, 0]).await.unwrap();
        let birth = next_status(&mut socket).await;
        stop.cancel();
        [object(&connect), birth, next_status(&mut socket).await]
    };
    let (ended, said) = timeout(LIMIT, async { tokio::join!(run(rig.uplink), broker) })
        .await
        .expect("the uplink stops when it is told to");
    ended.unwrap();
    for (message, (sequence, is_online)) in said.iter().zip([(0, false), (1, true), (2, false)]) {
        assert_eq!(
            (&message["sequence"], &message["online"]),
            (&sequence.into(), &is_online.into())
        );
        assert_eq!(message["bytes_raw_equivalent"], 7_777);
        assert_eq!(message["epoch"], said[0]["epoch"]);
    }
    assert_ne!(said[0]["epoch"], "0");
}

#[tokio::test]
async fn a_broker_that_never_answers_does_not_hold_up_the_stop() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rig = Rig::new(&format!("mqtt://{}", listener.local_addr().unwrap())).await;
    let stop = rig.stop.clone();
    let broker = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let (kind, _) = packet(&mut socket).await;
        assert_eq!(kind, 0x10, "a CONNECT");
        stop.cancel();
        socket
    };
    // The client itself would wait five seconds for the answer.
    let both = timeout(LIMIT, async { tokio::join!(run(rig.uplink), broker) }).await;
    let (ended, _socket) = both.expect("the uplink stops when it is told to");
    ended.unwrap();
}

#[test]
fn client_ids_differ_by_gateway_and_by_uplink() {
    let id = |epoch, uplink| mqtt::client_id("gw-7", epoch, uplink);
    assert_eq!(id("0123456789ab", "scada"), id("0123456789ab", "scada"));
    assert_ne!(id("0123456789ab", "scada"), id("0123456789ac", "scada"));
    assert_ne!(id("0123456789ab", "scada"), id("0123456789ab", "cloud"));
    let id = id("0123456789ab", "scada");
    let digits = id.strip_prefix("bw-gw-7-").unwrap();
    assert!(digits.len() == 8 && digits.chars().all(|c| c.is_ascii_hexdigit()), "{id}");
}
