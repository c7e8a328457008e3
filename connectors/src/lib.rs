//! Data acquisition (ISO 13374 block DA): Modbus and OPC UA sessions that turn a device's answers into readings with
//! quality and time.
//!
//! The laws: a session ends in exactly one way, with a [`SessionError`], and its caller decides what is next; nothing
//! here waits for the engine ([`Sink::offer`] never blocks); nothing here writes to a device, read services only; no
//! value that is not finite passes. Nothing here spawns a task or reads the clock: plant time comes from [`Now`].

use std::sync::Arc;

use bellwether_domain::{Meaning, Role, Timestamp};

mod backoff;
mod error;
pub mod modbus;
pub mod opcua;
mod sink;
mod status;

pub use backoff::Backoff;
pub use error::SessionError;
pub use sink::{Batch, Sink};
pub use status::StatusCell;

/// Where plant time comes from.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What the configuration says about a tag, whatever protocol it is read with.
#[derive(Clone, Debug, PartialEq)]
pub struct TagMeta {
    /// Unique in the plant.
    pub name: String,
    /// Path of the asset it observes, as written: `area/work_center/work_unit`.
    pub asset: String,
    /// UCUM text; empty for a bare number.
    pub unit: String,
    /// Plausible range `[low, high]`, in the tag's unit.
    pub range: Option<[f64; 2]>,
    /// What it tells about its asset.
    pub role: Role,
    /// What its number stands for.
    pub meaning: Meaning,
    /// The asset has failed when the tag is above this, in the tag's unit.
    pub failure_above: Option<f64>,
    /// The asset has failed when the tag is below this, in the tag's unit.
    pub failure_below: Option<f64>,
    /// Set if the tag carries bursts of samples.
    pub waveform: Option<WaveformMeta>,
}

/// What the configuration says about a waveform tag.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WaveformMeta {
    /// Samples per second.
    pub sample_rate_hz: f64,
    /// Wall time from one burst to the next, in milliseconds.
    pub period_ms: u64,
}
