//! The daemon as a library, so that tests can boot it. Wiring only: what it does is in the packages it wires.

pub mod acquisition;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod configuration;
pub mod gaps;
pub mod northbound;
pub mod pump;
mod security;
pub mod sources;
pub mod status;
pub mod systemd;
pub mod tasks;
pub mod telemetry;
pub mod upkeep;
pub mod writer;
