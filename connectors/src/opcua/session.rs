//! One OPC UA session: find the endpoint, connect, look up namespaces, subscribe, then watch the publish loop until
//! something breaks. Back-off is the caller's.

use std::{
    convert::Infallible,
    io,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use bellwether_domain::{ConnectorState, Reading, Reason};
use futures_util::{Stream, TryStreamExt};
use opcua::{
    client::{
        ClientConfig, IdentityToken, Session, SessionBuilder, SessionPollResult,
        SubscriptionActivity, transport::TransportPollResult,
    },
    core::ResponseMessage,
    types::{
        DateTime, EndpointDescription, Error, GetEndpointsRequest, NodeId, ReadValueId,
        RequestHeader, StatusCode, TimestampsToReturn, VariableId, Variant,
    },
};
use tokio::{
    select,
    time::{Instant, sleep_until, timeout},
};
use tracing::{debug, warn};

use super::{
    EndpointUrl, Source,
    connector::TcpConnector,
    endpoint,
    receiver::{Receiver, Shared},
    settings::{
        LIFETIME_KEEP_ALIVES, MAX_NOTIFICATIONS, client_config, item, keep_alive_count,
        no_certificates, silence_limit,
    },
};
use crate::{Batch, Now, SessionError, Sink, StatusCell, status};

/// Monitored items created with one call.
const ITEMS_A_CALL: usize = 500;
/// How long a session that has to end may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);
/// How often items the server has refused are tried again.
const RETRY: Duration = Duration::from_secs(60);

/// Reads from the server until the session ends. At its end all tags become bad; the error goes to the caller alone, who
/// notes it in the status and decides what is next.
///
/// # Errors
/// The reason why the session has ended; it ends in no other way.
pub async fn run(
    source: &Source,
    sink: &Sink,
    status: &StatusCell,
    now: &Now,
) -> Result<Infallible, SessionError> {
    let at = now();
    status.update(|status| {
        status.sessions += 1;
        status.silent.clear();
        status::enter(status, ConnectorState::Connecting, at);
    });
    let Err(error) = Connection { source, sink, status, now }.session().await;
    let (at, reason) = (now(), error.reason());
    let readings = source.tag_ids().map(|tag| Reading::bad(tag, at, reason)).collect();
    sink.offer(Batch::Readings(readings));
    Err(error)
}

#[derive(Clone, Copy)]
struct Connection<'a> {
    source: &'a Source,
    sink: &'a Sink,
    status: &'a StatusCell,
    now: &'a Now,
}

