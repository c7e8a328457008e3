//! Plant time: the one place that reads the wall clock. Everything else gets the time as an argument.
//!
//! In production plant time is the wall clock, never earlier than the newest time this gateway has ever stored (a box
//! without a battery boots in 1970). In the demo it begins now and runs `speed` times as fast.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use bellwether_domain::Timestamp;

/// Source of plant time; cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock {
    origin: Timestamp,
    started: Instant,
    speed: f64,
}

impl Clock {
    /// A clock that begins at the wall clock or at `floor`, whichever is later, and runs `speed` times as fast.
    pub fn start(floor: Option<Timestamp>, speed: f64) -> Self {
        Self { origin: floor.unwrap_or_default().max(wall()), started: instant(), speed }
    }

    /// Plant time.
    pub fn now(&self) -> Timestamp {
        let elapsed = instant().saturating_duration_since(self.started);
        let ahead = self.origin.saturating_add(elapsed.mul_f64(self.speed));
        // At ordinary speed the wall clock leads, so that a synchronisation reaches us; it never turns time back
        // beyond what has been stored.
        if (self.speed - 1.0).abs() < f64::EPSILON { wall().max(self.origin) } else { ahead }
    }

    /// How much faster than the wall clock.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// When the clock began, in plant time.
    pub fn started_at(&self) -> Timestamp {
        self.origin
    }

    /// Real time since the clock began.
    pub fn uptime(&self) -> Duration {
        instant().saturating_duration_since(self.started)
    }

    /// The clock as the closure that connectors take.
    pub fn as_fn(&self) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
        let clock = self.clone();
        Arc::new(move || clock.now())
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
fn wall() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
fn instant() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_begins_before_what_has_been_stored() {
        let floor = Timestamp::from_secs(99_000_000_000);
        for speed in [1.0, 600.0] {
            assert!(Clock::start(Some(floor), speed).now() >= floor, "speed {speed}");
        }
    }

    #[test]
    fn without_a_floor_time_is_the_wall_clock() {
        let clock = Clock::start(None, 1.0);
        assert!(wall().seconds_since(clock.now()).abs() < 60.0);
    }
}
