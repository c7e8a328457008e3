//! What outlives a session: which units are silent and when they are asked again, and what has been learnt about
//! addresses the device refuses. Pure: time is an argument.
//!
//! ```text
//!            timeout                timeout
//!  answering ───────▶ suspect (1) ───────▶ quarantined 10 s ─▶ probe ─▶ timeout: 20 s, 30 s, 30 s …
//!      ▲   asked last, every poll │                              │
//!      └──────────────────────────┴────────── an answer ─────────┘
//! ```
//!
//! A device of which *every* unit is silent is a silent device: nobody is protected by waiting, so the quarantine is
//! lifted and the caller's back-off takes over.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{Span, diagnosis::Diagnosis, layout::Layout};

/// An answer that is later than this has been lost for good: no device or gateway is known to keep one longer.
const LATEST_ANSWER: Duration = Duration::from_secs(60);
/// So many requests of different shapes that a unit has not answered are remembered; the quarantine makes more
/// unlikely, and if there are more the oldest is forgotten.
const OWED: usize = 8;
/// So much shorter or longer than what is wanted a test may be, in registers or bytes: one more than can be owed.
const STEPS: u16 = 9;
/// First pause, and by how much each further one is longer.
const PAUSE: Duration = Duration::from_secs(10);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Memory of a source over its sessions. Starts empty.
#[derive(Debug, Default)]
pub struct Quarantine {
    pub(super) units: Silence,
    pub(super) layout: Option<Layout>,
    pub(super) diagnosis: Diagnosis,
    /// When the next poll is due.
    pub(super) next_poll: Option<Instant>,
    /// From when on a silent unit may be waited for beyond the time of the next poll.
    pub(super) long_probe_at: Option<Instant>,
    /// The line has to fall silent before it is used again.
    pub(super) is_to_be_drained: bool,
}

/// Which units do not answer.
#[derive(Debug, Default)]
pub(super) struct Silence {
    units: BTreeMap<u8, Strikes>,
    owed: Vec<Owed>,
}

#[derive(Debug, Default)]
struct Strikes {
    count: u32,
    asked_again_at: Option<Instant>,
}

/// An RTU request that has not been answered: its answer may still come, and looks like that to any request of the same
/// unit, table and length.
#[derive(Clone, Copy, Debug)]
struct Owed {
    span: Span,
    at: Instant,
}

impl Owed {
    fn looks_like(&self, span: Span) -> bool {
        self.span.unit == span.unit
            && self.span.table == span.table
            && data_bytes(self.span) == data_bytes(span)
    }
}

/// Bytes of data in the answer.
fn data_bytes(span: Span) -> u16 {
    if span.table.is_bits() { span.count.div_ceil(8) } else { span.count * 2 }
}

impl Silence {
    /// A request over RTU has not been answered.
    pub(super) fn owes(&mut self, span: Span, now: Instant) {
        self.owed.retain(|owed| !owed.looks_like(span));
        let of_unit = |owed: &Owed| owed.span.unit == span.unit;
        if self.owed.iter().filter(|owed| of_unit(owed)).count() == OWED
            && let Some(oldest) = self.owed.iter().position(of_unit)
        {
            self.owed.remove(oldest);
        }
        self.owed.push(Owed { span, at: now });
    }

    /// Before `span` is read: what to read instead, so that a late answer to an earlier request is not taken for the
    /// answer. A unit answers in order, so once it has answered this it owes nothing any more.
    ///
    /// `None`: it owes nothing. `Some(None)`: it does, and there is no request that would tell; it is to be left alone.
    pub(super) fn test(&mut self, span: Span, now: Instant) -> Option<Option<Span>> {
        self.owed.retain(|owed| now < owed.at + LATEST_ANSWER);
        if !self.owed.iter().any(|owed| owed.span.unit == span.unit) {
            return None;
        }
        let step = if span.table.is_bits() { 8 } else { 1 };
        let most = if span.table.is_bits() { 2_000 } else { 125 };
        let shorter = (0..=STEPS).map(|steps| span.count.saturating_sub(steps * step));
        let longer = (1..=STEPS).map(|steps| span.count.saturating_add(steps * step));
        let candidates = shorter.chain(longer).map(|count| Span { count, ..span });
        Some(candidates.into_iter().find(|it| {
            (1..=most).contains(&it.count)
                && it.end() <= 65_536
                && !self.owed.iter().any(|owed| owed.looks_like(*it))
        }))
    }

    /// The unit has answered the test.
    pub(super) fn settled(&mut self, unit: u8) {
        self.owed.retain(|owed| owed.span.unit != unit);
    }

