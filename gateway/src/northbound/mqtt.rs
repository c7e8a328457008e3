//! One MQTT connection: the only file that knows the MQTT client.
//!
//! A fresh client and event loop per connection, clean session, QoS 1. The client's own queue is a wire buffer, not
//! storage: at most `in_flight` rows are inside it, and each is tied to the notice of its own acknowledgement.

use std::{collections::BTreeSet, path::Path, time::Duration};

use bellwether_domain::Timestamp;
use bellwether_store::OutboxRow;
use futures_util::{StreamExt, stream::FuturesUnordered};
use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, LastWill, MqttOptions, NetworkOptions, Packet,
    PublishNotice, PublishOptions, QoS, TlsConfiguration, Transport,
};
use tokio::{sync::watch, time::timeout};

use super::{BrokerUrl, DRAIN_TIME, Uplink, json, seed};

/// Largest message in bytes, both ways; the library's own default of 10 KiB would end the connection.
const MAX_PACKET_BYTES: usize = 1 << 20;

/// How long the TCP connection and the broker's CONNACK may take, each.
const CONNECT_TIMEOUT_S: u64 = 5;

/// The status message is sent again this often even if nothing has changed.
const STATUS_PERIOD: Duration = Duration::from_secs(60);

/// How long the last status message and the DISCONNECT may take, each.
const FAREWELL_TIME: Duration = Duration::from_millis(500);

/// How many recent messages the uplink page shows.
const RECENT: usize = 20;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum UplinkError {
    #[error("{broker}: {}: check that the broker runs and the address is right", words(.source))]
    Connection { broker: String, source: Box<ConnectionError> },
    #[error("the certificate file {file} cannot be read: {source}: check `ca_file`")]
    CaFile { file: String, source: std::io::Error },
    #[error("the password file {file} cannot be read: {source}: check `password_file`")]
    PasswordFile { file: String, source: std::io::Error },
    #[error("the MQTT client refuses its settings: {0}")]
    Options(String),
    #[error("the outbox cannot be read: {0}")]
    Outbox(#[from] bellwether_store::StoreError),
    #[error("the connection ended while messages were waiting for their acknowledgement")]
    Interrupted,
}

/// Runs one connection until it fails, or until the gateway stops and the outbox is empty or the drain time is over.
///
/// `statuses`: status messages sent since the process began, over all its connections.
pub(super) async fn session(uplink: &Uplink, statuses: &mut u64) -> Result<(), UplinkError> {
    let url = BrokerUrl::parse(&uplink.config.url).map_err(UplinkError::Options)?;
    let broker = format!("{}:{}", url.host, url.port);
    let connected_at = uplink.clock.now();
    let id = match &uplink.config.client_id {
        Some(id) => id.clone(),
        None => client_id(&uplink.device, &uplink.core.epoch().await?, &uplink.config.name),
    };
    let (client, mut event_loop) = connect(uplink, id, &url, connected_at)?;
    let (connected, is_connected) = watch::channel(false);
    let wire = async {
        loop {
            match event_loop.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    connected.send_replace(true);
                }
                Ok(_) => {}
                Err(source) => {
                    return UplinkError::Connection {
                        broker: broker.clone(),
                        source: Box::new(source),
                    };
                }
            }
        }
    };
    let feeder = Feeder {
        uplink,
        client,
        statuses,
        in_flight: BTreeSet::new(),
        notices: FuturesUnordered::new(),
    };
    // Two long-lived futures side by side: the event loop is never dropped in the middle of connecting.
    tokio::select! {
        error = wire => Err(error),
        result = feeder.run(is_connected) => result,
    }
}

/// Client identifier where the configuration names none. A broker ends the older of two connections with the same one,
/// so device names that are alike must not make it so: it also depends on the random epoch of this gateway's database,
/// and on the uplink, as two may lead to one broker.
pub(super) fn client_id(device: &str, epoch: &str, uplink: &str) -> String {
    let own = seed(&format!("{epoch}/{uplink}"));
    format!("bw-{device}-{:08x}", (own ^ (own >> 32)) & 0xffff_ffff)
}

fn connect(
    uplink: &Uplink,
    id: String,
    url: &BrokerUrl,
    at: Timestamp,
) -> Result<(AsyncClient, EventLoop), UplinkError> {
    let config = &uplink.config;
    let mut options = MqttOptions::new(id, (url.host.clone(), url.port));
    options.set_keep_alive(config.keep_alive_s);
    options.set_max_packet_size(MAX_PACKET_BYTES, MAX_PACKET_BYTES);
    options
        .try_set_inflight(config.in_flight.max(1))
        .map_err(|error| UplinkError::Options(error.to_string()))?;
    options.try_set_clean_session(true).map_err(|error| UplinkError::Options(error.to_string()))?;
    if let Some(user) = &config.username {
        let password =
            config.password_file.as_deref().map(read_password).transpose()?.unwrap_or_default();
        options.set_credentials(user.clone(), password);
    }
    if url.tls {
        options.set_transport(tls(config.ca_file.as_deref())?);
    }
    let will = json::status(uplink, json::WILL, at, false);
    options.set_last_will(LastWill::new(
        json::status_topic(&uplink.gateway_path),
        will,
        QoS::AtLeastOnce,
        true,
    ));
    let capacity = usize::from(config.in_flight) + 4;
    let (client, mut event_loop) = AsyncClient::builder(options)
        .capacity(capacity)
        .try_build()
        .map_err(|error| UplinkError::Options(error.to_string()))?;
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(CONNECT_TIMEOUT_S);
    event_loop.set_network_options(network);
    Ok((client, event_loop))
}

