//! Everything the gateway can say about itself at one moment: what the dashboard, the API and `/metrics` show.

use std::{sync::Arc, time::Duration};

use crate::{
    Alarm, AssetId, Contribution, GapStatus, HealthIndex, HealthState, Operand, Operation, Plant,
    Prognosis, Quality, Refusal, Score, TagId, Timestamp,
};

/// How unusual an asset is, and which tags make it so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnomalyStatus {
    /// 0.5 is the alarm threshold.
    pub score: Score,
    /// The operating condition it is judged in.
    pub condition: Vec<Operand>,
    /// All judged tags, largest share first.
    pub contributions: Vec<Contribution>,
    /// Tags left out of the joint judgement because they drift by nature (temperatures), judged on their own.
    pub left_out: Vec<TagId>,
}

/// One asset now.
#[derive(Clone, Debug, PartialEq)]
pub struct AssetStatus {
    /// Which.
    pub asset: AssetId,
    /// What to do about it.
    pub state: HealthState,
    /// Since when.
    pub since: Timestamp,
    /// Why, in one sentence.
    pub reason: String,
    /// How good it is.
    pub health: HealthIndex,
    /// What it is doing.
    pub operation: Operation,
    /// Share of the healthy data that has been seen, `0..=1`; 1 when learning is finished.
    pub learning_ratio: f64,
    /// How unusual it is.
    pub anomaly: AnomalyStatus,
    /// How long there is, or why nobody can say.
    pub prognosis: Result<Prognosis, Refusal>,
    /// When it was last repaired, as far as anybody said.
    pub maintained_at: Option<Timestamp>,
}

/// One tag now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TagStatus {
    /// Which.
    pub tag: TagId,
    /// Last value; meaningless while `quality` is bad.
    pub value: f64,
    /// Its source time; `None` if there never was a value.
    pub at: Option<Timestamp>,
    /// Quality after validation and staleness.
    pub quality: Quality,
    /// How unusual the tag is by itself.
    pub score: Score,
}

/// What the engine knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlantStatus {
    /// Plant time.
    pub at: Timestamp,
    /// The plant whose ids these are: a changed configuration comes with another one.
    pub plant: Arc<Plant>,
    /// By asset id.
    pub assets: Vec<AssetStatus>,
    /// By tag id.
    pub tags: Vec<TagStatus>,
    /// The list of active alarms, newest first: also those that have returned and wait for their acknowledgement.
    pub alarms: Vec<Alarm>,
}

impl PlantStatus {
    /// The alarms whose condition holds.
    pub fn standing_alarms(&self) -> impl Iterator<Item = &Alarm> {
        self.alarms.iter().filter(|alarm| alarm.state.is_standing())
    }
}

/// What a source is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ConnectorState {
    /// Setting up the connection.
    #[default]
    Connecting,
    /// Data flows.
    Connected,
    /// Connected, but part of the device does not answer.
    Degraded,
    /// Waiting before the next attempt.
    BackingOff,
    /// Ended with the gateway.
    Stopped,
}

impl ConnectorState {
    /// Stable code for the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Degraded => "degraded",
            Self::BackingOff => "backing_off",
            Self::Stopped => "stopped",
        }
    }
}

/// One source now. Counters count from the start of the process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConnectorStatus {
    /// Its name in the configuration.
    pub name: String,
    /// `modbus` or `opcua`.
    pub protocol: &'static str,
    /// Where it connects to.
    pub endpoint: String,
    /// What it is doing.
    pub state: ConnectorState,
    /// Since when.
    pub since: Timestamp,
    /// The last error in plain words.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<Timestamp>,
    /// Parts of the device that do not answer at present, in words.
    pub silent: Vec<String>,
    /// Number of tags.
    pub tags: usize,
    /// Readings delivered.
    pub readings: u64,
    /// Readings dropped because the engine was behind.
    pub dropped: u64,
    /// Requests sent (polls, publish responses).
    pub requests: u64,
    /// Requests without an answer in time.
    pub timeouts: u64,
    /// Answers that refused (Modbus exceptions, bad item status).
    pub refusals: u64,
    /// Sessions begun.
    pub sessions: u64,
    /// Bytes received, as far as the protocol library tells.
    pub bytes_received: u64,
    /// Median of the recent round trips.
    pub round_trip_p50: Option<Duration>,
    /// 99th percentile of the recent round trips.
    pub round_trip_p99: Option<Duration>,
    /// The last text of each tag that carries text.
    pub texts: Vec<(TagId, String)>,
    /// Where each of its tags lies, in words: `unit 3, holding 256, f32`. Two tags with the same words read the same.
    pub addresses: Arc<Vec<(TagId, String)>>,
    /// Its units, each by itself.
    pub units: Vec<UnitStatus>,
    /// The last exchanges, oldest first; 20 at most. Shared, because the status is copied often and they are not.
    pub exchanges: Vec<Arc<Exchange>>,
}

