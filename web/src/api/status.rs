//! `/status`: the gateway about itself.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use bellwether_domain::{self as domain, GatewayStatus, HealthState};
use serde::Serialize;
use utoipa::ToSchema;

use super::words::{ConnectorState, Time};
use crate::state::App;

/// The gateway in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GatewayState {
    /// Nothing to do.
    Ok,
    /// Nothing to do, but not every asset can be judged yet.
    Learning,
    /// Somebody should look; `message` says at what.
    Attention,
}

/// The gateway at one moment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Status<'a> {
    /// Version and build of the program.
    build: &'a str,
    /// The gateway's own name on the wire.
    device: &'a str,
    /// Plant time.
    at: Time,
    /// When the process began, in plant time.
    started_at: Time,
    /// How long the process has been running, in real time.
    uptime_s: f64,
    /// How much faster than real time plant time runs; 1 outside the demo.
    speed: f64,
    state: GatewayState,
    /// The state in one sentence.
    message: String,
    /// Number of assets.
    assets: usize,
    /// Number of tags.
    tags: usize,
    /// Alarms whose condition holds, acknowledged or not.
    alarms_active: usize,
    /// Alarms that wait for acknowledgement, also of those that have returned.
    alarms_unacked: usize,
    connectors: Vec<Connector<'a>>,
    /// All uplinks together.
    uplink: UplinkTotal,
    uplinks: Vec<Uplink<'a>>,
    store: Store<'a>,
}

/// One source. Counters count from the start of the process.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Connector<'a> {
    name: &'a str,
    /// `modbus` or `opcua`.
    protocol: &'a str,
    endpoint: &'a str,
    state: ConnectorState,
    since: Time,
    #[schema(required)]
    last_error: Option<&'a str>,
    #[schema(required)]
    last_error_at: Option<Time>,
    /// Parts of the device that do not answer at present, in words.
    silent: &'a [String],
    /// Number of tags.
    tags: usize,
    readings: u64,
    /// Readings dropped because the engine was behind.
    dropped: u64,
    requests: u64,
    /// Requests without an answer in time.
    timeouts: u64,
    /// Answers that refused.
    refusals: u64,
    /// Sessions begun.
    sessions: u64,
    bytes_received: u64,
    #[schema(required)]
    round_trip_p50_ms: Option<f64>,
    #[schema(required)]
    round_trip_p99_ms: Option<f64>,
}

/// All uplinks together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct UplinkTotal {
    /// Whether every uplink is connected; false if there is none.
    pub(crate) connected: bool,
    /// Messages waiting on disk.
    pub(crate) backlog: u64,
    /// Messages sent, repetitions included.
    pub(crate) sent: u64,
    /// Messages acknowledged by the broker.
    pub(crate) acked: u64,
    /// Bytes of topic and payload sent.
    pub(crate) bytes_sent: u64,
    /// Bytes it would have taken to send every reading as a JSON message of its own.
    pub(crate) bytes_raw_equivalent: u64,
}

/// One uplink.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Uplink<'a> {
    name: &'a str,
    /// Where it connects to, without credentials.
    endpoint: &'a str,
    connected: bool,
    since: Time,
    #[schema(required)]
    last_error: Option<&'a str>,
    backlog: u64,
    sent: u64,
    acked: u64,
    bytes_sent: u64,
    bytes_raw_equivalent: u64,
    /// The most recent messages, newest first.
    recent: Vec<Sent<'a>>,
}

/// One message that has left the gateway.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Sent<'a> {
    at: Time,
    topic: &'a str,
    bytes: usize,
}

/// The databases.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Store<'a> {
    /// Whether both databases take data.
    healthy: bool,
    #[schema(required)]
    last_error: Option<&'a str>,
    core_bytes: u64,
    history_bytes: u64,
    /// Readings not written because the disk was behind.
    thinned: u64,
    /// What was found wrong at start, and what was done about it.
    notices: &'a [String],
}

/// The gateway: state, sources, uplinks, databases.
#[utoipa::path(
    get, path = "/api/v1/status", operation_id = "status",
    responses((status = 200, body = Status<'_>))
)]
pub(crate) async fn get_status(State(app): State<Arc<App>>) -> Response {
    Json(Status::of(&app.status())).into_response()
}

impl<'a> Status<'a> {
    pub(crate) fn of(status: &'a GatewayStatus) -> Self {
        let (state, message) = judge(status);
        Self {
            build: &status.build,
            device: &status.device,
            at: Time(status.state.at),
            started_at: Time(status.started_at),
            uptime_s: status.uptime.as_secs_f64(),
            speed: status.speed,
            state,
            message,
            assets: status.plant.assets.len(),
            tags: status.plant.tags.len(),
            alarms_active: status.state.standing_alarms().count(),
            alarms_unacked: unacked(status),
            connectors: status.connectors.iter().map(Connector::of).collect(),
            uplink: UplinkTotal::of(&status.uplinks),
            uplinks: status.uplinks.iter().map(Uplink::of).collect(),
            store: Store {
                healthy: status.store.healthy,
                last_error: status.store.last_error.as_deref(),
                core_bytes: status.store.core_bytes,
                history_bytes: status.store.history_bytes,
                thinned: status.store.thinned,
                notices: &status.store.notices,
            },
        }
    }
}