    /// When it is asked again, if it is in quarantine.
    pub(super) fn asked_again_at(&self, unit: u8) -> Option<Instant> {
        self.units.get(&unit)?.asked_again_at
    }

    /// Whether the unit is to be asked now.
    pub(super) fn is_due(&self, unit: u8, now: Instant) -> bool {
        let strikes = self.units.get(&unit);
        strikes.and_then(|strikes| strikes.asked_again_at).is_none_or(|at| at <= now)
    }

    /// Whether it failed to answer last time: it is asked last, so that the others have had their turn.
    pub(super) fn is_suspect(&self, unit: u8) -> bool {
        self.units.contains_key(&unit)
    }

    /// Whether it is in quarantine.
    pub(super) fn is_silent(&self, unit: u8) -> bool {
        self.units.get(&unit).is_some_and(|strikes| strikes.asked_again_at.is_some())
    }

    /// The units in quarantine.
    pub(super) fn silent(&self) -> impl Iterator<Item = u8> {
        self.units.keys().copied().filter(|unit| self.is_silent(*unit))
    }

    /// The unit has not answered in time, or not to what it was asked; it is asked `retries` times more at once, then
    /// rarely.
    pub(super) fn failed(&mut self, unit: u8, now: Instant, retries: u32) {
        let strikes = self.units.entry(unit).or_default();
        strikes.count = strikes.count.saturating_add(1);
        if strikes.count > retries {
            let pause = PAUSE.saturating_mul(strikes.count - retries).min(LONGEST_PAUSE);
            strikes.asked_again_at = Some(now + pause);
        }
    }

    /// The unit has answered; whether that is news.
    pub(super) fn answered(&mut self, unit: u8) -> bool {
        self.units.remove(&unit).is_some()
    }

    /// Everybody gets a new chance.
    pub(super) fn lift(&mut self) {
        self.units.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modbus::Table;

    #[test]
    fn a_single_timeout_is_forgiven_and_the_second_in_a_row_is_not() {
        let start = Instant::now();
        let mut silence = Silence::default();
        silence.failed(2, start, 1);
        assert!(silence.is_suspect(2) && silence.is_due(2, start) && !silence.is_silent(2));
        assert!(silence.answered(2));
        assert!(!silence.is_suspect(2));

        silence.failed(2, start, 1);
        silence.failed(2, start, 1);
        assert!(silence.is_silent(2) && !silence.is_due(2, start));
        assert!(!silence.is_due(2, start + PAUSE - Duration::from_millis(1)));
        assert!(silence.is_due(2, start + PAUSE));
        assert_eq!(silence.silent().collect::<Vec<_>>(), [2]);
        assert!(silence.is_due(1, start), "the neighbour goes on");
    }

    #[test]
    fn pauses_grow_to_thirty_seconds_and_an_answer_ends_them() {
        let start = Instant::now();
        let mut silence = Silence::default();
        silence.failed(2, start, 1);
        for seconds in [10, 20, 30, 30, 30] {
            silence.failed(2, start, 1);
            let pause = Duration::from_secs(seconds);
            assert!(!silence.is_due(2, start + pause - Duration::from_millis(1)), "{seconds} s");
            assert!(silence.is_due(2, start + pause), "{seconds} s");
        }
        assert!(silence.answered(2));
        assert!(!silence.answered(2), "the second answer is no news");
        assert!(silence.is_due(2, start));
    }

    fn holding(count: u16) -> Span {
        Span { unit: 2, table: Table::Holding, address: 10, count }
    }

    #[test]
    fn a_unit_that_owes_an_answer_is_first_asked_for_another_number_of_values() {
        let start = Instant::now();
        let mut silence = Silence::default();
        assert_eq!(silence.test(holding(2), start), None);
        silence.owes(holding(2), start);
        assert_eq!(silence.test(holding(2), start), Some(Some(holding(1))));
        silence.owes(holding(1), start);
        assert_eq!(silence.test(holding(2), start), Some(Some(holding(3))));
        assert_eq!(silence.test(Span { unit: 1, ..holding(2) }, start), None, "another unit");
        silence.settled(2);
        assert_eq!(silence.test(holding(2), start), None);
        silence.owes(holding(1), start);
        assert_eq!(silence.test(holding(1), start), Some(Some(holding(2))));
        assert_eq!(silence.test(holding(1), start + LATEST_ANSWER), None, "lost for good");
    }

    #[test]
    fn bits_are_told_apart_by_their_bytes() {
        let start = Instant::now();
        let coils = |count| Span { unit: 2, table: Table::Coil, address: 0, count };
        let mut silence = Silence::default();
        silence.owes(coils(3), start);
        assert_eq!(silence.test(coils(5), start), Some(Some(coils(13))));
    }
}
