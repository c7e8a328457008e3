//! Keeps each source alive: session → back-off → session, until the gateway stops.

use std::time::Duration;

use bellwether_connectors::{Backoff, Now, SessionError, Sink, StatusCell, modbus, opcua};
use bellwether_domain::ConnectorState;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::SourceSetup;

/// A session that lived this long resets the back-off.
const STABLE_AFTER: Duration = Duration::from_secs(60);

/// How long to wait after an error that will not go away by itself.
const PERMANENT_WAIT: Duration = Duration::from_secs(300);

/// How often it is looked whether a person has trusted a server: by command, button or a file put there by hand.
const TRUST_POLL: Duration = Duration::from_secs(1);

/// Runs sessions of one source until `stop`.
///
/// # Errors
/// None: a device that is away is waited for.
pub async fn run(
    source: SourceSetup,
    pki: opcua::Pki,
    sink: Sink,
    status: StatusCell,
    now: Now,
    seed: u64,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut backoff = Backoff::new(seed);
    let mut quarantine = modbus::Quarantine::default();
    loop {
        let began = Instant::now();
        let session = async {
            match &source {
                SourceSetup::Modbus(source) => {
                    modbus::run(source, &mut quarantine, &sink, &status, &now).await
                }
                SourceSetup::Opcua(source) => opcua::run(source, &pki, &sink, &status, &now).await,
            }
        };
        let Some(Err(error)) = stop.run_until_cancelled(session).await else { break };
        if began.elapsed() >= STABLE_AFTER {
            backoff.reset();
        }
        let wait = wait_after(&error, &mut backoff);
        note(&status, &now, &error, wait);
        if stop.run_until_cancelled(pause(&error, wait, &pki)).await.is_none() {
            break;
        }
    }
    status.update(|status| {
        status.state = ConnectorState::Stopped;
        status.since = now();
    });
    Ok(())
}

/// Waits, but no longer than until a person has trusted the server that was unknown.
async fn pause(error: &SessionError, wait: Duration, pki: &opcua::Pki) {
    let SessionError::Untrusted { sha256, .. } = error else { return sleep(wait).await };
    let end = Instant::now() + wait;
    while Instant::now() < end && !pki.trusts(sha256) {
        sleep(TRUST_POLL).await;
    }
}

fn wait_after(error: &SessionError, backoff: &mut Backoff) -> Duration {
    if error.reconnects_at_once() {
        Duration::ZERO
    } else if error.is_permanent() {
        PERMANENT_WAIT
    } else {
        backoff.next().unwrap_or(PERMANENT_WAIT)
    }
}

/// Says once, in plain words, that a source is gone; repetitions of the same error are quiet.
fn note(status: &StatusCell, now: &Now, error: &SessionError, wait: Duration) {
    let text = error.in_words();
    let at = now();
    let mut is_news = false;
    let mut name = String::new();
    status.update(|status| {
        is_news = status.last_error.as_deref() != Some(text.as_str());
        name.clone_from(&status.name);
        if !error.reconnects_at_once() {
            status.state = ConnectorState::BackingOff;
            status.since = at;
        }
        status.last_error = Some(text.clone());
        status.last_error_at = Some(at);
    });
    if is_news {
        warn!(source = %name, error = %text, retry_in = ?wait, "source lost");
    } else {
        info!(source = %name, retry_in = ?wait, "source still away");
    }
}