fn read_password(file: &Path) -> Result<String, UplinkError> {
    std::fs::read_to_string(file)
        .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
        .map_err(|source| UplinkError::PasswordFile { file: file.display().to_string(), source })
}

fn tls(ca_file: Option<&Path>) -> Result<Transport, UplinkError> {
    let Some(file) = ca_file else {
        return Transport::try_tls_with_default_config()
            .map_err(|error| UplinkError::Options(error.to_string()));
    };
    let ca = std::fs::read(file)
        .map_err(|source| UplinkError::CaFile { file: file.display().to_string(), source })?;
    Ok(Transport::tls_with_config(TlsConfiguration::Simple { ca, alpn: None, client_auth: None }))
}

/// The sending half of a connection.
struct Feeder<'a> {
    uplink: &'a Uplink,
    client: AsyncClient,
    /// Status messages sent so far: the number of the last one.
    statuses: &'a mut u64,
    /// Rows handed to the client and not yet acknowledged.
    in_flight: BTreeSet<i64>,
    notices: FuturesUnordered<Acknowledgement>,
}

/// Which row, if it was one, and whether its acknowledgement has come.
type Settled = (Option<i64>, bool);

type Acknowledgement = std::pin::Pin<Box<dyn Future<Output = Settled> + Send + Sync>>;

/// Ties a row, or none for a status message, to the notice of its own publish.
fn acknowledgement(row: Option<i64>, notice: PublishNotice) -> Acknowledgement {
    Box::pin(async move { (row, notice.wait_async().await.is_ok()) })
}

