//! The server on a real socket: streams, caps, and how it stops.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{DEADLINE, Gateway, limits, plant};
use crate::{serve::run, state::Limits};

/// One connection with a buffer of what came so far.
struct Client {
    socket: TcpStream,
    text: String,
}

impl Client {
    async fn get(address: SocketAddr, path: &str) -> Self {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        Self { socket, text: String::new() }
    }

    /// Reads until `mark` has come, and returns everything up to it.
    async fn until(&mut self, mark: &str) -> String {
        let work = async {
            loop {
                if let Some(at) = self.text.find(mark) {
                    let rest = self.text.split_off(at + mark.len());
                    return std::mem::replace(&mut self.text, rest);
                }
                assert!(self.more().await, "closed before `{mark}`: {}", self.text);
            }
        };
        timeout(DEADLINE, work).await.expect("in time")
    }

    /// Reads to the end.
    async fn rest(mut self) -> String {
        let work = async { while self.more().await {} };
        timeout(DEADLINE, work).await.expect("the end in time");
        self.text
    }

    async fn more(&mut self) -> bool {
        let mut bytes = [0; 4_096];
        // A reset is an end too.
        let count = self.socket.read(&mut bytes).await.unwrap_or(0);
        self.text.push_str(&String::from_utf8_lossy(&bytes[..count]));
        count > 0
    }
}

/// Runs `script` against a served gateway, then stops the server and waits for its end; `script` returns what is to
/// stay open until then.
async fn served<F>(gateway: &Gateway, limits: Limits, script: impl FnOnce(SocketAddr) -> F)
where
    F: Future<Output = Vec<Client>>,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let server = run(listener, gateway.web.clone(), stop.clone(), limits);
    let user = async {
        let left_open = script(address).await;
        stop.cancel();
        left_open
    };
    let (result, _left_open) =
        timeout(DEADLINE, async { tokio::join!(server, user) }).await.expect("the end in time");
    result.unwrap();
}

