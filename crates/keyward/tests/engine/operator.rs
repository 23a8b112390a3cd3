use std::sync::Arc;
use std::time::Duration;

use keyward::jwks::{Event, StaleExtension, Trigger};
use keyward::{Decision, Reason, TokenCacheConfig};
use keyward_issuer::{Fault as Misbehaviour, FaultMode, Mint, Rotate};

use crate::setup::{Engine, config, eventually, issuer, token};

#[tokio::test]
async fn a_refresh_says_whether_it_succeeded() {
    let issuer = issuer().await;
    let engine = Engine::loaded(config("a", &issuer)).await;
    assert_eq!(engine.auth.refresh("a").await, Some(true));
    issuer.set_fault(Some(Misbehaviour::status(500)));
    assert_eq!(engine.auth.refresh("a").await, Some(false));
    issuer.set_fault(None);
    assert_eq!(engine.auth.refresh("a").await, Some(true));
    assert_eq!(engine.auth.refresh("b").await, None);
    assert!(engine.seen.count(|event| matches!(event, Event::Refreshed { trigger: Trigger::Operator, .. })) >= 2);
}

#[tokio::test]
async fn a_refresh_that_needs_a_second_attempt_is_one_refresh() {
    let issuer = issuer().await;
    let mut config = config("a", &issuer);
    config.cache.refresh_retries = 2;
    let engine = Engine::loaded(config).await;
    issuer.set_fault(Some(Misbehaviour::status(500).times(2)));
    assert_eq!(engine.auth.refresh("a").await, Some(true), "the third attempt succeeds");
    assert_eq!((engine.seen.failures().len(), engine.seen.refresh_failed()), (2, 0));
    issuer.set_fault(Some(Misbehaviour::status(500)));
    assert_eq!(engine.auth.refresh("a").await, Some(false));
    assert_eq!((engine.seen.failures().len(), engine.seen.refresh_failed()), (5, 1));
}

#[tokio::test]
async fn a_refresh_is_not_answered_by_a_fetch_that_had_begun_before() {
    let issuer = issuer().await;
    let engine = Engine::loaded(config("a", &issuer)).await;
    let asking = || {
        let auth = engine.auth.clone();
        tokio::spawn(async move { auth.refresh("a").await })
    };
    issuer.set_fault(Some(Misbehaviour::new(FaultMode::Slow).delay_ms(500).times(1)));
    let before = issuer.jwks_requests();
    let first = asking();
    eventually("the first fetch is under way", || issuer.jwks_requests() > before).await;
    let kid = issuer.rotate(Rotate::default());
    assert_eq!(asking().await.unwrap(), Some(true));
    assert!(engine.auth.status()[0].snapshot.keys().has_kid(&kid), "it was published before the refresh was asked for");
    assert_eq!(first.await.unwrap(), Some(true));

    issuer.set_fault(Some(Misbehaviour { status: Some(500), ..Misbehaviour::new(FaultMode::Hang) }.times(1)));
    let before = issuer.jwks_requests();
    let failing = asking();
    eventually("a fetch hangs", || issuer.jwks_requests() > before).await;
    assert_eq!(asking().await.unwrap(), Some(true), "the next fetch succeeds");
    assert_eq!(failing.await.unwrap(), Some(false), "the one that hung did not");
}

#[tokio::test]
async fn many_refreshes_at_once_cost_few_fetches_and_all_get_an_answer() {
    let issuer = issuer().await;
    let engine = Engine::loaded(config("a", &issuer)).await;
    let before = issuer.jwks_requests();
    let asked: Vec<_> = (0..500)
        .map(|_| {
            let auth = engine.auth.clone();
            tokio::spawn(async move { auth.refresh("a").await })
        })
        .collect();
    for one in asked {
        assert_eq!(one.await.unwrap(), Some(true));
    }
    assert!(issuer.jwks_requests() - before <= 8, "{}", issuer.jwks_requests() - before);
}

#[tokio::test]
async fn an_extended_deadline_serves_longer_and_can_be_taken_back() {
    let issuer = issuer().await;
    let engine = Engine::loaded(config("a", &issuer)).await;
    issuer.set_fault(Some(Misbehaviour::status(500)));
    let day = issuer.mint(Mint::new().expires_in(86_400));
    engine.clock.advance(Duration::from_secs(3700));
    assert_eq!(engine.auth.verify(&day).await.unwrap_err().reason(), Reason::KeysUnavailable);
    let until = engine.clock.unix() + Duration::from_secs(7200);
    let extension = StaleExtension { by: Duration::from_secs(7200), until };
    assert!(engine.auth.decide("a", Decision::ExtendStale(Some(extension))).await);
    assert!(engine.at_once(&day).is_ok());
    assert!(engine.auth.decide("a", Decision::ExtendStale(None)).await);
    assert_eq!(engine.auth.verify(&day).await.unwrap_err().reason(), Reason::KeysUnavailable);
    assert!(engine.auth.decide("a", Decision::ExtendStale(Some(extension))).await);
    engine.clock.advance(Duration::from_secs(7201));
    assert_eq!(engine.auth.verify(&day).await.unwrap_err().reason(), Reason::KeysUnavailable);
}