impl<'a> Connector<'a> {
    pub(crate) fn of(connector: &'a domain::ConnectorStatus) -> Self {
        let ms = |span: std::time::Duration| span.as_secs_f64() * 1e3;
        Self {
            name: &connector.name,
            protocol: connector.protocol,
            endpoint: &connector.endpoint,
            state: connector.state.into(),
            since: Time(connector.since),
            last_error: connector.last_error.as_deref(),
            last_error_at: connector.last_error_at.map(Time),
            silent: &connector.silent,
            tags: connector.tags,
            readings: connector.readings,
            dropped: connector.dropped,
            requests: connector.requests,
            timeouts: connector.timeouts,
            refusals: connector.refusals,
            sessions: connector.sessions,
            bytes_received: connector.bytes_received,
            round_trip_p50_ms: connector.round_trip_p50.map(ms),
            round_trip_p99_ms: connector.round_trip_p99.map(ms),
        }
    }
}

impl UplinkTotal {
    pub(crate) fn of(uplinks: &[domain::UplinkStatus]) -> Self {
        let sum = |field: fn(&domain::UplinkStatus) -> u64| {
            uplinks.iter().map(field).fold(0, u64::saturating_add)
        };
        Self {
            connected: !uplinks.is_empty() && uplinks.iter().all(|uplink| uplink.connected),
            backlog: sum(|uplink| uplink.backlog),
            sent: sum(|uplink| uplink.sent),
            acked: sum(|uplink| uplink.acked),
            bytes_sent: sum(|uplink| uplink.bytes_sent),
            // Every uplink would have had to carry the same readings, so this is no sum.
            bytes_raw_equivalent: uplinks
                .iter()
                .map(|uplink| uplink.bytes_raw_equivalent)
                .max()
                .unwrap_or(0),
        }
    }
}

impl<'a> Uplink<'a> {
    fn of(uplink: &'a domain::UplinkStatus) -> Self {
        Self {
            name: &uplink.name,
            endpoint: &uplink.endpoint,
            connected: uplink.connected,
            since: Time(uplink.since),
            last_error: uplink.last_error.as_deref(),
            backlog: uplink.backlog,
            sent: uplink.sent,
            acked: uplink.acked,
            bytes_sent: uplink.bytes_sent,
            bytes_raw_equivalent: uplink.bytes_raw_equivalent,
            recent: uplink
                .recent
                .iter()
                .map(|(at, topic, bytes)| Sent { at: Time(*at), topic, bytes: *bytes })
                .collect(),
        }
    }
}

pub(crate) fn unacked(status: &GatewayStatus) -> usize {
    let waits = |alarm: &&domain::Alarm| {
        matches!(alarm.state, domain::AlarmState::UnackedAlarm | domain::AlarmState::RtnUnacked)
    };
    status.state.alarms.iter().filter(waits).count()
}

/// The worst thing first: what threatens the record, then the machines, then what makes the gateway blind or dumb.
fn judge(status: &GatewayStatus) -> (GatewayState, String) {
    let attention = |message: String| (GatewayState::Attention, message);
    if !status.store.healthy {
        let why = status.store.last_error.as_deref().unwrap_or("see the log");
        return attention(format!("the disk does not take data: {why}"));
    }
    let assets = &status.state.assets;
    let troubled = assets.iter().filter(|asset| asset.state >= HealthState::Monitor).count();
    if troubled > 0 {
        return attention(match troubled {
            1 => "1 asset needs attention".to_owned(),
            n => format!("{n} assets need attention"),
        });
    }
    let down = |state| !matches!(state, domain::ConnectorState::Connected);
    if let Some(source) = status.connectors.iter().find(|source| down(source.state)) {
        let why = source.last_error.as_deref().unwrap_or(source.state.as_str());
        return attention(format!("source {} is not fully connected: {why}", source.name));
    }
    if let Some(uplink) = status.uplinks.iter().find(|uplink| !uplink.connected) {
        let why = uplink.last_error.as_deref().unwrap_or("connecting");
        return attention(format!("uplink {} is not connected: {why}", uplink.name));
    }
    let unacked = unacked(status);
    if unacked > 0 {
        return attention(match unacked {
            1 => "1 alarm waits for acknowledgement".to_owned(),
            n => format!("{n} alarms wait for acknowledgement"),
        });
    }
    let judged = assets.iter().filter(|asset| asset.state == HealthState::Acceptable).count();
    let all = status.plant.assets.len();
    if judged < all {
        let message =
            format!("{judged} of {all} assets are acceptable, the others are being learnt");
        return (GatewayState::Learning, message);
    }
    (GatewayState::Ok, "all quiet".to_owned())
}