#[tokio::test]
async fn a_stream_greets_and_then_sends_the_newest_frame() {
    let gateway = Gateway::start().await;
    served(&gateway, limits(), async |address| {
        let mut client = Client::get(address, "/api/v1/stream").await;
        let head = client.until("\r\n\r\n").await.to_ascii_lowercase();
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        assert!(head.contains("cache-control: no-store"), "{head}");
        let hello = client.until("\n\n").await;
        assert!(hello.contains("event: hello\n"), "{hello}");
        assert!(hello.contains(r#""build":"0.1.0+abc""#), "{hello}");
        client.until("event: frame\n").await;
        let frame = frame(&mut client).await;
        assert_eq!(frame["at"], "2026-11-23T08:00:00.000Z");
        assert_eq!(frame["tags"][0], serde_json::json!(["pump-1.vibration", 4.2, "good", 30.0]));
        assert_eq!(frame["tags"][2], serde_json::json!(["fan-1.temperature", null, "bad", 60.0]));
        assert_eq!(frame["assets"][0]["state"], "plan");
        assert!(frame["assets"][0].get("spark").is_none());
        assert_eq!(frame["status"]["connectors"][0]["name"], "plc-1");
        let mut next = plant::status();
        next.state.alarms.clear();
        gateway.status.send_replace(Arc::new(next));
        client.until("event: frame\n").await;
        let changed = self::frame(&mut client).await;
        assert_eq!((&frame["alarms_active"], &changed["alarms_active"]), (&1.into(), &0.into()));
        assert_ne!(frame["alarms_version"], changed["alarms_version"]);
        vec![client]
    })
    .await;
}

async fn frame(client: &mut Client) -> serde_json::Value {
    let text = client.until("\n\n").await;
    let json = text.trim().strip_prefix("data: ").unwrap_or_else(|| panic!("{text}"));
    serde_json::from_str(json).unwrap()
}

#[tokio::test]
async fn a_quiet_stream_sends_a_heartbeat() {
    let gateway = Gateway::start().await;
    served(&gateway, limits(), async |address| {
        let mut client = Client::get(address, "/api/v1/stream").await;
        client.until("event: frame\n").await;
        client.until("\n:\n\n").await;
        vec![client]
    })
    .await;
}

#[tokio::test]
async fn streams_beyond_the_cap_are_refused_and_a_closed_one_makes_room() {
    let gateway = Gateway::start().await;
    served(&gateway, limits(), async |address| {
        let mut open = Vec::new();
        for _ in 0..2 {
            let mut client = Client::get(address, "/api/v1/stream").await;
            client.until("event: frame\n").await;
            open.push(client);
        }
        let mut third = Client::get(address, "/api/v1/stream").await;
        let answer = third.until("\"code\":\"too_many_streams\"").await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        open.pop();
        // The server notices the closed socket in its own time; each try is a round trip.
        let mut again = loop {
            let mut client = Client::get(address, "/api/v1/stream").await;
            if client.until("\r\n\r\n").await.starts_with("HTTP/1.1 200") {
                break client;
            }
        };
        again.until("event: frame\n").await;
        open.push(again);
        open
    })
    .await;
}

#[tokio::test]
async fn the_server_stops_at_once_and_says_goodbye_to_open_streams() {
    let gateway = Gateway::start().await;
    let (sender, receiver) = tokio::sync::oneshot::channel();
    // Waiting for the end of the grace would be longer than the test may take.
    let patient = Limits { grace: DEADLINE * 2, ..limits() };
    served(&gateway, patient, async |address| {
        let mut client = Client::get(address, "/api/v1/stream").await;
        client.until("event: frame\n").await;
        let mut idle = Client::get(address, "/healthz").await;
        idle.until("ok\n").await;
        assert!(sender.send(client).is_ok());
        vec![idle]
    })
    .await;
    let text = receiver.await.unwrap().rest().await;
    assert!(text.contains("event: bye\n"), "{text}");
}

#[tokio::test]
async fn a_request_that_never_ends_cannot_hold_up_the_stop() {
    let gateway = Gateway::start().await;
    let grace = Duration::from_millis(100);
    served(&gateway, Limits { grace, ..limits() }, async |address| {
        let mut half = TcpStream::connect(address).await.unwrap();
        half.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
        let mut streaming = Client::get(address, "/api/v1/stream").await;
        streaming.until("event: hello\n").await;
        vec![Client { socket: half, text: String::new() }, streaming]
    })
    .await;
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off() {
    let gateway = Gateway::start().await;
    let header = Duration::from_millis(50);
    served(&gateway, Limits { header, ..limits() }, async |address| {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
        let text = Client { socket, text: String::new() }.rest().await;
        assert!(!text.starts_with("HTTP/1.1 200"), "{text}");
        Vec::new()
    })
    .await;
}

#[tokio::test]
async fn connections_beyond_the_cap_wait_for_their_turn() {
    let gateway = Gateway::start().await;
    served(&gateway, Limits { connections: 1, ..limits() }, async |address| {
        let mut first = Client::get(address, "/healthz").await;
        first.until("ok\n").await;
        let mut second = Client::get(address, "/healthz").await;
        let again = format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\n\r\n");
        for _ in 0..3 {
            first.socket.write_all(again.as_bytes()).await.unwrap();
            first.until("ok\n").await;
        }
        let early = second.socket.try_read(&mut [0; 1]).unwrap_err();
        assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock);
        drop(first);
        second.until("ok\n").await;
        Vec::new()
    })
    .await;
}

#[tokio::test]
async fn a_body_that_never_comes_is_answered_in_time() {
    let gateway = Gateway::start().await;
    let request = Duration::from_millis(50);
    served(&gateway, Limits { request, ..limits() }, async |address| {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /api/v1/alarms/ack HTTP/1.1\r\nhost: {address}\r\nx-bellwether: 1\r\n\
             content-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut client = Client { socket, text: String::new() };
        let answer = client.until("\"code\":\"timeout\"").await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        vec![client]
    })
    .await;
}
