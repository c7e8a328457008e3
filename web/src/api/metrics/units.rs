//! What each unit does, and what is missing. Units are labels, so there is a bound to them: a device with more is counted
//! as a whole by its source.

use bellwether_domain::{ConnectorStatus, GatewayStatus, UnitStatus};

use super::Page;

/// Units that have series of their own; the rest is told as a number.
const MOST_UNITS: usize = 256;
/// Codes of refusal that have series of their own for each unit, in the order of their number.
const MOST_CODES: usize = 16;

/// A family of one number a unit.
type OfUnit = (&'static str, &'static str, fn(&UnitStatus) -> Option<f64>);

#[expect(clippy::cast_precision_loss, reason = "counters below 2^53, as Prometheus has them")]
const OF_UNITS: [OfUnit; 5] = [
    ("unit_requests_total", "Requests sent to the unit.", |unit| Some(unit.requests as f64)),
    ("unit_timeouts_total", "Requests without an answer in time.", |unit| {
        Some(unit.timeouts as f64)
    }),
    ("unit_received_bytes_total", "Bytes received from the unit.", |unit| {
        Some(unit.bytes_received as f64)
    }),
    ("unit_request_rate_hertz", "Requests a second over the last minute, about.", |unit| {
        Some(unit.requests_per_s)
    }),
    ("unit_lateness_seconds", "99th percentile of lateness; absent before the first.", |unit| {
        unit.lateness_p99.map(|late| late.as_secs_f64())
    }),
];

pub(super) fn units(page: &mut Page, sources: &[ConnectorStatus]) {
    let all = || sources.iter().flat_map(|it| it.units.iter().map(move |unit| (it, unit)));
    let shown = || all().take(MOST_UNITS);
    for (name, help, value) in OF_UNITS {
        page.family(name, help);
        for (source, unit) in shown() {
            let Some(value) = value(unit) else { continue };
            page.sample(&[("source", &source.name), ("unit", &unit.name)], value);
        }
    }
    page.family("unit_refusals_total", "Answers that refused, by code.");
    for (source, unit) in shown() {
        for (code, count) in unit.refusals.iter().take(MOST_CODES) {
            let code = code.to_string();
            let labels = [("source", source.name.as_str()), ("unit", &unit.name), ("code", &code)];
            page.sample(&labels, count);
        }
    }
    page.family("unit_round_trip_seconds", "Recent round trips; absent before the first.");
    for (source, unit) in shown() {
        let quantiles = [("0.5", unit.round_trip_p50), ("0.99", unit.round_trip_p99)];
        for (quantile, span) in quantiles {
            let Some(span) = span else { continue };
            let (source, unit) = (source.name.as_str(), unit.name.as_str());
            let labels = [("source", source), ("unit", unit), ("quantile", quantile)];
            page.sample(&labels, span.as_secs_f64());
        }
    }
    page.family("unlabelled_units_count", "Units beyond the 256 that have series of their own.")
        .sample(&[], all().count().saturating_sub(MOST_UNITS));
}

pub(super) fn gaps(page: &mut Page, status: &GatewayStatus) {
    page.family("open_gaps_count", "Gaps in the data that last.")
        .sample(&[], status.gaps.open.len());
    page.family("gaps_total", "Gaps in the data that were recorded, by cause.");
    for (cause, count) in &status.gaps.recorded {
        page.sample(&[("cause", cause.as_str())], count);
    }
}
