//! Logs and metrics: they translate what the engine reports, the engine knows neither.

pub mod keys;
pub mod limit;
pub mod log;
pub mod metrics;
pub mod requests;
pub mod summary;
