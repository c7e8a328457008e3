//! Opening a database whatever state it is in: a damaged file is moved to `quarantine/<name>.<µs>` and the gateway
//! starts with a backup or a new one, and says so.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bellwether_domain::Timestamp;
use tracing::warn;

use crate::{
    StoreError, StoreOptions, backup,
    database::{Database, Kind},
    files::{DirectoryLock, remove_if_there, size_of, sync_directory_of, with_suffix},
};

/// A larger file is looked through by the first maintenance job instead, before that deletes anything: the gateway must
/// be ready within 0.3 s.
pub(crate) const CHECK_AT_ONCE_BYTES: u64 = 32 << 20;

/// What a damaged file means to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// There are backups; what happened since the newest is lost.
    SinceBackup,
    /// Nothing but old data is lost.
    History,
}

/// An open database and how it came to be.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) database: Database,
    /// The whole file has been looked through.
    pub(crate) is_checked: bool,
    /// There was no file, or a damaged one.
    pub(crate) is_new: bool,
}

/// Opens a database; moves a damaged one aside first.
pub(crate) async fn open(
    dir: &Path,
    kind: &Kind,
    loss: Loss,
    lock: &DirectoryLock,
    options: &StoreOptions,
    notices: &mut Vec<String>,
) -> Result<Opened, StoreError> {
    let path = dir.join(kind.file);
    let existed = path.exists();
    let error = match attempt(dir, kind, loss, lock, options).await {
        Ok((database, is_checked)) => return Ok(Opened { database, is_checked, is_new: !existed }),
        Err(error @ StoreError::Damaged { .. }) => error,
        Err(error) => return Err(error),
    };
    let moved = quarantine(dir, kind.file, options.opened_at)
        .map_err(|source| StoreError::from_io(&path, "a damaged file was moved aside", source))?;
    let backup = match loss {
        Loss::SinceBackup => backup::restore(&path).await?,
        Loss::History => None,
    };
    let notice = notice(kind.file, loss, &error, &moved, backup.as_deref());
    warn!(file = kind.file, moved = %moved.display(), "a damaged database was moved aside");
    notices.push(notice);
    let (database, is_checked) = attempt(dir, kind, loss, lock, options).await?;
    Ok(Opened { database, is_checked, is_new: backup.is_none() })
}

async fn attempt(
    dir: &Path,
    kind: &Kind,
    loss: Loss,
    lock: &DirectoryLock,
    options: &StoreOptions,
) -> Result<(Database, bool), StoreError> {
    let path = dir.join(kind.file);
    let suspicion = suspicion(&path);
    let is_due =
        loss == Loss::SinceBackup || suspicion.exists() || size_of(&path) <= CHECK_AT_ONCE_BYTES;
    let database = Database::open(dir, kind, lock, options).await?;
    if is_due {
        if let Err(error) = database.quick_check().await {
            database.close().await;
            return Err(error);
        }
        remove_if_there(&suspicion)
            .map_err(|source| StoreError::from_io(&suspicion, "it was opened", source))?;
    }
    Ok((database, is_due))
}

/// Remembers that a file was found damaged while in use, so that the next start looks at it however large it is.
pub(crate) fn suspect(path: &Path) {
    if let Err(error) = fs::write(suspicion(path), b"") {
        warn!(%error, path = %path.display(), "cannot remember that a database is damaged");
    }
}

fn suspicion(path: &Path) -> PathBuf {
    with_suffix(path, ".suspect")
}

/// Moves the file, its log and its index aside. Only the newest damaged file of each name is kept.
fn quarantine(dir: &Path, file: &str, now: Timestamp) -> io::Result<PathBuf> {
    let directory = dir.join("quarantine");
    fs::create_dir_all(&directory)?;
    for entry in fs::read_dir(&directory)? {
        let entry = entry?;
        let is_older = entry.file_name().to_str().is_some_and(|name| name.starts_with(file));
        if is_older {
            fs::remove_file(entry.path())?;
        }
    }
    let path = dir.join(file);
    let moved = directory.join(format!("{file}.{}", now.as_micros()));
    for suffix in ["", "-wal", "-shm"] {
        match fs::rename(with_suffix(&path, suffix), with_suffix(&moved, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    sync_directory_of(&path)?;
    sync_directory_of(&moved)?;
    Ok(moved)
}

fn notice(
    file: &str,
    loss: Loss,
    error: &StoreError,
    moved: &Path,
    backup: Option<&Path>,
) -> String {
    let cause =
        std::error::Error::source(error).map_or_else(String::new, |cause| format!(" ({cause})"));
    let moved = moved.display();
    let lost = match (loss, backup) {
        (Loss::History, _) => {
            "a new one was begun: charts begin anew, except for sealed raw history".to_owned()
        }
        (Loss::SinceBackup, Some(backup)) => format!(
            "ALARM RECORDS SINCE THE LAST BACKUP ARE LOST: {} was restored; messages that were waiting may be lost or \
             sent again",
            backup.display()
        ),
        (Loss::SinceBackup, None) => {
            "ALARM HISTORY, WAITING MESSAGES AND WHAT WAS LEARNT ARE LOST: there is no \
             undamaged backup, a new one was begun"
                .to_owned()
        }
    };
    format!(
        "{file} was damaged{cause}; {lost}. The damaged file is kept as {moved}: check the disk, then delete it"
    )
}
