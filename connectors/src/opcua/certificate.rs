//! What a certificate says, read from its DER form. All of it comes from outside: sizes are checked first, and what is
//! shown has its control characters taken out.

use std::net::{Ipv4Addr, Ipv6Addr};

use bellwether_domain::{Certificate, Timestamp, Trust};
use opcua::crypto::X509;
use sha2::{Digest, Sha256};
use x509_cert::{
    der::Decode,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

/// Largest certificate that is looked at; real ones have one or two kilobytes.
pub(super) const MAX_CERTIFICATE_BYTES: usize = 16 * 1024;
/// Longest text of a certificate that is shown.
const MAX_SHOWN: usize = 200;
/// Most host names of a certificate that are shown.
const MAX_HOSTS: usize = 16;

/// Reads a certificate; `None` if it is none, or too large to be one.
pub(super) fn read(der: &[u8], trust: Trust) -> Option<Certificate> {
    if der.len() > MAX_CERTIFICATE_BYTES {
        return None;
    }
    let parsed = x509_cert::Certificate::from_der(der).ok()?;
    let body = &parsed.tbs_certificate;
    let names = body.get::<SubjectAltName>().ok().flatten().map(|(_, names)| names.0);
    let names = names.unwrap_or_default();
    let application_uri = names.iter().find_map(|name| match name {
        GeneralName::UniformResourceIdentifier(uri) => Some(shown(uri.as_str())),
        _ => None,
    });
    let at = |time: x509_cert::time::Time| {
        let micros = time.to_unix_duration().as_micros();
        Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    };
    Some(Certificate {
        sha256: hex(&Sha256::digest(der)),
        sha1: X509::from_der(der).ok()?.thumbprint().as_hex_string(),
        subject: shown(&body.subject.to_string()),
        application_uri,
        hosts: names.iter().filter_map(host).take(MAX_HOSTS).collect(),
        not_before: at(body.validity.not_before),
        not_after: at(body.validity.not_after),
        trust,
    })
}

fn host(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(shown(name.as_str())),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let v4 = <[u8; 4]>::try_from(bytes).map(|octets| Ipv4Addr::from(octets).to_string());
            v4.or_else(|_| {
                <[u8; 16]>::try_from(bytes).map(|octets| Ipv6Addr::from(octets).to_string())
            })
            .ok()
        }
        _ => None,
    }
}

fn shown(text: &str) -> String {
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().take(MAX_SHOWN).map(visible).collect()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ok = write!(text, "{byte:02x}");
        text
    })
}
