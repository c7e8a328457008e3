//! Addresses of nodes. Written with the URI of their namespace they survive a server that numbers its namespaces anew;
//! the number is looked up on every connection.

use std::{fmt, str::FromStr};

use opcua::types::{Identifier, NodeId};

use super::PathAddress;

/// Where a value lies on a server: `nsu=http://vendor/plant;s=Pump.Flow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAddress {
    /// Which namespace.
    pub namespace: Namespace,
    /// Which node in it.
    pub identifier: Identifier,
}

/// How a namespace is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// By its URI: `nsu=…`.
    Uri(String),
    /// By its number, which some servers change when they are configured anew: `ns=2`.
    Index(u16),
}

impl NodeAddress {
    /// Parses `nsu=<uri>;<identifier>`, `ns=<number>;<identifier>` or `<identifier>` (of namespace 0), the identifier
    /// being `s=text`, `i=number`, `g=GUID` or `b=base64` (Part 6, 5.3.1.10 and 5.3.1.11).
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, identifier) = if let Some(rest) = text.strip_prefix("nsu=") {
            // A URI may hold a semicolon, an identifier may too: the first one followed by an identifier ends the URI.
            let end = rest.match_indices(';').map(|(at, _)| at).find(|at| {
                ["s=", "i=", "g=", "b="].iter().any(|kind| rest[at + 1..].starts_with(kind))
            })?;
            let (uri, identifier) = rest.split_at(end);
            (Namespace::Uri(uri.to_owned()), identifier.strip_prefix(';')?)
        } else if let Some(rest) = text.strip_prefix("ns=") {
            let (index, identifier) = rest.split_once(';')?;
            (Namespace::Index(index.parse().ok()?), identifier)
        } else {
            (Namespace::Index(0), text)
        };
        // The library slices at byte 2 without a look, so the kind is checked here.
        let is_known = ["s=", "i=", "g=", "b="].iter().any(|kind| identifier.starts_with(kind));
        let is_empty_uri = matches!(&namespace, Namespace::Uri(uri) if uri.is_empty());
        if !is_known || identifier.len() < 3 || is_empty_uri {
            return None;
        }
        let identifier = Identifier::from_str(identifier).ok()?;
        Some(Self { namespace, identifier })
    }

    /// Whether it depends on a number the server may change; 0 (OPC UA itself) and 1 (the server's own) are fixed.
    pub(super) fn is_numbered(&self) -> bool {
        matches!(self.namespace, Namespace::Index(index) if index > 1)
    }

    /// The node's id on this server, if it has the namespace.
    pub(super) fn resolve(&self, namespaces: &[String]) -> Option<NodeId> {
        Some(NodeId::new(self.namespace.index(namespaces)?, self.identifier.clone()))
    }

    /// How this node of a server is written so that it is found again after the server has numbered its namespaces anew.
    pub(super) fn of(node: &NodeId, namespaces: &[String]) -> Self {
        let namespace = Namespace::of(node.namespace, namespaces);
        Self { namespace, identifier: node.identifier.clone() }
    }
}

impl Namespace {
    /// Its number on this server, if the server has it.
    pub(super) fn index(&self, namespaces: &[String]) -> Option<u16> {
        match self {
            Self::Index(index) => Some(*index),
            Self::Uri(uri) => u16::try_from(namespaces.iter().position(|known| known == uri)?).ok(),
        }
    }

    /// The namespace with this number, by its URI where it has one; 0 is OPC UA's own and always 0.
    pub(super) fn of(index: u16, namespaces: &[String]) -> Self {
        match namespaces.get(usize::from(index)) {
            Some(uri) if index > 0 && !uri.is_empty() => Self::Uri(uri.clone()),
            _ => Self::Index(index),
        }
    }
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Namespace::Uri(uri) => write!(f, "nsu={uri};")?,
            Namespace::Index(0) => {}
            Namespace::Index(index) => write!(f, "ns={index};")?,
        }
        match &self.identifier {
            // The library writes the debug form of a GUID, with its name around it.
            Identifier::Guid(guid) => write!(f, "g={guid}"),
            other => write!(f, "{other}"),
        }
    }
}

/// Where a tag's value is found on a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// By the id of its node.
    Node(NodeAddress),
    /// By its browse path, looked up on every connection.
    Path(PathAddress),
}

impl Place {
    /// Whether it depends on a number the server may change.
    pub(super) fn is_numbered(&self) -> bool {
        match self {
            Self::Node(node) => node.is_numbered(),
            Self::Path(path) => path.is_numbered(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, namespaces: &[&str], expected: Option<&str>) {
        let namespaces: Vec<_> = namespaces.iter().map(|uri| (*uri).to_owned()).collect();
        let node = NodeAddress::parse(text).and_then(|node| node.resolve(&namespaces));
        assert_eq!(node.map(|node| node.to_string()).as_deref(), expected, "{text}");
    }

    #[test]
    fn a_namespace_uri_finds_its_number_wherever_it_stands() {
        let text = "nsu=urn:plant;s=Pump.Flow";
        check(text, &["ua", "urn:plant"], Some("ns=1;s=Pump.Flow"));
        check(text, &["ua", "urn:server", "urn:plant"], Some("ns=2;s=Pump.Flow"));
        check(text, &["ua", "urn:server"], None);
    }

    #[test]
    fn identifiers_of_all_kinds_are_understood() {
        check("ns=2;s=a;b=c", &[], Some("ns=2;s=a;b=c"));
        check("ns=2;i=4711", &[], Some("ns=2;i=4711"));
        check("i=2258", &[], Some("i=2258"));
        check("nsu=http://v/x;y;i=7", &["http://v/x;y"], Some("i=7"));
        check(
            "ns=1;g=09087e75-8e5e-499b-954f-f2a9603db28a",
            &[],
            Some("ns=1;g=09087e75-8e5e-499b-954f-f2a9603db28a"),
        );
    }

    #[test]
    fn anything_else_is_no_address() {
        for text in [
            "",
            "s",
            "s=",
            "nsu=;s=x",
            "nsu=urn:plant",
            "ns=2",
            "ns=x;s=a",
            "ns=70000;s=a",
            "i=x",
            "q=1",
            "ü=1",
            "Objects/Pump",
        ] {
            assert_eq!(NodeAddress::parse(text), None, "{text}");
        }
    }
}
