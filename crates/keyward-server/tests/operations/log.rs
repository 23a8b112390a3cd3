use keyward_issuer::Mint;
use serde_json::{Value, json};

use crate::support::{Client, Setup, TestIssuer, assert_fields, secrets};

#[tokio::test]
async fn every_line_is_an_event_with_its_fields() {
    let issuer = TestIssuer::start().await;
    let mut keyward = Setup::for_issuer(&issuer).start_ready().await;
    assert_fields(&keyward.started, &["version", "revision", "listen", "issuers", "data_dir"]);
    let token = issuer.mint(Mint::new().claim("aud", "other").claim("iss", "https://evil.example"));
    let request = keyward.client().request("GET", "/v1/me", Some(&token)).header("x-request-id", "one-2.3_x");
    let answer = Client::send(request).await;
    assert_eq!(answer.header("x-correlation-id"), Some("one-2.3_x"));
    let failed = keyward.log().first("jwt_validation_failed").await;
    assert_fields(
        &failed,
        &["reason", "kid", "alg", "correlation_id", "claimed_issuer", "claimed_audience", "held_back"],
    );
    let said = ["reason", "alg", "correlation_id", "claimed_issuer", "claimed_audience"]
        .map(|name| failed[name].as_str().unwrap());
    assert_eq!(said, ["wrong_issuer", "ES256", "one-2.3_x", "https://evil.example", "other"]);
    assert_eq!(failed["kid"], issuer.signing_kid());
    let request = keyward.log().first("http_request").await;
    assert_fields(&request, &["method", "route", "status", "duration_ms", "correlation_id", "auth"]);
    let expected = json!(["GET", "/v1/me", 401, "one-2.3_x", "wrong_issuer"]);
    assert_eq!(json!(["method", "route", "status", "correlation_id", "auth"].map(|name| &request[name])), expected);
    keyward.signal(rustix::process::Signal::TERM);
    keyward.process.ended().await;
    for event in keyward.log().events() {
        assert_fields(&event, &[]);
    }
}

#[tokio::test]
async fn an_id_that_cannot_be_kept_is_replaced() {
    let issuer = TestIssuer::start().await;
    let keyward = Setup::for_issuer(&issuer).start_ready().await;
    for bad in ["two words", "a\"b", &"a".repeat(129)] {
        let request = keyward.client().request("GET", "/v1/me", None).header("x-correlation-id", bad);
        let answer = Client::send(request).await;
        let id = answer.header("x-correlation-id").unwrap().to_owned();
        assert_eq!(uuid::Uuid::parse_str(&id).unwrap().get_version_num(), 7);
        assert_eq!(answer.json()["correlation_id"], id);
        for event in ["http_request", "jwt_validation_failed"] {
            keyward.log().wait_for(event, |event| event["correlation_id"] == id).await;
        }
    }
    keyward.stop().await;
}

#[tokio::test]
async fn refusals_are_limited_and_everything_is_summed_up() {
    let issuer = TestIssuer::start().await;
    let keyward = Setup::for_issuer(&issuer).start_ready().await;
    let (valid, expired) = (issuer.token(), issuer.mint(Mint::new().expires_in(-60)));
    for _ in 0..5 {
        keyward.verdict(&valid).await;
    }
    for _ in 0..300 {
        keyward.verdict(&expired).await;
    }
    keyward.get("/v1/me", None).await;
    let summary = keyward.log().first("jwt_validation_summary").await;
    assert_fields(&summary, &["valid", "invalid", "unavailable", "by_reason"]);
    let counts = |name: &str| -> u64 {
        keyward.log().named("jwt_validation_summary").iter().filter_map(|event| event.pointer(name)?.as_u64()).sum()
    };
    crate::support::eventually("all of it is summed up", async || (counts("/invalid") == 301).then_some(())).await;
    assert_eq!((counts("/valid"), counts("/unavailable")), (5, 0));
    assert_eq!((counts("/by_reason/expired"), counts("/by_reason/missing_token")), (300, 1));
    keyward.log().first("jwt_validation_failures_held_back").await;
    let of_expired =
        |events: Vec<Value>| events.into_iter().filter(|event| event["reason"] == "expired").collect::<Vec<_>>();
    let logged = of_expired(keyward.log().named("jwt_validation_failed"));
    let held_back = of_expired(keyward.log().named("jwt_validation_failures_held_back"));
    let held: u64 = logged.iter().chain(&held_back).filter_map(|event| event["held_back"].as_u64()).sum();
    assert_eq!(logged.len() as u64 + held, 300, "none is forgotten");
    assert!(logged.len() < 150, "{} lines", logged.len());
    keyward.stop().await;
}

#[tokio::test]
async fn tokens_and_secrets_are_in_no_line_even_of_the_most_verbose_log() {
    let issuer = TestIssuer::start().await;
    let (admin, secret) = ("an-operator-token-of-some-length", "a secret of at least thirty-two bytes");
    secrets::remember(admin);
    secrets::remember(secret);
    let setup = Setup::for_issuer(&issuer).set_all(&[
        ("KEYWARD_LOG", "trace"),
        ("KEYWARD_ADMIN_TOKEN", admin),
        ("SUPABASE_JWT_SECRET", secret),
    ]);
    let keyward = setup.start_ready().await;
    let http2 = Client::http2(keyward.url());
    let hs256 = issuer.mint(Mint { secret: Some(secret.to_owned()), ..Mint::new() });
    for token in [issuer.token(), hs256, issuer.mint(Mint::new().expires_in(-60)), issuer.token_of_unknown_key()] {
        keyward.verdict(&token).await;
        http2.verdict(&token).await;
        keyward.post("/v1/jobs", &token, &json!({"kind": "echo", "payload": 1})).await;
    }
    assert!(keyward.log().all().len() > 20, "the log is verbose");
    // Ending it looks through all that was written.
    keyward.stop().await;
}
