//! Everything that is kept on disk: alarms, outbox and the engine's snapshot in `core.db`, where nothing that was
//! acknowledged may be lost, and history in `hist.db` and sealed Parquet segments, where the last commit interval may.
//!
//! The only package that knows SQL and polars. Each database has one writer connection and a few read-only ones.
//! Writes are transactions and must never be wrapped in a timeout or a `select!`: a cancelled sqlx future may have
//! executed nevertheless.

mod adoption;
mod alarms;
mod backup;
mod codes;
mod core;
mod database;
mod error;
mod files;
mod health;
mod history;
mod losses;
mod names;
mod options;
mod outbox;
mod raw;
mod reader;
mod records;
mod retention;
mod rollups;
mod sealing;
mod segments;
mod snapshot;
mod startup;
mod tag_history;
#[cfg(test)]
mod tests;
mod text;
mod transaction;

use std::path::Path;

pub use crate::{
    core::Core,
    error::StoreError,
    history::{History, Maintained},
    names::Names,
    options::StoreOptions,
    reader::Reader,
    records::{
        AlarmFilter, AlarmRecord, Class, CoreCommit, HealthPoint, HistoryBatch, Level, LossFilter,
        LossRecord, Maintenance, Mark, MarkKind, NamedContribution, NamedOperand, OutboxRow,
        OutboxStats, Outgoing, RulPoint, TagHistory,
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
    /// Opens, or makes, the databases in `dir`, and takes the directory for this process. Damaged files are moved aside;
    /// [`notices`](Self::notices) says so.
    ///
    /// # Errors
    /// [`StoreError::Directory`], [`StoreError::InUse`], [`StoreError::Newer`], [`StoreError::Full`] and others: the
    /// gateway cannot start, and a person must act.
    pub async fn open(dir: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let lock = files::lock_directory(dir)?;
        let mut notices = Vec::new();
        let core = startup::open(
            dir,
            &core::KIND,
            startup::Loss::SinceBackup,
            &lock,
            &options,
            &mut notices,
        );
        let core = core.await?;
        let history = startup::open(
            dir,
            &history::KIND,
            startup::Loss::History,
            &lock,
            &options,
            &mut notices,
        );
        let history = History::new(history.await?, options.clone()).await?;
        let newest = history.newest().await?;
        let core = Core::new(core.database, options, newest, &mut notices).await?;
        Ok(Self { core, history, notices })
    }

    /// Read-only access; cheap to clone, and good until the store is closed.
    pub fn reader(&self) -> Reader {
        let Self { core, history, .. } = self;
        Reader::new(core.database.clone(), history.database.clone(), history.segments.clone())
    }

    /// Waits for what is being written, empties the logs and closes the files. Clones and readers fail from then on.
    pub async fn close(self) {
        self.core.database.close().await;
        self.history.database.close().await;
    }
}
