//! Hostile devices against a source with back-off, in virtual time. Every value tells which request it answers and what
//! that asked for, so a value that was taken for another one is found by arithmetic.

mod cases;
mod device;

use std::{sync::Arc, time::Duration};

use bellwether_domain::{ConnectorStatus, Reading, TagId, Timestamp};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

pub(super) use device::Door;
use device::{Device, Kind};

use super::{ModbusConfig, Quarantine, Source, Transport, run};
use crate::{Backoff, Batch, Now, Sink, StatusCell};

const PERIOD: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_millis(500);

/// Unit and address of each tag: a u32 whose high word is the address and whose low word numbers the request.
fn source(door: &Door, tags: &[(u8, u16)]) -> Source {
    let mut text = format!(
        "name = \"plc\"\nendpoint = \"a:1\"\npoll_interval_ms = {}\ntimeout_ms = {}\nconnect_timeout_ms = 500\n",
        PERIOD.as_millis(),
        TIMEOUT.as_millis()
    );
    for (unit, address) in tags {
        text += &format!(
            "[[tag]]\nname = \"t{unit}.{address}\"\nasset = \"a/b/c\"\nunit_id = {unit}\n\
             register = {{ kind = \"holding\", address = {address}, type = \"u32\" }}\n"
        );
    }
    let config: ModbusConfig = toml::from_str(&text).expect("the form is right");
    assert_eq!(config.problems(), [""; 0]);
    let ids: Vec<_> = (0..).map(TagId).take(tags.len()).collect();
    Source { transport: Transport::Memory(door.clone()), ..config.source(&ids) }
}

/// Plant time is virtual time since the start.
fn clock(start: Instant) -> Now {
    Arc::new(move || {
        let elapsed = start.elapsed().as_micros();
        Timestamp::from_micros(i64::try_from(elapsed).unwrap_or(i64::MAX))
    })
}

/// Runs a source as the gateway does, beside its device, for so long; all readings it has delivered, and its status.
async fn run_for(
    source: &Source,
    device: &mut Device<'_>,
    time: Duration,
) -> (Vec<Reading>, ConnectorStatus) {
    let (sender, mut batches) = mpsc::channel(100_000);
    let status = StatusCell::new(ConnectorStatus::default());
    let sink = Sink::new(sender, status.clone());
    let now = clock(device.start);
    let running = async {
        let (mut backoff, mut quarantine) = (Backoff::new(1), Quarantine::default());
        loop {
            let began = Instant::now();
            let Err(error) = run(source, &mut quarantine, &sink, &status, &now).await;
            assert!(!error.is_permanent(), "{error}");
            if began.elapsed() >= Duration::from_secs(60) {
                backoff.reset();
            }
            if !error.reconnects_at_once() {
                sleep(backoff.next().unwrap_or_default()).await;
            }
        }
    };
    let both = async {
        tokio::select! {
            () = running => {}
            () = device.serve() => {}
        }
    };
    timeout(time, both).await.expect_err("both go on for ever");
    let mut readings = Vec::new();
    while let Ok(batch) = batches.try_recv() {
        if let Batch::Readings(batch) = batch {
            readings.extend(batch);
        }
    }
    (readings, status.get())
}

/// Every good value answers the last request for it that was made before it was delivered.
#[track_caller]
fn assert_true(what: &str, readings: &[Reading], source: &Source, device: &Device<'_>) {
    for reading in readings.iter().filter(|reading| reading.quality.is_good()) {
        let span = source.tags[reading.tag.index()].span;
        let asked = device.asked.iter().enumerate().rev();
        let at =
            |it: &Instant| i64::try_from((*it - device.start).as_micros()).expect("a short time");
        let (number, _) = asked
            .filter(|(_, it)| at(&it.at) < reading.at.as_micros())
            .find(|(_, it)| it.unit == span.unit && it.covers(span.address))
            .unwrap_or_else(|| {
                panic!("{what}: nobody has asked for {span:?}, and {reading:?} came")
            });
        let expected = f64::from(
            (u32::from(span.address) << 16) | u32::try_from(number & 0xffff).expect("16 bits"),
        );
        assert!((reading.value - expected).abs() < 0.5, "{what}: {expected} came as {reading:?}");
    }
}

/// Resident memory of this process.
fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or_default() * 4_096
}

#[tokio::test(start_paused = true)]
async fn healthy_units_keep_their_pace_while_others_are_silent() {
    for kind in [Kind::Tcp, Kind::RtuOverTcp, Kind::Serial] {
        let door = Door::new(kind);
        let tags: Vec<_> = (1..=10).map(|unit| (unit, 10)).collect();
        let source = source(&door, &tags);
        let mut device =
            Device::new(&door, |asked| if asked.unit > 5 { vec![] } else { asked.right() });
        let (readings, status) = run_for(&source, &mut device, Duration::from_secs(1_800)).await;
        assert_true("silent neighbours", &readings, &source, &device);
        let healthy = readings.iter().filter(|it| it.tag == TagId(0) && it.quality.is_good());
        let times: Vec<_> = healthy.map(|reading| reading.at.as_micros()).collect();
        assert!(times.len() >= 1_780, "{kind:?}: {} polls in half an hour", times.len());
        let mut late: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0] - 1_000_000).collect();
        late.sort_unstable();
        let p99 = late[late.len() * 99 / 100];
        assert!(p99 <= 100_000, "{kind:?}: p99 of lateness {p99} µs");
        let told = status.units.iter().find(|unit| unit.name == "unit 1").expect("it is told of");
        assert!(told.lateness_p99 <= Some(Duration::from_millis(100)), "{kind:?}: {told:?}");
        let silent = status.units.iter().find(|unit| unit.name == "unit 7").expect("so is this");
        assert!(silent.condition.starts_with("silent, asked again in"), "{silent:?}");
        assert!(silent.requests >= 20, "{kind:?}: it is asked rarely, but it is: {silent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_devices_that_refuse_at_once_cost_little() {
    let before = resident_bytes();
    let door = Door::new(Kind::Tcp);
    door.refuse(true);
    let source = source(&door, &[(1, 10)]);
    let mut device = Device::new(&door, device::Asked::right);
    let sources = (0..1_000).map(|_| async {
        let (sender, _batches) = mpsc::channel(4);
        let status = StatusCell::new(ConnectorStatus::default());
        let (sink, now) = (Sink::new(sender, status.clone()), clock(Instant::now()));
        let Err(error) = run(&source, &mut Quarantine::default(), &sink, &status, &now).await;
        assert!(matches!(error, crate::SessionError::Connect { .. }), "{error}");
    });
    futures_util::future::join_all(sources).await;
    assert!(resident_bytes().saturating_sub(before) <= 8 << 20);
    door.refuse(false);
    let (readings, _) = run_for(&source, &mut device, Duration::from_secs(3)).await;
    assert!(readings.iter().all(|reading| reading.quality.is_good()) && !readings.is_empty());
}
