//! What an open session asks for by itself: namespaces, one subscription, its monitored items, and that the server goes on
//! publishing.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bellwether_domain::{ConnectorState, Reading, Reason};
use opcua::{
    client::Session,
    types::{
        Error, MonitoredItemCreateResult, NodeId, ReadValueId, StatusCode, TimestampsToReturn,
        VariableId, Variant,
    },
};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info, warn};

use super::{
    Deadband, filter,
    limits::OperationLimits,
    receiver::{Receiver, Shared},
    session::{Connection, millis},
    settings::{LIFETIME_KEEP_ALIVES, MAX_NOTIFICATIONS, item, keep_alive_count, silence_limit},
};
use crate::{Batch, SessionError, status};

/// How often items the server has refused are tried again.
const RETRY: Duration = Duration::from_secs(60);

impl Connection<'_> {
    /// Everything the session asks for by itself. Ends only with an error.
    pub(super) async fn work(
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
        let limits = OperationLimits::ask(session).await;
        let mut missing = self.monitor(session, (subscription, limits), shared, all).await?;
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
                missing = self.monitor(session, (subscription, limits), shared, missing).await?;
                tried_again_at = Instant::now() + RETRY;
            }
        }
    }

    /// Said once a session, for the log; `bellwether check` says it too.
    fn warn_of_security(self) {
        let source = self.source.name.as_str();
        warn!(source, "security none: values travel in the clear and can be changed on the way");
        let numbered = self.source.tags.iter().filter(|tag| tag.place.is_numbered()).count();
        if numbered > 0 {
            warn!(
                source,
                numbered,
                "nodes name their namespace by number, which servers may change: use its URI"
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
        (subscription, limits): (u32, OperationLimits),
        shared: &Shared,
        tags: Vec<usize>,
    ) -> Result<Vec<usize>, SessionError> {
        let namespaces = self.namespaces(session).await?;
        let mut refused = Vec::new();
        let mut found = Vec::new();
        for (index, node) in self.nodes(session, &namespaces, limits, &tags).await? {
            match node {
                Ok(node) => found.push((index, node)),
                Err(why) => refused.push((index, why)),
            }
        }
        self.ranges(session, limits, shared, &found).await;
        let with_deadband = |(index, node): (usize, NodeId)| {
            let deadband = self.source.tags.get(index).map(|tag| tag.deadband);
            (index, node, deadband.unwrap_or_default())
        };
        let mut asked: Vec<_> = found.into_iter().map(with_deadband).collect();
        // Ends: a deadband becomes weaker at most twice.
        while !asked.is_empty() {
            asked = self.create(session, (subscription, limits), asked, &mut refused).await?;
        }
        self.report(&refused);
        Ok(refused.into_iter().map(|(index, _)| index).collect())
    }

    /// Creates items; returns those to be asked for with a weaker deadband.
    async fn create(
        self,
        session: &Session,
        (subscription, limits): (u32, OperationLimits),
        asked: Vec<(usize, NodeId, Deadband)>,
        refused: &mut Vec<(usize, String)>,
    ) -> Result<Vec<(usize, NodeId, Deadband)>, SessionError> {
        let mut again = Vec::new();
        for chunk in asked.chunks(limits.monitor) {
            let wish = |(index, node, deadband): &(usize, NodeId, Deadband)| {
                item(self.source, *index, node.clone(), *deadband)
            };
            let created = session
                .create_monitored_items(
                    subscription,
                    TimestampsToReturn::Both,
                    chunk.iter().map(wish).collect(),
                )
                .await
                .map_err(|error| self.failed("monitor its values", &error))?;
            for ((index, node, deadband), created) in chunk.iter().zip(created) {
                let code = created.result.status_code;
                if code.is_good() {
                    self.note_revision(*index, &created.result);
                    continue;
                }
                match deadband.weaker().filter(|_| filter::is_refused(code)) {
                    Some(weaker) => again.push((*index, node.clone(), weaker)),
                    None => refused.push((*index, code.to_string())),
                }
            }
        }
        if !again.is_empty() {
            let (source, items) = (self.source.name.as_str(), again.len());
            info!(source, items, "the server refuses the deadband: a weaker one is asked for");
        }
        Ok(again)
    }

    /// What the server has made of our wishes, for the log.
    fn note_revision(self, index: usize, result: &MonitoredItemCreateResult) {
        let wished = self.source.sampling_interval.as_secs_f64() * 1e3;
        let is_slower = result.revised_sampling_interval > wished * 1.5 + 1.0;
        if is_slower || result.revised_queue_size < self.source.queue_size {
            debug!(
                source = self.source.name,
                tag = self.source.tags.get(index).map_or("", |tag| tag.name.as_str()),
                sampling_interval_ms = result.revised_sampling_interval,
                queue_size = result.revised_queue_size,
                "the server samples more slowly or keeps fewer values than wished"
            );
        }
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
            Some(format!("tag `{}`: {why}: check `node` or `path`", tag.name))
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
    pub(super) async fn namespaces(self, session: &Session) -> Result<Vec<String>, SessionError> {
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
}
