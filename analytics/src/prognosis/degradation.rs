//! PA, degradation of one tag: when it began (CUSUM: Page 1954), what has been seen since, and the forecast.

use bellwether_domain::{Limit, Prognosis, Refusal, TagId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    config::AnalyticsConfig,
    prognosis::exponential::{Forecast, Growth},
};

/// CUSUM reference value and threshold in standard deviations. Larger than for white residuals: ours are not white.
const ONSET_REFERENCE: f64 = 1.0;
const ONSET_THRESHOLD: f64 = 12.0;
/// One frame counts for at most this much, so that a lone outlier is no onset.
const ONSET_CLIP: f64 = 4.0;
/// Pieces of evidence before there is a forecast.
const LEAST_BLOCKS: u32 = 6;
/// The rate of growth must be this many standard deviations above zero (one-sided 95 %).
const LEAST_SIGNIFICANCE: f64 = 1.645;
/// Blocks in a row at the healthy level that end a degradation.
const BLOCKS_TO_HEAL: u32 = 4;

/// What is known about the degradation of one tag. "Rise" is the way towards the limit, in the tag's unit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Degradation {
    healthy: f64,
    std_dev: f64,
    limit: f64,
    /// 1 when failure is above, -1 when below.
    direction: f64,
    cusum: f64,
    cusum_since: Option<Timestamp>,
    onset: Option<Timestamp>,
    block_sum: f64,
    block_hours: f64,
    block_count: u32,
    calm_blocks: u32,
    indicator: f64,
    growth: Growth,
    /// The newest forecast; its tag is filled in on the way out.
    outcome: Result<Prognosis, Refusal>,
}

impl Degradation {
    /// `reference`: healthy level and standard deviation at reference conditions. `None` when the limit lies on the wrong
    /// side of the healthy level.
    pub(crate) fn new(limit: Limit, reference: (f64, f64)) -> Option<Self> {
        let (limit, direction) = match limit {
            Limit::Above(limit) => (limit, 1.0),
            Limit::Below(limit) => (limit, -1.0),
        };
        let (healthy, std_dev) = reference;
        (direction * (limit - healthy) > 0.0).then_some(Self {
            healthy,
            std_dev,
            limit,
            direction,
            cusum: 0.0,
            cusum_since: None,
            onset: None,
            block_sum: 0.0,
            block_hours: 0.0,
            block_count: 0,
            calm_blocks: 0,
            indicator: healthy,
            growth: Growth::default(),
            outcome: Err(Refusal::NoDegradation),
        })
    }

    /// Whether it is about this limit.
    pub(crate) fn is_about(&self, limit: Limit) -> bool {
        match limit {
            Limit::Above(level) => self.direction > 0.0 && level.to_bits() == self.limit.to_bits(),
            Limit::Below(level) => self.direction < 0.0 && level.to_bits() == self.limit.to_bits(),
        }
    }

    /// The newest forecast or the reason there is none.
    pub(crate) fn prognosis(&self, tag: TagId) -> Result<Prognosis, Refusal> {
        self.outcome.map(|prognosis| Prognosis { tag, ..prognosis })
    }

    /// How far it is on the way from healthy to failed, 0 and up.
    pub(crate) fn progress(&self) -> f64 {
        if self.onset.is_none() {
            return 0.0;
        }
        (self.rise(self.indicator) / self.rise(self.limit)).max(0.0)
    }

    /// The asset has been repaired: its history begins anew, what is healthy stays.
    pub(crate) fn restart(&mut self) {
        self.cusum = 0.0;
        self.cusum_since = None;
        self.end();
    }

