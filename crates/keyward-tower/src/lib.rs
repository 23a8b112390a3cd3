#![cfg_attr(feature = "axum", doc = include_str!("../README.md"))]
#![cfg_attr(not(feature = "axum"), doc = "Keyward for tower: a layer, RFC 6750 challenges and RFC 9457 problems.")]

mod challenge;
mod correlation;
mod credential;
mod layer;
mod problem;
mod record;

#[cfg(feature = "axum")]
mod extract;

pub use challenge::challenge;
pub use correlation::{CorrelationId, CorrelationLayer, CorrelationService};
pub use credential::bearer_token;
#[cfg(feature = "axum")]
pub use extract::{Claims, Identity};
pub use layer::{AuthLayer, AuthService, Engine};
pub use problem::Problem;
pub use record::AuthRecord;
