//! One Modbus session: connect, poll until something breaks, say why. Back-off is the caller's.
//!
//! Every complete poll delivers one batch with exactly one reading a tag, all with the time right after the last byte
//! had arrived. Units that failed to answer last time are asked last, so that a unit that is silent again costs the
//! others nothing of this poll; their readings are delivered even though the session ends with it.

mod files;

use std::convert::Infallible;

use bellwether_domain::{ConnectorState, Quality, Reading, Reason, Timestamp};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::debug;

use super::{
    Block, Quarantine, Source, Span,
    burst::Bursts,
    layout::Layout,
    link::{Answer, Fault, Link, millis},
    search::Search,
};
use crate::{
    Batch, Now, SessionError, Sink, StatusCell,
    status::{self, RoundTrips},
};

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
    let link = Link::connect(source).await?;
    let round_trips = RoundTrips::default();
    let (counted, spare) = (None, Poll::default());
    let bursts = Bursts::new(&source.waveforms, Instant::now());
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
    };
    let mut ticks = interval(source.poll_interval);
    // A slow device is polled less often; polls are skipped, never owed.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        session.poll().await?;
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

    fn set_all(&mut self, tags: &[usize], reason: Reason) {
        tags.iter().for_each(|tag| self.set(*tag, Found::Bad(reason)));
    }
}

impl Session<'_> {
    async fn poll(&mut self) -> Result<(), SessionError> {
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
        self.learn(&mut layout, &mut poll);
        self.quarantine.layout = Some(layout);
        let result = result.map_err(|(span, fault)| self.fault(span, fault, &mut poll));
        self.tell(&poll, result.as_ref().err(), at);
        // After a fault of the whole connection nothing of this poll is worth more than "not connected".
        if result.as_ref().err().is_none_or(SessionError::reconnects_at_once) {
            self.deliver(&poll, at);
        }
        self.spare = poll;
        result
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

    /// Asks for everything that is to be asked for now, suspect units last.
    async fn read_all(&mut self, layout: &Layout, poll: &mut Poll) -> Result<(), (Span, Fault)> {
        let started_at = Instant::now();
        for is_last_turn in [false, true] {
            for block in &layout.blocks {
                let unit = block.span.unit;
                let first = block.members.first().and_then(|tag| poll.found.get(*tag));
                let is_asked = first.is_some_and(Option::is_some);
                if is_asked || (!is_last_turn && self.quarantine.units.is_suspect(unit)) {
                    continue;
                }
                let is_due = self.quarantine.units.is_due(unit, started_at);
                if !is_due || poll.unreachable.contains(&unit) {
                    poll.set_all(&block.members, Reason::Timeout);
                } else {
                    self.read_block(block, poll).await.map_err(|fault| (block.span, fault))?;
                }
            }
        }
        Ok(())
    }

    async fn read_block(&mut self, block: &Block, poll: &mut Poll) -> Result<(), Fault> {
        let answer = self.ask(block.span, poll).await?;
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
                self.quarantine.units.failed(block.span.unit, Instant::now());
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
            let answer = self.ask(part.span, poll).await?;
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
        match self.ask(span, poll).await.map_err(|fault| (span, fault))? {
            Answer::Exception(_) => poll.refusals += 1,
            answer => {
                self.decode(span, &block.members, &answer, poll);
                layout.reinstate(&block, self.source);
            }
        }
        Ok(())
    }

    async fn ask(&mut self, span: Span, poll: &mut Poll) -> Result<Answer, Fault> {
        poll.requests += 1;
        let (answer, round_trip) = self.link.read(span).await;
        let answer = answer?;
        self.round_trips.push(round_trip);
        poll.bytes += answer.bytes();
        let is_reached =
            !matches!(answer, Answer::Exception(code) if exception(code) == Exception::Unreachable);
        if is_reached {
            self.quarantine.units.answered(span.unit);
        }
        Ok(answer)
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
        if let Fault::Broken(source) = fault {
            return SessionError::Broken { endpoint, source };
        }
        let units = &mut self.quarantine.units;
        units.failed(unit, Instant::now());
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
        let timeout_ms = millis(self.source.timeout);
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
    fn tell(&self, poll: &Poll, error: Option<&SessionError>, at: Timestamp) {
        let percentiles = self.round_trips.percentiles();
        let silent = &self.quarantine.units;
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
            if !silent.silent().eq(status.silent.iter().filter_map(|name| unit_of(name))) {
                status.silent = silent.silent().map(|unit| format!("unit {unit}")).collect();
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
