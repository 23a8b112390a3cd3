use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyward::jwks::{Event, FailureKind, RefreshOutcome};
use keyward::{FetchOptions, IssuerConfig, KeySetError, KeySource};
use keyward_issuer::{Issuer, Rotate};

use crate::server::{Reply, Server};
use crate::setup::{Engine, config, eventually, from, issuer, token};

/// What the metadata route answers: a body, or nothing at all.
type Metadata = Arc<Mutex<Option<String>>>;

async fn metadata_server() -> (Server, Metadata) {
    let metadata = Metadata::default();
    let answer = metadata.clone();
    let server = Server::start(move |head| {
        assert!(head.starts_with("GET /tenant/.well-known/openid-configuration HTTP/1.1\r\n"), "{head}");
        match &*answer.lock().unwrap() {
            Some(body) if body == "hang" => Reply::Hang,
            Some(body) => Reply::json(body),
            None => Reply::with(500, &[], "fault on demand"),
        }
    })
    .await;
    (server, metadata)
}

fn document(issuer: &str, jwks_uri: &str) -> Option<String> {
    Some(serde_json::json!({"issuer": issuer, "jwks_uri": jwks_uri, "more": [1]}).to_string())
}

/// Tokens of `keys`, keys by way of the metadata.
fn discovering(server: &Server, keys: &Issuer) -> IssuerConfig {
    from("a", &keys.issuer(), KeySource::Discovery(server.url("/tenant")))
}

#[tokio::test]
async fn the_issuer_of_the_metadata_must_be_exactly_the_one_that_was_asked() {
    let keys = issuer().await;
    let (server, metadata) = metadata_server().await;
    let asked = server.url("/tenant");
    let fetch = async |issuer: &str| {
        let source = KeySource::Discovery(issuer.to_owned());
        keyward::fetch_key_set(&source, &FetchOptions::default(), Duration::from_secs(2)).await
    };
    *metadata.lock().unwrap() = document(&asked, &keys.jwks_url());
    assert_eq!(fetch(&asked).await.unwrap().kids(), keys.kids());
    assert!(fetch(&format!("{asked}/")).await.is_err(), "with a slash it is another issuer");
    let port = server.port.to_string();
    for other in [format!("{asked}/"), asked.to_uppercase(), asked.replace(&port, "1"), String::new()] {
        *metadata.lock().unwrap() = document(&other, &keys.jwks_url());
        let Err(KeySetError::Fetch(error)) = fetch(&asked).await else { panic!("accepted {other:?}") };
        assert_eq!(error.kind, FailureKind::Parse);
        assert!(error.message.contains("another issuer"), "{error}");
    }
    *metadata.lock().unwrap() = document(&format!("{asked}/"), &keys.jwks_url());
    assert_eq!(fetch(&format!("{asked}/")).await.unwrap().kids(), keys.kids());
}

