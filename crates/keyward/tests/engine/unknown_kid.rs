use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keyward::jwks::Suppressed;
use keyward::{Attempt, Fault, PolicyId, Reason};
use keyward_issuer::{Fault as Misbehaviour, FaultMode, Issuer, Mint, Publish, Rotate};
use tokio::time::Instant;

use crate::setup::{Engine, config, eventually, issuer, token};

fn with_kid(issuer: &Issuer, kid: &str) -> String {
    issuer.mint(Mint::new().header("kid", kid))
}

#[tokio::test]
async fn a_new_key_works_at_its_first_use_and_the_old_one_beside_it() {
    let issuer = issuer().await;
    let engine = Engine::loaded(config("a", &issuer)).await;
    for _ in 0..3 {
        let old = token(&issuer);
        issuer.rotate(Rotate::default());
        assert!(engine.auth.verify(&token(&issuer)).await.is_ok());
        assert!(engine.at_once(&old).is_ok());
    }
    assert_eq!(issuer.jwks_requests(), 4);
}

#[tokio::test]
async fn a_key_published_while_a_fetch_was_under_way_works_at_its_first_use() {
    let issuer = issuer().await;
    let engine = Engine::loaded(config("a", &issuer)).await;
    // The answer is made when the request arrives, and held back.
    issuer.set_fault(Some(Misbehaviour::new(FaultMode::Slow).delay_ms(700).times(1)));
    let before = issuer.jwks_requests();
    let refreshing = {
        let auth = engine.auth.clone();
        tokio::spawn(async move { auth.refresh("a").await })
    };
    eventually("the fetch is under way", || issuer.jwks_requests() > before).await;
    issuer.rotate(Rotate::default());
    assert!(engine.auth.verify(&token(&issuer)).await.is_ok());
    assert_eq!(refreshing.await.unwrap(), Some(true));
}