    /// A steady value brought to reference conditions.
    pub(crate) fn observe(&mut self, at: Timestamp, level: f64, config: &AnalyticsConfig) {
        self.watch_onset(at, level);
        let Some(onset) = self.onset else { return };
        self.block_sum += level;
        self.block_hours += hours_between(onset, at);
        self.block_count += 1;
        if self.block_count < config.block_frames {
            return;
        }
        let count = f64::from(self.block_count);
        let (mean, hours) = (self.block_sum / count, self.block_hours / count);
        (self.block_sum, self.block_hours, self.block_count) = (0.0, 0.0, 0);
        self.indicator = mean;
        self.close_block(at, onset, hours, config);
    }

    fn rise(&self, level: f64) -> f64 {
        self.direction * (level - self.healthy)
    }

    fn watch_onset(&mut self, at: Timestamp, level: f64) {
        if self.onset.is_some() {
            return;
        }
        let z = (self.rise(level) / self.std_dev).min(ONSET_CLIP);
        self.cusum = (self.cusum + z - ONSET_REFERENCE).max(0.0);
        if self.cusum <= 0.0 {
            self.cusum_since = None;
            return;
        }
        let since = *self.cusum_since.get_or_insert(at);
        if self.cusum > ONSET_THRESHOLD {
            self.onset = Some(since);
            self.indicator = level;
            self.outcome = Err(Refusal::TooFewPoints);
        }
    }

    fn close_block(
        &mut self,
        at: Timestamp,
        onset: Timestamp,
        hours: f64,
        config: &AnalyticsConfig,
    ) {
        let rise = self.rise(self.indicator);
        let mean_std_dev = self.std_dev / f64::from(config.block_frames).sqrt();
        self.calm_blocks =
            if rise < ONSET_REFERENCE * self.std_dev { self.calm_blocks + 1 } else { 0 };
        if self.calm_blocks >= BLOCKS_TO_HEAL {
            self.end();
            return;
        }
        // Below this the logarithm is one of noise.
        if rise > 2.0 * mean_std_dev {
            self.growth.add(hours, rise.ln(), mean_std_dev / rise, config.forgetting);
        }
        self.outcome = self.forecast(at, onset, rise, config);
    }

    fn forecast(
        &self,
        at: Timestamp,
        onset: Timestamp,
        rise: f64,
        config: &AnalyticsConfig,
    ) -> Result<Prognosis, Refusal> {
        if rise >= self.rise(self.limit) {
            return Err(Refusal::LimitExceeded);
        }
        if self.growth.count < LEAST_BLOCKS {
            return Err(Refusal::TooFewPoints);
        }
        let target = self.rise(self.limit).ln();
        let interval = self
            .growth
            .forecast(hours_between(onset, at), target, config.growth_uncertainty)
            .filter(|forecast| forecast.significance() >= LEAST_SIGNIFICANCE)
            .as_ref()
            .map(Forecast::interval)
            .filter(|interval| interval.p50_h.is_finite())
            .ok_or(Refusal::NoTrend)?;
        Ok(Prognosis {
            at,
            tag: TagId(0),
            rul_p05_h: interval.p05_h,
            rul_p50_h: interval.p50_h,
            rul_p95_h: interval.p95_h,
            no_failure_probability: interval.never,
            onset,
            indicator: self.indicator,
            limit: self.limit,
        })
    }

    fn end(&mut self) {
        self.cusum = 0.0;
        self.cusum_since = None;
        self.onset = None;
        (self.block_sum, self.block_hours, self.block_count) = (0.0, 0.0, 0);
        self.calm_blocks = 0;
        self.indicator = self.healthy;
        self.growth = Growth::default();
        self.outcome = Err(Refusal::NoDegradation);
    }
}

fn hours_between(from: Timestamp, to: Timestamp) -> f64 {
    to.seconds_since(from) / 3_600.0
}

