//! Why a session has ended. Each says what happened, to what, and what to do; whether trying again soon can help is
//! decided here and nowhere else.

use std::io;

use bellwether_domain::Reason;

/// The end of a session. There is no other.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The device refuses the connection, or its name cannot be resolved.
    #[error(
        "cannot connect to {endpoint}: check `endpoint`, that the device is on, and how many connections it allows"
    )]
    Connect {
        /// Address as configured.
        endpoint: String,
        /// What the system says.
        source: io::Error,
    },
    /// Nothing answers at that address.
    #[error(
        "{endpoint} did not accept a connection within {timeout_ms} ms: check cable, address and firewall"
    )]
    ConnectTimeout {
        /// Address as configured.
        endpoint: String,
        /// How long was waited.
        timeout_ms: u64,
    },
    /// The serial line cannot be opened.
    #[error(
        "cannot open {path}: check that the adapter is plugged in, that nobody else uses it, and that the gateway may (group dialout)"
    )]
    Serial {
        /// Device file as configured.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// The device's certificate or ours is not accepted, or a file of them cannot be used.
    #[error(
        "no TLS with {endpoint} ({detail}): check `tls` in bellwether.toml and the device's certificate"
    )]
    Tls {
        /// Address as configured.
        endpoint: String,
        /// What is not accepted.
        detail: String,
    },
    /// The connection has broken.
    #[error(
        "{endpoint} closed the connection: it is tried again; check the device if this repeats"
    )]
    Broken {
        /// Address as configured.
        endpoint: String,
        /// What the system says, as far as it says anything meaningful.
        source: io::Error,
    },
    /// The device, with all its units, does not answer.
    #[error(
        "{endpoint} did not answer unit {unit} within {timeout_ms} ms: check the device and `unit_id`, or raise `timeout_ms`"
    )]
    Timeout {
        /// Address as configured.
        endpoint: String,
        /// The unit asked last.
        unit: u8,
        /// How long was waited.
        timeout_ms: u64,
    },
    /// One unit of several does not answer. A late answer would be taken for the next one, so the session ends all the
    /// same; the others go on in the next session, which begins at once.
    #[error(
        "unit {unit} at {endpoint} did not answer within {timeout_ms} ms: the other units go on; check this unit and its `unit_id`"
    )]
    UnitSilent {
        /// Address as configured.
        endpoint: String,
        /// Which unit.
        unit: u8,
        /// How long was waited.
        timeout_ms: u64,
    },
    /// An answer does not belong to its request: the stream is out of step.
    #[error(
        "an answer of {endpoint} does not fit the request to unit {unit} ({detail}): check `unit_id`, and that nobody else uses this connection"
    )]
    OutOfStep {
        /// Address as configured.
        endpoint: String,
        /// The unit asked.
        unit: u8,
        /// What does not fit.
        detail: String,
    },
    /// The same for one unit of several: the others go on in the next session, which begins at once.
    #[error(
        "an answer of unit {unit} at {endpoint} does not fit the request ({detail}): the other units go on; check the `unit_id` of this one"
    )]
    UnitOutOfStep {
        /// Address as configured.
        endpoint: String,
        /// The unit asked.
        unit: u8,
        /// What does not fit.
        detail: String,
    },
    /// An OPC UA service has failed.
    #[error("{endpoint} failed to {action}: {detail}; it is tried again")]
    Service {
        /// Address as configured.
        endpoint: String,
        /// What was asked for.
        action: &'static str,
        /// Status code and text.
        detail: String,
    },
    /// The OPC UA session could not be set up in time.
    #[error(
        "{endpoint} did not {action} within {timeout_ms} ms: check the server, or raise `timeout_ms`"
    )]
    ServiceTimeout {
        /// Address as configured.
        endpoint: String,
        /// What was asked for.
        action: &'static str,
        /// How long was waited.
        timeout_ms: u64,
    },
    /// The server offers no endpoint of the configured security.
    #[error(
        "{endpoint} offers no endpoint for {wanted}, only {offered}: change `security` and `security_policy`, or allow it on the server"
    )]
    NoEndpoint {
        /// Address as configured.
        endpoint: String,
        /// What is configured.
        wanted: String,
        /// What the server offers.
        offered: String,
    },
    /// The server does not let us in.
    #[error(
        "{endpoint} refuses the session ({detail}): check the user of this source, and what the server allows it"
    )]
    Refused {
        /// Address as configured.
        endpoint: String,
        /// Status code and text.
        detail: String,
    },
    /// The only way to send the password would be in the clear.
    #[error(
        "{endpoint} would have the password sent in the clear: write security = \"sign_and_encrypt\", or let the server encrypt passwords"
    )]
    PasswordInClear {
        /// Address as configured.
        endpoint: String,
    },
    /// Nobody has decided yet whether this server is the right one.
    #[error(
        "{endpoint} shows a certificate nobody has trusted yet: {subject}, SHA-256 {sha256}, SHA-1 {sha1}. Compare it with the one on the server, then trust it: bellwether trust {short}",
        short = sha256.get(..16).unwrap_or(sha256)
    )]
    Untrusted {
        /// Address as configured.
        endpoint: String,
        /// Whose it says it is.
        subject: String,
        /// Fingerprint.
        sha256: String,
        /// Thumbprint, as tools of servers show it.
        sha1: String,
    },
    /// The server's certificate cannot be used.
    #[error("the certificate of {endpoint} cannot be used: {detail}; give the server another one")]
    ServerCertificate {
        /// Address as configured.
        endpoint: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The server does not know the gateway's certificate.
    #[error(
        "{endpoint} does not accept the gateway's certificate ({detail}): trust it on the server, SHA-1 {sha1}, file {file}"
    )]
    NotTrusted {
        /// Address as configured.
        endpoint: String,
        /// Status code.
        detail: String,
        /// Thumbprint of the gateway's certificate.
        sha1: String,
        /// Where that certificate is.
        file: String,
    },
    /// The gateway's own key or certificate is not to be had.
    #[error("{endpoint} cannot be talked to securely: {detail}")]
    OwnCertificate {
        /// Address as configured.
        endpoint: String,
        /// What is wrong, and what to do.
        detail: String,
    },
    /// A file with a secret cannot be used.
    #[error("{file}, needed for {endpoint}, cannot be used: {detail}")]
    Secret {
        /// Address as configured.
        endpoint: String,
        /// Which file.
        file: String,
        /// What is wrong, and what to do.
        detail: String,
    },
    /// The OPC UA connection is there, but the subscription is dead.
    #[error("{endpoint} has not published anything, not even a keep-alive, for {silence_ms} ms")]
    Unpublished {
        /// Address as configured.
        endpoint: String,
        /// For how long.
        silence_ms: u64,
    },
    /// The server has ended the subscription or the session.
    #[error("{endpoint} has ended the subscription ({detail})")]
    SubscriptionEnded {
        /// Address as configured.
        endpoint: String,
        /// Status code.
        detail: String,
    },
}

