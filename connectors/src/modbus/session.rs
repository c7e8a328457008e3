//! One Modbus session: connect, poll until something breaks, say why. Back-off is the caller's.
//!
//! Every complete poll delivers one batch with exactly one reading a tag, all with the time right after the last byte
//! had arrived. Units that failed to answer last time are asked last, so that a unit that is silent again costs the
//! others nothing of this poll; their readings are delivered even though the session ends with it.
//!
//! Silent units are asked one a poll, after the others' values have been delivered, in the time that is left until the
//! next poll is due. Only now and then one is waited for longer, so that the healthy ones begin late in less than one
//! poll of a hundred. When polls are due outlives the session.

mod files;

use std::{convert::Infallible, time::Duration};

use bellwether_domain::{ConnectorState, Quality, Reading, Reason, Timestamp};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};

use super::{
    Block, Quarantine, Source, Span, Transport,
    burst::Bursts,
    diagnosis,
    layout::Layout,
    link::{Answer, Fault, Link, drain, millis},
    search::Search,
    timing::following,
};
use crate::{
    Batch, Now, SessionError, Sink, StatusCell,
    status::{self, RoundTrips},
};

/// Of so many polls one may begin late because a silent unit is waited for.
const LONG_PROBE_EVERY: u32 = 150;
/// So long before the next poll is due, at least, a silent unit is given up.
const PROBE_MARGIN: Duration = Duration::from_millis(10);
/// Waits for a silent unit are cut to a multiple of this, so that the same fault is told in the same words; with less
/// time left it is asked in another poll.
const PROBE_STEP_MS: u64 = 50;

/// Polls the device until the session ends, which it does at the first timeout, mismatch or broken connection. A new
/// session with the same quarantine goes on with what has been learnt about silent units and refused addresses.
///
/// At the end of the session all tags become bad, except where only one unit is at fault
/// ([`SessionError::reconnects_at_once`]): then the others keep their values, because the next session begins at once.
/// The error goes to the caller alone, who notes it in the status and decides what is next.
///
/// # Errors
/// The reason why the session has ended; it ends in no other way.
pub async fn run(
    source: &Source,
    quarantine: &mut Quarantine,
    sink: &Sink,
    status: &StatusCell,
    now: &Now,
) -> Result<Infallible, SessionError> {
    status.update(|status| status.sessions += 1);
    let Err(error) = session(source, quarantine, sink, status, now).await;
    if !error.reconnects_at_once() {
        let (at, reason) = (now(), error.reason());
        let readings = source.tag_ids().map(|tag| Reading::bad(tag, at, reason)).collect();
        sink.offer(Batch::Readings(readings));
    }
    Err(error)
}

async fn session(
    source: &Source,
    quarantine: &mut Quarantine,
    sink: &Sink,
    status: &StatusCell,
    now: &Now,
) -> Result<Infallible, SessionError> {
    let at = now();
    status.update(|status| {
        // A session that follows at once on a silent unit is no news.
        if !matches!(status.state, ConnectorState::Connected | ConnectorState::Degraded) {
            status::enter(status, ConnectorState::Connecting, at);
        }
    });
    if std::mem::take(&mut quarantine.is_to_be_drained) {
        drain(&source.transport, source.timeout).await;
    }
    if let Transport::Serial(line) = &source.transport
        && let Some(warning) = line.warning()
        && quarantine.next_poll.is_none()
    {
        warn!(source = %source.name, "{warning}");
    }
    let link = Link::connect(&source.transport, source.connect_timeout, source.pace).await?;
    let round_trips = RoundTrips::default();
    let (counted, spare) = (None, Poll::default());
    let bursts = Bursts::new(&source.waveforms, Instant::now());
    let next_poll = Instant::now();
    let mut session = Session {
        source,
        quarantine,
        link,
        sink,
        status,
        now,
        round_trips,
        counted,
        bursts,
        spare,
        next_poll,
    };
    loop {
        let due = session.quarantine.next_poll.unwrap_or_else(Instant::now);
        sleep_until(due).await;
        session.poll(due).await?;
    }
}

