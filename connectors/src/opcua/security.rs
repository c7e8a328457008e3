//! How a server is talked to: the keys `security`, `security_policy`, `username` and so on of `[[opcua]]`, and what
//! they come to.

use std::path::PathBuf;

use opcua::types::MessageSecurityMode;
use serde::Deserialize;

use super::OpcuaConfig;

/// `security` of a server: what protects each message (Part 4, 7.20).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    /// Neither signed nor encrypted: anybody on the network can read and change the values.
    #[default]
    None,
    /// Signed: anybody on the network can read the values, but not change them.
    Sign,
    /// Signed and encrypted.
    SignAndEncrypt,
}

impl Security {
    pub(super) const fn mode(self) -> MessageSecurityMode {
        match self {
            Self::None => MessageSecurityMode::None,
            Self::Sign => MessageSecurityMode::Sign,
            Self::SignAndEncrypt => MessageSecurityMode::SignAndEncrypt,
        }
    }

    const fn in_words(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Sign => "sign",
            Self::SignAndEncrypt => "sign_and_encrypt",
        }
    }
}

/// `security_policy` of a server: with which algorithms (Part 7). Older policies are broken and not offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum SecurityPolicy {
    /// What nearly every server has.
    #[default]
    #[serde(rename = "basic256sha256")]
    Basic256Sha256,
    /// For small devices.
    #[serde(rename = "aes128_sha256_rsaoaep")]
    Aes128Sha256RsaOaep,
    /// The strongest of the three.
    #[serde(rename = "aes256_sha256_rsapss")]
    Aes256Sha256RsaPss,
}

impl SecurityPolicy {
    /// Its name in Part 7, behind the `#` of its URI.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Basic256Sha256 => "Basic256Sha256",
            Self::Aes128Sha256RsaOaep => "Aes128_Sha256_RsaOaep",
            Self::Aes256Sha256RsaPss => "Aes256_Sha256_RsaPss",
        }
    }

    /// Whether this is the URI of one of them.
    pub(super) fn is_known(uri: &str) -> bool {
        let all = [Self::Basic256Sha256, Self::Aes128Sha256RsaOaep, Self::Aes256Sha256RsaPss];
        uri.rsplit_once('#').is_some_and(|(_, name)| all.iter().any(|known| known.name() == name))
    }
}

/// As whom the gateway reads. Holds the places of secrets, never a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// As nobody.
    #[default]
    Anonymous,
    /// User name and password.
    Password {
        /// The user.
        username: String,
        /// File that holds the password.
        file: PathBuf,
    },
    /// X.509 certificate of a user.
    Certificate {
        /// Certificate, `.der` or `.pem`.
        file: PathBuf,
        /// Its private key, PEM.
        key_file: PathBuf,
    },
}

/// How a server is talked to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// What protects each message.
    pub security: Security,
    /// With which algorithms; means nothing without security.
    pub policy: SecurityPolicy,
    /// As whom.
    pub identity: Identity,
}

impl Protection {
    /// `security none`, or `sign_and_encrypt with Basic256Sha256`.
    pub(super) fn in_words(&self) -> String {
        match self.security {
            Security::None => "security none".to_owned(),
            secured => format!("{} with {}", secured.in_words(), self.policy.name()),
        }
    }
}

impl OpcuaConfig {
    pub(super) fn protection(&self) -> Protection {
        let identity = match (&self.username, &self.password_file) {
            (Some(username), Some(file)) => {
                Identity::Password { username: username.clone(), file: file.clone() }
            }
            _ => match (&self.user_certificate_file, &self.user_key_file) {
                (Some(file), Some(key_file)) => {
                    Identity::Certificate { file: file.clone(), key_file: key_file.clone() }
                }
                _ => Identity::Anonymous,
            },
        };
        let policy = self.security_policy.unwrap_or_default();
        Protection { security: self.security, policy, identity }
    }

