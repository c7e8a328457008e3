//! What leaves the gateway about an asset while nothing is wrong: one summary a period.

use serde::{Deserialize, Serialize};

use crate::{AssetId, HealthIndex, HealthState, Prognosis, Refusal, Score, TagId, Timestamp};

/// One tag over one period.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TagSummary {
    /// The tag.
    pub tag: TagId,
    /// Good values in the period; the statistics are over these. 0: the statistics mean nothing.
    pub good: u64,
    /// All values in the period.
    pub total: u64,
    /// Lowest, in the tag's unit.
    pub min: f64,
    /// Mean.
    pub mean: f64,
    /// Highest.
    pub max: f64,
    /// Standard deviation.
    pub std_dev: f64,
}

/// One asset over one period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The asset.
    pub asset: AssetId,
    /// Beginning of the period.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// State at the end.
    pub state: HealthState,
    /// Lowest health in the period.
    pub health: HealthIndex,
    /// Highest anomaly score in the period.
    pub score: Score,
    /// Hours in operation during the period.
    pub running_h: f64,
    /// How long there is, or why nobody can say, at the end.
    pub prognosis: Result<Prognosis, Refusal>,
    /// Alarms raised in the period.
    pub alarms_raised: u32,
    /// Share of values that were good, `0..=1`.
    pub good_ratio: f64,
    /// By tag, waveforms left out.
    pub tags: Vec<TagSummary>,
}