/// The forecast of an asset from those of its tags: the earliest failure, or the most telling reason for none.
pub(crate) fn earliest(
    forecasts: impl Iterator<Item = Result<Prognosis, Refusal>>,
) -> Result<Prognosis, Refusal> {
    let mut best: Result<Prognosis, Refusal> = Err(Refusal::NoFailureLimit);
    for next in forecasts {
        let is_better = match (&best, &next) {
            (Ok(_), Err(refusal)) => *refusal == Refusal::LimitExceeded,
            (Err(refusal), Ok(_)) => *refusal != Refusal::LimitExceeded,
            (Ok(a), Ok(b)) => b.rul_p50_h < a.rul_p50_h,
            (Err(a), Err(b)) => telling(*b) > telling(*a),
        };
        if is_better {
            best = next;
        }
    }
    best
}

const fn telling(refusal: Refusal) -> u8 {
    match refusal {
        Refusal::LimitExceeded => 6,
        Refusal::NoTrend => 5,
        Refusal::TooFewPoints => 4,
        Refusal::NotRunning => 3,
        Refusal::Learning => 2,
        Refusal::NoDegradation => 1,
        Refusal::NoFailureLimit => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::normal as noise;

    fn at(minute: u32) -> Timestamp {
        Timestamp::from_secs(60 * i64::from(minute))
    }

    fn watched(limit: Limit, level: impl Fn(u32) -> f64, minutes: u32) -> Degradation {
        let mut degradation = Degradation::new(limit, (2.0, 0.1)).unwrap();
        for minute in 0..minutes {
            degradation.observe(at(minute), level(minute), &AnalyticsConfig::default());
        }
        degradation
    }

    #[test]
    fn a_healthy_tag_does_not_degrade() {
        let degradation = watched(Limit::Above(7.1), |i| 2.0 + 0.1 * noise(i), 20_000);
        assert_eq!(degradation.prognosis(TagId(0)), Err(Refusal::NoDegradation));
    }

    #[test]
    fn growth_towards_a_limit_on_either_side_is_forecast() {
        // From 0.2 on it doubles every two hours; the distance of 5.1 is reached after 9.35 h, 4.35 h from the end.
        let rise = |i: u32| 0.2 * (f64::from(i) / 120.0).exp2();
        for (limit, sign) in [(Limit::Above(7.1), 1.0), (Limit::Below(-3.1), -1.0)] {
            let level = |i| 2.0 + sign * rise(i) + 0.1 * noise(i);
            let prognosis = watched(limit, level, 300).prognosis(TagId(3)).unwrap();
            assert_eq!(prognosis.tag, TagId(3));
            assert!((prognosis.rul_p05_h..=prognosis.rul_p95_h).contains(&4.35), "{prognosis:?}");
            assert!(prognosis.rul_p95_h < 8.0, "{prognosis:?}");
        }
    }

    #[test]
    fn a_raised_level_without_growth_has_no_trend() {
        let degradation = watched(Limit::Above(7.1), |i| 3.0 + 0.1 * noise(i), 2_000);
        assert_eq!(degradation.prognosis(TagId(0)), Err(Refusal::NoTrend));
    }

    #[test]
    fn beyond_the_limit_there_is_nothing_to_forecast() {
        let degradation = watched(Limit::Above(7.1), |i| 2.0 + f64::from(i) * 0.02, 400);
        assert_eq!(degradation.prognosis(TagId(0)), Err(Refusal::LimitExceeded));
        assert!(degradation.progress() > 1.0);
    }

    #[test]
    fn a_repair_and_a_return_to_healthy_end_it() {
        let mut degradation = watched(Limit::Above(7.1), |i| if i < 200 { 3.0 } else { 2.0 }, 300);
        assert_eq!(degradation.prognosis(TagId(0)), Err(Refusal::NoDegradation));
        degradation = watched(Limit::Above(7.1), |_| 3.0, 200);
        degradation.restart();
        assert_eq!(degradation.prognosis(TagId(0)), Err(Refusal::NoDegradation));
        assert!(degradation.progress().abs() < 1e-12);
    }

    #[test]
    fn a_limit_on_the_wrong_side_of_healthy_is_no_limit() {
        assert!(Degradation::new(Limit::Above(1.0), (2.0, 0.1)).is_none());
    }
}
