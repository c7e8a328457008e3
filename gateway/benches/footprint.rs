//! What `bellwether run` needs on the demo's plants: time to READY, memory, processor.
//!
//! The plant's servers run in this process in real time; the gateway is the real binary, started as the service manager
//! starts it. The poll interval is shortened until about a thousand tags a second arrive. `cargo bench --bench footprint`
//! prints the figures; there is no pass or fail.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark measures time and prints"
)]

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bellwether::{clock::Clock, config::Config, tasks::Tasks};
use bellwether_fixtures::{DEMO_CONFIG, DemoOptions, DemoPlant};
use tokio_util::sync::CancellationToken;

const TAGS_PER_SECOND: u64 = 1_000;
const SETTLE: Duration = Duration::from_secs(10);
const MEASURE: Duration = Duration::from_secs(30);

/// Processor time of a process so far, in seconds (`/proc/PID/stat`, fields 14 and 15, in ticks of 10 ms).
fn cpu_s(pid: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<_> =
        stat.rsplit(')').next().context("stat has a name")?.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(Duration::from_millis(ticks * 10).as_secs_f64())
}

/// Resident memory of a process in KiB, now and at its highest.
fn rss_kib(pid: u32) -> anyhow::Result<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line =
            status.lines().find(|line| line.starts_with(name)).context("status has the field")?;
        Ok::<u64, anyhow::Error>(
            line.split_whitespace().nth(1).context("the field has a value")?.parse()?,
        )
    };
    Ok((field("VmRSS:")?, field("VmHWM:")?))
}

/// Starts the gateway and waits for its READY.
fn start(config: &Path, data: &Path, socket: &Path) -> anyhow::Result<(Child, Duration)> {
    let manager = UnixDatagram::bind(socket)?;
    manager.set_read_timeout(Some(Duration::from_secs(20)))?;
    let began = Instant::now();
    let child = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .args(["run", "--http", "127.0.0.1:0", "--config"])
        .arg(config)
        .arg("--data-dir")
        .arg(data)
        .env("NOTIFY_SOCKET", socket)
        .env("BELLWETHER_LOG", "warn")
        .stdin(Stdio::null())
        .spawn()?;
    let mut message = [0; 4096];
    loop {
        let length = manager.recv(&mut message)?;
        if String::from_utf8_lossy(&message[..length]).contains("READY=1") {
            return Ok((child, began.elapsed()));
        }
    }
}

async fn measure() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let clock = Clock::start(None, 1.0);
    let stop = CancellationToken::new();
    let options = DemoOptions::new(1, Arc::new(move || clock.now().as_micros()), stop.clone());
    let (plant, servers) = DemoPlant::start(options).await?;
    let mut tasks = Tasks::new();
    for (name, server) in servers {
        tasks.spawn(name, async move { Ok(server.await?) });
    }
    let tags = Config::parse("demo".as_ref(), DEMO_CONFIG)?
        .modbus
        .iter()
        .map(|m| m.tag.len() as u64)
        .sum::<u64>();
    let poll_ms = (1_000 * tags / TAGS_PER_SECOND).max(1);
    let endpoint = |name: &str| {
        DEMO_CONFIG
            .split(name)
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .unwrap_or("")
            .to_owned()
    };
    let modbus = format!("127.0.0.1:{}", endpoint("endpoint = \"127.0.0.1:"));
    let opcua = format!("opc.tcp:{}", endpoint("endpoint = \"opc.tcp:"));
    let mqtt = format!("mqtt:{}", endpoint("url = \"mqtt:"));
    let text = DEMO_CONFIG
        .replace(&modbus, &plant.modbus.to_string())
        .replace(&opcua, &plant.opcua_url)
        .replace(&mqtt, &plant.mqtt.map(|mqtt| format!("mqtt://{mqtt}")).unwrap_or_default())
        .replace("poll_interval_ms = 100", &format!("poll_interval_ms = {poll_ms}"));
    let config = dir.path().join("bellwether.toml");
    fs::write(&config, text)?;

    let mut ready = Vec::new();
    for round in 0..5 {
        let data = dir.path().join(format!("data-{round}"));
        let (child, time) = start(&config, &data, &dir.path().join(format!("notify-{round}")))?;
        ready.push(time);
        end(child)?;
    }
    ready.sort_unstable();
    println!(
        "exec → READY: median {:?}, max {:?} ({} starts)",
        ready[ready.len() / 2],
        ready[ready.len() - 1],
        ready.len()
    );

    let (child, _) = start(&config, &dir.path().join("data"), &dir.path().join("notify"))?;
    tokio::time::sleep(SETTLE).await;
    let before = cpu_s(child.id())?;
    tokio::time::sleep(MEASURE).await;
    let used = cpu_s(child.id())? - before;
    let (rss, peak) = rss_kib(child.id())?;
    end(child)?;
    println!(
        "tags a second: about {} ({tags} Modbus tags every {poll_ms} ms)",
        tags * 1_000 / poll_ms
    );
    println!("resident memory: {:.1} MiB, at its highest {:.1} MiB", kib(rss), kib(peak));
    println!("processor: {:.2} % of one core", 100.0 * used / MEASURE.as_secs_f64());
    stop.cancel();
    tasks.drain(Duration::from_secs(2)).await
}

#[expect(clippy::cast_precision_loss, reason = "memory sizes are small")]
fn kib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// Asks the gateway to stop, as the service manager does, and waits for it.
fn end(mut child: Child) -> anyhow::Result<()> {
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
    let status = child.wait()?;
    anyhow::ensure!(status.success(), "the gateway ended with {status}");
    Ok(())
}

fn main() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?
        .block_on(measure())
}
