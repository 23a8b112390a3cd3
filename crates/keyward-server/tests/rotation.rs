//! Keys are rotated and withdrawn under traffic.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use futures_util::future::join_all;
use keyward_issuer::{Mint, Publish, Rotate};
use rustix::process::Signal;
use support::{Setup, TestIssuer, Traffic, assert_fields, eventually, within};

const CLIENTS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_under_traffic_refuses_nobody_until_the_old_key_is_withdrawn() {
    let issuer = TestIssuer::start().await;
    let setup = Setup::for_issuer(&issuer).set("JWKS_CACHE_TTL_SECONDS", "2");
    let keyward = setup.start_ready().await;
    let old_kid = issuer.signing_kid();
    let old = issuer.tokens(100);
    let traffic = Traffic::start(&keyward, old.clone(), CLIENTS);
    traffic.flows(100).await;

    let new_kid = issuer.rotate_now();
    let new = issuer.tokens(100);
    traffic.use_tokens([&old[..], &new[..]].concat());
    traffic.phase("both keys").await;
    let added = keyward.log().first("jwks_keys_changed").await;
    assert_fields(&added, &["issuer", "added", "removed", "replaced"]);
    assert_eq!(added["added"], serde_json::json!([new_kid]));
    assert_eq!((added["removed"].to_string(), added["replaced"].to_string()), ("[]".into(), "[]".into()));
    traffic.flows(400).await;

    assert!(issuer.withdraw(&old_kid));
    traffic.use_tokens(new);
    traffic.phase("old key withdrawn").await;
    let removed = keyward.log().wait_for("jwks_keys_changed", |event| event["removed"] != serde_json::json!([])).await;
    assert_eq!(removed["removed"], serde_json::json!([old_kid]));
    for token in &old {
        assert_eq!(keyward.verdict(token).await, (401, "unknown_kid".to_owned()), "cached ones too");
    }
    traffic.flows(100).await;

    let tally = traffic.stop().await;
    for phase in ["start", "both keys", "old key withdrawn"] {
        tally.only(phase, "200");
    }
    let page = keyward.metrics().await;
    assert_eq!(page.sum("auth_jwt_invalid_total", &[]), 100.0, "the old tokens and no other");
    let hits = page.value("auth_token_cache_requests_total", &[("result", "hit")]);
    assert!(hits > 100.0, "tokens were cached: {hits}");
    keyward.stop().await;
}

#[tokio::test]
async fn a_new_key_works_at_its_first_use_however_many_use_it_first() {
    let issuer = TestIssuer::start().await;
    let keyward = Setup::for_issuer(&issuer).start_ready().await;
    let fetches = issuer.jwks_requests();
    issuer.rotate_now();
    let tokens = issuer.tokens(100);
    let verdicts = join_all(tokens.iter().map(|token| keyward.verdict(token))).await;
    assert!(verdicts.iter().all(|(status, _)| *status == 200), "{verdicts:?}");
    let fetches = issuer.jwks_requests() - fetches;
    assert!((1..=2).contains(&fetches), "{fetches} fetches for one new key");
    let page = keyward.metrics().await;
    let labels = [("issuer", "supabase"), ("outcome", "success"), ("trigger", "unknown_kid")];
    assert_eq!(page.value("auth_jwks_refreshes_total", &labels), fetches as f64);
    keyward.stop().await;
}

#[tokio::test]
async fn a_new_key_works_at_its_first_use_when_others_have_spent_the_budget() {
    let issuer = TestIssuer::start().await;
    let keyward = Setup::for_issuer(&issuer).start_ready().await;
    for _ in 0..5 {
        let token = issuer.token_of_unknown_key();
        assert_eq!(keyward.verdict(&token).await, (401, "unknown_kid".to_owned()));
    }
    issuer.rotate_now();
    assert_eq!(keyward.verdict(&issuer.token()).await.0, 200);
    keyward.stop().await;
}

#[tokio::test]
async fn a_key_that_is_published_late_works_soon_after() {
    let issuer = TestIssuer::start().await;
    let keyward = Setup::for_issuer(&issuer).start_ready().await;
    let kid = issuer.rotate(Rotate { publish: Publish::Withheld, ..Rotate::default() });
    let token = issuer.token();
    assert_eq!(keyward.verdict(&token).await, (401, "unknown_kid".to_owned()), "nobody has seen the key yet");
    assert!(issuer.publish(&kid));
    // Remembered as unknown for 2 s, and no longer.
    within(Duration::from_secs(5), "the key is found", async || (keyward.verdict(&token).await.0 == 200).then_some(()))
        .await;
    keyward.stop().await;
}

#[tokio::test]
async fn an_emergency_rotation_is_followed_and_reported_loudly() {
    let issuer = TestIssuer::start().await;
    let keyward = Setup::for_issuer(&issuer).start_ready().await;
    let (compromised, old_kid) = (issuer.token(), issuer.signing_kid());
    assert_eq!(keyward.verdict(&compromised).await.0, 200);
    let new_kid = issuer.rotate(Rotate { keep_previous: false, ..Rotate::default() });
    keyward.signal(Signal::HUP);
    let changed = keyward.log().first("jwks_keys_changed").await;
    assert_eq!((changed["level"].as_str(), changed["disjoint"].as_bool()), (Some("warn"), Some(true)));
    assert_eq!(changed["added"], serde_json::json!([new_kid]));
    assert_eq!(changed["removed"], serde_json::json!([old_kid]));
    eventually("the key is gone", async || {
        (keyward.verdict(&compromised).await == (401, "unknown_kid".to_owned())).then_some(())
    })
    .await;
    assert_eq!(keyward.verdict(&issuer.token()).await.0, 200);
    let forged = issuer.mint(Mint::new().kid(old_kid));
    assert_eq!(keyward.verdict(&forged).await, (401, "unknown_kid".to_owned()), "a fresh token under the old key");
    keyward.stop().await;
}
