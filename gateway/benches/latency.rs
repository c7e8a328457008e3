//! From the last byte of a Modbus answer to the alarm, and to the broker's acknowledgement of the message about it.
//!
//! The whole gateway runs in this process, on real sockets, a real broker and a real database at `synchronous=FULL`.
//! The device is a raw responder that notes the moment it has written each answer; its one value jumps over its failure
//! limit and back. `cargo bench --bench latency` prints percentiles; there is no pass or fail.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark measures time and prints"
)]

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bellwether::{
    app::{Gateway, Ground},
    config::Loaded,
};
use bellwether_fixtures::Broker;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_util::sync::CancellationToken;

const ALARMS: usize = 200;
const POLL_MS: u64 = 5;

/// The device: one f32 in two holding registers.
#[derive(Debug, Default)]
struct Device {
    is_high: AtomicBool,
    answered: Mutex<Option<Instant>>,
}

impl Device {
    async fn serve(self: Arc<Self>, listener: TcpListener) -> anyhow::Result<()> {
        loop {
            let (mut socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            let mut request = [0; 12];
            while socket.read_exact(&mut request).await.is_ok() {
                let value: f32 = if self.is_high.load(Ordering::SeqCst) { 9.0 } else { 1.0 };
                let mut answer = request[..4].to_vec();
                answer.extend([0, 7, request[6], request[7], 4]);
                answer.extend(value.to_be_bytes());
                socket.write_all(&answer).await?;
                *self.answered.lock().expect("nobody panics") = Some(Instant::now());
            }
        }
    }

    fn answered_before(&self, moment: Instant) -> Duration {
        self.answered
            .lock()
            .expect("nobody panics")
            .map_or(Duration::ZERO, |at| moment.saturating_duration_since(at))
    }
}

fn config(device: SocketAddr, broker: SocketAddr) -> String {
    format!(
        r#"
[site]
enterprise = "bench"
site = "loopback"
[analytics]
limit_on_delay_s = 0
limit_off_delay_s = 0
[[asset]]
path = "bench/line/machine"
[[modbus]]
name = "device"
endpoint = "{device}"
poll_interval_ms = {POLL_MS}
timeout_ms = 500
[[modbus.tag]]
name = "machine.vibration"
asset = "bench/line/machine"
unit = "mm/s"
failure_above = 5.0
register = {{ kind = "holding", address = 0, type = "f32", order = "ABCD" }}
[[mqtt]]
name = "broker"
url = "mqtt://{broker}"
"#
    )
}

async fn measure() -> anyhow::Result<()> {
    let device = Arc::new(Device::default());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let mut tasks = bellwether::tasks::Tasks::new();
    tasks.spawn("device", Arc::clone(&device).serve(listener));
    let stop = CancellationToken::new();
    let broker = Broker::start("127.0.0.1:0".parse()?, stop.clone()).await?;
    let broker_address = broker.address;
    tasks.spawn("broker", async move { Ok(broker.run().await?) });
    let dir = tempfile::tempdir()?;
    let loaded = Loaded::parse("bench".as_ref(), config(address, broker_address), 1.0)?;
    let ground = Ground::open(&loaded.config, dir.path(), 1.0).await?;
    let gateway = Gateway::start(loaded, ground, "127.0.0.1:0".parse()?).await?;

    let mut decided = Vec::new();
    let mut acknowledged = Vec::new();
    let mut state = gateway.state.clone();
    let mut uplink = gateway.uplinks[0].clone();
    uplink.wait_for(|uplink| uplink.connected).await?;
    for _ in 0..ALARMS {
        let acked = uplink.borrow().acked;
        device.is_high.store(true, Ordering::SeqCst);
        state
            .wait_for(|state| state.alarms.iter().any(|alarm| alarm.returned_at.is_none()))
            .await?;
        let decision = Instant::now();
        let since_answer = device.answered_before(decision);
        decided.push(since_answer);
        uplink.wait_for(|uplink| uplink.acked > acked).await?;
        acknowledged.push(since_answer + decision.elapsed());
        device.is_high.store(false, Ordering::SeqCst);
        state
            .wait_for(|state| state.alarms.iter().all(|alarm| alarm.returned_at.is_some()))
            .await?;
        tokio::time::sleep(Duration::from_millis(3 * POLL_MS)).await;
    }
    print("last byte of the answer → alarm decided", &mut decided);
    print("last byte of the answer → message acknowledged", &mut acknowledged);
    gateway.run_until(std::future::ready(())).await?;
    stop.cancel();
    Ok(())
}

fn print(what: &str, samples: &mut [Duration]) {
    samples.sort_unstable();
    let at = |percent: usize| samples[(samples.len() * percent / 100).min(samples.len() - 1)];
    println!(
        "{what}: p50 {:?}, p99 {:?}, max {:?} ({} alarms)",
        at(50),
        at(99),
        at(100),
        samples.len()
    );
}

fn main() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(measure())
}
