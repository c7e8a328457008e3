//! What connectors deliver (ISO 13374 block DA): values that never travel without quality and source time.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{TagId, Timestamp};

/// Severity and reason of a value, after the OPC UA status code severity (Part 4, 7.39).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Quality {
    /// May be shown, learnt from and sent as it is.
    Good,
    /// There is a value, but something speaks against it: shown with the reason, never learnt from.
    Uncertain(Reason),
    /// There is no usable value.
    Bad(Reason),
}

impl Quality {
    /// Whether the value may be learnt from and judged.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Good)
    }

    /// Why it is not good, if it is not.
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::Good => None,
            Self::Uncertain(reason) | Self::Bad(reason) => Some(reason),
        }
    }

    /// The severity alone, as it stands on the wire: `good`, `uncertain` or `bad`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Uncertain(_) => "uncertain",
            Self::Bad(_) => "bad",
        }
    }

    /// The worse of two.
    #[must_use]
    pub const fn worst(self, other: Self) -> Self {
        match (self, other) {
            (Self::Bad(_), _) | (Self::Uncertain(_), Self::Good | Self::Uncertain(_)) => self,
            _ => other,
        }
    }
}

/// Why a value is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The device refuses the address, the function or the node: a configuration error.
    Configuration,
    /// The device answers that it has failed.
    DeviceFailure,
    /// The device is busy; the next poll may succeed.
    DeviceBusy,
    /// The connection to the device is down.
    NotConnected,
    /// The device, or the unit behind a gateway, did not answer in time.
    Timeout,
    /// The sensor reports its own failure, or the value is a declared sentinel or not finite.
    SensorFailure,
    /// Outside the range the tag declares as plausible.
    OutOfRange,
    /// Has not changed for far longer than it ever did while healthy.
    Stuck,
    /// A lone value far from its neighbours on both sides.
    Spike,
    /// Has left what the other sensors of the asset imply, slowly and alone.
    Drifting,
    /// Older than the tag's staleness limit.
    Stale,
    /// The server says the value is uncertain and gives no reason we know.
    Unspecified,
}

impl Reason {
    /// The reason in plain words, to stand after "because".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Configuration => "the device does not know this address",
            Self::DeviceFailure => "the device reports a failure",
            Self::DeviceBusy => "the device is busy",
            Self::NotConnected => "the device is not connected",
            Self::Timeout => "the device does not answer",
            Self::SensorFailure => "the sensor reports a failure",
            Self::OutOfRange => "the value is outside its plausible range",
            Self::Stuck => "the value is stuck",
            Self::Spike => "the value is a lone spike",
            Self::Drifting => "the sensor drifts away from the others",
            Self::Stale => "the value is too old",
            Self::Unspecified => "the source calls it uncertain",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// One value of one tag.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Whose value.
    pub tag: TagId,
    /// Source time; arrival time where the source has none (Modbus).
    pub at: Timestamp,
    /// In the tag's unit, always finite; meaningless while `quality` is bad.
    pub value: f64,
    /// How far the value can be trusted.
    pub quality: Quality,
}

impl Reading {
    /// A reading of whatever the device gave: a value that is not finite becomes bad here, so that none passes.
    pub const fn new(tag: TagId, at: Timestamp, value: f64) -> Self {
        if value.is_finite() {
            Self { tag, at, value, quality: Quality::Good }
        } else {
            Self::bad(tag, at, Reason::SensorFailure)
        }
    }

    /// "There is no value, because …".
    pub const fn bad(tag: TagId, at: Timestamp, reason: Reason) -> Self {
        Self { tag, at, value: 0.0, quality: Quality::Bad(reason) }
    }
}

/// A burst of equidistant samples, such as a vibration waveform.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waveform {
    /// Whose burst.
    pub tag: TagId,
    /// Time of the first sample.
    pub at: Timestamp,
    /// Samples per second.
    pub sample_rate_hz: f64,
    /// In the tag's unit, all finite.
    pub samples: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_not_finite_is_bad() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let reading = Reading::new(TagId(0), Timestamp::default(), value);
            assert_eq!(reading.quality, Quality::Bad(Reason::SensorFailure));
            assert!(reading.value.is_finite());
        }
    }

    #[test]
    fn the_worse_quality_wins() {
        let uncertain = Quality::Uncertain(Reason::Stale);
        let bad = Quality::Bad(Reason::Timeout);
        assert_eq!(Quality::Good.worst(uncertain), uncertain);
        assert_eq!(uncertain.worst(Quality::Good), uncertain);
        assert_eq!(uncertain.worst(bad), bad);
        assert_eq!(bad.worst(uncertain), bad);
        assert_eq!(Quality::Good.worst(Quality::Good), Quality::Good);
    }
}
