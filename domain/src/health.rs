//! What the engine finds out about an asset: scores (ISO 13374 block SD), health (HA) and prognosis (PA).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{AssetId, TagId, Timestamp};

/// Anomaly score: 0 is ordinary, 0.5 is the alarm threshold, 1 is unlike anything learnt. Never NaN.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Score(f64);

impl Score {
    /// Nothing unusual.
    pub const ORDINARY: Self = Self(0.0);

    /// Clamps into `0..=1`; NaN counts as fully anomalous, so a broken model is loud.
    pub const fn saturating(raw: f64) -> Self {
        if raw.is_nan() { Self(1.0) } else { Self(raw.clamp(0.0, 1.0)) }
    }

    /// Maps `statistic / limit` (0 and up) to a score that is 0.5 exactly at the limit.
    pub fn from_ratio(ratio: f64) -> Self {
        if ratio.is_infinite() { Self(1.0) } else { Self::saturating(ratio / (1.0 + ratio)) }
    }

    /// The number, `0..=1`.
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// Health of an asset: 1 is as good as learnt, 0 is failed. Never NaN.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HealthIndex(f64);

impl HealthIndex {
    /// As good as learnt.
    pub const FULL: Self = Self(1.0);

    /// Clamps into `0..=1`; NaN counts as failed, so a broken model is loud.
    pub const fn saturating(raw: f64) -> Self {
        if raw.is_nan() { Self(0.0) } else { Self(raw.clamp(0.0, 1.0)) }
    }

    /// The number, `0..=1`.
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// What a person should do about an asset. NE 107 status is separate and belongs to devices.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    /// No data to judge by.
    #[default]
    Unknown,
    /// Still learning what healthy looks like.
    Learning,
    /// Nothing to do.
    Acceptable,
    /// Something is unusual; look at it when passing by.
    Monitor,
    /// Plan a repair.
    Plan,
    /// Act now.
    Act,
}

impl HealthState {
    /// The word on the screen and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Learning => "learning",
            Self::Acceptable => "acceptable",
            Self::Monitor => "monitor",
            Self::Plan => "plan",
            Self::Act => "act",
        }
    }
}

/// What the asset is doing, as far as judging it is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Nobody knows: no good value of the deciding tag.
    #[default]
    Unknown,
    /// Standing still: not judged.
    Off,
    /// Starting, stopping or changing load: not judged.
    Transient,
    /// Running steadily: judged and learnt from.
    Steady,
}

impl Operation {
    /// The word on the screen and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Off => "off",
            Self::Transient => "transient",
            Self::Steady => "steady",
        }
    }
}

/// One tag's part in an anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// The tag.
    pub tag: TagId,
    /// Its share of the statistic, `0..=1`; shares of all tags of the asset add up to 1.
    pub share: f64,
    /// Smoothed actual value, in the tag's unit.
    pub actual: f64,
    /// What the model expects in the present operating condition, in the tag's unit.
    pub expected: f64,
    /// Standard deviation of actual around expected while healthy, in the tag's unit.
    pub expected_std_dev: f64,
}

/// Remaining useful life (ISO 13381-1): hours until the health indicator crosses its failure limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prognosis {
    /// When it was made.
    pub at: Timestamp,
    /// The tag that will cross its limit first.
    pub tag: TagId,
    /// With 5 % probability it fails within this many hours.
    pub rul_p05_h: f64,
    /// As likely to fail before as after.
    pub rul_p50_h: f64,
    /// With 95 % probability it fails within this many hours; infinite if that much mass lies at "never".
    pub rul_p95_h: f64,
    /// Probability that there is no failure in sight at all.
    pub no_failure_probability: f64,
    /// When the degradation began.
    pub onset: Timestamp,
    /// Present value of the indicator at reference conditions, in the tag's unit.
    pub indicator: f64,
    /// Its failure limit, in the tag's unit.
    pub limit: f64,
}

/// Why there is no prognosis. An analytic refuses rather than guesses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The model of the healthy state is not finished.
    #[default]
    Learning,
    /// No tag of the asset declares a failure limit.
    NoFailureLimit,
    /// Nothing degrades.
    NoDegradation,
    /// Something degrades, but for too short a time to say how fast.
    TooFewPoints,
    /// The indicator is raised but does not rise.
    NoTrend,
    /// The asset does not run.
    NotRunning,
    /// The indicator is beyond its limit already.
    LimitExceeded,
}

impl Refusal {
    /// The reason in plain words, to stand after "no estimate:".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Learning => "still learning what healthy looks like",
            Self::NoFailureLimit => "no tag of this asset has a failure limit",
            Self::NoDegradation => "no degradation",
            Self::TooFewPoints => "degradation has just begun, too early to say how fast",
            Self::NoTrend => "raised, but not rising",
            Self::NotRunning => "not running",
            Self::LimitExceeded => "the failure limit is exceeded already",
        }
    }

    /// Stable code for the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Learning => "learning",
            Self::NoFailureLimit => "no_failure_limit",
            Self::NoDegradation => "no_degradation",
            Self::TooFewPoints => "too_few_points",
            Self::NoTrend => "no_trend",
            Self::NotRunning => "not_running",
            Self::LimitExceeded => "limit_exceeded",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// One point of an asset's health history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HealthReport {
    /// The asset.
    pub asset: AssetId,
    /// When.
    pub at: Timestamp,
    /// What to do about it.
    pub state: HealthState,
    /// How good it is.
    pub health: HealthIndex,
    /// How unusual it is.
    pub score: Score,
    /// How long there is, or why nobody can say.
    pub prognosis: Result<Prognosis, Refusal>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_model_is_loud() {
        assert_eq!(Score::saturating(f64::NAN).get().to_bits(), 1.0_f64.to_bits());
        assert_eq!(HealthIndex::saturating(f64::NAN).get().to_bits(), 0.0_f64.to_bits());
        assert_eq!(Score::from_ratio(f64::INFINITY).get().to_bits(), 1.0_f64.to_bits());
    }

    #[test]
    fn the_limit_is_half_way() {
        assert!((Score::from_ratio(1.0).get() - 0.5).abs() < 1e-12);
        assert!(Score::from_ratio(0.999) < Score::from_ratio(1.0));
    }
}
