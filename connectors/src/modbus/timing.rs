//! When a request may be sent, and how long its answer is waited for. Pure: time is an argument.

use std::time::Duration;

use tokio::time::Instant;

use super::Transport;

/// Above this baud rate the silence between frames is fixed (Modbus over Serial Line 1.02, 2.5.1.1).
const FIXED_ABOVE_BAUD: u32 = 19_200;
const FIXED_SILENCE: Duration = Duration::from_micros(1_750);
/// A unit is waited for so many times as long as it has taken lately, within the configured bounds.
const PATIENCE: u32 = 8;

/// What the configuration says about the pace of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// From one request to the next at least.
    pub min_request_interval: Duration,
    /// From the end of an answer to the next request at least.
    pub turnaround: Duration,
    /// Shortest an answer is waited for, however quick the unit has been.
    pub min_timeout: Duration,
    /// Further attempts before a unit is put into quarantine.
    pub retries: u32,
}

/// Silence that separates RTU frames on this transport: 3.5 characters, a fixed time above 19200 Bd, nothing on TCP.
pub fn silence(transport: &Transport) -> Duration {
    match transport {
        Transport::Serial(line) if line.baud <= FIXED_ABOVE_BAUD => {
            let bits = u64::from(line.character_bits()) * 7 / 2 + 1;
            Duration::from_micros(bits * 1_000_000 / u64::from(line.baud.max(1)))
        }
        Transport::Serial(_) => FIXED_SILENCE,
        _ => Duration::ZERO,
    }
}

/// When the next request may be sent on a line.
#[derive(Debug, Default)]
pub(super) struct Pacing {
    gap: Duration,
    interval: Duration,
    asked_at: Option<Instant>,
    ended_at: Option<Instant>,
}

impl Pacing {
    pub(super) fn new(transport: &Transport, pace: Pace) -> Self {
        let gap = silence(transport).max(pace.turnaround);
        Self { gap, interval: pace.min_request_interval, asked_at: None, ended_at: None }
    }

    /// The earliest time of the next request; `None` for at once.
    pub(super) fn earliest(&self) -> Option<Instant> {
        let after_answer = self.ended_at.filter(|_| !self.gap.is_zero()).map(|at| at + self.gap);
        let after_request =
            self.asked_at.filter(|_| !self.interval.is_zero()).map(|at| at + self.interval);
        after_answer.max(after_request)
    }

    pub(super) fn asked(&mut self, at: Instant) {
        self.asked_at = Some(at);
    }

    pub(super) fn ended(&mut self, at: Instant) {
        self.ended_at = Some(at);
    }
}

/// How long a unit has taken lately: the slowest answer, forgotten slowly.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slowest(Option<Duration>);

impl Slowest {
    pub(super) fn push(&mut self, round_trip: Duration) {
        let forgotten = self.0.map_or(Duration::ZERO, |slowest| slowest - slowest / 64);
        self.0 = Some(forgotten.max(round_trip));
    }

    /// Its last request was not answered: nothing is known any more.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }

    /// How long to wait for its next answer.
    pub(super) fn timeout(self, shortest: Duration, longest: Duration) -> Duration {
        let measured = self.0.map_or(longest, |slowest| slowest.saturating_mul(PATIENCE));
        measured.max(shortest).min(longest)
    }
}

/// When the poll after one that was due at `due` and began at `began` is due: polls are skipped, never owed.
pub(super) fn following(due: Instant, began: Instant, period: Duration) -> Instant {
    let behind = began.saturating_duration_since(due).as_nanos();
    let missed = u32::try_from(behind / period.as_nanos().max(1)).unwrap_or(u32::MAX);
    due + period.saturating_mul(missed.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modbus::{Parity, SerialLine};

    #[track_caller]
    fn check_silence(baud: u32, expected_us: u64) {
        let line = SerialLine {
            path: "/dev/a".into(),
            baud,
            parity: Parity::Even,
            stop_bits: None,
            data_bits: 8,
        };
        assert_eq!(silence(&Transport::Serial(line)), Duration::from_micros(expected_us));
    }

    #[test]
    fn frames_are_three_and_a_half_characters_apart_and_a_fixed_time_above_19200() {
        check_silence(1_200, 32_500);
        check_silence(9_600, 4_062);
        check_silence(19_200, 2_031);
        check_silence(38_400, 1_750);
        check_silence(115_200, 1_750);
        assert_eq!(silence(&Transport::Tcp("a:502".to_owned())), Duration::ZERO);
    }

    #[test]
    fn a_request_waits_for_the_silence_the_turnaround_and_the_interval() {
        let ms = Duration::from_millis;
        let pace = Pace { min_request_interval: ms(100), turnaround: ms(30), ..Pace::default() };
        let mut pacing = Pacing::new(&Transport::Tcp(String::new()), pace);
        assert_eq!(pacing.earliest(), None);
        let start = Instant::now();
        pacing.asked(start);
        pacing.ended(start + ms(10));
        assert_eq!(pacing.earliest(), Some(start + ms(100)));
        pacing.ended(start + ms(90));
        assert_eq!(pacing.earliest(), Some(start + ms(120)));
    }

    #[test]
    fn the_timeout_follows_the_slowest_answer_within_its_bounds() {
        let ms = Duration::from_millis;
        let mut slowest = Slowest::default();
        assert_eq!(slowest.timeout(ms(200), ms(1_000)), ms(1_000), "nothing known: wait long");
        slowest.push(ms(50));
        assert_eq!(slowest.timeout(ms(200), ms(1_000)), ms(400));
        slowest.push(ms(1));
        assert!(slowest.timeout(ms(200), ms(1_000)) > ms(390), "slowly forgotten");
        (0..2_000).for_each(|_| slowest.push(ms(1)));
        assert_eq!(slowest.timeout(ms(200), ms(1_000)), ms(200));
        slowest.push(ms(900));
        assert_eq!(slowest.timeout(ms(200), ms(1_000)), ms(1_000));
    }

    #[test]
    fn polls_are_skipped_never_owed() {
        let ms = Duration::from_millis;
        let due = Instant::now();
        assert_eq!(following(due, due, ms(100)), due + ms(100));
        assert_eq!(following(due, due + ms(30), ms(100)), due + ms(100));
        assert_eq!(following(due, due + ms(250), ms(100)), due + ms(300));
    }
}
