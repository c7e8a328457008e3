//! DM, validation: which values of one tag to believe. Range, lone spikes, values that no longer change. Causal and
//! O(1); what is normal for the tag is learnt while its asset is commissioned, so that a coarse or constant signal is
//! never called stuck and a lively one never spiky.

use bellwether_domain::Range;
use serde::{Deserialize, Serialize};

use crate::{config::AnalyticsConfig, features::statistics::MedianTracker};

/// Values needed before a spike can be told from noise.
const SPIKE_WARM_UP: u32 = 50;
/// A spike stands out this many times further than the third-loneliest value while learning…
const SPIKE_FACTOR: f64 = 5.0;
/// …and this many times further than values usually move at present, so that a machine growing rough is no spike.
const SPIKE_NOISE_FACTOR: f64 = 10.0;
/// This many spikes among the last hundred values make the sensor sick.
const SPIKES_TO_BE_SICK: u32 = 3;
const LAST_HUNDRED: u128 = (1 << 100) - 1;
/// A signal that repeats itself this often by nature can never be called stuck.
const REPEATS_BY_NATURE: f64 = 0.3;
/// A signal whose usual movement is hardly more than its smallest one moves by single steps of its resolution: it may
/// rest on one step for as long as it likes, wherever its level happens to lie.
const COARSE_FACTOR: f64 = 1.5;
/// Values that must change again before a stuck sensor is believed again.
const CHANGES_TO_RECOVER: u32 = 3;

/// What one value turned out to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Outside the plausible range: bad.
    OutOfRange,
    /// Suspicious: kept back until the next value confirms or refutes it.
    Held,
    /// To be believed.
    Good,
    /// To be believed, and so is the one kept back before it.
    GoodWithHeld(f64),
    /// To be believed; the one kept back before it was a lone spike.
    GoodAfterSpike(f64),
}

/// What is wrong with the sensor by its values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Sickness {
    /// Nothing.
    #[default]
    None,
    /// It repeats itself longer than usual: not used, not yet reported.
    Suspect,
    /// It repeats itself far longer than it ever did.
    Stuck,
    /// It spikes again and again.
    Spiky,
}

/// The running checks of one tag.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Validator {
    /// The last two believed values, newest first.
    last: Option<f64>,
    before_last: Option<f64>,
    held: Option<f64>,
    /// The three loneliest values while learning, largest first: how far they lay from both neighbours.
    loneliest: [f64; 3],
    learnt: u32,
    movement: MedianTracker,
    /// Smallest movement while learning that was none at all; 0 before the first.
    smallest_step: f64,
    /// One bit a value, newest lowest: was it a spike?
    spikes: u128,
    run: u32,
    longest_run: u32,
    repeats: u32,
    pairs: u32,
    stuck: bool,
    changes: u32,
}

impl Validator {
    /// Judges one good value. `running`: repetition counts only while the asset runs. `learning`: what is normal is
    /// still being learnt.
    pub(crate) fn check(
        &mut self,
        value: f64,
        range: Option<Range>,
        running: bool,
        learning: bool,
    ) -> Verdict {
        if range.is_some_and(|range| !range.contains(value)) {
            self.held = None;
            return Verdict::OutOfRange;
        }
        let Some(last) = self.last else {
            self.believe(value, running, learning);
            return Verdict::Good;
        };
        let threshold = self.spike_threshold();
        if let Some(held) = self.held.take() {
            let (from_last, from_next) = (held - last, held - value);
            let lone = from_last * from_next > 0.0 && from_next.abs() > threshold;
            self.spikes = ((self.spikes << 1) | u128::from(lone)) & LAST_HUNDRED;
            if lone {
                // Learnt from all the same: else a young model locks itself out.
                self.learn_loneliness(from_last.abs().min(from_next.abs()), learning);
                self.believe(value, running, learning);
                return Verdict::GoodAfterSpike(held);
            }
            self.believe(held, running, learning);
            self.believe(value, running, learning);
            return Verdict::GoodWithHeld(held);
        }
        if (value - last).abs() > threshold {
            self.held = Some(value);
            return Verdict::Held;
        }
        self.spikes = (self.spikes << 1) & LAST_HUNDRED;
        self.believe(value, running, learning);
        Verdict::Good
    }

