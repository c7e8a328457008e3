//! DM, operation: off, in transition, or steady. Only steady frames are judged and learnt from, so that start-ups and
//! load changes raise nothing (ISO 17359, 8: measure under comparable operating conditions).
//!
//! ```text
//!          below level                       drivers steady for a few frames, or the limit of patience
//!  Off ◀──────────────── Transient ────────────────────────────────────────▶ Steady
//!   └──── above level ──▶   ▲                                                  │
//!                           └────────────── a driver steps ────────────────────┘
//! ```

use bellwether_domain::Operation;
use serde::{Deserialize, Serialize};

use crate::{config::AnalyticsConfig, features::statistics::MedianTracker};

/// Weight of the newest frame in the short mean that a driver is compared with.
const SHORT_WEIGHT: f64 = 0.5;
/// A step is larger than this share of the driver's span in steady operation…
const STEP_OF_SPAN: f64 = 0.05;
/// …and than this share of its present size…
const STEP_OF_SIZE: f64 = 0.005;
/// …and than this many times its usual movement from frame to frame.
const STEP_OF_NOISE: f64 = 6.0;

/// Short-term history of one driver while the asset runs.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct DriverTrack {
    last: Option<f64>,
    short_mean: f64,
    /// Lowest and highest value in steady operation.
    span: Option<(f64, f64)>,
    movement: MedianTracker,
}

impl DriverTrack {
    /// Takes the newest value; whether it is a step.
    fn step(&mut self, value: f64) -> bool {
        let Some(last) = self.last.replace(value) else {
            self.short_mean = value;
            return false;
        };
        let span = self.span.map_or(0.0, |(low, high)| high - low);
        let threshold = (STEP_OF_SPAN * span)
            .max(STEP_OF_SIZE * value.abs())
            .max(STEP_OF_NOISE * self.movement.median);
        let stepped = (value - self.short_mean).abs() > threshold;
        self.movement.track((value - last).abs());
        self.short_mean += SHORT_WEIGHT * (value - self.short_mean);
        stepped
    }

    /// The newest value belongs to steady operation.
    fn settle(&mut self) {
        if let Some(value) = self.last {
            let (low, high) = self.span.unwrap_or((value, value));
            self.span = Some((low.min(value), high.max(value)));
        }
    }
}

/// What one asset is doing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct OperationTracker {
    drivers: Vec<DriverTrack>,
    pub(crate) operation: Operation,
    steady_frames: u32,
    transient_frames: u32,
}

impl OperationTracker {
    pub(crate) fn new(drivers: usize) -> Self {
        Self { drivers: vec![DriverTrack::default(); drivers], ..Self::default() }
    }

    /// One frame: whether the asset runs (`None`: nobody knows) and its drivers (NaN: missing). `starts`: the asset is
    /// one that starts and stops, so its first frame may be part of a start-up.
    pub(crate) fn update(
        &mut self,
        running: Option<bool>,
        drivers: impl Iterator<Item = f64>,
        starts: bool,
        config: &AnalyticsConfig,
    ) -> Operation {
        self.operation = match running {
            None => self.halt(Operation::Unknown),
            Some(false) => self.halt(Operation::Off),
            Some(true) => self.run(drivers, starts, config),
        };
        self.operation
    }

    fn halt(&mut self, operation: Operation) -> Operation {
        self.drivers.iter_mut().for_each(|driver| driver.last = None);
        operation
    }

    fn run(
        &mut self,
        drivers: impl Iterator<Item = f64>,
        starts: bool,
        config: &AnalyticsConfig,
    ) -> Operation {
        let mut stepped = false;
        for (track, value) in self.drivers.iter_mut().zip(drivers) {
            if !value.is_nan() {
                stepped |= track.step(value);
            }
        }
        let was_halted = matches!(self.operation, Operation::Off | Operation::Unknown);
        if was_halted {
            // An asset without start-ups and drivers has nothing to settle from.
            self.steady_frames =
                if starts || !self.drivers.is_empty() { 0 } else { config.settle_frames };
            self.transient_frames = 0;
        } else if stepped {
            self.steady_frames = 0;
        }
        if self.steady_frames >= config.settle_frames
            || self.transient_frames >= config.settle_limit_frames
        {
            // A driver that has never settled counts as steady until it has done so once.
            if self.steady_frames >= config.settle_frames {
                self.transient_frames = 0;
            } else if !stepped {
                self.steady_frames += 1;
            }
            self.drivers.iter_mut().for_each(DriverTrack::settle);
            return Operation::Steady;
        }
        self.steady_frames += 1;
        self.transient_frames += 1;
        Operation::Transient
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(tracker: &mut OperationTracker, running: bool, load: f64) -> Operation {
        tracker.update(Some(running), [load].into_iter(), true, &AnalyticsConfig::default())
    }

    fn wobble(i: u32) -> f64 {
        f64::from(i * 7 % 11) / 11.0
    }

    #[test]
    fn an_asset_without_start_ups_and_drivers_is_steady_from_its_first_frame() {
        let mut tracker = OperationTracker::new(0);
        let config = AnalyticsConfig::default();
        assert_eq!(
            tracker.update(Some(true), std::iter::empty(), false, &config),
            Operation::Steady
        );
    }

    #[test]
    fn a_start_and_a_load_step_hold_off_judgement_for_a_few_frames() {
        let mut tracker = OperationTracker::new(1);
        for i in 0..50 {
            run(&mut tracker, true, 80.0 + wobble(i));
        }
        assert_eq!(tracker.operation, Operation::Steady);
        assert_eq!(run(&mut tracker, true, 50.0), Operation::Transient);
        let settling = (0..30)
            .take_while(|&i| run(&mut tracker, true, 50.0 + wobble(i)) == Operation::Transient);
        assert!((2..15).contains(&settling.count()));
        assert_eq!(run(&mut tracker, false, 0.0), Operation::Off);
        assert_eq!(run(&mut tracker, true, 50.0), Operation::Transient);
    }

    #[test]
    fn a_driver_that_never_settles_is_judged_in_the_end() {
        let mut tracker = OperationTracker::new(1);
        let config = AnalyticsConfig::default();
        let steady = (0..200_u32)
            .filter(|i| run(&mut tracker, true, f64::from(i % 5) * 20.0) == Operation::Steady)
            .count();
        assert!(steady >= 200 - config.settle_limit_frames as usize - 1, "{steady}");
    }

    #[test]
    fn the_noise_of_a_driver_is_no_step() {
        let mut tracker = OperationTracker::new(1);
        let steady = (0..500)
            .filter(|&i| run(&mut tracker, true, 3.0 + wobble(i)) == Operation::Steady)
            .count();
        assert!(steady > 450, "{steady}");
    }
}
