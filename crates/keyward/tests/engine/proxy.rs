//! The environment belongs to the whole process, so each of these tests has a process of its own.

use std::process::Command;
use std::time::Duration;

use keyward::jwks::FailureKind;
use keyward::{FetchOptions, KeySetError, KeySource};

use crate::server::{Reply, Server};

const SET: &str =
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"ed"}]}"#;
const URL: &str = "KEYWARD_TEST_URL";

/// What a process with this environment gets from `url`: kids, or the kind of failure.
async fn fetched_by_a_child(url: &str, environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "proxy::the_child", "--ignored", "--nocapture"]).env(URL, url);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.envs(environment.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let start = text.find("result=").unwrap_or_else(|| panic!("no result: {text}")) + "result=".len();
    text[start..].lines().next().unwrap().to_owned()
}

#[tokio::test]
#[ignore = "run by the other tests of this module"]
async fn the_child() {
    let source = KeySource::Url(std::env::var(URL).unwrap());
    let options = FetchOptions { allow_http: true, ..FetchOptions::default() };
    match keyward::fetch_key_set(&source, &options, Duration::from_secs(5)).await {
        Ok(set) => println!("result={}", set.kids().join(",")),
        Err(KeySetError::Fetch(error)) => println!("result={}", error.kind.as_str()),
        Err(error) => println!("result={error}"),
    }
}

#[tokio::test]
async fn a_proxy_is_asked_for_other_hosts() {
    let proxy = Server::start(|_| Reply::json(SET)).await;
    let address = proxy.url("");
    let kids = fetched_by_a_child("http://login.invalid/jwks", &[("HTTP_PROXY", &address)]).await;
    assert_eq!(kids, "ed");
    assert!(proxy.requests()[0].starts_with("GET http://login.invalid/jwks HTTP/1.1\r\n"), "{:?}", proxy.requests());
}

#[tokio::test]
async fn a_proxy_is_asked_for_a_tunnel_to_https() {
    let proxy = Server::start(|_| Reply::with(403, &[], "")).await;
    let address = proxy.url("");
    let kind = fetched_by_a_child("https://login.invalid/jwks", &[("HTTPS_PROXY", &address)]).await;
    assert_eq!(kind, "connect");
    assert!(proxy.requests()[0].starts_with("CONNECT login.invalid:443 HTTP/1.1\r\n"), "{:?}", proxy.requests());
}

#[tokio::test]
async fn no_proxy_stands_between_us_and_this_machine() {
    let proxy = Server::start(|_| Reply::json(r#"{"keys":[]}"#)).await;
    let server = Server::start(|_| Reply::json(SET)).await;
    let address = proxy.url("");
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("http://{host}:{}/jwks", server.port);
        let environment = [("HTTP_PROXY", &*address), ("ALL_PROXY", &*address)];
        assert_eq!(fetched_by_a_child(&url, &environment).await, "ed", "{host}");
    }
    assert!(proxy.requests().is_empty());
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_a_failure_of_dns() {
    assert_eq!(fetched_by_a_child("https://login.invalid/jwks", &[]).await, FailureKind::Dns.as_str());
}
