//! The issuer goes away, in all the ways in which identity providers do, and valid tokens go on working.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use keyward_issuer::{Fault, FaultMode};
use support::log::unix_seconds;
use support::{Keyward, Setup, TestIssuer, Traffic, assert_fields, eventually, within};

const CLIENTS: usize = 4;
const UNAVAILABLE: &str = "503 keys_unavailable";

#[derive(Clone, Copy, PartialEq)]
enum Outage {
    /// Connections are refused.
    Gone,
    /// Connections are accepted, and nothing is ever answered.
    Hangs,
}

impl Outage {
    async fn begin(self, issuer: &mut TestIssuer) {
        match self {
            Self::Gone => issuer.stop().await,
            Self::Hangs => issuer.set_fault(Some(Fault::new(FaultMode::Hang))),
        }
    }

    async fn end(self, issuer: &mut TestIssuer) {
        match self {
            Self::Gone => issuer.start_again().await,
            Self::Hangs => issuer.set_fault(None),
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Gone => "connect",
            Self::Hangs => "timeout",
        }
    }
}

fn short_ages(issuer: &TestIssuer) -> Setup {
    Setup::for_issuer(issuer).set_all(&[
        ("JWKS_CACHE_TTL_SECONDS", "1"),
        ("JWKS_STALE_TTL_SECONDS", "10"),
        ("JWKS_REFRESH_TIMEOUT_SECONDS", "0.5"),
        ("JWKS_REFRESH_RETRIES", "1"),
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuer_that_is_gone_costs_no_valid_token() {
    outlive(Outage::Gone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuer_that_hangs_costs_no_valid_token() {
    outlive(Outage::Hangs).await;
}

/// The whole story: outage, a crash in the middle of it, the stale deadline, and the return.
async fn outlive(outage: Outage) {
    let mut issuer = TestIssuer::start().await;
    let tokens = issuer.tokens(200);
    let setup = short_ages(&issuer);

    let first = setup.start_ready().await;
    let traffic = Traffic::start(&first, tokens.clone(), CLIENTS);
    traffic.flows(100).await;
    sees_refreshes(&first).await;

    outage.begin(&mut issuer).await;
    traffic.phase("issuer dead").await;
    sees_failures(&first, outage).await;
    let state = [("issuer", "supabase"), ("state", "stale")];
    eventually("the keys are stale", async || {
        (first.metrics().await.value("auth_jwks_cache_state", &state) == 1.0).then_some(())
    })
    .await;
    assert_eq!(first.get("/readyz", None).await.status, 200, "stale keys serve");
    traffic.flows(50).await;

    traffic.phase("keyward dead").await;
    let address = first.address.to_string();
    first.kill().await;
    let second = setup.set("KEYWARD_LISTEN", address).start().await;
    traffic.phase("restarted").await;
    sees_restored_keys(&second).await;
    traffic.flows(50).await;
    let fails_closed_at = second.metrics().await.value("auth_jwks_fail_closed_timestamp_seconds", &[]);

    traffic.phase("deadline").await;
    let expired = second.log().first("jwks_cache_expired").await;
    assert_fields(&expired, &["issuer", "cache_age_seconds"]);
    traffic.phase("expired").await;
    traffic.flows(CLIENTS as u64).await;
    is_unavailable(&second, &tokens[0]).await;
    let refused = second.log().first("jwt_validation_failed").await;
    let at = unix_seconds(refused["timestamp"].as_str().unwrap()).unwrap();
    // Both are cut to milliseconds.
    assert!(at >= fails_closed_at - 0.002, "refused {} s before the deadline: {refused}", fails_closed_at - at);

    traffic.phase("return").await;
    outage.end(&mut issuer).await;
    within(Duration::from_secs(3), "service resumes", async || {
        (second.verdict(&tokens[0]).await.0 == 200).then_some(())
    })
    .await;
    traffic.phase("back").await;
    traffic.flows(50).await;
    assert_eq!(second.get("/readyz", None).await.status, 200);

    let tally = traffic.stop().await;
    for phase in ["start", "issuer dead", "restarted", "back"] {
        tally.only(phase, "200");
    }
    tally.among("keyward dead", &["200", "no answer"]);
    tally.among("deadline", &["200", UNAVAILABLE]);
    tally.only("expired", UNAVAILABLE);
    tally.among("return", &["200", UNAVAILABLE]);
    metrics_agree(&second, outage).await;
    second.stop().await;
}

async fn sees_refreshes(keyward: &Keyward) {
    let refreshed = keyward.log().wait_for("jwks_refreshed", |event| event["trigger"] == "scheduled").await;
    assert_fields(&refreshed, &["issuer", "key_count", "kids", "trigger", "duration_ms"]);
    assert_eq!((&refreshed["issuer"], &refreshed["key_count"]), (&"supabase".into(), &1.into()));
    assert_eq!(keyward.log().first("jwks_refreshed").await["trigger"], "startup");
}

async fn sees_failures(keyward: &Keyward, outage: Outage) {
    let failed = keyward.log().wait_for("jwks_refresh_failed", |event| event["attempt"] == 2).await;
    let fields = ["issuer", "kind", "error", "attempt", "retry_in_ms", "keys_cached", "cache_age_seconds"];
    assert_fields(&failed, &fields);
    assert_eq!((&failed["kind"], &failed["keys_cached"]), (&outage.kind().into(), &1.into()));
    let fallback = keyward.log().first("jwks_cache_fallback").await;
    assert_fields(&fallback, &["issuer", "keys_cached", "cache_age_seconds", "fails_closed_in_seconds"]);
    assert!((1..=10).contains(&fallback["fails_closed_in_seconds"].as_u64().unwrap()), "{fallback}");
}

async fn sees_restored_keys(keyward: &Keyward) {
    let restored = keyward.log().first("jwks_cache_restored").await;
    assert_fields(&restored, &["issuer", "keys_cached", "kids", "cache_age_seconds"]);
    assert_eq!(restored["keys_cached"], 1);
    let ready = keyward.get("/readyz", None).await;
    assert_eq!(ready.status, 200);
    assert_eq!(ready.json()["issuers"][0]["last_refresh_succeeded"], false);
}

async fn is_unavailable(keyward: &Keyward, token: &str) {
    let answer = keyward.get("/v1/me", Some(token)).await;
    assert_eq!(answer.verdict(), (503, "keys_unavailable".to_owned()));
    let retry_after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&retry_after), "{answer:?}");
    assert_eq!(answer.header("www-authenticate"), None, "another token would not help");
    let ready = keyward.get("/readyz", None).await;
    assert_eq!((ready.status, ready.json()["ready"].as_bool()), (503, Some(false)));
    assert_eq!(ready.json()["issuers"][0]["state"], "expired");
    assert_eq!(keyward.get("/healthz", None).await.status, 200, "the process is well");
}

async fn metrics_agree(keyward: &Keyward, outage: Outage) {
    let page = keyward.metrics().await;
    let issuer = ("issuer", "supabase");
    for (outcome, status) in [("valid", "200"), ("unavailable", "503")] {
        let verified = page.value("auth_jwt_validations_total", &[issuer, ("outcome", outcome)]);
        let answered = page.sum("http_requests_total", &[("route", "/v1/me"), ("status", status)]);
        assert!(verified > 0.0 && verified == answered, "{outcome}: {verified} verified, {answered} answered");
    }
    let unavailable = page.value("auth_jwt_validations_total", &[issuer, ("outcome", "unavailable")]);
    assert_eq!(page.value("auth_jwt_invalid_total", &[("reason", "keys_unavailable")]), unavailable);
    assert_eq!(page.sum("auth_jwt_invalid_total", &[]), unavailable, "no other reason");
    assert!(page.value("auth_jwks_refresh_failures_total", &[issuer, ("kind", outage.kind())]) > 1.0);
    assert!(page.sum("auth_jwks_refreshes_total", &[issuer, ("outcome", "failure")]) > 0.0);
    assert!(page.sum("auth_jwks_refreshes_total", &[issuer, ("outcome", "success")]) > 0.0);
    assert_eq!(page.value("auth_jwks_cache_ttl_seconds", &[issuer]), 1.0);
    assert_eq!(page.value("auth_jwks_stale_ttl_seconds", &[issuer]), 10.0);
    let last_success = page.value("auth_jwks_last_success_timestamp_seconds", &[issuer]);
    let fail_closed = page.value("auth_jwks_fail_closed_timestamp_seconds", &[issuer]);
    assert!((fail_closed - last_success - 10.0).abs() < 0.1, "{fail_closed} {last_success}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_of_a_broken_issuer_costs_a_valid_token() {
    let issuer = TestIssuer::start().await;
    let keyward = short_ages(&issuer).start_ready().await;
    let traffic = Traffic::start(&keyward, issuer.tokens(50), CLIENTS);
    let faults = [
        (Fault::status(503), "status"),
        (Fault::status(404), "status"),
        (Fault::new(FaultMode::Redirect), "status"),
        (Fault::new(FaultMode::Garbage), "parse"),
        (Fault::new(FaultMode::Html), "parse"),
        (Fault::new(FaultMode::Truncate), "body"),
        (Fault { bytes: Some(2 << 20), ..Fault::new(FaultMode::Huge) }, "body"),
        (Fault { bytes: Some(64 << 20), gzip: true, ..Fault::new(FaultMode::Huge) }, "body"),
        (Fault::new(FaultMode::Reset), "connect"),
        (Fault { drip: true, ..Fault::new(FaultMode::Slow) }, "timeout"),
        (Fault::new(FaultMode::Empty), "empty"),
    ];
    for (fault, kind) in faults {
        let described = format!("{fault:?}");
        let failures = keyward.log().named("jwks_refresh_failed").len();
        let refreshes = keyward.log().named("jwks_refreshed").len();
        issuer.set_fault(Some(fault));
        let failed = eventually(&described, async || keyward.log().named("jwks_refresh_failed").get(failures).cloned());
        assert_eq!(failed.await["kind"], kind, "{described}");
        issuer.set_fault(None);
        eventually("it recovers", async || (keyward.log().named("jwks_refreshed").len() > refreshes).then_some(()))
            .await;
    }
    traffic.flows(20).await;
    traffic.stop().await.only("start", "200");
    keyward.stop().await;
}

#[tokio::test]
async fn a_start_without_any_keys_is_not_ready_until_the_issuer_is_there() {
    let mut issuer = TestIssuer::start().await;
    let token = issuer.token();
    let setup = short_ages(&issuer);
    issuer.stop().await;
    let keyward = setup.start().await;
    let ready = keyward.get("/readyz", None).await;
    assert_eq!((ready.status, ready.json()["issuers"][0]["state"].as_str()), (503, Some("empty")));
    let answer = keyward.get("/v1/me", Some(&token)).await;
    assert_eq!(answer.verdict(), (503, "keys_unavailable".to_owned()));
    assert!(answer.header("retry-after").is_some());
    issuer.start_again().await;
    keyward.ready().await;
    assert_eq!(keyward.verdict(&token).await.0, 200);
    keyward.stop().await;
}
