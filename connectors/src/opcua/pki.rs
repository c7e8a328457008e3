//! The folder of keys and certificates, and whom the gateway trusts.
//!
//! ```text
//! <data_dir>/pki/own/cert.der          the gateway's certificate: give it to the servers
//!               /private/private.pem   its key, mode 0600: never leaves the gateway
//!               /trusted/*.der         servers a person has trusted (each certificate by itself, no authorities)
//!               /rejected/*.der        servers nobody has decided about; the newest 64 are kept
//! ```
//! Trust is given to one certificate, byte for byte, so neither its host names nor its issuer decide anything.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use bellwether_domain::{Certificate, Trust};
use opcua::{
    crypto::{CertificateStore, PrivateKey, X509, X509Data},
    sync::RwLock,
};
use x509_cert::der::pem::LineEnding;

use super::certificate::{self, MAX_CERTIFICATE_BYTES};

const OWN: &str = "own/cert.der";
const KEY: &str = "private/private.pem";
const TRUSTED: &str = "trusted";
const REJECTED: &str = "rejected";
/// Servers nobody has decided about; when a new one comes the oldest goes, so that no server can fill the disk.
const MAX_REJECTED: usize = 64;
/// Files of a folder that are looked at.
const MAX_FILES: usize = 1_024;
/// Smallest key that all three policies allow, and quick to make.
const KEY_BITS: u32 = 2_048;
/// Ten years: a new certificate has to be trusted on each server by hand.
const VALID_DAYS: u32 = 3_650;
/// Fewest characters of a fingerprint that name a certificate.
const SHORTEST_FINGERPRINT: usize = 8;

/// Why a certificate or key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The disk.
    #[error("{path} cannot be {action}: check the folder and its permissions")]
    File {
        /// Which file or folder.
        path: String,
        /// What was tried.
        action: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The library could not make a key or a certificate.
    #[error("the gateway's own certificate cannot be made: {0}")]
    Make(String),
    /// A file holds something else.
    #[error("{path} is not a {what}: remove it, or put a right one there")]
    Form {
        /// Which file.
        path: String,
        /// What it should be.
        what: &'static str,
    },
    /// Nobody waits for a decision under that name.
    #[error(
        "no rejected certificate has a fingerprint that begins with `{0}`: list them with `bellwether trust list`"
    )]
    Unknown(String),
    /// Several certificates begin alike, or too little was given.
    #[error(
        "`{0}` does not name one certificate: give at least 8 hexadecimal characters that only one begins with"
    )]
    Ambiguous(String),
}

/// The folder. Clones make the own key only once.
#[derive(Clone, Debug)]
pub struct Pki {
    folder: PathBuf,
    making: Arc<Mutex<()>>,
}

impl Pki {
    /// The folder below the data directory; nothing is touched yet.
    pub fn below(data_dir: &Path) -> Self {
        let folder = data_dir.join("pki");
        // The library would look for a relative one below another folder.
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        Self { folder, making: Arc::default() }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The gateway's own certificate, if there is one.
    pub fn own(&self) -> Option<Certificate> {
        certificate::read(&read_der(&self.folder.join(OWN))?, Trust::Own)
    }

    /// The gateway's own certificate, made first if there is none. Making a key takes a second or so: not for a thread
    /// that serves others.
    ///
    /// # Errors
    /// If the folder cannot be written, or holds something else.
    pub fn ensure_own(&self) -> Result<Certificate, PkiError> {
        let _one_at_a_time = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        for folder in ["own", "private", TRUSTED, REJECTED] {
            make_folder(&self.folder.join(folder))?;
        }
        let (key_file, file) = (self.folder.join(KEY), self.folder.join(OWN));
        if !key_file.exists() || !file.exists() {
            self.make_own(&key_file, &file)?;
        }
        self.own().ok_or_else(|| PkiError::Form { path: text(&file), what: "certificate" })
    }

    /// A key that is there stays: a certificate that was removed is renewed for the same key.
    fn make_own(&self, key_file: &Path, file: &Path) -> Result<(), PkiError> {
        let key = if key_file.exists() {
            CertificateStore::read_pkey(key_file)
                .map_err(|_| PkiError::Form { path: text(key_file), what: "private key" })?
        } else {
            let key =
                PrivateKey::new(KEY_BITS).map_err(|error| PkiError::Make(error.to_string()))?;
            let der = key.to_der().map_err(|error| PkiError::Make(error.to_string()))?;
            let pem = der.to_pem("PRIVATE KEY", LineEnding::LF);
            let pem = pem.map_err(|error| PkiError::Make(error.to_string()))?;
            write_whole(key_file, pem.as_bytes())?;
            key
        };
        let host = X509Data::computer_hostnames().into_iter().next();
        let host = host.unwrap_or_else(|| "localhost".to_owned());
        let uri = format!("urn:{host}:bellwether");
        let data = X509Data {
            key_size: KEY_BITS,
            common_name: format!("Bellwether@{host}"),
            organization: "Bellwether".to_owned(),
            organizational_unit: String::new(),
            country: String::new(),
            state: String::new(),
            alt_host_names: X509Data::alt_host_names(&uri, Some(vec![host]), false, false, false),
            certificate_duration_days: VALID_DAYS,
        };
        let made = X509::from_pkey(&key, &data).map_err(PkiError::Make)?;
        let der = made.to_der().map_err(|error| PkiError::Make(error.to_string()))?;
        write_whole(file, &der)
    }

    /// All certificates: the own one, the trusted ones, those that wait for a decision.
    pub fn certificates(&self) -> Vec<Certificate> {
        let mut all: Vec<_> = self.own().into_iter().collect();
        for (folder, trust) in [(TRUSTED, Trust::Trusted), (REJECTED, Trust::Rejected)] {
            let read = |file: PathBuf| certificate::read(&read_der(&file)?, trust);
            all.extend(files(&self.folder.join(folder)).into_iter().filter_map(read));
        }
        all
    }

    /// Whether a person has trusted exactly this certificate, whatever its file is called.
    pub fn is_trusted(&self, der: &[u8]) -> bool {
        let trusted = files(&self.folder.join(TRUSTED));
        trusted.iter().any(|file| read_der(file).is_some_and(|known| known == der))
    }

    /// Whether a person has trusted the certificate with this SHA-256.
    pub fn trusts(&self, sha256: &str) -> bool {
        self.certificates()
            .iter()
            .any(|known| known.trust == Trust::Trusted && known.sha256 == sha256)
    }

    /// Keeps the certificate of a server nobody has decided about.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub(super) fn reject(&self, der: &[u8], sha256: &str) -> Result<(), PkiError> {
        let folder = self.folder.join(REJECTED);
        make_folder(&folder)?;
        let file = folder.join(format!("{sha256}.der"));
        if file.exists() {
            return Ok(());
        }
        let mut there = files(&folder);
        there.sort_by_key(|file| {
            fs::metadata(file).and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
        });
        let surplus = (there.len() + 1).saturating_sub(MAX_REJECTED);
        for oldest in there.iter().take(surplus) {
            fs::remove_file(oldest).map_err(|source| failed(oldest, "removed", source))?;
        }
        write_whole(&file, der)
    }

