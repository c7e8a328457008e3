//! Gaps in the data. Every gap is a record that says what is missing, from when to when, and why.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Plant, Reason, TagId, Timestamp};

/// A gap in the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The source whose data is missing, by name; empty for all sources at once.
    pub source: String,
    /// The tags whose data is missing; empty for all tags of the source.
    pub tags: Vec<TagId>,
    /// Beginning of the gap: the last usable reading before it, where there was one.
    pub from: Timestamp,
    /// End of the gap: the first usable reading after it.
    pub to: Timestamp,
    /// Why.
    pub cause: LossCause,
    /// How many readings were due in the gap; 0 where nobody can know.
    pub count: u64,
}

impl Loss {
    /// A gap of everything.
    pub const fn of_plant(from: Timestamp, to: Timestamp, cause: LossCause, count: u64) -> Self {
        Self { source: String::new(), tags: Vec::new(), from, to, cause, count }
    }

    /// Whether data of this tag is missing; a tag that is computed from a waveform is missing with the waveform.
    pub fn concerns(&self, plant: &Plant, tag: TagId) -> bool {
        let Some(known) = plant.tags.get(tag.index()) else { return false };
        let tag = known.derived.map_or(tag, |derived| derived.from);
        (self.source.is_empty() || self.source == known.source)
            && (self.tags.is_empty() || self.tags.contains(&tag))
    }
}

/// Why data is missing. In the order of how much is missing: where two causes hold at once, the later one is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossCause {
    /// The gateway was slower than the source.
    EngineBehind,
    /// The disk was slower than the gateway: raw history was thinned.
    StoreBehind,
    /// The server's own queue overflowed (OPC UA overflow bit).
    ServerOverflow,
    /// Nothing came when it was due, and the source gave no reason.
    Overdue,
    /// The device refuses the address, the function or the item.
    Refused,
    /// The device answers that it, or the sensor, has failed.
    DeviceFailure,
    /// The device, or the unit behind it, did not answer.
    Silent,
    /// The connection to the source was down.
    Disconnected,
    /// The gateway itself was not running.
    GatewayStopped,
}

impl LossCause {
    /// All, in order.
    pub const ALL: [Self; 9] = [
        Self::EngineBehind,
        Self::StoreBehind,
        Self::ServerOverflow,
        Self::Overdue,
        Self::Refused,
        Self::DeviceFailure,
        Self::Silent,
        Self::Disconnected,
        Self::GatewayStopped,
    ];

    /// Why there is a gap where a reading is bad.
    pub const fn of(reason: Reason) -> Self {
        match reason {
            Reason::NotConnected => Self::Disconnected,
            Reason::Timeout => Self::Silent,
            Reason::Configuration => Self::Refused,
            Reason::Stale => Self::Overdue,
            Reason::DeviceFailure
            | Reason::DeviceBusy
            | Reason::SensorFailure
            | Reason::OutOfRange
            | Reason::Stuck
            | Reason::Spike
            | Reason::Drifting
            | Reason::Unspecified => Self::DeviceFailure,
        }
    }

    /// Stable code for disk and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EngineBehind => "engine_behind",
            Self::StoreBehind => "store_behind",
            Self::ServerOverflow => "server_overflow",
            Self::Overdue => "overdue",
            Self::Refused => "refused",
            Self::DeviceFailure => "device_failure",
            Self::Silent => "silent",
            Self::Disconnected => "disconnected",
            Self::GatewayStopped => "gateway_stopped",
        }
    }

    /// The cause in plain words, to stand after "because".
    pub const fn words(self) -> &'static str {
        match self {
            Self::EngineBehind => "the gateway was slower than the source",
            Self::StoreBehind => "the disk was slower than the gateway",
            Self::ServerOverflow => "the server's queue overflowed",
            Self::Overdue => "nothing came when it was due",
            Self::Refused => "the device refuses the address or the item",
            Self::DeviceFailure => "the device or the sensor reports a failure",
            Self::Silent => "the device does not answer",
            Self::Disconnected => "the device is not connected",
            Self::GatewayStopped => "the gateway was not running",
        }
    }
}

impl fmt::Display for LossCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// The gaps as they stand now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GapStatus {
    /// Those that have not ended; `to` is the time of the status.
    pub open: Vec<Loss>,
    /// Those that have just ended and are not on disk yet.
    pub settling: Vec<Loss>,
    /// How many have been recorded since the process began, by cause; causes that never occurred are left out.
    pub recorded: Vec<(LossCause, u64)>,
    /// Tags whose source has sent the same source time several times in a row.
    pub repeating: Vec<TagId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_on_disk_are_those_of_serde() {
        for cause in LossCause::ALL {
            let words: Result<LossCause, serde::de::value::Error> =
                LossCause::deserialize(serde::de::value::StrDeserializer::new(cause.as_str()));
            assert_eq!(words, Ok(cause));
        }
        assert!(LossCause::ALL.is_sorted());
    }
}
