use std::sync::atomic::Ordering;
use std::time::Duration;

use keyward::policy::Policy;
use keyward::{Attempt, PolicyId, Reason, TokenCacheConfig};
use keyward_issuer::Mint;

use crate::setup::{Engine, config, issuer, token};

fn counts(engine: &Engine) -> (u64, u64) {
    (engine.seen.hits.load(Ordering::SeqCst), engine.seen.misses.load(Ordering::SeqCst))
}

#[tokio::test]
async fn hits_and_misses_are_told() {
    let issuer = issuer().await;
    let engine = Engine::loaded(config("a", &issuer)).await;
    let (one, two) = (token(&issuer), token(&issuer));
    for token in [&one, &one, &two, &one, &two] {
        assert!(engine.at_once(token).is_ok());
    }
    assert_eq!((counts(&engine), engine.auth.cached_tokens()), ((3, 2), Some(2)));
    assert!(engine.at_once(&issuer.mint(Mint::new().expires_in(-60))).is_err());
    assert_eq!((counts(&engine), engine.auth.cached_tokens()), ((3, 3), Some(2)), "a refusal is not remembered");
}

#[tokio::test]
async fn one_bit_of_difference_is_another_token() {
    let issuer = issuer().await;
    let engine = Engine::loaded(config("a", &issuer)).await;
    let good = token(&issuer);
    assert!(engine.at_once(&good).is_ok());
    let last = good.len() - 10;
    let mut forged = good.clone().into_bytes();
    forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    assert_eq!(engine.at_once(&forged).unwrap_err().reason(), Reason::InvalidSignature);
    assert!(engine.at_once(&good[..last]).is_err() && engine.at_once(&format!("{good} ")).is_err());
}

#[tokio::test]
async fn what_one_policy_accepted_another_does_not_know() {
    let issuer = issuer().await;
    let staff = Policy { roles: vec!["service_role".to_owned()], ..Policy::named("staff") };
    let engine = Engine::build(|builder| builder.issuer(config("a", &issuer)).policy(staff));
    engine.ready().await;
    let staff = engine.auth.policy("staff").unwrap();
    let user = token(&issuer);
    let verdict = |policy, token: &str| match engine.auth.try_verify(policy, token) {
        Attempt::Done(verdict) => verdict.map_err(|rejection| rejection.reason()),
        Attempt::Pending(_) => panic!("it would wait"),
    };
    for _ in 0..2 {
        assert!(verdict(PolicyId::DEFAULT, &user).is_ok());
        assert_eq!(verdict(staff, &user).unwrap_err(), Reason::InsufficientRole);
    }
    assert!(verdict(staff, &issuer.service_role_token(Duration::from_secs(60))).is_ok());
    assert!(engine.auth.policy("no such").is_none());
}

#[tokio::test]
async fn a_remembered_token_expires_and_leaves() {
    let issuer = issuer().await;
    let engine = Engine::loaded(config("a", &issuer)).await;
    let token = issuer.mint(Mint::new().expires_in(60));
    assert!(engine.at_once(&token).is_ok());
    engine.clock.advance(Duration::from_secs(85));
    assert!(engine.at_once(&token).is_ok(), "within the leeway");
    engine.clock.advance(Duration::from_secs(6));
    assert_eq!(engine.at_once(&token).unwrap_err().reason(), Reason::Expired);
    assert_eq!(engine.auth.cached_tokens(), Some(0));
}

#[tokio::test]
async fn a_remembered_token_is_judged_by_the_calendar_of_the_moment() {
    let issuer = issuer().await;
    let engine = Engine::loaded(config("a", &issuer)).await;
    let token = token(&issuer);
    assert!(engine.at_once(&token).is_ok());
    engine.clock.set_calendar(-120);
    assert_eq!(engine.at_once(&token).unwrap_err().reason(), Reason::IssuedInFuture);
    engine.clock.set_calendar(0);
    assert!(engine.at_once(&token).is_ok());
    engine.clock.set_calendar(4000);
    assert_eq!(engine.at_once(&token).unwrap_err().reason(), Reason::Expired);
    engine.clock.set_calendar(0);
    assert!(engine.at_once(&token).is_ok());
}

#[tokio::test]
async fn it_is_bounded_and_can_be_turned_off() {
    let issuer = issuer().await;
    let few = TokenCacheConfig { max_entries: 10, ..TokenCacheConfig::default() };
    let engine = Engine::build(|builder| builder.issuer(config("a", &issuer)).token_cache(Some(few)));
    engine.ready().await;
    for _ in 0..50 {
        assert!(engine.at_once(&token(&issuer)).is_ok());
    }
    assert!(engine.auth.cached_tokens().is_some_and(|count| (1..=10).contains(&count)));

    let engine = Engine::build(|builder| builder.issuer(config("a", &issuer)).token_cache(None));
    engine.ready().await;
    let token = token(&issuer);
    assert!(engine.at_once(&token).is_ok() && engine.at_once(&token).is_ok());
    assert_eq!((counts(&engine), engine.auth.cached_tokens()), ((0, 0), None));
}
