//! Forward-auth through the real nginx, Caddy, Traefik and Envoy, with the configurations in `infra/proxies`: one suite
//! of cases for all of them. Behind each stands an application that writes down what reaches it.
//!
//! `cargo xtask setup` installs the proxies.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/mod.rs"]
mod support;

mod admission;
mod application;
mod browsers;
mod forgery;
mod message;
mod outage;
mod paths;
mod proxy;
mod sizes;
mod world;

use proxy::Kind;

macro_rules! suite {
    ($($name:ident: $kind:ident),* $(,)?) => {$(
        mod $name {
            use super::*;

            const KIND: Kind = Kind::$kind;

            #[tokio::test]
            async fn the_application_sees_exactly_the_identity_that_was_verified() {
                admission::accepted(KIND).await;
            }

            #[tokio::test]
            async fn every_refusal_reaches_the_client_and_no_application() {
                admission::refused(KIND).await;
            }

            #[tokio::test]
            async fn no_spelling_of_an_identity_header_gets_through() {
                forgery::forged(KIND).await;
            }

            #[tokio::test]
            async fn no_spelling_of_a_path_escapes_its_policy() {
                paths::odd(KIND).await;
            }

            #[tokio::test]
            async fn long_heads_pass_and_longer_ones_are_refused() {
                sizes::heads(KIND).await;
            }

            #[tokio::test]
            async fn preflights_pass_when_configured_and_only_then() {
                browsers::preflights(KIND).await;
            }

            #[tokio::test]
            async fn a_session_cookie_counts_when_configured_and_only_then() {
                browsers::cookies(KIND).await;
            }

            #[tokio::test]
            async fn in_an_outage_the_client_is_told_to_try_again() {
                outage::outage(KIND).await;
            }
        }
    )*};
}

suite! { nginx: Nginx, caddy: Caddy, traefik: Traefik, envoy: Envoy }
