use std::time::Duration;

use keyward::{Authenticator, BuildError, Decision, Fault, IssuerConfig, KeySource, Reason, Verifier};
use keyward_issuer::{Fault as Misbehaviour, Mint, Rotate};
use serde_json::Value;

use crate::setup::{Engine, config, eventually, issuer, token};

async fn first_jwk(issuer: &keyward_issuer::Issuer) -> Value {
    let text = reqwest::Client::builder().no_proxy().build().unwrap().get(issuer.jwks_url()).send().await.unwrap();
    let set: Value = serde_json::from_str(&text.text().await.unwrap()).unwrap();
    set["keys"][0].clone()
}

#[tokio::test]
async fn a_key_of_one_issuer_never_verifies_the_tokens_of_another() {
    let (a, b) = (issuer().await, issuer().await);
    let engine = Engine::build(|builder| builder.issuer(config("a", &a)).issuer(config("b", &b)));
    engine.ready().await;
    let verified = engine.auth.verify(&token(&b)).await.unwrap();
    assert_eq!((verified.issuer(), verified.iss()), ("b", b.issuer().as_str()));

    let claiming_a = b.mint(Mint::new().claim("iss", a.issuer()));
    assert_eq!(engine.reason(&claiming_a).await, Some(Reason::UnknownKid));
    let with_its_kid = b.mint(Mint::new().claim("iss", a.issuer()).header("kid", a.signing_kid()));
    assert_eq!(engine.reason(&with_its_kid).await, Some(Reason::InvalidSignature));
    let without_kid = b.mint(Mint::new().claim("iss", a.issuer()).without_header("kid"));
    assert_eq!(engine.reason(&without_kid).await, Some(Reason::InvalidSignature));
}

#[tokio::test]
async fn two_issuers_may_use_the_same_kid() {
    let (a, b) = (issuer().await, issuer().await);
    let mut renamed = first_jwk(&b).await;
    renamed["kid"] = a.signing_kid().into();
    b.set_fault(Some(Misbehaviour::only_keys(vec![renamed])));
    let engine = Engine::build(|builder| builder.issuer(config("a", &a)).issuer(config("b", &b)));
    engine.ready().await;
    let of_b = b.mint(Mint::new().header("kid", a.signing_kid()));
    assert_eq!(engine.at_once(&of_b).unwrap().issuer(), "b");
    assert_eq!(engine.at_once(&token(&a)).unwrap().issuer(), "a");
    let mixed = b.mint(Mint::new().header("kid", a.signing_kid()).claim("iss", a.issuer()));
    assert_eq!(engine.at_once(&mixed).unwrap_err().reason(), Reason::InvalidSignature);
    assert_eq!(engine.at_once(&of_b).unwrap().issuer(), "b", "cached, and still its own");
    // A denial is about one issuer's key.
    assert!(engine.auth.decide("a", Decision::Deny { kid: a.signing_kid(), until: None }).await);
    assert_eq!(engine.at_once(&token(&a)).unwrap_err().reason(), Reason::Revoked);
    assert!(engine.at_once(&of_b).is_ok());
}

#[tokio::test]
async fn a_token_of_neither_issuer_is_refused_for_its_iss_where_its_key_is_known() {
    let (a, b) = (issuer().await, issuer().await);
    let engine = Engine::build(|builder| builder.issuer(config("a", &a)).issuer(config("b", &b)));
    engine.ready().await;
    let requests = a.jwks_requests() + b.jwks_requests();
    let foreign = |mint: Mint| b.mint(mint.claim("iss", "https://elsewhere.example"));
    assert_eq!(engine.reason(&foreign(Mint::new())).await, Some(Reason::WrongIssuer));
    assert_eq!(engine.reason(&foreign(Mint::new().header("kid", "x"))).await, Some(Reason::UnknownKid));
    assert_eq!(engine.reason(&b.mint(Mint::new().without_claim("iss"))).await, Some(Reason::MissingClaim));
    assert_eq!(engine.reason(&b.mint(Mint::new().claim("iss", 7))).await, Some(Reason::InvalidClaim));
    let slash = b.mint(Mint::new().claim("iss", format!("{}/", b.issuer())));
    assert_eq!(engine.reason(&slash).await, Some(Reason::WrongIssuer));
    assert_eq!(a.jwks_requests() + b.jwks_requests(), requests, "none of them is worth a fetch");
}

#[tokio::test]
async fn the_outage_of_one_issuer_is_not_the_others() {
    let (a, b) = (issuer().await, issuer().await);
    let engine = Engine::build(|builder| builder.issuer(config("a", &a)).issuer(config("b", &b)));
    engine.ready().await;
    let day = |issuer: &keyward_issuer::Issuer| issuer.mint(Mint::new().expires_in(86_400));
    a.set_fault(Some(Misbehaviour::status(500)));
    let before = engine.seen.refreshed();
    engine.clock.advance(Duration::from_secs(3601));
    engine.refreshed_since(before).await;
    eventually("a fails", || engine.seen.refresh_failed() > 0).await;
    let refused = engine.auth.verify(&day(&a)).await.unwrap_err();
    assert_eq!((refused.reason(), refused.fault()), (Reason::KeysUnavailable, Fault::Unavailable));
    assert!(refused.retry_after_secs().is_some_and(|secs| (1..=60).contains(&secs)));
    assert!(engine.at_once(&day(&b)).is_ok());
    b.rotate(Rotate::default());
    assert!(engine.auth.verify(&day(&b)).await.is_ok(), "b still learns new keys");
    a.set_fault(None);
    eventually("a is back", || engine.auth.status()[0].ready).await;
    assert!(engine.auth.verify(&day(&a)).await.is_ok());
}

#[tokio::test]
async fn two_issuers_that_accept_the_same_iss_are_refused_in_either_order() {
    let config = |name: &str, iss: &str, ignore: bool| {
        let verifier = Verifier::builder(name).issuer(iss).audience("x").ignore_trailing_slash(ignore).build().unwrap();
        IssuerConfig::new(verifier, KeySource::Url("http://127.0.0.1:9/".to_owned()))
    };
    for lenient_first in [true, false] {
        let builder = Authenticator::builder().issuer(config("a", "https://i.example", lenient_first)).issuer(config(
            "b",
            "https://i.example/",
            !lenient_first,
        ));
        assert!(matches!(builder.build(), Err(BuildError::SharedIss { .. })), "{lenient_first}");
    }
}

#[tokio::test]
async fn a_token_may_be_as_long_as_its_own_issuer_allows() {
    let (a, b) = (issuer().await, issuer().await);
    let mut short = config("a", &a);
    let builder = Verifier::builder("a").issuer(a.issuer()).audience("authenticated");
    short.verifier = builder.max_token_bytes(1500).build().unwrap();
    let engine = Engine::build(|builder| builder.issuer(short).issuer(config("b", &b)));
    engine.ready().await;
    let long = |issuer: &keyward_issuer::Issuer| issuer.mint(Mint::new().claim("padding", "p".repeat(1500)));
    assert!(engine.at_once(&token(&a)).is_ok());
    assert_eq!(engine.at_once(&long(&a)).unwrap_err().reason(), Reason::TokenTooLarge);
    assert!(engine.at_once(&long(&b)).is_ok());
}
