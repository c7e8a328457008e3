//! The whole router against a small plant, a real store and a fake engine.

mod certificates;
mod config;
mod connectors;
mod losses;
mod past;
pub(crate) mod plant;
mod reads;
mod server;
mod writes;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use bellwether_domain::GatewayStatus;
use bellwether_store::{Store, StoreOptions};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{
    CommandRequest, ConfigRequest, WebState, api,
    state::{App, Limits},
};

/// No wait of a test is longer.
const DEADLINE: Duration = Duration::from_secs(20);

/// A gateway around the router.
struct Gateway {
    router: Router,
    web: WebState,
    status: watch::Sender<Arc<GatewayStatus>>,
    commands: mpsc::Receiver<CommandRequest>,
    config_requests: mpsc::Receiver<ConfigRequest>,
    store: Store,
    _dir: TempDir,
}

/// Short enough for tests, with the same order of sizes.
fn limits() -> Limits {
    Limits {
        streams: 2,
        frame_period: Duration::from_millis(10),
        heartbeat: Duration::from_millis(30),
        command: Duration::from_millis(200),
        ..Limits::default()
    }
}

impl Gateway {
    async fn start() -> Self {
        Self::with(plant::status()).await
    }

    async fn with(status: GatewayStatus) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), StoreOptions::new(plant::NOW)).await.unwrap();
        let (status, receiver) = watch::channel(Arc::new(status));
        let (sender, commands) = mpsc::channel(1);
        let (configs, config_requests) = mpsc::channel(1);
        let web = WebState {
            status: receiver,
            reader: store.reader(),
            commands: sender,
            certificates: certificates::desk(),
            configs,
        };
        let app = App::new(web.clone(), limits(), CancellationToken::new());
        Self { router: api::router(app), web, status, commands, config_requests, store, _dir: dir }
    }

    /// Closes the databases under the router.
    async fn close_store(&mut self) {
        let spare = tempfile::tempdir().unwrap();
        let other = Store::open(spare.path(), StoreOptions::new(plant::NOW)).await.unwrap();
        std::mem::replace(&mut self.store, other).close().await;
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let work = async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let (status, headers) = (response.status(), response.headers().clone());
            let bytes = to_bytes(response.into_body(), 1 << 24).await.unwrap();
            Answer { status, headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
        };
        timeout(DEADLINE, work).await.expect("an answer in time")
    }

    async fn get(&self, address: &str) -> Answer {
        self.send(request("GET", address).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, address: &str, body: &str) -> Answer {
        let request = request("POST", address)
            .header("x-bellwether", "1")
            .header("content-type", "application/json")
            .body(Body::from(body.to_owned()));
        self.send(request.unwrap()).await
    }
}

fn request(method: &str, address: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(address).header("host", "127.0.0.1:8080")
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The body of a success.
    #[track_caller]
    fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        self.json()
    }

    /// Checks that it is a problem of this kind, and returns its sentence.
    #[track_caller]
    fn problem(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["title"], self.status.canonical_reason().unwrap());
        problem["detail"].as_str().unwrap().to_owned()
    }
}