impl Feeder<'_> {
    async fn run(mut self, mut connected: watch::Receiver<bool>) -> Result<(), UplinkError> {
        // A broker that takes the connection and never answers must not hold up the stop; what waits stays on disk.
        match self.uplink.stop.run_until_cancelled(connected.wait_for(|is| *is)).await {
            None => return Ok(()),
            Some(Err(_)) => return Err(UplinkError::Interrupted),
            Some(Ok(_)) => {}
        }
        let at = self.uplink.clock.now();
        self.uplink.status.send_modify(|status| {
            status.connected = true;
            status.since = at;
        });
        self.publish_status(true).await?;
        let mut status_due = tokio::time::interval(STATUS_PERIOD);
        status_due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        status_due.reset();
        loop {
            // Armed before the outbox is read, so that a row added in between rings.
            let bell = self.uplink.bell.notified();
            self.fill_window().await?;
            let acknowledged = tokio::select! {
                Some(first) = self.notices.next() => Some(first),
                () = bell => None,
                _ = status_due.tick() => { self.publish_status(true).await?; None }
                () = self.uplink.stop.cancelled() => break,
            };
            if let Some(first) = acknowledged {
                self.settle(first).await?;
            }
        }
        self.drain().await
    }

    /// Hands rows to the client until the window is full or the outbox has no more.
    async fn fill_window(&mut self) -> Result<(), UplinkError> {
        let window = usize::from(self.uplink.config.in_flight.max(1));
        if self.in_flight.len() >= window {
            return Ok(());
        }
        let in_flight: Vec<_> = self.in_flight.iter().copied().collect();
        let room = u32::try_from(window - in_flight.len()).unwrap_or(u32::MAX);
        let rows =
            self.uplink.core.outbox_pending(&self.uplink.config.name, &in_flight, room).await?;
        for row in rows {
            self.in_flight.insert(row.id);
            self.publish(&row).await?;
        }
        self.note_backlog().await
    }

    async fn publish(&mut self, row: &OutboxRow) -> Result<(), UplinkError> {
        let payload = json::message(&self.uplink.device, row);
        self.note_sent(&row.topic, payload.len());
        let notice = self
            .client
            .publish_tracked(row.topic.clone(), payload, PublishOptions::at_least_once())
            .await
            .map_err(|_| UplinkError::Interrupted)?;
        self.notices.push(acknowledgement(Some(row.id), notice));
        Ok(())
    }

    /// Deletes the rows whose acknowledgement has come: this one, and those that are there already.
    async fn settle(&mut self, first: Settled) -> Result<(), UplinkError> {
        let mut done = vec![first];
        while let Some(Some(next)) = futures_util::FutureExt::now_or_never(self.notices.next()) {
            done.push(next);
        }
        let failed = done.iter().any(|(_, is_acknowledged)| !is_acknowledged);
        let acknowledged = done.iter().filter(|(_, is_acknowledged)| *is_acknowledged);
        let count = acknowledged.clone().count() as u64;
        let ids: Vec<_> = acknowledged.filter_map(|(id, _)| *id).collect();
        if !ids.is_empty() {
            self.uplink.core.outbox_acknowledge(&ids).await?;
        }
        ids.iter().for_each(|id| {
            self.in_flight.remove(id);
        });
        self.uplink.status.send_modify(|status| status.acked += count);
        if failed { Err(UplinkError::Interrupted) } else { self.note_backlog().await }
    }

    /// Delivers what is left for as long as the drain time lasts, says good-bye and disconnects.
    async fn drain(mut self) -> Result<(), UplinkError> {
        let emptied = timeout(DRAIN_TIME, async {
            loop {
                self.fill_window().await?;
                let Some(first) = self.notices.next().await else {
                    return Ok::<_, UplinkError>(());
                };
                self.settle(first).await?;
            }
        });
        if let Ok(result) = emptied.await {
            result?;
        }
        // A clean stop says "offline" itself: the broker publishes the will only for a connection that breaks.
        let said = timeout(FAREWELL_TIME, async {
            self.publish_status(false).await?;
            while let Some(settled) = self.notices.next().await {
                self.settle(settled).await?;
            }
            Ok::<_, UplinkError>(())
        });
        if let Ok(result) = said.await {
            result?;
        }
        self.client
            .disconnect_with_timeout(FAREWELL_TIME)
            .await
            .map_err(|_| UplinkError::Interrupted)?;
        // The event loop beside us writes the packet; it ends the select when the connection is closed.
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(())
    }

    async fn publish_status(&mut self, online: bool) -> Result<(), UplinkError> {
        let topic = json::status_topic(&self.uplink.gateway_path);
        *self.statuses += 1;
        let payload = json::status(self.uplink, *self.statuses, self.uplink.clock.now(), online);
        self.note_sent(&topic, payload.len());
        let notice = self
            .client
            .publish_tracked(topic, payload, PublishOptions::at_least_once().retained())
            .await
            .map_err(|_| UplinkError::Interrupted)?;
        self.notices.push(acknowledgement(None, notice));
        Ok(())
    }

    async fn note_backlog(&self) -> Result<(), UplinkError> {
        let stats = self.uplink.core.outbox_stats(&self.uplink.config.name).await?;
        self.uplink.status.send_if_modified(|status| {
            std::mem::replace(&mut status.backlog, stats.rows) != stats.rows
        });
        Ok(())
    }

    fn note_sent(&self, topic: &str, payload_bytes: usize) {
        let bytes = topic.len() + payload_bytes;
        let at = self.uplink.clock.now();
        self.uplink.status.send_modify(|status| {
            status.sent += 1;
            status.bytes_sent += bytes as u64;
            status.recent.insert(0, (at, topic.to_owned(), bytes));
            status.recent.truncate(RECENT);
        });
    }
}

/// Subscribes to everything at a broker and reports the topic of each message: the demo's independent witness.
///
/// # Errors
/// None: a broker that is away is asked again.
#[cfg(feature = "demo")]
pub async fn observe(
    url: String,
    heard: tokio::sync::mpsc::Sender<String>,
    stop: tokio_util::sync::CancellationToken,
) -> anyhow::Result<()> {
    let url = BrokerUrl::parse(&url).map_err(anyhow::Error::msg)?;
    let mut options = MqttOptions::new("demo-observer", (url.host, url.port));
    options.set_max_packet_size(MAX_PACKET_BYTES, MAX_PACKET_BYTES);
    let (client, mut event_loop) = AsyncClient::builder(options).capacity(4).try_build()?;
    let listen = async {
        loop {
            match event_loop.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    if let Err(error) = client.try_subscribe("#", QoS::AtLeastOnce) {
                        tracing::warn!(%error, "the demo cannot subscribe to its own broker");
                    }
                }
                Ok(Event::Incoming(Packet::Publish(publish))) => {
                    // Full: the person who reads along is slower than the machine; the topic is not told.
                    heard
                        .try_send(String::from_utf8_lossy(&publish.topic).into_owned())
                        .unwrap_or_default();
                }
                Ok(_) => {}
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
    };
    stop.run_until_cancelled(listen).await;
    Ok(())
}

/// The library's error in words a person can act on.
fn words(error: &ConnectionError) -> String {
    match error {
        ConnectionError::Io(error) => format!("cannot be reached ({error})"),
        ConnectionError::NetworkTimeout => "does not answer in time".to_owned(),
        ConnectionError::ConnectionRefused(code) => {
            format!("refuses the connection ({code:?}): check client id, user name and password")
        }
        ConnectionError::Tls(error) => {
            format!("TLS failed ({error}): check `ca_file` and the host name")
        }
        other => other.to_string(),
    }
}
