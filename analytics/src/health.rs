//! HA, health assessment (ISO 13374-2): from scores, alarms and forecast to one index and one state, with hysteresis.
//!
//! | state | when | left when, for a few frames |
//! |---|---|---|
//! | `Unknown` | no data | data arrives |
//! | `Learning` | until commissioned | commissioned |
//! | `Act` | beyond a failure limit (raw or at reference conditions), or median remaining life below `act_within_h` | life above 1.5 × that |
//! | `Plan` | machine alarm, or early remaining life (p05) below `plan_within_h` | life above 1.5 × that |
//! | `Monitor` | a tag unusual by itself, a sick sensor, or a score near the threshold | score well below |
//! | `Acceptable` | otherwise | – |

use bellwether_domain::{HealthIndex, HealthState, Score, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::AnalyticsConfig;

/// Weight of the newest frame in the smoothed score.
const SCORE_WEIGHT: f64 = 0.1;
/// A smoothed score above the first is to be monitored until it is below the second.
const MONITOR_ABOVE: f64 = 0.45;
const MONITOR_UNTIL: f64 = 0.35;
/// Up to this smoothed score an asset is as good as learnt.
const FULL_HEALTH_SCORE: f64 = 0.3;
/// The share of health an anomaly alone can take: that something is unlike before does not say how bad it is.
const ANOMALY_WEIGHT: f64 = 0.7;
const RELAX_FACTOR: f64 = 1.5;

/// What an assessment goes by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence {
    pub(crate) has_data: bool,
    pub(crate) commissioned: bool,
    /// A frame has just closed; otherwise only time has passed.
    pub(crate) is_frame: bool,
    /// The newest score, if that frame was judged.
    pub(crate) score: Option<Score>,
    pub(crate) machine_alarm: bool,
    pub(crate) limit_exceeded: bool,
    pub(crate) sensor_fault: bool,
    pub(crate) unusual_tag: bool,
    /// Early and median remaining life in hours.
    pub(crate) rul_h: Option<(f64, f64)>,
    /// Way from healthy to failed, 0 and up.
    pub(crate) progress: f64,
}

/// Index and state of one asset.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Assessor {
    pub(crate) state: HealthState,
    pub(crate) since: Timestamp,
    pub(crate) index: HealthIndex,
    /// The state when it was last known: an outage relieves nothing.
    known: HealthState,
    smoothed_score: f64,
    better_frames: u32,
}

impl Assessor {
    pub(crate) const fn new(now: Timestamp) -> Self {
        Self {
            state: HealthState::Unknown,
            since: now,
            index: HealthIndex::FULL,
            known: HealthState::Unknown,
            smoothed_score: 0.0,
            better_frames: 0,
        }
    }

    /// Takes one frame (or one tick without a frame); whether the state has changed.
    pub(crate) fn assess(
        &mut self,
        now: Timestamp,
        evidence: &Evidence,
        config: &AnalyticsConfig,
    ) -> bool {
        if let Some(score) = evidence.score {
            self.smoothed_score += SCORE_WEIGHT * (score.get() - self.smoothed_score);
        }
        let beyond = (self.smoothed_score - FULL_HEALTH_SCORE).max(0.0) / (1.0 - FULL_HEALTH_SCORE);
        let wear = if evidence.limit_exceeded { 1.0 } else { evidence.progress };
        self.index = HealthIndex::saturating((1.0 - ANOMALY_WEIGHT * beyond).min(1.0 - wear));
        let was = self.state;
        if evidence.has_data && was == HealthState::Unknown {
            self.state = self.known;
        }
        let wanted = self.wanted(evidence, config);
        // Between judging states a better one must last; knowing or not knowing is immediate.
        let is_relief = wanted < self.state && wanted >= HealthState::Acceptable;
        self.better_frames =
            if is_relief { self.better_frames + u32::from(evidence.is_frame) } else { 0 };
        if wanted != self.state && !(is_relief && self.better_frames < config.relax_frames) {
            self.state = wanted;
            self.better_frames = 0;
        }
        if self.state != HealthState::Unknown {
            self.known = self.state;
        }
        if self.state == was {
            return false;
        }
        self.since = now;
        true
    }

    /// After a repair or a stop nothing of the past score remains.
    pub(crate) const fn calm(&mut self) {
        self.smoothed_score = 0.0;
    }