/// Requests a poll may spend on finding out what a device refuses: neighbours on the line are not held up for longer.
const SEARCH_REQUESTS: u32 = 16;

struct Session<'a> {
    source: &'a Source,
    quarantine: &'a mut Quarantine,
    link: Link,
    sink: &'a Sink,
    status: &'a StatusCell,
    now: &'a Now,
    round_trips: RoundTrips,
    /// The sample counter of the last poll that was delivered.
    counted: Option<f64>,
    bursts: Bursts,
    /// The last poll, kept for its memory.
    spare: Poll,
    /// When the poll after the present one is due.
    next_poll: Instant,
}

/// What one poll has found so far.
#[derive(Default)]
struct Poll {
    /// One a tag; `None` until it has been asked for.
    found: Vec<Option<Found>>,
    requests: u64,
    refusals: u64,
    bytes: u64,
    /// What was found out about blocks the device refused.
    searches: Vec<Search>,
    /// Requests spent on that.
    search_requests: u32,
    /// Texts that were read, by tag.
    texts: Vec<(usize, String)>,
    /// Blocks it refused because it does not know the function.
    given_up: Vec<Block>,
    /// Units that a gateway could not reach in this poll.
    unreachable: Vec<u8>,
}

/// When a unit is asked in a poll.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Answering,
    Suspect,
    Silent,
}

#[derive(Clone, Copy)]
enum Found {
    Raw(f64),
    Bad(Reason),
}

impl Poll {
    fn begin(&mut self, tags: usize) {
        self.found.clear();
        self.found.resize(tags, None);
        self.searches.clear();
        self.given_up.clear();
        self.texts.clear();
        self.search_requests = 0;
        self.unreachable.clear();
        (self.requests, self.refusals, self.bytes) = (0, 0, 0);
    }

    fn set(&mut self, tag: usize, found: Found) {
        if let Some(slot) = self.found.get_mut(tag) {
            *slot = Some(found);
        }
    }

    fn set_missing(&mut self, tags: &[usize], reason: Reason) {
        for tag in tags.iter().copied() {
            if self.found.get(tag).is_some_and(Option::is_none) {
                self.set(tag, Found::Bad(reason));
            }
        }
    }

    fn set_all(&mut self, tags: &[usize], reason: Reason) {
        tags.iter().for_each(|tag| self.set(*tag, Found::Bad(reason)));
    }
}

