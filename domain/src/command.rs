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