    fn wanted(&self, evidence: &Evidence, config: &AnalyticsConfig) -> HealthState {
        let within = |hours: f64, limit: f64, held: bool| {
            hours < if held { RELAX_FACTOR * limit } else { limit }
        };
        let acting = self.state == HealthState::Act;
        let planning = self.state >= HealthState::Plan;
        let monitor_limit =
            if self.state == HealthState::Monitor { MONITOR_UNTIL } else { MONITOR_ABOVE };
        if !evidence.has_data {
            HealthState::Unknown
        } else if evidence.limit_exceeded
            || evidence.rul_h.is_some_and(|(_, p50)| within(p50, config.act_within_h, acting))
        {
            HealthState::Act
        } else if !evidence.commissioned {
            HealthState::Learning
        } else if evidence.machine_alarm
            || evidence.rul_h.is_some_and(|(p05, _)| within(p05, config.plan_within_h, planning))
        {
            HealthState::Plan
        } else if evidence.unusual_tag
            || evidence.sensor_fault
            || self.smoothed_score > monitor_limit
        {
            HealthState::Monitor
        } else {
            HealthState::Acceptable
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Evidence = Evidence {
        has_data: true,
        commissioned: true,
        is_frame: true,
        score: Some(Score::ORDINARY),
        machine_alarm: false,
        limit_exceeded: false,
        sensor_fault: false,
        unusual_tag: false,
        rul_h: None,
        progress: 0.0,
    };

    fn assessed(steps: &[(Evidence, u32)]) -> Assessor {
        let mut assessor = Assessor::new(Timestamp::default());
        for (evidence, times) in steps {
            for _ in 0..*times {
                assessor.assess(Timestamp::default(), evidence, &AnalyticsConfig::default());
            }
        }
        assessor
    }

    #[track_caller]
    fn check(evidence: Evidence, expected: HealthState) {
        assert_eq!(assessed(&[(QUIET, 1), (evidence, 1)]).state, expected);
    }

    #[test]
    fn the_worst_evidence_decides() {
        check(QUIET, HealthState::Acceptable);
        check(Evidence { commissioned: false, ..QUIET }, HealthState::Learning);
        check(Evidence { has_data: false, ..QUIET }, HealthState::Unknown);
        check(Evidence { unusual_tag: true, ..QUIET }, HealthState::Monitor);
        check(Evidence { sensor_fault: true, ..QUIET }, HealthState::Monitor);
        check(Evidence { machine_alarm: true, ..QUIET }, HealthState::Plan);
        check(Evidence { rul_h: Some((100.0, 200.0)), ..QUIET }, HealthState::Plan);
        check(Evidence { rul_h: Some((1.0, 12.0)), ..QUIET }, HealthState::Act);
        check(Evidence { limit_exceeded: true, commissioned: false, ..QUIET }, HealthState::Act);
    }

    #[test]
    fn a_better_state_must_last() {
        let alarmed = Evidence { machine_alarm: true, ..QUIET };
        assert_eq!(assessed(&[(alarmed, 1), (QUIET, 9)]).state, HealthState::Plan);
        assert_eq!(assessed(&[(alarmed, 1), (QUIET, 10)]).state, HealthState::Acceptable);
        assert_eq!(
            assessed(&[(alarmed, 1), (QUIET, 9), (alarmed, 1), (QUIET, 9)]).state,
            HealthState::Plan
        );
    }

    #[test]
    fn an_outage_relieves_nothing() {
        let near = Evidence { rul_h: Some((10.0, 30.0)), ..QUIET };
        let act = Evidence { rul_h: Some((10.0, 23.0)), ..QUIET };
        let away = Evidence { has_data: false, ..QUIET };
        assert_eq!(assessed(&[(act, 1), (away, 5)]).state, HealthState::Unknown);
        assert_eq!(assessed(&[(act, 1), (away, 5), (near, 1)]).state, HealthState::Act);
        assert_eq!(assessed(&[(act, 1), (away, 5), (QUIET, 9)]).state, HealthState::Act);
        assert_eq!(assessed(&[(act, 1), (away, 5), (QUIET, 10)]).state, HealthState::Acceptable);
        assert_eq!(assessed(&[(away, 5), (QUIET, 1)]).state, HealthState::Acceptable);
    }

    #[test]
    fn a_forecast_around_its_threshold_does_not_flap() {
        let near = |p50| Evidence { rul_h: Some((10.0, p50)), ..QUIET };
        assert_eq!(assessed(&[(near(23.0), 1), (near(30.0), 50)]).state, HealthState::Act);
        assert_eq!(assessed(&[(near(23.0), 1), (near(40.0), 50)]).state, HealthState::Plan);
    }

    #[test]
    fn health_falls_with_anomaly_and_with_wear_and_is_full_when_ordinary() {
        let index = |evidence| assessed(&[(evidence, 100)]).index.get();
        assert!(index(Evidence { score: Some(Score::saturating(0.2)), ..QUIET }) > 0.999);
        let alarmed = index(Evidence { score: Some(Score::saturating(0.6)), ..QUIET });
        assert!((0.5..0.9).contains(&alarmed), "{alarmed}");
        assert!((index(Evidence { progress: 0.75, ..QUIET }) - 0.25).abs() < 1e-9);
        assert!(index(Evidence { limit_exceeded: true, ..QUIET }) < 1e-9);
    }
}
