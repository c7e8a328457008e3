use std::{fs, os::unix::fs::PermissionsExt as _};

use super::*;

/// A folder with an own certificate, which serves as somebody else's as well: making keys is slow.
fn pki() -> (tempfile::TempDir, Pki, Vec<u8>) {
    let folder = tempfile::tempdir().expect("room for scratch files");
    let pki = Pki::below(folder.path());
    pki.ensure_own().expect("a writable folder");
    let der = fs::read(pki.folder().join(OWN)).expect("it was written");
    (folder, pki, der)
}

#[test]
fn the_own_key_is_private_and_its_certificate_names_application_and_host() {
    let (_folder, pki, der) = pki();
    let mode = |path: &str| {
        fs::metadata(pki.folder().join(path)).expect("it is there").permissions().mode() & 0o777
    };
    assert_eq!((mode(KEY), mode("private")), (0o600, 0o700));
    let own = pki.own().expect("it is there");
    let host =
        X509Data::computer_hostnames().into_iter().next().unwrap_or_else(|| "localhost".to_owned());
    assert_eq!(own.application_uri, Some(format!("urn:{host}:bellwether")));
    assert_eq!(own.hosts, [host]);
    assert_eq!((own.sha256.len(), own.sha1.len(), own.trust), (64, 40, Trust::Own));
    let years = own.not_after.seconds_since(own.not_before) / 86_400.0 / 365.0;
    assert!((9.9..10.1).contains(&years), "{years}");
    assert_eq!(pki.ensure_own().expect("still there").sha256, own.sha256, "it is made once");
    let key = fs::read(pki.folder().join(KEY)).expect("it is there");
    fs::remove_file(pki.folder().join(OWN)).expect("ours");
    pki.ensure_own().expect("renewed");
    assert_eq!(fs::read(pki.folder().join(KEY)).expect("it is there"), key, "for the same key");
    assert!(der.len() < MAX_CERTIFICATE_BYTES);
}

#[test]
fn a_certificate_is_trusted_by_any_clear_beginning_of_a_fingerprint() {
    let (_folder, pki, der) = pki();
    let own = pki.own().expect("it is there");
    assert!(!pki.is_trusted(&der));
    for fingerprint in [&own.sha256[..8], &own.sha1.to_uppercase(), "all"] {
        pki.reject(&der, &own.sha256).expect("a writable folder");
        assert_eq!(
            pki.certificates().iter().filter(|known| known.trust == Trust::Rejected).count(),
            1
        );
        let trusted = pki.trust(fingerprint).expect("it names one");
        assert_eq!(trusted.len(), 1);
        assert!(pki.is_trusted(&der) && pki.trusts(&own.sha256));
        fs::remove_file(pki.folder().join(TRUSTED).join(format!("{}.der", own.sha256)))
            .expect("ours");
        assert!(!pki.is_trusted(&der), "a removed file is trusted no more");
    }
    pki.reject(&der, &own.sha256).expect("a writable folder");
    assert!(matches!(pki.trust(&own.sha256[..7]), Err(PkiError::Ambiguous(_))), "too short");
    assert!(matches!(pki.trust("0000000000000000"), Err(PkiError::Unknown(_))));
    assert!(matches!(pki.trust(""), Err(PkiError::Ambiguous(_))));
    assert!(matches!(pki.trust("../../own/cert"), Err(PkiError::Unknown(_))), "it is no path");
}

#[test]
fn a_file_of_any_name_is_trusted_when_a_person_puts_it_there() {
    let (_folder, pki, der) = pki();
    fs::write(pki.folder().join("trusted/plc 3.der"), &der).expect("a writable folder");
    assert!(pki.is_trusted(&der));
    let mut other = der;
    other.push(0);
    assert!(!pki.is_trusted(&other), "one byte more is another certificate");
}

#[test]
fn no_server_fills_the_disk_with_certificates() {
    let (_folder, pki, der) = pki();
    for number in 0..MAX_REJECTED + 10 {
        pki.reject(&der, &format!("{number:064x}")).expect("a writable folder");
    }
    assert_eq!(files(&pki.folder().join(REJECTED)).len(), MAX_REJECTED);
    assert_eq!(certificate::read(&vec![0x30; MAX_CERTIFICATE_BYTES + 1], Trust::Rejected), None);
    assert_eq!(certificate::read(b"no certificate", Trust::Rejected), None);
}
