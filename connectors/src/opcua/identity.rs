//! Who the gateway is to a server: secrets are read from their files when a session begins, so that a changed password
//! needs no restart, and never stay in the configuration.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use opcua::{
    client::IdentityToken,
    crypto::{CertificateStore, PrivateKey},
};

use super::security::Identity;
use crate::SessionError;

/// Largest file that holds a secret.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Reads what the identity needs.
///
/// # Errors
/// [`SessionError::Secret`]: a file is missing, can be read by everybody, or holds something else.
pub(super) fn token(endpoint: &str, identity: &Identity) -> Result<IdentityToken, SessionError> {
    let fail = |file: &Path, detail: String| SessionError::Secret {
        endpoint: endpoint.to_owned(),
        file: file.display().to_string(),
        detail,
    };
    match identity {
        Identity::Anonymous => Ok(IdentityToken::Anonymous),
        Identity::Password { username, file } => {
            let file = resolve(file);
            let text = secret(&file).map_err(|error| fail(&file, error.to_string()))?;
            let password = text.trim_end_matches(['\r', '\n']);
            Ok(IdentityToken::new_user_name(username, password.to_owned()))
        }
        Identity::Certificate { file, key_file } => {
            let (file, key_file) = (resolve(file), resolve(key_file));
            let certificate =
                CertificateStore::read_cert(&file).map_err(|error| fail(&file, error))?;
            let text = secret(&key_file).map_err(|error| fail(&key_file, error.to_string()))?;
            let key = PrivateKey::from_pem(text.as_bytes());
            let key =
                key.map_err(|_| fail(&key_file, "it is no RSA key in PEM form".to_owned()))?;
            Ok(IdentityToken::new_x509(certificate, key))
        }
    }
}

/// A bare name is looked for among the credentials the service manager has handed over (`LoadCredential=`).
fn resolve(file: &Path) -> PathBuf {
    let is_bare = file.components().count() == 1;
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|_| is_bare);
    let credential = credentials.map(|folder| Path::new(&folder).join(file));
    credential.filter(|credential| credential.exists()).unwrap_or_else(|| file.to_owned())
}

fn secret(file: &Path) -> io::Result<String> {
    let data = fs::metadata(file)?;
    if data.permissions().mode() & 0o007 != 0 {
        return Err(io::Error::other("everybody on this machine can read it: chmod 600"));
    }
    if data.len() > MAX_SECRET_BYTES {
        return Err(io::Error::other("it is too large to hold a secret"));
    }
    fs::read_to_string(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_comes_from_its_file_unless_everybody_can_read_it() {
        let folder = tempfile::tempdir().expect("room for scratch files");
        let file = folder.path().join("password");
        fs::write(&file, "secret1\n").expect("a writable folder");
        let mode =
            |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("our file");
        let identity = Identity::Password { username: "u".to_owned(), file: file.clone() };
        mode(0o644);
        let error = token("opc.tcp://plc", &identity).expect_err("everybody can read it");
        assert!(error.is_permanent() && error.to_string().contains("chmod 600"), "{error}");
        mode(0o600);
        let token = token("opc.tcp://plc", &identity).expect("only its owner can read it");
        let shown = format!("{token:?}");
        assert!(shown.contains('u') && !shown.contains("secret1"), "{shown}");
        let IdentityToken::UserName(_, password) = token else { panic!("a password") };
        assert_eq!(password.0, "secret1");
    }

    #[test]
    fn a_file_that_is_missing_is_named() {
        let identity =
            Identity::Certificate { file: "/none/c.der".into(), key_file: "/none/k.pem".into() };
        let error = token("opc.tcp://plc", &identity).expect_err("there is no such file");
        assert!(error.to_string().contains("/none/c.der"), "{error}");
    }
}
