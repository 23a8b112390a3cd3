//! The service: its commands, its configuration, the jobs API, and what it tells operators.

pub mod api;
pub mod app;
pub mod cli;
pub mod commands;
pub mod config;
pub mod dev;
pub mod engine;
pub mod exit;
pub mod gateway;
pub mod jobs;
pub mod limits;
pub mod server;
pub mod store;
pub mod telemetry;
