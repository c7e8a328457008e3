//! `/metrics` in the Prometheus text format 0.0.4, for those who have a Grafana already. Every name ends in its unit.
//! No process values: raw readings do not leave the gateway this way.

mod units;

use std::{
    fmt::{Display, Write},
    sync::Arc,
};

use axum::{
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use bellwether_domain::{ConnectorStatus, GatewayStatus, Quality, UplinkStatus};

use super::{assets::path_of, status::unacked};
use crate::state::App;

const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) async fn get_metrics(State(app): State<Arc<App>>) -> Response {
    let text = text(&app.status(), app.open_streams());
    ([(CONTENT_TYPE, MEDIA_TYPE)], text).into_response()
}

fn text(status: &GatewayStatus, streams: usize) -> String {
    let mut page = Page::default();
    gateway(&mut page, status, streams);
    assets(&mut page, status);
    alarms_and_tags(&mut page, status);
    connectors(&mut page, &status.connectors);
    units::units(&mut page, &status.connectors);
    units::gaps(&mut page, status);
    uplinks(&mut page, &status.uplinks);
    store(&mut page, status);
    page.text
}

/// The text as it grows, family by family.
#[derive(Debug, Default)]
struct Page {
    text: String,
    family: String,
}

impl Page {
    /// Begins a family; a name ending in `_total` is a counter.
    fn family(&mut self, name: &str, help: &str) -> &mut Self {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        self.family = format!("bellwether_{name}");
        self.line(format_args!("# HELP bellwether_{name} {help}\n# TYPE bellwether_{name} {kind}"));
        self
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        let labels = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect::<Vec<_>>()
            .join(",");
        let family = std::mem::take(&mut self.family);
        match labels.is_empty() {
            true => self.line(format_args!("{family} {value}")),
            false => self.line(format_args!("{family}{{{labels}}} {value}")),
        }
        self.family = family;
        self
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("writing to a string cannot fail");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Prometheus knows numbers only.
fn truth(value: bool) -> u8 {
    u8::from(value)
}

fn gateway(page: &mut Page, status: &GatewayStatus, streams: usize) {
    page.family("build_info", "Version and device name; always 1.")
        .sample(&[("build", &status.build), ("device", &status.device)], 1);
    page.family("uptime_seconds", "Real time since the process began.")
        .sample(&[], status.uptime.as_secs_f64());
    page.family("plant_time_seconds", "Plant time, in seconds since 1970.")
        .sample(&[], status.state.at.seconds_since(bellwether_domain::Timestamp::default()));
    page.family("plant_speed_ratio", "How much faster than real time plant time runs.")
        .sample(&[], status.speed);
    page.family("live_streams_count", "Open live streams of the dashboard.").sample(&[], streams);
}

fn assets(page: &mut Page, status: &GatewayStatus) {
    let known: Vec<_> = status
        .state
        .assets
        .iter()
        .filter_map(|asset| Some((asset, path_of(&status.plant, asset.asset)?)))
        .collect();
    page.family("asset_state_info", "What a person should do about the asset; always 1.");
    for (asset, path) in &known {
        page.sample(&[("asset", path), ("state", asset.state.as_str())], 1);
    }
    page.family("asset_health_ratio", "1 is as good as learnt, 0 is failed.");
    for (asset, path) in &known {
        page.sample(&[("asset", path)], asset.health.get());
    }
    page.family("asset_anomaly_ratio", "How unusual the asset is; 0.5 is the alarm threshold.");
    for (asset, path) in &known {
        page.sample(&[("asset", path)], asset.anomaly.score.get());
    }
    page.family("asset_learning_ratio", "1 when learning is finished.");
    for (asset, path) in &known {
        page.sample(&[("asset", path)], asset.learning_ratio);
    }
    page.family("asset_rul_seconds", "Remaining useful life; absent without an estimate.");
    for (asset, path) in &known {
        let Ok(made) = &asset.prognosis else { continue };
        let quantiles =
            [("0.05", made.rul_p05_h), ("0.5", made.rul_p50_h), ("0.95", made.rul_p95_h)];
        for (quantile, hours) in quantiles {
            page.sample(&[("asset", path), ("quantile", quantile)], number(hours * 3_600.0));
        }
    }
}

/// Infinity has its own spelling.
fn number(value: f64) -> String {
    if value == f64::INFINITY { "+Inf".to_owned() } else { value.to_string() }
}

fn alarms_and_tags(page: &mut Page, status: &GatewayStatus) {
    page.family("active_alarms_count", "Alarms whose condition holds.")
        .sample(&[], status.state.standing_alarms().count());
    page.family("unacknowledged_alarms_count", "Alarms that wait for acknowledgement.")
        .sample(&[], unacked(status));
    page.family("tags_count", "Tags by the quality of their present value.");
    let of = |wanted: fn(&Quality) -> bool| {
        status.state.tags.iter().filter(|tag| wanted(&tag.quality)).count()
    };
    page.sample(&[("quality", "good")], of(|quality| matches!(quality, Quality::Good)));
    page.sample(
        &[("quality", "uncertain")],
        of(|quality| matches!(quality, Quality::Uncertain(_))),
    );
    page.sample(&[("quality", "bad")], of(|quality| matches!(quality, Quality::Bad(_))));
}

/// A family of one number a source.
type OfConnector = (&'static str, &'static str, fn(&ConnectorStatus) -> u64);

const OF_CONNECTORS: [OfConnector; 7] = [
    ("source_readings_total", "Readings delivered.", |source| source.readings),
    ("source_dropped_readings_total", "Readings dropped: engine behind.", |source| source.dropped),
    ("source_requests_total", "Requests sent.", |source| source.requests),
    ("source_timeouts_total", "Requests without an answer in time.", |source| source.timeouts),
    ("source_refusals_total", "Answers that refused.", |source| source.refusals),
    ("source_sessions_total", "Sessions begun.", |source| source.sessions),
    ("source_received_bytes_total", "Bytes received.", |source| source.bytes_received),
];

fn connectors(page: &mut Page, sources: &[ConnectorStatus]) {
    page.family("source_state_info", "What the source is doing; always 1.");
    for source in sources {
        let labels = [
            ("source", source.name.as_str()),
            ("protocol", source.protocol),
            ("state", source.state.as_str()),
        ];
        page.sample(&labels, 1);
    }
    for (name, help, value) in OF_CONNECTORS {
        page.family(name, help);
        for source in sources {
            page.sample(&[("source", &source.name)], value(source));
        }
    }
    page.family("source_round_trip_seconds", "Recent round trips; absent before the first.");
    for source in sources {
        let quantiles = [("0.5", source.round_trip_p50), ("0.99", source.round_trip_p99)];
        for (quantile, span) in quantiles {
            let Some(span) = span else { continue };
            let labels = [("source", source.name.as_str()), ("quantile", quantile)];
            page.sample(&labels, span.as_secs_f64());
        }
    }
}

/// A family of one number an uplink.
type OfUplink = (&'static str, &'static str, fn(&UplinkStatus) -> u64);

const OF_UPLINKS: [OfUplink; 6] = [
    ("uplink_connected_bool", "1 if the broker has accepted the connection.", |uplink| {
        u64::from(uplink.connected)
    }),
    ("uplink_backlog_messages", "Messages waiting on disk.", |uplink| uplink.backlog),
    ("uplink_sent_messages_total", "Messages sent, repetitions included.", |uplink| uplink.sent),
    ("uplink_acknowledged_messages_total", "Messages acknowledged.", |uplink| uplink.acked),
    ("uplink_sent_bytes_total", "Bytes of topic and payload sent.", |uplink| uplink.bytes_sent),
    (
        "uplink_raw_equivalent_bytes_total",
        "Bytes it would have taken to send every reading as a JSON message of its own.",
        |uplink| uplink.bytes_raw_equivalent,
    ),
];

fn uplinks(page: &mut Page, uplinks: &[UplinkStatus]) {
    for (name, help, value) in OF_UPLINKS {
        page.family(name, help);
        for uplink in uplinks {
            page.sample(&[("uplink", &uplink.name)], value(uplink));
        }
    }
}

fn store(page: &mut Page, status: &GatewayStatus) {
    let store = &status.store;
    page.family("store_healthy_bool", "1 if both databases take data.")
        .sample(&[], truth(store.healthy));
    page.family("store_core_bytes", "Size of core.db.").sample(&[], store.core_bytes);
    page.family("store_history_bytes", "Size of hist.db and the sealed segments.")
        .sample(&[], store.history_bytes);
    page.family("store_thinned_readings_total", "Readings not written: disk behind.")
        .sample(&[], store.thinned);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::plant::status;

    /// One sample line, parsed by the grammar of the exposition format.
    fn sample(line: &str) -> (String, Vec<(String, String)>, f64) {
        let (head, value) = line.rsplit_once(' ').expect("name and value");
        let value = if value == "+Inf" { f64::INFINITY } else { value.parse().expect("a number") };
        let Some((name, rest)) = head.split_once('{') else {
            return (head.to_owned(), Vec::new(), value);
        };
        let mut rest = rest.strip_suffix('}').expect("closing brace");
        let mut labels = Vec::new();
        while !rest.is_empty() {
            let (label, quoted) = rest.split_once("=\"").expect("label");
            let mut text = String::new();
            let mut chars = quoted.char_indices();
            let end = loop {
                match chars.next().expect("closing quote") {
                    (_, '\\') => match chars.next().expect("escaped character").1 {
                        'n' => text.push('\n'),
                        other => text.push(other),
                    },
                    (at, '"') => break at,
                    (_, other) => text.push(other),
                }
            };
            labels.push((label.to_owned(), text));
            rest = quoted[end + 1..].trim_start_matches(',');
        }
        (name.to_owned(), labels, value)
    }

    #[test]
    fn every_sample_belongs_to_the_family_above_it_and_every_name_has_a_unit() {
        let page = text(&status(), 3);
        let units = [
            "_info",
            "_seconds",
            "_ratio",
            "_count",
            "_bool",
            "_bytes",
            "_messages",
            "_total",
            "_hertz",
        ];
        let (mut family, mut samples) = (String::new(), 0);
        let mut families = std::collections::BTreeSet::new();
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                family = rest.split_once(' ').expect("help text").0.to_owned();
                assert!(families.insert(family.clone()), "{family} twice");
                assert!(units.iter().any(|unit| family.ends_with(unit)), "{family} has no unit");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let kind = if family.ends_with("_total") { "counter" } else { "gauge" };
                assert_eq!(rest, format!("{family} {kind}"));
            } else {
                assert_eq!(sample(line).0, family);
                samples += 1;
            }
        }
        assert!(page.ends_with('\n') && samples > 30, "{samples}\n{page}");
    }