    /// There was a value that nobody may use: neighbours are no longer neighbours.
    pub(crate) fn interrupt(&mut self) {
        (self.held, self.before_last) = (None, None);
    }

    /// Whether a value is kept back.
    pub(crate) const fn is_holding(&self) -> bool {
        self.held.is_some()
    }

    /// What is wrong with the sensor at present.
    pub(crate) fn sickness(&self, learning: bool, config: &AnalyticsConfig) -> Sickness {
        if learning {
            return Sickness::None;
        }
        if self.spikes.count_ones() >= SPIKES_TO_BE_SICK {
            return Sickness::Spiky;
        }
        if self.stuck {
            return Sickness::Stuck;
        }
        if self.can_be_stuck() && self.run > self.longest_run.saturating_mul(2).max(2) {
            let limit = self.longest_run.saturating_mul(config.stuck_factor);
            return if self.run >= limit.max(config.stuck_samples) {
                Sickness::Stuck
            } else {
                Sickness::Suspect
            };
        }
        Sickness::None
    }

    /// Keeps a stuck sensor stuck until its value moves again; called once a frame.
    pub(crate) fn latch(&mut self, sickness: Sickness) {
        if self.stuck && self.changes >= CHANGES_TO_RECOVER {
            self.stuck = false;
        } else if sickness == Sickness::Stuck && !self.stuck {
            (self.stuck, self.changes) = (true, 0);
        }
    }

    fn can_be_stuck(&self) -> bool {
        self.pairs >= SPIKE_WARM_UP
            && f64::from(self.repeats) <= REPEATS_BY_NATURE * f64::from(self.pairs)
            && self.movement.median > COARSE_FACTOR * self.smallest_step
    }

    fn spike_threshold(&self) -> f64 {
        if self.learnt < SPIKE_WARM_UP || self.loneliest[2] <= 0.0 {
            return f64::INFINITY;
        }
        (SPIKE_FACTOR * self.loneliest[2]).max(SPIKE_NOISE_FACTOR * self.movement.median)
    }

    fn believe(&mut self, value: f64, running: bool, learning: bool) {
        if let Some(last) = self.last {
            if running {
                let step = (value - last).abs();
                self.movement.track(step);
                if learning
                    && step > 0.0
                    && (step < self.smallest_step || self.smallest_step <= 0.0)
                {
                    self.smallest_step = step;
                }
                self.count_repeat((value - last).abs() <= 0.0, learning);
                if let Some(before) = self.before_last {
                    let (rise, fall) = (last - before, last - value);
                    if rise * fall > 0.0 {
                        self.learn_loneliness(rise.abs().min(fall.abs()), learning);
                    }
                    self.learnt += u32::from(learning && self.learnt < u32::MAX);
                }
            } else {
                self.run = 0;
            }
        }
        (self.before_last, self.last) = (self.last, Some(value));
    }

    fn count_repeat(&mut self, equal: bool, learning: bool) {
        self.run = if equal { self.run.saturating_add(1) } else { 0 };
        self.changes = if equal { 0 } else { self.changes.saturating_add(1) };
        if learning {
            self.longest_run = self.longest_run.max(self.run);
            self.pairs = self.pairs.saturating_add(1);
            self.repeats = self.repeats.saturating_add(u32::from(equal));
        }
    }

