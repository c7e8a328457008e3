//! The field's words as plain data: what the other packages hand to each other.
//!
//! Nothing here does I/O, reads a clock or decides anything; constructors only hold invariants. *Ids inside, names
//! outside*: within the process a tag is a [`TagId`], an index into the running [`Plant`]; on disk, on the wire and on
//! the screen it is its name. Every word and the standard it comes from stands in `docs/glossary.md`.

pub mod alarm;
pub mod certificate;
pub mod command;
pub mod configuration;
pub mod health;
pub mod loss;
pub mod plant;
pub mod reading;
pub mod status;
pub mod summary;
pub mod time;

pub use alarm::{
    Alarm, AlarmId, AlarmKind, AlarmState, Alert, Explanation, ExplanationCode, Operand, Priority,
    Transition,
};
pub use certificate::{Certificate, Trust};
pub use command::{Command, CommandError, Outcome};
pub use configuration::{
    ConfigApplied, ConfigDiff, ConfigOrigin, ConfigProblem, ConfigRefusal, ConfigText,
    ConfigVersion,
};
pub use health::{
    Contribution, HealthIndex, HealthReport, HealthState, Operation, Prognosis, Refusal, Score,
};
pub use loss::{GapStatus, Loss, LossCause};
pub use plant::{
    Asset, AssetId, AssetKind, AssetPath, Derived, Limit, Meaning, Plant, Range, Role, RunningWhen,
    Tag, TagId, WaveformFeature,
};
pub use reading::{Quality, Reading, Reason, Waveform};
pub use status::{
    AnomalyStatus, AssetStatus, ConnectorState, ConnectorStatus, Exchange, GatewayStatus,
    PlantStatus, StoreStatus, TagStatus, UnitStatus, UplinkStatus,
};
pub use summary::{Summary, TagSummary};
pub use time::{ParseTimestampError, Timestamp};
