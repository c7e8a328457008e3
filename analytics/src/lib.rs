//! From readings to alarms: the processing blocks of ISO 13374 behind one door, [`Engine::step`].
//!
//! | block | question | where |
//! |---|---|---|
//! | DM data manipulation | which values can be believed, and what is the machine doing? | `features/` |
//! | SD state detection | how unlike what was learnt is it? | `detection/` |
//! | HA health assessment | how good is it, in one number and one word? | `health.rs` |
//! | PA prognostic assessment | how long is there? | `prognosis/` |
//! | AG advisory generation | who must know what, in one sentence? | `advisory/` |
//!
//! The law of this package: no I/O, no clock, no threads, no randomness, no failure. The same inputs give the same
//! outputs, bit for bit; a [`Snapshot`] holds everything that must outlive a restart.

mod advisory;
mod asset;
mod config;
mod detection;
mod engine;
mod features;
mod health;
#[cfg(test)]
mod noise;
mod prognosis;
mod snapshot;

pub use config::AnalyticsConfig;
pub use engine::{Engine, Input, Output};
pub use features::statistics::waveform_feature;
pub use snapshot::{Snapshot, is_learning_kept};
