use std::time::Duration;

use keyward_issuer::{Fault, FaultMode};
use rustix::process::Signal;
use tokio::net::TcpStream;

use crate::support::clock::now;
use crate::support::raw::{self, Raw};
use crate::support::{Keyward, Setup, TestIssuer, eventually};

const BODY: &str = r#"{"kind":"echo","payload":{"in":"flight"}}"#;

/// A submission whose body is half sent.
async fn half_a_submission(keyward: &Keyward, token: &str) -> Raw {
    let mut upload = Raw::connect(keyward.address).await;
    let length = BODY.len();
    let head = format!(
        "POST /v1/jobs HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nexpect: 100-continue\r\n\r\n"
    );
    upload.send(head).await;
    // The service asks for the body once the handler reads it: the request is in flight.
    assert_eq!(raw::status(&upload.answer().await), 100);
    upload.send(&BODY[..10]).await;
    upload
}

#[tokio::test]
async fn what_is_in_flight_is_finished_and_nothing_new_is_begun() {
    let issuer = TestIssuer::start().await;
    let setup =
        Setup::for_issuer(&issuer).set_all(&[("JWKS_REFRESH_TIMEOUT_SECONDS", "2"), ("JWKS_REFRESH_RETRIES", "0")]);
    let mut keyward = setup.start_ready().await;
    let token = issuer.token();
    let mut upload = half_a_submission(&keyward, &token).await;
    issuer.set_fault(Some(Fault::new(FaultMode::Hang)));
    let fetches = issuer.jwks_requests();
    let (client, unknown) = (keyward.client().clone(), issuer.token_of_unknown_key());
    let waiting = tokio::spawn(async move { client.verdict(&unknown).await });
    eventually("a request waits for a key", async || (issuer.jwks_requests() > fetches).then_some(())).await;

    keyward.signal(Signal::TERM);
    keyward.log().first("service_stopping").await;
    let address = keyward.address;
    eventually("connections are refused", async || TcpStream::connect(address).await.err()).await;
    assert_eq!(waiting.await.unwrap(), (503, "unknown_kid".to_owned()), "whoever waited was answered");
    upload.send(&BODY[10..]).await;
    let answer = upload.answer().await;
    assert_eq!(raw::status(&answer), 201, "{answer}");
    assert_eq!(keyward.process.ended().await.code(), Some(0));
    assert_eq!(keyward.log().named("service_stopped").len(), 1);

    issuer.set_fault(None);
    let keyward = setup.start_ready().await;
    let jobs = keyward.get("/v1/jobs", Some(&token)).await.json();
    assert_eq!(jobs["jobs"][0]["payload"], serde_json::json!({"in": "flight"}), "the job was kept");
    keyward.stop().await;
}

#[tokio::test]
async fn a_client_that_never_finishes_is_waited_for_ten_seconds() {
    let issuer = TestIssuer::start().await;
    let mut keyward = Setup::for_issuer(&issuer).start_ready().await;
    let upload = half_a_submission(&keyward, &issuer.token()).await;
    let begun = now();
    keyward.signal(Signal::TERM);
    let status = keyward.process.ended_within(Duration::from_secs(15)).await;
    assert_eq!(status.code(), Some(0));
    assert!(begun.elapsed() >= Duration::from_secs(9), "{:?}", begun.elapsed());
    drop(upload);
}

#[tokio::test]
async fn a_request_whose_client_does_not_wait_is_counted_and_logged() {
    let issuer = TestIssuer::start().await;
    let keyward = Setup::for_issuer(&issuer).start_ready().await;
    issuer.set_fault(Some(Fault::new(FaultMode::Hang)));
    let fetches = issuer.jwks_requests();
    let mut client = Raw::connect(keyward.address).await;
    let token = issuer.token_of_unknown_key();
    client.send(format!("GET /v1/me HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\r\n")).await;
    eventually("a request waits for a key", async || (issuer.jwks_requests() > fetches).then_some(())).await;
    drop(client);
    let gone = [("method", "GET"), ("route", "/v1/me"), ("status", "499")];
    eventually("it is counted", async || {
        (keyward.metrics().await.sum("http_requests_total", &gone) == 1.0).then_some(())
    })
    .await;
    let logged = keyward.log().named("http_request");
    assert!(logged.iter().any(|event| event["status"] == 499 && event["route"] == "/v1/me"));
    keyward.kill().await;
}

#[tokio::test]
async fn whoever_insists_ends_the_service_at_once() {
    let issuer = TestIssuer::start().await;
    let mut keyward = Setup::for_issuer(&issuer).start_ready().await;
    let _upload = half_a_submission(&keyward, &issuer.token()).await;
    keyward.signal(Signal::INT);
    keyward.log().first("service_stopping").await;
    keyward.signal(Signal::INT);
    let ended = keyward.process.ended_within(Duration::from_secs(5)).await;
    assert_eq!(ended.code(), Some(0));
}
