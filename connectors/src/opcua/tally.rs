//! What is told about the server as a whole, and about the last exchanges with it. The library keeps the bytes and the
//! times of single requests to itself, so only words are told.

use std::sync::Arc;

use bellwether_domain::{ConnectorStatus, Exchange, Timestamp, UnitStatus};

use crate::SessionError;

/// So many exchanges are kept.
const EXCHANGES: usize = 20;
const SERVER: &str = "server";

/// The server has answered.
pub(super) fn answered(
    status: &mut ConnectorStatus,
    at: Timestamp,
    request: &str,
    answer: &str,
    bytes: u64,
) {
    let server = server(status);
    server.requests += 1;
    server.bytes_received += bytes;
    "answers".clone_into(&mut server.condition);
    keep(status, at, request, answer.to_owned());
}

/// The session has ended.
pub(super) fn failed(status: &mut ConnectorStatus, at: Timestamp, error: &SessionError) {
    let is_late = matches!(
        error,
        SessionError::ServiceTimeout { .. }
            | SessionError::Unpublished { .. }
            | SessionError::ConnectTimeout { .. }
    );
    let server = server(status);
    server.timeouts += u64::from(is_late);
    let condition = if is_late { "did not answer last time" } else { "no session" };
    condition.clone_into(&mut server.condition);
    keep(status, at, "session", error.in_words());
}

fn server(status: &mut ConnectorStatus) -> &mut UnitStatus {
    if status.units.is_empty() {
        status.units.push(UnitStatus { name: SERVER.to_owned(), ..UnitStatus::default() });
    }
    &mut status.units[0]
}

fn keep(status: &mut ConnectorStatus, at: Timestamp, request: &str, answer: String) {
    let surplus = (status.exchanges.len() + 1).saturating_sub(EXCHANGES);
    status.exchanges.drain(..surplus);
    status.exchanges.push(Arc::new(Exchange {
        at,
        unit: SERVER.to_owned(),
        request: request.to_owned(),
        answer,
        ..Exchange::default()
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_told_of_as_one_unit_with_its_last_exchanges() {
        let mut status = ConnectorStatus::default();
        let at = Timestamp::from_secs(1);
        for _ in 0..EXCHANGES + 5 {
            answered(&mut status, at, "publish", "what has changed", 10);
        }
        let error =
            SessionError::Unpublished { endpoint: "opc.tcp://plc".to_owned(), silence_ms: 3 };
        failed(&mut status, at, &error);
        let [server] = &status.units[..] else { panic!("one unit") };
        assert_eq!((server.requests, server.timeouts, server.bytes_received), (25, 1, 250));
        assert_eq!(server.condition, "did not answer last time");
        assert_eq!(status.exchanges.len(), EXCHANGES);
        assert!(status.exchanges[EXCHANGES - 1].answer.contains("opc.tcp://plc"));
    }
}
