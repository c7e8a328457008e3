//! The HTTP server: one future that owns the listener and all connections, so that dropping it ends everything and no
//! task is spawned. Panics of a handler end only its connection.

use std::{io, panic::AssertUnwindSafe, pin::pin};

use axum::Router;
use futures_util::{
    FutureExt, Stream, StreamExt,
    stream::{FuturesUnordered, unfold},
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Duration, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::{
    WebState, api,
    socket::StallGuard,
    state::{App, Limits},
};

/// Wait after a failed `accept`: out of file descriptors, most likely, and those come back only with time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// Serves until `stop`; see [`crate::serve`].
pub(crate) async fn run(
    listener: TcpListener,
    state: WebState,
    stop: CancellationToken,
    limits: Limits,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    info!(%address, "dashboard is served");
    let router = api::router(App::new(state, limits, stop.clone()));
    connections(listener, router, stop, limits).await;
    Ok(())
}

/// All connections until `stop`, and through the grace after it.
async fn connections(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    limits: Limits,
) {
    let mut open = FuturesUnordered::new();
    {
        let mut arrivals = pin!(arrivals(listener));
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(socket) = arrivals.next(), if open.len() < limits.connections => {
                    open.push(connection(socket, router.clone(), stop.clone(), limits));
                }
                Some(()) = open.next(), if !open.is_empty() => {}
            }
        }
    }
    let drained = timeout(limits.grace, open.by_ref().collect::<()>()).await;
    if drained.is_err() {
        debug!(connections = open.len(), "connections cut at stop");
    }
}

/// Accepted sockets, without end.
fn arrivals(listener: TcpListener) -> impl Stream<Item = TcpStream> {
    unfold((listener, true), |(listener, mut quiet)| async move {
        loop {
            match listener.accept().await {
                Ok((socket, _)) => return Some((socket, (listener, true))),
                Err(error) if is_of_one_peer(&error) => {}
                Err(error) => {
                    if quiet {
                        warn!(%error, "no new connections to the dashboard for now");
                    }
                    quiet = false;
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    })
}

fn is_of_one_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

async fn connection(socket: TcpStream, router: Router, stop: CancellationToken, limits: Limits) {
    if let Err(error) = socket.set_nodelay(true) {
        debug!(%error, "connection lost before its first request");
        return;
    }
    let conversation = async {
        let io = TokioIo::new(StallGuard::new(socket, limits.write_stall));
        let mut conversation = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.header)
                .max_buf_size(64 * 1024)
                .serve_connection(io, TowerToHyperService::new(router))
        );
        tokio::select! {
            result = conversation.as_mut() => return result,
            () = stop.cancelled() => conversation.as_mut().graceful_shutdown(),
        }
        conversation.await
    };
    match AssertUnwindSafe(conversation).catch_unwind().await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "connection ended"),
        Err(_) => error!("a request of the dashboard hit a defect: please report the lines above"),
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn ask(address: std::net::SocketAddr, path: &str) -> String {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn a_panic_ends_its_connection_and_nothing_else() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/defect", get(async || -> &'static str { panic!("as the test wants it") }))
            .route("/", get(async || "fine"));
        let stop = CancellationToken::new();
        let user = async {
            assert_eq!(ask(address, "/defect").await, "");
            assert!(ask(address, "/").await.ends_with("fine"));
            stop.cancel();
        };
        let server = connections(listener, router, stop.clone(), Limits::default());
        timeout(Duration::from_secs(20), async { tokio::join!(server, user) }).await.unwrap();
    }
}
