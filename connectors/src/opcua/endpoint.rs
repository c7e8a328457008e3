//! Which of a server's endpoints to use, and under which address: servers behind port forwarding advertise a host and a
//! port of their own that nobody here can reach.

use std::fmt;

use opcua::types::{EndpointDescription, MessageSecurityMode, UserTokenType};

use crate::SessionError;

/// Default port of OPC UA over TCP.
const DEFAULT_PORT: u16 = 4840;
/// Security policy without security (Part 7).
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

/// The endpoint without security, under the host and port a person typed; one with the typed path goes first.
///
/// # Errors
/// [`SessionError::NoEndpoint`] and [`SessionError::Refused`]: the server does not offer what is configured.
pub(super) fn choose(
    typed: &EndpointUrl,
    offered: Vec<EndpointDescription>,
) -> Result<EndpointDescription, SessionError> {
    let endpoint = typed.to_string();
    let names = policy_names(&offered);
    let mut unsecured: Vec<_> = offered.into_iter().filter(is_unsecured).collect();
    unsecured.sort_by_key(|endpoint| path_of(endpoint) != trimmed(&typed.path));
    let Some(first) = unsecured.first().cloned() else {
        return Err(SessionError::NoEndpoint { endpoint, offered: names });
    };
    let Some(mut chosen) = unsecured.into_iter().find(allows_anonymous) else {
        let detail = format!("{} has no anonymous access", first.endpoint_url.as_ref());
        return Err(SessionError::Refused { endpoint, detail });
    };
    let advertised = EndpointUrl::parse(chosen.endpoint_url.as_ref());
    let path = advertised.map_or_else(|| typed.path.clone(), |advertised| advertised.path);
    chosen.endpoint_url = EndpointUrl { path, ..typed.clone() }.to_string().into();
    // Nothing is encrypted, so the certificate serves no purpose and need not even parse.
    chosen.server_certificate = opcua::types::ByteString::null();
    Ok(chosen)
}

fn is_unsecured(endpoint: &EndpointDescription) -> bool {
    endpoint.security_mode == MessageSecurityMode::None
        && endpoint.security_policy_uri.as_ref() == POLICY_NONE
        && endpoint.endpoint_url.as_ref().starts_with("opc.tcp://")
}

fn allows_anonymous(endpoint: &EndpointDescription) -> bool {
    let tokens = endpoint.user_identity_tokens.as_ref();
    tokens.is_none_or(|tokens| {
        tokens.is_empty() || tokens.iter().any(|token| token.token_type == UserTokenType::Anonymous)
    })
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
    use opcua::types::UserTokenPolicy;

    use super::*;

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
        let chosen = choose(&typed("opc.tcp://127.0.0.1:50000"), offered).expect("an endpoint");
        assert_eq!(chosen.endpoint_url.as_ref(), "opc.tcp://127.0.0.1:50000/x");
        assert_eq!(chosen.security_mode, MessageSecurityMode::None);
    }

    #[test]
    fn the_endpoint_with_the_typed_path_goes_first() {
        let offered = vec![
            offer("opc.tcp://s:1/other", "None", MessageSecurityMode::None),
            offer("opc.tcp://s:1/line-1/", "None", MessageSecurityMode::None),
        ];
        let chosen = choose(&typed("opc.tcp://s:1/line-1"), offered).expect("an endpoint");
        assert_eq!(chosen.endpoint_url.as_ref(), "opc.tcp://s:1/line-1/");
    }

    #[test]
    fn a_server_that_wants_security_or_a_user_is_a_permanent_error() {
        let secured = vec![offer("opc.tcp://s:1", "Basic256Sha256", MessageSecurityMode::Sign)];
        let error = choose(&typed("opc.tcp://s:1"), secured).expect_err("no endpoint fits");
        assert!(error.is_permanent());
        assert!(error.to_string().contains("only Basic256Sha256"), "{error}");

        let mut with_user = offer("opc.tcp://s:1", "None", MessageSecurityMode::None);
        let token =
            UserTokenPolicy { token_type: UserTokenType::UserName, ..UserTokenPolicy::default() };
        with_user.user_identity_tokens = Some(vec![token]);
        let error = choose(&typed("opc.tcp://s:1"), vec![with_user]).expect_err("no endpoint fits");
        assert!(error.is_permanent() && matches!(error, SessionError::Refused { .. }));
    }
}
