//! Settings of the engine: section `[analytics]` of `bellwether.toml`. Every key has a default that suits a plant with
//! ordinary noise; durations are plant time, and keys that count frames say so.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How the engine learns, judges and speaks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnalyticsConfig {
    /// Steady, good frames an asset must deliver before it is judged.
    pub learning_frames: u32,
    /// Limit of the unsmoothed T² as a multiple of the largest value while learning.
    pub fast_margin: f64,
    /// Limit of the smoothed T² as a multiple of the largest value while learning.
    pub slow_margin: f64,
    /// Smoothing of the slow T²: weight of the newest frame, above 0 and at most 1.
    pub slow_weight: f64,
    /// A raised T² counts as raised until it falls below this share of its limit.
    pub return_ratio: f64,
    /// Judged frames in a row that must be unusual before a machine alarm is raised.
    pub on_delay_frames: u32,
    /// Judged frames in a row that must be ordinary before it returns.
    pub off_delay_frames: u32,
    /// Tags whose slow wander makes up more than this share of their variance are left out of the joint judgement.
    pub drift_share: f64,
    /// How far beyond its own record the raw value of a tag must go to be unusual, as a share of its range so far.
    pub value_tolerance: f64,
    /// The same for its seasonal residual.
    pub level_tolerance: f64,
    /// Values a tag must deliver before it can be unusual by itself (half of that), and unit of the refractory time.
    pub probation_samples: u32,
    /// The same as a time; the longer of the two counts.
    pub probation_s: u32,
    /// Frames the drivers must have been steady before an asset is judged.
    pub settle_frames: u32,
    /// Frames after which an asset is judged although its drivers never settle.
    pub settle_limit_frames: u32,
    /// How far beyond what was learnt a driver may go, as a share of its learnt span, before the condition is unseen.
    pub driver_margin: f64,
    /// Frames over which the drivers' past is averaged, to explain signals that lag behind (temperatures); four times as
    /// many for what lags longer.
    pub thermal_lag_frames: u32,
    /// A value is stuck when it repeats this many times, at least.
    pub stuck_samples: u32,
    /// A value is stuck when it repeats this many times as often as the longest run while learning.
    pub stuck_factor: u32,
    /// How long a sensor must be sick before its alarm is raised.
    pub sensor_on_delay_s: u32,
    /// How long it must be well before its alarm returns.
    pub sensor_off_delay_s: u32,
    /// Periods without any good value after which an asset has no data.
    pub silent_periods: u32,
    /// How long a tag must be beyond its failure limit before the alarm is raised.
    pub limit_on_delay_s: u32,
    /// How long it must be back before the alarm returns.
    pub limit_off_delay_s: u32,
    /// How far back from its failure limit a tag must be, as a share of the limit.
    pub limit_deadband: f64,
    /// Remaining life (the early end, p05) below which a repair is to be planned.
    pub plan_within_h: f64,
    /// Remaining life (the median, p50) below which somebody must act.
    pub act_within_h: f64,
    /// Frames an asset must be better before its state is.
    pub relax_frames: u32,
    /// Weight that old evidence about degradation keeps with each new block.
    pub forgetting: f64,
    /// How wrong the law of growth itself may be: relative standard deviation of the rate when extrapolated.
    pub growth_uncertainty: f64,
    /// Frames averaged into one piece of evidence about degradation.
    pub block_frames: u32,
    /// Time between two summaries.
    pub summary_period_s: u32,
    /// Time between two health reports.
    pub health_report_period_s: u32,
}

impl Default for AnalyticsConfig {
    fn default() -> Self {
        Self {
            learning_frames: 400,
            fast_margin: 1.5,
            slow_margin: 2.0,
            slow_weight: 0.2,
            return_ratio: 0.7,
            on_delay_frames: 5,
            off_delay_frames: 30,
            drift_share: 0.5,
            value_tolerance: 0.02,
            level_tolerance: 0.01,
            probation_samples: 750,
            probation_s: 86_400,
            settle_frames: 3,
            settle_limit_frames: 60,
            driver_margin: 0.1,
            thermal_lag_frames: 30,
            stuck_samples: 20,
            stuck_factor: 5,
            sensor_on_delay_s: 0,
            sensor_off_delay_s: 300,
            silent_periods: 5,
            limit_on_delay_s: 60,
            limit_off_delay_s: 3_600,
            limit_deadband: 0.05,
            plan_within_h: 720.0,
            act_within_h: 24.0,
            relax_frames: 10,
            forgetting: 0.995,
            growth_uncertainty: 0.1,
            block_frames: 10,
            summary_period_s: 3_600,
            health_report_period_s: 60,
        }
    }
}

