//! The local dashboard and its API: shows what the engine finds out (every block of ISO 13374) and hands people's
//! commands to it. Decides nothing and writes nothing itself.
//!
//! - Everything shown comes from the newest [`GatewayStatus`] and from the store's read-only [`Reader`].
//! - Everything asked for goes through one bounded queue of [`CommandRequest`]s; when that is full the answer is 503.
//! - API first: what the pages do is in the `OpenAPI` document ([`openapi`]); errors are RFC 9457 problems.
//! - Nothing here spawns a task: [`serve`] is one future that owns all its connections.

mod api;
mod certificates;
mod frames;
mod guard;
mod history;
mod pages;
mod problem;
mod serve;
mod socket;
mod state;
#[cfg(test)]
mod tests;

use std::{io, sync::Arc};

use axum::Router;
use bellwether_domain::{
    Command, CommandError, ConfigApplied, ConfigRefusal, ConfigText, ConfigVersion, GatewayStatus,
    Outcome,
};
use bellwether_store::Reader;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot, watch},
};
use tokio_util::sync::CancellationToken;

pub use certificates::{CertificateDesk, TrustError};
use state::{App, Limits};

/// What the pages are made of.
#[derive(Clone, Debug)]
pub struct WebState {
    /// The newest status, published about once a second; newest wins.
    pub status: watch::Receiver<Arc<GatewayStatus>>,
    /// History, alarms of the past and the maintenance log.
    pub reader: Reader,
    /// The engine's ear. Bounded; full means 503 to the person who asks.
    pub commands: mpsc::Sender<CommandRequest>,
    /// Which OPC UA servers are believed.
    pub certificates: CertificateDesk,
    /// The owner of the configuration. Bounded; full means 503 to the person who asks.
    pub configs: mpsc::Sender<ConfigRequest>,
}

/// A question about the configuration, or another one to put into force.
#[derive(Debug)]
pub enum ConfigRequest {
    /// What runs.
    Current(oneshot::Sender<ConfigText>),
    /// Which versions are kept, newest first.
    Versions(oneshot::Sender<Result<Vec<ConfigVersion>, ConfigRefusal>>),
    /// The text of a version, if it is kept.
    Version(u64, oneshot::Sender<Result<Option<ConfigText>, ConfigRefusal>>),
    /// Put this into force, or say why not.
    Apply(NewConfig, oneshot::Sender<Result<ConfigApplied, ConfigRefusal>>),
}

/// Another configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewConfig {
    /// TOML, whole.
    pub text: String,
    /// The version it was made from, if whoever made it wants to be sure.
    pub expected: Option<u64>,
    /// Only say what would change.
    pub is_trial: bool,
}

/// A person's request, and where to answer it.
#[derive(Debug)]
pub struct CommandRequest {
    /// What is asked for.
    pub command: Command,
    /// What the engine has done. The other end may be gone: the person has closed the page.
    pub reply: oneshot::Sender<Result<Outcome, CommandError>>,
}

/// All routes: `/api/v1/…`, `/metrics`, `/healthz` and the embedded pages. For tests and for embedding elsewhere;
/// [`serve`] uses it with limits on connections.
pub fn router(state: WebState) -> Router {
    api::router(App::new(state, Limits::default(), CancellationToken::new()))
}

/// Serves HTTP/1.1 on `listener` until `stop`, then ends within two seconds, open streams included. `TCP_NODELAY` is
/// set on every connection; their number is bounded; who sends or reads too slowly is disconnected.
///
/// # Errors
/// If the listener has no local address. A single connection's failure ends only that connection.
pub async fn serve(
    listener: TcpListener,
    state: WebState,
    stop: CancellationToken,
) -> io::Result<()> {
    serve::run(listener, state, stop, Limits::default()).await
}

/// The `OpenAPI` 3.1 document as served at `/api/v1/openapi.json` and committed as `web/openapi.json`.
pub fn openapi() -> String {
    api::document()
}
