//! Which of a server's endpoints to use, and under which address: servers behind port forwarding advertise a host and a
//! port of their own that nobody here can reach.

use std::fmt;

use opcua::types::{EndpointDescription, MessageSecurityMode, UserTokenPolicy, UserTokenType};

use super::{Identity, Protection, Security, SecurityPolicy};
use crate::SessionError;

/// Default port of OPC UA over TCP.
const DEFAULT_PORT: u16 = 4840;
/// What the URIs of all security policies begin with (Part 7).
const POLICIES: &str = "http://opcfoundation.org/UA/SecurityPolicy#";
/// Security policy without security.
const POLICY_NONE: &str = "http://opcfoundation.org/UA/SecurityPolicy#None";

/// `opc.tcp://host:port/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointUrl {
    /// Name or address; IPv6 in brackets.
    pub host: String,
    /// 4840 if not written.
    pub port: u16,
    /// With its leading slash; may be empty.
    pub path: String,
}

impl EndpointUrl {
    /// Parses; `None` if it is anything else.
    pub fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("opc.tcp://")?;
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (authority, DEFAULT_PORT),
        };
        let is_bracketed = host.starts_with('[') && host.ends_with(']');
        let is_host = !host.is_empty()
            && (is_bracketed || !host.contains(':'))
            && !host.contains(|c: char| c.is_whitespace() || c == '@');
        (is_host && port != 0).then(|| Self { host: host.to_owned(), port, path: path.to_owned() })
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "opc.tcp://{}:{}{}", self.host, self.port, self.path)
    }
}

/// The endpoint with the configured protection, under the host and port a person typed; one with the typed path goes
/// first. Of its ways to identify a user only the one to use is left, so that the library has no choice.
///
/// # Errors
/// [`SessionError::NoEndpoint`], [`SessionError::Refused`], [`SessionError::PasswordInClear`]: the server does not offer
/// what is configured.
pub(super) fn choose(
    typed: &EndpointUrl,
    protection: &Protection,
    offered: Vec<EndpointDescription>,
) -> Result<EndpointDescription, SessionError> {
    let endpoint = typed.to_string();
    let names = policy_names(&offered);
    let mut fitting: Vec<_> = offered.into_iter().filter(|offer| fits(offer, protection)).collect();
    fitting.sort_by_key(|endpoint| path_of(endpoint) != trimmed(&typed.path));
    if fitting.is_empty() {
        let wanted = protection.in_words();
        return Err(SessionError::NoEndpoint { endpoint, wanted, offered: names });
    }
    let mut failure = None;
    for mut chosen in fitting {
        let policy = match user_policy(&chosen, protection, &endpoint) {
            Ok(policy) => policy,
            Err(error) => {
                failure.get_or_insert(error);
                continue;
            }
        };
        let advertised = EndpointUrl::parse(chosen.endpoint_url.as_ref());
        let path = advertised.map_or_else(|| typed.path.clone(), |advertised| advertised.path);
        chosen.endpoint_url = EndpointUrl { path, ..typed.clone() }.to_string().into();
        let encrypts = chosen.security_mode != MessageSecurityMode::None
            || policy.as_ref().is_some_and(|policy| policy.token_type == UserTokenType::UserName);
        if !encrypts {
            // Nothing is encrypted, so the certificate serves no purpose and need not even parse.
            chosen.server_certificate = opcua::types::ByteString::null();
        }
        if let Some(policy) = policy {
            chosen.user_identity_tokens = Some(vec![policy]);
        }
        return Ok(chosen);
    }
    Err(failure.unwrap_or(SessionError::Refused { endpoint, detail: "no user fits".to_owned() }))
}

fn fits(endpoint: &EndpointDescription, protection: &Protection) -> bool {
    let policy = match protection.security {
        Security::None => "None",
        _ => protection.policy.name(),
    };
    endpoint.security_mode == protection.security.mode()
        && endpoint.security_policy_uri.as_ref() == format!("{POLICIES}{policy}")
        && endpoint.endpoint_url.as_ref().starts_with("opc.tcp://")
}