impl AnalyticsConfig {
    /// Everything that is wrong, one text a key: "key: what is wrong and what is right". Empty when all is well.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        self.check_counts(&mut problems);
        self.check_shares(&mut problems);
        for (key, value) in [
            ("fast_margin", self.fast_margin),
            ("slow_margin", self.slow_margin),
            ("plan_within_h", self.plan_within_h),
            ("act_within_h", self.act_within_h),
        ] {
            if !(value.is_finite() && value > 0.0) {
                problems.push(format!("{key}: is {value}, must be a number above 0"));
            }
        }
        if self.act_within_h > self.plan_within_h {
            problems.push(format!(
                "act_within_h: is {}, must not be longer than plan_within_h ({})",
                self.act_within_h, self.plan_within_h
            ));
        }
        problems
    }

    fn check_counts(&self, problems: &mut Vec<String>) {
        // The drift screen needs eight blocks, and the limit needs rows behind the first twenty.
        if !(80..=100_000).contains(&self.learning_frames) {
            problems.push(format!(
                "learning_frames: is {}, must be between 80 and 100000",
                self.learning_frames
            ));
        }
        for (key, value) in [
            ("on_delay_frames", self.on_delay_frames),
            ("off_delay_frames", self.off_delay_frames),
            ("settle_limit_frames", self.settle_limit_frames),
            ("thermal_lag_frames", self.thermal_lag_frames),
            ("stuck_samples", self.stuck_samples),
            ("stuck_factor", self.stuck_factor),
            ("silent_periods", self.silent_periods),
            ("block_frames", self.block_frames),
            ("summary_period_s", self.summary_period_s),
            ("health_report_period_s", self.health_report_period_s),
        ] {
            if value == 0 {
                problems.push(format!("{key}: is 0, must be at least 1"));
            }
        }
        if self.probation_samples < 30 {
            problems.push(format!(
                "probation_samples: is {}, must be at least 30",
                self.probation_samples
            ));
        }
    }

    fn check_shares(&self, problems: &mut Vec<String>) {
        for (key, value) in [
            ("slow_weight", self.slow_weight),
            ("return_ratio", self.return_ratio),
            ("drift_share", self.drift_share),
            ("forgetting", self.forgetting),
        ] {
            if !(value > 0.0 && value <= 1.0) {
                problems.push(format!("{key}: is {value}, must be above 0 and at most 1"));
            }
        }
        for (key, value) in
            [("value_tolerance", self.value_tolerance), ("level_tolerance", self.level_tolerance)]
        {
            if !(value.is_finite() && value > 0.0) {
                problems.push(format!("{key}: is {value}, must be a number above 0"));
            }
        }
        for (key, value) in [
            ("driver_margin", self.driver_margin),
            ("limit_deadband", self.limit_deadband),
            ("growth_uncertainty", self.growth_uncertainty),
        ] {
            if !(0.0..=1.0).contains(&value) {
                problems.push(format!("{key}: is {value}, must be between 0 and 1"));
            }
        }
    }
}

/// A configured number of seconds as a span.
pub(crate) const fn seconds(count: u32) -> Duration {
    Duration::from_secs(count as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_problem() {
        assert_eq!(AnalyticsConfig::default().problems(), Vec::<String>::new());
    }

    #[test]
    fn every_problem_is_reported_at_once_and_names_its_key() {
        let config = AnalyticsConfig {
            learning_frames: 10,
            slow_weight: f64::NAN,
            act_within_h: 9_000.0,
            block_frames: 0,
            ..AnalyticsConfig::default()
        };
        let problems = config.problems();
        let keys: Vec<&str> =
            problems.iter().filter_map(|text| text.split_once(':')).map(|(key, _)| key).collect();
        assert_eq!(keys, ["learning_frames", "block_frames", "slow_weight", "act_within_h"]);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let error = serde_json::from_str::<AnalyticsConfig>(r#"{"lerning_frames": 400}"#)
            .expect_err("the key is misspelt");
        assert!(error.to_string().contains("lerning_frames"), "{error}");
    }
}
