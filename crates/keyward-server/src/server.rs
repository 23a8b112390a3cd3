//! Accepting connections, and letting go of them in good order.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower::ServiceExt;

use crate::gateway::Peer;
use crate::limits::{MAX_HEADER_BYTES, MAX_HEADERS};

/// What is read of a request's head; more is answered with 431. With room for the request line beside the headers, whose
/// exact bounds [`limits`](crate::limits) keeps.
const MAX_HEAD_BYTES: usize = MAX_HEADER_BYTES + 8 * 1024;
/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client that speaks HTTP/2 may take to answer whether it is still there.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long requests in flight may take once the service is told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves `routes` on `listener` until `stop` turns true, then waits for what is in flight, 10 s at most.
pub async fn serve(listener: TcpListener, routes: Router, mut stop: watch::Receiver<bool>) {
    let builder = connections();
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                pause_if_exhausted(&error).await;
                continue;
            }
        };
        // Small answers should not wait for company.
        let _ = stream.set_nodelay(true);
        let routes = routes.clone();
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            routes.clone().oneshot(request)
        });
        let (builder, watcher, mut stop) = (builder.clone(), graceful.watcher(), stop.clone());
        tokio::spawn(async move {
            // Which version of HTTP it is shows in the first bytes; whoever sends none is let go.
            let speaks = tokio::select! {
                readable = tokio::time::timeout(HEAD_TIMEOUT, stream.readable()) => matches!(readable, Ok(Ok(()))),
                _ = stop.wait_for(|stop| *stop) => false,
            };
            if speaks {
                let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
                // A client that goes away, or speaks something else, is not an event.
                let _ = watcher.watch(connection).await;
            }
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(DRAIN, graceful.shutdown()).await;
}

/// Binds an address.
///
/// # Errors
///
/// One line that names the address.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| format!("cannot listen on {address}: {error}"))
}

fn connections() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES);
    builder.http2().keep_alive_interval(HEAD_TIMEOUT).keep_alive_timeout(PING_TIMEOUT);
    builder.http2().timer(TokioTimer::new()).max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX));
    builder
}

/// Out of file descriptors: accepting would fail again at once, in a tight loop.
async fn pause_if_exhausted(error: &std::io::Error) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::error!(%error, "connections cannot be accepted");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
