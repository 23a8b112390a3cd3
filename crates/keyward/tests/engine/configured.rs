//! Keys and secrets that are configured rather than fetched.

use std::path::Path;
use std::time::Duration;

use keyward::{Decision, FetchOptions, IssuerConfig, KeySource, Reason, Verifier};
use keyward_issuer::Mint;

use crate::setup::{Engine, config, eventually, from, issuer, token};

const SECRET: &str = "a-secret-of-at-least-thirty-two-bytes";

fn keeping(config: IssuerConfig, directory: &Path) -> Engine {
    Engine::build(|builder| builder.issuer(config).keep_keys_in(directory))
}

fn deny(kid: &str) -> Decision {
    Decision::Deny { kid: kid.to_owned(), until: None }
}

#[tokio::test]
async fn a_configured_key_can_be_denied_and_stays_so_when_its_source_changes() {
    let issuer = issuer().await;
    let directory = tempfile::tempdir().unwrap();
    let source = KeySource::Url(issuer.jwks_url());
    let set = keyward::fetch_key_set(&source, &FetchOptions::default(), Duration::from_secs(5)).await.unwrap();
    let configured = || from("a", &issuer.issuer(), KeySource::Static(set.clone()));
    let (kid, token) = (issuer.signing_kid(), token(&issuer));
    let engine = keeping(configured(), directory.path());
    assert!(engine.at_once(&token).is_ok());
    assert!(engine.auth.decide("a", deny(&kid)).await);
    assert_eq!(engine.at_once(&token).unwrap_err().reason(), Reason::Revoked, "though it was remembered");
    let successor = Engine::build(|builder| builder.issuer(configured()).inherit(&engine.auth));
    assert_eq!(successor.at_once(&token).unwrap_err().reason(), Reason::Revoked);
    engine.auth.shutdown().await;
    assert_eq!(keeping(configured(), directory.path()).at_once(&token).unwrap_err().reason(), Reason::Revoked);

    let fetching = keeping(config("a", &issuer), directory.path());
    fetching.ready().await;
    assert_eq!(fetching.at_once(&token).unwrap_err().reason(), Reason::Revoked);
    assert!(fetching.auth.decide("a", Decision::Allow { kid }).await);
    fetching.auth.shutdown().await;
    assert!(keeping(configured(), directory.path()).at_once(&token).is_ok());
}

#[tokio::test]
async fn a_denial_of_a_configured_key_ends_when_it_is_told_to() {
    let issuer = issuer().await;
    let source = KeySource::Url(issuer.jwks_url());
    let set = keyward::fetch_key_set(&source, &FetchOptions::default(), Duration::from_secs(5)).await.unwrap();
    let engine = Engine::build(|builder| builder.issuer(from("a", &issuer.issuer(), KeySource::Static(set))));
    let until = Some(engine.clock.unix() + Duration::from_secs(600));
    assert!(engine.auth.decide("a", Decision::Deny { kid: issuer.signing_kid(), until }).await);
    assert_eq!(engine.at_once(&token(&issuer)).unwrap_err().reason(), Reason::Revoked);
    engine.clock.advance(Duration::from_secs(601));
    eventually("the denial ends", || engine.at_once(&token(&issuer)).is_ok()).await;
}

#[tokio::test]
async fn tokens_under_a_secret_can_be_denied_by_their_kid() {
    let issuer = issuer().await;
    let directory = tempfile::tempdir().unwrap();
    let start = || {
        let verifier = Verifier::builder("a").issuer(issuer.issuer()).audience("authenticated").secret(SECRET);
        keeping(IssuerConfig::new(verifier.build().unwrap(), KeySource::None), directory.path())
    };
    let mint = |kid: &str| issuer.mint(Mint { secret: Some(SECRET.to_owned()), ..Mint::new().header("kid", kid) });
    let (old, new) = (mint("old"), mint("new"));
    let engine = start();
    assert!(engine.at_once(&old).is_ok());
    assert!(engine.auth.decide("a", deny("old")).await);
    assert_eq!(engine.at_once(&old).unwrap_err().reason(), Reason::Revoked);
    assert!(engine.at_once(&new).is_ok());
    assert_eq!(engine.auth.refresh("a").await, None, "there is nothing to fetch");
    engine.auth.shutdown().await;
    let again = start();
    assert!(again.auth.status()[0].ready);
    assert_eq!(again.at_once(&old).unwrap_err().reason(), Reason::Revoked);
    assert!(again.at_once(&new).is_ok());
}
