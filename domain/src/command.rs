//! What a person asks the engine to do.

use serde::{Deserialize, Serialize};

use crate::{AlarmId, AssetId};

/// A person's request, from the dashboard or (later) from SCADA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// "I have seen these alarms."
    Acknowledge {
        /// Which.
        alarms: Vec<AlarmId>,
        /// Who; never empty.
        actor: String,
    },
    /// "This asset has been repaired": its degradation history begins anew, what healthy looks like stays.
    MaintenanceDone {
        /// Which asset.
        asset: AssetId,
        /// Who; never empty.
        actor: String,
        /// What was done, in the person's words; may be empty.
        note: String,
    },
}

/// What has become of the alarms of an acknowledgement. Empty for other commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Now acknowledged.
    pub acknowledged: Vec<AlarmId>,
    /// Acknowledged before, by whomever.
    pub already: Vec<AlarmId>,
    /// Not on the list of active alarms.
    pub unknown: Vec<AlarmId>,
}

/// Why a command had no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum CommandError {
    /// There is no such alarm on the active list.
    #[error("alarm {0} is not active: reload the list of alarms")]
    AlarmNotActive(AlarmId),
    /// Nobody is named.
    #[error("an acknowledgement needs a name: fill in `actor`")]
    ActorMissing,
}
