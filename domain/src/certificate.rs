//! Certificates of OPC UA applications (Part 6, 6.2.2) as a person sees them when deciding whom to trust.

use crate::Timestamp;

/// Where a certificate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The gateway's own: servers have to trust it.
    Own,
    /// A server that a person has trusted.
    Trusted,
    /// A server nobody has decided about, or one that was rejected.
    Rejected,
}

impl Trust {
    /// Stable code for the API and the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Trusted => "trusted",
            Self::Rejected => "rejected",
        }
    }
}

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of its DER form, lower-case hexadecimal: its name in commands and in the API.
    pub sha256: String,
    /// SHA-1 of its DER form, lower-case hexadecimal: the thumbprint that tools of servers show.
    pub sha1: String,
    /// Distinguished name, for example `CN=plc-3,O=acme`. Comes from outside: never trusted, only shown.
    pub subject: String,
    /// The application's URI in its subject alternative names.
    pub application_uri: Option<String>,
    /// Host names and addresses in its subject alternative names.
    pub hosts: Vec<String>,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid to.
    pub not_after: Timestamp,
    /// Where it stands.
    pub trust: Trust,
}

impl Certificate {
    /// From so many days before its end on, a person is reminded.
    pub const REMIND_DAYS: i64 = 30;

    /// What is wrong with its time at `now`, or will be soon, in words; `None` if nothing is.
    pub fn expiry_warning(&self, now: Timestamp) -> Option<String> {
        const DAY_US: i64 = 86_400_000_000;
        let left = self.not_after.as_micros().saturating_sub(now.as_micros());
        let (subject, end) = (&self.subject, self.not_after);
        if left < 0 {
            Some(format!("the certificate of {subject} has expired on {end}"))
        } else if left < Self::REMIND_DAYS * DAY_US {
            Some(format!(
                "the certificate of {subject} expires in {} days, on {end}",
                left / DAY_US
            ))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_reminded_thirty_days_before_the_end_and_after_it() {
        const DAY_US: i64 = 86_400_000_000;
        let certificate = Certificate {
            sha256: String::new(),
            sha1: String::new(),
            subject: "CN=plc".to_owned(),
            application_uri: None,
            hosts: Vec::new(),
            not_before: Timestamp::from_micros(0),
            not_after: Timestamp::from_micros(100 * DAY_US),
            trust: Trust::Trusted,
        };
        for (day, expected) in
            [(0, None), (69, None), (71, Some("in 29 days")), (101, Some("has expired"))]
        {
            let warning = certificate.expiry_warning(Timestamp::from_micros(day * DAY_US));
            match expected {
                None => assert_eq!(warning, None, "day {day}"),
                Some(words) => {
                    assert!(warning.is_some_and(|warning| warning.contains(words)), "day {day}")
                }
            }
        }
    }
}