#[tokio::test]
async fn keys_serve_stale_until_the_deadline_and_fresh_again_after_the_outage() {
    let issuer = issuer().await;
    let engine =
        Engine::build(|builder| builder.issuer(config("a", &issuer)).token_cache(Some(TokenCacheConfig::default())));
    engine.ready().await;
    let day = || issuer.mint(Mint::new().expires_in(86_400));
    let cached = day();
    assert!(engine.at_once(&cached).is_ok());
    issuer.set_fault(Some(Misbehaviour::new(FaultMode::Reset)));
    for _ in 0..11 {
        engine.clock.advance(Duration::from_secs(320));
        assert!(engine.at_once(&day()).is_ok() && engine.at_once(&cached).is_ok());
    }
    engine.clock.advance(Duration::from_secs(100));
    assert_eq!(engine.auth.verify(&cached).await.unwrap_err().fault().status(), 503, "cached tokens fail too");
    issuer.set_fault(None);
    engine.ready().await;
    assert!(engine.at_once(&cached).is_ok());
    assert_eq!(engine.seen.count(|event| matches!(event, Event::Expired { .. })), 1);
}

#[tokio::test]
async fn an_engine_ends_with_its_last_clone() {
    let issuer = issuer().await;
    let mut config = config("a", &issuer);
    config.cache.ttl = Duration::from_millis(300);
    config.cache.ttl_floor = Duration::from_millis(300);
    let engine = Engine::loaded(config).await;
    let clone = engine.auth.clone();
    drop(engine.auth);
    let before = issuer.jwks_requests();
    eventually("a clone keeps it alive", || issuer.jwks_requests() > before + 1).await;
    assert!(clone.verify(&token(&issuer)).await.is_ok());
    let seen = engine.seen;
    drop(clone);
    eventually("its tasks let go of everything", || Arc::strong_count(&seen) == 1).await;
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_fetch_that_hangs() {
    let issuer = issuer().await;
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::build(|builder| builder.issuer(config("a", &issuer)).keep_keys_in(directory.path()));
    engine.ready().await;
    issuer.set_fault(Some(Misbehaviour::new(FaultMode::Hang)));
    let before = issuer.jwks_requests();
    engine.clock.advance(Duration::from_secs(299));
    eventually("a fetch hangs", || issuer.jwks_requests() > before).await;
    let since = tokio::time::Instant::now();
    engine.auth.shutdown().await;
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "the keys are kept, and nothing else is left");
}

#[tokio::test]
async fn after_a_shutdown_clones_verify_with_the_keys_there_are_and_promise_nothing() {
    let issuer = issuer().await;
    let engine = Engine::loaded(config("a", &issuer)).await;
    engine.auth.clone().shutdown().await;
    assert!(engine.at_once(&token(&issuer)).is_ok());
    assert_eq!(engine.auth.refresh("a").await, Some(false));
    assert!(
        !engine.auth.decide("a", Decision::Deny { kid: issuer.signing_kid(), until: None }).await,
        "it does not hold"
    );
    assert!(engine.at_once(&token(&issuer)).is_ok());
    let refused = engine.auth.verify(&issuer.mint(Mint::new().header("kid", "x"))).await.unwrap_err();
    assert_eq!((refused.reason(), refused.fault().status()), (Reason::UnknownKid, 503), "nobody can tell any more");
    engine.auth.shutdown().await;
}

#[tokio::test]
async fn a_refresh_that_is_asked_for_again_and_again_still_ends() {
    let issuer = issuer().await;
    let mut config = config("a", &issuer);
    config.cache.refresh_retries = 3;
    let engine = Engine::loaded(config).await;
    issuer.set_fault(Some(Misbehaviour::status(500)));
    let first = {
        let auth = engine.auth.clone();
        tokio::spawn(async move { auth.refresh("a").await })
    };
    for _ in 0..200 {
        if first.is_finished() {
            break;
        }
        // The operator's budget is never what delays it.
        engine.clock.advance(Duration::from_secs(1));
        let auth = engine.auth.clone();
        tokio::spawn(async move { auth.refresh("a").await });
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(first.is_finished(), "the others put its end off");
    assert_eq!(first.await.unwrap(), Some(false));
    assert!(!engine.auth.status()[0].snapshot.is_trustworthy());
}
