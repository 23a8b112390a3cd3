//! A Supabase-compatible issuer for development and tests, with faults on demand.
//!
//! It speaks the paths, shapes and error codes of Supabase Auth under `/auth/v1`, well enough for the real
//! `@supabase/supabase-js` to sign in, and it can rotate its keys, mint any token and break its key set in all the
//! ways in which identity providers do.
//!
//! **It is no identity provider.** Whoever reaches it can have a token for any user: it listens on loopback only,
//! unless [`IssuerConfig::allow_remote`] says otherwise, and must never be reachable from where it matters.
//!
//! ```
//! use keyward_issuer::{Fault, Issuer, IssuerConfig, Mint, Rotate, SeedUser};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), keyward_issuer::IssuerError> {
//! let issuer = Issuer::start(IssuerConfig {
//!     listen: ([127, 0, 0, 1], 0).into(),
//!     users: vec![SeedUser::new("alice@example.com", "keyward-dev")],
//!     ..IssuerConfig::default()
//! })
//! .await?;
//!
//! let expired = issuer.mint(Mint::new().expires_in(-60));
//! let new_kid = issuer.rotate(Rotate::default());
//! issuer.set_fault(Some(Fault::status(503).times(3)));
//! # assert_eq!(expired.split('.').count(), 3);
//! # assert!(issuer.kids().contains(&new_kid));
//! issuer.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Controls
//!
//! The same over HTTP, for scripts. Bodies are JSON, an absent one is `{}`. Requests that carry an `Origin` header are
//! refused, so that no web page can use them.
//!
//! | request | body | answer |
//! | --- | --- | --- |
//! | `POST /dev/rotate` | `alg`?, `secret`? (HMAC), `keep_previous`? (`true`), `publish`? (`true`, `false`, or seconds until it is listed) | `{"kid","kids"}` |
//! | `POST /dev/publish`, `/dev/withdraw` | `kid` | `{"kid","kids"}` |
//! | `POST /dev/mint` | the fields of [`Mint`] | `{"token"}` |
//! | `PUT /dev/fault` | the fields of [`Fault`] | `{"fault"}` |
//! | `GET`, `DELETE /dev/fault` | | `{"fault"}` |
//! | `PUT /dev/jwks` | `etag`?, `max_age_seconds`? (negative: no `Cache-Control`) | both |
//! | `GET /dev/stats` | | counts, kids, the fault |

mod algorithm;
mod clock;
mod config;
mod connection;
mod error;
mod fault;
mod issuer;
mod keyring;
mod keys;
mod mint;
mod password;
mod routes;
mod server;
mod sessions;
mod shared;
mod state;
mod tokens;
mod users;

pub use algorithm::SigningAlgorithm;
pub use config::{IssuerConfig, SeedUser};
pub use error::{IssuerError, KeyError, MintError};
pub use fault::{Fault, FaultMode};
pub use issuer::Issuer;
pub use keyring::{Publish, Rotate};
pub use mint::Mint;
pub use shared::JwksOptions;
