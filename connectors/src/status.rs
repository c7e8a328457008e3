//! What a source says about itself. Counters change silently; only a change that a person would notice wakes those who
//! watch.

use std::time::Duration;

use bellwether_domain::{ConnectorState, ConnectorStatus, Timestamp};
use tokio::sync::watch;

/// A source's status, shared between the session that writes it and those who show it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StatusCell(watch::Sender<ConnectorStatus>);

impl StatusCell {
    /// A cell that begins with this status.
    pub fn new(status: ConnectorStatus) -> Self {
        Self(watch::Sender::new(status))
    }

    /// Changes the status. Watchers are woken only if state, error or silent parts have changed; counters are read
    /// when somebody looks.
    pub fn update(&self, change: impl FnOnce(&mut ConnectorStatus)) {
        self.0.send_if_modified(|status| {
            let state = status.state;
            let error_at = status.last_error_at;
            let silent = status.silent.len();
            change(status);
            state != status.state
                || error_at != status.last_error_at
                || silent != status.silent.len()
        });
    }

    /// The status as it is.
    pub fn get(&self) -> ConnectorStatus {
        self.0.borrow().clone()
    }

    /// For those who show it.
    pub fn subscribe(&self) -> watch::Receiver<ConnectorStatus> {
        self.0.subscribe()
    }
}

/// Enters a state; a state that lasts keeps its beginning.
pub(crate) fn enter(status: &mut ConnectorStatus, state: ConnectorState, at: Timestamp) {
    if status.state != state || status.since == Timestamp::default() {
        status.state = state;
        status.since = at;
    }
}

/// How many round trips are remembered.
const REMEMBERED: usize = 128;

/// The most recent round trips of a session.
#[derive(Debug, Default)]
pub(crate) struct RoundTrips {
    micros: Vec<u32>,
    next: usize,
}

impl RoundTrips {
    pub(crate) fn push(&mut self, round_trip: Duration) {
        let micros = u32::try_from(round_trip.as_micros()).unwrap_or(u32::MAX);
        if self.micros.len() < REMEMBERED {
            self.micros.push(micros);
        } else {
            self.micros[self.next] = micros;
        }
        self.next = (self.next + 1) % REMEMBERED;
    }

    /// Median and 99th percentile (nearest rank), once there is anything to tell.
    pub(crate) fn percentiles(&self) -> Option<(Duration, Duration)> {
        let mut sorted = [0; REMEMBERED];
        let sorted = &mut sorted[..self.micros.len()];
        sorted.copy_from_slice(&self.micros);
        sorted.sort_unstable();
        let rank = |percent: usize| {
            let index = (sorted.len() * percent).div_ceil(100).max(1) - 1;
            sorted.get(index).map(|micros| Duration::from_micros(u64::from(*micros)))
        };
        Some((rank(50)?, rank(99)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter_at(cell: &StatusCell, state: ConnectorState, at: Timestamp) {
        cell.update(|status| enter(status, state, at));
    }

    #[test]
    fn percentiles_are_those_of_the_last_128_round_trips() {
        let mut trips = RoundTrips::default();
        assert_eq!(trips.percentiles(), None);
        trips.push(Duration::from_micros(7));
        let seven = Duration::from_micros(7);
        assert_eq!(trips.percentiles(), Some((seven, seven)));
        for micros in 1..=300 {
            trips.push(Duration::from_micros(micros));
        }
        // 173..=300 are left: the 64th is 236, the 127th is 299.
        let expected = (Duration::from_micros(236), Duration::from_micros(299));
        assert_eq!(trips.percentiles(), Some(expected));
    }

    #[test]
    fn counters_wake_nobody_and_a_changed_state_does() {
        let cell = StatusCell::new(ConnectorStatus::default());
        let watcher = cell.subscribe();
        cell.update(|status| status.requests += 1);
        assert!(!watcher.has_changed().expect("the cell lives"));
        assert_eq!(watcher.borrow().requests, 1);
        enter_at(&cell, ConnectorState::Connected, Timestamp::from_secs(5));
        assert!(watcher.has_changed().expect("the cell lives"));
    }

    #[test]
    fn a_state_that_lasts_keeps_its_beginning() {
        let cell = StatusCell::new(ConnectorStatus::default());
        enter_at(&cell, ConnectorState::Connected, Timestamp::from_secs(5));
        enter_at(&cell, ConnectorState::Connected, Timestamp::from_secs(9));
        assert_eq!(cell.get().since, Timestamp::from_secs(5));
        enter_at(&cell, ConnectorState::Degraded, Timestamp::from_secs(10));
        assert_eq!(cell.get().since, Timestamp::from_secs(10));
    }
}