/// One unit behind a Modbus connection, or an OPC UA server as a whole. Counters count from the start of the process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnitStatus {
    /// `unit 3`, or `server`.
    pub name: String,
    /// How it answers, in plain words: `answers`, `did not answer last time`, `silent, asked again in 12 s`.
    pub condition: String,
    /// Requests sent to it.
    pub requests: u64,
    /// Requests without an answer in time.
    pub timeouts: u64,
    /// Refusals by code (Modbus exception code, OPC UA status code) and how often each was given.
    pub refusals: Vec<(u32, u64)>,
    /// Bytes received from it.
    pub bytes_received: u64,
    /// Requests a second over the last minute, about.
    pub requests_per_s: f64,
    /// Median of the recent round trips.
    pub round_trip_p50: Option<Duration>,
    /// 99th percentile of the recent round trips.
    pub round_trip_p99: Option<Duration>,
    /// 99th percentile of how much later than planned it was asked lately.
    pub lateness_p99: Option<Duration>,
}

/// One request and what came back, for whoever looks for a fault. Never holds a secret.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exchange {
    /// When the answer came, or was given up.
    pub at: Timestamp,
    /// `unit 3`, or `server`.
    pub unit: String,
    /// What was asked, in words: `read 12 holding registers from 256`.
    pub request: String,
    /// The request as on the wire, as far as the protocol library tells; empty otherwise.
    pub request_bytes: Vec<u8>,
    /// What came back, in words: `12 registers`, `exception 02: illegal data address`, `nothing within 1000 ms`.
    pub answer: String,
    /// The answer as on the wire, cut to 256 bytes.
    pub answer_bytes: Vec<u8>,
    /// From request to answer.
    pub round_trip: Duration,
}

/// One uplink now. Counters count from the start of the process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UplinkStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Where it connects to, without credentials.
    pub endpoint: String,
    /// Whether the broker has accepted the connection.
    pub connected: bool,
    /// Since when that is so.
    pub since: Timestamp,
    /// The last error in plain words.
    pub last_error: Option<String>,
    /// Messages waiting on disk.
    pub backlog: u64,
    /// Messages sent, repetitions included.
    pub sent: u64,
    /// Messages acknowledged by the broker.
    pub acked: u64,
    /// Bytes of topic and payload sent.
    pub bytes_sent: u64,
    /// Bytes it would have taken to send every reading as a JSON message of its own.
    pub bytes_raw_equivalent: u64,
    /// Topic of the most recent messages, newest first, with their size in bytes and time.
    pub recent: Vec<(Timestamp, String, usize)>,
}

/// The databases now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoreStatus {
    /// Whether both databases take data.
    pub healthy: bool,
    /// The last error in plain words.
    pub last_error: Option<String>,
    /// Size of `core.db`.
    pub core_bytes: u64,
    /// Size of `hist.db` and the sealed segments.
    pub history_bytes: u64,
    /// Readings not written because the disk was behind.
    pub thinned: u64,
    /// What was found wrong at start, and what was done about it.
    pub notices: Vec<String>,
}

/// Everything at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GatewayStatus {
    /// Version and build of the program.
    pub build: String,
    /// The gateway's own name on the wire.
    pub device: String,
    /// When the process began, in plant time.
    pub started_at: Timestamp,
    /// How long the process has been running, in real time.
    pub uptime: Duration,
    /// How much faster than real time plant time runs; 1 outside the demo.
    pub speed: f64,
    /// The running plant.
    pub plant: Arc<Plant>,
    /// What the engine knows.
    pub state: PlantStatus,
    /// What is missing.
    pub gaps: Arc<GapStatus>,
    /// By source.
    pub connectors: Vec<ConnectorStatus>,
    /// By uplink.
    pub uplinks: Vec<UplinkStatus>,
    /// The databases.
    pub store: StoreStatus,
}
