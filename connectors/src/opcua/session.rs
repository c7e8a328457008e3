//! One OPC UA session: find the endpoint, connect, look up namespaces, subscribe, then watch the publish loop until
//! something breaks. Back-off is the caller's.

use std::{
    convert::Infallible,
    io,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use bellwether_domain::{Certificate, ConnectorState, Reading};
use futures_util::{Stream, TryStreamExt};
use opcua::{
    client::{Session, SessionBuilder, SessionPollResult, SubscriptionActivity},
    types::{Error, StatusCode},
};
use tokio::{select, time::timeout};
use tracing::debug;

use super::{
    EndpointUrl, Pki, Source, connector::TcpConnector, endpoint, identity, receiver::Shared,
    settings::client_config, tally,
};
use crate::{Batch, Now, SessionError, Sink, StatusCell, status};

/// How long a session that has to end may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// Reads from the server until the session ends. At its end all tags become bad; the error goes to the caller alone, who
/// notes it in the status and decides what is next.
///
/// # Errors
/// The reason why the session has ended; it ends in no other way.
pub async fn run(
    source: &Source,
    pki: &Pki,
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
    let connection = Connection { source, pki, sink, status, now };
    let work = move |session: Arc<Session>, shared: Arc<Shared>| async move {
        connection.work(&session, &shared).await
    };
    let Err(error) = connection.hold(work).await;
    let (at, reason) = (now(), error.reason());
    status.update(|status| tally::failed(status, at, &error));
    let readings = source.tag_ids().map(|tag| Reading::bad(tag, at, reason)).collect();
    sink.offer(Batch::Readings(readings));
    Err(error)
}

/// A session's surroundings. What it does stands in the modules beside this one: `discovery` before it, `subscribe`
/// while it lives.
#[derive(Clone, Copy)]
pub(super) struct Connection<'a> {
    pub(super) source: &'a Source,
    pub(super) pki: &'a Pki,
    pub(super) sink: &'a Sink,
    pub(super) status: &'a StatusCell,
    pub(super) now: &'a Now,
}

impl Connection<'_> {
    /// Opens a session, drives it while `work` goes on, and closes it.
    pub(super) async fn hold<T, W>(
        self,
        work: impl FnOnce(Arc<Session>, Arc<Shared>) -> W,
    ) -> Result<T, SessionError>
    where
        W: Future<Output = Result<T, SessionError>>,
    {
        let config = client_config(self.source, None);
        let typed =
            EndpointUrl::parse(&self.source.endpoint).ok_or_else(|| SessionError::Service {
                endpoint: self.source.endpoint.clone(),
                action: "be found",
                detail: "`endpoint` is not opc.tcp://host:port/path".to_owned(),
            })?;
        let connector = TcpConnector::new(typed.clone(), self.source.timeout);
        let discovery = timeout(self.source.timeout * 2, self.discover(&config, &connector)).await;
        let offered = discovery.unwrap_or_else(|_| Err(self.late("list its endpoints")))?;
        let count = offered.len();
        let chosen = endpoint::choose(&typed, &self.source.protection, offered)?;
        let bytes = connector.take_bytes();
        self.status.update(|status| {
            let answer = format!("{count} endpoints");
            tally::answered(status, (self.now)(), "get endpoints", &answer, bytes);
        });
        let credentials = self.credentials(&chosen).await?;
        let own = credentials.own.as_ref();
        let token = identity::token(&self.source.endpoint, &self.source.protection.identity)?;
        let config = client_config(self.source, own.and_then(|own| own.application_uri.as_deref()));
        let path = EndpointUrl::parse(chosen.endpoint_url.as_ref()).unwrap_or(typed);
        let connector = connector.to(path);
        let built = SessionBuilder::new(&config)
            .connect_to_endpoint_directly(chosen)
            .map(|builder| builder.user_identity_token(token))
            .and_then(|builder| builder.with_connector(connector.clone()).build(credentials.store));
        let (session, events) = built.map_err(|error| self.failed("open a session", &error))?;
        let mut events = pin!(events.enter());
        let shared = Shared::new(self.source.tags.len());
        let mut work = pin!(work(Arc::clone(&session), Arc::clone(&shared)));
        let ended = loop {
            select! {
                event = events.try_next() => {
                    if let Err(ended) = self.event(event, (&connector, own), &shared) {
                        break ended;
                    }
                }
                done = &mut work => {
                    goodbye(&session, events.as_mut()).await;
                    return done;
                }
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

    /// Looks at what has happened to the session; the library drives it meanwhile.
    fn event(
        self,
        event: Result<Option<SessionPollResult>, StatusCode>,
        (connector, own): (&TcpConnector, Option<&Certificate>),
        shared: &Shared,
    ) -> Result<(), Ended> {
        let activity = match event {
            Ok(Some(SessionPollResult::Subscription(activity))) => Some(activity),
            Ok(Some(_)) => None,
            Ok(None) => return Err(Ended::There(self.broken())),
            Err(status) => return Err(Ended::There(self.not_opened(status, connector, own))),
        };
        if let Some(status) = shared.ended.get() {
            return Err(Ended::Here(self.subscription_ended(*status)));
        }
        match activity {
            Some(SubscriptionActivity::Publish) => {
                shared.published();
                shared.confirm(self.sink, (self.now)(), self.source.keep_alive);
                let bytes = connector.take_bytes();
                self.status.update(|status| {
                    status.requests += 1;
                    status.bytes_received += bytes;
                    tally::answered(status, (self.now)(), "publish", "what has changed", bytes);
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

    pub(super) fn failed(self, action: &'static str, error: &Error) -> SessionError {
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

    fn not_opened(
        self,
        status: StatusCode,
        connector: &TcpConnector,
        own: Option<&Certificate>,
    ) -> SessionError {
        if let Some(error) = self.not_trusted(status, own) {
            return error;
        }
        match connector.take_failure() {
            Some(source) => {
                SessionError::Connect { endpoint: self.source.endpoint.clone(), source }
            }
            None => self.service("open a session", status, status.to_string()),
        }
    }

    pub(super) fn late(self, action: &'static str) -> SessionError {
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

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
