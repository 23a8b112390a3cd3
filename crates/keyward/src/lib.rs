#![doc = include_str!("../README.md")]

pub use keyward_core::{alg, crypto, jwk, jwks, jws, policy, rejection, time, token, verifier};

pub mod authenticator;
pub mod clock;
mod config;
mod decision;
mod driver;
mod observer;
mod source;
pub mod store;
mod token_cache;

pub use authenticator::{Attempt, Authenticator, AuthenticatorBuilder, BuildError, IssuerStatus, PendingKey, PolicyId};
pub use config::{IssuerConfig, KeySource};
pub use decision::Decision;
pub use keyward_core::policy::Policy;
pub use keyward_core::rejection::{Fault, Reason, Rejection};
pub use keyward_core::token::VerifiedToken;
pub use keyward_core::verifier::Verifier;
pub use observer::{Observer, Silent};
pub use source::{FetchError, FetchOptions, KeySetError, UrlError, check_url, fetch_key_set};
pub use token_cache::TokenCacheConfig;
