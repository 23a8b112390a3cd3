//! One client connection: HTTP/1.1, with a way to reset it.

use std::{
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Notify,
};
use tower_service::Service;

use crate::shared::Shared;

/// How long a stopping issuer waits for an answer that is under way.
const GRACE: Duration = Duration::from_secs(1);

/// Lets a handler end the connection it answers on.
#[derive(Clone, Default)]
pub(crate) struct Reset(Arc<ResetState>);

#[derive(Default)]
struct ResetState {
    requested: AtomicBool,
    notify: Notify,
}

impl Reset {
    /// Resets the connection. Never returns: the handler is dropped with the connection.
    pub(crate) async fn reset(&self) -> ! {
        self.0.requested.store(true, Ordering::Release);
        self.0.notify.notify_one();
        std::future::pending().await
    }
}

/// Serves a connection until the client leaves, a handler resets it, or the issuer stops.
pub(crate) async fn serve(stream: TcpStream, router: Router, shared: Arc<Shared>) {
    let reset = Reset::default();
    let io = TokioIo::new(Resettable { stream, reset: reset.clone() });
    let service = {
        let reset = reset.clone();
        service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(reset.clone());
            router.clone().call(request.map(Body::new))
        })
    };
    let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(io, service);
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = reset.0.notify.notified() => return,
        () = shared.stopped() => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = connection.as_mut() => {}
        () = reset.0.notify.notified() => {}
        () = tokio::time::sleep(GRACE) => {}
    }
}

/// A stream that is closed with RST in place of FIN once a reset was asked for.
struct Resettable {
    stream: TcpStream,
    reset: Reset,
}

impl Drop for Resettable {
    fn drop(&mut self) {
        if self.reset.0.requested.load(Ordering::Acquire) {
            // An error here means that the peer has gone first: nothing is left to reset.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Resettable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Resettable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
