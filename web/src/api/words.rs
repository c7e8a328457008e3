//! The words and small shapes that several resources share, each a stable code of its own on the wire.

use std::fmt;

use bellwether_domain as domain;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// A time as RFC 3339 UTC with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, ToSchema)]
#[schema(value_type = String, format = DateTime, examples("2026-11-23T08:00:00.250Z"))]
pub(crate) struct Time(pub(crate) domain::Timestamp);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An enum of the domain as an enum of the wire, with the same words; the match makes a new variant a compile error.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $($variant:ident),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub(crate) enum $name { $($variant),+ }

        impl From<domain::$name> for $name {
            fn from(word: domain::$name) -> Self {
                match word { $(domain::$name::$variant => Self::$variant),+ }
            }
        }
    };
}

words! {
    /// What a person should do about an asset.
    HealthState: Unknown, Learning, Acceptable, Monitor, Plan, Act
}
words! {
    /// What the asset is doing.
    Operation: Unknown, Off, Transient, Steady
}
words! {
    /// What kind of machine.
    AssetKind: Pump, Fan, Motor, Gearbox, Spindle, Compressor, Machine
}
words! {
    /// What a tag tells about its asset.
    Role: Condition, Driver, Information
}
words! {
    /// What a source is doing.
    ConnectorState: Connecting, Connected, Degraded, BackingOff, Stopped
}
words! {
    /// What kind of condition an alarm is about.
    AlarmKind: MachineAnomaly, FailureLimit, SensorFault, NoData
}
words! {
    /// Where in its life an alarm is (ISA-18.2).
    AlarmState: Normal, UnackedAlarm, AckedAlarm, RtnUnacked
}
words! {
    /// How soon somebody must respond (ISA-18.2).
    Priority: Low, Medium, High
}
words! {
    /// Why data is missing.
    LossCause: EngineBehind, StoreBehind, ServerOverflow, Overdue, Refused, DeviceFailure, Silent,
        Disconnected, GatewayStopped
}
words! {
    /// Which sentence explains an alarm.
    ExplanationCode: UnlikeLearnt, BeyondLimit, SensorNotBelieved, DataMissing
}

/// How far a value can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Quality {
    Good,
    Uncertain,
    Bad,
}

impl From<domain::Quality> for Quality {
    fn from(quality: domain::Quality) -> Self {
        match quality {
            domain::Quality::Good => Self::Good,
            domain::Quality::Uncertain(_) => Self::Uncertain,
            domain::Quality::Bad(_) => Self::Bad,
        }
    }
}

/// One tag's part in an anomaly.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Contribution {
    /// Tag id.
    pub(crate) tag: String,
    /// The signal in words.
    pub(crate) signal: String,
    pub(crate) unit: String,
    /// Of the statistic, 0 to 1; all tags of the asset add up to 1.
    pub(crate) share: f64,
    pub(crate) actual: f64,
    /// In the present operating condition.
    pub(crate) expected: f64,
    /// Of actual around expected while healthy.
    pub(crate) expected_std_dev: f64,
}

/// A driver's value: the operating condition something is judged in.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Operand {
    /// Tag id.
    pub(crate) tag: String,
    /// The signal in words.
    pub(crate) signal: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
}

/// Contributions by name; a tag that the plant does not have (any more) is left out.
pub(crate) fn contributions(
    plant: &domain::Plant,
    list: &[domain::Contribution],
) -> Vec<Contribution> {
    list.iter()
        .filter_map(|part| {
            let tag = plant.tags.get(part.tag.index())?;
            Some(Contribution {
                tag: tag.name.clone(),
                signal: tag.signal(),
                unit: tag.unit.clone(),
                share: part.share,
                actual: part.actual,
                expected: part.expected,
                expected_std_dev: part.expected_std_dev,
            })
        })
        .collect()
}

/// Operands by name; a tag that the plant does not have (any more) is left out.
pub(crate) fn operands(plant: &domain::Plant, list: &[domain::Operand]) -> Vec<Operand> {
    list.iter()
        .filter_map(|operand| {
            let tag = plant.tags.get(operand.tag.index())?;
            Some(Operand {
                tag: tag.name.clone(),
                signal: tag.signal(),
                value: operand.value,
                unit: tag.unit.clone(),
            })
        })
        .collect()
}

/// An asset's id in addresses: its path with dots, because a slash would have to be escaped.
pub(crate) fn asset_id(path: &str) -> String {
    path.replace('/', ".")
}

/// Infinite and not-a-number have no JSON form; null says the same.
pub(crate) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_on_the_wire_are_those_of_the_domain() {
        #[track_caller]
        fn check(word: impl Serialize, expected: &str) {
            assert_eq!(serde_json::to_value(word).unwrap(), expected);
        }
        for state in [domain::HealthState::Unknown, domain::HealthState::Act] {
            check(HealthState::from(state), state.as_str());
        }
        for state in [domain::AlarmState::UnackedAlarm, domain::AlarmState::RtnUnacked] {
            check(AlarmState::from(state), state.as_str());
        }
        for kind in [domain::AlarmKind::MachineAnomaly, domain::AlarmKind::NoData] {
            check(AlarmKind::from(kind), kind.as_str());
        }
        check(
            ConnectorState::from(domain::ConnectorState::BackingOff),
            domain::ConnectorState::BackingOff.as_str(),
        );
        check(Priority::from(domain::Priority::High), domain::Priority::High.as_str());
        check(Time(domain::Timestamp::from_millis(1)), "1970-01-01T00:00:00.001Z");
    }
}
