//! A factory's worth of Modbus: processor time of acquisition alone and with all detectors on, the way from the last
//! byte to the pump, the ceiling, and what devices that are away cost. The devices live in a process of their own, so
//! that the figures are those of the gateway; they answer at once with numbers that look random.
//!
//! `cargo bench -p bellwether --bench factory` prints the figures; there is no pass or fail.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark measures time and prints"
)]

#[path = "factory/devices.rs"]
mod devices;
#[path = "factory/plant.rs"]
mod plant;

use std::{
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bellwether::{
    clock::Clock,
    config::Setup,
    pump::{COMMIT_QUEUE, Channels, Commit, Pump, SOURCE_QUEUE},
    sources,
    tasks::Tasks,
};
use bellwether_connectors::{Batch, Sink, StatusCell, opcua::Pki};
use devices::Devices;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

const SETTLE: Duration = Duration::from_secs(3);
const MEASURE: Duration = Duration::from_secs(20);

/// Processor time of this process so far: of all its threads, in nanoseconds (`/proc/self/task/TID/schedstat`).
fn cpu() -> anyhow::Result<Duration> {
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task")? {
        // A thread may end while we look.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        sum += text.split_whitespace().next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(sum))
}

/// Resident memory of this process in MiB, now and at its highest.
fn rss_mib() -> anyhow::Result<(u64, u64)> {
    let status = fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().nth(1).unwrap_or_default().parse::<u64>()
    };
    Ok((field("VmRSS:")? / 1_024, field("VmHWM:")? / 1_024))
}

/// Starts a session task for each source, into one queue.
fn start_sources(
    setup: &Setup,
    clock: &Clock,
    tasks: &mut Tasks,
    stop: &CancellationToken,
) -> (mpsc::Receiver<Batch>, Vec<StatusCell>) {
    let (sender, receiver) = mpsc::channel(SOURCE_QUEUE);
    let mut cells = Vec::new();
    for (seed, source) in (0..).zip(&setup.sources) {
        let status = StatusCell::new(source.status());
        let sink = Sink::new(sender.clone(), status.clone());
        cells.push(status.clone());
        // No source here is OPC UA, so nothing is ever written there.
        let pki = Pki::below(&std::env::temp_dir());
        let (source, now) = (source.clone(), clock.as_fn());
        let run = sources::run(source, pki, sink, status, now, seed, stop.clone());
        tasks.spawn("source", run);
    }
    (receiver, cells)
}

fn dropped(cells: &[StatusCell]) -> u64 {
    cells.iter().map(|cell| cell.get().dropped).sum()
}

/// Acquisition alone: whoever takes the batches only counts them.
async fn acquisition(devices: usize, registers: u16, poll_ms: u64) -> anyhow::Result<()> {
    let peers = Devices::start(devices)?;
    let setup = plant::setup(&peers.addresses, registers, poll_ms)?;
    let (mut tasks, stop) = (Tasks::new(), CancellationToken::new());
    let clock = Clock::start(None, 1.0);
    let (mut batches, cells) = start_sources(&setup, &clock, &mut tasks, &stop);
    let readings = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&readings);
    tasks.spawn("counter", async move {
        while let Some(batch) = batches.recv().await {
            if let Batch::Readings(batch) = batch {
                counter.fetch_add(batch.len() as u64, Ordering::Relaxed);
            }
        }
        Ok(())
    });
    tokio::time::sleep(SETTLE).await;
    let (before, began, used) = (readings.load(Ordering::Relaxed), Instant::now(), cpu()?);
    tokio::time::sleep(MEASURE).await;
    let count = readings.load(Ordering::Relaxed) - before;
    print("acquisition alone", count, began.elapsed(), cpu()? - used, dropped(&cells));
    stop.cancel();
    tasks.drain(Duration::from_secs(2)).await
}

