//! For APIs that are written in anything: proxies ask whether a request may pass, and whose it is.

mod cookie;
mod credential;
pub mod forward_auth;
mod identity;
mod preflight;

use std::net::SocketAddr;

/// Who a connection comes from: in the extensions of its requests.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);