/// How the user is to be identified; `None` for nobody at a server that lists no ways.
fn user_policy(
    offer: &EndpointDescription,
    protection: &Protection,
    endpoint: &str,
) -> Result<Option<UserTokenPolicy>, SessionError> {
    let tokens = offer.user_identity_tokens.as_deref().unwrap_or_default();
    let (wanted, in_words) = match protection.identity {
        Identity::Anonymous if tokens.is_empty() => return Ok(None),
        Identity::Anonymous => (UserTokenType::Anonymous, "anonymous access"),
        Identity::Password { .. } => {
            (UserTokenType::UserName, "access with user name and password")
        }
        Identity::Certificate { .. } => {
            (UserTokenType::Certificate, "access with a user certificate")
        }
    };
    let mut ways: Vec<_> = tokens.iter().filter(|token| token.token_type == wanted).collect();
    if ways.is_empty() {
        let detail = format!("{} has no {in_words}", offer.endpoint_url.as_ref());
        return Err(SessionError::Refused { endpoint: endpoint.to_owned(), detail });
    }
    if wanted == UserTokenType::Anonymous {
        return Ok(ways.first().map(|way| (*way).clone()));
    }
    // A way without a policy of its own uses that of the channel (Part 4, 7.41).
    let channel = offer.security_policy_uri.as_ref();
    let policy_of = |way: &UserTokenPolicy| {
        let own = way.security_policy_uri.as_ref();
        // A certificate proves itself by a signature, so none is no way for it: some servers list it all the same.
        let is_silent =
            own.is_empty() || (wanted == UserTokenType::Certificate && own == POLICY_NONE);
        if is_silent { channel.to_owned() } else { own.to_owned() }
    };
    let is_encrypted = offer.security_mode == MessageSecurityMode::SignAndEncrypt;
    ways.retain(|way| {
        let policy = policy_of(way);
        let is_open_in_encrypted =
            is_encrypted && wanted == UserTokenType::UserName && policy == POLICY_NONE;
        // An old way of signing gives nothing away, and the channel protects it.
        let is_signature_in_channel = wanted == UserTokenType::Certificate
            && offer.security_mode != MessageSecurityMode::None;
        SecurityPolicy::is_known(&policy) || is_open_in_encrypted || is_signature_in_channel
    });
    let Some(way) = ways.first() else {
        let endpoint = endpoint.to_owned();
        return Err(match wanted {
            UserTokenType::UserName => SessionError::PasswordInClear { endpoint },
            _ => SessionError::Refused {
                endpoint,
                detail: format!("no way to prove {in_words} that the gateway supports"),
            },
        });
    };
    let policy = policy_of(way);
    Ok(Some(UserTokenPolicy { security_policy_uri: policy.into(), ..(*way).clone() }))
}

fn path_of(endpoint: &EndpointDescription) -> String {
    let url = EndpointUrl::parse(endpoint.endpoint_url.as_ref());
    url.map(|url| trimmed(&url.path).to_owned()).unwrap_or_default()
}

fn trimmed(path: &str) -> &str {
    path.trim_end_matches('/')
}