    #[test]
    fn the_number_of_units_with_series_of_their_own_is_bounded() {
        let mut status = status();
        let unit = |number: u32| bellwether_domain::UnitStatus {
            name: format!("unit {number}"),
            refusals: (0..40).map(|code| (code, 1)).collect(),
            ..bellwether_domain::UnitStatus::default()
        };
        status.connectors[0].units = (0..300).map(unit).collect();
        let page = text(&status, 0);
        let lines = |name: &str| page.lines().filter(|line| line.starts_with(name)).count();
        assert_eq!(lines("bellwether_unit_requests_total{"), 256);
        assert_eq!(lines("bellwether_unit_refusals_total{"), 256 * 16);
        assert!(page.contains("\nbellwether_unlabelled_units_count 44\n"), "{page}");
    }

    #[test]
    fn labels_survive_quotes_and_line_breaks() {
        let mut status = status();
        status.connectors[0].name = "a\"b\\c\nd".to_owned();
        let page = text(&status, 0);
        let line = page.lines().find(|line| line.starts_with("bellwether_source_readings_total"));
        let (_, labels, _) = sample(line.expect("the family"));
        assert_eq!(labels, [("source".to_owned(), "a\"b\\c\nd".to_owned())]);
    }

    #[test]
    fn an_interval_without_an_end_is_infinite() {
        let page = text(&status(), 0);
        let rul: Vec<f64> = page
            .lines()
            .filter(|line| line.starts_with("bellwether_asset_rul_seconds"))
            .map(|line| sample(line).2)
            .collect();
        assert_eq!(rul, [72_000.0, 144_000.0, f64::INFINITY]);
    }
}
