//! Everything that is kept on disk: alarms, outbox and the engine's snapshot in `core.db`, where nothing that was
//! acknowledged may be lost, and history in `hist.db` and sealed Parquet segments, where the last commit interval may.
//!
//! The only package that knows SQL and polars. Each database has one writer connection and a few read-only ones.
//! Writes are transactions and must never be wrapped in a timeout or a `select!`: a cancelled sqlx future may have
//! executed nevertheless.

#![expect(dead_code, reason = "signatures first; the bodies follow")]

mod core;
mod error;
mod history;
mod names;
mod options;
mod reader;
mod records;

use std::path::Path;

pub use crate::{
    core::Core,
    error::StoreError,
    history::{History, Maintained},
    names::Names,
    options::StoreOptions,
    reader::Reader,
    records::{
        AlarmFilter, AlarmRecord, Class, CoreCommit, HealthPoint, HistoryBatch, Level, Maintenance,
        Mark, MarkKind, NamedContribution, NamedOperand, OutboxRow, OutboxStats, Outgoing,
        RulPoint, TagHistory,
    },
};

/// Both databases of one data directory.
#[derive(Debug)]
pub struct Store {
    /// What must not be lost.
    pub core: Core,
    /// What may be lost by a commit interval.
    pub history: History,
    /// What was found wrong at opening, what was done about it and what a person should do.
    pub notices: Vec<String>,
}

impl Store {
    /// Opens, or makes, the databases in `dir`.
    pub async fn open(_dir: &Path, _options: StoreOptions) -> Result<Self, StoreError> {
        Ok(Self { core: Core, history: History, notices: Vec::new() })
    }

    /// Read-only access; cheap to clone, and good until the store is closed.
    pub fn reader(&self) -> Reader {
        Reader
    }

    /// Writes everything out and closes the files.
    pub async fn close(self) {}
}
