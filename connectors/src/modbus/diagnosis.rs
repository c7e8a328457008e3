//! What is told about each unit and about the last exchanges. Costs a few small allocations a request and none a
//! reading; what is shown is put together at most once a second.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    sync::Arc,
    time::Duration,
};

use bellwether_domain::{ConnectorStatus, Exchange, Timestamp, UnitStatus};
use tokio::time::Instant;

use super::{
    Span, Table,
    link::{Answer, Exchanged, Fault, millis},
    quarantine::Silence,
    tap::Recorder,
    timing::Slowest,
};
use crate::status::RoundTrips;

/// So many exchanges are kept.
const EXCHANGES: usize = 20;
/// So many values of an answer are spelt out.
const SPELT_OUT: usize = 8;
/// What is shown is put together so often at most.
const SHOWN_EVERY: Duration = Duration::from_secs(1);
/// Over how long the rate of requests is taken.
const RATE_OVER: Duration = Duration::from_secs(60);

/// Memory of a source's units over its sessions: 247 of them at most.
#[derive(Debug, Default)]
pub(super) struct Diagnosis {
    units: BTreeMap<u8, Unit>,
    exchanges: VecDeque<Arc<Exchange>>,
    shown_at: Option<Instant>,
}

#[derive(Debug, Default)]
struct Unit {
    requests: u64,
    timeouts: u64,
    refusals: Vec<(u32, u64)>,
    bytes: u64,
    round_trips: RoundTrips,
    lateness: RoundTrips,
    slowest: Slowest,
    rate: f64,
    /// Requests at the last time the rate was taken, and when the unit was first and last looked at.
    rated: Option<(u64, Instant, Instant)>,
}

impl Diagnosis {
    /// How long to wait for the unit's next answer.
    pub(super) fn timeout(&self, unit: u8, shortest: Duration, longest: Duration) -> Duration {
        let slowest = self.units.get(&unit).map(|unit| unit.slowest).unwrap_or_default();
        slowest.timeout(shortest, longest)
    }

    /// One exchange with this unit; `request` says in words what was asked.
    pub(super) fn note(
        &mut self,
        number: u8,
        request: String,
        exchanged: &Exchanged,
        recorder: &Recorder,
        at: Timestamp,
    ) {
        let unit = self.units.entry(number).or_default();
        unit.requests += 1;
        unit.bytes += exchanged.bytes;
        match &exchanged.answer {
            Ok(answer) => {
                unit.round_trips.push(exchanged.round_trip);
                unit.slowest.push(exchanged.round_trip);
                if let Answer::Exception(code) = answer {
                    count(&mut unit.refusals, u32::from(*code));
                }
            }
            Err(Fault::Timeout(_)) => {
                unit.timeouts += 1;
                unit.slowest.forget();
            }
            Err(_) => unit.slowest.forget(),
        }
        let record = recorder.lock();
        let exchange = Exchange {
            at,
            unit: name(number),
            request,
            request_bytes: record.sent.clone(),
            answer: in_words(&exchanged.answer),
            answer_bytes: record.received.clone(),
            round_trip: exchanged.round_trip,
        };
        drop(record);
        if self.exchanges.len() == EXCHANGES {
            self.exchanges.pop_front();
        }
        self.exchanges.push_back(Arc::new(exchange));
    }

    /// A poll in which the unit was asked began so much later than planned.
    pub(super) fn late(&mut self, unit: u8, lateness: Duration) {
        self.units.entry(unit).or_default().lateness.push(lateness);
    }

    /// Whether it is time to show.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.shown_at.is_none_or(|at| now >= at + SHOWN_EVERY)
    }

    /// Puts together what is shown.
    pub(super) fn show(&mut self, status: &mut ConnectorStatus, silence: &Silence, now: Instant) {
        self.shown_at = Some(now);
        status.exchanges.clear();
        status.exchanges.extend(self.exchanges.iter().cloned());
        status.units.clear();
        for (number, unit) in &mut self.units {
            unit.rate_at(now);
            let percentiles = unit.round_trips.percentiles();
            status.units.push(UnitStatus {
                name: name(*number),
                condition: condition(*number, silence, now),
                requests: unit.requests,
                timeouts: unit.timeouts,
                refusals: unit.refusals.clone(),
                bytes_received: unit.bytes,
                requests_per_s: unit.rate,
                round_trip_p50: percentiles.map(|(p50, _)| p50),
                round_trip_p99: percentiles.map(|(_, p99)| p99),
                lateness_p99: unit.lateness.percentiles().map(|(_, p99)| p99),
            });
        }
    }
}

impl Unit {
    /// Brings the rate up to date: an average over the last minute, or over all there has been.
    fn rate_at(&mut self, now: Instant) {
        let (before, first, last) = self.rated.unwrap_or((0, now, now));
        let elapsed = now.saturating_duration_since(last);
        if elapsed.is_zero() {
            self.rated = self.rated.or(Some((self.requests, now, now)));
            return;
        }
        let age = now.saturating_duration_since(first).min(RATE_OVER);
        let weight = (elapsed.as_secs_f64() / age.as_secs_f64()).min(1.0);
        let requests = u32::try_from(self.requests - before).unwrap_or(u32::MAX);
        let rate = f64::from(requests) / elapsed.as_secs_f64();
        self.rate += weight * (rate - self.rate);
        self.rated = Some((self.requests, first, now));
    }
}

fn count(refusals: &mut Vec<(u32, u64)>, code: u32) {
    match refusals.iter_mut().find(|(it, _)| *it == code) {
        Some((_, times)) => *times += 1,
        None => refusals.push((code, 1)),
    }
}

/// A unit in the status and in the log.
pub(super) fn name(unit: u8) -> String {
    format!("unit {unit}")
}

