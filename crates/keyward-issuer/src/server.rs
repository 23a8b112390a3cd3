//! The accept loop and the routes it serves.

use std::{sync::Arc, time::Duration};

use axum::{Router, http::StatusCode};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{connection, routes, shared::Shared};

/// Everything the issuer answers.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .nest("/auth/v1", routes::auth::router().merge(routes::wellknown::router()))
        .nest("/dev", routes::dev::router())
        .fallback(|| async { (StatusCode::NOT_FOUND, "404 page not found\n") })
        .with_state(shared)
}

/// Accepts until the issuer stops, then waits for its connections to end.
pub(crate) async fn run(listener: TcpListener, shared: Arc<Shared>) {
    let router = router(Arc::clone(&shared));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Answers are small and written whole: waiting to fill a segment only delays them.
                    let _ = stream.set_nodelay(true);
                    let shared = Arc::clone(&shared);
                    connections.spawn(connection::serve(stream, router.clone(), shared));
                }
                // Out of descriptors, most likely: others must close before accepting makes sense again.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
            () = shared.stopped() => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}
