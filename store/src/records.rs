//! What goes in and comes out, by name instead of by id: plain data.

use std::time::Duration;

use bellwether_domain::{
    AlarmId, AlarmKind, AlarmState, Alert, ExplanationCode, HealthReport, HealthState, Loss,
    LossCause, Priority, Quality, Reading, Timestamp,
};
use serde::{Deserialize, Serialize};

/// What must be on disk before anybody is told: one transaction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CoreCommit {
    /// Plant time of the commit.
    pub at: Timestamp,
    /// Transitions of alarms: each updates its alarm's record and adds a line to the journal.
    pub alerts: Vec<Alert>,
    /// Messages for the uplinks.
    pub outgoing: Vec<Outgoing>,
    /// Repairs that somebody reported.
    pub maintenance: Vec<Maintenance>,
    /// The engine's state after these transitions, so that after a restart it knows of the same alarms.
    pub snapshot: Option<Vec<u8>>,
}

/// Which messages go first and which may be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Goes first, is never dropped.
    Alert,
    /// Goes after all alerts; the oldest are dropped, and counted, when too many wait.
    Summary,
}

/// A message for one uplink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Name of the uplink.
    pub uplink: String,
    /// How important.
    pub class: Class,
    /// Which numbered stream it belongs to. All messages of a stream have one class, or they would overtake each other.
    pub stream: String,
    /// MQTT topic, or what the uplink has in its place.
    pub topic: String,
    /// When what it says happened.
    pub at: Timestamp,
    /// A JSON object as text.
    pub body: String,
}

/// A message that waits for its acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// What to acknowledge.
    pub id: i64,
    /// How important.
    pub class: Class,
    /// Which numbered stream it belongs to.
    pub stream: String,
    /// Changes when numbering starts anew, because `core.db` was lost or restored.
    pub epoch: String,
    /// Number in the stream of this epoch, from 1, without holes; never used twice.
    pub sequence: u64,
    /// MQTT topic.
    pub topic: String,
    /// When what it says happened.
    pub at: Timestamp,
    /// A JSON object as text.
    pub body: String,
    /// The body was made by the store and says which messages of the stream were dropped because too many waited:
    /// `{"gap":{"count":12,"first_sequence":5,"last_sequence":16,"from":"…","to":"…"}}`.
    pub is_gap: bool,
}

/// What waits for one uplink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxStats {
    /// Messages.
    pub rows: u64,
    /// Bytes of topic and body.
    pub bytes: u64,
    /// Time of the oldest message.
    pub oldest: Option<Timestamp>,
}

/// "This asset has been repaired."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maintenance {
    /// Path of the asset.
    pub asset: String,
    /// When.
    pub at: Timestamp,
    /// Who said so.
    pub actor: String,
    /// What was done; may be empty.
    pub note: String,
}

/// What may be lost by at most one commit interval: one transaction every five seconds or so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistoryBatch {
    /// Values of tags. A second value of the same tag and time replaces the first.
    pub readings: Vec<Reading>,
    /// Points of health history.
    pub health: Vec<HealthReport>,
    /// Gaps in the data that have ended.
    pub losses: Vec<Loss>,
    /// Gaps that last, in place of those written before; nothing changes if absent. Should the process end without
    /// warning, they count as ended at their `to`.
    pub open_losses: Option<Vec<Loss>>,
}

/// Which gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LossFilter {
    /// Those that have ended at this time or later.
    pub from: Timestamp,
    /// Those that have begun at this time or earlier.
    pub to: Timestamp,
    /// Only those that concern this source; gaps of the whole plant concern every source.
    pub source: Option<String>,
    /// Only those that concern this tag; `source` must then be the tag's.
    pub tag: Option<String>,
}

/// A gap as it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LossRecord {
    /// The source; empty for all sources.
    pub source: String,
    /// The first hundred tags concerned; empty for all tags of the source.
    pub tags: Vec<String>,
    /// How many tags are concerned; 0 for all tags of the source.
    pub tag_count: usize,
    /// Beginning of the gap.
    pub from: Timestamp,
    /// End of the gap.
    pub to: Timestamp,
    /// Why.
    pub cause: LossCause,
    /// How many readings were due; 0 where nobody can know.
    pub count: u64,
    /// When it was filled from the source's own history.
    pub filled_at: Option<Timestamp>,
}

/// Where the points of a tag's history come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Single readings, or buckets made of them.
    Raw,
    /// Buckets of ten seconds.
    TenSeconds,
    /// Buckets of a minute.
    Minute,
    /// Buckets of ten minutes.
    TenMinutes,
    /// Buckets of an hour, or several of them together.
    Hour,
}

impl Level {
    /// The rollups, finest first.
    pub const ROLLUPS: [Self; 4] = [Self::TenSeconds, Self::Minute, Self::TenMinutes, Self::Hour];

