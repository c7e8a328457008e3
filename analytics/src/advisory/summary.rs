//! AG, summaries: what leaves the gateway while nothing is wrong. One per asset and period.

use bellwether_domain::{HealthIndex, Operation, Score, TagId, TagSummary, Timestamp};
use serde::{Deserialize, Serialize};

use crate::features::statistics::Moments;

/// What one tag has delivered in the open period.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) good: Moments,
    pub(crate) total: u64,
}

impl Tally {
    /// The statistics for the wire.
    pub(crate) fn summary(&self, tag: TagId) -> TagSummary {
        TagSummary {
            tag,
            good: self.good.count,
            total: self.total.max(self.good.count),
            min: self.good.min,
            mean: self.good.mean,
            max: self.good.max,
            std_dev: self.good.std_dev(),
        }
    }
}

/// What one asset has done in the open period.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct OpenPeriod {
    pub(crate) from: Option<Timestamp>,
    pub(crate) lowest_health: HealthIndex,
    pub(crate) highest_score: Score,
    pub(crate) running_s: f64,
    pub(crate) alarms_raised: u32,
    last: Option<Timestamp>,
}

impl OpenPeriod {
    /// A period that begins with the first call of [`Self::pass`].
    pub(crate) const fn new() -> Self {
        Self {
            from: None,
            lowest_health: HealthIndex::FULL,
            highest_score: Score::ORDINARY,
            running_s: 0.0,
            alarms_raised: 0,
            last: None,
        }
    }

    /// The next period, from here on.
    pub(crate) const fn restart(&mut self, at: Timestamp) {
        *self = Self { from: Some(at), last: Some(at), ..Self::new() };
    }

    /// Time has passed in this operation.
    pub(crate) fn pass(&mut self, now: Timestamp, operation: Operation) {
        self.from.get_or_insert(now);
        if let Some(last) = self.last.replace(now)
            && matches!(operation, Operation::Steady | Operation::Transient)
        {
            self.running_s += now.since(last).as_secs_f64();
        }
    }

    /// Keeps the worst of the period.
    pub(crate) fn note(&mut self, health: HealthIndex, score: Score) {
        if health < self.lowest_health {
            self.lowest_health = health;
        }
        if score > self.highest_score {
            self.highest_score = score;
        }
    }
}
