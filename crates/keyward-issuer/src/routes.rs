//! The HTTP surface: Supabase Auth under `/auth/v1`, and the controls under `/dev`.

pub(crate) mod auth;
pub(crate) mod dev;
pub(crate) mod error;
pub(crate) mod jwks;
pub(crate) mod wellknown;
