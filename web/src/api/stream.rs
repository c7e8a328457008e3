//! `/stream`: server-sent events, one frame a second. A slow reader is never queued for: it gets the newest frame when
//! it is ready for one.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::State,
    http::{HeaderName, HeaderValue},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use bellwether_domain::GatewayStatus;
use futures_util::stream::unfold;
use serde::Serialize;
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Duration, Interval, MissedTickBehavior, interval},
};
use utoipa::ToSchema;

use super::words::Time;
use crate::{problem::Problem, state::App};

/// How long a browser waits before it connects again.
const RETRY: Duration = Duration::from_secs(2);

/// The first event of a stream.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Hello {
    /// Plant time.
    at: Time,
    /// Version and build of the program; a new one means that the pages should be loaded again.
    build: String,
}

/// Live events: `hello`, then `frame` every second, `bye` when the gateway stops.
#[utoipa::path(
    get, path = "/api/v1/stream", operation_id = "stream",
    responses(
        (status = 200, content_type = "text/event-stream", body = String,
            description = "Events `hello` (schema Hello), `frame` (schema Frame) every second, `bye` at the end; a \
                comment after 15 s of silence"),
        (status = 503, body = Problem, description = "Too many streams are open"),
    )
)]
pub(crate) async fn get_stream(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let permit = app.streams.clone().try_acquire_owned().map_err(|_| {
        Problem::unavailable(
            "too_many_streams",
            "too many live pages are open: close some, or poll /api/v1/status",
        )
    })?;
    let limits = app.limits;
    let stream = unfold(Reader::new(app, permit), Reader::next);
    let sse = Sse::new(stream).keep_alive(KeepAlive::new().interval(limits.heartbeat));
    let mut response = sse.into_response();
    // A proxy that collects the answer before it passes it on would show nothing at all.
    let (name, value) = (HeaderName::from_static("x-accel-buffering"), "no");
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    Ok(response)
}

/// One open stream.
struct Reader {
    app: Arc<App>,
    status: watch::Receiver<Arc<GatewayStatus>>,
    ticks: Interval,
    phase: Phase,
    _permit: OwnedSemaphorePermit,
}

enum Phase {
    Hello,
    Live,
    Over,
}

impl Reader {
    fn new(app: Arc<App>, permit: OwnedSemaphorePermit) -> Self {
        let mut ticks = interval(app.limits.frame_period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut status = app.subscribe();
        // The first frame is due at once.
        status.mark_changed();
        Self { app, status, ticks, phase: Phase::Hello, _permit: permit }
    }

    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        let event = match self.phase {
            Phase::Hello => {
                self.phase = Phase::Live;
                self.hello()
            }
            Phase::Live => self.live().await,
            Phase::Over => return None,
        };
        Some((Ok(event), self))
    }

    fn hello(&self) -> Event {
        let status = self.app.status();
        let hello = Hello { at: Time(status.state.at), build: status.build.clone() };
        let text = serde_json::to_string(&hello).unwrap_or_default();
        Event::default().event("hello").retry(RETRY).data(text)
    }

    /// The next frame, or the end.
    async fn live(&mut self) -> Event {
        let stop = self.app.stop.clone();
        let changed = async {
            self.ticks.tick().await;
            self.status.changed().await.is_ok()
        };
        if stop.run_until_cancelled(changed).await != Some(true) {
            self.phase = Phase::Over;
            return Event::default().event("bye").data(r#"{"reason":"the gateway is stopping"}"#);
        }
        let status = self.status.borrow_and_update().clone();
        Event::default().event("frame").data(&*self.app.frames.of(&status))
    }
}
