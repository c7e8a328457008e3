//! Alarms by ISA-18.2 / IEC 62682: the living record, and the immutable alert about each of its transitions.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{AssetId, Contribution, HealthState, TagId, Timestamp};

/// Identity of one occurrence of an alarm: unique on this gateway, rising with time.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct AlarmId(pub u64);

impl fmt::Display for AlarmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What kind of condition. There is at most one open alarm per asset, kind and tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmKind {
    /// The machine behaves unlike what was learnt.
    MachineAnomaly,
    /// A tag is beyond its declared failure limit.
    FailureLimit,
    /// A sensor is not to be believed; the machine is not judged by it.
    SensorFault,
    /// No data arrives.
    NoData,
}

impl AlarmKind {
    /// Stable code for disk, wire and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MachineAnomaly => "machine_anomaly",
            Self::FailureLimit => "failure_limit",
            Self::SensorFault => "sensor_fault",
            Self::NoData => "no_data",
        }
    }

    /// Whether it says something about the machine rather than about its instrumentation.
    pub const fn is_about_machine(self) -> bool {
        matches!(self, Self::MachineAnomaly | Self::FailureLimit)
    }
}

/// ISA-18.2 state.
///
/// ```text
///            raise                acknowledge
///  Normal ───────────▶ UnackedAlarm ───────────▶ AckedAlarm
///    ▲  ▲                 │     ▲                    │
///    │  │    return       ▼     │ raise              │ return
///    │  └───────────── RtnUnacked                    │
///    │   acknowledge                                 │
///    └───────────────────────────────────────────────┘
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmState {
    /// No alarm.
    #[default]
    Normal,
    /// The condition holds; nobody has acknowledged it.
    UnackedAlarm,
    /// The condition holds; somebody has acknowledged it.
    AckedAlarm,
    /// The condition is over; nobody has acknowledged it.
    RtnUnacked,
}

impl AlarmState {
    /// Stable code for disk, wire and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::UnackedAlarm => "unacked_alarm",
            Self::AckedAlarm => "acked_alarm",
            Self::RtnUnacked => "rtn_unacked",
        }
    }

    /// Whether its condition holds, seen or not. Alarms in such a state are what every *number* of active alarms counts;
    /// one that has returned and was not acknowledged stands on the list, but is not counted.
    pub const fn is_standing(self) -> bool {
        matches!(self, Self::UnackedAlarm | Self::AckedAlarm)
    }

    /// Whether it still stands on the list of active alarms.
    pub const fn is_active(self) -> bool {
        !matches!(self, Self::Normal)
    }
}

/// How soon somebody must respond (ISA-18.2 priority).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// At the next opportunity.
    Low,
    /// This week.
    Medium,
    /// Now.
    High,
}

impl Priority {
    /// Stable code for disk, wire and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// What kind of sentence explains an alarm; with the other fields it can be rendered in any language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExplanationCode {
    /// Actual against expected, with contributions.
    UnlikeLearnt,
    /// Actual against the failure limit.
    BeyondLimit,
    /// The sensor, and what is wrong with it.
    SensorNotBelieved,
    /// Since when there is no data, and why.
    DataMissing,
}

/// A driver's value at the time, for "at load 80 %".
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operand {
    /// The driver tag.
    pub tag: TagId,
    /// Its value, in the tag's unit.
    pub value: f64,
}

/// Why there is an alarm, in data and in one plain sentence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Which sentence.
    pub code: ExplanationCode,
    /// The sentence in English.
    pub sentence: String,
    /// The operating condition at the time.
    pub condition: Vec<Operand>,
    /// The largest contributions, largest first; at most three.
    pub contributions: Vec<Contribution>,
}

/// The living record of one occurrence of an alarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// Which occurrence.
    pub id: AlarmId,
    /// The asset it is about.
    pub asset: AssetId,
    /// The one tag it is about, if it is about one.
    pub tag: Option<TagId>,
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
    /// When the condition went away, if it has.
    pub returned_at: Option<Timestamp>,
    /// When somebody acknowledged it, if somebody has.
    pub acked_at: Option<Timestamp>,
    /// Who did.
    pub acked_by: Option<String>,
    /// Why, as of the last change.
    pub explanation: Explanation,
}

/// What has just happened to an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transition {
    /// The condition has begun.
    Raised,
    /// Somebody has seen it.
    Acknowledged,
    /// The condition is over.
    Returned,
    /// The asset's state has become worse or better while the alarm stands.
    Updated,
}

impl Transition {
    /// Stable code for disk, wire and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Acknowledged => "acknowledged",
            Self::Returned => "returned",
            Self::Updated => "updated",
        }
    }
}

/// The immutable message about one transition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub transition: Transition,
    /// The alarm as it is after the transition.
    pub alarm: Alarm,
}
