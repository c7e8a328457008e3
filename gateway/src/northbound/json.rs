//! JSON over MQTT: one object a message, version in `schema`. These structs are the wire format; domain types may change
//! without it.
//!
//! A row of the outbox holds the *body* of a message. Device, stream, epoch and sequence are put in front when it is
//! sent, because the sequence is given out inside the transaction that stores the row.

use std::sync::atomic::Ordering;

use bellwether_domain::{
    Alert, AssetPath, Contribution, HealthState, Plant, Prognosis, Quality, Reading, Refusal,
    Summary, TagSummary, Timestamp,
};
use bellwether_store::{Class, OutboxRow, Outgoing};
use serde::Serialize;

use super::Uplink;

/// Puts what identifies a message in front of its body.
pub(super) fn message(device: &str, row: &OutboxRow) -> String {
    #[derive(Serialize)]
    struct Head<'a> {
        schema: String,
        device: &'a str,
        stream: &'a str,
        epoch: &'a str,
        sequence: u64,
    }
    let head = Head {
        schema: format!("bellwether/{}/1", if row.is_gap { "gap" } else { &row.stream }),
        device,
        stream: &row.stream,
        epoch: &row.epoch,
        sequence: row.sequence,
    };
    join(&text(&head), &row.body)
}

/// `{"a":1}` and `{"b":2}` → `{"a":1,"b":2}`.
fn join(head: &str, body: &str) -> String {
    format!("{},{}", head.trim_end_matches('}'), body.trim_start_matches('{'))
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("wire structs have string keys and finite numbers")
}

/// A number for the wire: JSON has no infinity, and six digits are more than any sensor has.
fn number(value: f64) -> Option<f64> {
    let text = value.is_finite().then(|| format!("{value:.5e}"))?;
    text.parse().ok()
}

#[derive(Serialize)]
struct WireContribution<'a> {
    tag: &'a str,
    share: Option<f64>,
    actual: Option<f64>,
    expected: Option<f64>,
    expected_std_dev: Option<f64>,
    unit: &'a str,
}

impl<'a> WireContribution<'a> {
    fn new(plant: &'a Plant, contribution: &Contribution) -> Self {
        let tag = plant.tag(contribution.tag);
        Self {
            tag: &tag.name,
            share: number(contribution.share),
            actual: number(contribution.actual),
            expected: number(contribution.expected),
            expected_std_dev: number(contribution.expected_std_dev),
            unit: &tag.unit,
        }
    }
}

#[derive(Serialize)]
struct WireAlert<'a> {
    at: String,
    quality: &'static str,
    asset: String,
    transition: &'static str,
    alarm: String,
    kind: &'static str,
    state: &'static str,
    priority: &'static str,
    severity: &'static str,
    tag: Option<&'a str>,
    sentence: &'a str,
    raised_at: String,
    returned_at: Option<String>,
    acked_at: Option<String>,
    acked_by: Option<&'a str>,
    contributions: Vec<WireContribution<'a>>,
}

/// An alert as a row for one uplink. `quality`: the worst quality of the asset's live tags.
pub fn alert(plant: &Plant, uplink: &str, alert: &Alert, quality: Quality) -> Outgoing {
    let alarm = &alert.alarm;
    let asset = &plant.asset(alarm.asset).path;
    let body = WireAlert {
        at: alert.at.to_string(),
        quality: quality.as_str(),
        asset: asset.to_string(),
        transition: alert.transition.as_str(),
        alarm: alarm.id.to_string(),
        kind: alarm.kind.as_str(),
        state: alarm.state.as_str(),
        priority: alarm.priority.as_str(),
        severity: alarm.severity.as_str(),
        tag: alarm.tag.map(|tag| plant.tag(tag).name.as_str()),
        sentence: &alarm.explanation.sentence,
        raised_at: alarm.raised_at.to_string(),
        returned_at: alarm.returned_at.map(|at| at.to_string()),
        acked_at: alarm.acked_at.map(|at| at.to_string()),
        acked_by: alarm.acked_by.as_deref(),
        contributions: alarm
            .explanation
            .contributions
            .iter()
            .map(|contribution| WireContribution::new(plant, contribution))
            .collect(),
    };
    outgoing(uplink, Class::Alert, asset, alert.at, text(&body))
}

#[derive(Serialize)]
struct WireRul<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p05_h: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p50_h: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p95_h: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    none_because: Option<&'static str>,
}

impl<'a> WireRul<'a> {
    fn new(plant: &'a Plant, prognosis: &Result<Prognosis, Refusal>) -> Self {
        match prognosis {
            Ok(prognosis) => Self {
                tag: Some(&plant.tag(prognosis.tag).name),
                p05_h: number(prognosis.rul_p05_h),
                p50_h: number(prognosis.rul_p50_h),
                p95_h: number(prognosis.rul_p95_h),
                none_because: None,
            },
            Err(refusal) => Self {
                tag: None,
                p05_h: None,
                p50_h: None,
                p95_h: None,
                none_because: Some(refusal.as_str()),
            },
        }
    }
}

#[derive(Serialize)]
struct WireTagSummary<'a> {
    tag: &'a str,
    unit: &'a str,
    good: u64,
    total: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    std_dev: Option<f64>,
}

impl<'a> WireTagSummary<'a> {
    fn new(plant: &'a Plant, summary: &TagSummary) -> Self {
        let tag = plant.tag(summary.tag);
        let if_any = |value| if summary.good > 0 { number(value) } else { None };
        Self {
            tag: &tag.name,
            unit: &tag.unit,
            good: summary.good,
            total: summary.total,
            min: if_any(summary.min),
            mean: if_any(summary.mean),
            max: if_any(summary.max),
            std_dev: if_any(summary.std_dev),
        }
    }
}

