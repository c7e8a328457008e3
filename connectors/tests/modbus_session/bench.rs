//! A source, its queue and its status, and ways to run sessions against a device until something has been seen.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use bellwether_connectors::{
    Batch, Now, SessionError, Sink, StatusCell,
    modbus::{self, ModbusConfig, Quarantine, Source},
};
use bellwether_domain::{ConnectorStatus, Quality, Reading, Reason, TagId, Timestamp};
use tokio::{
    net::TcpListener,
    sync::mpsc,
    time::{sleep, timeout},
};

use crate::device::{Asked, Reply, serve};

/// Nothing here takes longer, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the source waits for an answer.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(80);

/// `(unit, address)` of u16 holding registers; the id of a tag is its address.
pub(crate) fn registers(tags: &[(u8, u16)]) -> String {
    let tag = |(unit, address): &(u8, u16)| {
        format!(
            "[[tag]]\nname = \"t{unit}.{address}\"\nasset = \"a/b/c\"\nunit_id = {unit}\n\
             register = {{ kind = \"holding\", address = {address}, type = \"u16\" }}\n"
        )
    };
    tags.iter().map(tag).collect()
}

pub(crate) struct Bench {
    pub(crate) source: Source,
    pub(crate) quarantine: Quarantine,
    pub(crate) status: StatusCell,
    sink: Sink,
    batches: mpsc::Receiver<Batch>,
    now: Now,
    listener: Option<TcpListener>,
}

impl Bench {
    /// A source with these tags, and a port for its device.
    pub(crate) async fn new(tags: &str) -> Self {
        Self::with("", tags).await
    }

    /// The same with more keys in the section.
    pub(crate) async fn with(keys: &str, tags: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = listener.local_addr().expect("a bound port");
        let text = format!(
            "name = \"plc\"\nendpoint = \"{endpoint}\"\npoll_interval_ms = 5\ntimeout_ms = {}\n\
             connect_timeout_ms = 300\n{keys}\n{tags}",
            TIMEOUT.as_millis()
        );
        let config: ModbusConfig = toml::from_str(&text).expect("the form is right");
        assert_eq!(config.problems(), [""; 0]);
        let ids: Vec<_> =
            config.tag.iter().map(|tag| TagId(tag.register.address.number())).collect();
        let (sender, batches) = mpsc::channel(256);
        let status = StatusCell::new(ConnectorStatus::default());
        let clock = AtomicI64::new(0);
        Self {
            source: config.source(&ids),
            quarantine: Quarantine::default(),
            sink: Sink::new(sender, status.clone()),
            status,
            batches,
            now: Arc::new(move || Timestamp::from_secs(clock.fetch_add(1, Ordering::Relaxed))),
            listener: Some(listener),
        }
    }

    /// Takes the device off the network.
    pub(crate) fn unplug(&mut self) {
        self.listener = None;
    }

    /// Runs sessions, one after the other without a pause, until so many have ended; what they ended with.
    pub(crate) async fn sessions(
        &mut self,
        count: usize,
        answer: impl FnMut(&Asked) -> Reply,
    ) -> Vec<SessionError> {
        let Self { source, quarantine, sink, status, now, listener, .. } = self;
        let mut errors = Vec::new();
        let running = async {
            while errors.len() < count {
                let Err(error) = modbus::run(source, quarantine, sink, status, now).await;
                errors.push(error);
            }
        };
        bounded(beside(listener.take(), answer, running)).await;
        errors
    }

    /// Runs one session that ends.
    pub(crate) async fn session(&mut self, answer: impl FnMut(&Asked) -> Reply) -> SessionError {
        self.sessions(1, answer).await.remove(0)
    }

    /// Runs sessions until so many batches of readings have come.
    pub(crate) async fn polls(
        &mut self,
        count: usize,
        answer: impl FnMut(&Asked) -> Reply,
    ) -> Vec<Vec<Reading>> {
        let Self { source, quarantine, sink, status, now, listener, batches, .. } = self;
        let running = async {
            loop {
                let Err(error) = modbus::run(source, quarantine, sink, status, now).await;
                assert!(!error.is_permanent(), "{error}");
            }
        };
        let collecting = async {
            let mut polls = Vec::new();
            while polls.len() < count {
                polls.extend(readings(batches.recv().await.expect("the sink lives")));
            }
            polls
        };
        let both = async {
            tokio::select! {
                () = running => unreachable!("sessions go on for ever"),
                polls = collecting => polls,
            }
        };
        bounded(beside(listener.take(), answer, both)).await
    }

    /// Batches of readings that have been delivered and not been looked at.
    pub(crate) fn delivered(&mut self) -> Vec<Vec<Reading>> {
        std::iter::from_fn(|| self.batches.try_recv().ok()).filter_map(readings).collect()
    }

    /// Lets polls pass without anybody taking what they deliver.
    pub(crate) async fn unattended(
        &mut self,
        answer: impl FnMut(&Asked) -> Reply,
        is_enough: impl Fn(&StatusCell) -> bool,
    ) {
        let Self { source, quarantine, sink, status, now, listener, .. } = self;
        let running = async {
            let watching = async {
                while !is_enough(status) {
                    sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::select! {
                Err(error) = modbus::run(source, quarantine, sink, status, now) => panic!("{error}"),
                () = watching => {}
            }
        };
        bounded(beside(listener.take(), answer, running)).await;
    }

    /// Replaces the queue by one of this bound.
    pub(crate) fn bound(&mut self, bound: usize) {
        let (sender, batches) = mpsc::channel(bound);
        self.sink = Sink::new(sender, self.status.clone());
        self.batches = batches;
    }
}

/// Runs something while a device answers.
async fn beside<T>(
    listener: Option<TcpListener>,
    answer: impl FnMut(&Asked) -> Reply,
    work: impl Future<Output = T>,
) -> T {
    let Some(listener) = listener else { return work.await };
    tokio::select! {
        never = serve(listener, answer) => match never {},
        result = work => result,
    }
}

async fn bounded<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.expect("nothing hangs")
}

fn readings(batch: Batch) -> Option<Vec<Reading>> {
    match batch {
        Batch::Readings(readings) => Some(readings),
        _ => None,
    }
}

/// Every good value is its own address: nothing was taken for something else.
#[track_caller]
pub(crate) fn assert_true_values(polls: &[Vec<Reading>]) {
    for reading in polls.iter().flatten().filter(|reading| reading.quality.is_good()) {
        assert!((reading.value - f64::from(reading.tag.0)).abs() < 1e-9, "{reading:?}");
    }
}

/// `address → reason` of the bad ones of one poll, and the addresses of the good ones.
pub(crate) fn outcome(poll: &[Reading]) -> (Vec<u32>, Vec<(u32, Reason)>) {
    let good = poll.iter().filter(|reading| reading.quality.is_good());
    let bad = poll.iter().filter_map(|reading| match reading.quality {
        Quality::Bad(reason) => Some((reading.tag.0, reason)),
        _ => None,
    });
    (good.map(|reading| reading.tag.0).collect(), bad.collect())
}
