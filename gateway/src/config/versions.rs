//! The last versions of the configuration, each a file of its own in `<data_dir>/config/`, so that a person can go back.
//! A name says all there is to know: `000012-1795420800000000-api.toml` is version 12, in force since that microsecond.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use bellwether_domain::{ConfigOrigin, ConfigVersion, Timestamp};

/// Versions kept; when another one comes the oldest goes.
pub const KEPT: usize = 20;

/// The folder of versions.
#[derive(Clone, Debug)]
pub struct Versions {
    dir: PathBuf,
}

impl Versions {
    /// The versions below this data directory.
    pub fn new(data_dir: &Path) -> Self {
        Self { dir: data_dir.join("config") }
    }

    /// All versions, newest first. Files with other names are none of ours.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn list(&self) -> io::Result<Vec<ConfigVersion>> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut versions = Vec::new();
        for entry in entries {
            let entry = entry?;
            if let Some(version) = entry.file_name().to_str().and_then(parse) {
                versions.push(ConfigVersion { bytes: entry.metadata()?.len(), ..version });
            }
        }
        versions.sort_by_key(|version| std::cmp::Reverse(version.version));
        Ok(versions)
    }

    /// The text of a version; `None` if it is not kept (any more).
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn text(&self, version: u64) -> io::Result<Option<String>> {
        let known = self.list()?.into_iter().find(|known| known.version == version);
        known.map(|known| fs::read_to_string(self.dir.join(name(&known)))).transpose()
    }

    /// Keeps a text that comes into force now, unless it is the newest version already; its number.
    ///
    /// # Errors
    /// If it cannot be written; then nothing has changed.
    pub fn keep(&self, text: &str, at: Timestamp, origin: ConfigOrigin) -> io::Result<u64> {
        let known = self.list()?;
        if let Some(newest) = known.first()
            && fs::read_to_string(self.dir.join(name(newest)))? == text
        {
            return Ok(newest.version);
        }
        let number = known.first().map_or(1, |newest| newest.version + 1);
        let version = ConfigVersion { version: number, at, origin, bytes: 0 };
        fs::create_dir_all(&self.dir)?;
        replace(&self.dir.join(name(&version)), text)?;
        for old in known.iter().skip(KEPT - 1) {
            fs::remove_file(self.dir.join(name(old)))?;
        }
        Ok(number)
    }
}

/// Puts a text in the place of a file in one step: after a power cut there is the old text or the new one. Who may read
/// the file stays as it is.
///
/// # Errors
/// If it cannot be written; then the file is as it was.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    prepare(path, text)?.commit()
}

/// A text that lies on the disk beside the file whose place it is going to take.
#[derive(Debug)]
pub struct Prepared {
    path: PathBuf,
    beside: PathBuf,
}

/// Writes a text beside a file, for [`Prepared::commit`].
///
/// # Errors
/// If it cannot be written.
pub fn prepare(path: &Path, text: &str) -> io::Result<Prepared> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let prepared = Prepared { path: path.to_owned(), beside: PathBuf::from(beside) };
    let mut file = File::create(&prepared.beside)?;
    if let Ok(old) = fs::metadata(path) {
        file.set_permissions(old.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(prepared)
}

impl Prepared {
    /// Takes the place of the file.
    ///
    /// # Errors
    /// If that fails; then the file is as it was.
    pub fn commit(self) -> io::Result<()> {
        fs::rename(&self.beside, &self.path)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }

    /// Leaves the file as it is.
    ///
    /// # Errors
    /// If what was written beside it cannot be removed.
    pub fn abandon(self) -> io::Result<()> {
        fs::remove_file(self.beside)
    }
}

fn name(version: &ConfigVersion) -> String {
    let ConfigVersion { version, at, origin, .. } = version;
    format!("{version:06}-{}-{}.toml", at.as_micros(), origin.as_str())
}

fn parse(name: &str) -> Option<ConfigVersion> {
    let mut parts = name.strip_suffix(".toml")?.splitn(3, '-');
    let version = parts.next()?.parse().ok()?;
    let at = Timestamp::from_micros(parts.next()?.parse().ok()?);
    let origin = parts.next()?;
    let origin = ConfigOrigin::ALL.into_iter().find(|known| known.as_str() == origin)?;
    Some(ConfigVersion { version, at, origin, bytes: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_versions_are_kept_and_counted_on() {
        let dir = tempfile::tempdir().unwrap();
        let versions = Versions::new(dir.path());
        assert_eq!(versions.list().unwrap(), []);
        let keep = |number: u64| {
            let at = Timestamp::from_secs(i64::try_from(number).unwrap());
            versions.keep(&format!("# {number}\n"), at, ConfigOrigin::Api).unwrap()
        };
        for number in 1..=25 {
            assert_eq!(keep(number), number);
        }
        assert_eq!(keep(25), 25, "the same text again is no new version");
        let known = versions.list().unwrap();
        assert_eq!(known.len(), KEPT);
        assert_eq!((known[0].version, known[KEPT - 1].version), (25, 6));
        assert_eq!((known[0].at, known[0].bytes), (Timestamp::from_secs(25), 5));
        assert_eq!(versions.text(7).unwrap().as_deref(), Some("# 7\n"));
        assert_eq!(versions.text(5).unwrap(), None);
        fs::write(dir.path().join("config/notes.txt"), "mine").unwrap();
        assert_eq!(versions.list().unwrap().len(), KEPT);
    }

    #[test]
    fn a_file_is_replaced_whole_and_keeps_its_mode() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("bellwether.toml");
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        prepare(&file, "half").unwrap().abandon().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "old");
        replace(&file, "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }
}