    /// Trusts the rejected certificate whose SHA-256 or SHA-1 begins with `fingerprint` (colons and blanks do not
    /// matter); `all` trusts all of them. A running gateway notices within two seconds.
    ///
    /// # Errors
    /// If there is none or more than one, or the folder cannot be written.
    pub fn trust(&self, fingerprint: &str) -> Result<Vec<Certificate>, PkiError> {
        let is_filler = |c: char| c == ':' || c.is_whitespace();
        let wanted: String =
            fingerprint.to_lowercase().chars().filter(|c| !is_filler(*c)).collect();
        let matches = |known: &Certificate| {
            wanted == "all" || known.sha256.starts_with(&wanted) || known.sha1.starts_with(&wanted)
        };
        if wanted.len() < SHORTEST_FINGERPRINT && wanted != "all" {
            return Err(PkiError::Ambiguous(fingerprint.to_owned()));
        }
        let found = files(&self.folder.join(REJECTED)).into_iter().filter_map(|file| {
            let der = read_der(&file)?;
            let known = certificate::read(&der, Trust::Trusted)?;
            matches(&known).then_some((file, der, known))
        });
        let found: Vec<_> = found.collect();
        match found.len() {
            0 => return Err(PkiError::Unknown(fingerprint.to_owned())),
            2.. if wanted != "all" => return Err(PkiError::Ambiguous(fingerprint.to_owned())),
            _ => {}
        }
        let folder = self.folder.join(TRUSTED);
        make_folder(&folder)?;
        let mut trusted = Vec::new();
        for (file, der, known) in found {
            write_whole(&folder.join(format!("{}.der", known.sha256)), &der)?;
            fs::remove_file(&file).map_err(|source| failed(&file, "removed", source))?;
            trusted.push(known);
        }
        Ok(trusted)
    }

    /// The library's view for one session with a server whose certificate this side has already checked. The library
    /// looks for certificates under names of its own, so it gets a folder to itself, `session`, which decides nothing.
    pub(super) fn store(&self) -> Arc<RwLock<CertificateStore>> {
        let (own, key) = (self.folder.join(OWN), self.folder.join(KEY));
        let scratch = self.folder.join("session");
        let folders = (Some(own.as_path()), Some(key.as_path()));
        // Absolute paths replace the library's folder; nothing is made, because both files are there.
        let (mut store, _, _) = CertificateStore::new_with_x509_data(
            &scratch,
            false,
            folders.0,
            folders.1,
            None::<X509Data>,
        );
        store.set_trust_unknown_certs(true);
        store.set_skip_verify_certs(true);
        Arc::new(RwLock::new(store))
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn failed(path: &Path, action: &'static str, source: io::Error) -> PkiError {
    PkiError::File { path: text(path), action, source }
}

fn make_folder(folder: &Path) -> Result<(), PkiError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| failed(folder, "made", source))
}

/// Mode 0600, and whole or not at all, whenever the power goes.
fn write_whole(file: &Path, bytes: &[u8]) -> Result<(), PkiError> {
    let draft = file.with_extension("new");
    let write = || {
        fs::remove_file(&draft).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        let mut new =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        new.write_all(bytes)?;
        new.sync_all()?;
        fs::rename(&draft, file)
    };
    write().map_err(|source| failed(file, "written", source))
}

/// The certificates in a folder; none if there is no folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().take(MAX_FILES);
    let is_certificate =
        |file: &PathBuf| file.extension().is_some_and(|ending| ending == "der" || ending == "pem");
    let mut files: Vec<_> = entries.map(|entry| entry.path()).filter(is_certificate).collect();
    files.sort_unstable();
    files
}

/// The DER form of a certificate file, `.der` or `.pem`.
fn read_der(file: &Path) -> Option<Vec<u8>> {
    // PEM is a third longer.
    let is_small = fs::metadata(file).ok()?.len() <= 2 * MAX_CERTIFICATE_BYTES as u64;
    let bytes = is_small.then(|| fs::read(file).ok()).flatten()?;
    if file.extension().is_some_and(|ending| ending == "pem") {
        return X509::from_pem(&bytes).ok()?.to_der().ok();
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