    fn learn_loneliness(&mut self, loneliness: f64, learning: bool) {
        if learning && loneliness > self.loneliest[2] {
            self.loneliest[2] = loneliness;
            self.loneliest.sort_unstable_by(|a, b| b.total_cmp(a));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::uniform;

    fn noise(i: u32) -> f64 {
        uniform(i) - 0.5
    }

    fn taught(values: impl Iterator<Item = f64>) -> Validator {
        let mut validator = Validator::default();
        values.for_each(|value| {
            validator.check(value, None, true, true);
        });
        validator
    }

    fn feed(validator: &mut Validator, values: impl Iterator<Item = f64>) -> Vec<Verdict> {
        values
            .map(|value| {
                let verdict = validator.check(value, None, true, false);
                let sickness = validator.sickness(false, &AnalyticsConfig::default());
                validator.latch(sickness);
                verdict
            })
            .collect()
    }

    fn sickness(validator: &Validator) -> Sickness {
        validator.sickness(false, &AnalyticsConfig::default())
    }

    #[test]
    fn a_value_outside_its_range_is_bad() {
        let range = Some(Range { low: 0.0, high: 50.0 });
        let mut validator = Validator::default();
        assert_eq!(validator.check(60.0, range, true, true), Verdict::OutOfRange);
        assert_eq!(validator.check(50.0, range, true, true), Verdict::Good);
    }

    #[test]
    fn a_lone_spike_is_dropped_and_a_step_is_delivered_one_value_late() {
        let mut validator = taught((0..400).map(noise));
        let verdicts = feed(&mut validator, [0.1, 90.0, 0.2, 0.0, 40.0, 40.1, 40.2].into_iter());
        assert_eq!(
            verdicts,
            [
                Verdict::Good,
                Verdict::Held,
                Verdict::GoodAfterSpike(90.0),
                Verdict::Good,
                Verdict::Held,
                Verdict::GoodWithHeld(40.0),
                Verdict::Good
            ]
        );
        assert_eq!(sickness(&validator), Sickness::None);
    }

    #[test]
    fn three_spikes_among_a_hundred_values_make_the_sensor_sick_until_they_have_passed() {
        let mut validator = taught((0..400).map(noise));
        feed(&mut validator, (0..60).map(|i| if i % 20 == 7 { 90.0 } else { noise(i) }));
        assert_eq!(sickness(&validator), Sickness::Spiky);
        feed(&mut validator, (0..101).map(noise));
        assert_eq!(sickness(&validator), Sickness::None);
    }

    #[test]
    fn a_value_that_stops_moving_is_suspect_at_once_and_stuck_soon() {
        let mut validator = taught((0..400).map(noise));
        feed(&mut validator, [0.3; 4].into_iter());
        assert_eq!(sickness(&validator), Sickness::Suspect);
        feed(&mut validator, [0.3; 20].into_iter());
        assert_eq!(sickness(&validator), Sickness::Stuck);
        feed(&mut validator, (0..2).map(noise));
        assert_eq!(sickness(&validator), Sickness::Stuck);
        feed(&mut validator, (2..6).map(noise));
        assert_eq!(sickness(&validator), Sickness::None);
    }

    #[test]
    fn a_coarse_or_constant_signal_is_never_stuck() {
        for values in [(0..400).map(|i| noise(i).round()).collect::<Vec<_>>(), vec![7.0; 400]] {
            let mut validator = taught(values.into_iter());
            feed(&mut validator, [0.0; 5_000].into_iter());
            assert_eq!(sickness(&validator), Sickness::None);
        }
    }

    #[test]
    fn a_coarse_signal_that_never_repeats_by_chance_may_rest_all_the_same() {
        // Between two steps of its resolution it flickers, on one of them it rests: a real flow meter did so.
        let flicker = (0..400).map(|i| 32.0 + f64::from(i % 2) + f64::from(i % 50 / 49));
        let mut validator = taught(flicker);
        feed(&mut validator, [29.0; 500].into_iter());
        assert_eq!(sickness(&validator), Sickness::None);
    }

    #[test]
    fn standing_still_is_not_being_stuck() {
        let mut validator = taught((0..400).map(noise));
        for _ in 0..100 {
            validator.check(0.0, None, false, false);
        }
        assert_eq!(sickness(&validator), Sickness::None);
    }
}