fn condition(unit: u8, silence: &Silence, now: Instant) -> String {
    match silence.asked_again_at(unit) {
        Some(at) => {
            let wait_s = at.saturating_duration_since(now).as_secs_f64().ceil();
            format!("silent, asked again in {wait_s} s")
        }
        None if silence.is_suspect(unit) => "did not answer last time".to_owned(),
        None => "answers".to_owned(),
    }
}

/// What is asked for, in words.
pub(super) fn request_in_words(span: Span) -> String {
    let (one, many) = match span.table {
        Table::Coil => ("coil", "coils"),
        Table::Discrete => ("discrete input", "discrete inputs"),
        Table::Holding => ("holding register", "holding registers"),
        Table::Input => ("input register", "input registers"),
    };
    let noun = if span.count == 1 { one } else { many };
    format!("read {} {noun} from {}", span.count, span.address)
}

fn in_words(answer: &Result<Answer, Fault>) -> String {
    match answer {
        Ok(Answer::Registers(words)) => {
            spelt("register", words.len(), words.iter().copied().map(u32::from))
        }
        Ok(Answer::Bits(bits)) => spelt("bit", bits.len(), bits.iter().copied().map(u32::from)),
        Ok(Answer::Exception(code)) => {
            format!("exception {code:02X}: {}", exception_in_words(*code))
        }
        Err(Fault::Timeout(limit)) => format!("nothing whole within {} ms", millis(*limit)),
        Err(Fault::OutOfStep(detail)) => format!("does not fit the request: {detail}"),
        Err(Fault::Broken(cause)) => format!("the connection broke: {cause}"),
    }
}

fn spelt(noun: &str, length: usize, values: impl Iterator<Item = u32>) -> String {
    let mut words = format!("{length} {noun}{}", if length == 1 { "" } else { "s" });
    for (index, value) in values.take(SPELT_OUT).enumerate() {
        // Writing to a string cannot fail.
        write!(words, "{}{value}", if index == 0 { ": " } else { ", " }).ok();
    }
    if length > SPELT_OUT {
        words.push_str(", …");
    }
    words
}

/// Names of 1.1b3, chapter 7.
pub(super) const fn exception_in_words(code: u8) -> &'static str {
    match code {
        0x01 => "illegal function",
        0x02 => "illegal data address",
        0x03 => "illegal data value",
        0x04 => "server device failure",
        0x05 => "acknowledge, still working on it",
        0x06 => "server device busy",
        0x08 => "memory parity error",
        0x0A => "gateway path unavailable",
        0x0B => "gateway target device failed to respond",
        _ => "not in the standard",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(count: u16) -> Span {
        Span { unit: 3, table: Table::Holding, address: 256, count }
    }

    fn exchanged(answer: Result<Answer, Fault>) -> Exchanged {
        Exchanged { answer, round_trip: Duration::from_millis(7), bytes: 9 }
    }

    #[track_caller]
    fn check(answer: Result<Answer, Fault>, expected: &str) {
        assert_eq!(in_words(&answer), expected);
    }

    #[test]
    fn an_exchange_is_told_in_words() {
        assert_eq!(request_in_words(holding(12)), "read 12 holding registers from 256");
        assert_eq!(request_in_words(holding(1)), "read 1 holding register from 256");
        check(Ok(Answer::Registers(vec![7])), "1 register: 7");
        check(Ok(Answer::Registers((0..12).collect())), "12 registers: 0, 1, 2, 3, 4, 5, 6, 7, …");
        check(Ok(Answer::Bits(vec![true, false])), "2 bits: 1, 0");
        check(Ok(Answer::Exception(2)), "exception 02: illegal data address");
        let limit = Duration::from_secs(1);
        check(Err(Fault::Timeout(limit)), "nothing whole within 1000 ms");
    }

    #[test]
    fn the_last_twenty_exchanges_are_kept_and_units_counted_by_themselves() {
        let (mut diagnosis, now) = (Diagnosis::default(), Instant::now());
        let recorder = Recorder::default();
        for index in 0..30_u16 {
            let answer = match index % 3 {
                0 => Ok(Answer::Registers(vec![index])),
                1 => Ok(Answer::Exception(6)),
                _ => Err(Fault::Timeout(Duration::from_millis(80))),
            };
            let at = Timestamp::from_secs(i64::from(index));
            diagnosis.note(3, request_in_words(holding(1)), &exchanged(answer), &recorder, at);
        }
        let mut status = ConnectorStatus::default();
        diagnosis.show(&mut status, &Silence::default(), now);
        assert_eq!(status.exchanges.len(), 20);
        assert_eq!(status.exchanges[0].at, Timestamp::from_secs(10), "oldest first");
        let [unit] = &status.units[..] else { panic!("{:?}", status.units) };
        assert_eq!((unit.name.as_str(), unit.condition.as_str()), ("unit 3", "answers"));
        assert_eq!((unit.requests, unit.timeouts, unit.bytes_received), (30, 10, 270));
        assert_eq!(unit.refusals, [(6, 10)]);
        assert!(!diagnosis.is_due(now) && diagnosis.is_due(now + SHOWN_EVERY));
    }

    #[test]
    fn the_rate_is_that_of_the_last_minute() {
        let (mut unit, start) = (Unit::default(), Instant::now());
        unit.rate_at(start);
        for second in 1..=300 {
            unit.requests += 4;
            unit.rate_at(start + Duration::from_secs(second));
        }
        assert!((unit.rate - 4.0).abs() < 1e-6, "{}", unit.rate);
        unit.rate_at(start + Duration::from_secs(600));
        assert!(unit.rate < 1e-6, "{}", unit.rate);
    }
}
