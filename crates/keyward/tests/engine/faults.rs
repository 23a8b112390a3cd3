use std::time::Duration;

use keyward::jwks::FailureKind;
use keyward::{FetchOptions, KeySource};
use keyward_issuer::{Fault, FaultMode};
use serde_json::{Value, json};

use crate::server::{Reply, Server};
use crate::setup::{Engine, config, eventually, from, issuer, token};

const SHORT: Duration = Duration::from_millis(400);

/// Everything that the key-set route can do to us.
fn faults() -> Vec<(&'static str, Fault, FailureKind)> {
    let slow_drip = Fault { drip: true, ..Fault::new(FaultMode::Slow).delay_ms(50) };
    let bomb = Fault { gzip: true, ..Fault::new(FaultMode::Huge) };
    let raw = |text: &str| Fault { raw: Some(text.to_owned()), ..Fault::new(FaultMode::Body) };
    let oct = json!({"kty": "oct", "kid": "leaked-kid", "k": "bGVha2VkLXNlY3JldC1sZWFrZWQtc2VjcmV0LWxlYWtlZA"});
    vec![
        ("404", Fault::status(404), FailureKind::Status),
        ("429", Fault { retry_after: Some(20.into()), ..Fault::status(429) }, FailureKind::Status),
        ("500", Fault::status(500), FailureKind::Status),
        ("204", Fault::status(204), FailureKind::Status),
        ("304 unasked", Fault::status(304), FailureKind::Status),
        ("hang", Fault::new(FaultMode::Hang), FailureKind::Timeout),
        ("slow", Fault::new(FaultMode::Slow).delay_ms(5000), FailureKind::Timeout),
        ("drip", slow_drip, FailureKind::Timeout),
        ("reset", Fault::new(FaultMode::Reset), FailureKind::Connect),
        ("garbage", Fault::new(FaultMode::Garbage), FailureKind::Parse),
        ("html", Fault::new(FaultMode::Html), FailureKind::Parse),
        ("array", raw("[]"), FailureKind::Parse),
        ("no keys member", raw(r#"{"message":"fault on demand"}"#), FailureKind::Parse),
        ("keys no array", raw(r#"{"keys":"fault on demand"}"#), FailureKind::Parse),
        ("empty body", raw(""), FailureKind::Parse),
        ("truncate", Fault::new(FaultMode::Truncate), FailureKind::Body),
        ("huge", Fault::new(FaultMode::Huge), FailureKind::Body),
        ("gzip bomb", bomb, FailureKind::Body),
        ("empty", Fault::new(FaultMode::Empty), FailureKind::Empty),
        ("only a shared secret", Fault::only_keys(vec![oct]), FailureKind::Empty),
        ("not objects", Fault::only_keys(vec![json!("fault on demand"), json!(7)]), FailureKind::Empty),
        ("loop", Fault::new(FaultMode::Redirect), FailureKind::Status),
        ("to another host", Fault::redirect("https://evil.example/jwks?fault on demand"), FailureKind::Status),
        ("to https here", Fault::redirect("https://127.0.0.1:9/jwks"), FailureKind::Status),
        ("to another port", Fault::redirect("http://127.0.0.1:9/jwks"), FailureKind::Status),
        (
            "to nowhere",
            Fault { location: Some("http://[".to_owned()), ..Fault::new(FaultMode::Redirect) },
            FailureKind::Status,
        ),
    ]
}

/// What must appear in no message: the answers' bytes, the URL's query, key material.
const NEVER: [&str; 9] =
    ["fault on demand", "garbage]", "Sign in", "Welcome", "query-secret", "bGVha2Vk", "leaked-kid", "evil", "\u{fffd}"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_has_its_kind_keys_keep_serving_and_messages_tell_nothing() {
    let issuer = issuer().await;
    let mut config = config("a", &issuer);
    config.keys = KeySource::Url(format!("{}?apikey=query-secret", issuer.jwks_url()));
    config.cache.refresh_timeout = SHORT;
    let engine = Engine::loaded(config).await;
    for (name, fault, kind) in faults() {
        engine.clock.advance(Duration::from_secs(10));
        engine.seen.clear();
        issuer.set_fault(Some(fault));
        assert_eq!(engine.auth.refresh("a").await, Some(false), "{name}");
        let failures = engine.seen.failures();
        assert_eq!(failures.iter().map(|(kind, ..)| *kind).collect::<Vec<_>>(), [kind], "{name}: {failures:?}");
        for never in NEVER {
            assert!(!failures[0].1.contains(never), "{name}: {}", failures[0].1);
        }
        if name == "429" {
            assert!(failures[0].2 >= Duration::from_secs(20), "Retry-After is honoured: {:?}", failures[0].2);
        }
        assert!(engine.at_once(&token(&issuer)).is_ok(), "{name}: cached keys serve");
        issuer.set_fault(None);
        engine.clock.advance(Duration::from_secs(10));
        assert_eq!(engine.auth.refresh("a").await, Some(true), "{name}: and it recovers");
    }
}

#[tokio::test]
async fn one_broken_key_spoils_no_other() {
    let issuer = issuer().await;
    let broken: Vec<Value> = vec![
        json!({"kty": "EC", "crv": "P-256", "kid": "broken", "x": "AA", "y": "AA"}),
        json!({"kty": "AKP", "alg": "ML-DSA-44", "kid": "new", "pub": "AAAA"}),
        json!({"kty": "oct", "kid": "leak", "k": "AAAA"}),
        json!(null),
    ];
    issuer.set_fault(Some(Fault::extra_keys(broken)));
    let engine = Engine::loaded(config("a", &issuer)).await;
    assert!(engine.auth.verify(&token(&issuer)).await.is_ok());
    let status = &engine.auth.status()[0];
    assert_eq!((status.snapshot.keys().keys().len(), status.snapshot.keys().unusable().len()), (1, 4));
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_a_failure_to_connect() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let keys = KeySource::Url(format!("http://127.0.0.1:{port}/jwks?apikey=query-secret"));
    let engine = Engine::build(|builder| builder.issuer(from("a", "iss", keys)));
    eventually("an attempt", || !engine.seen.failures().is_empty()).await;
    let (kind, error, _) = engine.seen.failures().remove(0);
    assert_eq!(kind, FailureKind::Connect, "{error}");
    assert!(!error.contains("query-secret"), "{error}");
}

async fn bytes_sent_until_given_up(head: &str, chunk: Vec<u8>, pause: Duration) -> u64 {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{head}\r\n");
    let server = Server::start(move |_| Reply::Endless { head: head.clone(), chunk: chunk.clone(), pause }).await;
    let mut config = from("a", "iss", KeySource::Url(server.url("/")));
    config.cache.refresh_timeout = Duration::from_secs(10);
    let engine = Engine::build(|builder| builder.issuer(config));
    eventually("the answer is given up", || !engine.seen.failures().is_empty()).await;
    let (kind, error, _) = engine.seen.failures().remove(0);
    assert_eq!((kind, error.as_str()), (FailureKind::Body, "the answer is larger than 1 MiB"));
    server.sent()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_answer_is_given_up_after_a_mebibyte() {
    let sent = bytes_sent_until_given_up("", vec![b' '; 64 * 1024], Duration::from_millis(1)).await;
    // What lies in the system's buffers counts as sent.
    assert!((1 << 20..12 << 20).contains(&sent), "{sent}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compression_bomb_is_given_up_by_what_comes_out_of_it() {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![b' '; 64 << 20]).unwrap();
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 128 * 1024);
    let sent = bytes_sent_until_given_up("content-encoding: gzip\r\n", bomb, Duration::from_millis(20)).await;
    assert!(sent < 4 << 20, "{sent}");
}

#[tokio::test]
async fn a_redirect_within_the_origin_is_followed() {
    let issuer = issuer().await;
    issuer.set_fault(Some(Fault::redirect("/auth/v1/.well-known/jwks.json?again").times(3)));
    let engine = Engine::loaded(config("a", &issuer)).await;
    assert!(engine.auth.verify(&token(&issuer)).await.is_ok());
    assert_eq!(issuer.jwks_requests(), 4);
}

#[tokio::test]
async fn keys_are_asked_for_with_the_tag_they_came_with() {
    let issuer = issuer().await;
    issuer.set_jwks_options(keyward_issuer::JwksOptions { etag: true, max_age_seconds: Some(600) });
    let engine = Engine::loaded(config("a", &issuer)).await;
    assert_eq!(engine.auth.refresh("a").await, Some(true));
    let unchanged = |event: &_| {
        use keyward::jwks::{Event, RefreshOutcome};
        matches!(event, Event::Refreshed { outcome: RefreshOutcome::NotModified, .. })
    };
    assert_eq!(engine.seen.count(unchanged), 1);
    issuer.rotate(keyward_issuer::Rotate::default());
    assert!(engine.auth.verify(&token(&issuer)).await.is_ok());
    assert_eq!(engine.seen.count(unchanged), 1);
}

#[tokio::test]
async fn a_key_set_is_fetched_once_for_whoever_wants_to_look_at_it() {
    let issuer = issuer().await;
    let source = KeySource::Url(issuer.jwks_url());
    let set = keyward::fetch_key_set(&source, &FetchOptions::default(), SHORT).await.unwrap();
    assert_eq!(set.kids(), issuer.kids());
    issuer.set_fault(Some(Fault::new(FaultMode::Hang)));
    let error = keyward::fetch_key_set(&source, &FetchOptions::default(), SHORT).await.unwrap_err();
    assert_eq!(error.to_string(), "no complete answer within 0.4 s");
}