    pub(super) fn security_problems(&self) -> impl Iterator<Item = &'static str> {
        let has_user = self.username.is_some() || self.password_file.is_some();
        let has_certificate = self.user_certificate_file.is_some() || self.user_key_file.is_some();
        [
            (self.security == Security::None && self.security_policy.is_some()).then_some(
                "a `security_policy` means nothing with security = \"none\": remove it, or write security = \
                 \"sign_and_encrypt\" (or \"sign\")",
            ),
            (self.username.is_some() != self.password_file.is_some())
                .then_some("`username` and `password_file` belong together: write both, or neither"),
            self.username.as_deref().is_some_and(|name| name.trim().is_empty())
                .then_some("`username` is empty: name a user of the server, or remove it to read anonymously"),
            (self.user_certificate_file.is_some() != self.user_key_file.is_some()).then_some(
                "`user_certificate_file` and `user_key_file` belong together: write both, or neither",
            ),
            (has_user && has_certificate).then_some(
                "there is a `username` and a `user_certificate_file`: a session has one user, keep one of them",
            ),
            (has_certificate && self.security == Security::None).then_some(
                "a `user_certificate_file` needs a secured session: write security = \"sign_and_encrypt\" (or \"sign\")",
            ),
        ]
        .into_iter()
        .flatten()
    }

    pub(super) fn security_warnings(&self) -> impl Iterator<Item = &'static str> {
        let is_open = self.security == Security::None;
        [
            is_open.then_some("security none: values travel in the clear and can be changed on the way"),
            (self.security == Security::Sign)
                .then_some("security sign: values travel in the clear, though nobody can change them"),
            (is_open && self.username.is_some()).then_some(
                "a user with security none: the password is sent only if the server has it encrypted, never in the clear",
            ),
        ]
        .into_iter()
        .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(keys: &str) -> Result<OpcuaConfig, String> {
        let tag =
            "[[tag]]\nname = \"p.flow\"\nasset = \"a/b/c\"\nnode = \"nsu=urn:plant;s=Flow\"\n";
        let text = format!("name = \"s\"\nendpoint = \"opc.tcp://plc\"\n{keys}\n{tag}");
        toml::from_str(&text).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn check(keys: &str, problem: &str) {
        match config(keys) {
            Err(error) => assert!(!problem.is_empty() && error.contains(problem), "{error}"),
            Ok(config) => {
                let problems = config.problems().join("\n");
                assert!(
                    problems.is_empty() == problem.is_empty() && problems.contains(problem),
                    "{problems}"
                );
            }
        }
    }

    #[test]
    fn every_mistake_is_named_with_what_would_be_right() {
        let secured = "security = \"sign_and_encrypt\"";
        check(secured, "");
        check("security = \"sign\"\nsecurity_policy = \"aes256_sha256_rsapss\"", "");
        check("security = \"encrypt\"", "expected one of `none`, `sign`, `sign_and_encrypt`");
        check(
            &format!("{secured}\nsecurity_policy = \"basic256\""),
            "expected one of `basic256sha256`, `aes128_sha256_rsaoaep`, `aes256_sha256_rsapss`",
        );
        check("security = \"none\"\nsecurity_policy = \"basic256sha256\"", "means nothing with");
        check(
            &format!("{secured}\nusername = \"u\""),
            "`username` and `password_file` belong together",
        );
        check(
            &format!("{secured}\nusername = \" \"\npassword_file = \"p\""),
            "`username` is empty",
        );
        check(&format!("{secured}\nuser_key_file = \"k\""), "belong together");
        let both = "user_certificate_file = \"c\"\nuser_key_file = \"k\"";
        check(&format!("{secured}\n{both}"), "");
        check(&format!("security = \"none\"\n{both}"), "needs a secured session");
        check(
            &format!("{secured}\n{both}\nusername = \"u\"\npassword_file = \"p\""),
            "keep one of them",
        );
        check(&format!("{secured}\npassword = \"secret\""), "unknown field `password`");
    }

    #[test]
    fn whatever_can_be_overheard_is_warned_of() {
        let warnings = |keys| config(keys).expect("the form is right").warnings();
        assert_eq!(warnings("security = \"sign_and_encrypt\""), [""; 0]);
        assert!(warnings("security = \"sign\"")[0].contains("in the clear"));
        let open = warnings("security = \"none\"\nusername = \"u\"\npassword_file = \"p\"");
        assert!(
            open[0].contains("security none") && open[1].contains("never in the clear"),
            "{open:?}"
        );
    }
}