#[tokio::test]
async fn metadata_that_cannot_be_used_says_so_without_quoting_it() {
    let (server, metadata) = metadata_server().await;
    let asked = server.url("/tenant");
    let cases = [
        (Some("<html>fault on demand".to_owned()), FailureKind::Parse),
        (Some(r#"{"issuer":"fault on demand"}"#.to_owned()), FailureKind::Parse),
        (document(&asked, "http://10.0.0.1/fault on demand"), FailureKind::Parse),
        (document(&asked, "fault on demand"), FailureKind::Parse),
        (document(&asked, "https://user:secret@a.example/"), FailureKind::Parse),
        (None, FailureKind::Status),
        (Some("hang".to_owned()), FailureKind::Timeout),
    ];
    for (body, kind) in cases {
        *metadata.lock().unwrap() = body.clone();
        let source = KeySource::Discovery(asked.clone());
        let fetched = keyward::fetch_key_set(&source, &FetchOptions::default(), Duration::from_millis(500)).await;
        let Err(KeySetError::Fetch(error)) = fetched else { panic!("{body:?}: {fetched:?}") };
        assert_eq!(error.kind, kind, "{body:?}: {error}");
        assert!(!error.message.contains("fault on demand"), "{error}");
    }
}

#[tokio::test]
async fn a_set_that_moves_is_followed() {
    let keys = issuer().await;
    let (server, metadata) = metadata_server().await;
    let (before, after) = (Server::start(|_| Reply::with(500, &[], "")).await, &keys);
    *metadata.lock().unwrap() = document(&server.url("/tenant"), &before.url("/old"));
    let engine = Engine::build(|builder| builder.issuer(discovering(&server, &keys)));
    eventually("the old place is asked", || !before.requests().is_empty()).await;
    *metadata.lock().unwrap() = document(&server.url("/tenant"), &after.jwks_url());
    engine.ready().await;
    assert!(engine.auth.verify(&token(&keys)).await.is_ok());
}

#[tokio::test]
async fn keys_are_found_where_they_were_while_the_metadata_is_down_or_hangs() {
    let keys = issuer().await;
    let (server, metadata) = metadata_server().await;
    *metadata.lock().unwrap() = document(&server.url("/tenant"), &keys.jwks_url());
    let engine = Engine::loaded(discovering(&server, &keys)).await;
    let asked = server.url("/tenant");
    let moved_to_nowhere = document(&asked, "http://login.example/");
    for (down, told) in [
        (None, "status 500"),
        (Some("hang".to_owned()), "no complete answer within"),
        (document("another", "http://127.0.0.1:9/"), "another issuer"),
        (moved_to_nowhere, "unusable jwks_uri"),
    ] {
        *metadata.lock().unwrap() = down.clone();
        let kid = keys.rotate(Rotate::default());
        assert_eq!(engine.auth.refresh("a").await, Some(true), "{down:?}");
        assert!(engine.auth.status()[0].snapshot.keys().has_kid(&kid), "{down:?}");
        let failures = engine.seen.discovery_failures();
        assert!(failures.last().is_some_and(|failure| failure.contains(told)), "not silently: {failures:?}");
    }
    let before = engine.seen.discovery_failures().len();
    *metadata.lock().unwrap() = document(&asked, &keys.jwks_url());
    engine.clock.advance(Duration::from_secs(10));
    assert_eq!(engine.auth.refresh("a").await, Some(true));
    assert_eq!(engine.seen.discovery_failures().len(), before, "all is well again");
}

#[tokio::test]
async fn the_real_metadata_route_leads_to_the_keys() {
    let keys = issuer().await;
    let mut config = config("a", &keys);
    config.keys = KeySource::Discovery(keys.issuer());
    let engine = Engine::loaded(config).await;
    assert!(engine.auth.verify(&token(&keys)).await.is_ok());
}

#[tokio::test]
async fn an_etag_means_something_only_where_it_came_from() {
    let place = async |kid: &'static str| {
        Server::start(move |head| {
            if head.to_ascii_lowercase().contains("if-none-match: \"1\"") {
                return Reply::with(304, &[("etag", "\"1\"")], "");
            }
            let set = format!(
                r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"{kid}"}}]}}"#
            );
            Reply::with(200, &[("etag", "\"1\"")], &set)
        })
        .await
    };
    let (old, new) = (place("old").await, place("new").await);
    let (server, metadata) = metadata_server().await;
    let asked = server.url("/tenant");
    *metadata.lock().unwrap() = document(&asked, &old.url("/jwks"));
    let engine = Engine::loaded(from("a", "iss", KeySource::Discovery(asked.clone()))).await;
    let not_modified = || {
        let told = |event: &Event| matches!(event, Event::Refreshed { outcome: RefreshOutcome::NotModified, .. });
        engine.seen.count(told)
    };
    assert_eq!((engine.auth.refresh("a").await, not_modified()), (Some(true), 1), "it is used there");
    *metadata.lock().unwrap() = document(&asked, &new.url("/jwks"));
    assert_eq!((engine.auth.refresh("a").await, not_modified()), (Some(true), 1));
    assert_eq!(engine.auth.status()[0].snapshot.keys().kids(), ["new"]);
    assert_eq!((engine.auth.refresh("a").await, not_modified()), (Some(true), 2));
}