impl Connection<'_> {
    async fn session(self) -> Result<Infallible, SessionError> {
        let config = client_config(self.source);
        let typed =
            EndpointUrl::parse(&self.source.endpoint).ok_or_else(|| SessionError::Service {
                endpoint: self.source.endpoint.clone(),
                action: "be found",
                detail: "`endpoint` is not opc.tcp://host:port/path".to_owned(),
            })?;
        let connector = TcpConnector::new(typed.clone(), self.source.timeout);
        let discovery = timeout(self.source.timeout * 2, self.discover(&config, &connector)).await;
        let offered = discovery.unwrap_or_else(|_| Err(self.late("list its endpoints")))?;
        let chosen = endpoint::choose(&typed, offered)?;
        let path = EndpointUrl::parse(chosen.endpoint_url.as_ref()).unwrap_or(typed);
        let connector = connector.to(path);
        let built = SessionBuilder::new(&config)
            .connect_to_endpoint_directly(chosen)
            .map(|builder| builder.user_identity_token(IdentityToken::Anonymous))
            .and_then(|builder| builder.with_connector(connector.clone()).build(no_certificates()));
        let (session, events) = built.map_err(|error| self.failed("open a session", &error))?;
        let mut events = pin!(events.enter());
        let shared = Shared::new(self.source.tags.len());
        let mut work = pin!(self.work(&session, &shared));
        let ended = loop {
            select! {
                event = events.try_next() => {
                    if let Err(ended) = self.event(event, &connector, &shared) {
                        break ended;
                    }
                }
                Err(error) = &mut work => break Ended::Here(error),
            }
        };
        match ended {
            Ended::There(error) => Err(error),
            Ended::Here(error) => {
                goodbye(&session, events.as_mut()).await;
                Err(error)
            }
        }
    }

    /// Asks the server for its endpoints, over a connection of its own.
    async fn discover(
        self,
        config: &ClientConfig,
        connector: &TcpConnector,
    ) -> Result<Vec<EndpointDescription>, SessionError> {
        let action = "list its endpoints";
        let failed = |error: Error| match connector.take_failure() {
            Some(source) => {
                SessionError::Connect { endpoint: self.source.endpoint.clone(), source }
            }
            None => self.failed(action, &error),
        };
        let url = self.source.endpoint.as_str();
        let channel = SessionBuilder::new(config)
            .connect_to_endpoint_directly(url)
            .and_then(|builder| builder.build_channel(no_certificates()))
            .map_err(failed)?;
        let mut transport = channel.connect_no_retry(connector).await.map_err(failed)?;
        let request = GetEndpointsRequest {
            request_header: RequestHeader::new(&NodeId::null(), &DateTime::now(), 1),
            endpoint_url: url.into(),
            locale_ids: None,
            profile_uris: None,
        };
        let mut asked = pin!(channel.send(request, self.source.timeout));
        let answer = loop {
            select! {
                answer = &mut asked => break answer.map_err(failed)?,
                event = transport.poll() => {
                    if let TransportPollResult::Closed(status) = event {
                        return Err(failed(Error::new(status, "the connection was closed")));
                    }
                }
            }
        };
        match answer {
            ResponseMessage::GetEndpoints(answer)
                if answer.response_header.service_result.is_good() =>
            {
                Ok(answer.endpoints.unwrap_or_default())
            }
            ResponseMessage::GetEndpoints(answer) => {
                Err(failed(Error::new(answer.response_header.service_result, "the server refuses")))
            }
            ResponseMessage::ServiceFault(fault) => {
                Err(failed(Error::new(fault.response_header.service_result, "the server refuses")))
            }
            _ => Err(failed(Error::new(StatusCode::BadUnknownResponse, "an unexpected answer"))),
        }
    }

    /// Looks at what has happened to the session; the library drives it meanwhile.
    fn event(
        self,
        event: Result<Option<SessionPollResult>, StatusCode>,
        connector: &TcpConnector,
        shared: &Shared,
    ) -> Result<(), Ended> {
        let activity = match event {
            Ok(Some(SessionPollResult::Subscription(activity))) => Some(activity),
            Ok(Some(_)) => None,
            Ok(None) => return Err(Ended::There(self.broken())),
            Err(status) => return Err(Ended::There(self.not_opened(status, connector))),
        };
        if let Some(status) = shared.ended.get() {
            return Err(Ended::Here(self.subscription_ended(*status)));
        }
        match activity {
            Some(SubscriptionActivity::Publish) => {
                shared.published();
                shared.confirm(self.sink, (self.now)(), self.source.keep_alive);
                self.status.update(|status| {
                    status.requests += 1;
                    status.bytes_received += connector.take_bytes();
                });
                Ok(())
            }
            // Before the first subscription exists this is the library's ordinary noise.
            Some(SubscriptionActivity::PublishFailed(status))
                if status == StatusCode::BadNoSubscription && shared.published_at().is_some() =>
            {
                Err(Ended::Here(self.subscription_ended(status)))
            }
            _ => Ok(()),
        }
    }

    /// Everything the session asks for by itself. Ends only with an error.
    async fn work(
        self,
        session: &Arc<Session>,
        shared: &Arc<Shared>,
    ) -> Result<Infallible, SessionError> {
        if timeout(self.source.timeout, session.wait_for_connection()).await.is_err() {
            return Err(self.late("open a session"));
        }
        session.disable_reconnects();
        let subscription = self.subscribe(session, shared).await?;
        let limit = silence_limit(session, subscription, self.source);
        shared.subscribed();
        let all: Vec<usize> = (0..self.source.tags.len()).collect();
        let mut missing = self.monitor(session, subscription, all).await?;
        self.warn_of_security();
        let mut tried_again_at = Instant::now() + RETRY;
        loop {
            let silent_at = shared.published_at().unwrap_or_else(Instant::now) + limit;
            let wakes_at =
                if missing.is_empty() { silent_at } else { silent_at.min(tried_again_at) };
            sleep_until(wakes_at).await;
            if shared.published_at().is_some_and(|at| at + limit <= Instant::now()) {
                let endpoint = self.source.endpoint.clone();
                return Err(SessionError::Unpublished { endpoint, silence_ms: millis(limit) });
            }
            if !missing.is_empty() && tried_again_at <= Instant::now() {
                missing = self.monitor(session, subscription, missing).await?;
                tried_again_at = Instant::now() + RETRY;
            }
        }
    }

    /// Said once a session, for the log; `bellwether check` says it too.
    fn warn_of_security(self) {
        let source = self.source.name.as_str();
        warn!(source, "security none: values travel in the clear and can be changed on the way");
        let numbered = self.source.tags.iter().filter(|tag| tag.node.is_numbered()).count();
        if numbered > 0 {
            warn!(
                source,
                numbered,
                "nodes name their namespace by number, which servers may change: use nsu="
            );
        }
    }

    async fn subscribe(
        self,
        session: &Arc<Session>,
        shared: &Arc<Shared>,
    ) -> Result<u32, SessionError> {
        let keep_alive = keep_alive_count(self.source);
        let receiver = Receiver::new(self.source, self.sink, self.now, shared);
        let created = session.create_subscription(
            self.source.publishing_interval,
            keep_alive.saturating_mul(LIFETIME_KEEP_ALIVES),
            keep_alive,
            MAX_NOTIFICATIONS,
            0,
            true,
            receiver,
        );
        created.await.map_err(|error| self.failed("create a subscription", &error))
    }

    /// Creates monitored items for these tags. Those the server refuses become bad, the others go on; returns them.
    async fn monitor(
        self,
        session: &Arc<Session>,
        subscription: u32,
        tags: Vec<usize>,
    ) -> Result<Vec<usize>, SessionError> {
        let namespaces = self.namespaces(session).await?;
        let mut refused = Vec::new();
        let mut asked = Vec::new();
        for index in tags {
            let Some(tag) = self.source.tags.get(index) else { continue };
            match tag.node.resolve(&namespaces) {
                Some(node) => asked.push((index, item(self.source, index, node))),
                None => refused.push((index, "its namespace is unknown to the server".to_owned())),
            }
        }
        for chunk in asked.chunks(ITEMS_A_CALL) {
            let items = chunk.iter().map(|(_, item)| item.clone()).collect();
            let created = session
                .create_monitored_items(subscription, TimestampsToReturn::Both, items)
                .await
                .map_err(|error| self.failed("monitor its values", &error))?;
            for ((index, _), created) in chunk.iter().zip(created) {
                let code = created.result.status_code;
                if !code.is_good() {
                    refused.push((*index, code.to_string()));
                }
            }
        }
        self.report(&refused);
        Ok(refused.into_iter().map(|(index, _)| index).collect())
    }

    /// Tells how the subscription stands.
    fn report(self, refused: &[(usize, String)]) {
        let at = (self.now)();
        let bad = refused.iter().filter_map(|(index, _)| self.source.tags.get(*index));
        let bad: Vec<_> = bad.map(|tag| Reading::bad(tag.id, at, Reason::Configuration)).collect();
        if !bad.is_empty() {
            self.sink.offer(Batch::Readings(bad));
        }
        let names = refused.iter().filter_map(|(index, why)| {
            let tag = self.source.tags.get(*index)?;
            Some(format!("tag `{}`: {why}: check `node`", tag.name))
        });
        let names: Vec<_> = names.collect();
        let is_whole = names.is_empty();
        self.status.update(|status| {
            status.refusals += refused.len() as u64;
            status.silent = names;
            let state = if is_whole { ConnectorState::Connected } else { ConnectorState::Degraded };
            status::enter(status, state, at);
        });
    }

    /// The server's namespaces, in its order.
    async fn namespaces(self, session: &Arc<Session>) -> Result<Vec<String>, SessionError> {
        let action = "tell its namespaces";
        let node = ReadValueId::from(NodeId::from(VariableId::Server_NamespaceArray));
        let read = session.read(&[node], TimestampsToReturn::Neither, 0.0).await;
        let values = read.map_err(|error| self.failed(action, &error))?;
        let Some(Variant::Array(array)) = values.into_iter().next().and_then(|value| value.value)
        else {
            let error = Error::new(StatusCode::BadNoValue, "the namespace array is empty");
            return Err(self.failed(action, &error));
        };
        let uri = |value: &Variant| match value {
            Variant::String(uri) => uri.as_ref().to_owned(),
            _ => String::new(),
        };
        Ok(array.values.iter().map(uri).collect())
    }

    fn failed(self, action: &'static str, error: &Error) -> SessionError {
        self.service(action, error.status(), error.to_string())
    }

    fn service(self, action: &'static str, status: StatusCode, detail: String) -> SessionError {
        let endpoint = self.source.endpoint.clone();
        if needs_a_person(status) {
            SessionError::Refused { endpoint, detail }
        } else {
            SessionError::Service { endpoint, action, detail }
        }
    }

    fn not_opened(self, status: StatusCode, connector: &TcpConnector) -> SessionError {
        match connector.take_failure() {
            Some(source) => {
                SessionError::Connect { endpoint: self.source.endpoint.clone(), source }
            }
            None => self.service("open a session", status, status.to_string()),
        }
    }

    fn late(self, action: &'static str) -> SessionError {
        let timeout_ms = millis(self.source.timeout);
        SessionError::ServiceTimeout { endpoint: self.source.endpoint.clone(), action, timeout_ms }
    }

    fn broken(self) -> SessionError {
        let source = io::ErrorKind::ConnectionAborted.into();
        SessionError::Broken { endpoint: self.source.endpoint.clone(), source }
    }

    fn subscription_ended(self, status: StatusCode) -> SessionError {
        let endpoint = self.source.endpoint.clone();
        SessionError::SubscriptionEnded { endpoint, detail: status.to_string() }
    }
}

/// Where a session has ended: if it was here, the server is still there to be told.
enum Ended {
    Here(SessionError),
    There(SessionError),
}

/// Closes session and connection, so that the server need not wait for its timeout: some allow only a few sessions.
async fn goodbye(
    session: &Arc<Session>,
    mut events: Pin<&mut impl Stream<Item = Result<SessionPollResult, StatusCode>>>,
) {
    let drain = async { while let Ok(Some(_)) = events.try_next().await {} };
    let both = async { tokio::join!(session.disconnect(), drain) };
    match timeout(GOODBYE, both).await {
        Ok((Ok(()), ())) => {}
        Ok((Err(error), ())) => debug!(%error, "the session could not be closed"),
        Err(_) => debug!("the server did not say goodbye in time"),
    }
}

/// Whether the server will refuse until somebody changes something.
fn needs_a_person(status: StatusCode) -> bool {
    [
        StatusCode::BadUserAccessDenied,
        StatusCode::BadIdentityTokenInvalid,
        StatusCode::BadIdentityTokenRejected,
        StatusCode::BadSecurityModeRejected,
        StatusCode::BadSecurityModeInsufficient,
        StatusCode::BadSecurityPolicyRejected,
    ]
    .contains(&status)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
