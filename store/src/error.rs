//! What can go wrong with the disk: what happened, to what, and what to do.

use std::{io, path::PathBuf, time::Duration};

use sqlx::migrate::MigrateError;

/// Why the store could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The data directory is missing and cannot be made, is no directory, or may not be written.
    #[error(
        "data directory {} cannot be used: give the gateway's user a directory it may write to", path.display()
    )]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another process has it.
    #[error(
        "data directory {} is in use by another gateway: stop that one, or give this one a directory of its own",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The file has tables that this version does not know.
    #[error(
        "{file} was written by a newer version of Bellwether: install that version again, or move the file away"
    )]
    Newer {
        /// Name of the database file.
        file: &'static str,
    },
    /// `SQLITE_FULL`, or no space for a file.
    #[error(
        "no space left for {file} while {doing}: free space on its disk or lower the history budget"
    )]
    Full {
        /// Name of the file.
        file: &'static str,
        /// What was being done.
        doing: &'static str,
        /// What SQLite or the operating system said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// `SQLITE_READONLY`, `SQLITE_CANTOPEN`, or the same for a file.
    #[error(
        "{file} cannot be written while {doing}: give the gateway's user write access to it and its directory"
    )]
    ReadOnly {
        /// Name of the file.
        file: &'static str,
        /// What was being done.
        doing: &'static str,
        /// What SQLite said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// `SQLITE_BUSY` after the whole waiting time.
    #[error("{file} stayed locked while {doing}: close the other program that has it open")]
    Locked {
        /// Name of the database file.
        file: &'static str,
        /// What was being done.
        doing: &'static str,
        /// What SQLite said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// `SQLITE_CORRUPT` or `SQLITE_NOTADB`.
    #[error(
        "{file} is damaged, found while {doing}: restart the gateway, which moves it aside and goes on"
    )]
    Damaged {
        /// Name of the database file.
        file: &'static str,
        /// What was being done.
        doing: &'static str,
        /// What SQLite or the check said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Anything else that SQLite says.
    #[error("{file} failed while {doing}: see the cause; if it stays, restart the gateway")]
    Sql {
        /// Name of the database file.
        file: &'static str,
        /// What was being done.
        doing: &'static str,
        /// What SQLite said.
        source: sqlx::Error,
    },
    /// A file beside the databases: segment, backup or quarantine.
    #[error("cannot use {} while {doing}: check the directory's disk and permissions", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// A sealed segment cannot be written or read.
    #[error("segment {} cannot be used: {reason}; its stretch of raw history is shown from rollups", path.display())]
    Segment {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A read took too long.
    #[error("{doing} took longer than {limit:?}: ask for a shorter stretch of time")]
    Slow {
        /// What was being done.
        doing: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// The SQLite that was linked has the WAL-reset bug.
    #[error("SQLite {version} can damage databases: build with SQLite 3.51.3 or newer")]
    OldSqlite {
        /// What `sqlite_version()` says.
        version: String,
    },
    /// Work on a blocking thread ended without a result.
    #[error("{doing} ended abruptly: restart the gateway if it stays so")]
    Aborted {
        /// What was being done.
        doing: &'static str,
    },
}

impl StoreError {
    /// Whether trying the same again later can succeed without anybody doing something to the gateway itself.
    pub const fn is_permanent(&self) -> bool {
        matches!(
            self,
            Self::Directory { .. }
                | Self::InUse { .. }
                | Self::Newer { .. }
                | Self::Damaged { .. }
                | Self::OldSqlite { .. }
        )
    }

    /// What SQLite's result code means for `file`.
    pub(crate) fn from_sql(file: &'static str, doing: &'static str, error: sqlx::Error) -> Self {
        // https://www.sqlite.org/rescode.html: the low byte is the primary code.
        match primary_code(&error) {
            Some(5 | 6) => Self::Locked { file, doing, source: error.into() },
            Some(8 | 14) => Self::ReadOnly { file, doing, source: error.into() },
            Some(11 | 26) => Self::Damaged { file, doing, source: error.into() },
            None if matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) => {
                Self::Damaged { file, doing, source: error.into() }
            }
            Some(13) => Self::Full { file, doing, source: error.into() },
            _ => Self::Sql { file, doing, source: error },
        }
    }

    /// What went wrong while the tables of `file` were brought up to date.
    pub(crate) fn from_migration(file: &'static str, error: MigrateError) -> Self {
        let doing = "its tables were brought up to date";
        match error {
            MigrateError::VersionMissing(_) => Self::Newer { file },
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                match Self::from_sql(file, doing, error) {
                    // The statements are ours and tested, so an odd answer means an odd file.
                    Self::Sql { source, .. } => {
                        Self::Damaged { file, doing, source: source.into() }
                    }
                    other => other,
                }
            }
            other => Self::Damaged { file, doing, source: other.into() },
        }
    }

    /// What the operating system's answer means for a file beside the databases.
    pub(crate) fn from_io(
        path: impl Into<PathBuf>,
        doing: &'static str,
        source: io::Error,
    ) -> Self {
        if source.kind() == io::ErrorKind::StorageFull {
            return Self::Full { file: "a file", doing, source: source.into() };
        }
        Self::File { path: path.into(), doing, source }
    }
}

fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}
