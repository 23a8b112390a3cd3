//! What the measurements share: an issuer that signs tokens like Supabase Auth's, and those who verify them.

pub mod contenders;
pub mod issuer;
pub mod scenario;

pub use issuer::{Alg, Issuer};
