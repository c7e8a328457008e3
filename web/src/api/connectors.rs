//! `/connectors`: every source, and what it and its units do and said last.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use bellwether_domain::{self as domain, ConnectorState, ConnectorStatus, GatewayStatus};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    flags::{Flag, Flags},
    refusals::refusal_words,
    status::Connector,
    words::Time,
};
use crate::{problem::Problem, state::App};

/// All sources.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Connectors<'a> {
    /// Plant time.
    at: Time,
    connectors: Vec<Summary<'a>>,
}

/// One source. Counters count from the start of the process.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Summary<'a> {
    #[serde(flatten)]
    connector: Connector<'a>,
    /// Its state in one sentence.
    condition: String,
    /// Over the last minute or so, all units together.
    requests_per_s: f64,
    /// Sessions begun after the first.
    reconnects: u64,
    /// 99th percentile of how much later than planned the slowest unit was asked lately.
    #[schema(required)]
    lateness_p99_ms: Option<f64>,
    /// Number of units.
    unit_count: usize,
    /// Tags with at least one flag.
    flagged: usize,
}

/// One source in every detail.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConnectorDetail<'a> {
    /// Plant time.
    at: Time,
    #[serde(flatten)]
    summary: Summary<'a>,
    units: Vec<Unit<'a>>,
    /// The last exchanges, newest first.
    exchanges: Vec<Exchange<'a>>,
    /// The tags that something is suspicious about.
    flags: Vec<TagFlags<'a>>,
}

/// One unit behind a Modbus connection, or an OPC UA server as a whole.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Unit<'a> {
    name: &'a str,
    /// How it answers, in words.
    condition: &'a str,
    requests: u64,
    requests_per_s: f64,
    /// Requests without an answer in time.
    timeouts: u64,
    refusals: Vec<Refusal>,
    bytes_received: u64,
    #[schema(required)]
    round_trip_p50_ms: Option<f64>,
    #[schema(required)]
    round_trip_p99_ms: Option<f64>,
    #[schema(required)]
    lateness_p99_ms: Option<f64>,
}

/// How often a unit has refused with one code.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Refusal {
    /// Modbus exception code, or OPC UA status code.
    code: u32,
    /// The code as people look it up.
    #[schema(examples("02", "0x80340000"))]
    text: String,
    words: &'static str,
    count: u64,
}

/// One request and what came back. Holds no secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Exchange<'a> {
    at: Time,
    unit: &'a str,
    request: &'a str,
    /// As on the wire, bytes in hex with blanks between; empty if the library does not tell.
    request_hex: String,
    answer: &'a str,
    /// As on the wire, cut to 256 bytes.
    answer_hex: String,
    round_trip_ms: f64,
}

/// What is suspicious about one tag.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TagFlags<'a> {
    tag: &'a str,
    flags: Vec<Flag>,
}

/// All sources, in the order of the configuration.
#[utoipa::path(
    get, path = "/api/v1/connectors", operation_id = "connectors",
    responses((status = 200, body = Connectors<'_>))
)]
pub(crate) async fn get_connectors(State(app): State<Arc<App>>) -> Response {
    let status = app.status();
    let flags = Flags::of(&status);
    let connectors = status.connectors.iter().map(|it| Summary::of(&status, it, &flags).0);
    Json(Connectors { at: Time(status.state.at), connectors: connectors.collect() }).into_response()
}

/// One source: its units, its last exchanges, and its suspicious tags.
#[utoipa::path(
    get, path = "/api/v1/connectors/{name}", operation_id = "connector",
    params(("name" = String, Path, description = "The source's name in the configuration")),
    responses((status = 200, body = ConnectorDetail<'_>), (status = 404, body = Problem))
)]
pub(crate) async fn get_connector(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let status = app.status();
    let found = status.connectors.iter().find(|connector| connector.name == name);
    let found = found.ok_or_else(|| {
        let known = status.connectors.iter().map(|connector| connector.name.as_str());
        Problem::unknown("connector", &name, "/api/v1/connectors", known)
    })?;
    let (summary, flags) = Summary::of(&status, found, &Flags::of(&status));
    let detail = ConnectorDetail {
        at: Time(status.state.at),
        summary,
        units: found.units.iter().map(|unit| Unit::of(unit, found.protocol)).collect(),
        exchanges: found.exchanges.iter().rev().map(|exchange| Exchange::of(exchange)).collect(),
        flags,
    };
    Ok(Json(detail).into_response())
}

fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

impl<'a> Summary<'a> {
    /// With the flags of its tags.
    fn of(
        status: &'a GatewayStatus,
        connector: &'a ConnectorStatus,
        flags: &Flags<'a>,
    ) -> (Self, Vec<TagFlags<'a>>) {
        let own = status.state.tags.iter().filter_map(|now| {
            let tag = status.plant.tags.get(now.tag.index())?;
            (tag.source == connector.name).then_some((tag, now))
        });
        let flagged: Vec<_> = own
            .map(|(tag, now)| TagFlags { tag: &tag.name, flags: flags.tag(now) })
            .filter(|tag| !tag.flags.is_empty())
            .collect();
        let lateness = connector.units.iter().filter_map(|unit| unit.lateness_p99).max();
        let summary = Self {
            connector: Connector::of(connector),
            condition: condition(connector),
            requests_per_s: connector.units.iter().map(|unit| unit.requests_per_s).sum(),
            reconnects: connector.sessions.saturating_sub(1),
            lateness_p99_ms: lateness.map(ms),
            unit_count: connector.units.len(),
            flagged: flagged.len(),
        };
        (summary, flagged)
    }
}

/// The state as a person would say it.
fn condition(connector: &ConnectorStatus) -> String {
    let why = connector.last_error.as_deref();
    match connector.state {
        ConnectorState::Connecting => "setting up the connection".to_owned(),
        ConnectorState::Connected => "data flows".to_owned(),
        ConnectorState::Degraded if connector.silent.is_empty() => {
            "connected, but part of the device does not answer".to_owned()
        }
        ConnectorState::Degraded => {
            format!("connected, but without an answer from {}", connector.silent.join(", "))
        }
        ConnectorState::BackingOff => why.map_or_else(
            || "waiting before the next attempt".to_owned(),
            |why| format!("waiting before the next attempt: {why}"),
        ),
        ConnectorState::Stopped => "stopped with the gateway".to_owned(),
    }
}

impl<'a> Unit<'a> {
    fn of(unit: &'a domain::UnitStatus, protocol: &str) -> Self {
        let refusals = unit.refusals.iter().map(|(code, count)| {
            let (text, words) = refusal_words(protocol, *code);
            Refusal { code: *code, text, words, count: *count }
        });
        Self {
            name: &unit.name,
            condition: &unit.condition,
            requests: unit.requests,
            requests_per_s: unit.requests_per_s,
            timeouts: unit.timeouts,
            refusals: refusals.collect(),
            bytes_received: unit.bytes_received,
            round_trip_p50_ms: unit.round_trip_p50.map(ms),
            round_trip_p99_ms: unit.round_trip_p99.map(ms),
            lateness_p99_ms: unit.lateness_p99.map(ms),
        }
    }
}

impl<'a> Exchange<'a> {
    fn of(exchange: &'a domain::Exchange) -> Self {
        Self {
            at: Time(exchange.at),
            unit: &exchange.unit,
            request: &exchange.request,
            request_hex: hex(&exchange.request_bytes),
            answer: &exchange.answer,
            answer_hex: hex(&exchange.answer_bytes),
            round_trip_ms: ms(exchange.round_trip),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ")
}
