//! What is asked of the library and of the server, and why the defaults will not do.

use std::{path::Path, sync::Arc, time::Duration};

use opcua::{
    client::{ClientBuilder, ClientConfig, Session},
    crypto::CertificateStore,
    sync::RwLock,
    types::{MonitoredItemCreateRequest, MonitoringMode, MonitoringParameters, NodeId},
};

use super::{
    Deadband, Source,
    config::MISSED_KEEP_ALIVES,
    connector::{MAX_CHUNK_BYTES, MAX_MESSAGE_BYTES},
    receiver::handle,
};

/// The library's default of 1000 breaks off publish responses of servers with many values.
const MAX_ARRAY_LENGTH: usize = 100_000;
/// Notifications in one publish response. A few would make servers with a short queue drop values.
pub(super) const MAX_NOTIFICATIONS: u32 = 1_000;
/// The subscription dies in the server after so many keep-alives without a client.
pub(super) const LIFETIME_KEEP_ALIVES: u32 = 6;
/// After how long without a client the session dies in the server.
const SESSION_TIMEOUT_MS: u32 = 30_000;
/// A server that wants to be quiet for longer than this between keep-alives is not believed.
const LONGEST_KEEP_ALIVE: Duration = Duration::from_secs(600);
/// Where there are no certificates: with security none, none are read or written.
const NO_CERTIFICATES: &str = "/dev/null";

/// The settings of every session and of the discovery before it, which shows no certificate.
pub(super) fn client_config(source: &Source, application_uri: Option<&str>) -> ClientConfig {
    ClientBuilder::new()
        .application_name("Bellwether")
        // Servers compare it with the one in the gateway's certificate.
        .application_uri(application_uri.unwrap_or("urn:bellwether:gateway"))
        .product_uri("urn:bellwether")
        .session_name(format!("bellwether {}", source.name))
        .pki_dir(NO_CERTIFICATES)
        .session_retry_limit(0)
        .recreate_subscriptions(false)
        .max_array_length(MAX_ARRAY_LENGTH)
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_chunk_count(2 * MAX_MESSAGE_BYTES / MAX_CHUNK_BYTES)
        .max_chunk_size(MAX_CHUNK_BYTES)
        .max_incoming_chunk_size(MAX_CHUNK_BYTES)
        .request_timeout(source.timeout)
        .publish_timeout(source.keep_alive * (MISSED_KEEP_ALIVES + 1))
        .min_publish_interval(source.publishing_interval.min(Duration::from_millis(100)))
        .keep_alive_interval(source.keep_alive.max(Duration::from_secs(5)))
        .max_failed_keep_alive_count(2)
        .session_timeout(SESSION_TIMEOUT_MS)
        .into_config()
}

/// A store of certificates that touches no file.
pub(super) fn no_certificates() -> Arc<RwLock<CertificateStore>> {
    Arc::new(RwLock::new(CertificateStore::new(Path::new(NO_CERTIFICATES))))
}

/// The wish to be told of this node's value.
pub(super) fn item(
    source: &Source,
    tag: usize,
    node: NodeId,
    deadband: Deadband,
) -> MonitoredItemCreateRequest {
    let parameters = MonitoringParameters {
        client_handle: handle(tag),
        sampling_interval: source.sampling_interval.as_secs_f64() * 1e3,
        queue_size: source.queue_size,
        filter: deadband.filter(),
        discard_oldest: true,
    };
    MonitoredItemCreateRequest::new(node.into(), MonitoringMode::Reporting, parameters)
}

/// After how many quiet publishing intervals the server says that it is alive.
pub(super) fn keep_alive_count(source: &Source) -> u32 {
    let intervals =
        source.keep_alive.as_millis().div_ceil(source.publishing_interval.as_millis().max(1));
    u32::try_from(intervals).unwrap_or(u32::MAX).max(1)
}

/// How long the server may publish nothing, by what it has made of our wishes.
pub(super) fn silence_limit(session: &Session, subscription: u32, source: &Source) -> Duration {
    let state = session.subscription_state.lock();
    let revised = state.get(subscription).map(|subscription| {
        subscription.publishing_interval().saturating_mul(subscription.max_keep_alive_count())
    });
    let keep_alive = revised.unwrap_or_default().min(LONGEST_KEEP_ALIVE).max(source.keep_alive);
    keep_alive * MISSED_KEEP_ALIVES
}

#[cfg(test)]
mod tests {
    use bellwether_domain::TagId;

    use super::*;
    use crate::opcua::OpcuaConfig;

    fn source(publishing_interval_ms: u64) -> Source {
        let text = format!(
            "name = \"s\"\nsecurity = \"none\"\nendpoint = \"opc.tcp://plc\"\n\
             publishing_interval_ms = {publishing_interval_ms}\n\
             [[tag]]\nname = \"t\"\nasset = \"a/b/c\"\nnode = \"nsu=urn:plant;s=T\"\n"
        );
        let config: OpcuaConfig = toml::from_str(&text).expect("the form is right");
        config.source(&[TagId(0)])
    }

    #[test]
    fn a_quiet_server_is_asked_for_a_sign_of_life_every_one_to_ten_seconds() {
        for (publishing_interval_ms, count, keep_alive_ms) in
            [(10, 100, 1_000), (300, 10, 3_000), (1_000, 10, 10_000), (60_000, 1, 60_000)]
        {
            let source = source(publishing_interval_ms);
            assert_eq!(keep_alive_count(&source), count, "{publishing_interval_ms}");
            assert_eq!(source.keep_alive, Duration::from_millis(keep_alive_ms));
        }
    }

    #[test]
    fn items_have_our_own_handles_and_a_queue() {
        let item = item(&source(500), 0, NodeId::new(2, "T"), Deadband::None);
        let parameters = item.requested_parameters;
        assert_eq!(parameters.client_handle, 1, "0 would leave the choice to the library");
        assert_eq!((parameters.queue_size, parameters.discard_oldest), (10, true));
        assert!((parameters.sampling_interval - 500.0).abs() < 1e-9);
    }

    #[test]
    fn the_settings_leave_reconnecting_to_us() {
        let policy = client_config(&source(500), None).session_retry_policy();
        assert!(format!("{policy:?}").contains("reconnect_retry_limit: Some(0)"), "{policy:?}");
    }
}