/// The same with the pump and an engine that has finished learning; the store is a queue that is emptied.
async fn detectors(what: &str, devices: usize, registers: u16, poll_ms: u64) -> anyhow::Result<()> {
    let peers = Devices::start(devices)?;
    let setup = plant::setup(&peers.addresses, registers, poll_ms)?;
    let clock = Clock::start(None, 1.0);
    let engine = plant::learnt_engine(&setup, clock.now());
    let (mut tasks, stop) = (Tasks::new(), CancellationToken::new());
    let (batches, cells) = start_sources(&setup, &clock, &mut tasks, &stop);
    let (_commands, commands) = mpsc::channel(1);
    let (commits, mut written) = mpsc::channel::<Commit>(COMMIT_QUEUE);
    let (_plants, plants) = mpsc::channel(1);
    let (status, _) = watch::channel(Arc::default());
    let (gaps, _) = watch::channel(Arc::default());
    let channels = Channels {
        batches,
        commands,
        plants,
        commits,
        status,
        gaps,
        raw_equivalent_bytes: Arc::default(),
        thinned: Arc::default(),
    };
    let pump = Pump::new(engine, Arc::clone(&setup.plant), clock.clone(), channels, None);
    tasks.spawn("pump", pump.run());
    let readings = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&readings);
    tasks.spawn("store", async move {
        while let Some(commit) = written.recv().await {
            counter.fetch_add(commit.readings.len() as u64, Ordering::Relaxed);
        }
        Ok(())
    });
    tokio::time::sleep(SETTLE).await;
    let (before, began, used) = (readings.load(Ordering::Relaxed), Instant::now(), cpu()?);
    tokio::time::sleep(MEASURE).await;
    let count = readings.load(Ordering::Relaxed) - before;
    print(what, count, began.elapsed(), cpu()? - used, dropped(&cells));
    let (now, highest) = rss_mib()?;
    println!("  resident memory {now} MiB, at its highest {highest} MiB");
    stop.cancel();
    tasks.drain(Duration::from_secs(5)).await
}

/// From the moment a device has written the last byte to the moment the batch is taken from the queue.
async fn last_byte_to_pump() -> anyhow::Result<()> {
    let written = Arc::new(Mutex::new(None));
    let address = devices::serve_here(Arc::clone(&written))?;
    let setup = plant::setup(&[address], 100, 5)?;
    let (mut tasks, stop) = (Tasks::new(), CancellationToken::new());
    let clock = Clock::start(None, 1.0);
    let (mut batches, _cells) = start_sources(&setup, &clock, &mut tasks, &stop);
    let mut samples = Vec::new();
    while samples.len() < 2_000 {
        let Some(Batch::Readings(_)) = batches.recv().await else { continue };
        let taken_at = Instant::now();
        let at = *written.lock().map_err(|_| anyhow::anyhow!("the device has panicked"))?;
        samples.extend(at.map(|at: Instant| taken_at.saturating_duration_since(at)));
    }
    samples.sort_unstable();
    let at = |percent: usize| samples[(samples.len() * percent / 100).min(samples.len() - 1)];
    println!("last byte → pump: p50 {:?}, p99 {:?}, {} polls", at(50), at(99), samples.len());
    stop.cancel();
    tasks.drain(Duration::from_secs(2)).await
}

/// Devices that refuse the connection, and devices that take it and say nothing.
async fn unreachable(devices: usize) -> anyhow::Result<()> {
    let addresses = devices::unreachable(devices)?;
    let listening: Vec<_> = addresses.iter().map(|(address, _)| *address).collect();
    let setup = plant::setup(&listening, 10, 1_000)?;
    let (mut tasks, stop) = (Tasks::new(), CancellationToken::new());
    let clock = Clock::start(None, 1.0);
    let (mut batches, cells) = start_sources(&setup, &clock, &mut tasks, &stop);
    tasks.spawn("counter", async move {
        while batches.recv().await.is_some() {}
        Ok(())
    });
    tokio::time::sleep(SETTLE).await;
    let (began, used) = (Instant::now(), cpu()?);
    tokio::time::sleep(MEASURE).await;
    let share = 100.0 * (cpu()? - used).as_secs_f64() / began.elapsed().as_secs_f64();
    let sessions: u64 = cells.iter().map(|cell| cell.get().sessions).sum();
    println!("{devices} devices away: {share:.2} % of one core ({sessions} attempts)");
    stop.cancel();
    tasks.drain(Duration::from_secs(2)).await
}

fn print(what: &str, readings: u64, wall: Duration, cpu: Duration, dropped: u64) {
    let thousands = (readings.max(1) as f64) / 1_000.0;
    println!(
        "{what}: {:.0} tags/s, {:.3} ms of processor for 1,000 tags ({:.1} % of one core), {dropped} dropped",
        readings as f64 / wall.as_secs_f64(),
        cpu.as_secs_f64() * 1_000.0 / thousands,
        100.0 * cpu.as_secs_f64() / wall.as_secs_f64(),
    );
}

async fn measure() -> anyhow::Result<()> {
    acquisition(50, 100, 250).await?;
    detectors("with all detectors on", 50, 100, 250).await?;
    last_byte_to_pump().await?;
    unreachable(200).await?;
    detectors("ceiling, all detectors on", 8, 1_250, 1).await
}

fn main() -> anyhow::Result<()> {
    if let Some(count) = devices::asked_to_serve() {
        return devices::serve(count);
    }
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(measure())
}
