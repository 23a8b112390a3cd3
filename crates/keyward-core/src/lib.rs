//! Verification of JSON Web Tokens, and the key-set cache behind it: pure, without a clock, a socket or a runtime.
//!
//! Services use the crate `keyward`, which adds those and re-exports everything here.

pub mod alg;
mod claims;
pub mod crypto;
mod json;
pub mod jwk;
pub mod jwks;
pub mod jws;
pub mod policy;
pub mod rejection;
pub mod time;
pub mod token;
pub mod verifier;