impl Session<'_> {
    async fn poll(&mut self, due: Instant) -> Result<(), SessionError> {
        let began = Instant::now();
        // A slow device is polled less often; polls are skipped, never owed.
        self.next_poll = following(due, began, self.source.poll_interval);
        self.quarantine.next_poll = Some(self.next_poll);
        let mut poll = std::mem::take(&mut self.spare);
        poll.begin(self.source.tags.len());
        let mut layout = self.quarantine.layout.take().unwrap_or_else(|| Layout::new(self.source));
        let mut result = self.read_all(&layout, &mut poll).await;
        if result.is_ok() {
            result = self.retry(&mut layout, &mut poll).await;
        }
        // The last byte is in.
        let at = (self.now)();
        if result.is_ok() {
            result = self.read_files(&mut poll).await;
        }
        self.late(&poll, began.saturating_duration_since(due));
        self.learn(&mut layout, &mut poll);
        self.quarantine.layout = Some(layout);
        if result.is_err() && poll.found.iter().any(Option::is_none) {
            // Some have not had their turn: they get it as soon as there is a link again.
            self.quarantine.next_poll = Some(due);
        }
        let result = result.map_err(|(span, fault)| self.fault(span, fault, &mut poll));
        self.tell(&poll, result.as_ref().err(), at);
        // After a fault of the whole connection nothing of this poll is worth more than "not connected".
        if result.as_ref().err().is_none_or(SessionError::reconnects_at_once) {
            self.deliver(&poll, at);
        }
        self.spare = poll;
        result?;
        self.probe_silent().await
    }

    /// Remembers what the device has refused.
    fn learn(&self, layout: &mut Layout, poll: &mut Poll) {
        let now = Instant::now();
        for search in poll.searches.drain(..) {
            debug!(source = %self.source.name, ?search, "the device refuses a request: it is cut");
            layout.settle(search, self.source, now);
        }
        for block in poll.given_up.drain(..) {
            debug!(source = %self.source.name, ?block, "the device does not know the function");
            layout.give_up(&block, now);
        }
        for tag in layout.refused() {
            if poll.found.get(tag).is_some_and(Option::is_none) {
                poll.set(tag, Found::Bad(Reason::Configuration));
            }
        }
    }

    /// Asks for everything that is to be asked for now: first those who answer, then those who did not last time. The
    /// silent have no value.
    async fn read_all(&mut self, layout: &Layout, poll: &mut Poll) -> Result<(), (Span, Fault)> {
        for turn in [Turn::Answering, Turn::Suspect] {
            for block in &layout.blocks {
                let unit = block.span.unit;
                let first = block.members.first().and_then(|tag| poll.found.get(*tag));
                if self.turn(unit) > turn || first.is_some_and(Option::is_some) {
                    continue;
                }
                if poll.unreachable.contains(&unit) {
                    poll.set_all(&block.members, Reason::Timeout);
                    continue;
                }
                let limit = self.limit(unit);
                let read = self.read_block(block, limit, poll).await;
                read.map_err(|fault| (block.span, fault))?;
            }
            // Also after the last turn: a unit may have fallen silent in it.
            let silent = |it: &&Block| self.turn(it.span.unit) == Turn::Silent;
            for block in layout.blocks.iter().filter(silent) {
                poll.set_missing(&block.members, Reason::Timeout);
            }
        }
        Ok(())
    }

    /// Asks one silent unit whether it is there again, once the values of the others are on their way; the next poll
    /// reads it then.
    async fn probe_silent(&mut self) -> Result<(), SessionError> {
        let now = Instant::now();
        let blocks = self.quarantine.layout.iter().flat_map(|layout| &layout.blocks);
        let units = &self.quarantine.units;
        let is_due = |unit| units.is_silent(unit) && units.is_due(unit, now);
        let Some(span) = blocks.map(|block| block.span).find(|span| is_due(span.unit)) else {
            return Ok(());
        };
        let Some(limit) = self.probe_limit(span.unit) else { return Ok(()) };
        let mut poll = Poll::default();
        let asked = self.ask(span, limit, &mut poll).await;
        let at = (self.now)();
        let result = match asked {
            Ok(Answer::Exception(code)) if exception(code) == Exception::Unreachable => {
                let retries = self.source.pace.retries;
                self.quarantine.units.failed(span.unit, Instant::now(), retries);
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(fault) => Err(self.fault(span, fault, &mut poll)),
        };
        self.tell(&poll, result.as_ref().err(), at);
        result
    }

    fn turn(&self, unit: u8) -> Turn {
        let units = &self.quarantine.units;
        if units.is_silent(unit) {
            Turn::Silent
        } else if units.is_suspect(unit) {
            Turn::Suspect
        } else {
            Turn::Answering
        }
    }

    /// How long a unit is waited for: as its answers lately suggest, and longest after it has not answered.
    fn limit(&self, unit: u8) -> Duration {
        let (shortest, longest) = (self.source.pace.min_timeout, self.source.timeout);
        self.quarantine.diagnosis.timeout(unit, shortest, longest)
    }

    /// How long a silent unit is waited for, if there is time to ask it.
    fn probe_limit(&mut self, unit: u8) -> Option<Duration> {
        let now = Instant::now();
        let limit = self.limit(unit);
        let left = self.next_poll.saturating_duration_since(now).saturating_sub(PROBE_MARGIN);
        if left >= limit {
            return Some(limit);
        }
        if self.quarantine.long_probe_at.is_none_or(|at| now >= at) {
            let pause = self.source.poll_interval.saturating_mul(LONG_PROBE_EVERY);
            self.quarantine.long_probe_at = Some(now + pause);
            return Some(limit);
        }
        let steps = millis(left) / PROBE_STEP_MS;
        (steps > 0).then(|| Duration::from_millis(steps * PROBE_STEP_MS))
    }

    async fn read_block(
        &mut self,
        block: &Block,
        limit: Duration,
        poll: &mut Poll,
    ) -> Result<(), Fault> {
        let answer = self.ask(block.span, limit, poll).await?;
        let Answer::Exception(code) = answer else {
            self.decode(block.span, &block.members, &answer, poll);
            return Ok(());
        };
        poll.refusals += 1;
        let tags = &block.members;
        match exception(code) {
            Exception::Address => self.search(block, poll).await?,
            Exception::Function => {
                poll.set_all(tags, Reason::Configuration);
                poll.given_up.push(block.clone());
            }
            other @ (Exception::Device | Exception::Busy) => poll.set_all(tags, other.reason()),
            Exception::Unreachable => {
                poll.set_all(tags, Reason::Timeout);
                poll.unreachable.push(block.span.unit);
                let retries = self.source.pace.retries;
                self.quarantine.units.failed(block.span.unit, Instant::now(), retries);
            }
        }
        Ok(())
    }

    /// The device refuses the block: which of its values is it?
    async fn search(&mut self, block: &Block, poll: &mut Poll) -> Result<(), Fault> {
        poll.set_all(&block.members, Reason::Configuration);
        let mut search = Search::new(block, self.source);
        while poll.search_requests < SEARCH_REQUESTS
            && let Some(part) = search.next()
        {
            poll.search_requests += 1;
            let answer = self.ask(part.span, self.limit(part.span.unit), poll).await?;
            let Answer::Exception(code) = answer else {
                self.decode(part.span, &part.members, &answer, poll);
                search.accept(part);
                continue;
            };
            poll.refusals += 1;
            match exception(code) {
                Exception::Address | Exception::Function => search.refuse(part, self.source),
                other => {
                    poll.set_all(&part.members, other.reason());
                    search.accept(part);
                }
            }
        }
        poll.searches.push(search);
        Ok(())
    }

    /// Tries refused values again, if their time has come.
    async fn retry(&mut self, layout: &mut Layout, poll: &mut Poll) -> Result<(), (Span, Fault)> {
        let now = Instant::now();
        let Some(block) = layout.take_due(now) else { return Ok(()) };
        let span = block.span;
        if !self.quarantine.units.is_due(span.unit, now) || poll.unreachable.contains(&span.unit) {
            return Ok(());
        }
        let limit = self.limit(span.unit);
        match self.ask(span, limit, poll).await.map_err(|fault| (span, fault))? {
            Answer::Exception(_) => poll.refusals += 1,
            answer => {
                self.decode(span, &block.members, &answer, poll);
                layout.reinstate(&block, self.source);
            }
        }
        Ok(())
    }

    /// Reads a span. A unit that owes an answer over RTU is first asked something that its late answer does not fit; as
    /// long as it refuses that, it counts as busy.
    async fn ask(&mut self, span: Span, limit: Duration, poll: &mut Poll) -> Result<Answer, Fault> {
        match self.quarantine.units.test(span, Instant::now()) {
            None => {}
            Some(None) => return Ok(Answer::Exception(BUSY)),
            Some(Some(test)) => {
                if let Answer::Exception(_) = self.exchange(test, limit, poll).await? {
                    self.quarantine.units.owes(test, Instant::now());
                    return Ok(Answer::Exception(BUSY));
                }
                self.quarantine.units.settled(span.unit);
            }
        }
        self.exchange(span, limit, poll).await
    }

    async fn exchange(
        &mut self,
        span: Span,
        limit: Duration,
        poll: &mut Poll,
    ) -> Result<Answer, Fault> {
        poll.requests += 1;
        let exchanged = self.link.read(span, limit).await;
        let recorder = self.link.recorder();
        let request = diagnosis::request_in_words(span);
        self.quarantine.diagnosis.note(span.unit, request, &exchanged, recorder, (self.now)());
        poll.bytes += exchanged.bytes;
        if exchanged.answer.is_err() && self.source.transport.is_rtu() {
            self.quarantine.units.owes(span, Instant::now());
        }
        let answer = exchanged.answer?;
        self.round_trips.push(exchanged.round_trip);
        let is_reached =
            !matches!(answer, Answer::Exception(code) if exception(code) == Exception::Unreachable);
        if is_reached {
            self.quarantine.units.answered(span.unit);
        }
        Ok(answer)
    }

    /// Notes how late the poll began, for each unit that was asked in it.
    fn late(&mut self, poll: &Poll, lateness: Duration) {
        let mut last = None;
        for (tag, found) in self.source.tags.iter().zip(&poll.found) {
            let unit = tag.span.unit;
            let is_asked = !matches!(found, None | Some(Found::Bad(Reason::Timeout)));
            if is_asked && last != Some(unit) {
                last = Some(unit);
                self.quarantine.diagnosis.late(unit, lateness);
            }
        }
    }

    /// Cuts the values out of the answer to `asked`.
    fn decode(&self, asked: Span, tags: &[usize], answer: &Answer, poll: &mut Poll) {
        for tag in tags.iter().copied() {
            let Some(wanted) = self.source.tags.get(tag) else { continue };
            let offset = usize::from(wanted.span.address.saturating_sub(asked.address));
            let raw = match answer {
                Answer::Registers(words) => words.get(offset..).and_then(|words| {
                    poll.texts.extend(wanted.text(words).map(|text| (tag, text)));
                    wanted.raw(words)
                }),
                Answer::Bits(bits) => bits.get(offset).map(|bit| f64::from(u8::from(*bit))),
                Answer::Exception(_) => None,
            };
            poll.set(tag, raw.map_or(Found::Bad(Reason::Configuration), Found::Raw));
        }
    }

    /// What a fault means for the session, and for the unit that was asked.
    fn fault(&mut self, asked: Span, fault: Fault, poll: &mut Poll) -> SessionError {
        let endpoint = self.source.endpoint.clone();
        let unit = asked.unit;
        self.quarantine.is_to_be_drained = true;
        if let Fault::Broken(source) = fault {
            return SessionError::Broken { endpoint, source };
        }
        let units = &mut self.quarantine.units;
        units.failed(unit, Instant::now(), self.source.pace.retries);
        let others_answer = self
            .source
            .tags
            .iter()
            .any(|tag| !units.is_silent(tag.span.unit) && tag.span.unit != unit);
        if others_answer {
            for (index, tag) in self.source.tags.iter().enumerate() {
                if tag.span.unit == unit {
                    poll.set(index, Found::Bad(Reason::Timeout));
                }
            }
        } else {
            units.lift();
        }
        let timeout_ms = match fault {
            Fault::Timeout(limit) => millis(limit),
            _ => millis(self.source.timeout),
        };
        match (fault, others_answer) {
            (Fault::OutOfStep(detail), true) => {
                SessionError::UnitOutOfStep { endpoint, unit, detail }
            }
            (Fault::OutOfStep(detail), false) => SessionError::OutOfStep { endpoint, unit, detail },
            (_, true) => SessionError::UnitSilent { endpoint, unit, timeout_ms },
            (_, false) => SessionError::Timeout { endpoint, unit, timeout_ms },
        }
    }

    /// One batch with what has been found, unless the sample counter says it has been seen before.
    fn deliver(&mut self, poll: &Poll, at: Timestamp) {
        let mut readings = Vec::with_capacity(self.source.tags.len());
        for (tag, found) in self.source.tags.iter().zip(&poll.found) {
            match found {
                Some(Found::Raw(raw)) => readings.push(tag.reading(at, *raw)),
                Some(Found::Bad(reason)) => readings.push(Reading::bad(tag.id, at, *reason)),
                None => {}
            }
        }
        let counter = self.source.sample_counter.and_then(|tag| self.source.tags.get(tag));
        let count = counter
            .and_then(|counter| readings.iter().find(|reading| reading.tag == counter.id))
            .filter(|reading| reading.quality == Quality::Good)
            .map(|reading| reading.value);
        let is_seen = count.is_some() && count.map(f64::to_bits) == self.counted.map(f64::to_bits);
        if !is_seen && !readings.is_empty() {
            self.counted = count.or(self.counted);
            self.sink.offer(Batch::Readings(readings));
        }
    }

    /// Brings the status up to date, once a poll.
    fn tell(&mut self, poll: &Poll, error: Option<&SessionError>, at: Timestamp) {
        let percentiles = self.round_trips.percentiles();
        let Quarantine { units: silent, diagnosis, .. } = &mut *self.quarantine;
        let shown_at = Instant::now();
        let is_shown = error.is_some() || diagnosis.is_due(shown_at);
        let is_late =
            matches!(error, Some(SessionError::Timeout { .. } | SessionError::UnitSilent { .. }));
        self.status.update(|status| {
            status.requests += poll.requests;
            status.refusals += poll.refusals;
            status.timeouts += u64::from(is_late);
            status.bytes_received += poll.bytes;
            for (tag, text) in &poll.texts {
                let Some(id) = self.source.tags.get(*tag).map(|tag| tag.id) else { continue };
                match status.texts.iter_mut().find(|(of, _)| *of == id) {
                    Some((_, known)) => known.clone_from(text),
                    None => status.texts.push((id, text.clone())),
                }
            }
            status.round_trip_p50 = percentiles.map(|(p50, _)| p50);
            status.round_trip_p99 = percentiles.map(|(_, p99)| p99);
            if is_shown {
                diagnosis.show(status, silent, shown_at);
            }
            if !silent.silent().eq(status.silent.iter().filter_map(|name| unit_of(name))) {
                status.silent = silent.silent().map(diagnosis::name).collect();
            }
            if error.is_none() {
                let is_whole = status.silent.is_empty();
                let state =
                    if is_whole { ConnectorState::Connected } else { ConnectorState::Degraded };
                status::enter(status, state, at);
            }
        });
    }
}

fn unit_of(name: &str) -> Option<u8> {
    name.strip_prefix("unit ")?.parse().ok()
}

/// Exception code of a device that is busy.
const BUSY: u8 = 0x06;

/// What an exception code says (1.1b3, chapter 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exception {
    /// 01: the device does not know the function.
    Function,
    /// 02, 03: it does not know the address, or not so many of them.
    Address,
    /// 05, 06: it is busy.
    Busy,
    /// 0A, 0B: a gateway does not reach the unit.
    Unreachable,
    /// 04, 08 and whatever else.
    Device,
}

impl Exception {
    /// Why a value is bad that got this for an answer.
    const fn reason(self) -> Reason {
        match self {
            Self::Function | Self::Address => Reason::Configuration,
            Self::Busy => Reason::DeviceBusy,
            Self::Unreachable => Reason::Timeout,
            Self::Device => Reason::DeviceFailure,
        }
    }
}

const fn exception(code: u8) -> Exception {
    match code {
        0x01 => Exception::Function,
        0x02 | 0x03 => Exception::Address,
        0x05 | 0x06 => Exception::Busy,
        0x0A | 0x0B => Exception::Unreachable,
        _ => Exception::Device,
    }
}
