//! OPC UA client (Part 4 subscriptions): a fresh session for every connection.
//!
//! The library's own reconnect goes silent (subscriptions are transferred before the new publish loop exists), so it is
//! switched off: when anything breaks the session ends, and the next one resolves names, subscribes and starts anew.
//! Values are decoded in the library's receive path and offered without waiting.

mod browse;
mod certificate;
mod config;
mod connector;
mod decode;
mod discovery;
mod endpoint;
mod filter;
mod identity;
mod limits;
mod node;
mod path;
mod pki;
mod receiver;
mod resolve;
mod security;
mod session;
mod settings;
mod subscribe;
mod tally;
mod tree;
mod trust;
mod units;

use std::time::Duration;

use bellwether_domain::TagId;

pub use browse::{BrowseLimits, browse};
pub use config::{OpcuaConfig, OpcuaTagConfig, WaveformConfig};
pub use endpoint::EndpointUrl;
pub use filter::Deadband;
pub use node::{Namespace, NodeAddress, Place};
pub use path::{PathAddress, PathElement};
pub use pki::{Pki, PkiError};
pub use security::{Identity, Protection, Security, SecurityPolicy};
pub use session::run;
pub use tree::{Kind, Node, Tree};

/// A validated `[[opcua]]` section: all that a session needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Name in the configuration.
    pub name: String,
    /// `opc.tcp://host:port/path` as a person typed it.
    pub endpoint: String,
    /// How it is talked to.
    pub protection: Protection,
    /// Wall time between two notifications.
    pub publishing_interval: Duration,
    /// How often the server looks at the values.
    pub sampling_interval: Duration,
    /// How long a service call may take.
    pub timeout: Duration,
    /// How long the server may be quiet before it says that it is alive.
    pub keep_alive: Duration,
    /// Source and server times farther away from plant time than this are not believed. In plant time: a gateway whose
    /// clock runs `speed` times as fast multiplies it.
    pub clock_skew_limit: Duration,
    /// Values the server keeps for each item between two notifications.
    pub queue_size: u32,
    /// In the order of the configuration.
    pub tags: Vec<SourceTag>,
}

/// A tag and where its value comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceTag {
    /// Whose value.
    pub id: TagId,
    /// Name, for messages.
    pub name: String,
    /// Which node.
    pub place: Place,
    /// Smaller changes are not told.
    pub deadband: Deadband,
    /// Plausible range by the configuration; by default what the server tells in `EURange`.
    pub range: Option<[f64; 2]>,
    /// Samples per second, if the value is a burst.
    pub sample_rate_hz: Option<f64>,
}

impl SourceTag {
    /// The node as it stands in the configuration. Two tags with the same words read the same node.
    pub fn address(&self) -> String {
        match &self.place {
            Place::Node(node) => node.to_string(),
            Place::Path(path) => path.to_string(),
        }
    }
}

impl Source {
    /// The ids of all its tags.
    pub fn tag_ids(&self) -> impl Iterator<Item = TagId> {
        self.tags.iter().map(|tag| tag.id)
    }
}
