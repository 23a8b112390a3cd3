//! What operators rely on: health, metrics, the log, signals, configuration, and trouble with the disk.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/mod.rs"]
mod support;

mod configuration;
mod disk;
mod health;
mod issuers;
mod log;
mod metrics;
mod reload;
mod stopping;
