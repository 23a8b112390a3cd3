//! One module per command.

pub mod config;
pub mod jwks;
mod output;
pub mod serve;
pub mod token;
