//! From the outbox to cloud SCADA: one task per uplink, one MQTT connection after the other.
//!
//! What has been delivered is decided by the outbox table, never by the MQTT client: a row is deleted by *its*
//! acknowledgement and by nothing else. A session that ends leaves its unacknowledged rows where they are, and the next
//! session sends them again.

pub mod json;
mod mqtt;

#[cfg(feature = "demo")]
pub use mqtt::observe;

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use bellwether_connectors::Backoff;
use bellwether_domain::{AssetPath, GatewayStatus, Timestamp, UplinkStatus};
use bellwether_store::Core;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{clock::Clock, config::MqttConfig};

/// How long the uplink may go on delivering after everything else has stopped.
const DRAIN_TIME: Duration = Duration::from_millis(1_500);

/// A session that lived this long resets the back-off.
const STABLE_AFTER: Duration = Duration::from_secs(60);

/// How often the backlog is counted while there is no connection, besides each time messages are added.
const BACKLOG_PERIOD: Duration = Duration::from_secs(5);

/// Scheme, host and port of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerUrl {
    /// `mqtts`.
    pub tls: bool,
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl BrokerUrl {
    /// Parses `mqtt://host[:port]` or `mqtts://host[:port]`; the ports default to 1883 and 8883.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub fn parse(url: &str) -> Result<Self, String> {
        let form = || "write mqtt://host:1883 or mqtts://host:8883".to_owned();
        let (scheme, rest) = url.split_once("://").ok_or_else(form)?;
        let tls = match scheme {
            "mqtt" => false,
            "mqtts" => true,
            other => return Err(format!("unknown scheme `{other}`: {}", form())),
        };
        if rest.contains('@') {
            return Err("credentials do not belong in the url: use `username` and `password_file`"
                .to_owned());
        }
        let rest = rest.trim_end_matches('/');
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !rest.ends_with(']') => {
                (host, port.parse().map_err(|_| format!("`{port}` is no port: {}", form()))?)
            }
            _ => (rest, if tls { 8883 } else { 1883 }),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains('/') {
            return Err(form());
        }
        Ok(Self { tls, host: host.to_owned(), port })
    }
}

/// Everything one uplink needs.
#[derive(Debug)]
pub struct Uplink {
    /// Its section of the configuration.
    pub config: MqttConfig,
    /// The gateway's own name on the wire.
    pub device: String,
    /// Where the gateway stands: topic of its status.
    pub gateway_path: AssetPath,
    /// The outbox.
    pub core: Core,
    /// Rung when rows have been added to the outbox.
    pub bell: Arc<Notify>,
    /// What the gateway says about itself in its status message.
    pub gateway: watch::Receiver<Arc<GatewayStatus>>,
    /// Bytes it would have taken to send every reading on its own, as the pump counts them.
    pub raw_equivalent_bytes: Arc<AtomicU64>,
    /// Plant time for what is sent.
    pub clock: Clock,
    /// What this uplink says about itself.
    pub status: watch::Sender<UplinkStatus>,
    /// Cancelled when the last row has been written: deliver what is left, then stop.
    pub stop: CancellationToken,
}

/// Keeps an uplink alive until the gateway stops.
///
/// # Errors
/// None: a broker that is away is waited for.
pub async fn run(uplink: Uplink) -> anyhow::Result<()> {
    tokio::select! {
        () = deliver(&uplink) => {}
        () = watch_backlog(&uplink) => {}
    }
    Ok(())
}

/// Counts what waits on disk while nobody delivers it; a connection counts by itself, after each change it makes.
async fn watch_backlog(uplink: &Uplink) {
    loop {
        // Armed before the outbox is read, so that a row added in between rings.
        let bell = uplink.bell.notified();
        match uplink.core.outbox_stats(&uplink.config.name).await {
            Ok(stats) => {
                uplink.status.send_if_modified(|status| {
                    !status.connected
                        && std::mem::replace(&mut status.backlog, stats.rows) != stats.rows
                });
            }
            Err(error) => debug!(uplink = %uplink.config.name, %error, "backlog not counted"),
        }
        tokio::select! {
            () = bell => {}
            () = tokio::time::sleep(BACKLOG_PERIOD) => {}
        }
    }
}

/// One session after the other, until the gateway stops.
async fn deliver(uplink: &Uplink) {
    let mut backoff = Backoff::new(seed(&uplink.config.name));
    let mut statuses = 0;
    loop {
        let began = tokio::time::Instant::now();
        let error = match mqtt::session(uplink, &mut statuses).await {
            Ok(()) => break,
            // The client reports its own DISCONNECT as an error; rows that are left stay in the outbox.
            Err(error) if uplink.stop.is_cancelled() => {
                debug!(uplink = %uplink.config.name, %error, "uplink stopped");
                break;
            }
            Err(error) => error,
        };
        let at = uplink.clock.now();
        let was_connected = note_failure(uplink, at, &error.to_string());
        if began.elapsed() >= STABLE_AFTER {
            backoff.reset();
        }
        let wait = backoff.next().unwrap_or(STABLE_AFTER);
        if was_connected {
            warn!(uplink = %uplink.config.name, %error, "broker lost: messages wait on disk");
        } else {
            info!(uplink = %uplink.config.name, %error, ?wait, "broker not reached");
        }
        if uplink.stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            break;
        }
    }
}

/// Notes the end of a session; whether it had been connected.
fn note_failure(uplink: &Uplink, at: Timestamp, error: &str) -> bool {
    let mut was_connected = false;
    uplink.status.send_modify(|status| {
        was_connected = std::mem::replace(&mut status.connected, false);
        if was_connected || status.since == Timestamp::default() {
            status.since = at;
        }
        status.last_error = Some(error.to_owned());
    });
    was_connected
}

/// FNV-1a of a text. Seeds the jitter by the uplink's name, so that uplinks do not come back in step.
fn seed(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
