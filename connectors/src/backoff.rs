//! How long to wait before a session is tried again: exponential from one second to a minute, with jitter, so that a
//! fleet of gateways does not come back in step.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// First base delay.
const FIRST: Duration = Duration::from_secs(1);
/// Largest base delay; with the largest jitter it is one minute.
const LONGEST: Duration = Duration::from_secs(40);
/// Jitter: a delay is its base times a factor from 1 up to this.
const SPREAD: f64 = 1.5;

/// Endless iterator of delays, 1–60 s.
#[derive(Debug)]
pub struct Backoff {
    random: StdRng,
    base: Duration,
}

impl Backoff {
    /// Starts at the shortest delay; the seed decides the jitter.
    pub fn new(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), base: FIRST }
    }

    /// Back to the shortest delay, after a session that lived long enough to count as a success.
    pub fn reset(&mut self) {
        self.base = FIRST;
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let delay = self.base.mul_f64(self.random.random_range(1.0..=SPREAD));
        self.base = self.base.saturating_mul(2).min(LONGEST);
        Some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_minute_and_never_leave_their_band() {
        let bases = [1, 2, 4, 8, 16, 32, 40, 40, 40].map(Duration::from_secs);
        for seed in 0..50 {
            for (base, delay) in bases.into_iter().zip(Backoff::new(seed)) {
                assert!(
                    delay >= base && delay <= base.mul_f64(SPREAD),
                    "seed {seed}: {delay:?} for {base:?}"
                );
                assert!(delay <= Duration::from_secs(60), "seed {seed}: {delay:?}");
            }
        }
    }

    #[test]
    fn seeds_differ_and_the_same_seed_repeats() {
        let delays = |seed| Backoff::new(seed).take(5).collect::<Vec<_>>();
        assert_eq!(delays(7), delays(7));
        assert_ne!(delays(7), delays(8));
    }

    #[test]
    fn a_success_starts_over() {
        let mut backoff = Backoff::new(1);
        assert!(backoff.nth(8).expect("endless") >= LONGEST);
        backoff.reset();
        assert!(backoff.next().expect("endless") <= FIRST.mul_f64(SPREAD));
    }
}
