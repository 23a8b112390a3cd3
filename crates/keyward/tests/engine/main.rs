//! The engine against a real issuer over real sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod configured;
mod defects;
mod discovery;
mod faults;
mod files;
mod issuers;
mod operator;
mod proxy;
mod races;
mod restart;
mod server;
mod setup;
mod tls;
mod token_cache;
mod unknown_kid;
mod withdrawal;
