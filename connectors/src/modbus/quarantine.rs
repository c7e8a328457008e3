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

use super::layout::Layout;

/// So many timeouts in a row send a unit into quarantine.
const STRIKES: u32 = 2;
/// First pause, and by how much each further one is longer.
const PAUSE: Duration = Duration::from_secs(10);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Memory of a source over its sessions. Starts empty.
#[derive(Debug, Default)]
pub struct Quarantine {
    pub(super) units: Silence,
    pub(super) layout: Option<Layout>,
}

/// Which units do not answer.
#[derive(Debug, Default)]
pub(super) struct Silence {
    units: BTreeMap<u8, Strikes>,
}

#[derive(Debug, Default)]
struct Strikes {
    count: u32,
    asked_again_at: Option<Instant>,
}

impl Silence {
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

    /// The unit has not answered in time, or not to what it was asked.
    pub(super) fn failed(&mut self, unit: u8, now: Instant) {
        let strikes = self.units.entry(unit).or_default();
        strikes.count += 1;
        if strikes.count >= STRIKES {
            let pause = PAUSE.saturating_mul(strikes.count - STRIKES + 1).min(LONGEST_PAUSE);
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

    #[test]
    fn a_single_timeout_is_forgiven_and_the_second_in_a_row_is_not() {
        let start = Instant::now();
        let mut silence = Silence::default();
        silence.failed(2, start);
        assert!(silence.is_suspect(2) && silence.is_due(2, start) && !silence.is_silent(2));
        assert!(silence.answered(2));
        assert!(!silence.is_suspect(2));

        silence.failed(2, start);
        silence.failed(2, start);
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
        silence.failed(2, start);
        for seconds in [10, 20, 30, 30, 30] {
            silence.failed(2, start);
            let pause = Duration::from_secs(seconds);
            assert!(!silence.is_due(2, start + pause - Duration::from_millis(1)), "{seconds} s");
            assert!(silence.is_due(2, start + pause), "{seconds} s");
        }
        assert!(silence.answered(2));
        assert!(!silence.answered(2), "the second answer is no news");
        assert!(silence.is_due(2, start));
    }
}