/// `Basic256Sha256, Aes128_Sha256_RsaOaep`, or `nothing`.
fn policy_names(offered: &[EndpointDescription]) -> String {
    let mut names: Vec<_> = offered
        .iter()
        .map(|endpoint| endpoint.security_policy_uri.as_ref())
        .map(|uri| uri.rsplit_once('#').map_or(uri, |(_, name)| name).to_owned())
        .collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> Protection {
        Protection::default()
    }

    fn password(security: Security) -> Protection {
        let identity = Identity::Password { username: "u".to_owned(), file: "p".into() };
        Protection { security, identity, ..Protection::default() }
    }

    fn with_tokens(
        mut offer: EndpointDescription,
        tokens: &[(UserTokenType, &str)],
    ) -> EndpointDescription {
        let tokens = tokens.iter().map(|(token_type, policy)| UserTokenPolicy {
            token_type: *token_type,
            security_policy_uri: if policy.is_empty() {
                "".into()
            } else {
                format!("{POLICIES}{policy}").into()
            },
            ..UserTokenPolicy::default()
        });
        offer.user_identity_tokens = Some(tokens.collect());
        offer
    }

    fn offer(url: &str, policy: &str, mode: MessageSecurityMode) -> EndpointDescription {
        EndpointDescription {
            endpoint_url: url.into(),
            security_policy_uri: format!("http://opcfoundation.org/UA/SecurityPolicy#{policy}")
                .into(),
            security_mode: mode,
            ..EndpointDescription::default()
        }
    }

    fn typed(url: &str) -> EndpointUrl {
        EndpointUrl::parse(url).expect("a good address")
    }

    #[test]
    fn addresses_are_taken_apart_and_put_together() {
        for (url, expected) in [
            ("opc.tcp://plc", "opc.tcp://plc:4840"),
            ("opc.tcp://10.0.0.1:48010/a/b", "opc.tcp://10.0.0.1:48010/a/b"),
            ("opc.tcp://[fe80::1]", "opc.tcp://[fe80::1]:4840"),
            ("opc.tcp://[fe80::1]:7/", "opc.tcp://[fe80::1]:7/"),
        ] {
            assert_eq!(typed(url).to_string(), expected);
        }
        for url in [
            "plc:4840",
            "http://plc",
            "opc.tcp://",
            "opc.tcp://plc:x",
            "opc.tcp://plc:0",
            "opc.tcp://a b",
        ] {
            assert_eq!(EndpointUrl::parse(url), None, "{url}");
        }
    }

    #[test]
    fn the_typed_host_and_port_win_over_the_advertised_ones() {
        let offered = vec![
            offer("opc.tcp://inner-name:4840/x", "Basic256Sha256", MessageSecurityMode::Sign),
            offer("opc.tcp://inner-name:4840/x", "None", MessageSecurityMode::None),
        ];
        let chosen =
            choose(&typed("opc.tcp://127.0.0.1:50000"), &open(), offered).expect("an endpoint");
        assert_eq!(chosen.endpoint_url.as_ref(), "opc.tcp://127.0.0.1:50000/x");
        assert_eq!(chosen.security_mode, MessageSecurityMode::None);
    }

    #[test]
    fn the_endpoint_with_the_typed_path_goes_first() {
        let offered = vec![
            offer("opc.tcp://s:1/other", "None", MessageSecurityMode::None),
            offer("opc.tcp://s:1/line-1/", "None", MessageSecurityMode::None),
        ];
        let chosen = choose(&typed("opc.tcp://s:1/line-1"), &open(), offered).expect("an endpoint");
        assert_eq!(chosen.endpoint_url.as_ref(), "opc.tcp://s:1/line-1/");
    }

    #[test]
    fn a_server_that_wants_security_or_a_user_is_a_permanent_error() {
        let secured = vec![offer("opc.tcp://s:1", "Basic256Sha256", MessageSecurityMode::Sign)];
        let error =
            choose(&typed("opc.tcp://s:1"), &open(), secured).expect_err("no endpoint fits");
        assert!(error.is_permanent());
        assert!(error.to_string().contains("only Basic256Sha256"), "{error}");

        let mut with_user = offer("opc.tcp://s:1", "None", MessageSecurityMode::None);
        let token =
            UserTokenPolicy { token_type: UserTokenType::UserName, ..UserTokenPolicy::default() };
        with_user.user_identity_tokens = Some(vec![token]);
        let error = choose(&typed("opc.tcp://s:1"), &open(), vec![with_user])
            .expect_err("no endpoint fits");
        assert!(error.is_permanent() && matches!(error, SessionError::Refused { .. }));
    }

    #[test]
    fn exactly_the_configured_protection_is_taken_never_a_weaker_one() {
        let offered = || {
            vec![
                offer("opc.tcp://s:1", "None", MessageSecurityMode::None),
                offer("opc.tcp://s:1", "Basic256Sha256", MessageSecurityMode::Sign),
                offer("opc.tcp://s:1", "Basic256Sha256", MessageSecurityMode::SignAndEncrypt),
            ]
        };
        let mut wanted = Protection { security: Security::SignAndEncrypt, ..open() };
        let chosen = choose(&typed("opc.tcp://s:1"), &wanted, offered()).expect("it is offered");
        assert_eq!(chosen.security_mode, MessageSecurityMode::SignAndEncrypt);
        wanted.policy = SecurityPolicy::Aes256Sha256RsaPss;
        let error =
            choose(&typed("opc.tcp://s:1"), &wanted, offered()).expect_err("it is not offered");
        assert!(
            error.to_string().contains("sign_and_encrypt with Aes256_Sha256_RsaPss"),
            "{error}"
        );
    }

    #[test]
    fn a_password_never_travels_in_the_clear() {
        use MessageSecurityMode::{None as Open, Sign, SignAndEncrypt};
        /// Channel policy and mode, policies of the ways to send a password, and which one is taken.
        type Row = (
            &'static str,
            MessageSecurityMode,
            Security,
            &'static [&'static str],
            Option<&'static str>,
        );
        let rows: [Row; 8] = [
            ("None", Open, Security::None, &[""], None),
            ("None", Open, Security::None, &["None"], None),
            ("None", Open, Security::None, &["Basic128Rsa15"], None),
            ("None", Open, Security::None, &["None", "Basic256Sha256"], Some("Basic256Sha256")),
            ("Basic256Sha256", Sign, Security::Sign, &["None"], None),
            ("Basic256Sha256", Sign, Security::Sign, &[""], Some("Basic256Sha256")),
            ("Basic256Sha256", SignAndEncrypt, Security::SignAndEncrypt, &["None"], Some("None")),
            (
                "Basic256Sha256",
                SignAndEncrypt,
                Security::SignAndEncrypt,
                &["Aes256_Sha256_RsaPss"],
                Some("Aes256_Sha256_RsaPss"),
            ),
        ];
        for (policy, mode, security, ways, expected) in rows {
            let tokens: Vec<_> = ways.iter().map(|way| (UserTokenType::UserName, *way)).collect();
            let offered = with_tokens(offer("opc.tcp://s:1", policy, mode), &tokens);
            let chosen = choose(&typed("opc.tcp://s:1"), &password(security), vec![offered]);
            match (chosen, expected) {
                (Err(error), None) => {
                    assert!(matches!(error, SessionError::PasswordInClear { .. }), "{error}")
                }
                (Ok(chosen), Some(way)) => {
                    let tokens = chosen.user_identity_tokens.expect("one is left");
                    assert_eq!(tokens.len(), 1);
                    assert_eq!(tokens[0].security_policy_uri.as_ref(), format!("{POLICIES}{way}"));
                }
                (chosen, expected) => {
                    panic!("{policy} {ways:?}: {chosen:?} instead of {expected:?}")
                }
            }
        }
    }
}