impl SessionError {
    /// Whether trying again soon cannot help: a person has to change something. The caller waits minutes, not seconds.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::NoEndpoint { .. }
            | Self::Refused { .. }
            | Self::Tls { .. }
            | Self::PasswordInClear { .. }
            | Self::Untrusted { .. }
            | Self::ServerCertificate { .. }
            | Self::OwnCertificate { .. }
            | Self::Secret { .. } => true,
            // Trusting it on the server is noticed only by trying again.
            Self::NotTrusted { .. } => false,
            Self::Connect { .. }
            | Self::Serial { .. }
            | Self::ConnectTimeout { .. }
            | Self::Broken { .. }
            | Self::Timeout { .. }
            | Self::UnitSilent { .. }
            | Self::OutOfStep { .. }
            | Self::UnitOutOfStep { .. }
            | Self::Service { .. }
            | Self::ServiceTimeout { .. }
            | Self::Unpublished { .. }
            | Self::SubscriptionEnded { .. } => false,
        }
    }

    /// Whether the next session should begin at once, without back-off: only one unit of several is at fault, it is in
    /// quarantine (which bounds how often this happens), and the others must keep their pace.
    pub fn reconnects_at_once(&self) -> bool {
        matches!(self, Self::UnitSilent { .. } | Self::UnitOutOfStep { .. })
    }

    /// Why the tags of the source have no value from here on.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Timeout { .. } | Self::UnitSilent { .. } | Self::Unpublished { .. } => {
                Reason::Timeout
            }
            _ => Reason::NotConnected,
        }
    }

    /// The error with its cause in one line, for the status and the log.
    pub fn in_words(&self) -> String {
        match std::error::Error::source(self) {
            Some(cause) => format!("{self} ({cause})"),
            None => self.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> String {
        "10.0.0.1:502".to_owned()
    }

    #[test]
    fn only_what_a_person_must_change_is_permanent() {
        let detail = String::new();
        let permanent = [
            SessionError::NoEndpoint {
                endpoint: endpoint(),
                wanted: String::new(),
                offered: "Basic256Sha256".to_owned(),
            },
            SessionError::Refused { endpoint: endpoint(), detail: detail.clone() },
            SessionError::Tls { endpoint: endpoint(), detail: detail.clone() },
        ];
        let passing = [
            SessionError::Connect { endpoint: endpoint(), source: io::Error::other("refused") },
            SessionError::Serial { path: endpoint(), source: io::Error::other("gone") },
            SessionError::ConnectTimeout { endpoint: endpoint(), timeout_ms: 1 },
            SessionError::Broken { endpoint: endpoint(), source: io::Error::other("reset") },
            SessionError::Timeout { endpoint: endpoint(), unit: 1, timeout_ms: 1 },
            SessionError::UnitSilent { endpoint: endpoint(), unit: 1, timeout_ms: 1 },
            SessionError::OutOfStep { endpoint: endpoint(), unit: 1, detail: detail.clone() },
            SessionError::UnitOutOfStep { endpoint: endpoint(), unit: 1, detail: detail.clone() },
            SessionError::Service { endpoint: endpoint(), action: "read", detail: detail.clone() },
            SessionError::ServiceTimeout { endpoint: endpoint(), action: "read", timeout_ms: 1 },
            SessionError::Unpublished { endpoint: endpoint(), silence_ms: 1 },
            SessionError::SubscriptionEnded { endpoint: endpoint(), detail },
        ];
        assert!(permanent.iter().all(SessionError::is_permanent));
        assert!(!passing.iter().any(SessionError::is_permanent));
    }

    #[test]
    fn only_a_fault_of_one_unit_skips_the_back_off() {
        let silent = SessionError::UnitSilent { endpoint: endpoint(), unit: 3, timeout_ms: 500 };
        assert!(silent.reconnects_at_once());
        let all = SessionError::Timeout { endpoint: endpoint(), unit: 3, timeout_ms: 500 };
        assert!(!all.reconnects_at_once());
    }

    #[test]
    fn an_error_says_what_to_do() {
        let error = SessionError::Connect {
            endpoint: endpoint(),
            source: io::Error::other("connection refused"),
        };
        assert_eq!(
            error.in_words(),
            "cannot connect to 10.0.0.1:502: check `endpoint`, that the device is on, and how many connections it \
             allows (connection refused)"
        );
    }
}