#[tokio::test]
async fn a_slow_issuer_is_waited_for() {
    let issuer = issuer().await;
    let engine = Engine::loaded(config("a", &issuer)).await;
    issuer.set_fault(Some(Misbehaviour::new(FaultMode::Slow).delay_ms(1000)));
    let old = token(&issuer);
    issuer.rotate(Rotate::default());
    let new = token(&issuer);
    let since = Instant::now();
    let waiting = {
        let (auth, new) = (engine.auth.clone(), new.clone());
        tokio::spawn(async move { auth.verify(&new).await })
    };
    eventually("the fetch is under way", || issuer.jwks_requests() > 1).await;
    assert!(engine.at_once(&old).is_ok(), "who needs no fetch does not wait");
    assert!(waiting.await.unwrap().is_ok());
    assert!(since.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_known_key_never_waits_for_an_issuer_that_hangs() {
    let issuer = issuer().await;
    let mut config = config("a", &issuer);
    config.cache.max_wait = Duration::from_millis(600);
    let engine = Engine::loaded(config).await;
    issuer.set_fault(Some(Misbehaviour::new(FaultMode::Hang)));
    engine.clock.advance(Duration::from_secs(600));
    eventually("a fetch hangs", || issuer.jwks_requests() > 1).await;
    let since = Instant::now();
    let unknown = with_kid(&issuer, "x");
    let waiting = {
        let auth = engine.auth.clone();
        tokio::spawn(async move { auth.verify(&unknown).await })
    };
    for _ in 0..50 {
        assert!(engine.at_once(&issuer.mint(Mint::new().expires_in(86_400))).is_ok());
    }
    let refused = waiting.await.unwrap().unwrap_err();
    assert_eq!((refused.reason(), refused.fault()), (Reason::UnknownKid, Fault::Unavailable));
    assert!(since.elapsed() < Duration::from_millis(1500), "waiting is bounded: {:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_misses_at_once_cost_one_fetch() {
    let issuer = issuer().await;
    let engine = Engine::loaded(config("a", &issuer)).await;
    issuer.set_fault(Some(Misbehaviour::new(FaultMode::Slow).delay_ms(300)));
    issuer.rotate(Rotate::default());
    let before = issuer.jwks_requests();
    let requests: Vec<_> = (0..1000)
        .map(|_| {
            let (auth, token) = (engine.auth.clone(), token(&issuer));
            tokio::spawn(async move { auth.verify(&token).await })
        })
        .collect();
    for request in requests {
        assert!(request.await.unwrap().is_ok());
    }
    // Those that came while it was under way may need one that begins after they asked.
    assert!(issuer.jwks_requests() - before <= 2, "{}", issuer.jwks_requests() - before);
}

#[tokio::test]
async fn an_unknown_kid_is_the_tokens_fault_until_refreshes_fail() {
    let issuer = issuer().await;
    let engine = Engine::loaded(config("a", &issuer)).await;
    let refused = engine.auth.verify(&with_kid(&issuer, "x")).await.unwrap_err();
    assert_eq!((refused.reason(), refused.fault().status()), (Reason::UnknownKid, 401));
    assert!(refused.retry_after_secs().is_none());

    issuer.set_fault(Some(Misbehaviour::status(500)));
    assert_eq!(engine.auth.refresh("a").await, Some(false));
    for kid in ["y", "z"] {
        let token = with_kid(&issuer, kid);
        let Attempt::Pending(pending) = engine.auth.try_verify(PolicyId::DEFAULT, &token) else { panic!("known?") };
        assert_eq!(pending.into_rejection().fault().status(), 503, "also for those who do not wait");
        let refused = engine.auth.verify(&token).await.unwrap_err();
        assert_eq!((refused.reason(), refused.fault().status()), (Reason::UnknownKid, 503));
        assert!(refused.retry_after_secs().is_some());
    }
    let no_kid = issuer.mint(Mint::new().without_header("kid"));
    assert!(engine.at_once(&no_kid).is_ok(), "one key fits, and it is there");
    assert!(engine.at_once(&token(&issuer)).is_ok());

    issuer.set_fault(None);
    engine.clock.advance(Duration::from_secs(5));
    assert_eq!(engine.auth.refresh("a").await, Some(true));
    let refused = engine.auth.verify(&with_kid(&issuer, "w")).await.unwrap_err();
    assert_eq!(refused.fault().status(), 401);
}

#[tokio::test]
async fn a_token_that_could_not_be_accepted_anyway_costs_no_fetch() {
    let issuer = issuer().await;
    let engine = Engine::loaded(config("a", &issuer)).await;
    let before = issuer.jwks_requests();
    let hopeless = [
        Mint::new().expires_in(-60),
        Mint::new().claim("aud", "elsewhere"),
        Mint::new().claim("iss", "elsewhere"),
        Mint::new().claim("nbf", 4_000_000_000_u64),
        Mint::new().header("typ", "dpop+jwt"),
    ];
    let count = hopeless.len();
    for (n, mint) in hopeless.into_iter().enumerate() {
        let refused = engine.at_once(&issuer.mint(mint.header("kid", format!("x{n}")))).unwrap_err();
        assert_eq!(refused.fault().status(), 401);
    }
    let long = engine.at_once(&with_kid(&issuer, &"k".repeat(5000))).unwrap_err();
    assert_eq!(long.reason(), Reason::UnknownKid);
    assert_eq!(issuer.jwks_requests(), before);
    // All but the one of another type, which is judged before the key, and the long kid.
    assert_eq!(engine.seen.suppressed(Suppressed::Screened), count);
    issuer.set_fault(Some(Misbehaviour::status(500)));
    assert_eq!(engine.auth.refresh("a").await, Some(false));
    let expired = issuer.mint(Mint::new().expires_in(-60).header("kid", "y"));
    assert_eq!(engine.at_once(&expired).unwrap_err().fault().status(), 503, "nobody can tell what the key would be");
}

#[tokio::test]
async fn a_key_published_late_works_as_soon_as_it_is_listed() {
    let issuer = issuer().await;
    let engine = Engine::loaded(config("a", &issuer)).await;
    let kid = issuer.rotate(Rotate { publish: Publish::Withheld, ..Rotate::default() });
    assert_eq!(engine.reason(&token(&issuer)).await, Some(Reason::UnknownKid));
    let fetches = issuer.jwks_requests();
    assert_eq!(engine.reason(&token(&issuer)).await, Some(Reason::UnknownKid));
    assert_eq!(issuer.jwks_requests(), fetches, "just asked for");
    issuer.publish(&kid);
    engine.clock.advance(Duration::from_secs(3));
    assert!(engine.auth.verify(&token(&issuer)).await.is_ok());
}

/// As an attacker writes it: a good token's content under an invented kid.
fn invented(good: &str, n: u64) -> String {
    let encode = |text: &str| base64_simd::URL_SAFE_NO_PAD.encode_to_string(text);
    let (_, rest) = good.split_once('.').unwrap();
    format!("{}.{rest}", encode(&format!(r#"{{"alg":"ES256","typ":"JWT","kid":"{n}"}}"#)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_invented_kids_costs_a_handful_of_fetches_and_nobody_else_anything() {
    const FLOOD: u64 = 100_000;
    const ATTACKERS: u64 = 2000;
    let issuer = issuer().await;
    let mut config = config("a", &issuer);
    config.cache.max_wait = Duration::from_secs(1);
    let engine = Engine::loaded(config).await;
    let (good, before, since) = (token(&issuer), issuer.jwks_requests(), Instant::now());
    let over = Arc::new(AtomicBool::new(false));
    let honest = {
        let (auth, over) = (engine.auth.clone(), over.clone());
        let tokens: Vec<_> = (0..64).map(|_| token(&issuer)).collect();
        tokio::spawn(async move {
            let mut served = 0_u64;
            while !over.load(Ordering::SeqCst) {
                for token in &tokens {
                    assert!(matches!(auth.try_verify(PolicyId::DEFAULT, token), Attempt::Done(Ok(_))));
                    served += 1;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            served
        })
    };
    let attackers: Vec<_> = (0..ATTACKERS)
        .map(|attacker| {
            let (auth, good) = (engine.auth.clone(), good.clone());
            tokio::spawn(async move {
                let mut longest = Duration::ZERO;
                for n in 0..FLOOD / ATTACKERS {
                    let asked = Instant::now();
                    let refused = auth.verify(&invented(&good, attacker * FLOOD + n)).await.unwrap_err();
                    assert_eq!(refused.reason(), Reason::UnknownKid);
                    longest = longest.max(asked.elapsed());
                }
                longest
            })
        })
        .collect();
    let mut longest = Duration::ZERO;
    for attacker in attackers {
        longest = longest.max(attacker.await.unwrap());
    }
    over.store(true, Ordering::SeqCst);
    let (elapsed, fetches) = (since.elapsed(), issuer.jwks_requests() - before);
    println!(
        "{FLOOD} kids in {elapsed:?}: {fetches} fetches, longest wait {longest:?}, served {}",
        honest.await.unwrap()
    );
    assert!(fetches <= 4 + elapsed.as_secs() + 1, "{fetches} in {elapsed:?}");
    assert!(longest < Duration::from_secs(3), "waiting is bounded: {longest:?}");
    // A rotation in the middle of it works within a few seconds.
    issuer.rotate(Rotate::default());
    let new = token(&issuer);
    let deadline = Instant::now() + Duration::from_secs(5);
    while engine.auth.verify(&new).await.is_err() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_pending_key_is_waited_for_in_its_own_engine_whatever_becomes_of_the_handle() {
    let issuer = issuer().await;
    let engine = Engine::loaded(config("a", &issuer)).await;
    issuer.rotate(Rotate::default());
    let new = token(&issuer);
    let Attempt::Pending(pending) = engine.auth.try_verify(PolicyId::DEFAULT, &new) else { panic!("known?") };
    drop(engine);
    assert!(pending.resolve(&new).await.is_ok());
}