    /// Stable code for the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::TenSeconds => "10s",
            Self::Minute => "1min",
            Self::TenMinutes => "10min",
            Self::Hour => "1h",
        }
    }

    /// Width of a bucket; zero for raw readings.
    pub const fn width(self) -> Duration {
        Duration::from_secs(self.seconds().unsigned_abs())
    }

    /// Width of a bucket in seconds, which is also its code on disk.
    pub(crate) const fn seconds(self) -> i64 {
        match self {
            Self::Raw => 0,
            Self::TenSeconds => 10,
            Self::Minute => 60,
            Self::TenMinutes => 600,
            Self::Hour => 3_600,
        }
    }

    pub(crate) const fn width_us(self) -> i64 {
        self.seconds() * 1_000_000
    }
}

/// A tag over time, in columns of equal length, oldest first. Lowest and highest value of each bucket are kept, so that no
/// spike disappears. A bucket without usable value has `None`; one such point also stands in every stretch without data,
/// so that a chart shows the gap.
#[derive(Clone, Debug, PartialEq)]
pub struct TagHistory {
    /// Where the points come from.
    pub level: Level,
    /// Width of a bucket; zero where each point is one reading.
    pub bucket: Duration,
    /// Time of the reading, or beginning of the bucket.
    pub at: Vec<Timestamp>,
    /// Lowest usable value, in the tag's unit.
    pub min: Vec<Option<f64>>,
    /// Highest usable value, in the tag's unit.
    pub max: Vec<Option<f64>>,
    /// Mean of the usable values, in the tag's unit.
    pub mean: Vec<Option<f64>>,
    /// Worst quality in the bucket.
    pub quality: Vec<Quality>,
}

impl TagHistory {
    /// Nothing known.
    pub const fn empty(level: Level) -> Self {
        Self {
            level,
            bucket: Duration::ZERO,
            at: Vec::new(),
            min: Vec::new(),
            max: Vec::new(),
            mean: Vec::new(),
            quality: Vec::new(),
        }
    }
}

/// An asset's health at one time, or over one bucket of time: then the worst of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HealthPoint {
    /// When; the end of the bucket.
    pub at: Timestamp,
    /// Lowest health index, `0..=1`.
    pub health: f64,
    /// Highest anomaly score, `0..=1`.
    pub score: f64,
    /// Worst state.
    pub state: HealthState,
    /// Remaining useful life at the end, if there was a prognosis.
    pub rul: Option<RulPoint>,
}

/// Remaining useful life in hours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RulPoint {
    /// 5th percentile.
    pub p05_h: f64,
    /// Median.
    pub p50_h: f64,
    /// 95th percentile; infinite if that much mass lies at "never".
    pub p95_h: f64,
    /// Probability that there is no failure in sight.
    pub no_failure_probability: f64,
}

/// Which alarms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlarmFilter {
    /// Only those that still stand.
    pub active_only: bool,
    /// Only those of the asset with this path.
    pub asset: Option<String>,
}

/// An alarm as it was last written.
#[derive(Clone, Debug, PartialEq)]
pub struct AlarmRecord {
    /// Which occurrence.
    pub id: AlarmId,
    /// Path of the asset.
    pub asset: String,
    /// The tag it is about, if it is about one.
    pub tag: Option<String>,
    /// What kind of condition.
    pub kind: AlarmKind,
    /// Where in its life it is.
    pub state: AlarmState,
    /// How soon somebody must respond.
    pub priority: Priority,
    /// The asset's state when it was last changed.
    pub severity: HealthState,
    /// When it was raised.
    pub raised_at: Timestamp,
    /// When the condition went away.
    pub returned_at: Option<Timestamp>,
    /// When somebody acknowledged it.
    pub acked_at: Option<Timestamp>,
    /// Who did.
    pub acked_by: Option<String>,
    /// Which sentence.
    pub code: ExplanationCode,
    /// The sentence.
    pub sentence: String,
    /// The operating condition at the time.
    pub condition: Vec<NamedOperand>,
    /// The largest contributions, largest first.
    pub contributions: Vec<NamedContribution>,
}

/// A driver's value at the time of an alarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedOperand {
    /// Name of the driver tag.
    pub tag: String,
    /// Its value, in the tag's unit.
    pub value: f64,
}

/// One tag's part in an alarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedContribution {
    /// Name of the tag.
    pub tag: String,
    /// Its share of the statistic, `0..=1`.
    pub share: f64,
    /// Smoothed actual value, in the tag's unit.
    pub actual: f64,
    /// What the model expected, in the tag's unit.
    pub expected: f64,
    /// Standard deviation of actual around expected while healthy, in the tag's unit.
    pub expected_std_dev: f64,
}

/// What a mark on a chart means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MarkKind {
    /// An alarm was raised.
    Alarm,
    /// Its condition went away.
    Returned,
    /// The asset was repaired.
    Repair,
}

impl MarkKind {
    /// Stable code for the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alarm => "alarm",
            Self::Returned => "returned",
            Self::Repair => "repair",
        }
    }
}

/// A mark on an asset's charts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: MarkKind,
    /// In words.
    pub text: String,
}