#[derive(Serialize)]
struct WireSummary<'a> {
    at: String,
    quality: &'static str,
    asset: String,
    from: String,
    to: String,
    state: &'static str,
    health: Option<f64>,
    score: Option<f64>,
    running_h: Option<f64>,
    rul: WireRul<'a>,
    alarms_raised: u32,
    good_ratio: Option<f64>,
    tags: Vec<WireTagSummary<'a>>,
}

/// A summary as a row for one uplink.
pub fn summary(plant: &Plant, uplink: &str, summary: &Summary, quality: Quality) -> Outgoing {
    let asset = &plant.asset(summary.asset).path;
    let body = WireSummary {
        at: summary.to.to_string(),
        quality: quality.as_str(),
        asset: asset.to_string(),
        from: summary.from.to_string(),
        to: summary.to.to_string(),
        state: summary.state.as_str(),
        health: number(summary.health.get()),
        score: number(summary.score.get()),
        running_h: number(summary.running_h),
        rul: WireRul::new(plant, &summary.prognosis),
        alarms_raised: summary.alarms_raised,
        good_ratio: number(summary.good_ratio),
        tags: summary.tags.iter().map(|tag| WireTagSummary::new(plant, tag)).collect(),
    };
    outgoing(uplink, Class::Summary, asset, summary.to, text(&body))
}

fn outgoing(
    uplink: &str,
    class: Class,
    asset: &AssetPath,
    at: Timestamp,
    body: String,
) -> Outgoing {
    let stream = match class {
        Class::Alert => "alert",
        Class::Summary => "summary",
    };
    Outgoing {
        uplink: uplink.to_owned(),
        class,
        stream: stream.to_owned(),
        topic: format!("{asset}/bellwether/{stream}"),
        at,
        body,
    }
}

/// Topic of the gateway's own retained status.
pub(super) fn status_topic(gateway: &AssetPath) -> String {
    format!("{gateway}/bellwether/status")
}

#[derive(Serialize)]
struct WireStatus<'a> {
    schema: &'static str,
    device: &'a str,
    stream: &'static str,
    epoch: String,
    sequence: u64,
    at: String,
    quality: &'static str,
    online: bool,
    build: String,
    uptime_s: u64,
    assets: usize,
    needing_attention: usize,
    alarms_active: usize,
    sources: usize,
    sources_connected: usize,
    backlog: u64,
    bytes_sent: u64,
    bytes_raw_equivalent: u64,
}

/// Sequence of the will, which the broker publishes in the gateway's name: it stands outside the count, because nobody
/// knows when the connection is made how many messages will have gone before it.
pub(super) const WILL: u64 = 0;

/// The gateway's status message. The epoch is the start of the process.
pub(super) fn status(uplink: &Uplink, sequence: u64, at: Timestamp, online: bool) -> String {
    use bellwether_domain::ConnectorState::{Connected, Degraded};
    let gateway = uplink.gateway.borrow();
    let own = uplink.status.borrow();
    let needs_attention = |state: HealthState| state >= HealthState::Monitor;
    let connected = |state| matches!(state, Connected | Degraded);
    text(&WireStatus {
        schema: "bellwether/status/1",
        device: &uplink.device,
        stream: "status",
        epoch: uplink.clock.started_at().as_micros().to_string(),
        sequence,
        at: at.to_string(),
        quality: if online { "good" } else { "bad" },
        online,
        build: gateway.build.clone(),
        uptime_s: gateway.uptime.as_secs(),
        assets: gateway.plant.assets.len(),
        needing_attention: gateway.state.assets.iter().filter(|a| needs_attention(a.state)).count(),
        alarms_active: gateway.state.standing_alarms().count(),
        sources: gateway.connectors.len(),
        sources_connected: gateway.connectors.iter().filter(|c| connected(c.state)).count(),
        backlog: own.backlog,
        bytes_sent: own.bytes_sent,
        bytes_raw_equivalent: uplink.raw_equivalent_bytes.load(Ordering::Relaxed),
    })
}

/// Bytes of topic and payload it would take to send this reading as a JSON message of its own, in the shortest form
/// people use: `{"at":"2026-11-23T08:00:00.000Z","value":4.2,"quality":"good"}` on the topic of its tag.
pub fn raw_equivalent_bytes(plant: &Plant, reading: &Reading) -> u64 {
    struct Count(usize);
    impl std::fmt::Write for Count {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0 += text.len();
            Ok(())
        }
    }
    const FRAME: usize = r#"{"at":"2026-11-23T08:00:00.000Z","value":,"quality":""}"#.len();
    let Some(tag) = plant.tags.get(reading.tag.index()) else { return 0 };
    let AssetPath { enterprise, site, area, work_center, work_unit } = &plant.asset(tag.asset).path;
    let path: usize =
        [enterprise, site, area, work_center, work_unit].iter().map(|name| name.len() + 1).sum();
    let mut value = Count(0);
    let counted = std::fmt::Write::write_fmt(&mut value, format_args!("{}", reading.value));
    debug_assert!(counted.is_ok(), "counting cannot fail");
    (path + tag.name.len() + FRAME + value.0 + reading.quality.as_str().len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_comes_before_the_body() {
        assert_eq!(join(r#"{"a":1}"#, r#"{"b":{"c":2}}"#), r#"{"a":1,"b":{"c":2}}"#);
    }

    #[test]
    fn numbers_are_short_and_never_infinite() {
        assert_eq!(text(&number(4.200_000_000_1)), "4.2");
        assert_eq!(text(&number(f64::INFINITY)), "null");
        assert_eq!(text(&number(f64::NAN)), "null");
        assert_eq!(text(&number(123_456_789.0)), "123457000.0");
    }
}
