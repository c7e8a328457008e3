//! What all handlers share, and the bounds they keep.

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use bellwether_domain::{Command, CommandError, GatewayStatus, Outcome};
use bellwether_store::Reader;
use tokio::{
    sync::{
        Semaphore,
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    CertificateDesk, CommandRequest, ConfigRequest, WebState, frames::Frames, history::Sparks,
    problem::Problem,
};

/// Every bound of the web server in one place; tests use smaller ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Open connections; more wait in the kernel's queue.
    pub(crate) connections: usize,
    /// Open live streams; more get 503.
    pub(crate) streams: usize,
    /// Bytes of a request body; more get 413.
    pub(crate) body_bytes: usize,
    /// Shortest time between two frames of one stream.
    pub(crate) frame_period: Duration,
    /// Silence on a stream after which a comment is sent.
    pub(crate) heartbeat: Duration,
    /// From the end of the request's head to the beginning of the answer; longer gets 503.
    pub(crate) request: Duration,
    /// For the engine's reply to a command; shorter than `request`.
    pub(crate) command: Duration,
    /// For the request's head, and for an idle connection.
    pub(crate) header: Duration,
    /// Without any byte taken by the other side.
    pub(crate) write_stall: Duration,
    /// From `stop` until connections are cut.
    pub(crate) grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 128,
            streams: 32,
            body_bytes: 64 * 1024,
            frame_period: Duration::from_secs(1),
            heartbeat: Duration::from_secs(15),
            request: Duration::from_secs(10),
            command: Duration::from_secs(5),
            header: Duration::from_secs(20),
            write_stall: Duration::from_secs(30),
            grace: Duration::from_millis(1_500),
        }
    }
}

/// What all handlers share.
#[derive(Debug)]
pub(crate) struct App {
    web: WebState,
    /// The live frame, serialised once for all streams.
    pub(crate) frames: Frames,
    pub(crate) sparks: Sparks,
    /// One permit a live stream.
    pub(crate) streams: Arc<Semaphore>,
    /// Ends the live streams.
    pub(crate) stop: CancellationToken,
    pub(crate) limits: Limits,
}

impl App {
    pub(crate) fn new(web: WebState, limits: Limits, stop: CancellationToken) -> Arc<Self> {
        let streams = Arc::new(Semaphore::new(limits.streams));
        let (frames, sparks) = (Frames::default(), Sparks::default());
        Arc::new(Self { web, frames, sparks, streams, stop, limits })
    }

    /// The newest status.
    pub(crate) fn status(&self) -> Arc<GatewayStatus> {
        self.web.status.borrow().clone()
    }

    /// A receiver of its own for one stream.
    pub(crate) fn subscribe(&self) -> tokio::sync::watch::Receiver<Arc<GatewayStatus>> {
        self.web.status.clone()
    }

    pub(crate) fn certificates(&self) -> &CertificateDesk {
        &self.web.certificates
    }

    pub(crate) fn reader(&self) -> &Reader {
        &self.web.reader
    }

    /// Where questions about the configuration go.
    pub(crate) fn configs(&self) -> &mpsc::Sender<ConfigRequest> {
        &self.web.configs
    }

    /// Whether the gateway still publishes its status.
    pub(crate) fn is_alive(&self) -> bool {
        self.web.status.has_changed().is_ok()
    }

    /// Live streams open now.
    pub(crate) fn open_streams(&self) -> usize {
        self.limits.streams.saturating_sub(self.streams.available_permits())
    }

    /// Hands a command to the engine and waits for its verdict.
    ///
    /// # Errors
    /// 503 while the queue is full or the gateway stops, 409 or 400 if the engine refuses.
    pub(crate) async fn command(&self, command: Command) -> Result<Outcome, Problem> {
        let (reply, verdict) = oneshot::channel();
        self.web.commands.try_send(CommandRequest { command, reply }).map_err(
            |error| match error {
                TrySendError::Full(_) => Problem::unavailable(
                    "busy",
                    "too many commands are waiting for the engine: try again in a second",
                ),
                TrySendError::Closed(_) => stopping(),
            },
        )?;
        match timeout(self.limits.command, verdict).await {
            Ok(Ok(done)) => done.map_err(|error| refused(&error)),
            Ok(Err(_)) => Err(stopping()),
            Err(_) => Err(Problem::unavailable(
                "no_reply",
                "the engine did not answer in time: reload to see whether it has taken effect",
            )),
        }
    }
}

fn stopping() -> Problem {
    Problem::unavailable("stopping", "the gateway is stopping: try again when it is back")
}

fn refused(error: &CommandError) -> Problem {
    let (status, code) = match error {
        CommandError::AlarmNotActive(_) => (StatusCode::CONFLICT, "alarm_not_active"),
        CommandError::ActorMissing => (StatusCode::BAD_REQUEST, "actor_missing"),
    };
    Problem::new(status, code, error.to_string())
}
