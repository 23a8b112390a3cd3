use std::time::Duration;

use keyward::{Decision, IssuerConfig, KeySource, Reason, Verifier};
use keyward_issuer::{Fault as Misbehaviour, Mint, Rotate};

use crate::setup::{Engine, cache, config, eventually, issuer, token};

#[tokio::test]
async fn a_withdrawn_key_stops_working_with_the_refresh_that_dropped_it() {
    let issuer = issuer().await;
    let engine = Engine::loaded(config("a", &issuer)).await;
    let (kid, old) = (issuer.signing_kid(), token(&issuer));
    assert!(engine.at_once(&old).is_ok() && engine.at_once(&old).is_ok());
    issuer.rotate(Rotate::default());
    assert_eq!(engine.auth.refresh("a").await, Some(true));
    assert!(engine.at_once(&old).is_ok(), "still listed");
    assert!(issuer.withdraw(&kid));
    assert!(engine.at_once(&old).is_ok(), "not known yet");
    assert_eq!(engine.auth.refresh("a").await, Some(true));
    assert_eq!(engine.reason(&old).await, Some(Reason::UnknownKid));
    assert!(engine.auth.verify(&token(&issuer)).await.is_ok());
}

#[tokio::test]
async fn a_kid_with_other_material_ends_the_tokens_of_the_old_key() {
    let (issuer, other) = (issuer().await, issuer().await);
    let engine = Engine::loaded(config("a", &issuer)).await;
    let old = token(&issuer);
    assert!(engine.at_once(&old).is_ok());
    let source = KeySource::Url(other.jwks_url());
    let set = keyward::fetch_key_set(&source, &keyward::FetchOptions::default(), Duration::from_secs(5)).await.unwrap();
    let mut jwk: serde_json::Value = serde_json::from_str(&set.to_json()).unwrap();
    jwk["keys"][0]["kid"] = issuer.signing_kid().into();
    issuer.set_fault(Some(Misbehaviour::only_keys(vec![jwk["keys"][0].clone()])));
    assert_eq!(engine.auth.refresh("a").await, Some(true));
    assert_eq!(engine.at_once(&old).unwrap_err().reason(), Reason::InvalidSignature);
}

#[tokio::test]
async fn a_denied_key_stops_at_once_and_an_allowed_one_works_again() {
    let issuer = issuer().await;
    let engine = Engine::loaded(config("a", &issuer)).await;
    let (kid, cached) = (issuer.signing_kid(), token(&issuer));
    assert!(engine.at_once(&cached).is_ok());
    assert!(engine.auth.decide("a", Decision::Deny { kid: kid.clone(), until: None }).await);
    for token in [&cached, &token(&issuer)] {
        let refused = engine.at_once(token).unwrap_err();
        assert_eq!((refused.reason(), refused.fault().status()), (Reason::Revoked, 401));
    }
    assert_eq!(engine.auth.refresh("a").await, Some(true));
    assert_eq!(engine.at_once(&cached).unwrap_err().reason(), Reason::Revoked, "a refresh does not undo it");
    assert!(engine.auth.decide("a", Decision::Allow { kid }).await);
    assert!(engine.at_once(&cached).is_ok());
    assert!(!engine.auth.decide("b", Decision::Allow { kid: "k".to_owned() }).await, "there is no such issuer");
}

#[tokio::test]
async fn a_denial_ends_when_it_was_told_to() {
    let issuer = issuer().await;
    let engine = Engine::loaded(config("a", &issuer)).await;
    let token = token(&issuer);
    let until = engine.clock.unix() + Duration::from_secs(60);
    assert!(engine.auth.decide("a", Decision::Deny { kid: issuer.signing_kid(), until: Some(until) }).await);
    assert_eq!(engine.at_once(&token).unwrap_err().reason(), Reason::Revoked);
    engine.clock.advance(Duration::from_secs(61));
    eventually("it ends", || engine.at_once(&token).is_ok()).await;
}

#[tokio::test]
async fn a_denied_secret_stops_at_once_whether_or_not_there_are_keys() {
    let issuer = issuer().await;
    let secret = "a-secret-of-at-least-thirty-two-bytes";
    let verifier =
        Verifier::builder("a").issuer(issuer.issuer()).audience("authenticated").secret(secret).build().unwrap();
    let mut config = IssuerConfig { cache: cache(), ..IssuerConfig::new(verifier, KeySource::Url(issuer.jwks_url())) };
    config.cache.stale_ttl = Duration::from_secs(600);
    let engine = Engine::build(|builder| builder.issuer(config));
    eventually("the keys are loaded", || engine.seen.refreshed() > 0).await;
    let mint = || {
        let mint = Mint { secret: Some(secret.to_owned()), ..Mint::new() };
        issuer.mint(mint.header("kid", "legacy").expires_in(86_400))
    };
    let cached = mint();
    let both =
        |engine: &Engine| [engine.at_once(&cached), engine.at_once(&mint())].map(|one| one.err().map(|r| r.reason()));
    assert_eq!(both(&engine), [None, None]);
    assert!(engine.auth.decide("a", Decision::Deny { kid: "legacy".to_owned(), until: None }).await);
    assert_eq!(both(&engine), [Some(Reason::Revoked); 2]);
    // In an outage past the stale deadline the secret still works, and so does its denial.
    issuer.set_fault(Some(Misbehaviour::status(500)));
    assert!(engine.auth.decide("a", Decision::Allow { kid: "legacy".to_owned() }).await);
    engine.clock.advance(Duration::from_secs(1000));
    assert_eq!(both(&engine), [None, None]);
    assert!(engine.auth.decide("a", Decision::Deny { kid: "legacy".to_owned(), until: None }).await);
    assert_eq!(both(&engine), [Some(Reason::Revoked); 2]);
}
